"""What forecasts earn on a futures account, after fees and funding, all by one rule."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.futures.broker import FuturesBroker
from lstm_backtrader.reporting.bootstrap import bootstrap_intervals
from lstm_backtrader.reporting.metrics import daily_returns
from lstm_backtrader.reporting.recorder import RunRecord, RunRecorder, run_record
from lstm_backtrader.session import run
from lstm_backtrader.strategies.baselines import BuyAndHold, RandomEntry, SmaCross
from lstm_backtrader.strategies.signal_futures import SignalFutures

Floats = NDArray[np.float64]

SEEDS = 20  # of the random entries
_COLUMN = "study_signal"
_SETTLING = 50  # forecasts before the first is acted on, to know their usual size


class ColumnFutures(SignalFutures):
    """Trade a column of the candles."""

    def __init__(self) -> None:
        self.signal = getattr(self.data.lines, _COLUMN)


@dataclass(frozen=True)
class Account:
    """Figures of one account; fractions, a year's Sharpe from daily returns, money over start equity."""

    name: str
    net_return: float
    sharpe: float | None
    sharpe_low: float | None  # 90 % by the stationary bootstrap
    sharpe_high: float | None
    max_drawdown: float
    trades: int
    fees: float
    funding: float  # received; negative: paid
    daily: tuple[float, ...]  # returns

    def document(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


def signal_of(forecast: Floats) -> Floats:
    """(T,) the side of a forecast (T,) that is larger than usual: +1, -1, else 0.

    Usual is the deviation of what it said so far, this bar included. So a forecast of any unit is traded by the
    same rule, and nothing of it was fitted.
    """
    known = pd.Series(forecast)
    usual = known.expanding(_SETTLING).std().to_numpy()
    return np.where(np.abs(forecast) >= usual, np.sign(forecast), 0.0)


def trade(candles: pd.DataFrame, begin: pd.Timestamp, strategy: type[bt.Strategy], **params: Any) -> RunRecord:
    """A run at 1x on a large linear venue's fees, from `begin` on; the candles before are warm-up."""
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(candles))
    cerebro.setbroker(FuturesBroker(leverage=1.0, cash=10_000.0))
    params.setdefault("trade_from", begin.to_pydatetime())
    cerebro.addstrategy(strategy, **params)
    cerebro.addanalyzer(RunRecorder, start=begin.to_pydatetime())
    return run_record(run(cerebro))


def account(name: str, record: RunRecord) -> Account:
    """The figures of a run."""
    figures = record.metrics()
    start = record.totals.start_equity
    daily = daily_returns(record.equity["equity"], start).to_numpy(np.float64)
    interval = bootstrap_intervals(daily).sharpe if figures["sharpe"] is not None else (None, None)
    return Account(
        name=name,
        net_return=float(figures["total_return"] or 0.0),
        sharpe=figures["sharpe"],
        sharpe_low=interval[0],
        sharpe_high=interval[1],
        max_drawdown=float(figures["max_drawdown"] or 0.0),
        trades=int(figures["trades"] or 0),
        fees=record.totals.fees / start,
        funding=record.totals.funding / start,
        daily=tuple(daily.tolist()),
    )


def trade_forecasts(candles: pd.DataFrame, forecasts: pd.DataFrame) -> list[Account]:
    """Accounts of each column of `forecasts` (T', columns), of holding, of an SMA cross and of random entries.

    All of the bars of `forecasts`. The first column is the model's own, whose turnover the random entries match:
    theirs is the account in the middle of `SEEDS`.
    """
    begin = forecasts.index[0]
    records: dict[str, RunRecord] = {}
    for name, values in forecasts.items():
        signal = pd.Series(signal_of(values.to_numpy(np.float64)), index=forecasts.index)
        column = signal.reindex(candles.index).fillna(0.0)
        records[str(name)] = trade(candles.assign(**{_COLUMN: column}), begin, ColumnFutures)
    own = next(iter(records.values()))
    records["buy and hold"] = trade(candles, begin, BuyAndHold)
    records["SMA cross"] = trade(candles, begin, SmaCross)
    found = [account(name, record) for name, record in records.items()]
    if not own.trades.empty:
        matching = RandomEntry.matching(own)
        drawn = [
            account("random entries", trade(candles, begin, RandomEntry, seed=seed, **matching))
            for seed in range(SEEDS)
        ]
        found.append(sorted(drawn, key=lambda each: each.net_return)[SEEDS // 2])
    return found
