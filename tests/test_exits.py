"""Every exit in a table of bars whose fill a person can check: long and short, linear and inverse."""

import backtrader as bt
import numpy as np
import pytest
from trading import CALM, account, candles, run

from lstm_backtrader.errors import ConfigError, LeverageError
from lstm_backtrader.futures.contract import Contract
from lstm_backtrader.strategies.desk import Desk
from lstm_backtrader.strategies.exits import BreakEven, StopLoss, TakeProfit, TrailingStop
from lstm_backtrader.strategies.line_exits import AtrStop, LineStop
from lstm_backtrader.strategies.timed_exits import BeforeFunding, SignalFlip, TimeLimit

FLAT = (100, 100, 100, 100)

both_kinds = pytest.mark.parametrize("kind", ["linear", "inverse"])


def exits_of(bars, wish, rules, kind="linear", **params):
    """(reason, price) of what ended the position that was entered at the open of bar 1."""
    run_ = run(candles(bars, wish), broker=account(kind), exits=rules, fraction=0.3, **params)
    assert run_.fills[0][0] == "signal"
    assert run_.broker.get_orders_open() == [] or run_.desk.held
    return [(reason, pytest.approx(price)) for reason, price in run_.fills[1:]]


# ---- orders at the broker


@both_kinds
@pytest.mark.parametrize(
    ("side", "bar", "price"),
    [
        (+1, (100, 101, 97, 100), 98),  # met on the way down, although the bar closes where it opened
        (-1, (100, 103, 99, 100), 102),
        (+1, (95, 96, 94, 95), 95),  # a gap fills at the open: worse than the stop
        (-1, (106, 107, 105, 106), 106),
    ],
)
def test_a_stop_is_met_inside_the_bar_and_a_gap_costs_more(kind, side, bar, price):
    assert exits_of([CALM, FLAT, bar, CALM], side, [StopLoss(stop_price_pct=0.02)], kind) == [("stop", price)]


@both_kinds
@pytest.mark.parametrize(("side", "bar", "price"), [(+1, (100, 104, 98, 99), 103), (-1, (100, 102, 96, 101), 97)])
def test_a_target_is_met_inside_the_bar(kind, side, bar, price):
    assert exits_of([CALM, FLAT, bar, CALM], side, [TakeProfit(0.03)], kind) == [("take_profit", price)]


@pytest.mark.parametrize(
    ("kind", "side", "stop"),
    [
        ("linear", +1, 100 * (1 - 0.06 / 3)),  # 6 % of the margin at 3x are 2 % of the price
        ("linear", -1, 100 * (1 + 0.06 / 3)),
        ("inverse", +1, 100 / (1 + 0.06 / 3)),  # where 1 / price has moved by 2 %
        ("inverse", -1, 100 / (1 - 0.06 / 3)),
    ],
)
def test_a_stop_in_units_of_margin_loses_that_part_of_it(kind, side, stop):
    table = candles([CALM, FLAT, (100, 110, 90, 100), CALM], side)

    run_ = run(table, broker=account(kind), exits=[StopLoss(stop_margin_pct=0.06)], fraction=0.3)

    assert run_.fills[1] == ("stop", pytest.approx(stop))
    margin = 0.3 * run_.broker.startingcash
    assert run_.broker.startingcash - run_.broker.getvalue() == pytest.approx(0.06 * margin)


@pytest.mark.parametrize(
    ("kind", "side", "target"),
    [("linear", +1, 105), ("linear", -1, 95), ("inverse", +1, 100 / 0.95), ("inverse", -1, 100 / 1.05)],
)
def test_a_target_in_units_of_margin_gains_that_part_of_it(kind, side, target):
    bars = [CALM, FLAT, (100, 115, 85, 100), CALM]

    found = exits_of(bars, side, [TakeProfit(take_profit_margin_pct=0.15)], kind)

    assert found == [("take_profit", target)]


@both_kinds
@pytest.mark.parametrize(
    ("side", "bars", "price"),
    [
        (+1, [(100, 110, 100, 108), (108, 108, 100, 101)], 110 * 0.95),
        (-1, [(100, 100, 90, 92), (92, 100, 92, 99)], 90 * 1.05),
    ],
)
def test_a_trailing_stop_keeps_its_distance_from_the_best_price(kind, side, bars, price):
    found = exits_of([CALM, FLAT, *bars, CALM], side, [TrailingStop(0.05)], kind)

    assert found == [("trailing", price)]


