"""`CCXTLive` over the loopback venue: what a strategy sees is what the venue served, whatever happened between."""

import dataclasses
import logging
from itertools import pairwise
from time import monotonic

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from live_venue import VenueTime

import lstm_backtrader as lbt
from lstm_backtrader.candles import COLUMNS, MARK_COLUMNS
from lstm_backtrader.datafeeds.ccxt_live import open_live
from lstm_backtrader.datafeeds.grouping import resample_candles
from lstm_backtrader.datafeeds.loopback.market import ServedMarket
from lstm_backtrader.datafeeds.loopback.server import LoopbackVenue
from lstm_backtrader.datafeeds.series import Series
from lstm_backtrader.datafeeds.store import Store
from lstm_backtrader.datafeeds.store_check import verify
from lstm_backtrader.errors import ConfigError, VenueError

HOUR = pd.Timedelta(hours=1)
SERIES = Series("bybit", "BTC/USD:BTC", "candles", "1h")


def market_of(candles, every=8):
    stamps = candles.index[::every]
    values = np.linspace(-1e-4, 1e-4, len(stamps))
    rates = pd.DataFrame({"funding_rate": values}, index=stamps + pd.Timedelta("3ms"))
    return ServedMarket("bybit", "BTC/USD:BTC", candles, candles.drop(columns="volume") * 1.001, rates)


@pytest.fixture
def market(candles_of):
    """700 hours with their mark prices and funding."""
    return market_of(candles_of(700))


class Watcher(bt.Strategy):
    """Notes every bar with its lines, and every word about the data; stops after as many bars as it is told."""

    params = (("bars", 600), ("model", None))

    def __init__(self):
        self.seen, self.told, self.said = [], [], []
        if self.p.model is not None:
            self.signal = lbt.LSTMSignal(self.data, model=self.p.model)

    def prenext(self):
        self.note()

    def next(self):
        if self.p.model is not None:
            self.said.append([line[0] for line in self.signal.lines])
        self.note()

    def note(self):
        self.seen.append({name: getattr(self.data.lines, name)[0] for name in self.data.getlinealiases()})
        if len(self.seen) == self.p.bars:
            self.env.runstop()

    def notify_data(self, data, status, *args, **kwargs):
        self.told.append((len(self.seen), data._getstatusname(status)))


def run(market, *, after=100, bars=600, outages=(), strategy=Watcher, prepare=lambda engine, feed: None, **given):
    """Begin when `after` bars have closed, with all of them as backfill, until `bars` have been seen."""
    feed = {name: given.pop(name) for name in ("store", "backfill", "todate", "keep") if name in given}
    with LoopbackVenue([market]) as venue:
        time = VenueTime(venue, market.candles.index[0] + after * HOUR + pd.Timedelta("61s"), list(outages))
        engine = bt.Cerebro(stdstats=False)
        feed = {"backfill": after, "via": venue.address, "clock": time.clock(), **feed}
        live = lbt.CCXTLive("bybit", "BTC/USD:BTC", "1h", **feed)
        engine.adddata(live)
        prepare(engine, live)
        engine.addstrategy(strategy, bars=bars, **given)
        (result,) = engine.run()
        result.asked = venue.asked
        return result


def table(seen):
    frame = pd.DataFrame(seen)
    seconds = np.rint((frame.pop("datetime").to_numpy() - 719_163) * 86_400).astype(np.int64)
    return frame.set_index(pd.DatetimeIndex(pd.to_datetime(seconds, unit="s", utc=True)))


def assert_saw(watcher, market, bars=600):
    seen, served = table(watcher.seen), market.candles.iloc[:bars]
    assert (seen.index == served.index).all()
    np.testing.assert_array_equal(seen[list(COLUMNS)], served[list(COLUMNS)])
    np.testing.assert_array_equal(seen[list(MARK_COLUMNS)], market.mark.iloc[:bars])
    rates = market.funding[market.funding.index < served.index[-1] + HOUR]
    settled = seen["funding_rate"].dropna()
    assert (settled.index == rates.index.floor("h")).all()
    np.testing.assert_array_equal(settled, rates["funding_rate"])


# --- what is seen -------------------------------------------------------------------------------------------


