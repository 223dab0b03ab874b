"""`lbt.resample` and `lbt.replay`: pandas' bars in Backtrader, none seen before its end, extra lines included."""

import queue

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lstm_backtrader as lbt
from lstm_backtrader.candles import timeframe_seconds
from lstm_backtrader.datafeeds.grouping import forming_candles, resample_candles
from lstm_backtrader.errors import ConfigError, DataError, TimeframeError

PAIRS = [("5min", "1h"), ("1min", "15m"), ("1h", "4h"), ("1h", "1D")]
MODES = {
    "runonce": {},
    "next": {"runonce": False},
    "preload off": {"preload": False},
    "exactbars 1": {"exactbars": 1},
    "exactbars -1": {"exactbars": -1},
    "exactbars -2": {"exactbars": -2},
}
PRICES = ["open", "high", "low", "close", "volume"]


def by_pandas(candles, timeframe):
    """What pandas makes of them, bars without a candle left out."""
    rules = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    return candles.resample(timeframe.replace("m", "min")).agg(rules).dropna(subset="open")


class StepWatcher(bt.Strategy):
    """Notes at each step the newest bar of every data: its lines, its length and the step's time."""

    def __init__(self):
        self.seen = [[] for _ in self.datas]

    def prenext(self):
        self.next()

    def next(self):
        for data, seen in zip(self.datas, self.seen, strict=True):
            if len(data) and (not seen or (len(data), data.datetime[0]) != seen[-1][:2]):
                values = {name: getattr(data.lines, name)[0] for name in data.getlinealiases()}
                seen.append((len(data), data.datetime[0], self.datetime[0], values))


def watch(cerebro, **mode):
    cerebro.addstrategy(StepWatcher)
    return cerebro.run(**mode)[0]


def table_of(seen, columns=PRICES):
    index = pd.DatetimeIndex([bt.num2date(row[1]) for row in seen]).round("s")
    return pd.DataFrame([row[3] for row in seen], index=index)[columns]


def gappy(candles, seed, share=0.15):
    """Without some candles, singly and in a long row, from somewhere within a bar to somewhere within another."""
    rng = np.random.default_rng(seed)
    keep = rng.random(len(candles)) > share
    hole = int(rng.integers(20, len(candles) - 60))
    keep[hole : hole + 40] = False
    return candles[keep].iloc[int(rng.integers(0, 5)) :]


def new_cerebro():
    return bt.Cerebro(stdstats=False)


# --- the same bars as pandas --------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("base", "timeframe"), PAIRS)
def test_resampled_bars_are_those_of_pandas_labelled_by_their_open(candles_of, base, timeframe, mode):
    candles = gappy(candles_of(400, freq=base, start="2024-01-01 00:20" if base != "1h" else "2024-01-01 05:00"), 1)
    cerebro = new_cerebro()
    feed = lbt.resample(cerebro, lbt.CandleFeed(candles), timeframe)
    table = table_of(watch(cerebro, **MODES[mode]).seen[0])
    wanted = by_pandas(candles, timeframe)
    assert list(table.index.tz_localize("UTC")) == list(wanted.index)
    np.testing.assert_allclose(table, wanted, rtol=1e-12)
    assert feed.bar_s == timeframe_seconds(timeframe)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("base", "timeframe"), PAIRS)
def test_a_bar_beside_its_candles_comes_with_the_last_of_them(candles_of, base, timeframe, mode):
    candles = gappy(candles_of(400, freq=base), 2)
    cerebro = new_cerebro()
    feed = lbt.CandleFeed(candles)
    cerebro.adddata(feed)
    lbt.resample(cerebro, feed, timeframe)
    seen = watch(cerebro, **MODES[mode]).seen
    wanted = by_pandas(candles, timeframe)
    assert len(seen[0]) == len(candles)
    np.testing.assert_allclose(table_of(seen[1]), wanted, rtol=1e-12)
    candle = pd.Timedelta(seconds=feed.bar_s)
    ends = wanted.index + pd.Timedelta(seconds=timeframe_seconds(timeframe))
    steps = [pd.Timestamp(bt.num2date(row[2])).round("s").tz_localize("UTC") for row in seen[1]]
    assert [step + candle for step in steps] == list(ends)  # known at its end, no candle earlier or later


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 150), share=st.sampled_from([0.0, 0.1, 0.3]))
def test_the_table_is_that_of_pandas_whatever_is_missing(candles_of, seed, n, share):
    candles = candles_of(n + 2, seed=seed % 5, freq="5min", start="2024-01-01 00:25")
    rng = np.random.default_rng(seed)
    candles = candles[(rng.random(n + 2) >= share) | (np.arange(n + 2) < 4)]
    wanted = by_pandas(candles, "1h")
    made = resample_candles(candles, "1h")
    pd.testing.assert_frame_equal(made, wanted, check_freq=False, check_names=False)
    last = forming_candles(candles, "1h").groupby(candles.index.floor("h")).last()
    np.testing.assert_allclose(last, wanted, rtol=1e-12)


