"""The futures broker on hand-made bars whose results a person can check."""

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.errors import ConfigError, LeverageError
from lstm_backtrader.futures.broker import FuturesBroker
from lstm_backtrader.futures.contract import Contract

Order = bt.Order
CALM = (100, 101, 99, 100)


def candles(*bars, **extra):
    index = pd.date_range("2025-01-01", periods=len(bars), freq="h", tz="UTC", name="open_time")
    table = pd.DataFrame(np.array(bars, float), index=index, columns=["open", "high", "low", "close"])
    return table.assign(volume=1.0, **{name: np.array(column, float) for name, column in extra.items()})


class Script(bt.Strategy):
    """Does `script[n](strategy)` after bar n, counted from 0, and writes down what happens."""

    params = (("script", {}),)

    def __init__(self):
        self.orders, self.trades, self.equity, self.cash = [], [], [], []

    def notify_order(self, order):
        self.orders.append(order)

    def notify_trade(self, trade):
        if trade.isclosed:
            self.trades.append(trade)

    def next(self):
        broker = self.broker
        self.equity.append(broker.getvalue())
        self.cash.append(broker.getcash())
        book = broker.ledger
        explained = book.gross_profit + broker.open_profit() - book.fees + book.funding + book.other_cash
        assert broker.getvalue() - broker.startingcash == pytest.approx(explained, abs=1e-9)
        self.p.script.get(len(self) - 1, lambda strategy: None)(self)

    def fills(self):
        return [
            (order.executed.size, order.executed.price) for order in self.orders if order.status == Order.Completed
        ]

    def ended(self, status):
        return [order for order in self.orders if order.status == status]


def play(table, script, broker=None, *more, **options):
    cerebro = bt.Cerebro(stdstats=False)
    for number, frame in enumerate((table, *more)):
        cerebro.adddata(CandleFeed(frame, name=str(number)))
    cerebro.setbroker(broker or account())
    cerebro.addstrategy(Script, script=script)
    return cerebro.run(**options)[0]


def account(**options):
    given = {"leverage": 10, "cash": 1_000.0, "taker_fee": 0.0, "maker_fee": 0.0} | options
    return FuturesBroker(**given)


def buy(size, **options):
    return lambda strategy: strategy.buy(size=size, **options)


def sell(size, **options):
    return lambda strategy: strategy.sell(size=size, **options)


# ---- margin and value


def test_margin_leaves_free_cash_and_equity_follows_the_close():
    run = play(candles(CALM, CALM, (100, 111, 100, 110)), {0: buy(15)})

    assert run.cash == [1_000, 850, 850]
    assert run.equity == [1_000, 1_000, 1_150]
    assert run.broker.margin(run.data) == 150
    assert run.broker.notional_leverage() == pytest.approx(15 * 110 / 1_150)


def test_a_short_gains_what_a_long_loses():
    table = candles(CALM, CALM, (100, 103, 96, 97), CALM)
    long, short = play(table, {0: buy(15)}), play(table, {0: sell(15)})

    assert short.equity[2] == 1_045
    assert np.add(long.equity, short.equity).tolist() == [2_000] * 4


def test_scaling_in_averages_and_a_partial_close_frees_its_share():
    run = play(
        candles(CALM, CALM, (110, 111, 109, 110), (120, 120, 120, 120)), {0: buy(10), 1: buy(10), 2: sell(5)}
    )

    assert run.position.price == 105
    assert run.broker.margin() == pytest.approx(210 * 0.75)
    assert run.broker.ledger.gross_profit == 75
    assert run.equity[-1] == 1_000 + 20 * 15


def test_an_entry_beyond_the_free_cash_is_refused():
    run = play(candles(CALM, CALM, CALM), {0: buy(101)})

    assert [order.size for order in run.ended(Order.Margin)] == [101]
    assert run.equity == [1_000] * 3


