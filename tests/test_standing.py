"""Which stop a trade was entered with, and what it made of that risk: plain scripts on three kinds of account."""

import math

import backtrader as bt
import pytest
from trading import CALM, Wish, account, candles

from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.reporting.recorder import RunRecorder, run_record

Order = bt.Order
BROKERS = {"stock": bt.brokers.BackBroker, "linear": account, "inverse": lambda: account("inverse")}
every_account = pytest.mark.parametrize("broker", BROKERS.values(), ids=BROKERS)
UP, DOWN = (120, 121, 119, 120), (80, 81, 79, 80)


class Script(bt.Strategy):
    """Does `script[n](strategy)` after bar n, counted from 0, and `on_fill` at the first fill."""

    params = (("script", {}), ("on_fill", None))

    def notify_order(self, order):
        if order.status == Order.Completed and self.p.on_fill is not None:
            self.p.on_fill, act = None, self.p.on_fill
            act(self)

    def next(self):
        self.p.script.get(len(self) - 1, lambda strategy: None)(self)


def trades(bars, broker, script=None, strategy=Script, modes=None, **params):
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(candles(bars, params.pop("wish", 0)), name="X"))
    cerebro.setbroker(broker())
    more = {} if script is None else {"script": script}
    cerebro.addstrategy(strategy, **more, **params)
    cerebro.addanalyzer(RunRecorder)
    return run_record(cerebro.run(**(modes or {}))).trades


def of(trade, *columns):
    return tuple(trade[column] for column in columns)


def risked(entry, stop, exit_price, broker):
    """The result of an exit in multiples of the risk, without costs."""
    if broker is BROKERS["inverse"]:
        entry, stop, exit_price = 1 / entry, 1 / stop, 1 / exit_price
    return (exit_price - entry) / abs(entry - stop) * (1 if stop < entry else -1)


def long_bracket(strategy):
    strategy.buy_bracket(size=2, exectype=Order.Market, stopprice=95, limitprice=115)


def short_bracket(strategy):
    strategy.sell_bracket(size=2, exectype=Order.Market, stopprice=105, limitprice=85)


@every_account
@pytest.mark.parametrize(
    ("bracket", "last", "stop", "left"),
    [
        (long_bracket, (100, 100, 94, 96), 95, 95),  # met inside the bar
        (long_bracket, DOWN, 95, 80),  # the bar opens beyond it
        (long_bracket, UP, 95, 120),  # the target
        (short_bracket, (100, 106, 100, 104), 105, 105),
        (short_bracket, UP, 105, 120),
        (short_bracket, DOWN, 105, 80),
    ],
)
def test_a_brackets_result_is_told_in_multiples_of_its_stop(bracket, last, stop, left, broker):
    (trade,) = trades([CALM, CALM, CALM, last, last], broker, {0: bracket}).to_dict("records")
    assert of(trade, "entry_price", "exit_price", "initial_stop") == (100, left, stop)
    assert trade["r_multiple"] == pytest.approx(risked(100, stop, left, broker))
    assert (trade["r_multiple"] < -1) == (left in (80, 120) and (left < 100) == (stop < 100))


@every_account
def test_fees_make_a_stopped_trade_lose_more_than_its_risk(broker):
    def dear():
        made = broker()
        made.setcommission(commission=0.001)
        return made

    (trade,) = trades([CALM, CALM, CALM, (100, 100, 94, 96), CALM], dear, {0: long_bracket}).to_dict("records")
    assert trade["fees"] > 0
    gained = trade["gross_profit_closed"]
    assert trade["r_multiple"] == pytest.approx(trade["net_profit"] / -gained)


@every_account
@pytest.mark.parametrize("modes", [{"runonce": False}, {"preload": False}, {"exactbars": 1}])
def test_every_way_of_running_finds_the_same_stop(broker, modes):
    (trade,) = trades([CALM, CALM, CALM, DOWN, DOWN], broker, {0: long_bracket}, modes=modes).to_dict("records")
    assert trade["r_multiple"] == pytest.approx(risked(100, 95, 80, broker))


@every_account
def test_a_stop_met_in_the_bar_of_its_entry_is_one(broker):
    bars = [CALM, (100, 101, 94, 96), (96, 97, 94, 96), CALM]
    (trade,) = trades(bars, broker, {0: long_bracket}).to_dict("records")
    assert of(trade, "initial_stop", "exit_reason") == (95, "stop")
    assert trade["r_multiple"] == pytest.approx(risked(100, 95, trade["exit_price"], broker))