def test_extra_columns_come_along_by_their_own_rules():
    index = pd.date_range("2024-01-01", periods=4, freq="30min", tz="UTC")
    nan = np.nan
    candles = pd.DataFrame(
        {
            **{name: [1.0, 2.0, 3.0, 4.0] for name in PRICES},
            "mark_open": [nan, 12.0, 13.0, 14.0],
            "mark_high": [15.0, 12.0, nan, nan],
            "mark_low": [9.0, 12.0, nan, 8.0],
            "mark_close": [11.0, 12.0, 13.0, nan],
            "funding_rate": [1e-4, 2e-4, nan, nan],
            "open_interest": [5.0, nan, 7.0, 8.0],
            "news": [1.0, 2.0, 0.0, nan],
        },
        index=index,
    )
    made = resample_candles(candles, "1h").iloc[:, 5:]
    wanted = [[12, 15, 9, 12, 3e-4, 5, 3], [13, nan, 8, 13, nan, 8, 0]]
    np.testing.assert_allclose(made, wanted)
    forming = forming_candles(candles, "1h").iloc[:, 5:]
    np.testing.assert_allclose(forming.iloc[[1, 3]], wanted)
    np.testing.assert_allclose(forming.iloc[0], [nan, 15, 9, 11, 1e-4, 5, 1])
    cerebro = new_cerebro()
    lbt.resample(cerebro, lbt.CandleFeed(candles), "1h")
    names = ["mark_open", "mark_high", "mark_low", "mark_close", "funding_rate", "openinterest", "news"]
    np.testing.assert_allclose(table_of(watch(cerebro).seen[0], names), wanted)


def test_only_what_the_feed_would_deliver_is_resampled(candles_of):
    candles = candles_of(300, freq="5min")
    feed = lbt.CandleFeed(
        candles, fromdate=pd.Timestamp("2024-01-01 02:10"), todate=pd.Timestamp("2024-01-01 07:20"), name="BTC"
    )
    cerebro = new_cerebro()
    hours = lbt.resample(cerebro, feed, "1h")
    table = table_of(watch(cerebro).seen[0])
    wanted = by_pandas(candles["2024-01-01 02:10":"2024-01-01 07:20"], "1h")
    np.testing.assert_allclose(table, wanted, rtol=1e-12)
    assert hours._name == "BTC"


def test_the_longer_bars_beside_their_candles_have_a_name_of_their_own(candles_of):
    cerebro, feed = new_cerebro(), lbt.CandleFeed(candles_of(60, freq="5min"), name="BTC")
    cerebro.adddata(feed)
    assert lbt.resample(cerebro, feed, "1h")._name == "BTC 1h"
    assert lbt.replay(cerebro, feed, "4h", name="forming")._name == "forming"


# --- datas of several lengths -------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_no_bar_is_seen_before_its_end_beside_shorter_ones(candles_of, mode):
    hours, fours = candles_of(120), candles_of(29, freq="4h")
    cerebro = new_cerebro()
    for candles in (fours, hours):
        cerebro.adddata(lbt.CandleFeed(candles))
    seen = watch(cerebro, **MODES[mode]).seen
    steps = pd.DatetimeIndex([bt.num2date(row[2]) for row in seen[0]]).round("s").tz_localize("UTC")
    assert list(steps + pd.Timedelta("1h")) == list(fours.index + pd.Timedelta("4h"))
    np.testing.assert_array_equal(table_of(seen[0]), fours)
    np.testing.assert_array_equal(table_of(seen[1]), hours)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(3))
def test_two_coins_with_other_gaps_keep_all_their_bars(candles_of, seed, mode):
    coins = [gappy(candles_of(300, seed=each, freq="5min"), seed * 10 + each) for each in (0, 1)]
    cerebro = new_cerebro()
    for candles in coins:
        feed = lbt.CandleFeed(candles)
        cerebro.adddata(feed)
        lbt.resample(cerebro, feed, "1h")
    seen = watch(cerebro, **MODES[mode]).seen
    for candles, base, hours in zip(coins, seen[::2], seen[1::2], strict=True):
        np.testing.assert_array_equal(table_of(base), candles)
        np.testing.assert_allclose(table_of(hours), by_pandas(candles, "1h"), rtol=1e-12)


