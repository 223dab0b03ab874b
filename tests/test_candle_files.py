"""Reading candle files, and joining funding and mark prices to them."""

import re

import numpy as np
import pandas as pd
import pytest

from lstm_backtrader.candle_files import read_candles
from lstm_backtrader.errors import DataError


def rates(times, values):
    return pd.DataFrame({"timestamp": pd.to_datetime(times, utc=True, format="ISO8601"), "funding_rate": values})


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".CSV"])
def test_csv_round_trip(candles, write_csv, suffix):
    path = write_csv(candles, "btc.1h" + suffix)
    pd.testing.assert_frame_equal(read_candles(path), candles, check_freq=False, rtol=1e-12)


def test_parquet_round_trip_is_exact(candles, tmp_path):
    candles.to_parquet(tmp_path / "btc.parquet")
    pd.testing.assert_frame_equal(read_candles(str(tmp_path / "btc.parquet")), candles, check_freq=False)


def test_a_feather_file_of_freqtrade_is_read(candles, tmp_path):
    table = candles.reset_index(names="date")
    table["date"] = table["date"].astype("datetime64[ms, UTC]")
    table.to_feather(tmp_path / "BTC_USDT-1h.feather")
    read = read_candles(tmp_path / "BTC_USDT-1h.feather")
    pd.testing.assert_frame_equal(read, candles, check_freq=False)
    assert read.attrs["notes"] == []


def test_column_names_are_read_in_any_case(candles, write_csv):
    table = candles.reset_index(names="Date").rename(columns=lambda name: f" {name.title()} ")
    assert list(read_candles(write_csv(table)).columns) == list(candles.columns)


def test_notes_come_with_the_candles(candles, write_csv):
    notes = read_candles(write_csv(candles.iloc[::-1].drop(candles.index[7]))).attrs["notes"]
    assert notes == [
        "rows were out of order and have been sorted",
        "1 gaps, 1 bars missing (longest 1 after 2024-01-01 06:00); left as they are",
    ]


def test_a_refusal_names_the_file_and_its_row(candles, write_csv):
    candles.iloc[4, 3] = -1.0
    path = write_csv(candles, "bad.csv")
    with pytest.raises(DataError, match=rf"{path}: row 5 \(2024-01-01 04:00\): close -1 is not positive"):
        read_candles(path)


# --- files that are none ------------------------------------------------------------------------------------


def test_tables_are_read_as_files_are(candles):
    # given: rows as ccxt gives them, funding and mark price as pandas has them
    stamps = candles.index.as_unit("ms").asi8
    rows = [[stamp, *values] for stamp, values in zip(stamps.tolist(), candles.to_numpy().tolist(), strict=True)]
    table = pd.DataFrame(rows, columns=["Timestamp", "Open", "High", "Low", "Close", "Volume"])
    funding = pd.DataFrame({"funding_rate": [0.0001]}, index=candles.index[8:9])

    # when
    read = read_candles(table, funding=funding, mark=candles)

    # then
    pd.testing.assert_frame_equal(read[candles.columns], candles, check_freq=False)
    assert read["funding_rate"].iloc[8] == 0.0001
    assert read["mark_close"].to_numpy() == pytest.approx(candles["close"].to_numpy())
    with pytest.raises(DataError, match="candles: no time column; found open, high"):
        read_candles(table.set_index("Timestamp"))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere.csv: no such file. Give a Parquet, CSV or feather file"):
        read_candles(tmp_path / "nowhere.csv")


def test_a_directory_is_no_file(tmp_path):
    with pytest.raises(DataError, match=r"is a folder. Give a Parquet, CSV or feather file"):
        read_candles(tmp_path)


@pytest.mark.parametrize("name", ["candles.xlsx", "candles.txt.gz", "candles"])
def test_an_unknown_format_is_refused_with_the_known_ones(tmp_path, name):
    (tmp_path / name).write_text("x")
    with pytest.raises(DataError, match=r"is no known format. Use .parquet, .csv, .csv.gz or .feather"):
        read_candles(tmp_path / name)


@pytest.mark.parametrize("name", ["candles.parquet", "candles.feather", "candles.csv.gz"])
@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_a_cut_file_is_refused(candles, tmp_path, name, kept):
    path = tmp_path / name
    if name.endswith("parquet"):
        candles.to_parquet(path)
    elif name.endswith("feather"):
        candles.reset_index().to_feather(path)
    else:
        candles.to_csv(path)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(DataError, match=rf"{name}: not readable as .*Is the file whole"):
        read_candles(path)


def test_a_damaged_gzip_is_refused(candles, write_csv):
    path = write_csv(candles, "candles.csv.gz")
    whole = path.read_bytes()
    path.write_bytes(whole[:40] + b"not compressed at all" + whole[61:])
    with pytest.raises(DataError, match=r"not readable as csv\.gz"):
        read_candles(path)