def test_a_run_with_twenty_disconnects_sees_the_bars_that_were_served_and_forecasts_them_as_a_backtest_does(
    market, untrained_model, tmp_path, caplog
):
    # given twenty outages from just before a bar closes on: most of minutes, every sixth of up to four hours
    rng = np.random.default_rng(1)
    starts = market.candles.index[110:590:24] + pd.Timedelta("59min") + rng.integers(0, 60, 20) * pd.Timedelta("1s")
    lengths = [rng.uniform(60, 240) * (60 if number % 6 == 0 else 1.5) for number in range(20)]
    outages = [(start, start + pd.Timedelta(seconds=each)) for start, each in zip(starts, lengths, strict=True)]
    model = untrained_model(context=24, stride=6)

    # when
    caplog.set_level(logging.WARNING)
    live = run(market, outages=outages, store=tmp_path, model=model)

    # then
    assert_saw(live, market)
    words = [word for _, word in live.told]
    assert words.count("DISCONNECTED") == 20
    assert words[:2] == ["DELAYED", "LIVE"]
    assert live.told[1] == (100, "LIVE")
    assert {after for word, after in pairwise(words) if word == "DISCONNECTED"} == {"DELAYED", "LIVE"}
    assert caplog.text.count("the venue is out of reach") == 20
    engine = bt.Cerebro(stdstats=False)
    engine.adddata(lbt.CandleFeed(market.candles.iloc[:600]))
    engine.addstrategy(Watcher, model=model)
    np.testing.assert_allclose(live.said, engine.run()[0].said, rtol=0, atol=1e-6)
    assert np.isfinite(np.array(live.said)[:, 1]).sum() > 500


SIX = {
    "binanceusdm": "BTC/USDT:USDT",
    "binancecoinm": "BTC/USD:BTC",
    "bybit": "BTC/USDT:USDT",
    "bingx": "BTC/USDT:USDT",
    "bitget": "BTC/USDT:USDT",
    "bitmex": "BTC/USD:BTC",
}


@pytest.mark.parametrize("name", SIX)
def test_every_venue_can_be_followed(candles_of, tmp_path, name):
    candles = candles_of(80)
    market = dataclasses.replace(market_of(candles), venue=name, symbol=SIX[name])
    with LoopbackVenue([market]) as venue:
        clock = VenueTime(venue, candles.index[30] + pd.Timedelta("61s")).clock()
        engine = bt.Cerebro(stdstats=False)
        engine.adddata(
            lbt.CCXTLive(name, SIX[name], "1h", backfill=30, via=venue.address, clock=clock, store=tmp_path)
        )
        engine.addstrategy(Watcher, bars=60)
        (watcher,) = engine.run()
    seen = table(watcher.seen)
    assert (seen.index == candles.index[:60]).all()
    np.testing.assert_allclose(seen[list(COLUMNS)], candles.iloc[:60], rtol=1e-12)
    assert seen["funding_rate"].notna().sum() == 8
    assert seen["mark_close"].notna().sum() == (0 if name == "bitmex" else 60)
    assert watcher.told == [(0, "DELAYED"), (30, "LIVE")]


def test_two_markets_are_followed_side_by_side(candles_of, tmp_path):
    coins = {coin: candles_of(90, seed=seed) for seed, coin in enumerate(("BTC", "ETH"))}
    markets = [ServedMarket("bybit", f"{coin}/USDT:USDT", each) for coin, each in coins.items()]
    closes = []

    class Both(bt.Strategy):
        def next(self):
            closes.append((self.data.datetime[0], *(data.close[0] for data in self.datas)))
            if len(closes) == 70:
                self.env.runstop()

    with LoopbackVenue(markets) as venue:
        time = VenueTime(venue, coins["BTC"].index[30] + pd.Timedelta("61s"))
        engine = bt.Cerebro(stdstats=False)
        for coin in coins:
            given = {"backfill": 30, "via": venue.address, "clock": time.clock(), "store": tmp_path}
            engine.adddata(lbt.CCXTLive("bybit", f"{coin}/USDT:USDT", "1h", **given))
        engine.addstrategy(Both)
        engine.run()
    last = {time: prices for time, *prices in closes}  # a step may bring one of the two before the other
    expected = np.stack([each["close"].to_numpy() for each in coins.values()], axis=1)
    assert len(last) >= 35
    np.testing.assert_array_equal(list(last.values()), expected[: len(last)])


def test_the_store_spares_requests_as_far_as_it_covers_all_that_is_wanted(market, tmp_path):
    store, covered = Store(tmp_path), [(market.candles.index[0], market.candles.index[90])]
    kinds = {"candles": market.candles, "mark": market.mark, "funding": market.funding}
    for kind, rows in kinds.items():
        store.append(SERIES.other(kind), rows[rows.index < covered[0][1]], "bybit", covered=covered)
    watcher = run(market, bars=110, store=store)
    assert_saw(watcher, market, 110)
    assert watcher.told == [(0, "DELAYED"), (100, "LIVE")]
    oldest = min(int(url.split("start=")[1].split("&")[0]) for url in watcher.asked if "kline" in url)
    assert pd.Timestamp(oldest, unit="ms", tz="UTC") == market.candles.index[90]


