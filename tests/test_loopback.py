"""The venue on this machine: what it serves, in whose words, and what it does not know."""

import json
import urllib.error
import urllib.request

import numpy as np
import pandas as pd
import pytest
from served import HOUR, HOUR_MS, SINCE_MS, START, bars, client_of, served, serving

from lstm_backtrader.datafeeds.grouping import resample_candles
from lstm_backtrader.datafeeds.loopback.adapter import LoopbackAdapter
from lstm_backtrader.datafeeds.loopback.faults import KINDS, Faults
from lstm_backtrader.datafeeds.loopback.market import ServedMarket
from lstm_backtrader.datafeeds.loopback.server import DIALECTS, LoopbackVenue
from lstm_backtrader.errors import ConfigError


def get(venue, url):
    """Status and body of an answer."""
    try:
        with urllib.request.urlopen(f"{venue.address}/{url}") as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_the_bar_that_is_running_is_not_yet_what_it_will_be():
    market = served("bybit", "BTC/USD:BTC", 10)
    times, values = market.rows("candles", HOUR_MS, SINCE_MS + 5 * HOUR_MS + 1)
    assert times[-1] == SINCE_MS + 5 * HOUR_MS
    final = market.candles.iloc[5]
    assert values[-1].tolist() == [final["open"]] * 4 + [final["volume"] / 2]
    assert values[:-1].tolist() == market.candles[:5].to_numpy().tolist()


