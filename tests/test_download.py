"""Downloads into the store: the same rows and manifest, whatever goes wrong and however often it is killed."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
from served import HOUR, KEPT, MARKETS, START, assert_rows, client_of, served, serving, with_gaps

from lstm_backtrader.datafeeds.ccxt_client import connect
from lstm_backtrader.datafeeds.ccxt_errors import Retry
from lstm_backtrader.datafeeds.downloading import download, series_to_fetch
from lstm_backtrader.datafeeds.loopback.faults import Faults
from lstm_backtrader.datafeeds.series import Series
from lstm_backtrader.datafeeds.store import Store
from lstm_backtrader.datafeeds.store_check import verify
from lstm_backtrader.errors import ConfigError, VenueError

N = 5000
END = START + N * HOUR
FIRST_OF_EACH = set(dict(reversed(MARKETS)).items())  # the other markets of a venue are shorter, to save time


def kinds_of(venue, symbol):
    if venue == "bitmex":
        return ["candles", "funding"]
    return ["candles"] if (venue, symbol) == ("bingx", "BTC/USD:BTC") else ["candles", "mark", "funding"]


def fetch_all(client, store, symbol, kinds, until=END):
    return [
        download(client, store, series, START, until) for series in series_to_fetch(client, symbol, "1h", kinds)
    ]


def assert_stored(store, market, kinds, end=END):
    """The store has the rows served, and nothing else."""
    tables = {kind: getattr(market, kind) for kind in ("candles", "mark", "funding", "open_interest")}
    for kind in kinds:
        series = Series(market.venue, market.symbol, kind, None if kind == "funding" else "1h")
        expected = tables[kind][tables[kind].index < end]
        assert_rows(store.read(series), expected)
        assert verify(store, series) == []
        assert store.missing(series, START, end) == []


def contents(store):
    """Path -> bytes of all that counts in a store."""
    files = sorted(path for path in store.root.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(store.root)): path.read_bytes() for path in files}


# --- equal to what is served ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("venue", "symbol"), MARKETS)
def test_five_thousand_bars_with_mark_and_funding_come_whole_through_faults(venue, symbol, tmp_path):
    n = N if (venue, symbol) in FIRST_OF_EACH else 1500
    market, kinds, end = with_gaps(venue, symbol, n), kinds_of(venue, symbol), START + n * HOUR
    faults = Faults(rate=0.3, seed=1)
    store = Store(tmp_path)
    with serving(market, now=END + 40 * HOUR, faults=faults) as loopback:
        done = fetch_all(client_of(loopback), store, symbol, kinds, end)
    assert_stored(store, market, kinds, end)
    assert sum(faults.seen.values()) > 5
    assert [(gap[1] - gap[0]) // HOUR for gap in done[0].gaps] == [2, 1, 1]


@pytest.mark.parametrize(("venue", "symbol"), MARKETS)
def test_a_download_broken_off_at_random_ends_like_one_that_was_not(venue, symbol, tmp_path):
    market, kinds = with_gaps(venue, symbol, 900), kinds_of(venue, symbol)
    end = START + 900 * HOUR
    whole, broken = Store(tmp_path / "whole"), Store(tmp_path / "broken")
    with serving(market, now=END) as loopback:
        fetch_all(client_of(loopback), whole, symbol, kinds, end)
        client = client_of(loopback, tries=1)
        client.market(symbol)
        client.read_clock()
        client.habits = replace(client.habits, page=90)  # more pages to break off between
        loopback.faults = Faults(rate=0.4, seed=5, kinds=("bad_gateway", "hang_up", "cut_body", "short_page"))
        breaks = 0
        for _ in range(200):
            try:
                fetch_all(client, broken, symbol, kinds, end)
                break
            except VenueError:
                breaks += 1
    assert breaks > 1
    assert contents(broken) == contents(whole)
    assert_stored(broken, market, kinds, end)


KILLED = """
import dataclasses, os, random, signal, sys, threading, time
from pathlib import Path
import ccxt
from lstm_backtrader.datafeeds.ccxt_client import connect
from lstm_backtrader.datafeeds.ccxt_errors import Retry
from lstm_backtrader.datafeeds.downloading import download, series_to_fetch
from lstm_backtrader.datafeeds.store import Store

address, venue, symbol, kinds, root, until = sys.argv[1:]

