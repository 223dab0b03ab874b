"""`lbt download` as a user types it: what it says when all is well, and one line when it is not."""

import errno
import re
from dataclasses import replace
from functools import partial

import pytest
from served import HOUR, KEPT, MARKETS, START, client_of, served, serving, with_gaps

from lstm_backtrader import whole_files
from lstm_backtrader.datafeeds.ccxt_errors import Retry
from lstm_backtrader.datafeeds.downloading import download
from lstm_backtrader.datafeeds.loopback.faults import Faults
from lstm_backtrader.datafeeds.loopback.shelf import Refusal
from lstm_backtrader.datafeeds.series import Series
from lstm_backtrader.datafeeds.store import Store
from lstm_backtrader.datafeeds.store_check import verify

APART = (
    "Error: --via gives rows that are made up, which do not belong among your own data. Add --store dry-run, or "
    "another folder.\n"
)


@pytest.fixture
def fetch(lbt, monkeypatch, tmp_path):
    """`fetch(loopback, "BTC/USD:BTC")` runs `lbt download` in this process, on a store of its own."""
    hurried = partial(Retry, sleep=lambda seconds: None)
    monkeypatch.setattr("lstm_backtrader.datafeeds.ccxt_client.Retry", hurried)

    def run(loopback, symbol="BTC/USD:BTC", *more, venue="bybit", timeframe="1h", since="2023-01-01"):
        given = ["--venue", venue, "--symbol", symbol, "--timeframe", timeframe, "--since", since]
        dry = ["--via", getattr(loopback, "address", loopback), "--store", tmp_path / "data"]
        return lbt("download", *given, *dry, *more)

    return run


def test_the_command_tells_rows_spans_and_gaps_and_what_to_do_with_them(fetch, tmp_path):
    with serving(with_gaps("bybit", "BTC/USD:BTC", 900), now=START + 900 * HOUR) as loopback:
        outcome = fetch(loopback, "BTC/USD:BTC", "--with", "mark,funding")
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


@pytest.mark.parametrize(("venue", "symbol"), MARKETS)
def test_all_kinds_come_with_one_command_or_those_a_venue_lacks_are_named_in_one_line(
    venue, symbol, fetch, tmp_path
):
    with serving(served(venue, symbol, 300), now=START + 300 * HOUR, faults=Faults(rate=0.2, seed=6)) as loopback:
        outcome = fetch(loopback, symbol, "--with", "mark,funding,open-interest", venue=venue)
    if venue in KEPT:
        assert outcome.code == 0, outcome.err
        assert re.findall(r"(\w+)(?::1h)?: (\d+) new rows", outcome.out) == [
            (symbol.split(":")[1], "300"),
            ("mark", "300"),
            ("funding", "38"),
            ("open_interest", "300"),
        ]
        return
    lacking = {"bitget": "open-interest", "bitmex": "mark and open-interest", "bingx": "open-interest"}
    inverse = {"bingx": "mark and funding and open-interest"} if symbol == "BTC/USD:BTC" else {}
    what = (lacking | inverse)[venue]
    assert outcome.code == 1
    assert outcome.err == (
        f"Error: there is no history of {what} of {symbol} at {venue}. Leave "
        f"{'them' if ' and ' in what else 'it'} out of --with.\n"
    )
    assert not (tmp_path / "data").exists()


def test_the_time_before_a_listing_is_no_gap_to_read_about(fetch):
    with serving(served("bybit", "BTC/USD:BTC", 90), now=START + 90 * HOUR) as loopback:
        first, *others = fetch(loopback, since="2021-06-01").out.splitlines()
    assert first == (
        "bybit:BTC/USD:BTC:1h: 90 new rows; 2023-01-01 00:00 to 2023-01-04 17:00 UTC, and nothing before at bybit"
    )
    assert [line.split()[0] for line in others] == ["store:"]


def test_of_many_gaps_the_longest_are_listed(fetch):
    whole = served("bybit", "BTC/USD:BTC", 300)
    gone = [n for n in range(300) if n % 20 == 7 or n in (100, 101, 102)]
    market = replace(whole, candles=whole.candles.drop(whole.candles.index[gone]))
    with serving(market, now=START + 300 * HOUR) as loopback:
        lines = fetch(loopback).out.splitlines()
    assert "  gap, asked for twice: 2023-01-05 04:00 to 2023-01-05 07:00, 3 bars" in lines
    assert lines[6] == "  and 11 that are not longer"