def test_what_came_is_kept_where_that_is_wanted_and_need_not_come_again(market, tmp_path):
    store = Store(tmp_path)
    run(market, bars=130, store=store)
    assert store.series() == []
    gone = market.candles.index[115]
    served = dataclasses.replace(market, candles=market.candles.drop(gone), mark=market.mark.drop(gone))
    assert_saw(run(served, bars=130, store=store, keep=True), served, 130)
    for kind in ("candles", "mark", "funding"):
        series, rows = SERIES.other(kind), getattr(served, kind)
        kept = store.read(series)
        pd.testing.assert_frame_equal(kept, rows.iloc[: len(kept)], check_freq=False, check_names=False)
        assert verify(store, series) == []
        assert store.missing(series, rows.index[0].floor("h"), market.candles.index[128]) == []
    assert len(store.read(SERIES)) == 130
    assert store.gaps(SERIES) == [(gone, gone + HOUR)]
    again = run(served, after=131, bars=131, store=store)
    assert_saw(again, served, 131)
    oldest = min(int(url.split("start=")[1].split("&")[0]) for url in again.asked if "/kline" in url)
    assert pd.Timestamp(oldest, unit="ms", tz="UTC") >= market.candles.index[130]


def test_a_bar_of_bitmex_costs_one_request_and_no_question_for_the_time(candles_of, tmp_path, monkeypatch):
    candles = candles_of(60)
    market = ServedMarket("bitmex", "BTC/USD:BTC", candles)
    with LoopbackVenue([market]) as venue:
        time = VenueTime(venue, candles.index[30] + pd.Timedelta("61s"))
        monkeypatch.setattr("time.monotonic", lambda: time.now.timestamp())
        source = open_live(
            Series("bitmex", "BTC/USD:BTC", "candles", "1h"), 30, None, None, venue.address, time.clock()
        )
        assert len(source.poll()) == 30
        source._kinds = ("candles",)
        for number in range(30, 50):
            time.set(time.now + source.wait_s() * pd.Timedelta("1s"))
            before = len(venue.asked)
            assert source.poll().index.tolist() == [candles.index[number]]
            assert [url.partition("?")[0].rpartition("/")[2] for url in venue.asked[before:]] == ["bucketed"]
        source.close()


def test_a_venue_whose_clock_runs_fast_is_followed_at_its_pace(candles_of, tmp_path):
    candles = candles_of(90)
    began = round(candles.index[30].timestamp() * 1000)
    with LoopbackVenue([ServedMarket("bybit", "BTC/USD:BTC", candles)], now_ms=began, speed=36_000) as venue:
        engine = bt.Cerebro(stdstats=False)
        engine.adddata(lbt.CCXTLive("bybit", "BTC/USD:BTC", "1h", backfill=10, via=venue.address, store=tmp_path))
        engine.addstrategy(Watcher, bars=20)
        before = monotonic()
        (watcher,) = engine.run()
    seen = table(watcher.seen)
    begin = candles.index.get_loc(seen.index[0])
    assert (seen.index == candles.index[begin : begin + 20]).all()
    assert monotonic() - before < 10  # of ten hours


def test_gaps_of_the_venue_are_passed_over_and_late_bars_waited_for(candles_of, tmp_path):
    candles = candles_of(220)
    gappy = candles.drop(candles.index[[40, 41, 130, 131, 150]])
    market = market_of(gappy)
    watcher = run(market, after=100, bars=180, store=tmp_path)
    assert (table(watcher.seen).index == gappy.index[:180]).all()


def test_a_settlement_that_is_published_late_stands_at_the_next_bar(market, tmp_path, caplog):
    published = []

    class Publisher(Watcher):
        def next(self):
            super().next()
            if len(self.seen) == 106:  # the bar that holds the stamp has been given without it
                object.__setattr__(market, "funding", pd.concat([market.funding, late]).sort_index())
                market._groups.pop(("funding", 1), None)
                published.append(len(self.seen))

    late = market.funding.iloc[[13]]  # of 2024-01-05 08:00, the 105th bar
    object.__setattr__(market, "funding", market.funding.drop(late.index))
    watcher = run(market, after=100, bars=120, strategy=Publisher, store=tmp_path)
    rates = table(watcher.seen)["funding_rate"]
    assert np.isnan(rates.iloc[104])
    assert rates.iloc[106] == late["funding_rate"].iloc[0]
    assert published == [106]
    assert "came late and stands at the next bar" in caplog.text