def test_an_entry_that_the_open_makes_too_dear_is_refused():
    run = play(candles(CALM, (105, 106, 104, 105)), {0: sell(99)})

    assert len(run.ended(Order.Margin)) == 1
    assert run.position.size == 0


def test_a_losing_position_can_be_closed_without_free_cash():
    run = play(candles(CALM, CALM, (95, 95, 94, 95), (93, 94, 93, 94)), {0: buy(100), 2: lambda s: s.close()})

    assert run.fills() == [(100, 100), (-100, 93)]
    assert run.equity[-1] == 300


def test_a_reversal_closes_and_opens_in_one_order():
    run = play(candles(CALM, CALM, (110, 110, 110, 110), (108, 108, 108, 108)), {0: buy(10), 1: sell(30)})

    assert run.position.size == -20
    assert run.equity[-1] == 1_000 + 100 + 40
    assert [trade.pnl for trade in run.trades] == [100]


@pytest.mark.parametrize("enter", [buy(95), sell(95)])
def test_an_entry_uses_the_margin_that_a_close_before_it_frees(enter):
    def close_and_enter(strategy):
        strategy.close()
        enter(strategy)

    run = play(candles(CALM, CALM, CALM), {0: buy(95), 1: close_and_enter})

    assert [size for size, _ in run.fills()][1] == -95
    assert abs(run.position.size) == 95


def test_fractions_that_do_not_add_up_in_binary_still_close_the_position():
    run = play(candles(*[CALM] * 5), {0: buy(0.3), 1: sell(0.1), 2: sell(0.2)})

    assert run.position.size == 0
    assert len(run.trades) == 1
    assert run.broker.margin() == 0


def test_each_tradeid_has_its_own_margin():
    def both(strategy):
        strategy.buy(size=10, tradeid=1)
        strategy.sell(size=4, tradeid=2)

    run = play(candles(CALM, CALM, (100, 106, 100, 105)), {0: both})

    assert run.broker.margin() == 140
    assert run.position.size == 6
    assert run.equity[-1] == 1_000 + 30


def test_order_target_percent_is_stable_for_shorts():
    def target(strategy):
        strategy.order_target_percent(target=-0.5)

    run = play(candles(*[(100, 100, 100, 100)] * 4), {0: target, 1: target, 2: target})

    assert run.fills() == [(-5, 100)]  # half the equity in notional, at whatever leverage


@pytest.mark.parametrize("fraction", [-0.5, 0.5, -3.0, 9.5])
def test_the_same_target_again_trades_nothing_for_the_fee_it_has_paid(fraction):
    def target(strategy):
        strategy.order_target_percent(target=fraction)

    broker = account(taker_fee=0.0005)
    run = play(candles(*[(100, 100, 100, 100)] * 5), {0: target, 1: target, 2: target}, broker)

    assert [size for size, _ in run.fills()] == [pytest.approx(10 * fraction)]


def test_another_target_trades_the_difference():
    def target(fraction):
        return lambda strategy: strategy.order_target_percent(target=fraction)

    broker = account(taker_fee=0.0005)
    run = play(candles(*[(100, 100, 100, 100)] * 4), {0: target(-0.5), 1: target(-0.6)}, broker)

    assert [size for size, _ in run.fills()] == pytest.approx([-5, -0.6 * 9.9975 + 5])


def test_order_target_value_means_signed_notional():
    run = play(candles(*[(100, 100, 100, 100)] * 4), {0: lambda s: s.order_target_value(target=-3_000)})

    assert run.position.size == -30
    assert run.broker.getvalue([run.data]) == -3_000


def test_added_cash_is_kept_apart_from_profit():
    run = play(candles(*[CALM] * 4), {0: buy(10), 1: lambda s: s.broker.add_cash(-200)})

    assert run.equity[-1] == 800
    assert run.broker.ledger.other_cash == -200
    assert run.broker.ledger.gross_profit == 0


# ---- fees


