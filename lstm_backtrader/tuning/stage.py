"""One configuration on one inner fold: its forecast, made once a training, and the account that trades it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lstm_backtrader.candles import KNOWN_COLUMNS
from lstm_backtrader.forecast.fold_forecast import fold_forecast
from lstm_backtrader.forecast.folds import Fold, between
from lstm_backtrader.forecast.protocol import FORECAST_COLUMNS
from lstm_backtrader.reporting.metrics import daily_returns
from lstm_backtrader.reporting.recorder import run_record
from lstm_backtrader.trading import Trading
from lstm_backtrader.tuning.recorded import RecordedForecaster
from lstm_backtrader.tuning.space import Candidate

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FoldOutcome:
    """Of T bars and D days. `about` and `surprise` are those of `FoldForecast`."""

    returns: pd.Series  # (D,) simple, net of fees and funding, on naive UTC days; 0 on days without a bar
    about: Floats  # (T,)
    surprise: Floats  # (T,)
    trades: int


@dataclass(frozen=True)
class Stage:
    """What every trial of a study is tried on. `inner` ends where the test span begins."""

    inner: pd.DataFrame
    folds: tuple[Fold, ...]
    forecasts: Path  # where forecasts of folds are kept
    symbol: str
    device: str

    def run(self, candidate: Candidate, number: int, threads: int = 1) -> FoldOutcome:
        """Forecast the fold of that number and trade it on a fresh account.

        Raises `DataError`, `ConfigError` or `LeverageError` where the configuration cannot be.
        """
        fold = self.folds[number]
        said = fold_forecast(self.inner, fold, candidate.train, self.forecasts, device=self.device, threads=threads)
        bars = between(self.inner, fold.begin, fold.end)
        bars = bars[[name for name in bars.columns if name in KNOWN_COLUMNS]]
        columns = (said.forecast, said.prob_up, said.spread)
        table = pd.DataFrame(dict(zip(FORECAST_COLUMNS, columns, strict=True)), index=bars.index)
        trading = Trading(bars, bars.index[0], candidate.account_of(said.threshold), self.symbol)
        record = run_record(trading.follow(RecordedForecaster(table, said.threshold)))
        returns = daily_returns(record.equity["equity"], record.totals.start_equity)
        days = pd.date_range(fold.begin, fold.end, freq="D", inclusive="left", unit="ns").tz_localize(None)
        return FoldOutcome(returns.reindex(days, fill_value=0.0), said.about, said.surprise, len(record.trades))
