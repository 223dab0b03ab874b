"""What an entry has to get past: each rule on situations a person can check, and in a run."""

import math
from dataclasses import replace
from datetime import UTC, datetime

import backtrader as bt
import numpy as np
import pytest
from trading import Wish, account, candles, run

from lstm_backtrader.errors import ConfigError
from lstm_backtrader.futures.contract import Contract
from lstm_backtrader.strategies.confluence import Confluence, When
from lstm_backtrader.strategies.entries import (
    Cooldown,
    CostThreshold,
    Hysteresis,
    IntervalClear,
    LongOnly,
    MaxFunding,
    MaxSpread,
    MinProbability,
    Sessions,
    ShortOnly,
    round_trip_cost,
)
from lstm_backtrader.strategies.situation import Situation

FLAT = (100, 100, 100, 100)
NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)  # a Wednesday

LONG = Situation(
    moment=NOON,
    bar_s=3600.0,
    price=100.0,
    side=1,
    contract=Contract(taker_fee=0.0005),
    next_funding=datetime(2025, 1, 1, 16, tzinfo=UTC),
    forecast=0.5,
    prob_up=0.6,
    prob_down=0.4,
    spread=0.1,
    lo=0.05,
    hi=0.95,
    horizon=24,
    expected_return=0.002,
)
SHORT = replace(LONG, side=-1)


# ---- costs


def test_a_round_trip_costs_two_fees_slippage_twice_and_the_funding_in_between():
    slipping = replace(LONG, slippage=0.0002)
    funded = replace(LONG, funding_rate=0.0001)  # three stamps within 24 hours from 12:00: 16:00, 00:00, 08:00

    assert round_trip_cost(LONG) == pytest.approx(0.001)
    assert round_trip_cost(slipping) == pytest.approx(0.001 + 2 * 0.0002)
    assert round_trip_cost(funded) == pytest.approx(0.001 + 3 * 0.0001)
    assert round_trip_cost(replace(funded, side=-1)) == pytest.approx(0.001 - 3 * 0.0001)
    assert round_trip_cost(replace(funded, horizon=3)) == pytest.approx(0.001)  # over before the stamp
    assert round_trip_cost(replace(funded, horizon=4)) == pytest.approx(0.0011)


def test_an_expected_move_must_be_worth_a_multiple_of_its_costs():
    assert CostThreshold(2.0).refusal(LONG) is None  # 20 bp expected, 10 bp of costs
    assert CostThreshold(2.1).refusal(LONG) == "an expected 0.200% is less than 2.1 times the cost of 0.100%"
    assert CostThreshold(2.0).refusal(SHORT).startswith("an expected -0.200%")
    assert CostThreshold(2.0).refusal(replace(SHORT, expected_return=-0.002)) is None
    assert CostThreshold().refusal(replace(LONG, expected_return=math.nan)) == "the expected return is not known"


def test_income_from_funding_does_not_make_a_move_out_of_none():
    received = replace(SHORT, funding_rate=0.01, expected_return=0.0)

    assert CostThreshold().refusal(received) is not None


# ---- doubts about the forecast


@pytest.mark.parametrize(
    ("rule", "passes", "fails", "why"),
    [
        (MinProbability(0.6), LONG, SHORT, "a probability of 0.400 is below 0.6"),
        (MaxSpread(0.1), LONG, replace(LONG, spread=0.2), "the nets differ by 0.2, more than 0.1"),
        (IntervalClear(), LONG, replace(LONG, lo=-0.05), "the interval -0.05 to 0.95 holds zero"),
        (IntervalClear(), replace(SHORT, lo=-0.9, hi=-0.1), SHORT, "the interval 0.05 to 0.95 holds zero"),
        (Hysteresis(0.5, 0.1), LONG, SHORT, "a forecast of -0.5 for the side is below 0.5"),
        (LongOnly(), LONG, SHORT, "long only"),
        (ShortOnly(), SHORT, LONG, "short only"),
        (
            MaxFunding(0.0001),
            replace(LONG, funding_rate=0.0001),
            replace(LONG, funding_rate=0.0002),
            "0.0200% a st",
        ),
        (
            MaxFunding(-0.0001),
            replace(SHORT, funding_rate=0.0002),
            replace(SHORT, funding_rate=-0.001),
            "it pays 0.1000%",
        ),
        (MaxFunding(0.0), LONG, replace(LONG, funding_rate=0.0001), "it pays"),
        (
            Sessions(hours=(12,)),
            LONG,
            replace(LONG, moment=datetime(2025, 1, 1, 13, tzinfo=UTC)),
            "13:00 UTC is outside",
        ),
        (
            Sessions(weekdays=(2,)),
            LONG,
            replace(LONG, moment=datetime(2025, 1, 4, tzinfo=UTC)),
            "Saturday is outside",
        ),
        (
            Sessions(hours=range(8, 20)),
            LONG,
            replace(LONG, moment=datetime(2025, 1, 1, 20, tzinfo=UTC)),
            "20:00 UTC",
        ),
        (
            Cooldown(5),
            replace(LONG, bars_since_exit=5),
            replace(LONG, bars_since_exit=4),
            "the last exit was 4 bars ago",
        ),
        (
            Cooldown(after_loss=9),
            replace(LONG, bars_since_exit=0),
            replace(LONG, bars_since_loss=8),
            "the last loss was 8",
        ),
    ],
)
def test_a_rule_lets_in_or_says_why_not(rule, passes, fails, why):
    assert rule.refusal(passes) is None
    assert why in rule.refusal(fails)


