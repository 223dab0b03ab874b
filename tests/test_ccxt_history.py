"""History as the venues tell it: each of their habits, and that nothing of it shows in the rows."""

import dataclasses
from itertools import pairwise

import pandas as pd
import pytest
from served import HOUR, HOUR_MS, MARKETS, SINCE_MS, START, assert_rows, bars, client_of, rates, served, serving

from lstm_backtrader.datafeeds.ccxt_client import connect
from lstm_backtrader.datafeeds.ccxt_history import check_kinds, fetch_closed, fetch_pages
from lstm_backtrader.datafeeds.loopback.faults import Faults
from lstm_backtrader.datafeeds.series import Series
from lstm_backtrader.errors import ConfigError

each_market = pytest.mark.parametrize(("venue", "symbol"), MARKETS)


def at(n):
    """The open of bar `n`, in ms."""
    return SINCE_MS + n * HOUR_MS


def pages_of(client, kind, n, symbol=None, timeframe="1h", since_ms=SINCE_MS):
    series = Series(client.venue, symbol or MARKET[client.venue], kind, None if kind == "funding" else timeframe)
    return list(fetch_pages(client, series, since_ms, at(n)))


MARKET = dict(reversed(MARKETS)) | {"bybit": "BTC/USD:BTC"}


def rows_of(pages):
    return pd.concat([page.rows for page in pages])


# --- what all of them do --------------------------------------------------------------------------------------


@each_market
def test_the_running_bar_is_left_out_by_the_venues_clock_whatever_ours_shows(venue, symbol):
    market = served(venue, symbol, 300)
    with serving(market, now=START + 250 * HOUR + pd.Timedelta(minutes=59)) as loopback:
        rows = fetch_closed(client_of(loopback), symbol, "1h", SINCE_MS)
    assert_rows(rows, market.candles[:250])


@each_market
def test_volume_is_counted_in_the_base_coin(venue, symbol):
    market = served(venue, symbol, 50)
    with serving(market, now=START + 50 * HOUR) as loopback:
        rows = fetch_closed(client_of(loopback), symbol, "1h", SINCE_MS)
    assert_rows(rows[["volume"]], market.candles[["volume"]])


@each_market
def test_short_pages_and_rows_twice_do_not_end_or_repeat_anything(venue, symbol):
    market = served(venue, symbol, 700)
    faults = Faults(rate=0.8, seed=4, kinds=("short_page", "twice"))
    with serving(market, now=START + 700 * HOUR, faults=faults) as loopback:
        client = client_of(loopback)
        assert_rows(rows_of(pages_of(client, "candles", 700, symbol)), market.candles)
    assert faults.seen["short_page"]


@each_market
def test_a_gap_is_asked_for_twice_and_told(venue, symbol):
    market = served(venue, symbol, 150)
    market = dataclasses.replace(market, candles=market.candles.drop(market.candles.index[[40, 41, 90]]))
    with serving(market, now=START + 150 * HOUR) as loopback:
        client = client_of(loopback)
        client.market(symbol)
        client.read_clock()
        before = len(loopback.asked)
        (page,) = pages_of(client, "candles", 150, symbol)
        assert len(loopback.asked) - before == 2
    assert_rows(page.rows, market.candles)
    assert page.gaps == ((START + 40 * HOUR, START + 42 * HOUR), (START + 90 * HOUR, START + 91 * HOUR))
    assert page.span == (START, START + 150 * HOUR)


@each_market
def test_bars_since_a_time_begin_there(venue, symbol):
    market = served(venue, symbol, 60)
    with serving(market, now=START + 55.5 * HOUR) as loopback:
        client = client_of(loopback)
        assert_rows(fetch_closed(client, symbol, "1h", at(52)), market.candles[52:55])
        assert_rows(fetch_closed(client, symbol, "1h", at(52) + 1), market.candles[53:55])
        assert fetch_closed(client, symbol, "1h", at(55)).empty


