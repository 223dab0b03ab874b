"""Candles out of the store: the very table `read_candles` makes of the same files."""

import numpy as np
import pandas as pd
import pytest

from lstm_backtrader.candle_files import names_series, read_candles
from lstm_backtrader.datafeeds.series import Series
from lstm_backtrader.datafeeds.store import Store
from lstm_backtrader.datafeeds.stored import stored_candles
from lstm_backtrader.errors import ConfigError, DataError

SERIES = Series("bybit", "BTC/USD:BTC", "candles", "1h")
HOUR = pd.Timedelta(hours=1)


@pytest.fixture
def market(candles_of):
    """Candles, mark prices and funding of 40 days."""
    candles = candles_of(960)
    mark = candles[["open", "high", "low", "close"]] * 1.001
    stamps = candles.index[::8] + pd.Timedelta("7ms")  # as venues stamp them
    rates = pd.DataFrame({"funding_rate": np.linspace(-1e-4, 1e-4, len(stamps))}, index=stamps)
    return candles, mark, rates


@pytest.fixture
def store(tmp_path, monkeypatch, market):
    """The user's own store, with all three."""
    monkeypatch.setenv("LBT_STORE", str(tmp_path / "data"))
    store = Store()
    for kind, rows in zip(("candles", "mark", "funding"), market, strict=True):
        store.append(SERIES.other(kind), rows, "bybit", covered=[(rows.index[0], rows.index[-1] + HOUR)])
    return store


def test_they_equal_the_candles_read_from_files(store, market, tmp_path):
    for name, table in zip(("candles", "mark", "funding"), market, strict=True):
        table.rename_axis("time").to_parquet(tmp_path / f"{name}.parquet")
    files = read_candles(
        tmp_path / "candles.parquet", funding=tmp_path / "funding.parquet", mark=tmp_path / "mark.parquet"
    )
    stored = stored_candles(SERIES)
    pd.testing.assert_frame_equal(stored, files)
    assert stored.attrs["notes"] == files.attrs["notes"]
    assert stored["funding_rate"].notna().sum() == 120


def test_every_reader_of_candles_takes_a_series_by_name(store, market):
    pd.testing.assert_frame_equal(read_candles("bybit:BTC/USD:BTC:1h"), stored_candles(SERIES))


def test_a_file_may_be_named_as_it_likes(tmp_path, monkeypatch, candles, write_csv):
    monkeypatch.chdir(tmp_path)
    write_csv(candles, "bybit:mine.csv")
    assert not names_series("bybit:mine.csv")
    assert len(read_candles("bybit:mine.csv")) == len(candles)


def test_a_span_has_its_own_marks_and_rates(store):
    part = stored_candles(SERIES, "2024-01-05 03:00", "2024-01-06 03:00")
    assert (part.index[0], len(part)) == (pd.Timestamp("2024-01-05 03:00", tz="UTC"), 24)
    assert part["mark_close"].notna().all()
    assert part.index[part["funding_rate"].notna()].hour.tolist() == [8, 16, 0]


def test_open_interest_of_the_same_bars_becomes_a_column(store, market):
    interest = pd.DataFrame({"open_interest": 7.0}, index=market[0].index[:50])
    store.append(SERIES.other("open_interest"), interest, "bybit")
    candles = stored_candles(SERIES)
    assert candles["open_interest"].notna().sum() == 50
    assert "open interest known for 50 of 960 bars" in candles.attrs["notes"]


def test_what_was_never_asked_is_noted(store, market):
    rows = market[0].set_axis(market[0].index + pd.Timedelta(days=60))
    store.append(SERIES, rows, "bybit")
    assert "never fetched: 2024-02-10 00:00 to 2024-04-10 00:00" in stored_candles(SERIES).attrs["notes"]


def test_missing_candles_come_with_the_command_that_fetches_them(store):
    with pytest.raises(
        DataError, match=r"has no okx:BTC/USD:BTC:1h. `lbt download --venue okx --symbol BTC/USD:BTC"
    ):
        read_candles("okx:BTC/USD:BTC:1h")
    with pytest.raises(DataError, match=r"0 bars in this span; the store has 2024-01-01 00:00 to 2024-02-09 23:00"):
        stored_candles(SERIES, "2025-01-01")
    with pytest.raises(ConfigError, match="'bybit:BTC/USD:BTC' names no series"):
        read_candles("bybit:BTC/USD:BTC")
