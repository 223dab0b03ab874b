"""BitMEX: our client says what ccxt's said, and ccxt's is used where there is one."""

import json
from pathlib import Path

import ccxt
import pytest
from served import HOUR, HOUR_MS, SINCE_MS, START, client_of, served, serving

from lstm_backtrader.datafeeds.ccxt_bitmex import bitmex_class
from lstm_backtrader.datafeeds.loopback.shelf import Refusal
from lstm_backtrader.errors import VenueError

MARKETS = Path(__file__).resolve().parents[2] / "shared" / "exchanges" / "bitmex" / "markets.json"
BUCKET = {
    "timestamp": "2023-01-01T01:00:00.000Z",
    "symbol": "XBTUSD",
    "open": 20_000,
    "high": 20_010,
    "low": 19_990,
    "close": 20_005,
    "volume": 4_000,
    "homeNotional": 0.2,
}


@pytest.fixture
def without_cache():
    bitmex_class.cache_clear()
    yield
    bitmex_class.cache_clear()


def test_ccxts_own_client_is_used_where_there_is_one_with_volume_in_the_base_coin(monkeypatch, without_cache):
    class Theirs(ccxt.Exchange):
        def parse_ohlcv(self, ohlcv, market=None):
            return [SINCE_MS, 20_000.0, 20_010.0, 19_990.0, 20_005.0, 4_000.0]  # volume in USD

    monkeypatch.setattr(ccxt, "bitmex", Theirs, raising=False)
    assert issubclass(bitmex_class(), Theirs)
    assert bitmex_class()().parse_ohlcv(BUCKET)[5] == 0.2


def test_without_it_ours_reads_the_same(monkeypatch, without_cache):
    monkeypatch.delattr(ccxt, "bitmex", raising=False)
    assert bitmex_class()().parse_ohlcv(BUCKET) == [SINCE_MS + HOUR_MS, 20_000, 20_010, 19_990, 20_005, 0.2]


@pytest.mark.skipif(not MARKETS.is_file(), reason=f"no recorded instruments at {MARKETS}")
def test_markets_are_read_as_ccxt_read_them(monkeypatch, without_cache):
    monkeypatch.delattr(ccxt, "bitmex", raising=False)
    exchange = bitmex_class()()
    markets = json.loads(MARKETS.read_text(encoding="utf-8"))
    names = (
        "id",
        "symbol",
        "base",
        "quote",
        "settle",
        "linear",
        "inverse",
        "quanto",
        "contractSize",
        "taker",
        "maker",
    )
    for symbol in markets.keys() - {"_provenance"}:
        expected, market = markets[symbol]["ccxt_4_5_83"], exchange.parse_market(markets[symbol]["info"])
        assert {name: market[name] for name in names} == {name: expected[name] for name in names}
        assert {name: market["precision"][name] for name in ("amount", "price")} == expected["precision"]
        assert market["limits"]["leverage"] == expected["limits"]["leverage"]


def test_the_newest_bars_come_in_order_where_no_start_is_given():
    with serving(served("bitmex", "BTC/USD:BTC", 20), now=START + 20 * HOUR) as loopback:
        client = client_of(loopback)
        bars = client.ask("fetch_ohlcv", "BTC/USD:BTC", "1h", None, 3)
        rates = client.ask("fetch_funding_rate_history", "BTC/USD:BTC", None, 2)
    assert [bar[0] for bar in bars] == [SINCE_MS + n * HOUR_MS for n in (17, 18, 19)]
    assert [rate["timestamp"] // HOUR_MS * HOUR_MS for rate in rates] == [SINCE_MS + n * HOUR_MS for n in (8, 16)]


@pytest.mark.parametrize(
    ("status", "message", "error"),
    [
        (400, "binSize is invalid", "BadRequest"),
        (401, "Invalid API Key.", "AuthenticationError"),
        (404, "Not Found", "ExchangeError"),
        (418, "none", "ExchangeError"),
        (429, "Rate limit exceeded", "DDoSProtection"),
        (500, "Server Error", "ExchangeError"),
        (503, "The system is currently overloaded", "ExchangeNotAvailable"),
    ],
)
def test_errors_have_ccxts_classes(status, message, error):
    with serving(served("bitmex", "BTC/USD:BTC", 9), now=START + 9 * HOUR) as loopback:
        refusal = Refusal(status, {"error": {"message": message, "name": "HTTPError"}})
        loopback.reply = lambda url: (refusal, None)
        with pytest.raises(VenueError) as raised:
            client_of(loopback, tries=1).market("BTC/USD:BTC")
    assert type(raised.value.__cause__) is getattr(ccxt, error)
