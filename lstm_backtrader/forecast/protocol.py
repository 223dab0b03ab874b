"""What the indicator asks of a forecaster; anything that meets it can be plugged in."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import pandas as pd

from lstm_backtrader.candles import Bars

FORECAST_COLUMNS = ("forecast", "prob_up", "spread")


class ForecastPoint(NamedTuple):
    """The forecast known at the close of one bar; NaN where there is none.

    `forecast`: expected return over the horizon in units of its volatility. `prob_up`: probability in [0, 1]
    that it is positive. `spread`: standard deviation over the ensemble, in units of `forecast`.
    """

    forecast: float
    prob_up: float
    spread: float


NO_FORECAST = ForecastPoint(float("nan"), float("nan"), float("nan"))


class ForecastStream(Protocol):
    """A running forecast, one bar after the other."""

    def update(self, tail: Callable[[int], Bars]) -> ForecastPoint:
        """The forecast of the newest bar. `tail(n)` gives the last n bars (fewer where there are fewer).

        Called again for a bar that is still forming, it forecasts the bar as it is now and forgets the
        earlier version.
        """
        ...


@runtime_checkable
class Forecaster(Protocol):
    """Candles to forecast, at once or bar by bar, with the same numbers.

    Optional attributes: `columns` (columns of the candles it reads, default open high low close volume),
    `threshold` (|forecast| from which the signal is +-1, default 0), `valid_from` and `valid_until` (bars
    before and from then on get no forecast), `horizon` (bars ahead it forecasts, to measure it by), `seam` and
    `name` (for the report).
    """

    @property
    def timeframe(self) -> pd.Timedelta:
        """Bar length of the candles it understands."""
        ...

    @property
    def warmup(self) -> int:
        """Bars that must be there before the first forecast."""
        ...

    def predict(self, candles: pd.DataFrame) -> pd.DataFrame:
        """Columns `forecast`, `prob_up`, `spread` on the candles' index; row t known at the close of bar t."""
        ...

    def stream(self) -> ForecastStream:
        """A fresh stream."""
        ...