# --- replay -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("base", "timeframe"), PAIRS)
def test_a_replayed_bar_is_at_every_step_what_its_candles_make_of_it(candles_of, base, timeframe, mode):
    candles = gappy(candles_of(400, freq=base), 3)
    cerebro = new_cerebro()
    lbt.replay(cerebro, lbt.CandleFeed(candles), timeframe)
    seen = watch(cerebro, **MODES[mode]).seen[0]
    assert len(seen) == len(candles)
    for at in (0, 1, 17, 200, len(candles) - 1):
        so_far = by_pandas(candles.iloc[: at + 1], timeframe)
        np.testing.assert_allclose(table_of(seen[at : at + 1]).iloc[0], so_far.iloc[-1], rtol=1e-12)
        assert seen[at][0] == len(so_far)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(3))
def test_replay_beside_a_feed_with_other_gaps_loses_no_candle(candles_of, seed, mode):
    candles, other = (gappy(candles_of(300, seed=each, freq="5min"), seed * 10 + each) for each in (0, 1))
    cerebro = new_cerebro()
    lbt.replay(cerebro, lbt.CandleFeed(candles), "1h")
    cerebro.adddata(lbt.CandleFeed(other))
    seen = watch(cerebro, **MODES[mode]).seen
    wanted = forming_candles(candles, "1h")
    np.testing.assert_allclose(table_of(seen[0]), wanted, rtol=1e-12)
    assert [row[1] for row in seen[0]] == [row[2] for row in seen[0]]  # each at its own time
    np.testing.assert_array_equal(table_of(seen[1]), other)


def test_orders_on_a_replayed_bar_fill_at_the_next_candle(candles_of):
    candles = candles_of(40, freq="5min")

    class Buyer(bt.Strategy):
        fills = []

        def next(self):
            if self.data.datetime.datetime(0).minute == 20 and not self.position:
                self.buy()

        def notify_order(self, order):
            if order.status == order.Completed:
                self.fills.append((order.executed.price, order.executed.size))

    for broker in (bt.brokers.BackBroker(), lbt.FuturesBroker()):
        Buyer.fills.clear()
        cerebro = new_cerebro()
        cerebro.setbroker(broker)
        lbt.replay(cerebro, lbt.CandleFeed(candles), "1h")
        cerebro.addstrategy(Buyer)
        cerebro.run()
        assert Buyer.fills == [(candles["open"].iloc[5], 1)]


# --- funding ------------------------------------------------------------------------------------------------


class Holder(bt.Strategy):
    def next(self):
        if not self.position:
            self.buy(size=1)


def funding_of(add, candles, **mode):
    cerebro = new_cerebro()
    cerebro.setbroker(lbt.FuturesBroker(cash=10_000))
    add(cerebro, lbt.CandleFeed(candles))
    cerebro.addstrategy(Holder)
    cerebro.run(**mode)
    return cerebro.broker.ledger.funding


@pytest.fixture
def with_funding(candles_of):
    candles = candles_of(96, freq="15min")
    return candles.assign(
        funding_rate=np.where(candles.index.hour * 60 + candles.index.minute == 8 * 60, 1e-3, np.nan)
    )


def test_funding_is_paid_once_on_resampled_and_on_replayed_bars(with_funding):
    paid = -with_funding["open"].iloc[32] * 1e-3
    for add in (lbt.resample, lbt.replay):
        assert funding_of(lambda cerebro, feed, add=add: add(cerebro, feed, "1h"), with_funding) == pytest.approx(
            paid
        )
    assert funding_of(lambda cerebro, feed: cerebro.adddata(feed), with_funding) == pytest.approx(paid)


@pytest.mark.parametrize(("add", "name"), [("resampledata", "resample"), ("replaydata", "replay")])
@pytest.mark.parametrize("beside", [False, True])
def test_funding_that_backtrader_drops_is_not_overlooked(with_funding, add, name, beside):
    def plain(cerebro, feed):
        if beside:
            cerebro.adddata(feed)
        return getattr(cerebro, add)(feed, timeframe=bt.TimeFrame.Minutes, compression=60, boundoff=15)

    class LastHolder(bt.Strategy):
        def next(self):
            if not self.getposition(self.datas[-1]):
                self.buy(data=self.datas[-1])

    cerebro = new_cerebro()
    cerebro.setbroker(lbt.FuturesBroker())
    plain(cerebro, lbt.CandleFeed(with_funding))
    cerebro.addstrategy(LastHolder)
    if name == "replay" and not beside:  # the tick carries the rate
        cerebro.run()
        assert cerebro.broker.ledger.funding == pytest.approx(-with_funding["open"].iloc[32] * 1e-3)
    else:
        with pytest.raises(
            DataError, match=rf"cerebro\.{add} drops the line funding_rate.*lstm_backtrader\.{name}"
        ):
            cerebro.run()


