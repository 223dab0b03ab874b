"""The desk: it asks entries, exits, sizing and guards, and tells them what the run knows. No network, no torch."""

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from lstm_backtrader.candles import Bars
from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.forecast.price_features import volatility
from lstm_backtrader.futures.broker import FuturesBroker
from lstm_backtrader.strategies.desk import Desk, Halt
from lstm_backtrader.strategies.exits import StopLoss, TakeProfit, TrailingStop
from lstm_backtrader.strategies.guards import MaxDrawdown
from lstm_backtrader.strategies.signal_futures import SignalFutures

CALM = (100, 101, 99, 100)


class Wish(SignalFutures):
    """Trades the data's column `wish`, and keeps what filled."""

    def __init__(self):
        self.signal = self.data.lines.wish
        self.fills = []

    def notify_order(self, order):
        super().notify_order(order)
        if order.status == order.Completed:
            self.fills.append((order.info.reason, order.executed.size, order.executed.price))


def candles(bars, wish, **columns):
    index = pd.date_range("2025-01-01", periods=len(bars), freq="h", tz="UTC", name="open_time")
    table = pd.DataFrame(np.array(bars, float), index=index, columns=["open", "high", "low", "close"])
    return table.assign(volume=1.0, wish=np.array(wish, float), **columns)


def run(table, strategy=Wish, broker=None, **params):
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(table))
    cerebro.setbroker(broker or FuturesBroker(leverage=3, cash=1_000.0, taker_fee=0.0, maker_fee=0.0))
    cerebro.addstrategy(strategy, **params)
    return cerebro.run()[0]


@dataclass(frozen=True)
class Seen:
    """A rule of every kind that keeps the situations it is asked about."""

    situations: list = field(default_factory=list)

    def refusal(self, situation):
        self.situations.append(situation)

    def size(self, situation):
        self.situations.append(situation)
        return 2.0


# ---- the four kinds of rules


def test_an_entry_rule_refuses_until_it_no_longer_does():
    class NotBefore:
        def refusal(self, situation):
            return None if situation.moment >= datetime(2025, 1, 1, 3, tzinfo=UTC) else "too early"

    run_ = run(candles([CALM] * 5, [1] * 5), entries=[NotBefore()], fraction=0.5)

    assert [size for _, size, _ in run_.fills] == [15]
    assert run_.desk.entry.executed.dt == run_.data.datetime.array[3]  # the bar that opens at 03:00


def test_an_exit_rule_leaves_at_the_next_open_and_gives_its_reason():
    class After:
        def orders(self, situation):
            return ()

        def leaves(self, situation):
            return "two_bars" if situation.bars_held == 2 else None

    bars = [CALM, CALM, CALM, (103, 103, 103, 103), CALM]

    assert run(candles(bars, [1] * 5), exits=[After()], fraction=0.5).fills == [
        ("signal", 15, 100),
        ("two_bars", -15, 103),
    ]


def test_a_sizing_rule_is_told_the_distance_of_the_nearest_stop():
    rule = Seen()

    run_ = run(candles([CALM] * 3, [-1] * 3), sizing=rule, exits=[StopLoss(0.04), TrailingStop(0.03)])

    assert [size for _, size, _ in run_.fills] == [-2]
    assert rule.situations[0].stop_distance == pytest.approx(0.03)
    assert rule.situations[0].side == -1


def test_a_size_of_zero_enters_nothing_and_says_so(caplog):
    class Nothing:
        def size(self, situation):
            return 0.0

    caplog.set_level(logging.INFO)

    assert run(candles([CALM] * 3, [1] * 3), sizing=Nothing()).fills == []
    assert "no entry, by nothing: equity 1000.0 is too small at price 100.0" in caplog.text


@dataclass(frozen=True)
class LowPrice:
    flattens: bool = True

    def halt(self, situation):
        return f"the price is {situation.price:g}" if situation.price < 95 else None


LOW = (94, 94, 94, 94)


def test_a_guard_closes_the_position_and_lets_it_in_again_when_it_is_satisfied(caplog):
    caplog.set_level(logging.INFO)

    run_ = run(candles([CALM, CALM, LOW, LOW, CALM, CALM], [1] * 6), guards=[LowPrice()], fraction=0.3)

    assert [reason for reason, _, _ in run_.fills] == ["signal", "low_price", "signal"]
    assert run_.halts == [Halt(datetime(2025, 1, 1, 3, tzinfo=UTC), "low_price", "the price is 94")]
    assert "low_price stops trading: the price is 94" in caplog.text
    assert "low_price lets trading go on" in caplog.text