def test_a_limit_that_rested_pays_the_maker_fee_and_others_the_taker_fee():
    script = {0: buy(1, exectype=Order.Limit, price=99.5), 1: sell(1, exectype=Order.Limit, price=90), 2: buy(1)}
    broker = account(taker_fee=0.001, maker_fee=0.0001)

    run = play(candles(*[CALM] * 4), script, broker)

    assert [order.executed.comm for order in run.ended(Order.Completed)] == pytest.approx([0.00995, 0.1, 0.1])
    assert [order.info.maker for order in run.ended(Order.Completed)] == [True, False, False]


def test_setcommission_of_an_ordinary_script_sets_fee_and_leverage():
    broker = FuturesBroker(leverage=3)
    broker.setcash(500)
    broker.setcommission(commission=0.001, leverage=5)

    run = play(candles(*[CALM] * 2), {0: buy(10)}, broker)

    assert run.equity[-1] == 500 - 1
    assert run.broker.margin() == 200


def test_volume_limits_what_fills_and_what_is_left_waits():
    table = candles(*[CALM] * 6).assign(volume=[10.0, 10.0, 0.0, 10.0, 10.0, 10.0])
    broker = account(filler=bt.broker.fillers.FixedBarPerc(perc=40.0))

    run = play(table, {0: buy(10)}, broker)

    assert run.cash == [1_000, 960, 960, 920, 900, 900]
    assert len(run.ended(Order.Completed)) == 1


def test_slippage_makes_a_market_order_dearer():
    run = play(candles(*[CALM] * 2), {0: buy(10)}, account(slip_perc=0.005, slip_open=True))

    assert run.fills() == [(10, pytest.approx(100.5))]
    assert run.broker.ledger.slippage == pytest.approx(10 * 0.5)


def test_slippage_is_counted_where_the_bar_leaves_room_and_of_a_stop_from_its_trigger():
    table = candles(CALM, CALM, CALM, (98, 98, 94, 95), CALM)
    script = {0: buy(10), 1: lambda strategy: strategy.sell(size=10, exectype=Order.Stop, price=97)}

    run = play(table, script, account(slip_fixed=2.0, slip_open=True))

    assert run.fills() == [(10, 101), (-10, 95)]  # the first bar ends at 101
    assert run.broker.ledger.slippage == pytest.approx(10 * 1 + 10 * 2)


def test_a_limit_met_at_its_price_does_not_slip():
    order = {0: buy(1, exectype=Order.Limit, price=99.5)}
    run = play(candles(*[CALM] * 3), order, account(slip_perc=0.005, slip_open=True))

    assert run.fills() == [(1, 99.5)]
    assert run.broker.ledger.slippage == 0


@pytest.mark.parametrize("kind", ["market", "stop"])
@pytest.mark.parametrize(("order", "opened"), [(buy, 103), (sell, 97)])
def test_slippage_is_no_gain_where_a_bar_opens_outside_its_low_and_high(order, opened, kind):
    given = {"exectype": Order.Stop, "price": 0.5 * (opened + 100)} if kind == "stop" else {}
    run = play(
        candles(CALM, (opened, 101, 99, 100)), {0: order(1, **given)}, account(slip_perc=0.005, slip_open=True)
    )

    assert run.fills()[0][1] == opened


@pytest.mark.parametrize(("order", "later"), [(buy, (90, 91, 89, 90)), (sell, (110, 111, 109, 110))])
def test_what_cheats_on_the_close_slips_whatever_the_next_bar_brings(order, later):
    run = play(candles(CALM, later), {0: order(1)}, account(slip_fixed=0.5, slip_open=True, coc=True))

    assert run.fills()[0][1] == (100.5 if order is buy else 99.5)


