"""Sizes by hand and by law: what each rule asks for, what the account bears, and what a stop then costs."""

import dataclasses
import doctest
import math
import re
from pathlib import Path

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import lstm_backtrader as lbt
from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.errors import ConfigError, LeverageError
from lstm_backtrader.futures.broker import FuturesBroker
from lstm_backtrader.futures.contract import Contract, tiers_of
from lstm_backtrader.futures.rules import notional, profit
from lstm_backtrader.reporting.recorder import run_record
from lstm_backtrader.strategies import limits, sizing
from lstm_backtrader.strategies.desk import Desk
from lstm_backtrader.strategies.exits import StopLoss
from lstm_backtrader.strategies.limits import gain_of_move, largest_notional, leverage_for, size_within, spendable
from lstm_backtrader.strategies.signal_futures import SignalFutures
from lstm_backtrader.strategies.situation import Situation
from lstm_backtrader.strategies.sizing import (
    Capped,
    CappedKelly,
    FixedNotional,
    FractionOfEquity,
    RiskPerTrade,
    VolatilityTarget,
)

LINEAR = Contract(taker_fee=0.0, maker_fee=0.0)
INVERSE = Contract(kind="inverse", settlement="BTC", taker_fee=0.0, maker_fee=0.0)
# 10,000 dollars at a price of 100, or 2 coins at a price of 50,000
DOLLARS = Situation(side=1, price=100.0, equity=10_000.0, leverage=3.0, contract=LINEAR)
COINS = Situation(side=1, price=50_000.0, equity=2.0, leverage=3.0, contract=INVERSE)
YEARLY = 0.10 / math.sqrt(365 * 24)  # volatility of one hour where that of a year is 10 %


def at(situation, **changes):
    return dataclasses.replace(situation, **changes)


# ---- by hand


@pytest.mark.parametrize(
    ("rule", "situation", "size"),
    [
        (FixedNotional(2_500), DOLLARS, 25),
        (FixedNotional(2_500), at(DOLLARS, side=-1), 25),
        (FixedNotional(0.5), COINS, 25_000),
        # 3 * 0.5 of 10,000 dollars, of 2 coins
        (FractionOfEquity(0.5), DOLLARS, 150),
        (FractionOfEquity(0.5), COINS, 150_000),
        # 1 % is 100 dollars: 2 dollars a coin to the stop; at 0.05 % a side the fees are 0.05 and 0.049 more
        (RiskPerTrade(0.01), at(DOLLARS, stop_distance=0.02), 50),
        (RiskPerTrade(0.01), at(DOLLARS, stop_distance=0.02, side=-1), 50),
        (RiskPerTrade(0.01), at(DOLLARS, stop_distance=0.02, contract=Contract()), 100 / 2.099),
        (RiskPerTrade(0.01), at(DOLLARS, stop_distance=0.02, slippage=0.0005), 100 / 2.099),
        # 1 % is 0.02 coins; a dollar is 1/50,000 of one, 1/40,000 at a long's stop, 1/62,500 at a short's
        (RiskPerTrade(0.01), at(COINS, stop_distance=0.2), 0.02 / (1 / 40_000 - 1 / 50_000)),
        (RiskPerTrade(0.01), at(COINS, stop_distance=0.25, side=-1), 0.02 / (1 / 50_000 - 1 / 62_500)),
        # a year of 10 % where 20 % are wanted: twice the equity
        (VolatilityTarget(0.2), at(DOLLARS, volatility=YEARLY, bar_s=3600), 200),
        (VolatilityTarget(0.2), at(COINS, volatility=YEARLY, bar_s=3600), 200_000),
        (VolatilityTarget(0.2), at(DOLLARS, volatility=2 * YEARLY, bar_s=4 * 3600), 200),
        # an even bet won 6 times in 10: Kelly risks 0.2 of equity, a quarter of it is 500 dollars, 2 a coin
        (CappedKelly(0.25, most=9), at(DOLLARS, prob_up=0.6, stop_distance=0.02), 250),
        (CappedKelly(0.25, most=1), at(DOLLARS, prob_up=0.6, stop_distance=0.02), 100),
        (CappedKelly(0.25, most=9), at(DOLLARS, prob_up=0.4, prob_down=0.6, side=-1, stop_distance=0.02), 250),
        # twice as far for it as against it: 0.6 - 0.4 / 2 = 0.4
        (CappedKelly(0.25, most=9, payoff=2), at(DOLLARS, prob_up=0.6, stop_distance=0.04), 250),
        # without a stop a deviation over the horizon is the distance: 0.01 * sqrt(16)
        (CappedKelly(0.25, most=9), at(DOLLARS, prob_up=0.6, volatility=0.01, horizon=16), 125),
        # slippage of 0.05 % of both fills: 1.899 dollars are won, 2.099 lost; a quarter of 10,000 dollars at stake
        (
            CappedKelly(0.25, most=9),
            at(DOLLARS, prob_up=0.6, stop_distance=0.02, slippage=0.0005),
            2_500 * (0.6 - 0.4 * 2.099 / 1.899) / 2.099,
        ),
        (CappedKelly(0.25, most=9, calibrate=lambda p: 0.5), at(DOLLARS, prob_up=0.9, stop_distance=0.02), 0),
        # an inverse long wins 1/50,000 - 1/62,500 and loses 1/40,000 - 1/50,000 coins: 0.8 to 1
        (CappedKelly(1.0, most=9, payoff=1.25), at(COINS, prob_up=0.6, stop_distance=0.2), 40_000),
    ],
)
def test_sizes_by_hand(rule, situation, size):
    assert rule.size(situation) == pytest.approx(size, rel=1e-4)