def test_a_guard_that_does_not_flatten_only_keeps_new_positions_out():
    table = candles([CALM, CALM, LOW, LOW, CALM, CALM], [1, 1, 1, -1, -1, -1])

    run_ = run(table, guards=[LowPrice(flattens=False)], fraction=0.3)

    assert [round(size) for _, size, _ in run_.fills] == [9, -9, -9]
    assert run_.fills[1][2] == 100  # left when the signal turned, entered the other way when the guard allowed


# ---- what a rule is told


def situations(table, **options):
    rule = Seen()

    class Asking(Wish):
        def next(self):
            super().next()
            rule.refusal(self.desk.reader.read(side=1))

    run(table, Asking, **options)
    return rule.situations


def test_a_situation_is_dated_by_the_end_of_its_bar():
    first = situations(candles([CALM] * 3, [0] * 3))[0]

    assert first.moment == datetime(2025, 1, 1, 1, tzinfo=UTC)
    assert (first.price, first.high, first.low, first.bar_s, first.side) == (100, 101, 99, 3600, 1)


def test_a_situation_knows_the_position_since_its_fill():
    bars = [CALM, (102, 103, 101, 102), CALM, (98, 99, 97, 98)]

    seen = situations(candles(bars, [-1] * 4), fraction=0.5)

    assert [each.bars_held for each in seen] == [0, 1, 2, 3]
    assert seen[3].entry_price == 102
    assert seen[3].size == -15
    assert seen[3].profit_pct == pytest.approx(4 / 102)


def test_a_situation_knows_the_open_risk_down_to_the_stop_or_else_the_margin():
    with_stop = situations(candles([CALM] * 3, [1] * 3), stop_price_pct=0.02, fraction=0.5)
    without = situations(candles([CALM] * 3, [1] * 3), fraction=0.5)

    assert [each.open_risk for each in with_stop] == [0, pytest.approx(15 * 2), pytest.approx(15 * 2)]
    assert without[1].open_risk == pytest.approx(500)
    assert without[1].open_notional == pytest.approx(1500)


def test_a_situation_counts_losses_in_a_row_and_the_bars_since():
    bars = [CALM, CALM, (90, 90, 90, 90), (90, 90, 90, 90), (80, 80, 80, 80), (85, 85, 85, 85), (85, 85, 85, 85)]

    seen = situations(candles(bars, [1, 0, 1, 0, 1, 0, 0]), fraction=0.3)

    assert [each.losses_in_row for each in seen] == [0, 0, 1, 1, 2, 2, 0]
    assert [each.bars_since_loss for each in seen[1:5]] == [np.inf, 0, 1, 0]
    assert seen[6].bars_since_exit == 0


def test_a_situation_knows_the_equity_a_day_began_with_and_the_peak():
    bars = [CALM] * 23 + [(110, 110, 110, 110), (105, 105, 105, 105), (100, 100, 100, 100)]

    seen = situations(candles(bars, [1] * len(bars)), fraction=0.3)

    assert seen[-1].peak_equity == pytest.approx(1_090)
    assert seen[-1].day_equity == pytest.approx(1_090)  # 23:00 closed with the day
    assert seen[-1].equity == pytest.approx(1_000)
    assert seen[-1].day_low_equity == pytest.approx(1_000)
    assert seen[22].day_low_equity == 1_000
    assert seen[23].day_low_equity == 1_000


def test_a_situation_knows_the_deepest_drawdown_so_far():
    bars = [CALM, CALM, (100, 110, 88, 88), (110, 110, 110, 110), (99, 99, 99, 99)]

    seen = situations(candles(bars, [1] * 5), fraction=1 / 3)

    assert [each.deepest_drawdown for each in seen] == pytest.approx([0, 0, 0.12, 0.12, 0.12])


def test_a_situation_knows_what_of_the_risk_is_its_own():
    cerebro = bt.Cerebro(stdstats=False)
    for name in ("one", "other"):
        cerebro.adddata(CandleFeed(candles([CALM] * 4, [1] * 4), name=name))
    cerebro.setbroker(FuturesBroker(leverage=3, cash=1_000.0, taker_fee=0.0, maker_fee=0.0))

    class Both(bt.Strategy):
        def start(self):
            self.desks = [
                Desk(self, sizing=Seen(), exits=[StopLoss(distance)], data=data)
                for data, distance in zip(self.datas, (0.02, 0.05), strict=True)
            ]

        def next(self):
            for desk in self.desks:
                desk.observe()
                if not desk.held:
                    desk.enter(+1)

    cerebro.addstrategy(Both)
    one, other = (desk.reader.read(1) for desk in cerebro.run()[0].desks)

    assert (one.own_risk, other.own_risk) == (pytest.approx(4), pytest.approx(10))
    assert one.open_risk == other.open_risk == pytest.approx(14)


