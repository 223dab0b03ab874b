"""What other projects' tests say of stops, liquidations and funding, played on the futures account.

Cases are copied here by hand, each with its source; whole groups are compared where their table is at hand.
"""

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from tickets import Terms, Ticket, play

from lstm_backtrader.datafeeds.frames import CandleFeed

FREE = {"taker": 0.0, "maker": 0.0}


def table_of(rows):
    index = pd.date_range("2025-01-01", periods=len(rows), freq="h", tz="UTC", name="open_time")
    return pd.DataFrame(np.array(rows, float), index, ["open", "high", "low", "close"]).assign(volume=1.0)


# ---- stops by price: pybroker, vectorbt, backtesting.py


def trailing(side, away, points=False):
    """A strategy step that sends a trailing stop for what is held, from the best price so far."""

    def send(strategy):
        leave = strategy.sell if side > 0 else strategy.buy
        best = strategy.data.high[0] if side > 0 else strategy.data.low[0]
        distance = {"trailamount": away} if points else {"trailpercent": away}
        leave(size=1, exectype=bt.Order.StopTrail, price=best, reduce_only=True, **distance)

    return send


class Steps(bt.Strategy):
    params = (("steps", {}),)

    def __init__(self):
        self.exits = []  # (bar, price)
        self.entry = None

    def notify_order(self, order):
        if order.status == order.Completed:
            if self.entry is None:
                self.entry = (len(self) - 1, order.executed.price)
            else:
                self.exits.append((len(self) - 1, order.executed.price))

    def next(self):
        self.p.steps.get(len(self) - 1, lambda strategy: None)(self)


def steps_on(rows, steps, coc=False):
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(table_of(rows)))
    broker = Terms(cash=100_000.0, leverage=1.0, **FREE).broker()
    broker.set_coc(coc)
    cerebro.setbroker(broker)
    cerebro.addstrategy(Steps, steps=steps)
    return cerebro.run()[0]


def enter(side):
    return lambda strategy: (strategy.buy if side > 0 else strategy.sell)(size=1)


def from_extremes(entry, extremes, side):
    """Bars of (low, high): each opens as near to the close before as it can and closes at its better extreme.

    One bar is put before, in which the entry is sent; it fills at `entry`.
    """
    rows, before = [(entry,) * 4], entry
    for low, high in extremes:
        opened = min(max(before, low), high)
        before = high if side > 0 else low
        rows.append((opened, high, low, before))
    return rows


# the entry bar is the first; a stop is sent once it is over (pybroker, tests/test_portfolio.py::test_trigger_*)
LOSS, PROFIT, TRAILING = "loss", "profit", "trailing"
TRIGGERS = [
    (1, LOSS, 200, [(200, 300), (100, 200)], 20, 160),
    (1, PROFIT, 200, [(100, 200), (200, 300)], 20, 240),
    (-1, LOSS, 200, [(100, 200), (200, 300)], 20, 240),
    (-1, PROFIT, 200, [(200, 300), (100, 200)], 20, 160),
    (1, TRAILING, 100, [(75, 100), (250, 300), (290, 295), (200, 200)], 20, 200),
    (-1, TRAILING, 300, [(300, 350), (200, 230), (210, 215), (400, 400)], 20, 400),
]


def exit_of(side, what, entry, extremes, percent=None, points=None):
    """Where a stop, target or trailing stop ends the trade."""
    away = entry * percent / 100 if percent else points
    if what == TRAILING:
        send = trailing(side, percent / 100 if percent else points, points=not percent)
    else:
        worse = -1 if what == LOSS else 1
        kind = bt.Order.Stop if what == LOSS else bt.Order.Limit

        def send(strategy):
            leave = strategy.sell if side > 0 else strategy.buy
            leave(size=1, exectype=kind, price=entry + worse * side * away, reduce_only=True)

    run = steps_on(from_extremes(entry, extremes, side), {0: enter(side), 1: send})
    assert run.entry == (1, entry)
    return run.exits[0][1] if run.exits else None