@pytest.mark.parametrize("out", [False, True])
@pytest.mark.parametrize(("order", "limit"), [(buy, 100.2), (sell, 99.8)])
def test_a_limit_slips_no_further_than_its_price(order, limit, out):
    broker = account(slip_fixed=0.5, slip_open=True, slip_out=out)
    run = play(candles(*[CALM] * 2), {0: order(1, exectype=Order.Limit, price=limit)}, broker)

    assert run.fills()[0][1] == limit
    assert run.broker.ledger.slippage == pytest.approx(0.2)


@pytest.mark.parametrize(("order", "stop", "limit"), [(buy, 100.5, 100.8), (sell, 99.5, 99.2)])
def test_a_stop_limit_that_takes_the_price_at_its_trigger_slips_as_far_as_its_limit(order, stop, limit):
    given = {"exectype": Order.StopLimit, "price": stop}
    run = play(candles(*[CALM] * 2), {0: order(1, plimit=limit, **given)}, account(slip_fixed=0.5))

    assert run.fills()[0][1] == limit
    assert run.broker.ledger.slippage == pytest.approx(0.3)


def test_a_loss_slips_no_further_than_bankruptcy():
    calm = {f"mark_{name}": [100] * 4 for name in ("open", "high", "low", "close")}
    table = candles(CALM, CALM, (91, 91, 80, 85), CALM, **calm)

    run = play(table, {0: buy(50), 1: lambda s: s.close()}, account(slip_fixed=1.0, slip_open=True))

    # entered at 101 on a margin of 505, bankrupt at 90.9: of the last dollar ten cents are left to lose
    assert run.fills() == [(50, 101), (-50, pytest.approx(90.9))]
    assert run.broker.ledger.slippage == pytest.approx(50 * 1 + 50 * 0.1)


@pytest.mark.parametrize("kind", ["linear", "inverse"])
def test_slippage_of_a_reversal_is_that_of_both_its_parts(kind):
    contract = Contract(kind=kind, taker_fee=0.0, maker_fee=0.0)
    broker = FuturesBroker(contract, leverage=10, cash=1_000, slip_perc=0.005, slip_open=True)

    run = play(candles(*[CALM] * 3), {0: buy(10), 1: lambda strategy: strategy.sell(size=25)}, broker)

    bought, sold = (10 * 0.5, 25 * 0.5)
    if kind == "inverse":
        bought, sold = 10 * (1 / 100 - 1 / 100.5), 25 * (1 / 99.5 - 1 / 100)
    assert run.broker.ledger.slippage == pytest.approx(bought + sold)


# ---- exits


def bracket(size, **options):
    return lambda strategy: strategy.buy_bracket(size=size, exectype=Order.Market, **options)


def test_a_bracket_may_use_all_of_the_margin():
    table = candles(CALM, CALM, (100, 121, 100, 120))

    run = play(table, {0: bracket(95, stopprice=92, limitprice=120)})

    assert run.fills() == [(95, 100), (-95, 120)]
    assert len(run.ended(Order.Canceled)) == 1


def test_a_stop_protects_on_the_bar_of_its_entry():
    run = play(candles(CALM, (100, 103, 94, 101), CALM), {0: bracket(50, stopprice=95, limitprice=102)})

    assert run.fills() == [(50, 100), (-50, 95)]


@pytest.mark.parametrize(
    ("intrabar", "fills"), [("optimistic", [(50, 105)]), ("pessimistic", [(50, 105), (-50, 101)])]
)
def test_whether_a_dip_came_before_or_after_an_entry_is_what_intrabar_says(intrabar, fills):
    script = {0: lambda s: s.buy_bracket(size=50, exectype=Order.Stop, price=105, stopprice=101, limitprice=120)}

    run = play(candles(CALM, (100, 107, 99, 106), (106, 107, 105, 106)), script, account(intrabar=intrabar))

    assert run.fills() == fills