@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_a_csv_without_commas_is_refused_with_its_separator_and_the_remedy(candles, tmp_path, separator, decimal):
    path = tmp_path / "candles.csv"
    candles.to_csv(path, sep=separator, decimal=decimal)
    rule = rf"candles.csv: its columns are parted by {re.escape(repr(separator))}, not by commas"
    with pytest.raises(DataError, match=rf"{rule}.*read_csv\(.*, sep={re.escape(repr(separator))}.*to_csv"):
        read_candles(path)


def test_a_funding_file_without_commas_is_refused_too(candles, write_csv, tmp_path):
    (tmp_path / "funding.csv").write_text("time;funding_rate\n2024-01-01 08:00;0.0001\n")
    with pytest.raises(DataError, match=r"funding.csv: its columns are parted by ';'"):
        read_candles(write_csv(candles), funding=tmp_path / "funding.csv")


def test_an_empty_csv_is_refused(tmp_path):
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(DataError, match=r"empty.csv: not readable as csv \(No columns to parse"):
        read_candles(tmp_path / "empty.csv")


def test_a_csv_with_a_header_alone_is_refused(tmp_path):
    (tmp_path / "header.csv").write_text("time,open,high,low,close,volume\n")
    with pytest.raises(DataError, match="0 rows; at least 2 bars"):
        read_candles(tmp_path / "header.csv")


def test_text_in_a_column_of_a_file_is_refused(candles, write_csv):
    candles = candles.astype(object)
    candles.iloc[8, 4] = "--"
    with pytest.raises(DataError, match="row 9: volume is '--', not a number"):
        read_candles(write_csv(candles))


# --- funding ------------------------------------------------------------------------------------------------


def test_funding_lands_in_the_bar_that_holds_its_stamp(candles, write_csv):
    funding = rates(candles.index[8::8], 1e-4)
    joined = read_candles(write_csv(candles), funding=write_csv(funding, "funding.csv"))
    assert np.flatnonzero(joined["funding_rate"].notna()).tolist() == list(range(8, 300, 8))
    assert (joined["funding_rate"].dropna() == 1e-4).all()
    assert joined.attrs["notes"] == ["37 funding stamps joined"]


@pytest.mark.parametrize("jitter_ms", [-900, -3, 0, 7, 12_000])
def test_stamps_beside_the_minute_are_moved_to_it(candles, write_csv, jitter_ms):
    times = candles.index[[8, 16]] + pd.Timedelta(milliseconds=jitter_ms)
    joined = read_candles(write_csv(candles), funding=write_csv(rates(times, [1e-4, 2e-4]), "funding.csv"))
    assert joined["funding_rate"].dropna().to_dict() == {candles.index[8]: 1e-4, candles.index[16]: 2e-4}


def test_two_stamps_in_one_bar_are_added(candles_of, write_csv):
    days = candles_of(10, freq="1D")
    times = ["2024-01-03 00:00", "2024-01-03 08:00", "2024-01-03 16:00", "2024-01-04 00:00"]
    joined = read_candles(
        write_csv(days), funding=write_csv(rates(times, [1e-4, 2e-4, -5e-5, 3e-4]), "funding.csv")
    )
    assert joined["funding_rate"].dropna().to_list() == pytest.approx([2.5e-4, 3e-4])


def test_a_stamp_in_a_gap_is_counted_outside(candles, write_csv):
    gappy = candles.drop(candles.index[[16]])
    funding = rates(candles.index[[8, 16, 24]], 1e-4)
    joined = read_candles(write_csv(gappy), funding=write_csv(funding, "funding.csv"))
    assert joined["funding_rate"].notna().sum() == 2
    assert joined.attrs["notes"][-1] == "2 funding stamps joined, 1 outside the candles"


def test_a_stamp_given_twice_counts_once(candles, write_csv):
    funding = rates(candles.index[[8, 8, 16]], 1e-4)
    joined = read_candles(write_csv(candles), funding=write_csv(funding, "funding.csv"))
    assert joined["funding_rate"].dropna().to_list() == [1e-4, 1e-4]


def test_two_rates_for_one_stamp_are_refused(candles, write_csv):
    funding = rates(candles.index[[8, 8]], [1e-4, 2e-4])
    with pytest.raises(DataError, match=r"two different rates for 2024-01-01 08:00. Keep one"):
        read_candles(write_csv(candles), funding=write_csv(funding, "funding.csv"))


