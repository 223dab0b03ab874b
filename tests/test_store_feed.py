"""`StoreFeed`: the store as a data of a run, with mark price, funding and events as lines."""

import pickle

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

import lstm_backtrader as lbt
from lstm_backtrader.datafeeds.series import Series
from lstm_backtrader.datafeeds.store import Store
from lstm_backtrader.errors import ConfigError, DataError

SERIES = Series("bybit", "BTC/USD:BTC", "candles", "1h")
HOUR = pd.Timedelta(hours=1)


@pytest.fixture
def store(tmp_path, candles):
    store = Store(tmp_path / "data")
    store.append(SERIES, candles, "bybit", covered=[(candles.index[0], candles.index[-1] + HOUR)])
    store.append(SERIES.other("mark"), candles * 1.001, "bybit")
    rates = pd.DataFrame({"funding_rate": 1e-4}, index=candles.index[::8])
    store.append(SERIES.other("funding"), rates, "bybit")
    return store


class Watcher(bt.Strategy):
    def __init__(self):
        self.seen = []

    def next(self):
        self.seen.append({name: getattr(self.data.lines, name)[0] for name in self.data.getlinealiases()})


def run(feed, **cerebro):
    engine = bt.Cerebro(stdstats=False, **cerebro)
    engine.adddata(feed)
    engine.addstrategy(Watcher)
    return pd.DataFrame(engine.run()[0].seen)


def test_mark_prices_and_funding_are_lines(store, candles):
    seen = run(lbt.StoreFeed("bybit", "BTC/USD:BTC", "1h", store=store))
    np.testing.assert_array_equal(seen["close"], candles["close"])
    np.testing.assert_array_equal(seen["mark_low"], candles["low"] * 1.001)
    assert seen["funding_rate"].notna().sum() == len(candles[::8])


def test_it_is_the_candle_feed_of_the_same_table(store):
    given = ("bybit", "BTC/USD:BTC", "1h", "2024-01-03", "2024-01-09")
    feed = lbt.StoreFeed(*given, store=store.root)
    assert isinstance(feed, lbt.CandleFeed)
    assert feed.p.name == "BTC/USD:BTC"
    table = pickle.loads(pickle.dumps(feed)).p.dataname
    pd.testing.assert_frame_equal(run(feed, exactbars=1), run(lbt.CandleFeed(table)))
    assert len(table) == 6 * 24


def test_events_are_lines_at_the_bar_they_are_known_by(store, candles):
    events = pd.DataFrame({"published": [candles.index[7] + HOUR / 2], "news": [3.0]})
    seen = run(lbt.StoreFeed("bybit", "BTC/USD:BTC", "1h", events=events, store=store))
    assert np.flatnonzero(seen["news"]).tolist() == [7]


def test_a_part_that_was_never_fetched_is_told(store, caplog):
    lbt.StoreFeed("bybit", "BTC/USD:BTC", "1h", "2023-12-30", store=store)
    assert "never fetched: 2023-12-30 00:00 to 2024-01-01 00:00" in caplog.text
    assert "lbt download --venue bybit --symbol BTC/USD:BTC --timeframe 1h --since 2023-12-30" in caplog.text


def test_what_cannot_be_read_is_refused(store):
    with pytest.raises(DataError, match="`lbt download --venue bybit --symbol ETH/USD:ETH"):
        lbt.StoreFeed("bybit", "ETH/USD:ETH", "1h", store=store)
    with pytest.raises(ConfigError, match="since 'spring' is no time"):
        lbt.StoreFeed("bybit", "BTC/USD:BTC", "1h", "spring", store=store)
    with pytest.raises(ConfigError, match="timeframe '' is unknown"):
        lbt.StoreFeed("bybit", "BTC/USD:BTC", store=store)
