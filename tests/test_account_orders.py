"""Orders and runs of every kind that Backtrader knows, on the futures account."""

import datetime

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from random_runs import market
from tickets import Scripted, Terms, Ticket, play

import lstm_backtrader as lbt
from lstm_backtrader.datafeeds.frames import CandleFeed

NAN = float("nan")
CALM = (100, 101, 99, 100)
RISING = [(100 + n, 101 + n, 99.5 + n, 100.5 + n) for n in range(8)]
FREE = Terms(cash=1_000.0, taker=0.0, maker=0.0)


def candles(*bars, start="2025-01-01", freq="h", **extra):
    index = pd.date_range(start, periods=len(bars), freq=freq, tz="UTC", name="open_time")
    table = pd.DataFrame(np.array(bars, float), index=index, columns=["open", "high", "low", "close"])
    return table.assign(volume=1.0, **{name: np.array(column, float) for name, column in extra.items()})


class Acts(Scripted):
    """Calls `acts[n]` after bar n; `opens[n]` before it, where Cerebro cheats on open."""

    params = (("acts", {}), ("opens", {}))

    def next_open(self):
        self.p.opens.get(len(self) - 1, lambda strategy: None)(self)

    def next(self):
        super().next()
        self.p.acts.get(len(self) - 1, lambda strategy: None)(self)


def act(acts, *tables, broker=None, opens=None, **cerebro_options):
    cerebro = bt.Cerebro(stdstats=False, **cerebro_options)
    for number, table in enumerate(tables):
        cerebro.adddata(CandleFeed(table, name=str(number)))
    cerebro.setbroker(broker or FREE.broker())
    cerebro.addstrategy(Acts, acts=acts, opens=opens or {})
    return cerebro.run()[0]


def priced(run):
    return [(bar, size, pytest.approx(price)) for bar, _, _, size, price, _ in run.fills]


def buy(size, **options):
    return lambda strategy: strategy.buy(size=size, **options)


def sell(size, **options):
    return lambda strategy: strategy.sell(size=size, **options)


# ---- the kinds of orders


def test_an_order_for_the_close_of_a_day_fills_before_the_next_day_can_hurt():
    # known only with the first bar of the next day, which pays funding and opens beyond liquidation
    table = candles(
        CALM, CALM, (100, 102, 99, 101), (85, 86, 84, 85), start="2025-01-01 21:00", funding_rate=[NAN] * 3 + [0.01]
    )

    run = act({0: buy(50), 1: sell(50, exectype=bt.Order.Close)}, table)

    assert priced(run) == [(1, 50, 100), (3, -50, 101)]
    assert run.equity[-1] == 1_050
    assert not run.broker.ledger.funding_events


def test_an_order_for_the_close_of_a_daily_bar_fills_at_it():
    run = act({0: buy(5, exectype=bt.Order.Close)}, candles(*RISING[:4], freq="D"))

    assert priced(run) == [(1, 5, 101.5)]


def test_cheating_on_close_still_meets_the_gap_after_it():
    broker = FREE.broker()
    broker.set_coc(True)

    run = act({0: buy(50)}, candles(CALM, (85, 86, 84, 85), CALM), broker=broker)

    assert priced(run) == [(1, 50, 100), (1, -50, 90)]
    assert run.broker.ledger.liquidations == 1


def test_cheating_on_open_fills_at_the_open_it_saw():
    broker = FREE.broker()
    broker.set_coo(True)

    run = act({}, candles(*RISING[:4]), broker=broker, opens={0: buy(5), 2: sell(5)}, cheat_on_open=True)

    assert priced(run) == [(1, 5, 101), (3, -5, 103)]


def test_cheating_on_open_does_not_reach_back_into_a_longer_bar_that_is_over():
    broker = FREE.broker()
    broker.set_coo(True)
    fast, slow = candles(*[CALM] * 8), candles((90, 108, 90, 107), (107, 109, 106, 108))
    slow.index = fast.index[[0, 4]]

    run = act({4: lambda s: s.buy(data=s.data1, size=1)}, fast, slow, broker=broker, cheat_on_open=True)

    assert priced(run) == [(run.fills[0][0], 1, 107)]


def test_volume_fills_an_order_piece_by_piece_and_its_children_after_the_last():
    broker = FREE.broker()
    broker.set_filler(bt.broker.fillers.FixedBarPerc(perc=40.0))
    children = (Ticket(-9, "stop", 95.0, reduce_only=True), Ticket(-9, "limit", 104.2, reduce_only=True))
    table = candles(*RISING).assign(volume=10.0)

    run = play(FREE, [table], {0: [Ticket(9, children=children)]}, broker=broker)

    assert priced(run) == [(1, 4, 101), (2, 4, 102), (3, 1, 103), (4, -4, 104.2), (5, -4, 105), (6, -1, 106)]
    assert run.broker.ledger.gross_profit == pytest.approx(4 * 104.2 + 4 * 105 + 106 - 4 * 101 - 4 * 102 - 103)
    assert [order.getstatusname() for order in run.orders] == ["Completed", "Canceled", "Completed"]


