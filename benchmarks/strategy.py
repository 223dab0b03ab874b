"""The strategy of the backtest benchmarks, its feeds and its signals; loads no torch of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import backtrader as bt
import numpy as np
import pandas as pd

from benchmarks.measure import check, cpu_seconds
from lstm_backtrader.candles import COLUMNS
from lstm_backtrader.indicators.lstm import LSTMSignal

CASH, FEE = 1e9, 0.0004  # so much that no order is ever refused; 0.04 % a side
FAST, SLOW = 24, 168  # of the crossover, bars

Signal = Callable[[Any], Any]  # a Backtrader data -> a line that is +1, -1 or 0; untyped there
T = TypeVar("T")
Trade = tuple[float, float, float]  # open and close time in Backtrader's days, profit after fees


@dataclass(frozen=True)
class Result:
    """What must be equal between two ways of running one backtest."""

    trades: tuple[Trade, ...]  # closed ones, in order
    value: float  # of the account at the end

    def agrees(self, other: Result) -> bool:
        """The same trades at the same bars, profits equal to 1e-6."""
        return (
            len(self.trades) == len(other.trades)
            and np.allclose(np.array(self.trades), np.array(other.trades), rtol=0, atol=1e-6)
            and bool(np.isclose(self.value, other.value, rtol=0, atol=1e-3))
        )


_lstm_signal: Any = LSTMSignal  # Backtrader's metaclass takes the parameters, which a type checker cannot see


class FollowSignal(bt.Strategy):
    """Holds one unit on the side of the signal; orders fill at the next open."""

    params = (("signal", None),)

    def __init__(self) -> None:
        self.signal = self.p.signal(self.data)
        self.side = 0
        self.trades: list[Trade] = []

    def next(self) -> None:
        side = int(self.signal[0])
        if side == self.side:
            return
        if self.side:
            self.close()
        if side > 0:
            self.buy(size=1)
        elif side < 0:
            self.sell(size=1)
        self.side = side

    def notify_trade(self, trade: Any) -> None:
        if trade.isclosed:
            self.trades.append((trade.dtopen, trade.dtclose, trade.pnlcomm))


def run(feed: object, signal: Signal, observers: bool = True, broker: object = None) -> Result:
    """A backtest on Backtrader's own broker or another, with the observers it has by default, or without."""
    cerebro = bt.Cerebro(stdstats=observers)
    if broker is not None:
        cerebro.setbroker(broker)
    cerebro.broker.setcash(CASH)
    cerebro.broker.setcommission(FEE)
    cerebro.adddata(feed)
    cerebro.addstrategy(FollowSignal, signal=signal)
    (strategy,) = cerebro.run()
    return Result(tuple(strategy.trades), cerebro.broker.getvalue())


def lstm_signal(model: object) -> Signal:
    """The indicator, as a user writes it."""
    return lambda data: _lstm_signal(data, model=model).signal


def ready_column(data: Any) -> Any:
    """The column `ready` of the candles."""
    return data.lines.ready


def sma_cross(data: Any) -> Any:
    """+1 while a fast average lies above a slow one, else -1."""
    sma = bt.indicators.SimpleMovingAverage
    return bt.Cmp(sma(data, period=FAST), sma(data, period=SLOW))


def pandas_feed(market: pd.DataFrame) -> object:
    """Backtrader's own feed, with a line for each further column, as its documentation shows."""
    extra = tuple(name for name in market.columns if name not in COLUMNS)
    kind = type("PandasColumns", (bt.feeds.PandasData,), {"lines": extra, "params": tuple((x, -1) for x in extra)})
    return kind(dataname=market, openinterest=None)


class Timed(Generic[T]):
    """A job that was run: its result and its CPU seconds."""

    def __init__(self, job: Callable[[], T]) -> None:
        self._job = job
        self.seconds = cpu_seconds(self._run)

    def _run(self) -> None:
        self.result = self._job()


def check_trades(ours: Result, other: Result) -> str:
    """Raises `CheckError` where two backtests differ, or where they say nothing."""
    check(len(ours.trades) > 1, "there are trades to compare")
    return check(ours.agrees(other), "trades and final value are equal")
