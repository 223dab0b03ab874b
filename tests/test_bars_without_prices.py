"""Bars without prices (NaN): nothing fills on them, and all that counts goes on as if prices had stood still."""

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_account_laws import drawn
from test_broker import CALM, Script, account, buy, candles, sell
from tickets import play as play_tickets

from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.futures.contract import Contract

Order = bt.Order
NAN = float("nan")
NONE = (NAN,) * 4
MODES = [{}, {"runonce": False}, {"preload": False}, {"exactbars": 1}]


def play(table, script, broker=None, modes=None, *more, **options):
    cerebro = bt.Cerebro(stdstats=False, **options)
    for number, frame in enumerate((table, *more)):
        cerebro.adddata(CandleFeed(frame, name=str(number)))
    cerebro.setbroker(broker or account())
    cerebro.addstrategy(Script, script=script)
    return cerebro.run(**(modes or {}))[0]


@pytest.mark.parametrize("modes", MODES, ids=str)
@pytest.mark.parametrize("missing", [NONE, (NAN, 105, 95, 100), (100, 105, NAN, 100), (100, 105, 95, NAN)], ids=str)
@pytest.mark.parametrize(
    ("order", "price"),
    [
        (buy(5), 98),
        (sell(5), 98),
        (buy(5, exectype=Order.Limit, price=99.5), 98),
        (sell(5, exectype=Order.Limit, price=100.5), 100.5),
        (buy(5, exectype=Order.Stop, price=101), 101),
        (sell(5, exectype=Order.Stop, price=99), 98),
        (sell(5, exectype=Order.StopLimit, price=99, plimit=97.5), 98),
        (sell(5, exectype=Order.StopTrail, trailamount=1.0), 98),
    ],
)
def test_an_order_waits_for_the_next_bar_with_all_its_prices(order, price, missing, modes):
    run = play(candles(CALM, missing, missing, (98, 102, 97, 100)), {0: order}, modes=modes)

    ((size, filled),) = run.fills()
    assert (abs(size), filled) == (5, price)
    assert np.isfinite(run.equity).all()
    assert bt.num2date(run.orders[-1].executed.dt).hour == 3


@pytest.mark.parametrize(
    ("bars", "price"),
    [
        ((CALM, NONE, (98, 102, 97, 101)), 101),  # no close of the day it was meant for: the next one
        ((CALM, (100, 103, 99, 102), NONE, (98, 102, 97, 101)), 102),
    ],
)
def test_an_order_for_a_close_waits_for_one(bars, price):
    table = candles(*bars)
    days = table.set_axis(pd.date_range("2025-01-01", periods=len(bars), freq="D", name="open_time"))
    run = play(days, {0: buy(5, exectype=Order.Close)})
    assert run.fills() == [(5, price)]


def test_an_order_that_expires_on_such_a_bar_does():
    run = play(candles(CALM, NONE, NONE, CALM), {0: buy(5, exectype=Order.Limit, price=101, valid=1 / 24)})
    assert run.fills() == []
    assert len(run.ended(Order.Expired)) == 1


@pytest.mark.parametrize("margin_mode", ["isolated", "cross"])
@pytest.mark.parametrize("modes", MODES, ids=str)
def test_a_position_counts_at_the_last_price_known(modes, margin_mode):
    seen = []

    def look(strategy):
        broker = strategy.broker
        figures = (broker.open_profit(), broker.notional(), broker.margin_ratio(), broker.liquidation_distance())
        seen.append((broker.getvalue(), broker.getcash(), broker.getvalue(datas=[strategy.data]), *figures))

    bars = candles(CALM, (100, 112, 99, 110), NONE, NONE, (90, 90, 90, 90))
    script = {0: buy(5), 1: look, 2: look, 3: look}
    run = play(bars, script, account(margin_mode=margin_mode), modes)

    assert run.equity == [1000, 1050, 1050, 1050, 950]
    assert seen[0] == seen[1] == seen[2]


def test_a_position_is_closed_at_the_next_price_where_that_is_wanted_on_a_bar_without_any():
    run = play(candles(CALM, CALM, NONE, (104, 105, 103, 104)), {0: buy(5), 2: lambda s: s.close()})
    assert run.fills() == [(5, 100), (-5, 104)]
    assert run.equity[-1] == 1020


@pytest.mark.parametrize("target", [0.6, 0.4, -0.3])
def test_a_target_asked_for_on_a_bar_without_a_price_has_no_size_and_is_refused(target):
    script = {0: lambda s: s.order_target_percent(target=0.5), 2: lambda s: s.order_target_percent(target=target)}

    run = play(candles(CALM, CALM, NONE, CALM, CALM), script)

    assert run.fills() == [(5, 100)]
    (order,) = run.ended(Order.Rejected)
    assert "it has no price to reckon size or margin at" in order.info.refusal