def test_a_bar_that_closed_just_now_and_is_not_there_is_no_gap():
    market = served("bybit", "BTC/USD:BTC", 100)
    late = dataclasses.replace(market, candles=market.candles[:98])  # 98 and 99 have closed
    with serving(late, now=START + 100 * HOUR + pd.Timedelta(seconds=5)) as loopback:
        (page,) = pages_of(client_of(loopback), "candles", 100)
    assert page.gaps == ()
    assert page.span == (START, START + 98 * HOUR)


def test_a_bar_without_a_price_is_no_bar():
    market = served("bybit", "BTC/USD:BTC", 20)
    with serving(market, now=START + 20 * HOUR) as loopback:
        client = client_of(loopback)
        ask = client.ask

        def with_an_empty_field(method, *given):
            told = ask(method, *given)
            return [[*bar[:4], None if bar[0] == at(7) else bar[4], bar[5]] for bar in told]

        client.market("BTC/USD:BTC")
        client.read_clock()
        client.ask = with_an_empty_field
        (page,) = pages_of(client, "candles", 20)
    assert_rows(page.rows, market.candles.drop(market.candles.index[7]))
    assert page.gaps == ((START + 7 * HOUR, START + 8 * HOUR),)


def test_the_years_before_a_listing_cost_a_few_requests():
    market = served("bybit", "BTC/USD:BTC", 100)
    with serving(market, now=START + 100 * HOUR) as loopback:
        pages = pages_of(client_of(loopback), "candles", 100, since_ms=SINCE_MS - 4 * 365 * 24 * HOUR_MS)
        assert len(loopback.asked) < 20
    assert_rows(rows_of(pages), market.candles)
    gaps = [gap for page in pages for gap in page.gaps]
    assert gaps[0][0] == START - pd.Timedelta(days=4 * 365)
    assert gaps[-1][1] == START
    assert all(a[1] == b[0] for a, b in pairwise(gaps))


def test_a_market_without_any_bar_is_one_gap():
    market = dataclasses.replace(served("bybit", "BTC/USD:BTC", 10), mark=None)
    with serving(market, now=START + 9000 * HOUR) as loopback:
        pages = pages_of(client_of(loopback), "mark", 8000)
    assert rows_of(pages).empty
    assert (pages[0].gaps[0][0], pages[-1].gaps[-1][1]) == (START, START + 8000 * HOUR)


def test_an_outage_in_the_middle_is_crossed():
    market = served("bybit", "BTC/USD:BTC", 4000)
    holed = dataclasses.replace(market, candles=pd.concat([market.candles[:100], market.candles[3500:]]))
    with serving(holed, now=START + 4000 * HOUR) as loopback:
        pages = pages_of(client_of(loopback), "candles", 4000)
    assert_rows(rows_of(pages), holed.candles)
    gaps = [gap for page in pages for gap in page.gaps]
    assert (gaps[0][0], gaps[-1][1]) == (START + 100 * HOUR, START + 3500 * HOUR)


# --- mark prices and funding -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("venue", "symbol"), [each for each in MARKETS if each[0] != "bitmex"])
def test_mark_prices_have_no_volume(venue, symbol):
    market = served(venue, symbol, 250)
    with serving(market, now=START + 250 * HOUR) as loopback:
        client = client_of(loopback)
        if (venue, symbol) == ("bingx", "BTC/USD:BTC"):
            with pytest.raises(ConfigError, match=r"no history of mark of BTC/USD:BTC at bingx\. Leave it out"):
                check_kinds(client, [Series(venue, symbol, "mark", "1h")])
            return
        assert_rows(rows_of(pages_of(client, "mark", 250, symbol)), market.mark)


def test_bitmex_has_no_mark_prices_and_says_so():
    with (
        serving(served("bitmex", "BTC/USD:BTC", 10), now=START + 10 * HOUR) as loopback,
        pytest.raises(ConfigError, match=r"no history of mark of BTC/USD:BTC at bitmex\. Leave it out of --with"),
    ):
        check_kinds(client_of(loopback), [Series("bitmex", "BTC/USD:BTC", "mark", "1h")])


