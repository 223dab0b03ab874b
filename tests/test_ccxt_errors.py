"""Errors of the venues: which of them pass, how long is waited, and what is said of those that do not."""

import socket

import pytest
from served import HOUR, HOUR_MS, SINCE_MS, START, Script, client_of, served, serving

from lstm_backtrader.datafeeds.ccxt_client import connect
from lstm_backtrader.datafeeds.ccxt_errors import Retry
from lstm_backtrader.datafeeds.ccxt_habits import HABITS
from lstm_backtrader.datafeeds.ccxt_history import fetch_closed
from lstm_backtrader.datafeeds.loopback.faults import KINDS
from lstm_backtrader.datafeeds.loopback.server import LoopbackVenue
from lstm_backtrader.errors import ConfigError, VenueError

PASSING = [kind for kind in KINDS if kind not in ("short_page", "twice")]
SYMBOL = {venue: "BTC/USD:BTC" if venue == "binancecoinm" else "BTC/USDT:USDT" for venue in HABITS}


@pytest.mark.parametrize("kind", PASSING)
@pytest.mark.parametrize("venue", HABITS)
def test_what_passes_is_asked_again_after_a_growing_wait(venue, kind):
    market = served(venue, SYMBOL[venue], 30)
    waits = []
    with serving(market, now=START + 30 * HOUR) as loopback:
        client = client_of(loopback, sleep=waits.append)
        client.market(SYMBOL[venue])
        client.read_clock()
        loopback.faults = Script(kind, kind, kind)
        rows = client.ask("fetch_ohlcv", SYMBOL[venue], "1h", SINCE_MS, 5, {"until": SINCE_MS + 5 * HOUR_MS})
    assert len(rows) == 5
    assert waits == [1.0, 2.0, 4.0]


def test_a_venue_that_does_not_answer_is_named_with_the_remedy():
    market = served("bybit", "BTC/USD:BTC", 9)
    with serving(market, now=START + 9 * HOUR) as loopback:
        client = client_of(loopback, tries=3)
        client.market("BTC/USD:BTC")
        loopback.faults = Script(*["too_many"] * 9)
        with pytest.raises(
            VenueError,
            match=r"bybit gives no answer \(ExchangeError, HTTP 429; asked 3 times\).*what has been fetched",
        ):
            client.read_clock()


def test_without_a_network_there_is_one_line():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    client = connect("bitmex", via=address, retry=Retry(tries=2, sleep=lambda seconds: None))
    with pytest.raises(
        VenueError, match=r"bitmex gives no answer \(NetworkError; asked 2 times\). Look at the network"
    ):
        client.market("BTC/USD:BTC")


class Answers(LoopbackVenue):
    """Answers everything with one status and body, with or without a time to wait."""

    status, body = 403, {"error": "no"}

    def reply(self, url):
        from lstm_backtrader.datafeeds.loopback.shelf import Refusal

        self.asked.append(url)
        return Refusal(self.status, self.body), None


@pytest.mark.parametrize("status", [403, 451])
@pytest.mark.parametrize("venue", HABITS)
def test_a_venue_that_refuses_the_place_is_not_asked_again(venue, status):
    with Answers() as loopback:
        loopback.status = status
        with pytest.raises(
            VenueError, match=rf"{venue} refuses requests from here \(.*HTTP {status}\).*by country"
        ):
            client_of(loopback, venue).market("BTC/USDT:USDT")
        assert len(loopback.asked) == 1


def test_a_refusal_tells_the_venues_own_words():
    with serving(served("bybit", "BTC/USD:BTC", 9), now=START + 9 * HOUR) as loopback:
        client = client_of(loopback)
        with pytest.raises(VenueError, match=r"refuses the request \(BadRequest: params error: Symbol Invalid\)"):
            client.ask("public_get_v5_market_kline", {"category": "linear", "symbol": "NONE", "interval": "60"})


@pytest.mark.parametrize(("told_s", "waits"), [(7, [7.0]), (0, [1.0])])
def test_the_time_that_a_venue_asks_for_is_given_to_it(told_s, waits):
    found = []
    with serving(served("binanceusdm", "BTC/USDT:USDT", 9), now=START + 9 * HOUR) as loopback:
        client = client_of(loopback, sleep=found.append)
        client.market("BTC/USDT:USDT")
        loopback.faults = Script("too_many")
        loopback.retry_after_s = told_s
        client.read_clock()
    assert found == waits


def test_a_ban_of_hours_is_not_waited_for():
    with serving(served("binanceusdm", "BTC/USDT:USDT", 9), now=START + 9 * HOUR) as loopback:
        client = client_of(loopback)
        client.market("BTC/USDT:USDT")
        loopback.faults = Script("too_many")
        loopback.retry_after_s = 7200
        with pytest.raises(VenueError, match=r"binanceusdm wants 7200 s without a request. Start again after that"):
            client.read_clock()


@pytest.mark.parametrize("tries", [0, -1])
def test_asking_less_than_once_is_refused(tries):
    with pytest.raises(ConfigError, match=f"tries {tries} must be at least 1"):
        Retry(tries=tries)


def test_bars_come_through_everything_that_goes_wrong_in_turn():
    market = served("bitget", "BTC/USDT:USDT", 3000)
    with serving(market, now=START + 3000 * HOUR) as loopback:
        client = client_of(loopback)
        client.market("BTC/USDT:USDT")
        loopback.faults = Script(*(each for kind in KINDS for each in (kind, None)))
        rows = fetch_closed(client, "BTC/USDT:USDT", "1h", SINCE_MS)
        assert loopback.faults.script == []
    assert len(rows) == 3000