@pytest.mark.parametrize("prob_up", [0.5, 0.3, 0.0])
def test_kelly_without_an_edge_stakes_nothing(prob_up):
    assert CappedKelly().size(at(DOLLARS, prob_up=prob_up, stop_distance=0.02)) == 0


def test_kelly_without_a_probability_is_refused():
    with pytest.raises(ConfigError, match=r"CappedKelly sizes .* by the probability .* Use it where a model"):
        CappedKelly().size(at(DOLLARS, stop_distance=0.02))


def test_a_rule_must_be_an_object_and_a_cap_must_cap():
    with pytest.raises(ConfigError, match=r"sizing=<class .*RiskPerTrade'> must be an object with `size`"):
        recorded(table([CALM] * 3, [1] * 3), sizing=RiskPerTrade, stop_price_pct=0.02)
    with pytest.raises(ConfigError, match=r"Capped\(0.01\) cuts another rule. Give one: Capped\(RiskPerTrade"):
        Capped(0.01, notional=5)
    with pytest.raises(ConfigError, match=r"Capped without a cap cuts nothing. Give notional, open_multiple or"):
        Capped(FixedNotional(5))


def test_an_edge_that_costs_eat_is_none():
    assert CappedKelly().size(at(DOLLARS, prob_up=0.9, stop_distance=0.0005, slippage=0.0005)) == 0


def test_a_volatility_that_is_not_known_yet_is_no_size():
    assert VolatilityTarget().size(at(DOLLARS, bar_s=3600)) == 0
    assert CappedKelly().size(at(DOLLARS, prob_up=0.9, horizon=24)) == 0


def test_a_risk_without_a_stop_is_refused():
    with pytest.raises(ConfigError, match=r"RiskPerTrade sizes .* there is none. Give .* exits=\[StopLoss"):
        RiskPerTrade().size(DOLLARS)


# ---- caps


