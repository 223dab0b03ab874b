"""CandleFeed against bt.feeds.PandasData, the feed it replaces."""

import multiprocessing
import pickle

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.errors import DataError

STANDARD = ("close", "low", "high", "open", "volume", "openinterest", "datetime")
MODES = {
    "runonce": {},
    "next": {"runonce": False},
    "preload off": {"preload": False},
    "exactbars 1": {"exactbars": 1},
    "exactbars -1": {"exactbars": -1},
    "exactbars -2": {"exactbars": -2},
    "lookahead": {"lookahead": 3},
}


def make_candles(n=120, seed=0, freq="1h", tz="UTC"):
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, n)))
    open_ = np.concatenate(([100.0], close[:-1]))
    return pd.DataFrame(
        {
            "open": open_,
            "high": np.maximum(open_, close) * 1.01,
            "low": np.minimum(open_, close) * 0.99,
            "close": close,
            "volume": rng.uniform(1, 9, n),
        },
        index=pd.date_range("2024-01-01", periods=n, freq=freq, tz=tz, name="open_time"),
    )


@pytest.fixture
def candles():
    return make_candles()


@pytest.fixture
def rich(candles):
    """With columns beyond prices and volume."""
    return candles.assign(
        news=np.arange(len(candles)) % 3 - 1,
        funding_rate=np.where(candles.index.hour % 8 == 0, 1e-4, np.nan),
    )


class FrameWatcher(bt.Strategy):  # a name of its own: Backtrader keeps its lines by it, and it is pickled
    """Trades an SMA cross and notes every line, the average and every fill."""

    params = (("period", 5),)

    def __init__(self):
        self.sma = bt.indicators.SMA(self.data.close, period=self.p.period)
        self.bars, self.averages, self.fills = [], [], []

    def prenext(self):
        self.note()

    def next(self):
        self.note()
        self.averages.append(self.sma[0])
        above = self.data.close[0] > self.sma[0]
        if above and not self.position:
            self.buy()
        elif not above and self.position:
            self.close()

    def note(self):
        self.bars.append([line[0] for line in self.data.lines.itersize()])

    def notify_order(self, order):
        if order.status == order.Completed:
            self.fills.append((order.executed.dt, order.executed.size, order.executed.price))


def run(feed, add="adddata", how=None, **cerebro):
    engine = bt.Cerebro(stdstats=False, **cerebro)
    getattr(engine, add)(feed, **(how or {}))
    engine.addstrategy(FrameWatcher)
    return engine.run()[0]


def pandas_data(candles, **params):
    return bt.feeds.PandasData(dataname=candles, **params)


def assert_same_run(ours, theirs):
    assert len(theirs.fills) > 3
    assert ours.fills == theirs.fills
    assert ours.averages == theirs.averages
    np.testing.assert_array_equal(np.array(ours.bars), np.array(theirs.bars))


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_gives_the_bits_of_pandas_data(candles, mode):
    ours, theirs = run(CandleFeed(candles), **MODES[mode]), run(pandas_data(candles), **MODES[mode])
    assert_same_run(ours, theirs)
    assert len(ours.bars) == len(candles)
    for line in STANDARD:
        kept, expected = (list(getattr(side.data.lines, line).array) for side in (ours, theirs))
        np.testing.assert_array_equal(kept, expected)


@pytest.mark.parametrize("mode", ["runonce", "preload off"])
@pytest.mark.parametrize(
    "params",
    [
        {"fromdate": pd.Timestamp("2024-01-02"), "todate": pd.Timestamp("2024-01-04 05:00")},
        {"tz": "America/New_York"},
        {"tzinput": "Asia/Tokyo"},
        {"filters": [bt.filters.HeikinAshi]},
    ],
)
def test_dates_zones_and_filters_work_as_in_pandas_data(candles, params, mode):
    ours = run(CandleFeed(candles, **params), **MODES[mode])
    assert_same_run(ours, run(pandas_data(candles, **params), **MODES[mode]))