def sell_stop(price, **options):
    return lambda strategy: strategy.sell(size=2, exectype=Order.Stop, price=price, **options)


def buy(strategy):
    strategy.buy(size=2)


def leave(strategy):
    strategy.close()


@every_account
@pytest.mark.parametrize(
    ("placed", "is_found"),
    [
        ({"script": {0: buy, 1: sell_stop(95), 5: leave}}, True),  # at the close of the entry's bar
        ({"script": {0: buy, 2: sell_stop(95), 5: leave}}, True),  # of the bar after it
        ({"script": {0: buy, 3: sell_stop(95), 5: leave}}, False),  # later: not what it was entered with
        ({"script": {0: buy, 5: leave}, "on_fill": sell_stop(95)}, True),
        ({"script": {0: buy, 5: leave}}, False),
        ({"script": {0: buy, 1: sell_stop(105), 5: leave}}, False),  # locks a gain in, risks nothing
    ],
)
def test_a_stop_of_its_own_counts_until_the_bar_after_the_entry(placed, is_found, broker):
    bars = [CALM, CALM, *[(100, 104, 99, 104)] * 8]
    (trade, *_) = trades(bars, broker, **placed).to_dict("records")
    if is_found:
        assert trade["initial_stop"] == 95
        assert trade["r_multiple"] == pytest.approx(risked(100, 95, trade["exit_price"], broker))
    else:
        assert math.isnan(trade["initial_stop"])
        assert math.isnan(trade["r_multiple"])


@every_account
def test_of_several_stops_the_nearest_bounds_the_risk_and_one_moved_later_changes_nothing(broker):
    def both(strategy):
        sell_stop(90)(strategy)
        sell_stop(96)(strategy)

    script = {0: lambda strategy: (buy(strategy), both(strategy)), 2: sell_stop(98), 4: leave}
    (trade, *_) = trades([CALM] * 8, broker, script).to_dict("records")
    assert trade["initial_stop"] == 96


@every_account
@pytest.mark.parametrize("options", [{"trailpercent": 0.04}, {"trailamount": 4.0}])
def test_a_trailing_stop_risks_the_distance_it_began_at(options, broker):
    def entry(strategy):
        strategy.buy_bracket(
            size=2, exectype=Order.Market, stopexec=Order.StopTrail, stopargs=options, limitprice=150
        )

    bars = [CALM, (100, 110, 99, 110), (110, 112, 109, 112), (105, 105, 104, 105), CALM]
    (trade,) = trades(bars, broker, {0: entry}).to_dict("records")
    assert of(trade, "initial_stop", "exit_reason") == (pytest.approx(96), "trailing")
    assert trade["r_multiple"] == pytest.approx(risked(100, 96, trade["exit_price"], broker))


@every_account
def test_the_other_side_of_an_entry_by_stops_protects_nothing(broker):
    def straddle(strategy):
        above = strategy.buy(size=2, exectype=Order.Stop, price=102)
        strategy.sell(size=2, exectype=Order.Stop, price=98, oco=above)

    bars = [CALM, (100, 103, 99.5, 102), (102, 103, 101, 102), (102, 103, 101, 102), CALM]
    (trade,) = trades(bars, broker, {0: straddle, 2: leave}).to_dict("records")
    assert trade["side"] == 1
    assert math.isnan(trade["initial_stop"])


@every_account
def test_the_stop_of_an_entry_that_still_waits_protects_nothing(broker):
    def two(strategy):
        strategy.buy_bracket(size=2, price=90, stopprice=97, limitprice=150)
        strategy.buy_bracket(size=2, exectype=Order.Market, stopprice=92, limitprice=150)

    (trade,) = trades([CALM] * 4, broker, {0: two}).to_dict("records")
    assert trade["initial_stop"] == 92


@every_account
def test_what_is_added_later_does_not_change_what_was_risked(broker):
    script = {0: long_bracket, 1: lambda strategy: strategy.buy(size=2), 4: lambda strategy: strategy.sell(size=2)}
    bars = [CALM, CALM, CALM, CALM, (100, 100, 99, 99), (98, 98, 94, 94), (94, 95, 94, 94)]
    (trade,) = trades(bars, broker, script).to_dict("records")
    unit = 2 * (1 / 95 - 1 / 100) if broker is BROKERS["inverse"] else 10
    assert trade["size"] == 4
    assert trade["r_multiple"] == pytest.approx(trade["net_profit"] / unit)


