"""Answers that were recorded at the venues are read as they were recorded to be read, by the clients we use."""

import json
import re
from pathlib import Path

import pytest

from lstm_backtrader.datafeeds.ccxt_client import connect
from lstm_backtrader.datafeeds.ccxt_errors import Retry
from lstm_backtrader.datafeeds.loopback.server import LoopbackVenue

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "exchanges"
CASES = sorted(path for path in FOLDER.glob("*/fetch*.json")) + sorted(FOLDER.glob("*/c*Order.*.json"))
PUBLIC = [path for path in CASES if re.match("fetch(OHLCV|FundingRateHistory|FundingRate)[.]", path.name)]
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no recorded answers at {FOLDER}")


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def venue_of(case):
    return {"binance": "binanceusdm"}.get(case["exchange"], case["exchange"])


def instruments(case):
    """The recorded instruments of a venue, as its list of markets; one for each market that the case names."""
    markets = read(FOLDER / case["exchange"] / "markets.json")
    rows = {symbol: market["info"] for symbol, market in markets.items() if symbol[0] != "_"}
    linear = [row for symbol, row in rows.items() if not symbol.endswith(":BTC")]
    inverse = [row for symbol, row in rows.items() if symbol.endswith(":BTC")]
    if case["exchange"] == "bingx":  # has BTC and LTC alone
        linear.append({**linear[0], "symbol": "ETH-USDT", "asset": "ETH"})
    return linear, inverse


def market_lists(case):
    """URL -> what a venue answers to it when it is asked for its markets."""
    linear, inverse = instruments(case)
    spot = {"symbol": "BTC-USDT", "tickSize": 0.01, "stepSize": 0.0001, "status": 1}
    bybit = {"category": "linear", "list": linear, "nextPageCursor": ""}
    return {
        "https://fapi.binance.com/fapi/v1/exchangeInfo": {"symbols": linear},
        "https://api.bybit.com/v5/market/instruments-info": lambda query: {
            "retCode": 0,
            "result": bybit if query["category"] == "linear" else {**bybit, "category": "inverse", "list": inverse},
        },
        "https://open-api.bingx.com/openApi/swap/v2/quote/contracts": {"code": 0, "data": linear},
        "https://open-api.bingx.com/openApi/cswap/v1/market/contracts": {"code": 0, "data": inverse},
        "https://open-api.bingx.com/openApi/spot/v1/common/symbols": {"code": 0, "data": {"symbols": [spot]}},
        "https://api.bitget.com/api/v2/mix/market/contracts": lambda query: {
            "code": "00000",
            "data": {"USDT-FUTURES": linear, "COIN-FUTURES": inverse}.get(query["productType"], []),
        },
        "https://www.bitmex.com/api/v1/instrument/active": [*linear, *inverse],
    }


def method_of(case):
    name = re.sub("([A-Z]+)(?=[A-Z][a-z]|$)|([A-Z])", lambda m: f"_{m[0].lower()}", case["method"])
    return {"fetch_o_h_l_c_v": "fetch_ohlcv"}.get(name, name)


def assert_told(found, expected, where=""):
    """All that was recorded is there; the venue's own row, `info`, is not part of it, and more keys do no harm."""
    if isinstance(expected, dict):
        for key in expected.keys() - {"info"}:
            assert_told(found.get(key), expected[key], f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for number, each in enumerate(expected):
            assert_told(found[number], each, f"{where}[{number}]")
    else:
        assert found == expected, where


def expected_of(case):
    return case["parsedCcxt"] if case["parsedRecorded"] is None else case["parsedRecorded"]


@pytest.mark.parametrize("path", PUBLIC, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_public_answers_come_through_the_loopback_venue(path):
    case = read(path)
    url = case["request"][0]["url"].partition("?")[0]
    recorded = {**market_lists(case), url: case["httpResponse"]}
    with LoopbackVenue(recorded=recorded) as loopback:
        client = connect(venue_of(case), via=loopback.address, retry=Retry(tries=1))
        found = client.ask(method_of(case), *case["input"])
    expected = expected_of(case)
    if case["exchange"] == "bitmex" and case["method"] == "fetchOHLCV":
        expected = [
            [*row[:5], bucket["homeNotional"]] for row, bucket in zip(expected, case["httpResponse"], strict=True)
        ]
    assert_told(found, expected)


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_all_answers_are_read_as_recorded(path):
    case = read(path)
    client = connect(venue_of(case))
    exchange = client.exchange
    if not hasattr(exchange, method_of(case)) or (case["exchange"] == "bitmex" and "Order" in case["method"]):
        pytest.skip("our client of BitMEX reads public data alone")
    lists = market_lists(case)

    def fetch(url, method="GET", headers=None, body=None):
        plain, _, query = url.partition("?")
        if plain in lists:
            told = dict(each.split("=") for each in query.split("&") if each)
            return lists[plain](told) if callable(lists[plain]) else lists[plain]
        return case["httpResponse"]

    exchange.fetch = fetch
    exchange.apiKey, exchange.secret, exchange.password, exchange.uid = "key", "secret", "password", "uid"
    exchange.options |= {"enableUnifiedAccount": True, "enableUnifiedMargin": False}
    if case["exchange"] == "binance" and case["method"] == "fetchPositionsRisk":
        exchange.options["leverageBrackets"] = read(FOLDER / "binance" / "leverageBrackets.json")["brackets"]
    found = getattr(exchange, method_of(case))(*case["input"])
    if case["exchange"] != "bitmex":  # above, with its other volume
        assert_told(found, expected_of(case))


def test_every_recorded_answer_is_looked_at():
    assert {
        path for path in FOLDER.glob("*/*.*.json") if not path.name.startswith(("request", "exchangeInfo"))
    } == set(CASES)