def test_longer_bars_are_made_of_those_served():
    market = served("bybit", "BTC/USD:BTC", 240)
    times, values = market.rows("candles", 24 * HOUR_MS, SINCE_MS + 240 * HOUR_MS)
    expected = resample_candles(market.candles.rename_axis("open_time"), "1D")
    assert times.tolist() == (expected.index.as_unit("ns").asi8 // 1_000_000).tolist()
    np.testing.assert_allclose(values, expected.to_numpy(), rtol=1e-12)


def test_shorter_bars_than_those_served_are_not_made_up():
    times, _ = served("bybit", "BTC/USD:BTC", 24).rows("candles", 60_000, SINCE_MS + 24 * HOUR_MS)
    assert len(times) == 0


@pytest.mark.parametrize(
    ("venue", "symbol", "name"),
    [
        ("binanceusdm", "ETH/USDT:USDT", "ETHUSDT"),
        ("binancecoinm", "BTC/USD:BTC", "BTCUSD_PERP"),
        ("bingx", "BTC/USDT:USDT", "BTC-USDT"),
        ("bitmex", "BTC/USD:BTC", "XBTUSD"),
        ("bitmex", "ETH/USDT:USDT", "ETHUSDT"),
    ],
)
def test_a_market_has_the_venues_own_name(venue, symbol, name):
    assert ServedMarket(venue, symbol, bars(3)).id == name


@pytest.mark.parametrize(
    ("venue", "symbol", "says"),
    [
        ("kraken", "BTC/USD:BTC", "the loopback venue speaks binanceusdm, .*, not 'kraken'"),
        ("bybit", "BTC/USDT", "'BTC/USDT' is no perpetual. Write BTC/USDT:USDT or BTC/USD:BTC"),
    ],
)
def test_what_cannot_be_served_is_refused(venue, symbol, says):
    with pytest.raises(ConfigError, match=says):
        ServedMarket(venue, symbol, bars(3))


def test_the_same_seed_gives_the_same_faults():
    first, second, other = Faults(0.5, seed=1), Faults(0.5, seed=1), Faults(0.5, seed=2)
    drawn = [first.draw() for _ in range(200)]
    assert drawn == [second.draw() for _ in range(200)]
    assert drawn != [other.draw() for _ in range(200)]
    assert set(first.seen) == set(KINDS)
    assert 70 < sum(first.seen.values()) < 130


def test_a_short_page_is_never_an_empty_one():
    rows = [(n, (1.0,)) for n in range(5)]
    faults = Faults()
    lengths = {len(faults.spoil(rows, "short_page")) for _ in range(100)}
    assert lengths == {1, 2, 3, 4}
    assert faults.spoil(rows[:1], "short_page") == rows[:1]
    assert faults.spoil([], "twice") == []


@pytest.mark.parametrize("host", [host for host in DIALECTS if host != "www.bitmex.com"])
def test_an_unknown_market_is_refused_in_the_venues_words(host):
    url = {
        "fapi.binance.com": "fapi/v1/klines?symbol=NONE&interval=1h",
        "dapi.binance.com": "dapi/v1/klines?symbol=NONE&interval=1h",
        "api.bybit.com": "v5/market/kline?category=linear&symbol=NONE&interval=60",
        "open-api.bingx.com": "openApi/swap/v3/quote/klines?symbol=NONE&interval=1h",
        "api.bitget.com": "api/v2/mix/market/candles?symbol=NONE&granularity=1H&productType=USDT-FUTURES",
    }[host]
    with serving(served("bybit", "BTC/USDT:USDT", 9), now=START + 9 * HOUR) as venue:
        _, body = get(venue, f"https://{host}/{url}")
    assert {"code", "retCode"} & body.keys()
    assert body.get("code", body.get("retCode")) not in (0, "00000")


@pytest.mark.parametrize(
    "url",
    [
        "https://fapi.binance.com/fapi/v1/depth?symbol=BTCUSDT",
        "https://api.bitget.com/api/v2/mix/market/depth?symbol=BTCUSDT&productType=USDT-FUTURES",
        "https://www.bitmex.com/api/v1/orderBook?symbol=XBTUSDT",
        "https://example.org/",
    ],
)
def test_what_is_not_served_is_not_found(url):
    markets = (served(venue, "BTC/USDT:USDT", 9) for venue in ("binanceusdm", "bitget", "bitmex"))
    with serving(*markets, now=START + 9 * HOUR) as venue:
        assert get(venue, url)[0] == 404


def test_recorded_answers_come_before_anything_else():
    recorded = {"https://api.bybit.com/v5/market/time": {"retCode": 0, "time": 12}}
    with LoopbackVenue(recorded=recorded) as venue:
        assert get(venue, "https://api.bybit.com/v5/market/time?x=1") == (200, {"retCode": 0, "time": 12})
        assert venue.asked == ["https://api.bybit.com/v5/market/time?x=1"]


def test_its_clock_is_the_time_of_day_unless_it_is_set():
    with LoopbackVenue([served("bybit", "BTC/USD:BTC", 9)]) as venue:
        told = get(venue, "https://api.bybit.com/v5/market/time")[1]["time"]
    assert abs(told - pd.Timestamp.now(tz="UTC").value // 1_000_000) < 60_000


def test_its_clock_can_go_faster_and_clients_go_with_it(monkeypatch):
    ours = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: ours[0])
    with LoopbackVenue([served("bybit", "BTC/USD:BTC", 9)], now_ms=SINCE_MS, speed=600) as venue:
        ours[0] += 3.0
        client = client_of(venue)
        assert client.now_ms() == SINCE_MS + 1_800_000
        ours[0] += 0.5
        assert client.now_ms() == venue.clock_ms() == SINCE_MS + 2_100_000
        assert client.speed == 600


def test_binance_refuses_spans_and_days_beyond_its_limits():
    with serving(served("binancecoinm", "BTC/USD:BTC", 9), now=START + 900 * HOUR) as venue:
        long = f"symbol=BTCUSD_PERP&interval=1h&startTime=1&endTime={201 * 24 * HOUR_MS}"
        old = "pair=BTCUSD&period=1h&startTime=1"
        assert get(venue, f"https://dapi.binance.com/dapi/v1/klines?{long}")[1]["code"] == -1128
        assert get(venue, f"https://dapi.binance.com/futures/data/openInterestHist?{old}")[1]["code"] == -1130


def test_bybit_wants_an_end_with_a_start_of_funding():
    with serving(served("bybit", "BTC/USD:BTC", 9), now=START + 9 * HOUR) as venue:
        url = "https://api.bybit.com/v5/market/funding/history?category=inverse&symbol=BTCUSD&startTime=1"
        assert get(venue, url)[1]["retMsg"] == "params error: endTime is required"


def test_a_gateway_that_is_down_answers_in_html():
    with serving(served("bybit", "BTC/USD:BTC", 9), now=START + 9 * HOUR) as venue:
        venue.faults = Faults(1.0, kinds=("bad_gateway",))
        with pytest.raises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(f"{venue.address}/https://api.bybit.com/v5/market/time")
        assert raised.value.code == 502
        assert raised.value.read().startswith(b"<html>")


def test_the_clients_own_address_stays_in_its_requests():
    with serving(served("binanceusdm", "BTC/USDT:USDT", 9), now=START + 9 * HOUR) as venue:
        client_of(venue).market("BTC/USDT:USDT")
        assert venue.asked == ["https://fapi.binance.com/fapi/v1/exchangeInfo"]


def test_an_address_that_is_none_is_refused():
    with pytest.raises(ConfigError, match=r"'127\.0\.0\.1:1' is no address of a loopback venue\. Write http://"):
        LoopbackAdapter("127.0.0.1:1")
