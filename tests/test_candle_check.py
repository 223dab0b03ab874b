"""Tables brought into the candle contract: what is mended and counted, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_backtrader.candle_check import check_candles
from lstm_backtrader.candles import show_time
from lstm_backtrader.errors import DataError


def with_value(candles, row, column, value):
    """`candles` with one cell changed; `row` counts from 1 as messages do."""
    changed = candles.copy()
    changed.iloc[row - 1, changed.columns.get_loc(column)] = value
    return changed


def with_stamp(candles, row, stamp):
    stamps = candles.index.to_list()
    stamps[row - 1] = pd.Timestamp(stamp, tz="UTC")
    return candles.set_axis(pd.DatetimeIndex(stamps))


def with_time_column(candles, times, name="timestamp"):
    return candles.reset_index(drop=True).assign(**{name: times})


def test_clean_candles_come_back_as_they_are_and_without_notes(candles):
    checked, notes = check_candles(candles)
    pd.testing.assert_frame_equal(checked, candles, check_freq=False)
    assert notes.lines() == []
    assert (notes.rows, notes.timeframe_s) == (300, 3600)


@given(order=st.permutations(range(12)))
def test_rows_in_any_order_are_sorted_and_that_is_said(candles_of, order):
    candles = candles_of(12)
    checked, notes = check_candles(candles.iloc[list(order)])
    pd.testing.assert_frame_equal(checked, candles, check_freq=False)
    assert notes.sorted == (list(order) != sorted(order))
    assert ("rows were out of order and have been sorted" in notes.lines()) == notes.sorted


def test_exact_duplicates_are_dropped_and_counted(candles):
    checked, notes = check_candles(pd.concat([candles, candles.iloc[[5, 5, 9]]]))
    pd.testing.assert_frame_equal(checked, candles, check_freq=False)
    assert notes.duplicates == 3
    assert "3 exact duplicate rows dropped" in notes.lines()


def test_duplicates_with_nan_in_an_extra_column_are_exact_too(candles):
    candles = candles.assign(funding_rate=np.nan)
    _, notes = check_candles(pd.concat([candles, candles.iloc[[5]]]))
    assert notes.duplicates == 1


def test_two_different_bars_for_one_time_are_refused_with_both_rows(candles):
    other = candles.iloc[[5]] * 1.001
    with pytest.raises(DataError, match=r"toy: rows 6 and 301: two different bars for 2024-01-01 05:00.*Keep one"):
        check_candles(pd.concat([candles, other]), "toy")


@pytest.mark.parametrize("column", ["open", "high", "low", "close", "volume"])
def test_a_missing_column_is_named_with_those_found(candles, column):
    with pytest.raises(DataError, match=rf"toy: column {column} missing; found .*Candles need"):
        check_candles(candles.drop(columns=column), "toy")


def test_a_column_given_twice_is_refused(candles):
    twice = pd.concat([candles, candles[["close"]]], axis=1)
    with pytest.raises(DataError, match="toy: column close is there twice"):
        check_candles(twice, "toy")


def test_a_table_without_time_is_refused(candles):
    with pytest.raises(DataError, match=r"no time column; found open, .*DatetimeIndex"):
        check_candles(candles.reset_index(drop=True))


@pytest.mark.parametrize("rows", [0, 1])
def test_fewer_than_two_bars_are_refused(candles, rows):
    with pytest.raises(DataError, match=f"{rows} rows; at least 2 bars"):
        check_candles(candles.iloc[:rows])


def test_one_bar_twice_is_one_bar(candles):
    with pytest.raises(DataError, match="1 distinct bars; at least 2"):
        check_candles(candles.iloc[[0, 0]])


# --- time ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["open_time", "timestamp", "datetime", "date", "time"])
def test_the_time_column_goes_by_any_usual_name(candles, name):
    checked, _ = check_candles(with_time_column(candles, candles.index, name))
    assert checked.index.equals(candles.index)
    assert name not in checked.columns


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_epochs_are_read_in_any_unit(candles, unit):
    epoch = candles.index.as_unit(unit).asi8
    checked, notes = check_candles(with_time_column(candles, epoch))
    assert checked.index.equals(candles.index)
    assert notes.converted_from == ""


def test_epochs_as_floats_are_read(candles):
    checked, _ = check_candles(with_time_column(candles, candles.index.as_unit("ms").asi8.astype(float)))
    assert checked.index.equals(candles.index)


def test_a_number_that_is_no_epoch_is_refused(candles):
    with pytest.raises(DataError, match=r"row 1: time 0 is no epoch of this century. Use s, ms, us or ns"):
        check_candles(with_time_column(candles, np.arange(300)))


def test_an_empty_time_column_is_refused(candles):
    with pytest.raises(DataError, match="the time column holds no number"):
        check_candles(with_time_column(candles, np.full(300, np.nan)))


@pytest.mark.parametrize("text", ["2024-01-31 08:00", "2024-01-31T08:00:00Z", "2024-01-31 08:00:00+00:00"])
def test_strings_in_utc_need_no_note(candles, text):
    times = pd.date_range(text, periods=300, freq="1h")
    texts = times.strftime("%Y-%m-%dT%H:%M:%S" + ("Z" if text.endswith("Z") else text[19:]))
    checked, notes = check_candles(with_time_column(candles, texts))
    assert show_time(checked.index[0].value) == "2024-01-31 08:00"
    assert notes.lines() == []


@pytest.mark.parametrize(("offset", "first"), [("+02:00", "2023-12-31 22:00"), ("-0530", "2024-01-01 05:30")])
def test_offsets_in_strings_are_converted_and_noted(candles, offset, first):
    texts = candles.index.strftime("%Y-%m-%d %H:%M:%S") + offset
    checked, notes = check_candles(with_time_column(candles, texts))
    assert show_time(checked.index[0].value) == first
    assert notes.lines() == [f"stamps converted from {offset} to UTC"]


@pytest.mark.parametrize("as_index", [True, False])
def test_another_time_zone_is_converted_and_noted(candles, as_index):
    local = candles.index.tz_convert("Europe/Berlin")
    table = candles.set_axis(local) if as_index else with_time_column(candles, local)
    checked, notes = check_candles(table)
    assert checked.index.equals(candles.index)
    assert notes.lines() == ["stamps converted from Europe/Berlin to UTC"]


def test_naive_stamps_are_utc(candles):
    checked, _ = check_candles(candles.tz_localize(None))
    assert checked.index.equals(candles.index)


def test_an_hour_repeated_by_winter_time_is_refused(candles):
    local = pd.date_range("2024-10-26", periods=300, freq="1h", tz="Europe/Berlin").tz_localize(None)
    with pytest.raises(DataError, match=r"two different bars for 2024-10-27 02:00.*convert them to UTC"):
        check_candles(candles.set_axis(local))


@pytest.mark.parametrize("bad", ["31/01/2024", "yesterday-ish", ""])
def test_a_time_that_is_none_is_refused_with_its_row(candles, bad):
    texts = candles.index.strftime("%Y-%m-%d %H:%M").to_list()
    texts[6] = bad
    with pytest.raises(DataError, match=f"row 7: time '{bad}' is not a time. Use UTC in ISO 8601"):
        check_candles(with_time_column(candles, texts))


def test_a_missing_stamp_is_refused_with_its_row(candles):
    epoch = candles.index.as_unit("s").asi8.astype(float)
    epoch[6] = np.nan
    with pytest.raises(DataError, match=r"row 7: time .*nan.* is not a time"):
        check_candles(with_time_column(candles, epoch))


# --- the grid -----------------------------------------------------------------------------------------------


def test_a_stamp_off_the_grid_is_refused_with_its_row(candles):
    with pytest.raises(DataError, match=r"row 8: 2024-01-01 07:10 is not on the 1h grid.*one bar length each"):
        check_candles(with_stamp(candles, 8, "2024-01-01 07:10"))


def test_a_row_keeps_its_number_when_rows_were_sorted(candles):
    with pytest.raises(DataError, match="row 293: 2024-01-01 07:10 is not on"):
        check_candles(with_stamp(candles, 8, "2024-01-01 07:10").iloc[::-1])


@pytest.mark.parametrize("short_of", ["1ms", "1us", "1s"])
def test_bars_labelled_by_their_end_are_refused(candles, short_of):
    ends = candles.index + pd.Timedelta("1h") - pd.Timedelta(short_of)
    with pytest.raises(DataError, match=r"row 1: .* is the end of a 1h bar. Label bars by their open time"):
        check_candles(candles.set_axis(ends))


def test_days_that_begin_at_eight_are_a_grid_too(candles):
    checked, notes = check_candles(candles.set_axis(pd.date_range("2023-01-01 08:00", periods=300, freq="D")))
    assert notes.timeframe_s == 86_400
    assert checked.index[0].hour == 8


def test_bars_of_one_second_are_a_grid_too(candles_of):
    _, notes = check_candles(candles_of(50, freq="1s"))
    assert notes.timeframe_s == 1


def test_stamps_within_a_second_are_refused(candles_of):
    with pytest.raises(DataError, match="less than a second apart"):
        check_candles(candles_of(50, freq="100ms"))


def test_gaps_are_counted_and_left(candles):
    gappy = candles.drop(candles.index[[10, 20, 21, 22, 50]])
    checked, notes = check_candles(gappy)
    assert (notes.gaps, notes.missing_bars, notes.longest_gap) == (3, 5, 3)
    assert len(checked) == 295
    assert notes.lines() == ["3 gaps, 5 bars missing (longest 3 after 2024-01-01 19:00); left as they are"]


@given(kept=st.sets(st.integers(0, 79), min_size=60))
def test_rows_and_missing_bars_add_up_to_the_span(candles_of, kept):
    candles = candles_of(80).iloc[sorted(kept)]
    _, notes = check_candles(candles)
    assert notes.rows + notes.missing_bars == max(kept) - min(kept) + 1


# --- prices -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["open", "high", "low", "close"])
@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (np.nan, "nan is not a finite number"),
        (np.inf, "inf is not a finite number"),
        (0.0, "0 is not positive"),
        (-3.0, "-3 is not positive"),
    ],
)
def test_a_price_that_is_none_is_refused(candles, column, value, rule):
    with pytest.raises(DataError, match=rf"toy: row 5 \(2024-01-01 04:00\): {column} {rule} \(1 such rows\). Drop"):
        check_candles(with_value(candles, 5, column, value), "toy")


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_a_volume_that_is_none_is_refused(candles, value):
    with pytest.raises(DataError, match=r"row 5 .*: volume .* is not a number of 0 or more .*Write 0"):
        check_candles(with_value(candles, 5, "volume", value))


def test_no_volume_at_all_is_accepted(candles):
    checked, _ = check_candles(candles.assign(volume=0.0))
    assert (checked["volume"] == 0).all()


def test_swapped_high_and_low_are_refused_with_their_number(candles):
    swapped = candles.rename(columns={"high": "low", "low": "high"})
    with pytest.raises(DataError, match=r"row 1 .*: high .* is below low \(300 such rows\). The columns may be"):
        check_candles(swapped)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_close_outside_the_bar_is_refused(candles, factor):
    wrong = with_value(candles, 5, "close", candles["close"].iloc[4] * factor)
    with pytest.raises(DataError, match=r"row 5 .*: close .* lies outside \[low, high\] \(1 such rows\)"):
        check_candles(wrong)


def test_a_close_outside_by_rounding_alone_is_accepted(candles):
    candles["close"] = candles["high"] * (1 + 1e-12)
    _, notes = check_candles(candles)
    assert notes.lines() == []


def test_opens_outside_the_bar_are_accepted_and_counted(candles):
    wrong = with_value(with_value(candles, 5, "open", 1.0), 9, "open", 1000.0)
    _, notes = check_candles(wrong)
    assert notes.open_outside == 2
    assert notes.lines() == ["2 bars open outside [low, high]; accepted, venues publish this"]


# --- columns ------------------------------------------------------------------------------------------------


def test_text_in_a_price_column_is_refused_with_its_row(candles):
    wrong = with_value(candles.astype(object), 5, "close", "n/a")
    with pytest.raises(DataError, match="row 5: close is 'n/a', not a number"):
        check_candles(wrong)


def test_numbers_written_as_text_are_numbers(candles):
    checked, _ = check_candles(candles.astype(str))
    pd.testing.assert_frame_equal(checked, candles, check_freq=False)


def test_columns_without_numbers_are_ignored_and_named(candles):
    table = candles.assign(symbol="BTC", fetched=pd.Timestamp("2024-01-01"), news=1)
    checked, notes = check_candles(table)
    assert list(checked.columns) == ["open", "high", "low", "close", "volume", "news"]
    assert notes.lines() == ["columns without numbers ignored: symbol, fetched"]


def test_columns_come_in_one_order_as_float64(candles):
    table = candles.assign(news=1)[["news", "volume", "close", "low", "high", "open"]]
    checked, _ = check_candles(table)
    assert list(checked.columns) == ["open", "high", "low", "close", "volume", "news"]
    assert set(checked.dtypes) == {np.dtype(np.float64)}


def test_the_table_given_is_left_as_it_was(candles):
    shuffled = candles.iloc[::-1].assign(symbol="BTC")
    before = shuffled.copy()
    check_candles(shuffled)
    pd.testing.assert_frame_equal(shuffled, before)