def test_a_mark_price_that_is_late_is_waited_for_a_minute(market, tmp_path):
    object.__setattr__(market, "mark", market.mark.drop(market.mark.index[[104, 105]]))
    watcher = run(market, after=100, bars=110, store=tmp_path)
    seen = table(watcher.seen)
    assert (seen.index == market.candles.index[:110]).all()
    assert np.flatnonzero(seen["mark_close"].isna()).tolist() == [104, 105]


def test_longer_bars_are_made_on_top(market, tmp_path):
    class Longer(Watcher):
        def __init__(self):
            super().__init__()
            self.longer = {}

        def next(self):
            super().next()
            data = self.datas[1]
            if len(data):
                self.longer[data.datetime[0]] = [getattr(data.lines, name)[0] for name in (*COLUMNS, "mark_low")]

    watcher = run(
        market,
        bars=300,
        strategy=Longer,
        store=tmp_path,
        prepare=lambda engine, feed: lbt.resample(engine, feed, "4h"),
    )
    whole = market.candles.assign(mark_low=market.mark["low"]).iloc[: len(watcher.seen) // 4 * 4]
    expected = resample_candles(whole, "4h")
    made = np.array(list(watcher.longer.values()))
    np.testing.assert_allclose(made, expected.iloc[: len(made)], rtol=1e-12)
    assert len(made) >= len(expected) - 1


def test_the_run_ends_with_the_bar_before_todate(market, tmp_path):
    watcher = run(market, todate=market.candles.index[120].tz_localize(None), bars=None, store=tmp_path)
    assert len(watcher.seen) == 121


def test_no_backfill_begins_with_the_next_bar(market, tmp_path):
    watcher = run(market, after=100, backfill=0, bars=3, store=tmp_path)
    assert (table(watcher.seen).index == market.candles.index[100:103]).all()


# --- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (("bybyt", "BTC/USD:BTC", "1h"), "venue 'bybyt' is not known. Did you mean 'bybit'"),
        (("bybit", "BTC/USDC:USDC", "1h"), "bybit has no perpetual 'BTC/USDC:USDC'"),
        (("bybit", "BTC/USD:BTC", "8h"), "bybit has no 8h bars; it has 1m, 3m"),
        (("bybit", "BTC/USD:BTC", "hourly"), "timeframe 'hourly' is unknown"),
    ],
)
def test_what_is_not_there_is_refused_before_the_run(market, given, match):
    engine = bt.Cerebro(stdstats=False)
    engine.addstrategy(Watcher)

    def start(venue):
        clock = VenueTime(venue, market.candles.index[9]).clock()
        engine.adddata(lbt.CCXTLive(*given, via=venue.address, clock=clock))
        engine.run()

    with LoopbackVenue([market]) as venue, pytest.raises(ConfigError, match=match):
        start(venue)


def test_a_venue_that_cannot_be_reached_at_the_start_is_an_error(market):
    engine = bt.Cerebro(stdstats=False)
    engine.adddata(lbt.CCXTLive("bybit", "BTC/USD:BTC", "1h", via="http://127.0.0.1:9"))
    engine.addstrategy(Watcher)
    with pytest.raises(VenueError, match="bybit gives no answer"):
        engine.run()


def test_a_negative_backfill_is_refused():
    with pytest.raises(ConfigError, match=r"backfill -1 is below 0. Give the bars that the warm-up needs"):
        lbt.CCXTLive("bybit", "BTC/USD:BTC", "1h", backfill=-1)


def test_what_a_loopback_venue_makes_up_is_not_kept_in_ones_own_store():
    with pytest.raises(ConfigError, match=r"keep=True would write .* into your own store. Add store='dry-run'"):
        lbt.CCXTLive("bybit", "BTC/USD:BTC", "1h", via="http://127.0.0.1:9", keep=True)


def test_ones_own_store_is_not_mixed_into_a_dry_run(market, tmp_path, monkeypatch):
    monkeypatch.setenv("LBT_STORE", str(tmp_path))
    covered = [(market.candles.index[0], market.candles.index[50])]
    for kind, rows in {"candles": market.candles * 2.0, "mark": market.mark, "funding": market.funding}.items():
        Store().append(SERIES.other(kind), rows[rows.index < covered[0][1]], "bybit", covered=covered)
    assert_saw(run(market, bars=110), market, 110)