@both_kinds
@pytest.mark.parametrize(
    ("side", "bars", "price"),
    [
        # 102 and back would have met a trailing stop of 1 %; it begins at 104 only, and follows from there
        (+1, [(100, 102, 100, 100.5), (103, 104, 103, 103.5), (103.5, 105, 101, 101)], 105 * 0.99),
        (-1, [(100, 100, 98, 99.5), (96.9, 96.9, 96, 96.5), (96.5, 99, 95, 99)], 95 * 1.01),
    ],
)
def test_a_trailing_stop_with_activation_sleeps_until_the_profit_is_there(kind, side, bars, price):
    # the third bar's worse extreme comes first, so the stop is that of the second bar's best price
    pulled = 104 * 0.99 if side > 0 else 96 * 1.01

    found = exits_of([CALM, FLAT, *bars, CALM], side, [TrailingStop(0.01, activation_price_pct=0.04)], kind)

    assert found == [("trailing", pulled)]
    optimistic = run(
        candles([CALM, FLAT, *bars, CALM], side),
        broker=account(kind, intrabar="optimistic"),
        exits=[TrailingStop(0.01, activation_price_pct=0.04)],
        fraction=0.3,
    )
    assert optimistic.fills[1] == ("trailing", pytest.approx(price))


@both_kinds
@pytest.mark.parametrize(
    ("side", "bar", "price"), [(+1, (100, 105, 99.5, 102), 105 * 0.99), (-1, (100, 100.5, 95, 98), 95 * 1.01)]
)
def test_activation_and_stop_may_both_lie_in_one_bar(kind, side, bar, price):
    # pessimistic: the worse extreme comes first, the better one then wakes the stop, and the close is 1 % behind it
    found = exits_of([CALM, FLAT, bar, CALM], side, [TrailingStop(0.01, 0.04)], kind)

    assert found == [("trailing", price)]


@both_kinds
@pytest.mark.parametrize(
    ("side", "bars"),
    [
        (+1, [(100, 102.9, 99, 101), (101, 103, 101, 102), (102, 102, 97, 98)]),
        (-1, [(100, 101, 97.1, 99), (99, 99, 97, 98), (98, 103, 98, 102)]),
    ],
)
def test_break_even_is_a_stop_at_the_fill_once_the_profit_was_there(kind, side, bars):
    # the first bar passes 100 again, but had not been 3 % beyond it
    found = exits_of([CALM, FLAT, *bars, CALM], side, [BreakEven(0.03), StopLoss(0.1)], kind)

    assert found == [("break_even", 100)]


@both_kinds
@pytest.mark.parametrize(("side", "price"), [(+1, 100.2), (-1, 99.8)])
def test_break_even_may_lock_in_the_fees(kind, side, price):
    bars = [(100, 104, 96, 100 + 2 * side), (100 + 2 * side, 105, 95, 100)]

    found = exits_of([CALM, FLAT, *bars, CALM], side, [BreakEven(0.03, lock_price_pct=0.002)], kind)

    assert found == [("break_even", price)]


@both_kinds
@pytest.mark.parametrize(
    ("side", "bars", "prices"),
    [
        (+1, [(100, 102.5, 100, 102), (102, 105, 102, 104), (104, 104, 95, 96)], [102, 104, 97]),
        (-1, [(100, 100, 97.5, 98), (98, 98, 95, 96), (96, 105, 96, 104)], [98, 96, 103]),
    ],
)
def test_parts_are_taken_at_their_levels_and_the_stop_ends_the_rest(kind, side, bars, prices):
    rules = [TakeProfit(0.02, share=0.5), TakeProfit(0.04, share=0.25), StopLoss(0.03)]

    run_ = run(candles([CALM, FLAT, *bars, CALM], side), broker=account(kind), exits=rules, fraction=0.3)

    reasons = ["take_profit", "take_profit", "stop"]
    assert run_.fills[1:] == [(reason, pytest.approx(price)) for reason, price in zip(reasons, prices, strict=True)]
    shares = [-size / run_.sizes[0] for size in run_.sizes[1:]]
    assert shares == pytest.approx([0.5, 0.25, 0.25])
    assert run_.desk.held == 0
    assert run_.broker.get_orders_open() == []
    assert ("stop", "Completed") in run_.ended  # it shrank with the position