@pytest.mark.parametrize(
    ("caps", "situation", "size"),
    [
        ({"notional": 3_000}, DOLLARS, 30),
        ({"notional": 90_000}, DOLLARS, 100),
        # others hold 12,000 of the 15,000 that are allowed
        ({"open_multiple": 1.5}, at(DOLLARS, open_notional=12_000), 30),
        ({"open_multiple": 1.5}, at(DOLLARS, open_notional=20_000), 0),
        # what this data holds the other way will be closed first: 4,000 of the 12,000
        ({"open_multiple": 1.5}, at(DOLLARS, open_notional=12_000, size=-40, entry_price=100, free=6_000), 70),
        # others risk 100 of 200 dollars, and a coin loses 2
        ({"open_risk_pct": 0.02}, at(DOLLARS, open_risk=130, own_risk=30, stop_distance=0.02), 50),
        ({"open_risk_pct": 0.02}, at(DOLLARS, open_risk=300, stop_distance=0.02), 0),
        # without a stop a coin can lose its margin, a third of 100
        ({"open_risk_pct": 0.02}, DOLLARS, 6),
        ({"open_risk_pct": 0.02}, at(COINS, open_risk=0.02), 0.02 * 150_000),
        ({"notional": 4_000, "open_multiple": 0.3, "open_risk_pct": 0.01}, at(DOLLARS, stop_distance=0.02), 30),
    ],
)
def test_caps_leave_what_the_other_positions_leave(caps, situation, size):
    rule = FixedNotional(10_000 if situation.contract is LINEAR else 1.0)

    assert Capped(rule, **caps).size(situation) == pytest.approx(size)


def test_caps_may_be_put_around_caps():
    assert Capped(Capped(FixedNotional(9_000), notional=5_000), notional=2_000).size(DOLLARS) == 20


# ---- what the account bears


@pytest.mark.parametrize(
    ("changes", "balance"),
    [
        ({}, 10_000),
        ({"free": 4_000}, 4_000),
        ({"free": -10}, 0),
        ({"equity": -5}, 0),
        # 30 coins from 100 with a margin of 1,000 behind them, at 110
        ({"free": 9_000, "size": 30, "entry_price": 100, "price": 110, "equity": 10_300}, 10_300),
        ({"free": 9_000, "size": -30, "entry_price": 100, "price": 110, "equity": 9_700}, 9_700),
        # others have 5,000 of margin
        ({"free": 4_000, "size": 30, "entry_price": 100, "price": 110, "equity": 10_300}, 5_300),
        # an isolated position loses its margin and no more
        ({"free": 4_000, "size": 30, "entry_price": 100, "price": 10, "equity": 4_000}, 4_000),
    ],
)
def test_the_balance_for_a_new_position_is_what_closing_the_old_one_leaves(changes, balance):
    assert spendable(at(DOLLARS, **changes)) == pytest.approx(balance)


def test_margin_and_fee_fit_into_the_balance_but_for_a_hundredth():
    worth = largest_notional(at(DOLLARS, contract=Contract(taker_fee=0.001)))

    assert worth / 3 + worth * 0.001 == pytest.approx(9_900)


@pytest.mark.parametrize(
    ("terms", "size"),
    [
        ({"lot": 0.4}, 24.8),
        ({"min_size": 26.0}, 0),
        ({"min_notional": 2_501.0}, 0),
        # at 3x the venue allows no more than the floor of the tier for 2x
        ({"tiers": tiers_of([(0, 0.005, 5), (1_000, 0.01, 2)]), "max_leverage": 5}, 10),
        ({"notional_cap": 700.0}, 7),
    ],
)
def test_a_size_is_what_the_venue_takes(terms, size):
    contract = dataclasses.replace(LINEAR, **terms)

    assert size_within(2_500.0, at(DOLLARS, contract=contract)) == pytest.approx(size)


@pytest.mark.parametrize(("wanted", "price"), [(0, 100), (-5, 100), (math.nan, 100), (5, 0), (5, math.nan)])
def test_what_is_no_notional_or_no_price_is_no_size(wanted, price):
    assert size_within(wanted, at(DOLLARS, price=price)) == 0


TIERED = Contract(
    symbol="BTC", tiers=tiers_of([(0, 0.005, 20), (50_000, 0.01, 10)]), max_leverage=20, notional_cap=9e4
)