def test_a_dip_that_fills_a_limit_may_go_on_to_its_stop():
    script = {0: lambda s: s.buy_bracket(size=50, price=98, stopprice=96, limitprice=99)}

    run = play(candles(CALM, (100, 101, 95, 100), CALM), script)

    assert run.fills() == [(50, 98), (-50, 96)]


def test_where_a_bar_reaches_stop_and_target_the_stop_comes_first():
    def exits(strategy):
        target = strategy.sell(size=50, exectype=Order.Limit, price=104)
        strategy.sell(size=50, exectype=Order.Stop, price=96, oco=target)

    run = play(candles(CALM, CALM, (100, 105, 95, 100), CALM), {0: buy(50), 1: exits})

    assert run.fills() == [(50, 100), (-50, 96)]
    assert run.position.size == 0


def test_an_open_beyond_the_target_fills_it_at_the_open():
    run = play(candles(CALM, CALM, (106, 107, 90, 91), CALM), {0: bracket(50, stopprice=95, limitprice=104)})

    assert run.fills() == [(50, 100), (-50, 106)]


def test_a_reduce_only_order_never_opens():
    script = {0: buy(10), 1: sell(25, reduce_only=True), 3: sell(5, reduce_only=True)}

    run = play(candles(*[CALM] * 6), script)

    assert run.position.size == 0
    assert len(run.trades) == 1
    assert len(run.ended(Order.Canceled)) == 2


def test_a_child_is_placed_from_its_parents_fill():
    def enter(strategy):
        entry = strategy.buy(size=10, transmit=False)
        strategy.sell(size=10, parent=entry, exectype=Order.Stop, price=97, from_fill=-0.02)

    run = play(candles(CALM, (102, 102, 99.9, 101), CALM), {0: enter})

    assert run.fills() == [(10, 102), (-10, pytest.approx(99.96))]


# ---- liquidation; prices by hand: 50 long at 100, 10x, 0.5 %: (500 - 5000) / (50 * 0.005 - 50) = 90.4523


def test_a_long_is_liquidated_inside_the_bar():
    run = play(candles(CALM, CALM, (100, 100, 85, 99), CALM), {0: buy(50)})

    liquidated = run.ended(Order.Completed)[-1]
    assert liquidated.executed.price == pytest.approx(90.4523, abs=1e-4)
    assert liquidated.info.liquidation is True
    assert liquidated.info.reason == "liquidation"
    assert run.trades[0].pnl == pytest.approx(-477.3869, abs=1e-4)
    assert run.equity[-1] == pytest.approx(522.6131, abs=1e-4)
    assert run.broker.ledger.liquidations == 1
    assert run.broker.ledger.liquidation_loss == pytest.approx(-477.3869, abs=1e-4)


def test_a_short_is_liquidated_inside_the_bar():
    run = play(candles(CALM, CALM, (100, 115, 100, 101), CALM), {0: sell(50)})

    assert run.fills()[-1] == (50, pytest.approx(109.4527, abs=1e-4))


def test_a_gap_costs_no_more_than_the_margin():
    run = play(candles(CALM, CALM, (70, 75, 65, 72), CALM), {0: buy(50)})

    assert run.fills()[-1] == (-50, 90)
    assert run.equity[-1] == 500


def test_a_gap_between_liquidation_and_bankruptcy_fills_at_the_open():
    run = play(candles(CALM, CALM, (90.2, 91, 89, 90), CALM), {0: buy(50)})

    assert run.fills()[-1] == (-50, 90.2)


def test_the_fee_of_a_liquidation_stays_within_the_margin():
    broker = account(taker_fee=0.001, leverage=10)

    run = play(candles(CALM, CALM, (70, 75, 65, 72), CALM), {0: buy(90)}, broker)

    assert run.equity[-1] == pytest.approx(1_000 - 9 - 900)


def test_a_position_can_be_liquidated_on_the_bar_it_opens():
    run = play(candles(CALM, (100, 101, 80, 100), CALM), {0: buy(50)})

    assert run.broker.ledger.liquidations == 1
    assert run.position.size == 0


