"""A client of a venue: the venue's clock, its markets by name, and answers that were cut on the way."""

import ccxt
import pytest
from served import HOUR, HOUR_MS, MARKETS, SINCE_MS, START, Script, client_of, served, serving

from lstm_backtrader.datafeeds.ccxt_client import connect
from lstm_backtrader.errors import ConfigError, VenueError


@pytest.mark.parametrize(("venue", "symbol"), MARKETS)
def test_the_clock_is_the_venues_and_never_ahead_of_it(venue, symbol, monkeypatch):
    now = START + 5 * HOUR
    with serving(served(venue, symbol, 9), now=now) as loopback:
        client = client_of(loopback)
        ours = [1000.0]
        monkeypatch.setattr("time.monotonic", lambda: ours[0])
        assert client.now_ms() == SINCE_MS + 5 * HOUR_MS
        ours[0] += 90.0
        assert client.now_ms() == SINCE_MS + 5 * HOUR_MS + 90_000
        assert client.exchange.milliseconds() == client.now_ms()  # what ccxt decides by
        loopback.now_ms += HOUR_MS
        client.read_clock()
        assert client.now_ms() == SINCE_MS + 6 * HOUR_MS


@pytest.mark.parametrize(
    ("theirs_ms", "known_ms"),
    [
        (0, 500),  # of the second that runs: nothing new
        (700_000, 700_000),  # our machine slept
        (-5_000, -5_000),  # our clock goes too fast
    ],
)
def test_every_answer_of_bitmex_corrects_the_clock_that_is_carried_on(theirs_ms, known_ms, monkeypatch):
    now_ms = SINCE_MS + 5 * HOUR_MS
    ours = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: ours[0])
    with serving(served("bitmex", "BTC/USD:BTC", 9), now=START + 5 * HOUR) as loopback:
        client = client_of(loopback)
        assert not client.knows_past(now_ms)  # before anything was asked
        client.now_ms()
        assert client.knows_past(now_ms)
        assert not client.knows_past(now_ms + 1)
        ours[0] += 0.5
        loopback.now_ms = now_ms + theirs_ms
        client.ask("fetch_ohlcv", "BTC/USD:BTC", "1h", SINCE_MS, 2)
        assert client.now_ms() == now_ms + known_ms


@pytest.mark.parametrize(("venue", "symbol"), MARKETS)
def test_a_market_is_found_by_ccxts_name_and_the_venues_own(venue, symbol):
    market = served(venue, symbol, 9)
    with serving(market, now=START + 9 * HOUR) as loopback:
        client = client_of(loopback)
        assert client.market(symbol)["id"] == market.id
        assert client.market(market.id)["symbol"] == symbol


def test_markets_are_asked_for_once():
    with serving(served("bybit", "BTC/USD:BTC", 9), now=START + 9 * HOUR) as loopback:
        client = client_of(loopback)
        client.market("BTC/USD:BTC")
        before = len(loopback.asked)
        client.market("BTC/USD:BTC")
        assert len(loopback.asked) == before


@pytest.mark.parametrize("kind", ["cut_json", "cut_body"])
def test_half_an_answer_is_no_answer(kind):
    with serving(served("bybit", "BTC/USD:BTC", 50), now=START + 50 * HOUR) as loopback:
        client = client_of(loopback, tries=1)
        client.market("BTC/USD:BTC")
        loopback.faults = Script(kind)
        with pytest.raises(VenueError, match=r"bybit gives no answer \(NetworkError; asked 1 times\)") as raised:
            client.ask("fetch_ohlcv", "BTC/USD:BTC", "1h", SINCE_MS, 40)
    assert isinstance(raised.value.__cause__, ccxt.NetworkError)


def test_timeframes_may_be_written_in_other_units():
    client = connect("bybit")
    assert client.check_timeframe("60m") == client.check_timeframe("1h") == HOUR_MS
    assert client.check_timeframe("1D") == 24 * HOUR_MS


@pytest.mark.parametrize("timeframe", ["3d", "8h", "10m"])
def test_bars_that_the_venue_has_not_got_are_refused(timeframe):
    with pytest.raises(ConfigError, match=f"bybit has no {timeframe} bars; it has 1m, .*1d. Fetch shorter ones"):
        connect("bybit").check_timeframe(timeframe)


def test_no_key_is_sent_and_no_private_address_asked():
    with serving(*(served(*market, 30) for market in MARKETS), now=START + 30 * HOUR) as loopback:
        for venue, symbol in MARKETS:
            client_of(loopback, venue).market(symbol)
        asked = " ".join(loopback.asked).lower()
    assert "api.bybit.com/v5/market/" in asked
    assert not [word for word in ("sign", "apikey", "account", "user", "v3/") if word in asked]
