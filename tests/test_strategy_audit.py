"""The look-ahead audit of every strategy here, with its rules at work."""

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

import lstm_backtrader as lbt
from lstm_backtrader import strategies
from lstm_backtrader.auditing.subjects import uncached
from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.forecast.audit import AuditPlan
from lstm_backtrader.strategies.blackout import EventBlackout
from lstm_backtrader.strategies.confluence import Confluence, When
from lstm_backtrader.strategies.entries import Cooldown, Hysteresis, Sessions
from lstm_backtrader.strategies.exits import BreakEven, StopLoss, TakeProfit, TrailingStop
from lstm_backtrader.strategies.line_exits import AtrStop, LineStop
from lstm_backtrader.strategies.sizing import Capped, FractionOfEquity, RiskPerTrade, VolatilityTarget
from lstm_backtrader.strategies.timed_exits import TimeLimit

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
WAVES = {"turn": 1.5, "span": 5, "context": 48, "stride": 12, "waves": (1, 2, 3, 4, 5)}
AUDITED = {
    "cross": (strategies.SmaCross, {"fast": 5, "slow": 20}),
    "cross with rules": (strategies.SmaCross, {"fast": 5, "slow": 20} | RULES),
    "momentum sized by volatility": (
        strategies.Momentum,
        {"lookback": 12, "atr_stop": 2.0, "sizing": VolatilityTarget(0.3)},
    ),
    "momentum with RSI": (
        strategies.Momentum,
        {"lookback": 12, "entries": [Confluence(lambda data: bt.ind.RSI(data) - 50)]},
    ),
    "random": (
        strategies.RandomEntry,
        {"holdings": (6, -6, 3), "flat_bars": 30, "trailing_price_pct": 0.01},
    ),
    "buy and hold": (strategies.BuyAndHold, {"leverage": 3.0, "trailing_price_pct": 0.01, "reenter": True}),
    "waves": (strategies.ElliottFutures, WAVES),
    "waves with rules": (strategies.ElliottFutures, WAVES | RULES),
    "events": (strategies.EventFutures, {"column": "news", "hold": 6}),
    "events with rules": (strategies.EventFutures, {"column": "news", "hold": 6} | RULES),
}
PLAN = AuditPlan(cuts=5)


def on_three_times(candles):
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(candles))
    cerebro.setbroker(lbt.FuturesBroker(leverage=3, cash=1_000_000.0))
    return cerebro


def on_two_instruments(candles):
    """The candles, and from bar 40 on a market that falls where they rise, on one account."""
    prices = ["open", "low", "high", "close"]
    turned = candles[["open", "high", "low", "close"]].rdiv(10_000.0).set_axis(prices, axis=1)
    cerebro = bt.Cerebro(stdstats=False)
    lbt.add_instruments(cerebro, {"UP": candles, "DOWN": candles.assign(**turned).iloc[40:]}, leverage=3.0)
    return cerebro


def findings(strategy, candles, setup=on_three_times, **params):
    report = lbt.audit(strategy, candles, params, plan=PLAN, setup=setup)
    assert "it placed no order" not in str(report)
    return [finding for check in report.checks for finding in check.findings]


def hours(candles_of, n=300):
    table = candles_of(n)
    news = np.where(np.arange(n) % 23 == 7, np.sign(np.sin(np.arange(n))), np.nan)
    return table.assign(funding_rate=np.where(table.index.hour % 8, np.nan, 0.0001), news=news)


@pytest.mark.parametrize("name", AUDITED)
def test_a_strategy_knows_nothing_of_the_future(name, candles_of):
    strategy, params = AUDITED[name]

    assert findings(strategy, hours(candles_of), **params) == []


def test_no_strategy_is_left_out():
    kinds = [getattr(strategies, name) for name in strategies.__all__]
    shipped = {kind for kind in kinds if isinstance(kind, type) and issubclass(kind, bt.Strategy)}
    with_a_model = {strategies.LSTMFutures, strategies.LSTMBasket}
    to_be_subclassed = {strategies.SignalFutures, strategies.SignalBasket}

    assert shipped == {strategy for strategy, _ in AUDITED.values()} | with_a_model | to_be_subclassed


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


# ---- several instruments


class Ups(strategies.SignalBasket):
    """Each instrument up or down over six bars."""

    def __init__(self):
        self.signals = [bt.Cmp(data.close, data.close(-6)) for data in self.datas]


class UpsOfTomorrow(strategies.SignalBasket):
    def __init__(self):
        self.signals = [bt.Cmp(data.close(1), data.close) for data in self.datas]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {
            "exits": [StopLoss(0.02), AtrStop(3.0, follows=True), TimeLimit(12)],
            "entries": [Cooldown(2)],
            "sizing": Capped(FractionOfEquity(0.3), open_multiple=1.5),
        },
    ],
    ids=["plain", "rules"],
)
def test_a_basket_knows_nothing_of_the_future(params, candles_of):
    assert findings(Ups, hours(candles_of, 200), on_two_instruments, **params) == []


def test_a_basket_of_forecasts_knows_nothing_of_the_future(candles_of, untrained_model):
    model = uncached(untrained_model())

    assert findings(strategies.LSTMBasket, hours(candles_of, 200), on_two_instruments, model=model) == []


def test_a_basket_that_knows_tomorrow_is_found(candles_of):
    found = findings(UpsOfTomorrow, hours(candles_of, 200), on_two_instruments)

    assert {"truncation", "perturbation"} <= {each.check for each in found}


# ---- events that are announced


class AroundEvents(strategies.SmaCross):
    """Keeps off events, of which a run knows what is published by the end of its data."""

    params = (("events", None), ("is_told_early", False))

    def blackout(self, **options):
        end = self.data.p.dataname.index[-1] + pd.Timedelta("1h")
        known = self.p.events[self.p.events["published"] <= end]
        if self.p.is_told_early:
            known = known.assign(published=known["scheduled"] - pd.Timedelta("2D"))
        return EventBlackout(known, **options)

    def own_entries(self):
        return [*super().own_entries(), self.blackout(before="24h", after="2h")]

    def own_guards(self):
        return [*super().own_guards(), self.blackout(before="20h", after="1h", flattens=True)]


@pytest.mark.parametrize("is_told_early", [False, True])
def test_a_blackout_heeds_an_event_from_its_announcement_and_no_earlier(is_told_early, candles_of):
    candles = hours(candles_of)
    scheduled = candles.index[12::30]
    events = pd.DataFrame({"published": scheduled - pd.Timedelta("3h"), "scheduled": scheduled})
    cross = {"fast": 2, "slow": 5, "reenter": True}

    found = findings(AroundEvents, candles, events=events, is_told_early=is_told_early, **cross)

    assert {each.check for each in found} == ({"truncation"} if is_told_early else set())
