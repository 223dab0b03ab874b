"""Whole backtests with the forecast in them, against a ready column, a tutorial, and a script without any LSTM."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC
from itertools import count
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from benchmarks.measure import Outcome, Plan, check
from benchmarks.models import Shape, candles, plain_torch, random_model
from benchmarks.strategy import (
    Result,
    Signal,
    Timed,
    check_trades,
    lstm_signal,
    pandas_feed,
    ready_column,
    run,
    sma_cross,
)
from lstm_backtrader.candles import Bars
from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.forecast.features import make_features
from lstm_backtrader.forecast.inference import LSTMForecaster
from lstm_backtrader.futures.broker import FuturesBroker

BARS = 100_000

_seeds = count()


def signals(model: LSTMForecaster, market: pd.DataFrame) -> NDArray[np.float64]:
    """(T,) what `LSTMSignal` says, computed beforehand."""
    forecast = model.predict(market)["forecast"].to_numpy()
    known = np.arange(len(market)) >= model.warmup - 1
    return np.where(known & (np.abs(forecast) >= model.threshold), np.sign(forecast), 0.0)


def against_ready_column(plan: Plan, observers: bool = True) -> Outcome:
    """A backtest with the forecast computed in it, over the same with the forecast as a column of the data."""

    def set_up(market: pd.DataFrame, model: LSTMForecaster) -> Contest:
        ready = market.assign(ready=signals(model, market))
        return Contest(
            over=lambda: run(CandleFeed(market), lstm_signal(model), observers),
            under=lambda: run(CandleFeed(ready), ready_column, observers),
        )

    return contests(set_up, Shape(), plan)


def against_tutorial(plan: Plan) -> Outcome:
    """PandasData and an `nn.LSTM` called in `next()` on the same context, over ours.

    The tutorial is given its scaled features as columns of its data, computed outside the clock.
    """

    def set_up(market: pd.DataFrame, model: LSTMForecaster) -> Contest:
        X = model.scaler.transform(make_features(Bars.of(market), model.specs))  # (T, F)
        names = [f"feature{column}" for column in range(X.shape[1])]
        table = market.join(pd.DataFrame(X, index=market.index, columns=names))
        return Contest(
            over=lambda: run(pandas_feed(table), tutorial_lstm(model, names)),
            under=lambda: run(CandleFeed(market), lstm_signal(model)),
        )

    return contests(set_up, Shape(64, 16, 64, 1, 1), plan, bars=20_000)


def against_sma_cross(plan: Plan) -> Outcome:
    """A crossover on PandasData without any LSTM, over CandleFeed with the LSTM in it."""

    def same_feed(_ours: Result, _theirs: Result) -> str:
        market = candles(2_000)
        same = run(CandleFeed(market), sma_cross) == run(pandas_feed(market), sma_cross)
        return check(same, "both feeds give the crossover the same trades")

    def set_up(market: pd.DataFrame, model: LSTMForecaster) -> Contest:
        return Contest(
            over=lambda: run(pandas_feed(market), sma_cross),
            under=lambda: run(CandleFeed(market), lstm_signal(model)),
            verify=same_feed,
        )

    return contests(set_up, Shape(), plan)


def account_against_stock(feed: Callable[[pd.DataFrame], object], plan: Plan) -> Outcome:
    """A crossover that is always in the market: time on Backtrader's broker over time on the futures account."""

    def set_up(market: pd.DataFrame, _model: LSTMForecaster) -> Contest:
        return Contest(
            over=lambda: run(feed(market), sma_cross, observers=False),
            under=lambda: run(feed(market), sma_cross, observers=False, broker=FuturesBroker()),
        )

    return contests(set_up, Shape(), replace(plan, pairs=min(plan.pairs, plan.repeats)), bars=40_000)


def against_plain_backtrader(plan: Plan) -> Outcome:
    """PandasData with ready signals, over CandleFeed with the LSTM in it."""

    def set_up(market: pd.DataFrame, model: LSTMForecaster) -> Contest:
        ready = market.assign(ready=signals(model, market))
        return Contest(
            over=lambda: run(pandas_feed(ready), ready_column),
            under=lambda: run(CandleFeed(market), lstm_signal(model)),
        )

    return contests(set_up, Shape(), plan)


def tutorial_lstm(model: LSTMForecaster, features: list[str]) -> Signal:
    """The signal a tutorial computes."""
    indicator: Any = TutorialLSTM  # Backtrader's metaclass takes the parameters
    return lambda data: indicator(data, model=model, features=features)


class TutorialLSTM(bt.Indicator):
    """The forecast as tutorials compute it: one call of the network in every `next()`."""

    lines = ("signal",)
    params = (("model", None), ("features", ()))

    def __init__(self) -> None:
        model = self.p.model
        (net,) = model.nets
        self.lstm, self.head = plain_torch(net)
        self.context, self.threshold, self.step_s = model.context, model.threshold, model.manifest.timeframe_s
        self.features = [getattr(self.data.lines, name) for name in self.p.features]
        self.addminperiod(model.warmup)

    def next(self) -> None:
        opened = self.data.datetime.datetime(0).replace(tzinfo=UTC)
        slot = round(opened.timestamp()) // self.step_s
        length = slot - (slot - self.context.length + 1) // self.context.stride * self.context.stride + 1
        window = np.array([line.get(size=length) for line in self.features], np.float32)  # (F, length)
        with torch.inference_mode():
            hidden, _ = self.lstm(torch.from_numpy(window.T.copy())[None])  # (1, length, H)
            forecast = self.head(hidden[0, -1]).item()
        self.l.signal[0] = float(np.sign(forecast)) if abs(forecast) >= self.threshold else 0.0


@dataclass(frozen=True)
class Contest:
    """Two ways of running one backtest; the figure is the time of `over` by that of `under`."""

    over: Callable[[], Any]
    under: Callable[[], Any]  # Any: what `verify` knows to compare, mostly two `Result`
    verify: Callable[[Any, Any], str] = check_trades


def contests(
    set_up: Callable[[pd.DataFrame, LSTMForecaster], Contest], shape: Shape, plan: Plan, bars: int = BARS
) -> Outcome:
    """A contest a pair, each on a market of its own, since a forecast computed once is remembered.

    Who goes first alternates.
    """
    ratios, checked = [], ""
    for turn in range(plan.pairs):
        market = candles(plan.bars(bars, at_least=1_200), seed=next(_seeds))
        contest = set_up(market, random_model(shape, market))
        if turn % 2:
            under, over = Timed(contest.under), Timed(contest.over)
        else:
            over, under = Timed(contest.over), Timed(contest.under)
        checked = contest.verify(under.result, over.result)
        ratios.append(over.seconds / under.seconds)
    return Outcome(tuple(ratios), checked)