@pytest.mark.parametrize("rate", [0.1, -0.5, 1.25, np.nan])
def test_a_rate_in_percent_or_none_is_refused(candles, write_csv, rate):
    funding = rates(candles.index[[8, 16]], [1e-4, rate])
    with pytest.raises(DataError, match=r"row 2 \(2024-01-01 16:00\): funding_rate .* is not a fraction below 0.1"):
        read_candles(write_csv(candles), funding=write_csv(funding, "funding.csv"))


def test_a_funding_file_without_rates_is_refused(candles, write_csv):
    funding = rates(candles.index[[8]], [1e-4]).rename(columns={"funding_rate": "rate"})
    with pytest.raises(DataError, match="column funding_rate missing; found timestamp, rate"):
        read_candles(write_csv(candles), funding=write_csv(funding, "funding.csv"))


def test_a_funding_file_of_ccxt_is_read(candles, write_csv):
    funding = rates(candles.index[[8]], [1e-4]).rename(columns={"funding_rate": "fundingRate"})
    joined = read_candles(write_csv(candles), funding=write_csv(funding, "funding.csv"))
    assert joined["funding_rate"].notna().sum() == 1


def test_an_empty_funding_file_is_refused(candles, write_csv):
    with pytest.raises(DataError, match=r"funding.csv: 0 rows. Give a file with funding rates"):
        read_candles(write_csv(candles), funding=write_csv(rates([], []), "funding.csv"))


@pytest.mark.parametrize("first", ["2020-01-01", "2026-01-01"])
def test_funding_of_another_period_is_refused_with_both_periods(candles, write_csv, first):
    funding = rates(pd.date_range(first, periods=3, freq="8h"), 1e-4)
    with pytest.raises(DataError, match=rf"covers {first} 00:00 to .* nothing in common"):
        read_candles(write_csv(candles), funding=write_csv(funding, "funding.csv"))


# --- mark prices --------------------------------------------------------------------------------------------


def test_mark_prices_are_joined_and_missing_ones_are_nan(candles, write_csv):
    mark = (candles * 1.001).drop(columns="volume").drop(candles.index[[3, 4]])
    path = write_csv(mark.reset_index(), "mark.csv")
    joined = read_candles(write_csv(candles), mark=path)
    assert np.flatnonzero(joined["mark_close"].isna()).tolist() == [3, 4]
    assert joined["mark_low"].iloc[9] == pytest.approx(candles["low"].iloc[9] * 1.001)
    assert joined.attrs["notes"] == ["mark price known for 298 of 300 bars"]


def test_mark_prices_of_another_bar_length_are_refused(candles_of, write_csv):
    mark = write_csv(candles_of(100, freq="15min"), "mark.csv")
    with pytest.raises(DataError, match=r"mark.csv: mark prices come in 15m bars, candles in 1h"):
        read_candles(write_csv(candles_of(100)), mark=mark)


def test_mark_prices_of_another_period_are_refused(candles_of, write_csv):
    mark = write_csv(candles_of(100, start="2020-01-01"), "mark.csv")
    with pytest.raises(DataError, match=r"mark.csv: covers 2020-01-01 00:00 to 2020-01-05 03:00, the candles 2024"):
        read_candles(write_csv(candles_of(100)), mark=mark)


def test_a_bad_mark_price_is_refused_as_a_bad_candle_is(candles, write_csv):
    bad = candles.copy()
    bad.iloc[4, 3] = 0.0
    with pytest.raises(DataError, match=r"mark.csv: row 5 .* close 0 is not positive"):
        read_candles(write_csv(candles), mark=write_csv(bad, "mark.csv"))


# --- real files ---------------------------------------------------------------------------------------------


def test_bitmex_opens_outside_the_bar_are_counted(shared_data):
    candles = read_candles(shared_data / "bitmex" / "XBTUSD-1h.parquet")
    assert len(candles) == 28_356
    assert candles.attrs["notes"] == ["268 bars open outside [low, high]; accepted, venues publish this"]


def test_gaps_of_a_real_file_are_those_of_its_description(shared_data):
    notes = read_candles(shared_data / "binance-cm" / "BTCUSD_PERP-1h.parquet").attrs["notes"]
    assert "24 gaps, 68 bars missing (longest 24 after 2023-05-09 23:00); left as they are" in notes


def test_real_funding_and_mark_prices_join_their_candles(shared_data):
    folder = shared_data / "binance-um"
    candles = read_candles(
        folder / "BTCUSDT-1h.parquet",
        funding=folder / "BTCUSDT-8h-funding.parquet",
        mark=folder / "BTCUSDT-1h-mark.parquet",
    )
    assert candles["funding_rate"].notna().sum() == 5453
    assert candles["mark_close"].notna().sum() == 41_125
    assert candles["mark_close"].first_valid_index() == pd.Timestamp("2019-12-23 11:00", tz="UTC")
    assert set(candles.index[candles["funding_rate"].notna()].hour) == {0, 8, 16}