@pytest.mark.parametrize("add", ["adddata", "resampledata", "replaydata"])
@pytest.mark.parametrize("mode", MODES)
def test_ticks_are_those_of_pandas_data_at_every_step(candles, add, mode):
    class Ticks(bt.Strategy):
        def __init__(self):
            self.seen = []

        def prenext(self):
            self.seen.append({name: value for name, value in vars(self.data).items() if name.startswith("tick_")})

        next = prenext

    def ticks_of(kind, **hours):
        engine = bt.Cerebro(stdstats=False, **MODES[mode])
        four_hours = {"timeframe": bt.TimeFrame.Minutes, "compression": 240}
        getattr(engine, add)(kind(candles, **hours), **({} if add == "adddata" else four_hours))
        engine.addstrategy(Ticks)
        return pd.DataFrame(engine.run()[0].seen)

    ours = ticks_of(CandleFeed)
    theirs = ticks_of(pandas_data, timeframe=bt.TimeFrame.Minutes, compression=60)
    pd.testing.assert_frame_equal(ours, theirs[ours.columns], check_exact=True, check_dtype=False)
    assert set(ours) == set(theirs) == {f"tick_{name}" for name in STANDARD if name != "datetime"} | {"tick_last"}
    assert len(ours) > 20


@pytest.mark.parametrize("add", ["resampledata", "replaydata"])
def test_resampling_and_replay_work_as_in_pandas_data(candles, add):
    hours = {"timeframe": bt.TimeFrame.Minutes, "compression": 60}
    four_hours = {"timeframe": bt.TimeFrame.Minutes, "compression": 240}
    ours = run(CandleFeed(candles), add, four_hours)
    assert_same_run(ours, run(pandas_data(candles, **hours), add, four_hours))
    assert len(ours.data) == 31


def test_resampled_extra_lines_are_nan(rich):
    ours = run(CandleFeed(rich), "resampledata", {"timeframe": bt.TimeFrame.Minutes, "compression": 240})
    assert np.isnan(ours.data.lines.funding_rate.array).all()


@pytest.mark.parametrize("mode", MODES)
def test_extra_columns_are_lines_of_their_own(rich, mode):
    seen = run(CandleFeed(rich), **MODES[mode])
    np.testing.assert_array_equal(np.array(seen.bars)[:, 7:], rich[["news", "funding_rate"]])
    assert seen.data.news is seen.data.lines.news
    assert getattr(seen.data.lines, "mark_high", None) is None


def test_open_interest_fills_the_line_backtrader_has_for_it(candles):
    values = np.linspace(1, 2, len(candles))
    seen = run(CandleFeed(candles.assign(open_interest=values)))
    assert seen.data.getlinealiases() == STANDARD
    np.testing.assert_array_equal(seen.data.lines.openinterest.array, values)


def test_feeds_with_other_columns_do_not_disturb_each_other(candles):
    """(a, b_c) and (a_b, c) would share a class name if it were only glued together."""
    one, other = candles.assign(a=1.0, b_c=2.0), candles.assign(a_b=3.0, c=4.0)
    first, second = CandleFeed(one), CandleFeed(other)
    assert type(first) is type(CandleFeed(one))
    assert isinstance(second, CandleFeed)
    for feed, lines in ((first, ("a", "b_c")), (second, ("a_b", "c"))):
        assert pickle.loads(pickle.dumps(feed)).getlinealiases() == (*STANDARD, *lines)
    assert CandleFeed(candles).getlinealiases() == STANDARD


def test_a_second_run_sees_the_same_bars(rich):
    engine = bt.Cerebro(stdstats=False)
    engine.adddata(CandleFeed(rich))
    engine.addstrategy(FrameWatcher)
    first = engine.run()[0]
    usual = {"runonce": True, "preload": True, "exactbars": False, "lookahead": 0}
    for mode in MODES.values():
        np.testing.assert_array_equal(engine.run(**{**usual, **mode})[0].bars, first.bars)


@pytest.mark.parametrize("optdatas", [True, False])
def test_optimisation_in_two_processes_equals_one(rich, optdatas):
    def best(maxcpus):
        engine = bt.Cerebro(stdstats=False, maxcpus=maxcpus, optdatas=optdatas, optreturn=False)
        engine.adddata(CandleFeed(rich))
        engine.optstrategy(FrameWatcher, period=(3, 5))
        return [strategies[0] for strategies in engine.run()]

    alone, together = best(maxcpus=1), best(maxcpus=2)
    assert [strategy.p.period for strategy in together] == [3, 5]
    for one, other in zip(alone, together, strict=True):
        assert len(one.fills) > 3
        assert one.fills == other.fills
        np.testing.assert_array_equal(one.bars, other.bars)