def fetch_and_die(draws):
    pages, begun = draws.randrange(2), [time.monotonic()]

    def progress(label, done, total):
        begun.append(time.monotonic())
        if len(begun) == 2 + pages:  # some time within the next page
            moment = draws.uniform(0.0, 1.5 * (begun[-1] - begun[-2]))
            threading.Timer(moment, os.kill, (os.getpid(), signal.SIGKILL)).start()

    client = connect(venue, via=address, retry=Retry(sleep=lambda seconds: None))
    client.habits = dataclasses.replace(client.habits, page=30, interest=30)
    for series in series_to_fetch(client, symbol, "1h", kinds.split(",")):
        download(client, Store(Path(root)), series, "2023-01-01", until, progress)

for number in range(20):
    child = os.fork()
    if child == 0:
        fetch_and_die(random.Random(number))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print(os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
@pytest.mark.parametrize(
    ("venue", "kinds"), [("bitmex", ["candles", "funding"]), ("bybit", ["open_interest", "candles"])]
)
def test_killed_twenty_times_it_goes_on_and_nothing_is_there_twice_or_lost(venue, kinds, tmp_path):
    symbol, end = "BTC/USD:BTC", START + 2400 * HOUR
    market = with_gaps(venue, symbol, 2400)
    whole, killed = Store(tmp_path / "whole"), Store(tmp_path / "killed")
    with serving(market, now=END, faults=Faults(rate=0.1, seed=2)) as loopback:
        fetch_all(client_of(loopback), whole, symbol, kinds, end)
        given = (loopback.address, venue, symbol, ",".join(kinds), str(killed.root), end.isoformat())
        driver = subprocess.run(
            [sys.executable, "-c", KILLED, *given], capture_output=True, text=True, check=True, timeout=120
        )
        assert driver.stdout.split() == ["True"] * 20, driver.stderr
        assert 0 < len(killed.read(Series(venue, symbol, kinds[0], "1h"))) < 2390
        fetch_all(client_of(loopback), killed, symbol, kinds, end)
    assert contents(killed) == contents(whole)
    assert_stored(killed, market, kinds, end)


# --- only what is missing -------------------------------------------------------------------------------------


def test_what_is_there_is_not_asked_for_again(tmp_path):
    market = with_gaps("bybit", "BTC/USD:BTC", 3000)
    store, end = Store(tmp_path), START + 3000 * HOUR
    with serving(market, now=end) as loopback:
        client = client_of(loopback)
        fetch_all(client, store, "BTC/USD:BTC", ["candles"], START + 1000 * HOUR)
        loopback.asked.clear()
        (done,) = fetch_all(client, store, "BTC/USD:BTC", ["candles"], end)
        starts = [int(url.partition("start=")[2].partition("&")[0]) for url in loopback.asked if "start=" in url]
        assert min(starts) == (START + 1000 * HOUR).value // 1_000_000
        loopback.asked.clear()
        assert fetch_all(client, store, "BTC/USD:BTC", ["candles"], end)[0].rows == 0
        assert not [url for url in loopback.asked if "kline" in url]
    assert done.rows == 3000 - 1000 - 2
    assert_stored(store, market, ["candles"], end)


def test_bars_that_close_later_are_fetched_later(tmp_path):
    market = served("binanceusdm", "BTC/USDT:USDT", 300)
    store = Store(tmp_path)
    series = Series("binanceusdm", "BTC/USDT:USDT", "candles", "1h")
    with serving(market, now=START + 100.5 * HOUR) as loopback:
        client = client_of(loopback)
        assert download(client, store, series, START).rows == 100
        loopback.now_ms += 50 * 3_600_000
        client.read_clock()
        assert download(client, store, series, START).rows == 50
    assert store.missing(series, START, START + 151 * HOUR) == [(START + 150 * HOUR, START + 151 * HOUR)]


def test_earlier_bars_can_be_added_in_front(tmp_path):
    market = served("bitmex", "BTC/USD:BTC", 900)
    store, end = Store(tmp_path), START + 900 * HOUR
    series = Series("bitmex", "BTC/USD:BTC", "candles", "1h")
    with serving(market, now=end) as loopback:
        client = client_of(loopback)
        download(client, store, series, START + 600 * HOUR, end)
        assert download(client, store, series, START, end).rows == 600
    assert_stored(store, market, ["candles"], end)


def test_the_progress_ends_at_its_total(tmp_path):
    seen = []
    with serving(served("bybit", "BTC/USD:BTC", 2501), now=START + 2500.4 * HOUR) as loopback:
        series = Series("bybit", "BTC/USD:BTC", "candles", "1h")
        download(client_of(loopback), Store(tmp_path), series, START, None, lambda *told: seen.append(told))
    assert seen[-1] == (str(series), 2500, 2500)
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)


