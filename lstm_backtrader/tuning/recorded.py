"""Forecasts that are known already as a forecaster: an account can be run on them without the model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from lstm_backtrader.candles import COLUMNS, Bars, bar_seconds, open_times
from lstm_backtrader.forecast.protocol import FORECAST_COLUMNS, NO_FORECAST, ForecastPoint


class RecordedForecaster:
    """Says of each bar what `table` does (T, forecast prob_up spread), of others nothing; meets `Forecaster`."""

    name = "recorded"
    warmup = 1
    columns = COLUMNS

    def __init__(self, table: pd.DataFrame, threshold: float) -> None:
        times = open_times(table.index)
        self.timeframe = pd.Timedelta(seconds=bar_seconds(times))
        self.threshold = threshold
        self._table = table
        self._row_at = {int(time): number for number, time in enumerate(times)}
        self._values = table[list(FORECAST_COLUMNS)].to_numpy(np.float64)

    def predict(self, candles: pd.DataFrame) -> pd.DataFrame:
        """See `Forecaster.predict`."""
        return self._table.reindex(candles.index)

    def stream(self) -> RecordedForecaster:
        """Itself: it has no state."""
        return self

    def update(self, tail: Callable[[int], Bars]) -> ForecastPoint:
        """See `ForecastStream.update`."""
        row = self._row_at.get(int(tail(1).open_time[-1]))
        return NO_FORECAST if row is None else ForecastPoint(*self._values[row].tolist())
