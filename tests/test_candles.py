"""Bars, their times and lengths, and the hash of a table of candles."""

import numpy as np
import pandas as pd
import pytest

from lstm_backtrader.candles import Bars, bar_seconds, candles_sha256, format_timeframe, open_times
from lstm_backtrader.errors import DataError, LbtError


def test_bars_can_be_cut_from_the_end(candles):
    bars = Bars.of(candles)
    assert len(bars.last(7)) == 7
    assert bars.last(7)["close"].tolist() == candles["close"].iloc[-7:].to_list()
    assert len(bars.last(1000)) == 300


def test_a_column_the_bars_do_not_have_is_named(candles):
    with pytest.raises(DataError, match="column 'news' is needed and missing; the data has open, high"):
        Bars.of(candles)["news"]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_open_times_are_nanoseconds_in_any_resolution(candles, unit):
    assert open_times(candles.index.as_unit(unit))[0] == 1_704_067_200_000_000_000


def test_the_bar_length_is_the_median_so_gaps_do_not_count(candles):
    assert bar_seconds(open_times(candles.index[[0, 1, 2, 3, 90, 91]])) == 3600


def test_one_bar_has_no_length():
    with pytest.raises(DataError, match="measured between bars; 1 is too few"):
        bar_seconds(np.array([0]))


@pytest.mark.parametrize(
    ("seconds", "name"), [(1, "1s"), (90, "90s"), (60, "1m"), (14_400, "4h"), (604_800, "7D"), (5400, "90m")]
)
def test_timeframes_read_as_venues_write_them(seconds, name):
    assert format_timeframe(seconds) == name


def test_the_hash_is_of_the_numbers(candles):
    same = candles.set_axis(candles.index.as_unit("ms"))
    assert candles_sha256(same) == candles_sha256(candles)
    other = candles.assign(volume=1.0)
    renamed = candles.rename(columns={"volume": "turnover"})
    later = candles.set_axis(candles.index + pd.Timedelta("1h"))
    assert len({candles_sha256(table) for table in (candles, other, renamed, later)}) == 4


def test_every_data_error_is_also_a_value_error():
    assert issubclass(DataError, LbtError)
    assert issubclass(DataError, ValueError)