def test_bingx_has_no_funding_of_inverse_markets_and_says_so():
    with (
        serving(served("bingx", "BTC/USD:BTC", 10), now=START + 10 * HOUR) as loopback,
        pytest.raises(ConfigError, match="no history of funding of BTC/USD:BTC at bingx"),
    ):
        check_kinds(client_of(loopback), [Series("bingx", "BTC/USD:BTC", "funding")])


@pytest.mark.parametrize("hours", [1, 4, 8])
@pytest.mark.parametrize(("venue", "symbol"), [each for each in MARKETS if each != ("bingx", "BTC/USD:BTC")])
def test_funding_is_whole_however_often_it_is_settled(venue, symbol, hours):
    market = served(venue, symbol, 4000, funding=rates(2000 // hours, hours))
    with serving(market, now=START + 2100 * HOUR, faults=Faults(0.2, kinds=("short_page", "twice"))) as loopback:
        assert_rows(rows_of(pages_of(client_of(loopback), "funding", 2000, symbol)), market.funding)


def test_a_settlement_of_this_minute_is_left_for_the_next_time():
    market = served("bybit", "BTC/USD:BTC", 100)
    with serving(market, now=START + 96 * HOUR + pd.Timedelta(seconds=2)) as loopback:
        (page,) = pages_of(client_of(loopback), "funding", 100)
    assert page.rows.index[-1].floor("1min") == START + 88 * HOUR
    assert page.span[1] < START + 96 * HOUR


# --- each venue's own -----------------------------------------------------------------------------------------


def test_bitgets_old_and_recent_bars_come_from_two_places():
    market = served("bitget", "BTC/USDT:USDT", 2000)
    with serving(market, now=START + 2000 * HOUR) as loopback:
        assert_rows(rows_of(pages_of(client_of(loopback), "candles", 2000)), market.candles)
        paths = {url.partition("?")[0].rpartition("/")[2] for url in loopback.asked}
    assert {"candles", "history-candles"} <= paths


@pytest.mark.parametrize(("venue", "symbol"), [("bitget", "BTC/USDT:USDT"), ("binancecoinm", "BTC/USD:BTC")])
def test_days_stay_within_the_span_that_a_venue_allows(venue, symbol):
    daily = bars(900, freq="1D")
    market = served(venue, symbol, 900, candles=daily)
    with serving(market, now=START + pd.Timedelta(days=900)) as loopback:
        pages = pages_of(client_of(loopback), "candles", 900 * 24, timeframe="1d")
    assert_rows(rows_of(pages), daily)


def test_bybits_rows_come_newest_first_and_bitmexs_are_stamped_by_their_close():
    with serving(served("bybit", "BTC/USD:BTC", 9), served("bitmex", "BTC/USD:BTC", 9), now=START + 9 * HOUR) as it:
        newest = client_of(it, "bybit").exchange.public_get_v5_market_kline(
            {"category": "inverse", "symbol": "BTCUSD", "interval": "60"}
        )["result"]["list"]
        first = client_of(it, "bitmex").exchange.request(
            "trade/bucketed", "public", "GET", {"symbol": "XBTUSD", "binSize": "1h", "partial": "true"}
        )
    assert [int(row[0]) for row in newest] == [at(n) for n in range(8, -1, -1)]
    assert first[0]["timestamp"] == "2023-01-01T01:00:00.000Z"


def test_bingx_is_asked_once_a_second_and_bitmex_thirty_times_a_minute():
    assert connect("bingx").exchange.rateLimit == 1000
    assert connect("bitmex").exchange.rateLimit * 5 == 2000  # what a request costs
    assert connect("bybit").exchange.enableRateLimit


def test_bingx_waits_between_two_requests(monkeypatch):
    waits = []
    monkeypatch.setattr("time.sleep", waits.append)
    with serving(served("bingx", "BTC/USDT:USDT", 9), now=START + 9 * HOUR) as loopback:
        client = connect("bingx", via=loopback.address, is_paced=True)
        client.market("BTC/USDT:USDT")
        client.read_clock()
        waits.clear()
        fetch_closed(client, "BTC/USDT:USDT", "1h", SINCE_MS)
    assert waits
    assert all(0.5 < wait <= 1.0 for wait in waits)
