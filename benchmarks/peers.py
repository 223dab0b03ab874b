"""The same signals in other backtesters: backtesting.py and vectorbt.

Ours computes its forecast inside the clock, the others are given the signals. All fill at the next open, hold
one unit a side and pay the same fee, so the trades can be compared.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import redirect_stderr
from io import StringIO

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.backtests import Contest, contests, signals
from benchmarks.measure import Outcome, Plan, check
from benchmarks.models import Shape
from benchmarks.strategy import CASH, FEE, Result, lstm_signal, run
from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.forecast.inference import LSTMForecaster

Floats = NDArray[np.float64]
TOLERANCE = 1e-6  # of a trade's profit, price 10,000


def against_backtesting_py(plan: Plan) -> Outcome:
    """backtesting.py with ready signals, over ours with its forecast."""
    return _against(backtesting_py, plan)


def against_vectorbt(plan: Plan) -> Outcome:
    """vectorbt with ready signals, over ours with its forecast; what vectorbt compiles at first is left out."""
    index = pd.date_range("2020-01-01", periods=9, freq="h")
    flat = pd.DataFrame({"open": 1.0, "close": 1.0}, index=index)
    vectorbt(flat, np.array([0.0, 1, 1, -1, 0, 0, 1, 0, 0]))
    return _against(vectorbt, plan)


def _against(peer: Callable[[pd.DataFrame, Floats], list[float]], plan: Plan) -> Outcome:
    def same_profits(ours: Result, theirs: list[float]) -> str:
        mine = [profit for _, _, profit in ours.trades]
        same = len(mine) == len(theirs) > 1 and np.allclose(mine, theirs, rtol=0, atol=TOLERANCE)
        return check(same, "the profits of all trades are equal")

    def set_up(market: pd.DataFrame, model: LSTMForecaster) -> Contest:
        ready = signals(model, market)
        return Contest(
            over=lambda: peer(market, ready),
            under=lambda: run(CandleFeed(market), lstm_signal(model)),
            verify=same_profits,
        )

    return contests(set_up, Shape(), plan)


def backtesting_py(market: pd.DataFrame, ready: Floats) -> list[float]:
    """Profit after fees of every closed trade."""
    from backtesting import Backtest, Strategy  # extras; the other benchmarks run without them

    class Follow(Strategy):
        def init(self) -> None:
            self.side = 0

        def next(self) -> None:
            side = int(self.data.Ready[-1])
            if side == self.side:
                return
            if self.side:
                self.position.close()
            if side > 0:
                self.buy(size=1)
            elif side < 0:
                self.sell(size=1)
            self.side = side

    table = market.rename(columns=str.capitalize).assign(Ready=ready).tz_localize(None)
    with redirect_stderr(StringIO()), warnings.catch_warnings():  # a progress bar, and
        warnings.simplefilter("ignore")  # of an open trade at the end, and of what newer pandas deprecates
        statistics = Backtest(table, Follow, cash=CASH, commission=FEE).run()
    profits: list[float] = statistics["_trades"]["PnL"].tolist()
    return profits


def vectorbt(market: pd.DataFrame, ready: Floats) -> list[float]:
    """Profit after fees of every closed trade; the value of the account is computed as well."""
    import vectorbt as vbt

    target = np.concatenate([[0.0], ready[:-1]])  # held from the next open on
    portfolio = vbt.Portfolio.from_orders(
        market["close"], size=target, size_type="targetamount", price=market["open"], fees=FEE, init_cash=CASH
    )
    portfolio.value()
    trades = portfolio.trades.records
    profits: list[float] = trades.loc[trades["status"] == 1, "pnl"].tolist()
    return profits