def test_a_situation_knows_the_last_funding_rate_and_the_next_stamp():
    rate = np.full(10, np.nan)
    rate[8] = 0.0003

    seen = situations(candles([CALM] * 10, [0] * 10, funding_rate=rate))

    assert np.isnan(seen[7].funding_rate)
    assert seen[9].funding_rate == 0.0003
    assert seen[6].next_funding == datetime(2025, 1, 1, 8, tzinfo=UTC)
    assert seen[7].next_funding == datetime(2025, 1, 1, 8, tzinfo=UTC)  # the next bar opens with the stamp
    assert seen[8].next_funding == datetime(2025, 1, 1, 16, tzinfo=UTC)


def test_the_volatility_is_that_of_the_labels(candles_of):
    table = candles_of(200).assign(wish=0.0)

    seen = situations(table)

    expected = volatility(Bars.of(table))
    np.testing.assert_allclose([each.volatility for each in seen], expected, rtol=1e-12)


def test_a_gap_before_the_bar_is_told(candles_of):
    table = candles_of(10).assign(wish=0.0).drop(index=pd.Timestamp("2024-01-01 05:00", tz="UTC"))

    assert [each.gap_s for each in situations(table)][4:7] == [0, 3600, 0]


class Said(bt.Indicator):
    """The lines of an `LSTMSignal` that always says the same, and its forecaster."""

    lines = ("forecast", "prob_up")
    params = (("forecaster", None),)

    def __init__(self):
        self.forecaster = self.p.forecaster

    def next(self):
        self.lines.forecast[0], self.lines.prob_up[0] = 0.2, 0.5


def told_of(forecaster):
    class Forecasting(Wish):
        def __init__(self):
            super().__init__()
            self.forecast = Said(self.data, forecaster=forecaster)

    return run(candles([CALM] * 3, [0] * 3), Forecasting).desk.reader.read(1)


def test_a_situation_knows_how_probable_a_fall_is(fixed_forecaster):
    quantity, classes = fixed_forecaster(), fixed_forecaster()
    classes.is_class = True

    assert told_of(quantity).prob_down == 0.5
    assert told_of(classes).prob_down == pytest.approx(0.3)  # 0.5 up, 0.2 neither


def test_a_situation_knows_how_old_its_model_is(tiny_model, tiny_schedule, fixed_forecaster):
    manifest = tiny_model.manifest.model_copy(update={"expires": datetime(2030, 1, 1, tzinfo=UTC)})
    model = type(tiny_model)(manifest, tiny_model.nets)

    assert told_of(fixed_forecaster()).trained_until is None
    assert told_of(model).trained_until == manifest.trained_until
    assert told_of(model).expires == manifest.expires
    assert told_of(tiny_schedule).trained_until == tiny_schedule.manifest.models[-1].manifest.trained_until


# ---- alone, in anyone's strategy


def test_a_desk_serves_a_strategy_of_ones_own():
    class Mine(bt.Strategy):
        def start(self):
            rules = [StopLoss(0.02), TakeProfit(0.05)]
            self.desk = Desk(self, sizing=Seen(), exits=rules)
            self.reasons = []

        def next(self):
            self.desk.observe()
            if not self.desk.held:
                self.desk.enter(+1)

        def notify_order(self, order):
            if order.status == order.Completed:
                self.reasons.append((order.info.reason, order.executed.price))

    bars = [CALM, CALM, (100, 106, 100, 104), (104, 104, 104, 104)]

    assert run(candles(bars, [0] * 4), Mine).reasons == [
        ("signal", 100),
        ("take_profit", 105),
        ("signal", 104),
    ]


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (
            {"exits": [StopLoss]},
            r"exits=.* must be a list of objects with `orders` and `leaves`. Of a class make an",
        ),
        ({"exits": [MaxDrawdown(0.1)]}, "must be a list of objects with `orders` and `leaves`"),
        ({"entries": [0.55]}, r"entries=\[0.55\] must be a list of objects with `refusal`"),
        ({"guards": MaxDrawdown(0.1)}, "guards=.* must be a list of objects with `halt`"),
        ({"sizing": 0.01}, "sizing=0.01 must be an object with `size`"),
    ],
)
def test_what_is_no_rule_is_refused_when_the_desk_is_made(rules, message):
    class Mine(bt.Strategy):
        def start(self):
            Desk(self, **({"sizing": Seen()} | rules))

    with pytest.raises(ConfigError, match=message):
        run(candles([CALM] * 3, [0] * 3), Mine)


def test_a_bar_that_was_not_observed_is_asked_for():
    class Mine(bt.Strategy):
        def start(self):
            self.desk = Desk(self, sizing=Seen())

        def next(self):
            self.desk.enter(+1)

    with pytest.raises(ConfigError, match=r"bar 1 was not observed.*Call `observe\(\)` of the desk in `prenext`"):
        run(candles([CALM] * 3, [0] * 3), Mine)