@pytest.mark.parametrize(("side", "what", "entry", "extremes", "percent", "fill"), TRIGGERS)
def test_a_stop_fills_where_it_does_elsewhere(side, what, entry, extremes, percent, fill):
    assert exit_of(side, what, entry, extremes, percent=percent) == pytest.approx(fill)


@pytest.mark.parametrize("side", ["long", "short"])
@pytest.mark.parametrize("what", [LOSS, PROFIT, TRAILING])
def test_every_stop_of_the_table_fills_where_it_does_elsewhere(oracle, side, what):
    name = f"pybroker_trigger_{side}_{what}_stop"
    group = oracle(name)
    sign = 1 if side == "long" else -1
    _, _, entry, extremes, _, _ = next(each for each in TRIGGERS if each[:2] == (sign, what))

    for case in group:
        found = exit_of(sign, what, entry, extremes, case["percent"], case["points"])
        assert found == pytest.approx(case["expected_fill"])


CLOSES = [  # vectorbt, tests/test_portfolio.py::test_sl_stop, test_ts_stop: stops looked at on the close only
    {"side": "long", "close": [5, 4, 3, 2, 1], "sl": 0.5, "expected_exit_bar": 3, "expected_exit_price": 2.0},
    {"side": "short", "close": [5, 4, 3, 2, 1], "sl": 0.1, "expected_exit_bar": None},
    {"side": "long", "close": [4, 5, 4, 3, 2], "trail": 0.1, "expected_exit_bar": 2, "expected_exit_price": 4.0},
    {"side": "short", "close": [4, 5, 4, 3, 2], "trail": 0.1, "expected_exit_bar": 1, "expected_exit_price": 5.0},
]


def check_closes(case):
    side = 1 if case["side"] == "long" else -1
    first = case["close"][0]
    rows = [(price,) * 4 for price in (first, *case["close"])]
    steps = {0: enter(side)}
    if case.get("sl"):
        leave = {
            "exectype": bt.Order.Stop,
            "price": first * (1 - side * case["sl"]),
            "size": 1,
            "reduce_only": True,
        }
        steps[1] = lambda strategy: (strategy.sell if side > 0 else strategy.buy)(**leave)
    if case.get("trail"):
        steps[1] = trailing(side, case["trail"])
    run = steps_on(rows, steps)
    expected = case["expected_exit_bar"]
    found = [(bar - 1, pytest.approx(price)) for bar, price in run.exits]
    assert found == ([] if expected is None else [(expected, case["expected_exit_price"])])


@pytest.mark.parametrize("case", CLOSES)
def test_bars_of_closes_alone_stop_where_they_do_elsewhere(case):
    check_closes(case)


def test_every_case_of_closes_alone_stops_where_it_does_elsewhere(oracle):
    for case in oracle("vbt_sl_trailing"):
        check_closes(case)


# backtesting.py, backtesting/test/_test.py: bars whose high and low are the close, so that opens lie outside
STEEP = [
    (opened, close, close, close)
    for opened, close in zip((90, 91, 92, 40, 41), (100, 101, 102, 50, 51), strict=True)
]


def stop_at_90(strategy):
    strategy.sell(size=1, exectype=bt.Order.Stop, price=90, reduce_only=True)


def test_a_gap_through_a_stop_fills_at_the_open():
    run = steps_on(STEEP, {1: enter(1), 2: stop_at_90})

    assert run.entry == (2, 92)
    assert run.exits == [(3, 40)]


def test_trading_on_the_close_enters_at_it_and_stops_at_the_next_gap():
    run = steps_on(STEEP, {1: enter(1), 2: stop_at_90}, coc=True)

    assert run.entry == (2, 101)  # known one bar later
    assert run.exits == [(3, 40)]
    assert steps_on(STEEP, {1: enter(1), 2: lambda strategy: strategy.close()}, coc=True).exits == [(3, 102)]


def test_a_trailing_stop_follows_the_high():
    """backtrader2/backtrader#98: 10 below a bar of 100 108 95 105 is 98, where its close brought 95."""
    run = steps_on([(100,) * 4, (100,) * 4, (100, 108, 95, 105)], {0: enter(1), 1: trailing(1, 10.0, points=True)})

    (order,) = run.broker.get_orders_open()
    assert order.created.price == 98