@pytest.mark.parametrize(
    ("worth", "margin", "leverage"), [(6_000, 2_000, 3), (500, 2_000, 1), (40_000, 2_000, 20), (60_000, 6_000, 10)]
)
def test_leverage_is_the_lowest_that_carries_a_notional(worth, margin, leverage):
    found = leverage_for(TIERED, worth, margin)

    assert found == leverage
    FuturesBroker(TIERED, leverage=found)


@pytest.mark.parametrize(
    ("worth", "margin", "stop", "message"),
    [
        (60_000, 5_000, 0.0, "60,000.00 USDT on a margin of 5,000.00 takes leverage 12, where BTC allows 10"),
        (4_100, 100, 0.0, "takes leverage 41, where BTC allows 20. Put more margin behind it"),
        (95_000, 95_000, 0.0, "95,000.00 USDT is above the 90,000.00 that BTC allows at any leverage"),
        (10_000, 1_000, 0.1, r"stop_price_pct=0.1 lies at or beyond liquidation, 0\.09\d\d .* at leverage 10"),
        (0, 5, 0.0, "a notional of 0 on a margin of 5 is no position. Give both above 0"),
    ],
)
def test_a_notional_that_no_leverage_carries_is_refused(worth, margin, stop, message):
    with pytest.raises(LeverageError, match=message):
        leverage_for(TIERED, worth, margin, stop)


@pytest.mark.parametrize(
    ("rule", "params", "message"),
    [
        (
            FixedNotional,
            {"notional": 0},
            "notional=0 must be above 0 and finite. It is money in the settlement coin",
        ),
        (FixedNotional, {"notional": math.inf}, "notional=inf must be above 0 and finite"),
        (FractionOfEquity, {"fraction": 1.5}, r"fraction=1.5 must be in \(0, 1\]"),
        (RiskPerTrade, {"equity_pct": 2}, r"equity_pct=2 must be in \(0, 1\]. .* 0.01 is 1 %"),
        (VolatilityTarget, {"yearly": 30}, r"yearly=30 must be in \(0, 10\]. .* 0.3 is 30 %"),
        (CappedKelly, {"kelly_share": 2}, r"kelly_share=2 must be in \(0, 1\]"),
        (CappedKelly, {"most": 0}, "most=0 must be above 0 and finite"),
        (CappedKelly, {"payoff": -1}, "payoff=-1 must be above 0"),
        (Capped, {"sizing": FixedNotional(1), "open_risk_pct": 0}, "open_risk_pct=0 must be above 0"),
    ],
)
def test_a_parameter_outside_its_range_is_answered_with_the_range(rule, params, message):
    with pytest.raises(ConfigError, match=message):
        rule(**params)


# ---- laws

situations = some.builds(
    Situation,
    side=some.sampled_from([1, -1]),
    price=some.floats(1e-4, 1e6),
    equity=some.floats(-10, 1e7),
    free=some.floats(-10, 1e7),
    leverage=some.floats(1, 100),
    slippage=some.floats(0, 0.01),
    volatility=some.floats(1e-5, 0.3),
    bar_s=some.sampled_from([60.0, 3600.0, 86_400.0]),
    stop_distance=some.floats(0.001, 0.5),
    prob_up=some.floats(0, 1),
    prob_down=some.floats(0, 1),
    open_notional=some.floats(0, 1e7),
    open_risk=some.floats(0, 1e6),
    contract=some.builds(
        Contract,
        kind=some.sampled_from(["linear", "inverse"]),
        taker_fee=some.floats(-0.001, 0.01),
        lot=some.sampled_from([0.0, 0.001, 1.0, 100.0]),
        min_size=some.sampled_from([0.0, 1.0]),
        min_notional=some.sampled_from([0.0, 5.0]),
        tiers=some.just(tiers_of([(0, 0.005, 100), (1e5, 0.01, 20), (1e6, 0.02, 5)])),
        notional_cap=some.just(5e6),
    ),
)
rules = some.one_of(
    some.builds(FixedNotional, some.floats(1, 1e9)),
    some.builds(FractionOfEquity, some.floats(0.01, 1)),
    some.builds(RiskPerTrade, some.floats(0.001, 1)),
    some.builds(VolatilityTarget, some.floats(0.01, 10)),
    some.builds(CappedKelly, some.floats(0.01, 1), some.floats(0.1, 1e3), some.floats(0.2, 5)),
)
capped = some.one_of(
    rules, some.builds(Capped, rules, some.floats(1, 1e6), some.floats(0.1, 10), some.floats(0.001, 1))
)


