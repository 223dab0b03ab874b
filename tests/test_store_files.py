"""Files out of the store and into it: exports that read back, freqtrade's names and columns."""

import doctest
import errno
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lstm_backtrader.candle_files import read_candles
from lstm_backtrader.datafeeds import store_files as module
from lstm_backtrader.datafeeds.series import Series
from lstm_backtrader.datafeeds.store import Store
from lstm_backtrader.datafeeds.store_files import candle_files, export, freqtrade_series, import_file
from lstm_backtrader.errors import ConfigError, DataError

SERIES = Series("bybit", "BTC/USDT:USDT", "candles", "1h")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "data")


@pytest.fixture
def bars(candles_of):
    return candles_of(1600)


def freqtrade_table(rows):
    """As freqtrade's feather files have it."""
    return rows.reset_index(drop=True).assign(date=rows.index.as_unit("ms"))


@pytest.mark.parametrize("name", ["out.parquet", "folder/out.csv"])
def test_an_export_reads_back_to_the_last_bit(store, bars, tmp_path, name):
    store.append(SERIES, bars, "bybit")
    assert export(store, SERIES, tmp_path / name) == len(bars)
    pd.testing.assert_frame_equal(read_candles(tmp_path / name), bars, check_freq=False)


def test_a_span_is_exported(store, bars, tmp_path):
    store.append(SERIES, bars, "bybit")
    assert export(store, SERIES, tmp_path / "out.csv", "2024-02-01", "2024-02-03") == 48


def test_an_export_that_breaks_off_leaves_the_old_file(store, bars, tmp_path, monkeypatch):
    store.append(SERIES, bars, "bybit")
    out = tmp_path / "out.csv"
    out.write_text("old")

    def full(*given, **named):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*out.csv'"):
        export(store, SERIES, out)
    assert out.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["out.csv"]


def test_what_cannot_be_exported_is_refused(store, bars, tmp_path):
    store.append(SERIES, bars, "bybit")
    with pytest.raises(ConfigError, match=r"'.xlsx' cannot be written. Name a .parquet or a .csv file"):
        export(store, SERIES, tmp_path / "out.xlsx")
    with pytest.raises(
        DataError, match=r"has no rows of bybit:BTC/USDT:USDT:funding in this span. `lbt data` lists"
    ):
        export(store, SERIES.other("funding"), tmp_path / "out.csv")


def test_a_file_of_freqtrade_is_imported(store, bars, tmp_path):
    path = tmp_path / "BTC_USDT_USDT-1h-futures.feather"
    freqtrade_table(bars.drop(bars.index[100:110])).to_feather(path)
    series = freqtrade_series(path, "bybit")
    assert series == SERIES
    assert import_file(store, path, series) == len(bars) - 10
    pd.testing.assert_frame_equal(
        store.read(SERIES), bars.drop(bars.index[100:110]).rename_axis("time"), check_freq=False
    )
    end = bars.index[-1] + pd.Timedelta(hours=1)
    assert store.missing(SERIES, bars.index[0], end) == [(bars.index[100], bars.index[110])]
    assert store.manifest(SERIES).sources == (path.name,)


def test_funding_of_freqtrade_is_the_open_of_a_candle(store, bars, tmp_path):
    path = tmp_path / "BTC_USDT_USDT-8h-funding_rate.feather"
    zero = dict.fromkeys(("high", "low", "close", "volume"), 0.0)
    rates = bars.iloc[::8].assign(open=np.linspace(-1e-4, 1e-4, len(bars) // 8), **zero)
    freqtrade_table(rates).to_feather(path)
    series = freqtrade_series(path, "bybit")
    assert import_file(store, path, series) == len(rates)
    np.testing.assert_array_equal(store.read(SERIES.other("funding"))["funding_rate"], rates["open"])
    assert len(store.spans(series)) == 1


@pytest.mark.parametrize("column", ["fundingRate", "funding_rate"])
def test_a_file_of_rates_is_imported(store, tmp_path, column):
    times = pd.date_range("2024-01-01", periods=9, freq="8h")
    pd.DataFrame({"timestamp": times, column: 1e-4}).to_csv(tmp_path / "rates.csv", index=False)
    assert import_file(store, tmp_path / "rates.csv", SERIES.other("funding")) == 9


@pytest.mark.parametrize(
    ("name", "series"),
    [
        ("BTC_USDT_USDT-1h-mark.feather", SERIES.other("mark")),
        ("BTC_USDT-5m.feather", Series("bybit", "BTC/USDT", "candles", "5m")),
        ("BTC_USD_BTC-1d-futures.csv.gz", Series("bybit", "BTC/USD:BTC", "candles", "1d")),
        ("BTC_USDT_USDT-1w-futures.feather", None),
        ("BTC_USDT_USDT-1h-index.feather", None),
        ("BTC_USDT_USDT-trades.feather", None),
        ("prices.csv", None),
    ],
)
def test_names_of_freqtrade(name, series):
    assert freqtrade_series(Path(name), "bybit") == series


def test_what_cannot_be_imported_is_refused(store, bars, tmp_path):
    path = tmp_path / "bars.parquet"
    bars.to_parquet(path)
    with pytest.raises(DataError, match=r"bars of 1h .measured., which are no bybit:BTC/USDT:USDT:30m"):
        import_file(store, path, Series("bybit", "BTC/USDT:USDT", "candles", "30m"))
    bars.iloc[:0].to_parquet(path)
    with pytest.raises(DataError, match=r"0 rows. There is nothing to import"):
        import_file(store, path, SERIES)
    with pytest.raises(DataError, match="no such file"):
        import_file(store, tmp_path / "nowhere.csv", SERIES)
    assert store.series() == []


def test_a_folder_is_searched_for_files(tmp_path):
    (tmp_path / "futures").mkdir()
    for name in ("b.csv", "futures/a.feather", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in candle_files(tmp_path)] == ["b.csv", "a.feather"]
    assert candle_files(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]
    with pytest.raises(DataError, match=r"no file to import. Give a file or a folder of"):
        candle_files(tmp_path / "nowhere")


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(module).failed == 0