def lines_of(feed):
    return feed.getlinealiases(), len(feed.p.dataname)


def test_a_feed_reaches_a_process_that_never_made_its_class(rich):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        lines, bars = pool.apply(lines_of, (CandleFeed(rich),))
    assert lines == (*STANDARD, "news", "funding_rate")
    assert bars == len(rich)


@given(first_ms=st.integers(0, 7 * 10**12), step_ms=st.integers(1000, 10**9))
def test_datetime_line_has_the_bits_of_date2num(first_ms, step_ms):
    stamps = pd.to_datetime(first_ms + step_ms * np.arange(30), unit="ms", utc=True)
    engine = bt.Cerebro(stdstats=False)
    engine.adddata(CandleFeed(make_candles(n=30).set_index(stamps)))
    expected = [bt.date2num(stamp) for stamp in stamps.tz_localize(None).to_pydatetime()]
    assert list(engine.run()[0].data.datetime.array) == expected


@pytest.mark.parametrize(
    ("freq", "expected"),
    [
        ("1s", (bt.TimeFrame.Seconds, 1)),
        ("90s", (bt.TimeFrame.Seconds, 90)),
        ("1min", (bt.TimeFrame.Minutes, 1)),
        ("4h", (bt.TimeFrame.Minutes, 240)),
        ("1D", (bt.TimeFrame.Days, 1)),
        ("7D", (bt.TimeFrame.Weeks, 1)),
    ],
)
def test_bar_length_is_measured(freq, expected):
    table = make_candles(freq=freq).drop(make_candles(freq=freq).index[10:13])
    feed = CandleFeed(table)
    assert (feed.p.timeframe, feed.p.compression) == expected
    assert (feed._timeframe, feed._compression) == expected


def test_bar_length_can_be_stated(candles):
    feed = CandleFeed(candles, timeframe=bt.TimeFrame.Days)
    assert (feed._timeframe, feed._compression) == (bt.TimeFrame.Days, 1)


def test_name_is_the_symbol_unless_given(candles):
    candles.attrs["symbol"] = "BTC/USDT:USDT"
    assert CandleFeed(candles)._name == "BTC/USDT:USDT"
    assert CandleFeed(candles, name="btc")._name == "btc"
    assert CandleFeed(make_candles())._name == ""


@pytest.mark.parametrize("tz", [None, "UTC"])
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_naive_stamps_are_utc_in_any_unit(candles, tz, unit):
    table = make_candles(tz=tz)
    table.index = table.index.as_unit(unit)
    np.testing.assert_array_equal(run(CandleFeed(table)).bars, run(CandleFeed(candles)).bars)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda c: c["close"], "takes a DataFrame of candles, got Series"),
        (lambda c: c.drop(columns=["high", "low"]), "column high, low missing; found open, close, volume"),
        (lambda c: c.rename(columns=str.title), "column open, high, low, close, volume missing"),
        (lambda c: c.iloc[:0], "the table has 0 rows"),
        (lambda c: c.reset_index(drop=True), "the index holds int64, not the bars' open times"),
        (lambda c: c.tz_convert("Asia/Tokyo"), "the stamps are in Asia/Tokyo, not UTC.*tz_convert"),
        (lambda c: c.iloc[[0, 2, 1]], "row 3: 2024-01-01 01:00 follows 2024-01-01 02:00"),
        (lambda c: c.iloc[[0, 1, 1]], "row 3: 2024-01-01 01:00 follows 2024-01-01 01:00"),
        (lambda c: c.set_index(c.index.where(c.index != c.index[3])), "a stamp is missing"),
        (lambda c: c.assign(note="x"), "column 'note' holds str, not numbers"),
        (lambda c: c.assign(openinterest=1.0, open_interest=1.0), "two columns for the line 'openinterest'"),
        (lambda c: c.assign(forward=1.0), "column 'forward' cannot be a line"),
        (lambda c: c.assign(**{"two words": 1.0}), "column 'two words' cannot be a line"),
        (lambda c: make_candles(freq="10ms"), "the stamps are less than a second apart"),
        (lambda c: c.iloc[:1], "measured between bars; 1 is too few"),
    ],
)
def test_tables_that_break_the_contract_are_refused(candles, spoil, message):
    with pytest.raises(DataError, match=message):
        CandleFeed(spoil(candles))