@given(rule=capped, situation=situations)
def test_no_size_exceeds_the_leverage_or_what_the_venue_allows(rule, situation):
    size = rule.size(situation)

    contract = situation.contract
    worth = notional(size, situation.price, contract.is_inverse)
    assert size >= 0
    assert worth <= situation.leverage * max(0.0, min(situation.equity, situation.free)) * (1 + 1e-6)
    assert worth <= contract.max_notional(situation.leverage) * (1 + 1e-6)
    assert size == 0 or size >= contract.min_size
    if contract.lot:
        assert size / contract.lot == pytest.approx(round(size / contract.lot), abs=1e-6)


@given(situation=situations, equity_pct=some.floats(0.001, 1))
def test_the_stop_costs_no_more_than_the_risk_with_its_fees(situation, equity_pct):
    size = RiskPerTrade(equity_pct).size(situation)

    assert -size * gain_of_move(situation, -situation.stop_distance) <= equity_pct * max(situation.equity, 0) * (
        1 + 1e-6
    )


@given(situation=situations, rule=rules, risk=some.floats(0.001, 0.5))
def test_all_stops_together_cost_no_more_than_the_cap(situation, rule, risk):
    size = Capped(rule, open_risk_pct=risk).size(situation)

    own = max(0.0, -size * gain_of_move(situation, -situation.stop_distance))
    assert size == 0 or situation.open_risk + own <= risk * situation.equity * (1 + 1e-6)


@given(situation=situations, move=some.floats(-0.5, 0.5))
def test_a_move_gains_what_the_account_books(situation, move):
    contract, price = situation.contract, situation.price
    left_at = price * (1 + situation.side * move)
    slipped = situation.slippage * (
        notional(1, price, contract.is_inverse) + notional(1, left_at, contract.is_inverse)
    )
    fees = contract.taker_fee * (
        notional(1, price, contract.is_inverse) + notional(1, left_at, contract.is_inverse)
    )

    gained = profit(situation.side, price, left_at, contract.is_inverse)

    assert gain_of_move(situation, move) == pytest.approx(gained - slipped - fees, rel=1e-9, abs=1e-12)


# ---- in the account


class Wish(SignalFutures):
    """Trades the data's column `wish`."""

    def __init__(self):
        self.signal = self.data.lines.wish


def table(bars, wish):
    index = pd.date_range("2025-01-01", periods=len(bars), freq="h", tz="UTC", name="open_time")
    frame = pd.DataFrame(np.array(bars, float), index=index, columns=["open", "high", "low", "close"])
    return frame.assign(volume=1.0, wish=np.array(wish, float))


def recorded(candles, strategy=Wish, broker=None, **params):
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(candles))
    cerebro.setbroker(broker or FuturesBroker(LINEAR, leverage=3))
    cerebro.addstrategy(strategy, **params)
    return run_record(lbt.run(cerebro))


CALM = (100, 100.5, 99.5, 100)


@pytest.mark.parametrize(
    ("wish", "contract", "cash", "dip", "size", "lost"),
    [
        # 1 % of 10,000 dollars is lost at the stop, 2 % away from 100
        (1, LINEAR, 10_000, (100, 100, 90, 95), 50, 100),
        (-1, LINEAR, 10_000, (100, 110, 100, 105), 50, 100),
        # 1 % of 2 coins: 0.02 / (1/98 - 1/100) and 0.02 / (1/100 - 1/102) dollars
        (1, INVERSE, 2, (100, 100, 90, 95), 98, 0.02),
        (-1, INVERSE, 2, (100, 110, 100, 105), 102, 0.02),
        # past the stop at the open: the gap is on top
        (1, LINEAR, 10_000, (95, 96, 90, 95), 50, 250),
    ],
)
def test_a_stop_loses_what_was_risked(wish, contract, cash, dip, size, lost):
    run = recorded(
        table([CALM, CALM, dip, CALM], [wish] * 4),
        broker=FuturesBroker(contract, leverage=3, cash=cash),
        sizing=RiskPerTrade(0.01),
        stop_price_pct=0.02,
    )

    trade = run.trades.iloc[0]
    assert trade["exit_reason"] == "stop"
    assert trade["size"] == pytest.approx(size)
    assert trade["net_profit"] == pytest.approx(-lost)