@pytest.mark.parametrize(
    ("since", "until", "says"),
    [
        ("2023-01-05", "2023-01-04", "since 2023-01-05 00:00 is not before until 2023-01-04 00:00. Swap them"),
        ("2030-01-01", None, "since 2030-01-01 00:00 is in the future at bybit. Choose an earlier day"),
        ("2030-01-01", "2030-01-02", "since 2030-01-01 00:00 is in the future at bybit. Choose an earlier day"),
        ("1999-01-01", None, "since 1999-01-01 is before there was anything to trade. Choose a later day"),
    ],
)
def test_days_that_cannot_be_are_refused(since, until, says, tmp_path):
    with (
        serving(served("bybit", "BTC/USD:BTC", 9), now=START + 900 * HOUR) as loopback,
        pytest.raises(ConfigError, match=says),
    ):
        download(
            client_of(loopback), Store(tmp_path), Series("bybit", "BTC/USD:BTC", "candles", "1h"), since, until
        )


@pytest.mark.parametrize(
    ("symbol", "timeframe", "says"),
    [
        ("BTC/USD", "1h", r"bybit has no perpetual 'BTC/USD'. Did you mean 'BTC/USD:BTC'\? Write ccxt's name"),
        ("BTC/USD:BTC", "8h", "bybit has no 8h bars; it has 1m, 3m, 5m, .* Fetch shorter ones and make 8h of them"),
        ("BTC/USD:BTC", "7m", "bybit has no 7m bars"),
    ],
)
def test_what_the_venue_has_not_got_is_refused_with_what_it_has(symbol, timeframe, says):
    with (
        serving(served("bybit", "BTC/USD:BTC", 9), now=START + 9 * HOUR) as loopback,
        pytest.raises(ConfigError, match=says),
    ):
        series_to_fetch(client_of(loopback), symbol, timeframe, ["candles"])


def test_the_venues_own_name_of_a_market_does_too():
    with serving(served("bitmex", "BTC/USD:BTC", 9), now=START + 9 * HOUR) as loopback:
        assert series_to_fetch(client_of(loopback), "XBTUSD", "60m", ["candles", "funding"]) == [
            Series("bitmex", "BTC/USD:BTC", "candles", "1h"),
            Series("bitmex", "BTC/USD:BTC", "funding"),
        ]


def test_an_unknown_venue_is_refused_with_the_nearest():
    with pytest.raises(
        ConfigError, match=r"venue 'bibyt' is not known. Did you mean 'bybit'\? Choose from binanceusdm"
    ):
        connect("bibyt")


# --- open interest --------------------------------------------------------------------------------------------


def begin_of(venue, now):
    """Of the open interest that a venue still has."""
    return START if KEPT[venue] is None else (now - KEPT[venue] * 24 * HOUR).ceil("1D")


@pytest.mark.parametrize(("venue", "symbol"), [each for each in MARKETS if each[0] in KEPT])
def test_open_interest_comes_whole_through_faults_and_breaks_as_far_back_as_it_is_kept(venue, symbol, tmp_path):
    market, now = served(venue, symbol, 1500), START + 1500 * HOUR
    series, begin = Series(venue, symbol, "open_interest", "1h"), begin_of(venue, now)
    whole, broken = Store(tmp_path / "whole"), Store(tmp_path / "broken")
    with serving(market, now=now, faults=Faults(rate=0.3, seed=3)) as loopback:
        done = fetch_all(client_of(loopback), whole, symbol, ["open_interest"], None)[0]
        client = client_of(loopback, tries=1)
        client.retry, retry = Retry(sleep=lambda seconds: None), client.retry
        client.market(symbol)
        client.read_clock()
        client.retry, client.habits = retry, replace(client.habits, interest=40)
        loopback.faults = Faults(rate=0.2, seed=5, kinds=("hang_up", "cut_json", "short_page", "twice"))
        breaks = 0
        for _ in range(200):
            try:
                download(client, broken, series, START)
                break
            except VenueError:
                breaks += 1
    assert breaks > 1
    assert done.gaps == ()
    assert done.note == (f"{venue} keeps 29 days of open interest" if KEPT[venue] else "")
    assert contents(broken) == contents(whole)
    assert_rows(whole.read(series), market.open_interest[market.open_interest.index >= begin])
    assert verify(whole, series) == []