# ---- money: LEAN, nautilus_trader, jesse


def test_three_stamps_cost_a_long_three_times_the_rate():
    """LEAN, CryptoFutureHourlyMarginInterestRegressionAlgorithm: 1,000 ADA over three stamps of 0.01 %."""
    rate = [0.0001 if hour in (8, 16, 24) else np.nan for hour in range(26)]
    table = table_of([(0.31, 0.312, 0.308, 0.31)] * 26).assign(funding_rate=rate)

    run = play(Terms(cash=1_000.0, **FREE), [table], {0: [Ticket(1000.0)]})

    assert run.broker.ledger.funding == pytest.approx(-3 * 0.0001 * 310)
    assert run.broker.ledger.coverage.funding_real == 3


def crash(terms, size, entry, bottom):
    return play(
        terms, [table_of([(entry,) * 4, (entry,) * 4, (entry, entry, bottom, bottom)])], {0: [Ticket(size)]}
    )


def test_an_inverse_account_keeps_what_a_crash_leaves_it():
    """nautilus_trader, tests/unit_tests/backtest/test_liquidation_engine.py: 10,000 contracts lose half the price.

    Its requirement of 8.75e-05 is ours divided by the leverage of 10, which no venue does.
    """
    terms = Terms(cash=0.255, is_inverse=True, is_cross=True, tiers=((0.0, 0.0035),), is_on_entry=True, **FREE)

    run = crash(terms, 10_000.0, 40_000.0, 20_000.0)

    assert run.broker.open_profit() == pytest.approx(-0.25, abs=1e-9)
    assert run.equity[-1] == pytest.approx(0.005, abs=1e-9)
    assert run.broker.contract().requirement(10_000.0, 40_000.0, 20_000.0) == pytest.approx(8.75e-05 * 10, abs=1e-9)
    assert run.broker.ledger.liquidations == 0


def test_an_inverse_account_that_the_same_crash_exceeds_is_liquidated():
    terms = Terms(cash=0.25, is_inverse=True, is_cross=True, tiers=((0.0, 0.0035),), is_on_entry=True, **FREE)

    run = crash(terms, 10_000.0, 40_000.0, 20_000.0)

    assert run.broker.ledger.liquidations == 1
    assert run.broker.ledger.liquidation_events[0].price > 20_000.0


def test_250_times_what_an_account_holds_is_refused_before_it_can_be_liquidated():
    """The same file: 10 million contracts on 1 BTC, where that engine checks no margin first and liquidates."""
    run = crash(Terms(cash=1.0, is_inverse=True, is_cross=True, **FREE), 10_000_000.0, 40_000.0, 20_000.0)

    assert [order.getstatusname() for order in run.orders] == ["Margin"]


@pytest.mark.parametrize(
    ("size", "entry", "liquidation", "beyond"), [(250.0, 80.0, 40.32, 30.0), (-2000.0, 10.0, 14.96, 20.0)]
)
def test_a_venue_that_keeps_the_margin_leaves_nothing_of_it(size, entry, liquidation, beyond):
    """jesse, TestLiquidationInIsolatedModeFor...: 2x of 10,000, 0.4 % of the entry notional, nothing is left."""
    terms = Terms(leverage=2.0, tiers=((0.0, 0.004),), is_on_entry=True, forfeits=True, **FREE)
    opened = play(terms, [table_of([(entry,) * 4] * 2)], {0: [Ticket(size)]})

    low, high = min(entry, beyond), max(entry, beyond)
    run = play(terms, [table_of([(entry,) * 4, (entry,) * 4, (entry, high, low, beyond)])], {0: [Ticket(size)]})

    assert opened.broker.liquidation_price(opened.data) == pytest.approx(liquidation, abs=0.005)
    assert run.broker.ledger.liquidation_events[0].price == pytest.approx(liquidation, abs=0.005)
    assert run.equity[-1] == pytest.approx(0.0, abs=1e-9)