@pytest.mark.parametrize("margin_mode", ["isolated", "cross"])
def test_what_else_is_ordered_beside_such_a_close_is_still_refused_for_want_of_money(margin_mode):
    def both(strategy):
        strategy.close(data=strategy.data0)
        strategy.buy(data=strategy.data1, size=500)

    calm = candles(*[CALM] * 4)
    run = play(candles(CALM, CALM, NONE, CALM), {0: buy(5), 2: both}, account(margin_mode=margin_mode), None, calm)
    assert run.fills() == [(5, 100), (-5, 100)]
    assert len(run.ended(Order.Margin)) == 1


def test_cheating_on_open_waits_for_an_open():
    class Early(Script):
        def next_open(self):
            if len(self) == 2:
                self.buy(size=5)
                self.buy(size=500)

    cerebro = bt.Cerebro(stdstats=False, cheat_on_open=True)
    cerebro.adddata(CandleFeed(candles(CALM, (NAN, 101, 99, 100), (98, 98, 97, 98)), name="0"))
    cerebro.setbroker(account())
    cerebro.addstrategy(Early)
    run = cerebro.run()[0]
    assert run.fills() == [(5, 98)]
    assert len(run.ended(Order.Margin)) == 1


@pytest.mark.parametrize("mark", [None, 90.0])
@pytest.mark.parametrize("margin_mode", ["isolated", "cross"])
def test_funding_is_paid_at_the_mark_price_and_where_that_is_missing_too_at_the_last_one_known(mark, margin_mode):
    columns = {"funding_rate": [NAN, NAN, 0.01, NAN]}
    if mark is not None:
        columns |= {f"mark_{name}": [100, 100, mark, 100] for name in ("open", "high", "low", "close")}
    run = play(candles(CALM, CALM, NONE, CALM, **columns), {0: buy(5)}, account(margin_mode=margin_mode))
    assert run.broker.ledger.funding == pytest.approx(-0.01 * 5 * (mark or 100))
    assert run.broker.ledger.coverage.funding_mark_imputed == (mark is None)
    assert np.isfinite(run.equity).all()


@pytest.mark.parametrize("kind", ["linear", "inverse"])
@pytest.mark.parametrize("margin_mode", ["isolated", "cross"])
def test_a_known_mark_price_liquidates_where_nothing_trades(margin_mode, kind):
    fall = {"open": 100, "high": 100, "low": 60, "close": 60}
    mark = {f"mark_{name}": [100, 100, price, 60] for name, price in fall.items()}
    contract = Contract(kind=kind, taker_fee=0.0, maker_fee=0.0)
    size, cash = (50, 1_000.0) if kind == "linear" else (5_000, 10.0)
    orders = {0: lambda s: (s.buy(size=size), s.sell(size=size, exectype=Order.Stop, price=95))}
    run = play(
        candles(CALM, CALM, NONE, (60, 60, 60, 60), **mark),
        orders,
        account(contract=contract, cash=cash, margin_mode=margin_mode),
    )
    (event,) = run.broker.ledger.liquidation_events
    assert event.price < 95
    assert [order.info.get("liquidation") for order in run.ended(Order.Completed)] == [None, True]
    assert np.isfinite(run.equity).all()


def test_shorter_candles_are_played_where_the_bar_has_no_prices():
    halves = pd.date_range("2025-01-01", periods=6, freq="30min", tz="UTC", name="open_time")
    finer = candles(*[CALM] * 3, (96, 97, 95, 96), (97, 97, 97, 97), CALM).set_axis(halves)
    run = play(candles(CALM, NONE, CALM), {0: buy(5)}, account(intrabar_candles=finer))
    assert run.fills() == [(5, 100)]
    assert run.equity == [1000, 1000 - 5 * 4, 1000]


def test_a_data_without_prices_leaves_the_others_alone():
    table = candles(*[NONE] * 4)
    orders = {
        0: lambda s: (s.buy(data=s.data0, size=5), s.buy(data=s.data1, size=1, exectype=Order.Limit, price=90))
    }
    run = play(candles(*[CALM] * 4), orders, account(), None, table)
    assert run.fills() == [(5, 100)]
    assert run.equity == [1000] * 4


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), before=st.dictionaries(st.integers(0, 39), st.integers(1, 3), max_size=6))
def test_bars_without_prices_put_between_others_change_nothing(seed, before):
    terms, tables, script = drawn(seed)
    rows = [row for number in range(len(tables[0])) for row in [-1] * before.get(number, 0) + [number]]
    place = {number: bar for bar, number in enumerate(rows) if number >= 0}
    hours = pd.date_range(tables[0].index[0], periods=len(rows), freq="h", name="open_time")
    holed = [
        table.reindex([table.index[row] if row >= 0 else pd.NaT for row in rows]).set_axis(hours)
        for table in tables
    ]

    whole = play_tickets(terms, tables, script)
    run = play_tickets(terms, holed, {place[number]: tickets for number, tickets in script.items()})

    assert run.fills == [(place[bar], *rest) for bar, *rest in whole.fills]
    assert [run.equity[place[number]] for number in range(len(whole.equity))] == whole.equity
    assert np.isfinite(run.equity).all()