def test_a_liquidation_asks_for_no_volume():
    broker = FREE.broker()
    broker.set_filler(bt.broker.fillers.FixedBarPerc(perc=40.0))
    table = candles(CALM, CALM, (100, 100, 80, 81), CALM).assign(volume=[100.0, 200.0, 0.0, 0.0])

    run = play(FREE, [table], {0: [Ticket(80)]}, broker=broker)

    assert run.fills[-1][3] == -80


def test_an_order_expires_with_its_bracket():
    def enter(strategy):
        valid = datetime.timedelta(hours=2)
        entry = strategy.buy(size=5, exectype=bt.Order.Limit, price=90, valid=valid, transmit=False)
        strategy.sell(size=5, exectype=bt.Order.Stop, price=85, parent=entry)

    run = act({0: enter}, candles(CALM, CALM, CALM, (100, 100, 80, 81)))

    assert run.fills == []
    assert not run.broker.get_orders_open()


def test_of_two_orders_met_on_one_stretch_the_nearer_fills_and_cancels_the_other():
    near = Ticket(-10, "stop", 98.0)
    script = {0: [Ticket(10)], 1: [near, Ticket(-10, "stop", 96.0, rival=near)]}

    run = play(FREE, [candles(CALM, CALM, (100, 100, 90, 91))], script)

    assert priced(run) == [(1, 10, 100), (2, -10, 98)]


def test_a_stop_trail_limit_keeps_its_limit_at_its_distance():
    # 2 below the best price, its limit 1 lower: 108 pulls the stop to 106 and the limit to 105
    table = candles(CALM, CALM, (100, 108, 100, 107), (107, 107, 102, 103), CALM)
    script = {0: buy(10), 1: sell(10, exectype=bt.Order.StopTrailLimit, trailamount=2.0, price=100.0, plimit=99.0)}

    run = act(script, table)

    assert priced(run) == [(1, 10, 100), (3, -10, 106)]


# ---- bars of several lengths, or none


def test_a_data_that_ends_early_keeps_its_last_price():
    script = {0: [Ticket(5, data=1), Ticket(2)], 3: [Ticket(-5, data=1)]}

    run = play(
        Terms(cash=1_000.0, is_cross=True, taker=0.0, maker=0.0),
        [candles(*RISING[:6]), candles(*RISING[:3])],
        script,
    )

    assert run.broker.getposition(run.data1).size == 5
    assert run.equity[-1] == pytest.approx(1_000 + 5 * (102.5 - 101) + 2 * (105.5 - 101))


def test_funding_of_several_stamps_in_a_daily_bar_is_paid_stamp_by_stamp():
    hours = pd.date_range("2025-01-01", periods=72, freq="h", tz="UTC", name="open_time")
    price = 100.0 + np.arange(72)
    fine = pd.DataFrame({"open": price, "high": price, "low": price, "close": price, "volume": 1.0}, index=hours)
    fine["funding_rate"] = np.where(hours.hour % 8 == 0, 0.001, NAN)
    days = fine.resample("D").agg({"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"})
    broker = Terms(cash=1_000.0, leverage=1.0, taker=0.0, maker=0.0).broker(intrabar_candles=fine)

    run = play(FREE, [days], {0: [Ticket(5)]}, broker=broker)

    # bought at the first open of the second day, whose stamp is over: 132, 140; then the last day's 148, 156, 164
    assert [event.amount for event in run.broker.ledger.funding_events] == pytest.approx(
        [-5 * mark * 0.001 for mark in (132, 140, 148, 156, 164)]
    )
    assert run.broker.ledger.coverage.funding_real == 5
    assert run.broker.ledger.coverage.funding_missing == 0


def test_the_rate_of_a_daily_bar_counts_as_its_stamps_and_the_last_bar_pays():
    table = candles(CALM, CALM, CALM, (100, 104, 99, 103), freq="D", funding_rate=[NAN, NAN, NAN, 0.003])

    run = play(FREE, [table], {0: [Ticket(5)]})

    book = run.broker.ledger
    assert book.funding == pytest.approx(-5 * 100 * 0.003)
    assert (book.coverage.funding_real, book.coverage.funding_missing) == (3, 3)
    assert run.equity[-1] == pytest.approx(1_000 + 5 * 3 - 1.5)