def test_the_last_part_takes_the_stop_back():
    bars = [CALM, FLAT, (100, 105, 100, 104), (104, 104, 90, 90), CALM]

    run_ = run(candles(bars, 1), exits=[TakeProfit(0.02, share=0.5), TakeProfit(0.04, share=0.5), StopLoss(0.03)])

    assert [reason for reason, _ in run_.fills] == ["signal", "take_profit", "take_profit"]
    assert ("stop", "Canceled") in run_.ended


def test_a_part_below_a_lot_is_left_to_the_other_exits():
    broker = account(contract=Contract(lot=5.0, taker_fee=0.0, maker_fee=0.0))

    run_ = run(candles([CALM, FLAT, (100, 110, 90, 100)], 1), broker=broker, exits=[TakeProfit(0.02, share=0.1)])

    assert run_.fills == [("signal", 100)]


# ---- stops at lines


@both_kinds
@pytest.mark.parametrize(("side", "price"), [(+1, 94), (-1, 106)])
def test_an_atr_stop_lies_so_many_true_ranges_from_the_fill(kind, side, price):
    # every bar before has a range of 2, so does the average
    bars = [CALM] * 6 + [FLAT, (100, 107, 93, 100), CALM]
    wish = [0] * 5 + [side] * 4

    found = exits_of(bars, wish, [AtrStop(3.0, period=5)], kind)

    assert found == [("atr_stop", price)]


@both_kinds
@pytest.mark.parametrize(("side", "price"), [(+1, 106), (-1, 94)])
def test_an_atr_stop_that_follows_comes_nearer_and_never_goes_back(kind, side, price):
    step = [(100 + side * n, 101 + side * n, 99 + side * n, 100 + side * n) for n in range(1, 11)]
    # after ten steps of one, with true ranges of 2, the close is at 110 (90) and the stop 4 behind
    bars = [CALM] * 6 + step + [(step[-1][3], 111, 89, 100)]

    found = exits_of(bars, [0] * 5 + [side] * 12, [AtrStop(2.0, period=5, follows=True)], kind)

    assert found == [("atr_stop", price)]


@both_kinds
@pytest.mark.parametrize(("side", "price"), [(+1, 97), (-1, 103)])
def test_a_stop_at_a_line_lies_where_the_line_was_when_the_position_was_entered(kind, side, price):
    lowest, highest = (
        (lambda data: bt.ind.Lowest(data.low, period=3)),
        (lambda data: bt.ind.Highest(data.high, period=3)),
    )
    bars = [(100, 103, 97, 100), FLAT, FLAT, (100, 100.5, 99.5, 100), (100, 105, 95, 100), FLAT]

    found = exits_of(bars, [0, 0, side, side, side, side], [LineStop(below=lowest, above=highest)], kind)

    assert found == [("line_stop", price)]


@both_kinds
@pytest.mark.parametrize(
    ("side", "level", "followed", "first"),
    [(+1, [90, 90, 95, 94, 94, 94, 94], 95, 90), (-1, [110, 110, 105, 106, 106, 106, 106], 105, 110)],
)
def test_a_stop_at_a_line_that_follows_moves_with_it_but_not_back(kind, side, level, followed, first):
    bars = [FLAT, FLAT, FLAT, FLAT, FLAT, (100, 110, 90, 100), FLAT]

    table = candles(bars, [0] + [side] * 6, level=np.array(level, float))
    moved = LineStop(lambda data: data.level, follows=True, name="invalidation")
    follows = run(table, broker=account(kind), exits=[moved])
    stays = run(table, broker=account(kind), exits=[LineStop(lambda data: data.level)])

    assert follows.fills[1] == ("invalidation", followed)
    assert stays.fills[1] == ("line_stop", first)


@pytest.mark.parametrize(
    ("level", "why"),
    [(np.nan, "the line of the stop has no value"), (101.0, "lies on the wrong side of the price 100")],
)
def test_without_a_line_on_the_right_side_nothing_is_entered(level, why, caplog):
    caplog.set_level("INFO")

    run_ = run(candles([FLAT] * 4, 1, level=level), exits=[LineStop(lambda data: data.level)])

    assert run_.fills == []
    assert why in caplog.text
    assert run_.desk.refusals == {"line_stop": 4}


# ---- exits that leave at the next open


@both_kinds
@pytest.mark.parametrize("side", [+1, -1])
def test_a_time_limit_leaves_at_the_open_so_many_bars_on(kind, side):
    bars = [CALM] * 4 + [(101, 101, 101, 101), (102, 102, 102, 102), CALM]

    # entered at the open of bar 1, so three bars on is the open of bar 4
    assert exits_of(bars, side, [TimeLimit(3)], kind) == [("time_limit", 101)]