def test_a_nearer_stop_fills_instead_of_a_liquidation():
    run = play(
        candles(CALM, CALM, (100, 100, 80, 81), CALM), {0: buy(50), 1: sell(50, exectype=Order.Stop, price=95)}
    )

    assert run.fills() == [(50, 100), (-50, 95)]
    assert run.broker.ledger.liquidations == 0


def test_a_farther_stop_is_cancelled_by_the_liquidation():
    run = play(
        candles(CALM, CALM, (100, 100, 80, 81), CALM), {0: buy(50), 1: sell(50, exectype=Order.Stop, price=85)}
    )

    assert run.broker.ledger.liquidations == 1
    assert run.position.size == 0
    assert len(run.ended(Order.Canceled)) == 1


def test_a_liquidation_comes_before_a_target_in_the_same_bar():
    run = play(candles(CALM, CALM, (100, 120, 80, 110), CALM), {0: bracket(50, stopprice=50, limitprice=110)})

    assert run.broker.ledger.liquidations == 1
    assert run.equity[-1] == pytest.approx(522.6131, abs=1e-4)


def test_a_close_at_the_open_comes_before_a_liquidation_inside_the_bar():
    run = play(candles(CALM, CALM, (100, 100, 80, 81), CALM), {0: buy(50), 1: lambda s: s.close()})

    assert run.fills() == [(50, 100), (-50, 100)]


def test_a_gap_comes_before_a_close_at_the_open():
    run = play(candles(CALM, CALM, (85, 86, 80, 81), CALM), {0: buy(50), 1: lambda s: s.close()})

    assert run.fills() == [(50, 100), (-50, 90)]
    assert run.position.size == 0


def test_each_tradeid_is_liquidated_by_itself():
    def both(strategy):
        strategy.buy(size=10, tradeid=3)
        strategy.sell(size=10, tradeid=4)

    run = play(candles(CALM, CALM, (100, 101, 85, 100), CALM), {0: both})

    assert [trade.tradeid for trade in run.trades] == [3]
    assert run.position.size == -10


def test_the_mark_price_decides_where_it_is_known():
    lows = (CALM, CALM, (100, 100, 85, 99), (100, 100, 85, 99), CALM)
    mark = [np.nan, 99, 99, np.nan, 99]

    run = play(candles(*lows, mark_low=mark), {0: buy(50)})

    assert run.equity[2] == 950
    assert run.broker.ledger.liquidation_events[0].time == run.data.datetime.array[3]


def test_a_loss_the_mark_price_does_not_show_ends_at_the_margin():
    flat = [100.0] * 4
    table = candles(CALM, CALM, (80, 80, 80, 80), (80, 80, 80, 80), mark_open=flat, mark_low=flat, mark_high=flat)

    run = play(table, {0: buy(100), 2: lambda s: s.close()})

    assert run.equity[2:] == [0, 0]
    assert run.fills()[-1] == (-100, 90)


def test_at_leverage_one_a_long_is_never_liquidated():
    run = play(candles(CALM, CALM, (100, 100, 0.01, 0.01), CALM), {0: buy(10)}, account(leverage=1))

    assert run.broker.ledger.liquidations == 0
    assert run.equity[-1] == 1_000


# ---- funding


def test_funding_is_paid_at_the_mark_price_by_what_is_held_at_the_bars_start():
    rate = [0.001, 0.001, 0.001, np.nan]
    run = play(
        candles(*[CALM] * 4, funding_rate=rate, mark_open=[95, 95, 110, 95]), {0: buy(10), 2: lambda s: s.close()}
    )

    assert [event.amount for event in run.broker.ledger.funding_events] == pytest.approx([-1.1])
    assert run.cash == pytest.approx([1_000, 900, 898.9, 998.9])


