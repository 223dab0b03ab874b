"""Positions forced at every bar: by hand, and held against what the futures account does with them."""

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import lstm_backtrader as lbt
from lstm_backtrader.candles import Bars
from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.forecast.barriers import Barriers, average_uniqueness, outcomes
from lstm_backtrader.futures.broker import FuturesBroker
from lstm_backtrader.reporting.recorder import run_record
from lstm_backtrader.strategies import SignalFutures

FREE = {"taker_fee": 0.0, "maker_fee": 0.0}


def table(*bars):
    index = pd.date_range("2025-01-01", periods=len(bars), freq="h", tz="UTC", name="open_time")
    frame = pd.DataFrame(np.array(bars, float), index=index, columns=["open", "high", "low", "close"])
    return frame.assign(volume=1.0)


CALM = (100, 101, 99, 100)


# ---- by hand


@pytest.mark.parametrize(
    ("side", "bars", "price", "row"),
    [
        # entered at the open of bar 1, 100, with a stop at 98 and a take profit at 104
        (1, [CALM, (100, 103, 97, 99), CALM, CALM], 98, 1),
        (1, [CALM, CALM, (100, 105, 99, 104), CALM], 104, 2),
        (1, [CALM, CALM, (100, 105, 97, 104), CALM], 98, 2),  # both: the stop first
        (1, [CALM, CALM, (96, 105, 95, 104), CALM], 96, 2),  # past the stop at the open
        (1, [CALM, CALM, (107, 108, 95, 104), CALM], 107, 2),  # past the take profit at the open
        (1, [CALM, CALM, CALM, (101, 120, 80, 100)], 101, 3),  # in time, before bar 3 goes anywhere
        # a short's stop lies at 102, its take profit at 96
        (-1, [CALM, CALM, (100, 103, 99, 101), CALM], 102, 2),
        (-1, [CALM, CALM, (100, 101, 95, 101), CALM], 96, 2),
        (-1, [CALM, CALM, (103, 104, 95, 101), CALM], 103, 2),
        (-1, [CALM, CALM, (94, 104, 93, 101), CALM], 94, 2),
        (-1, [CALM, CALM, CALM, (101, 120, 80, 100)], 101, 3),
    ],
)
def test_a_position_ends_at_the_first_of_its_barriers(side, bars, price, row):
    found = outcomes(Bars.of(table(*bars)), side, Barriers(bars=2, **FREE))

    assert (found.exit_price[0], found.exit_row[0]) == (price, row)
    assert found.net_return[0] == pytest.approx(side * (price - 100) / 100)
    assert np.isnan(found.net_return[1:]).all()  # its time is not over
    assert (found.exit_row[1:] == -1).all()


def test_fees_are_of_the_notional_where_they_are_paid_and_a_take_profit_pays_the_makers():
    bars = Bars.of(table(CALM, CALM, (100, 105, 99, 104), CALM))

    won = outcomes(bars, 1, Barriers(bars=2, taker_fee=0.001, maker_fee=0.0001)).net_return[0]
    in_time = outcomes(bars, 1, Barriers(bars=1, taker_fee=0.001)).net_return[0]

    assert won == pytest.approx(0.04 - 0.001 - 1.04 * 0.0001)
    assert in_time == pytest.approx(-0.002)


def test_funding_is_paid_by_what_is_held_when_it_is_due():
    rates, marks = [0.5, 0.5, 0.01, 0.02, 0.5], [100, 100, 110, np.nan, 100]  # bar 1 is entered after its stamp
    bars = Bars.of(table(*[CALM] * 5).assign(funding_rate=rates, mark_open=marks))

    long, short = (outcomes(bars, side, Barriers(bars=2, **FREE)).net_return[0] for side in (1, -1))

    assert long == pytest.approx(-(0.01 * 1.1 + 0.02))
    assert short == -long


def test_a_distance_of_zero_is_no_barrier():
    bars = Bars.of(table(CALM, CALM, (50, 200, 1, 100), CALM))

    found = outcomes(bars, 1, Barriers(bars=2, stop_price_pct=0.0, take_profit_price_pct=0.0))

    assert found.exit_price[0] == 100


def test_a_position_across_a_missing_bar_is_not_known():
    candles = table(*[CALM] * 9)

    found = outcomes(Bars.of(candles.drop(candles.index[4])), 1, Barriers(bars=2))

    assert np.isfinite(found.net_return).tolist() == [True, False, False, False, True, False, False, False]


@pytest.mark.parametrize("bars", [1, 2, 3])
def test_too_few_bars_know_nothing(bars):
    found = outcomes(Bars.of(table(*[CALM] * bars)), 1, Barriers(bars=2))

    assert np.isnan(found.net_return).tolist() == [True] * bars


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"bars": 0}, "a position held for 0 bars is none"),
        ({"stop_price_pct": 2.0}, r"stop_price_pct=2.0 must be in \[0, 1\). .* 0.02 is 2 %"),
        ({"take_profit_price_pct": -0.1}, "take_profit_price_pct=-0.1 must be"),
        ({"taker_fee": 5}, "taker_fee=5 must lie between -0.01 and 0.1"),
    ],
)
def test_barriers_that_cannot_be_are_refused(params, message):
    with pytest.raises(ConfigError, match=message):
        Barriers(**params)


# ---- held against the account


