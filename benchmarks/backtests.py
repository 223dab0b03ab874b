"""One strategy in Backtrader, its signal from wherever: what a whole backtest costs with the forecast in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from benchmarks.measure import Outcome, Plan, check, cpu_seconds
from benchmarks.models import Shape, candles, plain_torch, random_model
from lstm_backtrader.candles import Bars
from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.forecast.features import make_features
from lstm_backtrader.forecast.inference import LSTMForecaster
from lstm_backtrader.indicators.lstm import LSTMSignal

CASH, FEE = 1e9, 0.0004  # so much that no order is ever refused; 0.04 % a side
BARS = 100_000
FAST, SLOW = 24, 168  # of the crossover, bars

Signal = Callable[[Any], Any]  # a Backtrader data -> a line that is +1, -1 or 0; untyped there
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


def run(feed: object, signal: Signal) -> Result:
    """A backtest on Backtrader's own broker, without its standard observers: the least there is to pay."""
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker.setcash(CASH)
    cerebro.broker.setcommission(FEE)
    cerebro.adddata(feed)
    cerebro.addstrategy(FollowSignal, signal=signal)
    (strategy,) = cerebro.run()
    return Result(tuple(strategy.trades), cerebro.broker.getvalue())


def lstm_signal(model: object) -> Signal:
    """The indicator, as a user writes it."""
    return lambda data: LSTMSignal(data, model=model).signal


def ready_column(data: Any) -> Any:
    """The column `ready` of the candles."""
    return data.lines.ready


def sma_cross(data: Any) -> Any:
    """+1 while a fast average lies above a slow one, else -1."""
    sma = bt.indicators.SimpleMovingAverage
    return bt.Cmp(sma(data, period=FAST), sma(data, period=SLOW))


class PandasReady(bt.feeds.PandasData):
    """Backtrader's own feed with a column `ready`."""

    lines = ("ready",)
    params = (("ready", -1),)


def signals(model: LSTMForecaster, market: pd.DataFrame) -> NDArray[np.float64]:
    """(T,) what `LSTMSignal` says, computed beforehand."""
    forecast = model.predict(market)["forecast"].to_numpy()
    known = np.arange(len(market)) >= model.warmup - 1
    return np.where(known & (np.abs(forecast) >= model.threshold), np.sign(forecast), 0.0)


def against_ready_column(plan: Plan) -> Outcome:
    """A backtest with the forecast computed in it, over the same with the forecast as a column of the data."""

    def contest(market: pd.DataFrame, model: LSTMForecaster) -> tuple[float, str]:
        ready = market.assign(ready=signals(model, market))
        ours = Timed(lambda: run(CandleFeed(market), lstm_signal(model)))
        column = Timed(lambda: run(CandleFeed(ready), ready_column))
        return ours.seconds / column.seconds, _check_trades(ours.result, column.result)

    return _contests(contest, Shape(), plan)


def against_tutorial(plan: Plan) -> Outcome:
    """PandasData and an `nn.LSTM` called in `next()` on the same context, over ours; features ready for it."""

    def contest(market: pd.DataFrame, model: LSTMForecaster) -> tuple[float, str]:
        ours = Timed(lambda: run(CandleFeed(market), lstm_signal(model)))
        tutorial = Timed(lambda: run(_pandas_feed(market), lambda data: TutorialLSTM(data, model=model, market=market)))
        return tutorial.seconds / ours.seconds, _check_trades(ours.result, tutorial.result)

    return _contests(contest, Shape(64, 16, 64, 1, 1), plan, bars=20_000)


def against_sma_cross(plan: Plan) -> Outcome:
    """A crossover on PandasData without any LSTM, over CandleFeed with the LSTM in it."""

    def contest(market: pd.DataFrame, model: LSTMForecaster) -> tuple[float, str]:
        ours = Timed(lambda: run(CandleFeed(market), lstm_signal(model)))
        crossover = Timed(lambda: run(_pandas_feed(market), sma_cross))
        same = run(CandleFeed(market), sma_cross)
        checked = check(crossover.result == same, "both feeds give the crossover the same trades")
        return crossover.seconds / ours.seconds, checked

    return _contests(contest, Shape(), plan)


class TutorialLSTM(bt.Indicator):
    """The forecast as tutorials compute it: one call of the network in every `next()`."""

    lines = ("signal",)
    params = (("model", None), ("market", None))

    def __init__(self) -> None:
        model = self.p.model
        bars = Bars.of(self.p.market)
        self.X = model.scaler.transform(make_features(bars, model.specs))  # (T, F), all at once
        slots = bars.open_time // model.step_ns
        self.first = (np.arange(len(bars)) - (slots - model.context.start(slots))).tolist()
        (net,) = model.nets
        self.lstm, self.head = plain_torch(net)
        self.threshold = model.threshold
        self.addminperiod(model.warmup)

    def next(self) -> None:
        row = len(self) - 1
        with torch.inference_mode():
            hidden, _ = self.lstm(torch.from_numpy(self.X[self.first[row] : row + 1])[None])
            forecast = self.head(hidden[0, -1]).item()
        self.lines.signal[0] = float(np.sign(forecast)) if abs(forecast) >= self.threshold else 0.0


class Timed:
    """A backtest that was run: its result and its CPU seconds."""

    def __init__(self, job: Callable[[], Result]) -> None:
        self._job = job
        self.seconds = cpu_seconds(self._run)

    def _run(self) -> None:
        self.result = self._job()


def _contests(
    contest: Callable[[pd.DataFrame, LSTMForecaster], tuple[float, str]],
    shape: Shape,
    plan: Plan,
    bars: int = BARS,
) -> Outcome:
    """A contest a pair, each on a market of its own, so that no forecast can be remembered from the last."""
    bars = plan.bars(bars, at_least=1_200)
    ratios, checked = [], ""
    for pair in range(plan.pairs):
        market = candles(bars, seed=pair)
        ratio, checked = contest(market, random_model(shape, market))
        ratios.append(ratio)
    return Outcome(tuple(ratios), checked)


def _pandas_feed(market: pd.DataFrame) -> object:
    return bt.feeds.PandasData(dataname=market, openinterest=None)


def _check_trades(ours: Result, other: Result) -> str:
    check(len(ours.trades) > 1, "there are trades to compare")
    return check(ours.agrees(other), "trades and final value are equal")