def test_shorts_receive_what_longs_pay():
    table = candles(*[CALM] * 4, funding_rate=[0, 0, 0.001, -0.002])

    assert play(table, {0: sell(10)}).broker.ledger.funding == pytest.approx(1 - 2)
    assert play(table, {0: buy(10)}).broker.ledger.funding == pytest.approx(-1 + 2)


def test_each_tradeid_has_its_own_funding():
    def both(strategy):
        strategy.buy(size=10, tradeid=1)
        strategy.sell(size=4, tradeid=2)

    run = play(candles(*[CALM] * 3, funding_rate=[np.nan, np.nan, 0.001]), {0: both})

    events = run.broker.ledger.funding_events
    assert {event.tradeid: event.amount for event in events} == pytest.approx({1: -1, 2: 0.4})


def test_funding_beyond_the_free_cash_is_taken_from_the_margin_and_moves_the_liquidation():
    table = candles(*[CALM] * 4, funding_rate=[np.nan, np.nan, 0.02, np.nan])

    run = play(table, {0: buy(100)})

    assert run.cash == [1_000, 0, 0, 0]
    assert run.broker.margin() == pytest.approx(800)
    assert run.broker.liquidation_price(run.data) == pytest.approx((800 - 10_000) / (100 * 0.005 - 100))


def test_funding_never_takes_more_than_there_is():
    table = candles(*[CALM] * 5, funding_rate=[np.nan, np.nan, 0.2, 0.2, 0.2])

    run = play(table, {0: buy(100)})

    assert run.equity == pytest.approx([1_000, 1_000, 0, 0, 0])
    assert run.broker.ledger.funding == pytest.approx(-1_000)


# ---- modes, reuse, several datas


def test_every_mode_of_backtrader_gives_the_same_account():
    generator = np.random.default_rng(7)
    close = 100 * np.exp(np.cumsum(generator.normal(0, 0.02, 200)))
    opened = np.concatenate([[100], close[:-1]])
    bars = np.column_stack([opened, np.maximum(opened, close) * 1.01, np.minimum(opened, close) * 0.99, close])
    rate = np.where(np.arange(200) % 8 == 0, 0.001, np.nan)

    def enter(strategy):
        size = 0.5 * strategy.broker.getvalue() * 20 / strategy.data.close[0]
        strategy.buy_bracket(
            size=size,
            exectype=Order.Market,
            stopprice=strategy.data.close[0] * 0.9,
            limitprice=strategy.data.close[0] * 1.05,
        )

    script = dict.fromkeys(range(0, 190, 9), enter)
    modes = [{}, {"runonce": False}, {"preload": False}, {"exactbars": 1}]

    runs = [play(candles(*bars, funding_rate=rate), script, account(leverage=20), **mode) for mode in modes]

    assert runs[0].broker.ledger.liquidations > 0
    assert all(run.equity == runs[0].equity for run in runs[1:])


def test_a_second_run_starts_clean():
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(candles(CALM, CALM, (100, 100, 80, 99), funding_rate=[0.01] * 3)))
    cerebro.setbroker(account(taker_fee=0.001))
    cerebro.addstrategy(Script, script={0: buy(50)})

    first, second = cerebro.run()[0].equity, cerebro.run()[0].equity

    assert first == second
    assert cerebro.broker.ledger.liquidations == 1


def test_a_slower_data_is_not_played_twice():
    fast = candles(*[CALM] * 11)
    slow = candles((100, 101, 99, 100), (100, 108, 99, 107), funding_rate=[0.001, 0.001])
    slow.index = fast.index[[0, 4]]
    # the slow bars of four hours are stamped 03:00 and 07:00, with the last hour in them
    script = {3: lambda s: s.buy(data=s.data1, size=10)}
    script[7] = lambda s: s.sell(data=s.data1, size=10, exectype=Order.StopTrail, trailpercent=0.01)

    run = play(fast, script, None, slow, runonce=False)

    assert len(run.broker.ledger.funding_events) == 0  # bought at the stamp's own bar, nothing was held before
    assert run.getposition(run.data1).size == 10
    assert run.broker.margin(run.data1) == 100
    assert run.broker.margin(run.data0) == 0