class ForcedEntries(bt.Strategy):
    """Enter at every bar, each position by its own tradeid with its own orders; `barriers`, `side`."""

    params = (("barriers", None), ("side", 1))

    def __init__(self):
        self.at_work = {}

    def next(self):
        barriers, side, now = self.p.barriers, self.p.side, len(self.data)
        enter, leave = (self.buy, self.sell) if side > 0 else (self.sell, self.buy)
        if now - barriers.bars in self.at_work:  # entered at the open after that bar
            for order in self.at_work.pop(now - barriers.bars):
                self.cancel(order)
            leave(size=1, tradeid=now - barriers.bars, reduce_only=True)
        exits = []
        if barriers.stop_price_pct:
            exits.append({"exectype": bt.Order.Stop, "from_fill": -side * barriers.stop_price_pct})
        if barriers.take_profit_price_pct:
            exits.append({"exectype": bt.Order.Limit, "from_fill": side * barriers.take_profit_price_pct})
        entry = enter(size=1, tradeid=now, transmit=not exits)
        self.at_work[now] = [
            leave(
                size=1,
                tradeid=now,
                parent=entry,
                reduce_only=True,
                transmit=each is exits[-1],
                price=self.data.close[0] * (1 + each["from_fill"]),
                **each,
            )
            for each in exits
        ]


def account_outcomes(candles, side, barriers):
    """(T,) net return and exit price of every forced entry that the account has brought to an end."""
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(candles))
    fees = {"taker_fee": barriers.taker_fee, "maker_fee": barriers.maker_fee}
    cerebro.setbroker(FuturesBroker(leverage=1, cash=1e9, maintenance=0.0, **fees))
    cerebro.addstrategy(ForcedEntries, barriers=barriers, side=side)
    trades = run_record(lbt.run(cerebro)).trades.query("not is_open")
    net, price = np.full(len(candles), np.nan), np.full(len(candles), np.nan)
    rows = trades["tradeid"].to_numpy() - 1
    net[rows] = trades["net_profit"] / trades["entry_price"]
    price[rows] = trades["exit_price"]
    return net, price


@given(
    side=some.sampled_from([1, -1]),
    seed=some.integers(0, 2**32),
    held=some.integers(1, 9),
    stop=some.sampled_from([0.0, 0.005, 0.02]),
    target=some.sampled_from([0.0, 0.005, 0.03]),
    gap=some.sampled_from([0.0, 0.01]),
)
@settings(max_examples=25)
def test_the_account_gets_the_same_of_every_forced_entry(candles_of, side, seed, held, stop, target, gap):
    barriers = Barriers(held, stop, target, taker_fee=0.0006, maker_fee=0.0001)
    rng = np.random.default_rng(seed)
    candles = candles_of(80, seed)
    candles["open"] *= np.exp(rng.normal(0, gap, 80))
    candles["high"] = candles[["open", "high"]].max(axis=1)
    candles["low"] = candles[["open", "low"]].min(axis=1)
    candles["funding_rate"] = np.where(np.arange(80) % 8 == 0, rng.normal(0, 0.001, 80), np.nan)
    for name in ("open", "high", "low", "close"):
        candles[f"mark_{name}"] = candles[name] * 1.001

    net, price = account_outcomes(candles, side, barriers)
    found = outcomes(Bars.of(candles), side, barriers)

    known = np.isfinite(found.net_return)
    assert known.sum() == 80 - held - 1
    np.testing.assert_allclose(found.exit_price[known], price[known], rtol=1e-12)
    np.testing.assert_allclose(found.net_return[known], net[known], rtol=1e-9, atol=1e-12)


class Always(SignalFutures):
    """Wants one side at every bar."""

    params = (("wanted", 1),)

    def target(self):
        return self.p.wanted


@pytest.mark.parametrize("side", [1, -1])
def test_a_strategy_with_that_stop_target_and_time_limit_gets_the_same(candles_of, side):
    candles, barriers = candles_of(60, 4), Barriers(6, 0.012, 0.02, taker_fee=0.0006, maker_fee=0.0001)
    found, reasons = outcomes(Bars.of(candles), side, barriers), set()

    for row in range(0, len(candles) - barriers.bars - 1, 2):
        cerebro = bt.Cerebro(stdstats=False)
        cerebro.adddata(CandleFeed(candles))
        cerebro.setbroker(FuturesBroker(leverage=2, taker_fee=barriers.taker_fee, maker_fee=barriers.maker_fee))
        cerebro.addstrategy(
            Always,
            wanted=side,
            trade_from=candles.index[row].to_pydatetime(),
            leave_on="never",
            time_limit_bars=barriers.bars,
            stop_price_pct=barriers.stop_price_pct,
            take_profit_price_pct=barriers.take_profit_price_pct,
        )
        trade = run_record(lbt.run(cerebro)).trades.iloc[0]
        reasons.add(trade["exit_reason"])

        assert trade["exit_time"] == candles.index[found.exit_row[row]]
        assert trade["exit_price"] == pytest.approx(found.exit_price[row])
        assert trade["net_profit"] / (trade["size"] * trade["entry_price"]) == pytest.approx(found.net_return[row])

    assert reasons == {"stop", "take_profit", "time_limit"}


# ---- uniqueness


def test_a_label_alone_is_unique_and_one_shared_by_all_hardly():
    assert average_uniqueness(np.array([1, 2, 3, -1])).tolist()[:3] == [1, 1, 1]
    everywhere = np.minimum(np.arange(100) + 10, 99)
    everywhere[-1] = -1
    assert average_uniqueness(everywhere)[20:80] == pytest.approx(0.1)


@given(spans=some.lists(some.integers(0, 6), min_size=1, max_size=30))
def test_uniqueness_is_its_definition(spans):
    last = np.array([row + span if span and row + span < len(spans) else -1 for row, span in enumerate(spans)])

    found = average_uniqueness(last)

    for row, end in enumerate(last):
        if end < 0:
            assert np.isnan(found[row])
            continue
        at_work = [sum(begin < bar <= until for begin, until in enumerate(last)) for bar in range(row + 1, end + 1)]
        assert found[row] == pytest.approx(np.mean([1 / number for number in at_work]))
