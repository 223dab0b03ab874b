"""The same signals in other backtesters: plain Backtrader, backtesting.py and vectorbt.

Ours computes its forecast inside the clock; the others are given the signals. All fill at the next open, hold
one unit a side, and pay the same fee. A peer's trades are compared with Backtrader's bar by bar; vectorbt marks
its bars itself, so there the profits are.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.backtests import contests, signals
from benchmarks.measure import Outcome, Plan, check
from benchmarks.models import Shape
from benchmarks.strategy import CASH, FEE, Result, Timed, check_trades, lstm_signal, pandas_feed, ready_column, run
from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.forecast.inference import LSTMForecaster

Floats = NDArray[np.float64]


def against_backtrader(plan: Plan) -> Outcome:
    """Plain Backtrader with PandasData and ready signals, over ours with its forecast."""

    def contest(market: pd.DataFrame, model: LSTMForecaster) -> tuple[float, str]:
        ready = market.assign(ready=signals(model, market))
        ours = Timed(lambda: run(CandleFeed(market), lstm_signal(model)))
        plain = Timed(lambda: run(pandas_feed(ready), ready_column))
        return plain.seconds / ours.seconds, check_trades(ours.result, plain.result)

    return contests(contest, Shape(), plan)


def against_backtesting_py(plan: Plan) -> Outcome:
    """backtesting.py with ready signals, over ours with its forecast."""
    return _against(_backtesting_py, plan)


def against_vectorbt(plan: Plan) -> Outcome:
    """vectorbt with ready signals (compiled before), over ours with its forecast."""
    return _against(_vectorbt, plan)


def _against(peer: Callable[[pd.DataFrame, Floats], tuple[float, ...]], plan: Plan) -> Outcome:
    def contest(market: pd.DataFrame, model: LSTMForecaster) -> tuple[float, str]:
        ready = signals(model, market)
