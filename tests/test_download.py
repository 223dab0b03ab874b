"""Downloads into the store: the same rows and manifest, whatever goes wrong and however often it is killed."""

import errno
import os
import subprocess
import sys
from collections import namedtuple
from dataclasses import replace
from functools import partial

import pytest
from served import HOUR, MARKETS, START, assert_rows, bars, client_of, served, serving

from lstm_backtrader import cli, whole_files
from lstm_backtrader.datafeeds.ccxt_client import connect
from lstm_backtrader.datafeeds.ccxt_errors import Retry
from lstm_backtrader.datafeeds.downloading import download, series_to_fetch
from lstm_backtrader.datafeeds.loopback.faults import Faults
from lstm_backtrader.datafeeds.loopback.shelf import Refusal
from lstm_backtrader.datafeeds.series import Series
from lstm_backtrader.datafeeds.store import Store
from lstm_backtrader.datafeeds.store_check import verify
from lstm_backtrader.errors import ConfigError, VenueError

N = 5000
END = START + N * HOUR
FIRST_OF_EACH = set(dict(reversed(MARKETS)).items())  # the other markets of a venue are shorter, to save time
Outcome = namedtuple("Outcome", "code out err")


def with_gaps(venue, symbol, n=N):
    """A market with three holes in its bars."""
    whole = served(venue, symbol, n)
    return served(
        venue, symbol, n, candles=whole.candles.drop(whole.candles.index[[n // 9, n // 9 + 1, n // 2, n - 300]])
    )


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
    tables = {"candles": market.candles, "mark": market.mark, "funding": market.funding}
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
from lstm_backtrader.datafeeds.ccxt_errors import Retry
from lstm_backtrader.datafeeds.downloading import download, series_to_fetch
from lstm_backtrader.datafeeds.store import Store

address, root, until = sys.argv[1:]

def fetch_and_die(draws):
    pages, begun = draws.randrange(2), [time.monotonic()]

    def progress(label, done, total):
        begun.append(time.monotonic())
        if len(begun) == 2 + pages:  # some time within the next page
            moment = draws.uniform(0.0, 1.5 * (begun[-1] - begun[-2]))
            threading.Timer(moment, os.kill, (os.getpid(), signal.SIGKILL)).start()

    client = connect("bitmex", via=address, retry=Retry(sleep=lambda seconds: None))
    client.habits = dataclasses.replace(client.habits, page=30)
    for series in series_to_fetch(client, "BTC/USD:BTC", "1h", ["candles", "funding"]):
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
def test_killed_twenty_times_it_goes_on_and_nothing_is_there_twice_or_lost(tmp_path):
    market, kinds, end = with_gaps("bitmex", "BTC/USD:BTC", 2400), ["candles", "funding"], START + 2400 * HOUR
    whole, killed = Store(tmp_path / "whole"), Store(tmp_path / "killed")
    with serving(market, now=END, faults=Faults(rate=0.1, seed=2)) as loopback:
        fetch_all(client_of(loopback), whole, "BTC/USD:BTC", kinds, end)
        code = [sys.executable, "-c", KILLED, loopback.address, str(killed.root), end.isoformat()]
        driver = subprocess.run(code, capture_output=True, text=True, check=True, timeout=120)
        assert driver.stdout.split() == ["True"] * 20, driver.stderr
        assert 0 < len(killed.read(Series("bitmex", "BTC/USD:BTC", "candles", "1h"))) < len(market.candles)
        fetch_all(client_of(loopback), killed, "BTC/USD:BTC", kinds, end)
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


def test_open_interest_of_binance_goes_back_thirty_days(tmp_path):
    interest = bars(2000)[["volume"]].rename(columns={"volume": "open_interest"})
    market = served("binanceusdm", "BTC/USDT:USDT", 2000, open_interest=interest)
    with serving(market, now=START + 2000 * HOUR) as loopback:
        series = Series("binanceusdm", "BTC/USDT:USDT", "open_interest", "1h")
        done = download(client_of(loopback), Store(tmp_path), series, START)
    assert done.note == "binanceusdm keeps 29 days of open interest"
    assert 28 * 24 <= done.rows <= 29 * 24


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


# --- as a user types it ---------------------------------------------------------------------------------------


@pytest.fixture
def lbt(monkeypatch, capsys, tmp_path):
    """`lbt("--venue", "bybit")` runs `lbt download` in this process, on a store of its own."""
    monkeypatch.setenv("LBT_STORE", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")
    hurried = partial(Retry, sleep=lambda seconds: None)
    monkeypatch.setattr("lstm_backtrader.datafeeds.ccxt_client.Retry", hurried)

    def run(loopback, symbol="BTC/USD:BTC", *more, venue="bybit", timeframe="1h", since="2023-01-01"):
        given = ["--venue", venue, "--symbol", symbol, "--timeframe", timeframe, "--since", since]
        via = ["--via", getattr(loopback, "address", loopback)]
        monkeypatch.setattr(sys, "argv", ["lbt", "download", *given, *via, *map(str, more)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        return Outcome(code, *capsys.readouterr())

    return run


def test_the_command_tells_rows_spans_and_gaps_and_what_to_do_with_them(lbt, tmp_path):
    with serving(with_gaps("bybit", "BTC/USD:BTC", 900), now=START + 900 * HOUR) as loopback:
        outcome = lbt(loopback, "BTC/USD:BTC", "--with", "mark,funding")
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines() == [
        "bybit:BTC/USD:BTC:1h: 896 new rows; 2023-01-01 00:00 to 2023-02-07 11:00 UTC",
        "  gap, asked for twice: 2023-01-05 04:00 to 2023-01-05 06:00, 2 bars",
        "  gap, asked for twice: 2023-01-19 18:00 to 2023-01-19 19:00, 1 bar",
        "  gap, asked for twice: 2023-01-26 00:00 to 2023-01-26 01:00, 1 bar",
        "bybit:BTC/USD:BTC:mark:1h: 900 new rows; 2023-01-01 00:00 to 2023-02-07 11:00 UTC",
        "bybit:BTC/USD:BTC:funding: 113 new rows; 2023-01-01 00:00 to 2023-02-07 08:00 UTC",
        f"store: {tmp_path / 'data'}",
    ]


def test_the_time_before_a_listing_is_no_gap_to_read_about(lbt):
    with serving(served("bybit", "BTC/USD:BTC", 90), now=START + 90 * HOUR) as loopback:
        first, *others = lbt(loopback, since="2021-06-01").out.splitlines()
    assert first == (
        "bybit:BTC/USD:BTC:1h: 90 new rows; 2023-01-01 00:00 to 2023-01-04 17:00 UTC, and nothing before at bybit"
    )
    assert [line.split()[0] for line in others] == ["store:"]


def test_of_many_gaps_the_longest_are_listed(lbt):
    whole = served("bybit", "BTC/USD:BTC", 300)
    gone = [n for n in range(300) if n % 20 == 7 or n in (100, 101, 102)]
    market = replace(whole, candles=whole.candles.drop(whole.candles.index[gone]))
    with serving(market, now=START + 300 * HOUR) as loopback:
        lines = lbt(loopback).out.splitlines()
    assert "  gap, asked for twice: 2023-01-05 04:00 to 2023-01-05 07:00, 3 bars" in lines
    assert lines[6] == "  and 11 that are not longer"


def test_until_is_a_whole_day(lbt):
    with serving(served("bybit", "BTC/USD:BTC", 900), now=START + 900 * HOUR) as loopback:
        outcome = lbt(loopback, "BTC/USD:BTC", "--until", "2023-01-10")
    assert "240 new rows; 2023-01-01 00:00 to 2023-01-10 23:00 UTC" in outcome.out


@pytest.mark.parametrize(
    ("changes", "more", "says"),
    [
        ({"venue": "bibyt"}, (), "venue 'bibyt' is not known. Did you mean 'bybit'? Choose from binanceusdm, "),
        ({"symbol": "BTC/USDT"}, (), "bybit has no perpetual 'BTC/USDT'. Did you mean 'BTC/USD:BTC'?"),
        ({"timeframe": "1hour"}, (), "timeframe '1hour' is unknown. Write a number and D, h, m or s"),
        ({"timeframe": "8h"}, (), "bybit has no 8h bars; it has 1m, 3m,"),
        ({"since": "2030-01-01"}, (), "since 2030-01-01 00:00 is in the future at bybit. Choose an earlier day."),
        ({}, ("--until", "2022-01-01"), "--until 2022-01-01 is before --since 2023-01-01. Swap them."),
        ({}, ("--with", "marks"), "--with 'marks' is none of mark, funding, open-interest. Did you mean 'mark'?"),
        (
            {"venue": "bitmex"},
            ("--with", "mark"),
            "there is no history of mark at bitmex. Leave mark out of --with.",
        ),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing_behind(lbt, tmp_path, changes, more, says):
    markets = served("bybit", "BTC/USD:BTC", 90), served("bitmex", "BTC/USD:BTC", 90)
    with serving(*markets, now=START + 90 * HOUR) as loopback:
        outcome = lbt(loopback, changes.pop("symbol", "BTC/USD:BTC"), *more, **changes)
    assert outcome.code == 1
    assert says in outcome.err
    assert outcome.err.startswith("Error: ")
    assert len(outcome.err.splitlines()) == 1
    assert not (tmp_path / "data").exists()


def test_no_network_is_one_line(lbt):
    outcome = lbt("http://127.0.0.1:9")
    assert outcome.code == 1
    assert "Error: bybit gives no answer (NetworkError; asked 4 times). Look at the network" in outcome.err


def test_a_wrong_address_is_refused(lbt):
    outcome = lbt("localhost:8000")
    assert outcome.code == 1
    assert outcome.err == (
        "Error: 'localhost:8000' is no address of a loopback venue. Write http://127.0.0.1:8000.\n"
    )


def test_a_full_disk_is_one_line_and_what_was_fetched_stays(lbt, tmp_path, monkeypatch):
    def full(path, content):
        if len(list((tmp_path / "data").rglob("*.parquet"))) > 2:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        whole_files.write_whole(path, content)

    store = Store(tmp_path / "data")
    with serving(served("bybit", "BTC/USD:BTC", 3000), now=START + 3000 * HOUR) as loopback:
        monkeypatch.setattr("lstm_backtrader.datafeeds.store.write_whole", full)
        outcome = lbt(loopback)
        monkeypatch.undo()
        assert outcome.code == 1
        assert "No space left on device. Choose another path, or make room." in outcome.err.splitlines()[-1]
        series = Series("bybit", "BTC/USD:BTC", "candles", "1h")
        assert 0 < len(store.read(series)) < 3000
        assert verify(store, series) == []
        download(client_of(loopback), store, series, START)
    assert len(store.read(series)) == 3000


def test_a_damaged_file_is_named_with_the_remedy(lbt, tmp_path):
    with serving(served("bybit", "BTC/USD:BTC", 900), now=START + 900 * HOUR) as loopback:
        lbt(loopback, "BTC/USD:BTC", "--until", "2023-01-10")
        (path,) = (tmp_path / "data").rglob("*.parquet")
        path.write_bytes(path.read_bytes()[:-40])
        outcome = lbt(loopback, "BTC/USD:BTC", "--until", "2023-01-20")
    assert outcome.code == 1
    assert f"Error: {path} is damaged: its SHA-256 is not the manifest's. `lbt data --verify`" in outcome.err


def test_what_was_fetched_before_an_error_is_told(lbt):
    market = served("bybit", "BTC/USD:BTC", 900)
    with serving(market, now=START + 900 * HOUR) as loopback:
        answer = loopback.reply
        loopback.reply = lambda url: (Refusal(403, {}), None) if "mark-price" in url else answer(url)
        outcome = lbt(loopback, "BTC/USD:BTC", "--with", "mark")
    assert outcome.code == 1
    assert "bybit:BTC/USD:BTC:1h: 900 new rows" in outcome.out
    assert "bybit refuses requests from here" in outcome.err