@every_account
def test_an_entry_filled_in_parts_risks_all_of_them(broker):
    def thin():
        made = broker()
        made.set_filler(bt.broker.fillers.FixedSize(size=1))
        return made

    bars = [CALM, (100, 100, 99, 99), (98, 99, 97, 98), CALM, CALM, CALM, CALM]
    script = {0: lambda strategy: (buy(strategy), sell_stop(95)(strategy)), 4: leave}
    trade = trades(bars, thin, script).to_dict("records")[0]
    risk = (100 - 95) + (98 - 95)
    if broker is BROKERS["inverse"]:
        risk = (1 / 95 - 1 / 100) + (1 / 95 - 1 / 98)
    assert of(trade, "size", "initial_stop") == (2, 95)
    assert trade["r_multiple"] == pytest.approx(trade["net_profit"] / risk)


@every_account
def test_orders_that_enter_in_one_bar_are_one_position_and_share_its_risk(broker):
    def two(strategy):
        strategy.buy_bracket(size=1, exectype=Order.Market, stopprice=95, limitprice=120)
        strategy.buy_bracket(size=1, exectype=Order.Market, stopprice=95, limitprice=120)

    (trade,) = trades([CALM, CALM, (100, 100, 94, 96), CALM], broker, {0: two}).to_dict("records")
    assert of(trade, "size", "initial_stop", "r_multiple") == (2, 95, pytest.approx(-1))


@every_account
def test_of_several_stops_placed_after_the_entry_the_nearest_bounds_the_risk(broker):
    def both(strategy):
        sell_stop(90)(strategy)
        sell_stop(96)(strategy)

    (trade, *_) = trades([CALM] * 8, broker, {0: buy, 1: both, 4: leave}).to_dict("records")
    assert trade["initial_stop"] == 96


@every_account
def test_a_stop_that_a_partial_target_cancels_in_the_bar_of_the_entry_was_one(broker):
    def entry(strategy):
        buy(strategy)
        stop = strategy.sell(size=2, exectype=Order.Stop, price=95)
        strategy.sell(size=1, exectype=Order.Limit, price=101, oco=stop)

    (trade,) = trades([CALM, (100, 102, 99, 100), CALM, CALM], broker, {0: entry, 2: leave}).to_dict("records")
    assert trade["initial_stop"] == 95
    assert trade["r_multiple"] > 0


def test_a_trade_still_open_has_a_stop_and_no_result():
    (trade,) = trades([CALM] * 3, account, {0: long_bracket}).to_dict("records")
    assert trade["initial_stop"] == 95
    assert math.isnan(trade["r_multiple"])


@pytest.mark.parametrize("kind", ["linear", "inverse"])
@pytest.mark.parametrize(("side", "left"), [(1, 98.0), (-1, 102.0)])
def test_the_stop_of_our_strategies_is_where_their_fill_puts_it(side, left, kind):
    rules = {"stop_price_pct": 0.02, "break_even_price_pct": 0.05, "fraction": 0.5}
    bars = [CALM, CALM, (100, 103, 97, 100), CALM]
    (trade,) = trades(bars, BROKERS[kind], strategy=Wish, wish=[side, side, side, 0], **rules).to_dict("records")
    assert of(trade, "side", "initial_stop", "exit_price") == (side, pytest.approx(left), pytest.approx(left))
    assert trade["r_multiple"] == pytest.approx(-1.0)


def test_a_trailing_stop_of_our_strategies_begins_at_their_fill():
    bars = [CALM, (102, 110, 101, 110), (110, 110, 100, 100), CALM]
    rules = {"trailing_price_pct": 0.05, "fraction": 0.5, "leave_on": "never"}
    (trade,) = trades(bars, account, strategy=Wish, wish=[1, 1, 1, 0], **rules).to_dict("records")
    assert trade["initial_stop"] == pytest.approx(102 * 0.95)
    assert trade["r_multiple"] == pytest.approx((110 * 0.95 - 102) / (102 * 0.05))


def test_a_stop_that_only_wakes_at_a_gain_is_none():
    rules = {"break_even_price_pct": 0.02, "trailing_price_pct": 0.05, "trailing_activation_price_pct": 0.03}
    bars = [CALM, (100, 104, 100, 104), (104, 104, 98, 98), CALM]
    (trade,) = trades(bars, account, strategy=Wish, wish=[1, 1, 1, 0], fraction=0.5, **rules).to_dict("records")
    assert math.isnan(trade["initial_stop"])