def test_an_order_does_not_see_the_bar_it_was_made_on():
    fast = candles(*[CALM] * 11)
    slow = candles(CALM, CALM)
    slow.index = fast.index[[0, 4]]

    run = play(fast, {7: lambda s: s.buy(data=s.data1, size=1, exectype=Order.Limit, price=99.5)}, None, slow)

    assert run.fills() == []


# ---- refusals


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: FuturesBroker(leverage=200),
            LeverageError,
            "leverage 200 is outside 1 ... 125.0, .* `max_leverage=200`",
        ),
        (lambda: FuturesBroker(leverage=0.5), LeverageError, "leverage 0.5 is outside"),
        (
            lambda: FuturesBroker(leverage=50, maintenance=0.02),
            LeverageError,
            "liquidates the contract at the entry",
        ),
        (lambda: FuturesBroker(7), ConfigError, "contract=7 is not a Contract. Pass Contract"),
        (lambda: FuturesBroker(margin_mode="portfolio"), ConfigError, "Use 'isolated' or 'cross'"),
        (lambda: FuturesBroker(intrabar="random"), ConfigError, "Use 'pessimistic' or 'optimistic'"),
        (lambda: FuturesBroker(intrabar_candles=3), ConfigError, "intrabar_candles is a int. Give a DataFrame"),
        (
            lambda: FuturesBroker().setcommission(margin=2000.0, mult=10),
            ConfigError,
            "margin=2000.0.* leave `margin` out",
        ),
        (lambda: FuturesBroker().setcommission(interest=0.1), ConfigError, "funding_rate: leave `interest` out"),
        (lambda: FuturesBroker().addcommissioninfo(bt.CommissionInfo()), ConfigError, "Use set_contract"),
        (lambda: FuturesBroker().set_fund_history([]), ConfigError, "keeps its own equity"),
    ],
)
def test_what_a_futures_account_cannot_do_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_sizes_are_cut_to_the_lot_and_what_the_venue_would_not_take_is_rejected(caplog):
    contract = Contract(lot=0.1, min_notional=50.0, min_size=0.2)
    script = {0: buy(0.05), 1: buy(0.19), 2: buy(0.49), 3: buy(0.59)}

    run = play(candles(*[CALM] * 5), script, account(contract=contract))

    assert run.fills() == [(0.5, 100)]
    assert [order.size for order in run.ended(Order.Rejected)] == [0.05, 0.1, 0.4]
    reasons = [order.info.refusal for order in run.ended(Order.Rejected)]
    assert "lot 0.1" in reasons[0]
    assert "smallest order of 0.2" in reasons[1]
    assert "min_notional 50 USDT" in reasons[2]
    assert "min_notional 50 USDT" in caplog.text


def test_an_order_made_without_a_price_is_refused_in_one_sentence(caplog):
    nothing = (np.nan,) * 4

    run = play(candles(CALM, nothing, CALM, CALM), {1: buy(1), 2: buy(1)})

    assert run.fills() == [(1, 100)]
    (order,) = run.ended(Order.Rejected)
    assert order.info.refusal == (
        "it has no price to reckon size or margin at: its own, or the last close, is missing (NaN). Order on bars "
        "with prices, or leave those without out of the data."
    )
    assert order.info.refusal in caplog.text


def test_a_position_that_is_no_multiple_of_the_lot_can_be_closed():
    broker = account(contract=Contract(lot=0.2), filler=bt.broker.fillers.FixedBarPerc(perc=30.0))

    run = play(
        candles(*[CALM] * 6), {0: buy(0.4), 1: lambda s: s.cancel(s.orders[0]), 2: lambda s: s.close()}, broker
    )

    assert run.position.size == 0