def test_a_position_is_entered_anew_after_a_time_limit_only_if_asked_to():
    table = candles([FLAT] * 9, 1)

    waits = run(table, exits=[TimeLimit(2)])
    again = run(table, exits=[TimeLimit(2)], reenter=True)

    assert [reason for reason, _ in waits.fills] == ["signal", "time_limit"]
    assert [reason for reason, _ in again.fills] == ["signal", "time_limit", "signal", "time_limit", "signal"]


@pytest.mark.parametrize(
    ("leave_on", "fills"),
    [
        ("flat", 5),  # in, out, in, then out and in at the turn
        ("flip", 3),  # in, then out and in
        ("never", 1),
    ],
)
def test_what_of_the_signal_ends_a_position_is_a_parameter(leave_on, fills):
    run_ = run(candles([FLAT] * 6, [1, 0, 1, -1, -1, -1]), leave_on=leave_on)

    assert len(run_.fills) == fills
    assert run_.desk.held == (1 if leave_on == "never" else -1)


@both_kinds
@pytest.mark.parametrize("side", [+1, -1])
@pytest.mark.parametrize(("on_flat", "bar"), [(True, 2), (False, 4)])
def test_a_signal_flip_is_a_rule_of_its_own(kind, side, on_flat, bar):
    bars = [FLAT] + [(100 + n, 100 + n, 100 + n, 100 + n) for n in range(1, 6)]
    wish = [side, 0, 0, -side, 0, 0]

    found = exits_of(bars, wish, [SignalFlip(on_flat=on_flat)], kind, leave_on="never")

    assert found[0] == ("signal", 100 + bar)


@both_kinds
@pytest.mark.parametrize(("side", "rate"), [(+1, 0.0005), (-1, -0.0005)])
def test_a_position_that_would_pay_is_left_a_bar_before_the_stamp(kind, side, rate):
    rates = np.full(20, np.nan)
    rates[[0, 8, 16]] = rate
    bars = [(100 + n / 10,) * 4 for n in range(20)]

    table = candles(bars, side, funding_rate=rates)
    run_ = run(table, broker=account(kind), exits=[BeforeFunding()], fraction=0.3)

    # the bar of 08:00 settles what it opens with, so the position is closed at 07:00
    assert run_.fills == [("signal", 100.1), ("funding", pytest.approx(100.7))]
    assert run_.broker.ledger.funding == 0


@pytest.mark.parametrize(("side", "rate", "most"), [(-1, 0.0005, 0.0), (+1, 0.0005, 0.001), (+1, np.nan, 0.0)])
def test_a_position_that_receives_pays_little_or_knows_no_rate_stays(side, rate, most):
    rates = np.full(20, np.nan)
    rates[[0, 8, 16]] = rate

    run_ = run(candles([FLAT] * 20, side, funding_rate=rates), exits=[BeforeFunding(most)], fraction=0.3)

    assert [reason for reason, _ in run_.fills] == ["signal"]


def test_bars_as_long_as_the_interval_of_funding_are_refused():
    table = candles([FLAT] * 4, 1, funding_rate=0.001)
    table.index = table.index[0] + (table.index - table.index[0]) * 8

    with pytest.raises(ConfigError, match="bars of 28800 s hold a funding stamp each"):
        run(table, exits=[BeforeFunding()])


# ---- what is refused


def test_a_stop_beyond_liquidation_is_refused_in_either_unit():
    table = candles([CALM] * 3, 1)

    with pytest.raises(LeverageError, match=r"the stop 0.33 of the price .* beyond liquidation, 0\.3\d+ from it"):
        run(table, exits=[StopLoss(0.33)])
    with pytest.raises(LeverageError, match=r"the stop 0\.\d+ of the price .* beyond liquidation"):
        run(table, exits=[StopLoss(stop_margin_pct=0.99)])
    run(table, exits=[TrailingStop(0.9, activation_price_pct=0.1)])  # it is no protection before it wakes


@pytest.mark.parametrize(("margin_mode", "level"), [("isolated", 67.0017), ("cross", 66.6633)])
def test_a_stop_at_a_line_beyond_liquidation_keeps_the_position_out(margin_mode, level, caplog):
    caplog.set_level("INFO")
    rule = LineStop(lambda data: data.level)

    run_ = run(
        candles([FLAT] * 3, 1, level=60.0), broker=account(margin_mode=margin_mode), exits=[rule], fraction=1
    )

    assert run_.fills == []
    assert f"line_stop at 60 lies beyond liquidation at {level}. Use less leverage" in caplog.text


