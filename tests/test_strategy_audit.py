"""The look-ahead audit of every strategy here, with its rules at work."""

import backtrader as bt
import numpy as np
import pytest

import lstm_backtrader as lbt
from lstm_backtrader import strategies
from lstm_backtrader.auditing.subjects import uncached
from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.forecast.audit import AuditPlan
from lstm_backtrader.strategies.confluence import Confluence, When
from lstm_backtrader.strategies.entries import Cooldown, Hysteresis, Sessions
from lstm_backtrader.strategies.exits import BreakEven, StopLoss, TakeProfit, TrailingStop
from lstm_backtrader.strategies.line_exits import AtrStop, LineStop
from lstm_backtrader.strategies.sizing import RiskPerTrade, VolatilityTarget

RULES = {
    "exits": [
        StopLoss(0.03),
        TrailingStop(0.02, 0.02),
        BreakEven(0.01),
        TakeProfit(0.02, share=0.5),
        AtrStop(3.0, follows=True),
        LineStop(
            below=lambda data: bt.ind.Lowest(data.low, period=20),
            above=lambda data: bt.ind.Highest(data.high, period=20),
            follows=True,
        ),
    ],
    "entries": [
        Cooldown(2, after_loss=4),
        Sessions(hours=range(2, 22)),
        When(lambda data: bt.ind.ATR(data) > 0.1),
    ],
    "sizing": RiskPerTrade(0.01),
    "time_limit_bars": 12,
    "before_funding": True,
    "reenter": True,
}
HOLD = Hysteresis(0.2, 0.1)
PLAN = AuditPlan(cuts=5)


def on_three_times(candles):
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(candles))
    cerebro.setbroker(lbt.FuturesBroker(leverage=3, cash=1_000_000.0))
    return cerebro


def findings(strategy, candles, **params):
    report = lbt.audit(strategy, candles, params, plan=PLAN, setup=on_three_times)
    assert "it placed no order" not in str(report)
    return [finding for check in report.checks for finding in check.findings]


def hours(candles_of, n=300):
    table = candles_of(n)
    return table.assign(funding_rate=np.where(table.index.hour % 8, np.nan, 0.0001))


@pytest.mark.parametrize(
    ("strategy", "params"),
    [
        (strategies.SmaCross, {"fast": 5, "slow": 20}),
        (strategies.SmaCross, {"fast": 5, "slow": 20} | RULES),
        (strategies.Momentum, {"lookback": 12, "atr_stop": 2.0, "sizing": VolatilityTarget(0.3)}),
        (strategies.Momentum, {"lookback": 12, "entries": [Confluence(lambda data: bt.ind.RSI(data) - 50)]}),
        (strategies.RandomEntry, {"holdings": (6, -6, 3), "flat_bars": 30, "trailing_price_pct": 0.01}),
    ],
    ids=["cross", "cross with rules", "momentum sized by volatility", "momentum with RSI", "random"],
)
def test_a_strategy_knows_nothing_of_the_future(strategy, params, candles_of):
    assert findings(strategy, hours(candles_of), **params) == []


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"cost_multiple": 1.0, "min_probability": 0.52, "max_spread": 5.0, "leave_threshold": 0.05},
        {"entries": [Hysteresis(0.2, 0.1)], "exits": [Hysteresis(0.2, 0.1)], "leave_on": "never"}
        | {"atr_stop": 3.0},
        RULES,
    ],
    ids=["plain", "cost and doubts", "hysteresis", "rules"],
)
def test_a_forecast_is_traded_without_knowing_the_future(params, candles_of, untrained_model):
    model = uncached(untrained_model())

    assert findings(strategies.LSTMFutures, hours(candles_of), model=model, **params) == []
