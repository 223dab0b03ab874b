"""Answers that were recorded at the venues are read as they were recorded to be read, by the clients we use."""

import json
import re
from pathlib import Path

import ccxt
import pytest

from lstm_backtrader.datafeeds.ccxt_bitmex import bitmex_class
from lstm_backtrader.datafeeds.ccxt_client import connect
from lstm_backtrader.datafeeds.ccxt_errors import Retry
from lstm_backtrader.datafeeds.loopback.server import LoopbackVenue

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "exchanges"
CASES = sorted(path for path in FOLDER.glob("*/fetch*.json")) + sorted(FOLDER.glob("*/c*Order.*.json"))
REQUESTS = sorted(FOLDER.glob("*/request.*.json"))
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


def assert_told(found, expected, is_older=False, where=""):
    """All that was recorded is there; the venue's own row, `info`, is not part of it, and more keys do no harm.

    `is_older`: the client is older than the one whose values they are, and may leave some empty.
    """
    if isinstance(expected, dict):
        for key in expected.keys() - {"info"}:
            assert_told(found.get(key), expected[key], is_older, f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for number, each in enumerate(expected):
            assert_told(found[number], each, is_older, f"{where}[{number}]")
    elif found is not None or not is_older:
        assert found == expected, where


def is_older(case):
    """Whether nobody but a ccxt newer than the installed one has said what the values are."""
    versions = (tuple(map(int, each.split("."))) for each in (ccxt.__version__, case["ccxtVersion"]))
    return case["parsedRecorded"] is None and next(versions) < next(versions)


def expected_of(case):
    """The recorded values, with the volume of BitMEX's candles in the base coin, as ours is."""
    expected = case["parsedCcxt"] if case["parsedRecorded"] is None else case["parsedRecorded"]
    if case["exchange"] != "bitmex" or case["method"] != "fetchOHLCV":
        return expected
    return [[*row[:5], told["homeNotional"]] for row, told in zip(expected, case["httpResponse"], strict=True)]


@pytest.mark.parametrize("path", PUBLIC, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_public_answers_come_through_the_loopback_venue(path):
    case = read(path)
    url = case["request"][0]["url"].partition("?")[0]
    recorded = {**market_lists(case), url: case["httpResponse"]}
    with LoopbackVenue(recorded=recorded) as loopback:
        client = connect(venue_of(case), via=loopback.address, retry=Retry(tries=1))
        found = client.ask(method_of(case), *case["input"])
    assert_told(found, expected_of(case), is_older(case))


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_all_answers_are_read_as_recorded(path):
    case = read(path)
    client = connect(venue_of(case), is_paced=False)
    exchange = client.exchange
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
    if case["exchange"] == "bitmex" and "Order" in case["method"]:  # ours reads orders, and fetches none
        exchange.load_markets()
        found = exchange.parse_orders(case["httpResponse"], exchange.market(case["input"][-1]))
        found = found[0] if case["method"] == "fetchOrder" else found
    else:
        found = getattr(exchange, method_of(case))(*case["input"])
    assert_told(found, expected_of(case), is_older(case))


@pytest.mark.parametrize("path", REQUESTS, ids=lambda path: path.stem)
def test_recorded_orders_to_be_placed_are_requests_not_answers_and_nothing_of_ours_sends_them(path, monkeypatch):
    case = read(path)
    assert "httpResponse" not in case
    monkeypatch.delattr(ccxt, "bitmex", raising=False)
    exchange = bitmex_class.__wrapped__()()
    linear, _ = instruments(case)
    markets = {market["symbol"]: market for market in map(exchange.parse_market, linear)}
    market, body = markets[case["input"][0]], case["recordedBody"]
    assert body["symbol"] == market["id"]  # what there is to compare: whose it is, and whether its size can be
    assert body["orderQty"] % market["precision"]["amount"] == 0
    with pytest.raises(ccxt.NotSupported):
        exchange.create_order(*case["input"])


def test_every_recorded_answer_and_request_is_looked_at():
    answers = {path for path in FOLDER.glob("*/*.*.json") if not path.name.startswith("exchangeInfo")}
    assert answers == {*CASES, *REQUESTS}