def test_an_account_that_backs_a_position_with_all_of_it_bears_a_wider_stop():
    broker = account(margin_mode="cross")

    run_ = run(
        candles([FLAT] * 3, 1, level=60.0), broker=broker, exits=[LineStop(lambda data: data.level)], fraction=0.3
    )

    assert run_.fills == [("signal", 100)]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StopLoss(1.5), r"stop_price_pct=1.5 must be in \(0, 1\). .* 0.02 is 2 %"),
        (lambda: StopLoss(), "StopLoss takes either stop_price_pct or stop_margin_pct, was given none"),
        (lambda: StopLoss(0.1, 0.1), "was given stop_price_pct=0.1 and stop_margin_pct=0.1"),
        (lambda: StopLoss(stop_margin_pct=1.0), r"stop_margin_pct=1.0 must be in \(0, 1\)"),
        (lambda: TakeProfit(take_profit_margin_pct=-1.0), "take_profit_margin_pct=-1.0 must be above 0"),
        (lambda: TakeProfit(0.1, share=1.5), r"share=1.5 must be in \(0, 1\]"),
        (lambda: TrailingStop(0.0), "trailing_price_pct=0.0 must be"),
        (lambda: TrailingStop(0.1, 2.0), "activation_price_pct=2.0 must be"),
        (
            lambda: BreakEven(0.01, 0.02),
            "lock_price_pct=0.02 must be 0 or more and below break_even_price_pct=0.01",
        ),
        (lambda: AtrStop(-1.0), "atr_stop=-1.0 must be above 0"),
        (lambda: AtrStop(1.0, period=0), "period=0 must be a whole number of bars"),
        (lambda: LineStop(), "LineStop takes either line, or below and above"),
        (lambda: TimeLimit(0), "time_limit_bars=0 must be a whole number of bars"),
        (lambda: BeforeFunding(2.0), r"max_funding_rate=2.0 must be in \(-1, 1\)"),
    ],
)
def test_an_exit_that_cannot_be_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize(
    ("rule", "name"), [(BreakEven(0.02), "BreakEven"), (TakeProfit(0.02, share=0.5), "TakeProfit")]
)
def test_backtraders_own_broker_has_no_orders_for_some_exits(rule, name):
    with pytest.raises(
        ConfigError, match=f"{name} needs orders that BackBroker does not have. Use cerebro.setbroker"
    ):
        run(candles([FLAT] * 3, 1), broker=bt.brokers.BackBroker(), exits=[rule])


# ---- in a strategy of one's own, and in every mode


def test_exits_serve_a_strategy_of_ones_own():
    class Tenth:
        def size(self, situation):
            return 0.1 * situation.equity / situation.price

    class Mine(bt.Strategy):
        def __init__(self):
            self.atr_stop = AtrStop(2.0, period=3).bind(self.data)
            self.reasons = []

        def start(self):
            self.desk = Desk(self, sizing=Tenth(), exits=[self.atr_stop, TimeLimit(4)])

        def prenext(self):
            self.desk.observe()

        def next(self):
            self.desk.observe()
            reason = self.desk.reason_to_leave(+1)
            if reason:
                self.desk.leave(reason)
            elif not self.position:
                self.desk.enter(+1)

        def notify_order(self, order):
            if order.status == order.Completed:
                self.reasons.append(order.info.reason)

    bars = [CALM] * 6 + [(100, 100, 90, 95)] + [(95, 96, 94, 95)] * 6

    assert run(candles(bars, 0), Mine).reasons == ["signal", "atr_stop", "signal", "time_limit", "signal"]


@pytest.mark.parametrize("modes", [{"runonce": False}, {"preload": False}, {"exactbars": 1}])
def test_rules_on_lines_do_the_same_in_every_mode(modes, candles_of):
    table = candles_of(300).assign(wish=np.sign(np.sin(np.arange(300) / 7)))
    rules = [AtrStop(2.0, follows=True), BreakEven(0.01), TimeLimit(9)]

    usual = run(table, exits=rules, reenter=True)
    other = run(table, exits=rules, reenter=True, modes=modes)

    assert len(usual.fills) > 30
    assert other.fills == usual.fills
