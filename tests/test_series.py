"""Names of series, and what may become a row of one."""

import doctest

import numpy as np
import pandas as pd
import pytest

from lstm_backtrader.datafeeds import series as module
from lstm_backtrader.datafeeds.series import Series, checked_rows, parse_series
from lstm_backtrader.errors import ConfigError, DataError

HOURLY = Series("bybit", "BTC/USD:BTC", "candles", "1h")
FUNDING = HOURLY.other("funding")


@pytest.mark.parametrize(
    "series",
    [
        HOURLY,
        HOURLY.other("mark"),
        FUNDING,
        HOURLY.other("open_interest"),
        Series("binance", "BTC/USDT", "candles", "1d"),
    ],
)
def test_a_series_is_read_back_from_its_name(series):
    assert parse_series(str(series)) == series


def test_lengths_of_bars_have_one_spelling():
    assert Series("bybit", "BTC/USD:BTC", "candles", "60m") == HOURLY
    assert Series("bybit", "X", "candles", "1D").timeframe == "1d"
    assert HOURLY.step == pd.Timedelta(hours=1)
    assert FUNDING.step is None


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (
            ("Bybit!", "BTC/USD:BTC", "candles", "1h"),
            "venue 'Bybit!' is no name of a venue. Write ccxt's, say bybit",
        ),
        (("bybit", "", "candles", "1h"), "symbol '' is no market"),
        (("bybit", "../secrets", "candles", "1h"), r"symbol '../secrets' is no market"),
        (("bybit", "BTC/USD:BTC", "trades", "1h"), "kind 'trades' is unknown. Use candles, mark, funding"),
        (("bybit", "BTC/USD:BTC", "candles", None), "need a timeframe. Give one, say '1h'"),
        (("bybit", "BTC/USD:BTC", "candles", "hourly"), "timeframe 'hourly' is unknown"),
        (("bybit", "BTC/USD:BTC", "funding", "8h"), "funding has no timeframe, got '8h'"),
    ],
)
def test_a_wrong_part_of_a_name_is_refused(given, match):
    with pytest.raises(ConfigError, match=match):
        Series(*given)


@pytest.mark.parametrize("text", ["bybit:BTC/USD:BTC", "bybit:1h", "bybit", "bybit:BTC/USD:BTC:funding:8h", ""])
def test_a_text_that_names_no_series_is_refused(text):
    with pytest.raises(
        ConfigError, match=r"names no series. Write venue:symbol:timeframe, say bybit:BTC/USD:BTC:1h"
    ):
        parse_series(text)


def test_rows_come_in_order_once_and_with_their_own_columns(candles):
    shuffled = pd.concat([candles.iloc[5:9], candles.iloc[:7]]).assign(trades=3)
    pd.testing.assert_frame_equal(
        checked_rows(HOURLY, shuffled, "a page"), candles.iloc[:9].rename_axis("time"), check_freq=False
    )


def test_of_two_rows_for_one_time_the_later_counts(candles):
    changed = candles.iloc[[3]].assign(volume=7.0)
    rows = checked_rows(HOURLY, pd.concat([candles.iloc[:5], changed]), "a page")
    assert rows["volume"].iloc[3] == 7.0


def test_times_may_stand_in_a_column_as_an_epoch(candles):
    table = candles.reset_index(drop=True).assign(timestamp=candles.index.as_unit("ms").asi8)
    assert (checked_rows(HOURLY, table, "a page").index == candles.index).all()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda rows: rows.drop(columns="volume"), "a page: column volume missing, which candles need"),
        (
            lambda rows: rows.set_axis(rows.index + pd.Timedelta("1min")),
            r"is not on the 1h grid of bybit:BTC/USD:BTC:1h",
        ),
        (lambda rows: rows.assign(close=np.nan), "close nan is not a finite number"),
        (lambda rows: rows.assign(low=1e9), "lies outside|is below low"),
        (lambda rows: rows.reset_index(drop=True), "no time column"),
    ],
)
def test_rows_that_are_no_candles_are_refused(candles, change, match):
    with pytest.raises(DataError, match=match):
        checked_rows(HOURLY, change(candles), "a page")


@pytest.mark.parametrize("rate", [np.nan, 0.5, "much"])
def test_a_rate_is_a_small_fraction(rate):
    table = pd.DataFrame({"funding_rate": [rate]}, index=pd.DatetimeIndex(["2024-01-01 08:00"], tz="UTC"))
    with pytest.raises(DataError, match=r"2024-01-01 08:00: funding_rate .* is not a fraction below 0.1"):
        checked_rows(FUNDING, table, "a page")


def test_open_interest_is_not_negative():
    table = pd.DataFrame({"open_interest": [-1.0]}, index=pd.DatetimeIndex(["2024-01-01 08:00"], tz="UTC"))
    with pytest.raises(DataError, match=r"open_interest -1.0 is not a number of 0 or more"):
        checked_rows(HOURLY.other("open_interest"), table, "a page")


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(module).failed == 0