def test_shorter_bars_of_another_length_know_nothing_of_the_others_close():
    # the first data's quarters fall while the second has only halves: its rise to 130 comes later
    quarters = candles((100, 100, 91, 91), (91, 91, 80, 80), CALM, CALM, freq="15min")
    halves = candles(CALM, (100, 130, 100, 130), freq="30min")
    start = (
        candles(CALM, CALM, (100, 101, 80, 100), CALM),
        candles(CALM, CALM, (100, 130, 99, 130), (130, 131, 129, 130)),
    )
    quarters.index += pd.Timedelta(hours=2)
    halves.index += pd.Timedelta(hours=2)
    terms = Terms(cash=1_000.0, is_cross=True, taker=0.0, maker=0.0)
    broker = terms.broker(intrabar_candles={"0": quarters, "1": halves})

    run = play(terms, start, {0: [Ticket(50), Ticket(40, data=1)]}, broker=broker)

    assert run.broker.ledger.liquidations == 2
    assert max(run.equity) == 1_000


# ---- runs


def test_an_inverse_short_at_leverage_one_bears_any_price():
    terms = Terms(cash=10.0, leverage=1.0, is_inverse=True, taker=0.0, maker=0.0)

    run = play(terms, [candles(CALM, CALM, (100, 1e6, 100, 1e6), CALM)], {0: [Ticket(-900)]})

    assert run.broker.liquidation_price(run.data) == np.inf
    assert run.equity[-2:] == pytest.approx([10 - 9 + 900 / 1e6, 10])


class Sized(bt.Strategy):
    params = (("size", 1),)

    def next(self):
        if len(self) == 1:
            self.buy(size=self.p.size)

    def stop(self):
        self.final = self.broker.getvalue()


def test_an_optimisation_gives_each_run_an_account_of_its_own():
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(candles(*RISING[:3])))
    cerebro.setbroker(FREE.broker())
    cerebro.optstrategy(Sized, size=[1, 5, 9, 200])

    runs = cerebro.run(maxcpus=1, optreturn=False)

    assert [run.final for (run,) in runs] == pytest.approx([1_000 + size * 1.5 for size in (1, 5, 9, 0)])


class Turns(bt.Strategy):
    """Acts by the number of the candle, not of the bar, so that a replay does the same."""

    params = (("table", None),)

    def __init__(self):
        self.candle, self.equity, self.fills = 0, [], []

    def notify_order(self, order):
        if order.status == order.Completed:
            self.fills.append((self.candle, order.executed.size, order.executed.price))

    def next(self):
        close = self.p.table["close"].iloc[self.candle]
        self.candle += 1
        self.equity.append(self.broker.getvalue())
        if self.candle % 6 == 1 and not self.position:
            prices = {"stopprice": close * 0.95, "limitprice": close * 1.03}
            self.buy_bracket(size=80, exectype=bt.Order.Market, **prices)
        if self.candle % 11 == 1:
            self.sell(size=30, exectype=bt.Order.StopTrail, trailpercent=0.02, price=close, tradeid=1)


@pytest.mark.parametrize("mark", ["", "known"])
def test_a_replay_plays_the_candles_and_not_the_forming_bar(mark):
    table = market(np.random.default_rng(5), bars=48, mark=mark)

    def run(prepare):
        cerebro = bt.Cerebro(stdstats=False)
        prepare(cerebro, CandleFeed(table))
        cerebro.setbroker(FREE.broker())
        cerebro.addstrategy(Turns, table=table)
        return cerebro.run()[0]

    plain = run(lambda cerebro, feed: cerebro.adddata(feed))
    replayed = run(lambda cerebro, feed: lbt.replay(cerebro, feed, "4h"))

    assert len(plain.fills) > 5
    assert replayed.fills == plain.fills
    assert replayed.equity == plain.equity
    assert replayed.broker.ledger.coverage == plain.broker.ledger.coverage


# ---- ambiguity


def test_two_positions_of_one_data_are_not_taken_for_one_that_is_unsure():
    stop = Ticket(-5, "stop", 98.0, reduce_only=True)
    target = Ticket(-5, "limit", 102.0, reduce_only=True, tradeid=1)
    script = {0: [Ticket(5, children=(stop,)), Ticket(5, tradeid=1, children=(target,))]}

    run = play(FREE, [candles(CALM, CALM, (100, 103, 97, 100))], script)

    assert [size for _, size, _ in priced(run)] == [5, 5, -5, -5]
    assert run.broker.ledger.ambiguous_bars == []


@pytest.mark.parametrize("is_cross", [False, True])
def test_a_stop_before_a_liquidation_in_range_is_counted(is_cross):
    terms = Terms(cash=1_000.0, is_cross=is_cross, taker=0.0, maker=0.0)
    script = {0: [Ticket(90, children=(Ticket(-90, "stop", 95.0, reduce_only=True),))]}

    run = play(terms, [candles(CALM, CALM, (100, 100, 80, 81))], script)

    assert [bar.ends for bar in run.broker.ledger.ambiguous_bars] == [("liquidation", "stop")]