def test_until_is_a_whole_day(fetch):
    with serving(served("bybit", "BTC/USD:BTC", 900), now=START + 900 * HOUR) as loopback:
        outcome = fetch(loopback, "BTC/USD:BTC", "--until", "2023-01-10")
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
            {"timeframe": "12h"},
            ("--with", "open-interest"),
            "bybit keeps open interest at 5m, 15m, 30m, 1h, 4h, 1d alone, not at 12h. Leave open-interest out",
        ),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing_behind(fetch, tmp_path, changes, more, says):
    markets = served("bybit", "BTC/USD:BTC", 90), served("bitmex", "BTC/USD:BTC", 90)
    with serving(*markets, now=START + 90 * HOUR) as loopback:
        outcome = fetch(loopback, changes.pop("symbol", "BTC/USD:BTC"), *more, **changes)
    assert outcome.code == 1
    assert says in outcome.err
    assert outcome.err.startswith("Error: ")
    assert len(outcome.err.splitlines()) == 1
    assert not (tmp_path / "data").exists()


def test_no_network_is_one_line(fetch):
    outcome = fetch("http://127.0.0.1:9")
    assert outcome.code == 1
    assert "Error: bybit gives no answer (NetworkError; asked 4 times). Look at the network" in outcome.err


def test_what_a_loopback_venue_makes_up_is_kept_out_of_ones_own_store(lbt, monkeypatch, tmp_path):
    monkeypatch.setenv("LBT_STORE", str(tmp_path / "own"))
    with serving(served("bybit", "BTC/USD:BTC", 90), now=START + 90 * HOUR) as loopback:
        given = ["--symbol", "BTC/USD:BTC", "--timeframe", "1h", "--since", "2023-01-01", "--via", loopback.address]
        outcome = lbt("download", "--venue", "bybit", *given)
    assert (outcome.code, outcome.err) == (1, APART)
    assert not (tmp_path / "own").exists()


@pytest.mark.parametrize("address", ["localhost:8000", "https://127.0.0.1:8000", "http://127.0.0.1:port"])
def test_a_wrong_address_is_refused(fetch, address):
    outcome = fetch(address)
    assert outcome.code == 1
    assert outcome.err == (f"Error: {address!r} is no address of a loopback venue. Write http://127.0.0.1:8000.\n")


def test_a_full_disk_is_one_line_and_what_was_fetched_stays(fetch, tmp_path, monkeypatch):
    def full(path, content):
        if len(list((tmp_path / "data").rglob("*.parquet"))) > 2:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        whole_files.write_whole(path, content)

    store = Store(tmp_path / "data")
    with serving(served("bybit", "BTC/USD:BTC", 3000), now=START + 3000 * HOUR) as loopback:
        monkeypatch.setattr("lstm_backtrader.datafeeds.store.write_whole", full)
        outcome = fetch(loopback)
        monkeypatch.undo()
        assert outcome.code == 1
        assert "No space left on device. Choose another path, or make room." in outcome.err.splitlines()[-1]
        series = Series("bybit", "BTC/USD:BTC", "candles", "1h")
        assert 0 < len(store.read(series)) < 3000
        assert verify(store, series) == []
        download(client_of(loopback), store, series, START)
    assert len(store.read(series)) == 3000


def test_a_damaged_file_is_named_with_the_remedy(fetch, tmp_path):
    with serving(served("bybit", "BTC/USD:BTC", 900), now=START + 900 * HOUR) as loopback:
        fetch(loopback, "BTC/USD:BTC", "--until", "2023-01-10")
        (path,) = (tmp_path / "data").rglob("*.parquet")
        path.write_bytes(path.read_bytes()[:-40])
        outcome = fetch(loopback, "BTC/USD:BTC", "--until", "2023-01-20")
    assert outcome.code == 1
    assert f"Error: {path} is damaged: its SHA-256 is not the manifest's. `lbt data --verify`" in outcome.err


def test_what_was_fetched_before_an_error_is_told(fetch):
    market = served("bybit", "BTC/USD:BTC", 900)
    with serving(market, now=START + 900 * HOUR) as loopback:
        answer = loopback.reply
        loopback.reply = lambda url: (Refusal(403, {}), None) if "mark-price" in url else answer(url)
        outcome = fetch(loopback, "BTC/USD:BTC", "--with", "mark")
    assert outcome.code == 1
    assert "bybit:BTC/USD:BTC:1h: 900 new rows" in outcome.out
    assert "bybit refuses requests from here" in outcome.err