def test_a_turn_is_sized_by_what_closing_leaves():
    bars = [CALM, CALM, (110, 110, 110, 110), (110, 110, 110, 110)]

    run = recorded(
        table(bars, [1, 1, -1, -1]), sizing=FixedNotional(25_000), broker=FuturesBroker(LINEAR, leverage=3)
    )

    assert run.trades["size"].tolist() == pytest.approx([250, 25_000 / 110])


@given(
    seed=some.integers(0, 2**32),
    rule=some.sampled_from([FixedNotional(1e6), FractionOfEquity(1.0), RiskPerTrade(0.05), VolatilityTarget(9.0)]),
    kind=some.sampled_from(["linear", "inverse"]),
    leverage=some.sampled_from([1.0, 3.0, 10.0]),
)
@settings(max_examples=20)
def test_no_fill_leaves_more_than_the_leverage_and_no_stop_costs_more_than_the_risk(
    candles_of, seed, rule, kind, leverage
):
    candles = candles_of(400, seed)
    rng = np.random.default_rng(seed)
    candles["wish"] = np.repeat(rng.integers(-1, 2, 80), 5).astype(float)
    contract = Contract(kind=kind, taker_fee=0.001, maker_fee=0.001)

    run = recorded(candles, broker=FuturesBroker(contract, leverage=leverage), sizing=rule, stop_price_pct=0.03)

    filled = run.equity.index.searchsorted(run.trades["entry_time"])
    before = run.equity["equity"].shift(fill_value=run.totals.start_equity).to_numpy()[filled]
    inverse = kind == "inverse"
    worth = np.array(
        [notional(*each, inverse) for each in run.trades[["size", "entry_price"]].itertuples(index=False)]
    )
    assert len(run.trades) > 3
    assert (worth <= leverage * before * (1 + 1e-9)).all()
    if isinstance(rule, RiskPerTrade):  # these candles have no gaps
        assert (run.trades["net_profit"] >= -rule.equity_pct * before * (1 + 1e-9)).all()


def test_the_page_on_sizing_says_what_its_code_does():
    page = (Path(__file__).resolve().parents[1] / "docs" / "sizing.md").read_text(encoding="utf-8")
    named = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(block, named)

    assert len(run_record(named["strategy"]).trades) > 5
    assert named["leverage"] == 6.0
    assert round(named["size"], 2) == 47.64


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(limits).failed == 0
    assert doctest.testmod(sizing).failed == 0


def test_positions_of_two_datas_share_one_cap():
    cerebro = bt.Cerebro(stdstats=False)
    for name in ("one", "other"):
        cerebro.adddata(CandleFeed(table([CALM] * 6, [1] * 6), name=name))
    cerebro.setbroker(FuturesBroker(LINEAR, leverage=3))

    class Both(bt.Strategy):
        def start(self):
            rule = Capped(FractionOfEquity(0.4), open_multiple=2.0, open_risk_pct=0.03)
            self.desks = [Desk(self, sizing=rule, exits=[StopLoss(0.02)], data=data) for data in self.datas]

        def next(self):
            for number, desk in enumerate(self.desks):
                desk.observe()
                if len(self) == number + 1:
                    desk.enter(+1)

    cerebro.addstrategy(Both)
    run = cerebro.run()[0]

    # 3 * 0.4 of equity, then what is left of twice the equity, and of its 300 dollars of risk: 240 are at work
    assert [run.getposition(data).size for data in run.datas] == pytest.approx([120, 30])