# --- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeframe", ["1", "h", "1M", "1.5h", "0h", "-1h", "1 h"])
def test_an_unknown_timeframe_is_refused(candles_of, timeframe):
    with pytest.raises(ConfigError, match=r"timeframe .* is unknown. Write a number and D, h, m or s"):
        lbt.resample(new_cerebro(), lbt.CandleFeed(candles_of(30)), timeframe)


@pytest.mark.parametrize("add", [lbt.resample, lbt.replay])
@pytest.mark.parametrize("timeframe", ["90m", "5m"])
def test_bars_that_do_not_fit_are_refused_as_measured(candles_of, add, timeframe):
    with pytest.raises(TimeframeError, match=rf"1h bars \(measured\) do not fit evenly into {timeframe} bars"):
        add(new_cerebro(), lbt.CandleFeed(candles_of(30)), timeframe)


def test_what_is_resampled_already_is_refused(candles_of):
    feed = lbt.CandleFeed(candles_of(30))
    feed.resample(timeframe=bt.TimeFrame.Days)
    with pytest.raises(ConfigError, match=r"takes a feed as it comes.*Give its source"):
        lbt.resample(new_cerebro(), feed, "4h")


def test_a_feed_that_does_not_know_its_bars_is_refused(candles_of):
    feed = bt.feeds.PandasData(dataname=candles_of(30, freq="5min").tz_localize(None))
    with pytest.raises(TimeframeError, match=r"declares 1D bars, which do not make up 1h bars.*use CandleFeed"):
        lbt.resample(new_cerebro(), feed, "1h")
    with pytest.raises(ConfigError, match="replay takes a CandleFeed, got PandasData"):
        lbt.replay(new_cerebro(), feed, "1h")


# --- feeds whose history nobody has -------------------------------------------------------------------------


class ArrivingFeed(bt.feed.DataBase):
    """Candles from a queue; None in it ends the feed, an empty one is a moment without news."""

    lines = ("funding_rate",)

    def __init__(self, candles):
        super().__init__()
        self.queue = queue.SimpleQueue()
        for row in [*candles.itertuples(), None]:
            self.queue.put(row)

    def islive(self):
        return True

    def _load(self):
        row = self.queue.get()
        if row is None:
            return False
        self.lines.datetime[0] = bt.date2num(row.Index.tz_localize(None).to_pydatetime())
        for name in PRICES:
            getattr(self.lines, name)[0] = getattr(row, name)
        self.lines.openinterest[0] = np.nan
        self.lines.funding_rate[0] = getattr(row, "funding_rate", np.nan)
        return True


def live(candles, minutes=5):
    return ArrivingFeed(candles, timeframe=bt.TimeFrame.Minutes, compression=minutes)


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_a_live_feed_makes_the_same_bars_as_its_candles_arrive(candles_of, seed, beside):
    candles = gappy(candles_of(300, freq="5min", start="2024-01-01 22:15"), seed)
    cerebro, feed = new_cerebro(), live(candles)
    if beside:
        cerebro.adddata(feed)
    lbt.resample(cerebro, feed, "1h")
    seen = watch(cerebro).seen
    np.testing.assert_allclose(table_of(seen[-1]), by_pandas(candles, "1h"), rtol=1e-12)


def test_two_live_feeds_with_other_gaps_keep_all_their_bars(candles_of):
    coins = [gappy(candles_of(300, seed=each, freq="5min"), each) for each in (0, 1)]
    cerebro = new_cerebro()
    for candles in coins:
        feed = live(candles)
        cerebro.adddata(feed)
        lbt.resample(cerebro, feed, "1h")
    seen = watch(cerebro).seen
    for candles, base, hours in zip(coins, seen[::2], seen[1::2], strict=True):
        np.testing.assert_array_equal(table_of(base), candles)
        np.testing.assert_allclose(table_of(hours), by_pandas(candles, "1h"), rtol=1e-12)


def test_a_live_feeds_own_lines_come_along(with_funding):
    cerebro, feed = new_cerebro(), live(with_funding, minutes=15)
    cerebro.adddata(feed)
    lbt.resample(cerebro, feed, "4h")
    rates = table_of(watch(cerebro).seen[1], ["funding_rate"])["funding_rate"]
    assert rates.dropna().tolist() == [1e-3]


def test_a_live_feed_that_declares_too_long_candles_is_found_out(candles_of):
    cerebro = new_cerebro()
    lbt.resample(cerebro, live(candles_of(60, freq="5min"), minutes=15), "1h")
    with pytest.raises(
        TimeframeError, match=r"came after its 1h bar was closed.*shorter than the 15m the feed declares"
    ):
        watch(cerebro)