@pytest.mark.parametrize("rule", [MinProbability(0.5), MaxSpread(1.0), IntervalClear(), Hysteresis(0.1, 0.0)])
def test_what_the_model_does_not_say_lets_nothing_in(rule):
    unknown = Situation(side=1)

    assert rule.refusal(unknown)
    assert rule.refusal(replace(unknown, side=-1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CostThreshold(0.0), "cost_multiple=0.0 must be above 0"),
        (lambda: MinProbability(55), r"min_probability=55 must be in \(0, 1\). 0.55 is 55 %"),
        (lambda: MaxSpread(0.0), "max_spread=0.0 must be above 0"),
        (lambda: Hysteresis(0.1, 0.2), "leave=0.2 must not be above enter=0.1"),
        (lambda: Cooldown(1.5), "cooldown_bars=1.5 must be a whole number of bars"),
        (lambda: Sessions(hours=(24,)), "hours holds 24. Use whole numbers from 0 to 23"),
        (lambda: Sessions(weekdays=(7,)), "weekdays holds 7. Use whole numbers from 0 to 6"),
        (lambda: MaxFunding(1.0), r"max_funding_rate=1.0 must be in \(-1, 1\)"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


# ---- in a run


def entered_at(run_):
    """Opens of the bars in which positions were entered."""
    return [price for reason, price in run_.fills if reason == "signal"]


def rising(n):
    return [(100 + i,) * 4 for i in range(n)]


def test_a_cooldown_counts_from_the_bar_of_the_exit():
    table = candles(rising(10), [1, 0, 1, 1, 1, 1, 1, 1, 1, 1])

    # entered at 101, closed at 102; the third close after that of 102 is that of 105
    assert entered_at(run(table, entries=[Cooldown(3)]))[::2] == [101, 106]
    assert entered_at(run(table, cooldown_bars=3))[::2] == [101, 106]


def test_sessions_look_at_the_open_that_would_be_traded():
    assert entered_at(run(candles(rising(12), 1), entries=[Sessions(hours=(7,))])) == [107]
    assert entered_at(run(candles(rising(12), 1), hours=range(7, 9))) == [107]


def test_a_funding_rate_that_was_settled_keeps_positions_out_until_the_next():
    rates = np.full(24, np.nan)
    rates[[0, 8]] = 0.001, 0.0001
    table = candles(rising(24), 1, funding_rate=rates)

    assert entered_at(run(table, max_funding_rate=0.0005)) == [109]  # known at the close of 108


def test_hysteresis_holds_from_a_large_forecast_to_a_small_one():
    said = np.array([0.2, 0.6, 0.3, 0.2, 0.05, 0.3, 0.2, -0.6, -0.2, 0.0])

    class Forecasting(bt.Indicator):
        lines = ("forecast", "prob_up")

        def next(self):
            self.l.forecast[0] = self.data.wish[0]

    class Following(Wish):
        def __init__(self):
            super().__init__()
            self.forecast = Forecasting(self.data)

    rule = Hysteresis(enter=0.5, leave=0.1)
    run_ = run(candles(rising(10), said), Following, entries=[rule], exits=[rule], leave_on="never")

    # in at 102 on 0.6, out at 105 on 0.05; short at 108 on -0.6, out at the end
    assert [(reason, round(price)) for reason, price in run_.fills] == [
        ("signal", 102),
        ("faded", 105),
        ("signal", 108),
    ]
    assert run_.desk.held == -1


# ---- technical confluence


def test_any_indicator_filters_entries_in_one_line():
    prices = [100, 99, 98, 97, 98, 99, 100, 101, 102, 103]
    table = candles([(price,) * 4 for price in prices], 1)

    run_ = run(table, entries=[Confluence(lambda data: data.close - bt.ind.SMA(data, period=3))])

    # the close is above its average of three from 98 (97.33) on, so the open after, 99, is bought
    assert run_.fills == [("signal", 99)]


def test_confluence_asks_for_the_other_sign_of_a_short():
    table = candles(rising(8), -1)

    run_ = run(table, entries=[Confluence(lambda data: data.close - bt.ind.SMA(data, period=3), name="trend")])

    assert run_.fills == []
    assert run_.desk.refusals == {"trend": 6}  # from the third bar on, when there is an average


@pytest.mark.parametrize("side", [+1, -1])
def test_a_condition_serves_both_sides(side):
    table = candles(rising(8), side)

    run_ = run(table, entries=[When(lambda data: bt.ind.SMA(data, period=2) > 103)])

    assert entered_at(run_) == [105]  # (103 + 104) / 2 is the first


def test_a_line_that_is_there_already_may_be_given():
    class Own(Wish):
        def __init__(self):
            super().__init__()
            self.rule = When(bt.ind.SMA(self.data, period=2) > 103)

        def own_entries(self):
            return [*super().own_entries(), self.rule]

    assert entered_at(run(candles(rising(8), 1), Own)) == [105]


def test_nan_lets_nothing_in():
    level = np.full(5, np.nan)

    assert run(candles([FLAT] * 5, 1, level=level), entries=[Confluence(lambda data: data.level)]).fills == []
    assert run(candles([FLAT] * 5, 1, level=level), entries=[When(lambda data: data.level)]).fills == []


@pytest.mark.parametrize("modes", [{"runonce": False}, {"preload": False}, {"exactbars": 1}])
def test_filters_say_the_same_in_every_mode(modes, candles_of):
    table = candles_of(300).assign(wish=np.sign(np.sin(np.arange(300) / 5)))
    rules = {"entries": [Confluence(lambda data: bt.ind.RSI(data) - 50), When(lambda data: bt.ind.ATR(data) > 1)]}

    usual = run(table, broker=account(cash=1e6), **rules)

    assert len(usual.fills) > 10
    assert run(table, broker=account(cash=1e6), modes=modes, **rules).fills == usual.fills
