"""Whole backtests with the forecast in them, against a ready column, a tutorial, and a script without any LSTM."""

from __future__ import annotations

from collections.abc import Callable
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

BARS = 100_000

_seeds = count()


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
        return ours.seconds / column.seconds, check_trades(ours.result, column.result)

    return contests(contest, Shape(), plan)


def against_tutorial(plan: Plan) -> Outcome:
    """PandasData and an `nn.LSTM` called in `next()` on the same context, over ours; features ready for it."""

    def contest(market: pd.DataFrame, model: LSTMForecaster) -> tuple[float, str]:
        ours = Timed(lambda: run(CandleFeed(market), lstm_signal(model)))
        tutorial = Timed(lambda: run(pandas_feed(market), tutorial_lstm(model, market)))
        return tutorial.seconds / ours.seconds, check_trades(ours.result, tutorial.result)

    return contests(contest, Shape(64, 16, 64, 1, 1), plan, bars=20_000)


def against_sma_cross(plan: Plan) -> Outcome:
    """A crossover on PandasData without any LSTM, over CandleFeed with the LSTM in it."""

    def contest(market: pd.DataFrame, model: LSTMForecaster) -> tuple[float, str]:
        ours = Timed(lambda: run(CandleFeed(market), lstm_signal(model)))
        crossover = Timed(lambda: run(pandas_feed(market), sma_cross))
        part = market.iloc[: len(market) // 10]
        same = run(CandleFeed(part), sma_cross) == run(pandas_feed(part), sma_cross)
        checked = check(same, "both feeds give the crossover the same trades")
        return crossover.seconds / ours.seconds, checked

    return contests(contest, Shape(), plan)


def tutorial_lstm(model: LSTMForecaster, market: pd.DataFrame) -> Signal:
    """The signal a tutorial computes."""
    indicator: Any = TutorialLSTM  # Backtrader's metaclass takes the parameters
    return lambda data: indicator(data, model=model, market=market)


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
        self.l.signal[0] = float(np.sign(forecast)) if abs(forecast) >= self.threshold else 0.0


def contests(
    contest: Callable[[pd.DataFrame, LSTMForecaster], tuple[float, str]],
    shape: Shape,
    plan: Plan,
    bars: int = BARS,
) -> Outcome:
    """A contest a pair, each on a market of its own, since a forecast computed once is remembered."""
    ratios, checked = [], ""
    for _ in range(plan.pairs):
        market = candles(plan.bars(bars, at_least=1_200), seed=next(_seeds))
        ratio, checked = contest(market, random_model(shape, market))
        ratios.append(ratio)
    return Outcome(tuple(ratios), checked)
