"""`lbt data` as a user types it, and the store as the place other commands read from."""

import errno
import json
import os

import pandas as pd
import pytest

from lstm_backtrader.candles import candles_sha256
from lstm_backtrader.datafeeds.series import Series
from lstm_backtrader.datafeeds.store import Store

SERIES = Series("bybit", "BTC/USD:BTC", "candles", "1h")
NAME = str(SERIES)


@pytest.fixture
def lbt(lbt, monkeypatch, tmp_path):
    """`lbt("data", "--verify")` runs the command in this process, on a store of its own."""
    monkeypatch.setenv("LBT_STORE", str(tmp_path / "data"))
    return lbt


@pytest.fixture
def store(lbt, candles_of):
    """Fifteen hundred hours, with the mark price."""
    store, bars = Store(), candles_of(3000).iloc[:1500]
    store.append(SERIES, bars, "bybit", covered=[(bars.index[0], bars.index[-1] + pd.Timedelta(hours=1))])
    store.append(SERIES.other("mark"), bars, "bybit")
    return store


def test_an_empty_store_says_how_to_fill_it(lbt):
    outcome = lbt("data")
    assert outcome.code == 0
    assert "The store is empty. `lbt download` fills it, `lbt data --import` takes in files." in outcome.out


def test_all_series_are_listed_however_narrow_the_terminal(lbt, store, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    store.note_gaps(SERIES, [("2024-01-05", "2024-01-06")])
    row, mark = (line.split() for line in lbt("data").out.splitlines()[2:4])
    assert row == [NAME, "1,500", "2024-01-01", "00:00", "2024-03-03", "11:00", "1", "0.1", "bybit"]
    assert mark[0] == "bybit:BTC/USD:BTC:mark:1h"


def test_what_an_imported_file_lacks_counts_as_gaps(lbt, candles_of, tmp_path):
    bars = candles_of(3000).iloc[:1500]
    store = Store()
    store.append(SERIES, bars.drop([*bars.index[5:9], bars.index[700], *bars.index[740:746]]), "file.csv")
    store.append(SERIES.other("mark"), bars, "file.csv")
    store.note_gaps(SERIES, [(bars.index[6], bars.index[8]), (bars.index[0] - pd.Timedelta("2h"), bars.index[0])])
    row, mark = (line.split() for line in lbt("data").out.splitlines()[2:4])
    assert (row[0], row[6]) == (NAME, "4")
    assert mark[6] == "0"


def test_what_cannot_be_read_is_named_beside_what_can(lbt, store):
    (store.folder(SERIES) / "manifest.json").write_text("{")
    outcome = lbt("data")
    assert outcome.code == 0
    assert "bybit:BTC/USD:BTC:mark:1h" in outcome.out
    assert "the manifest is damaged" in outcome.out


def test_a_damaged_store_is_verified_mended_and_sound(lbt, store):
    assert lbt("data", "--verify").out.startswith("all sound\n")
    damaged = next(store.folder(SERIES).glob("2024-02*.parquet"))
    damaged.write_bytes(b"PAR1")
    found = lbt("data", "--verify")
    assert found.code == 1
    assert f"{damaged}: damaged, its SHA-256 is not the manifest's" in found.out
    assert "1 damaged; --repair makes the rest readable" in found.out
    mended = lbt("data", "--verify", "--repair")
    assert mended.code == 0
    assert "2024-02 is forgotten; lbt download fetches it again" in mended.out
    assert lbt("data", "--verify").code == 0
    assert len(store.read(SERIES)) == 1500 - 29 * 24


def test_a_series_is_exported_and_imported_again(lbt, store, tmp_path):
    out = tmp_path / "candles.csv"
    exported = lbt("data", "--export", NAME, "--out", out, "--since", "2024-01-02", "--until", "2024-01-03")
    assert exported.out == f"48 rows of {NAME} written to {out}\n"
    imported = lbt("data", "--import", out, "--as", "bybit:copy:1h")
    assert imported.out == f"{out}: 48 rows into bybit:copy:1h\n"
    copy = store.read(Series("bybit", "copy", "candles", "1h"))
    pd.testing.assert_frame_equal(copy, store.read(SERIES, "2024-01-02", "2024-01-04"))


def test_a_folder_of_freqtrade_is_imported_by_the_names_of_its_files(lbt, candles, tmp_path):
    folder = tmp_path / "futures"
    folder.mkdir()
    table = candles.reset_index(drop=True).assign(date=candles.index)
    for name in ("BTC_USDT_USDT-1h-futures", "BTC_USDT_USDT-1h-mark", "pairs"):
        table.to_feather(folder / f"{name}.feather")
    outcome = lbt("data", "--import", folder, "--venue", "bybit")
    assert outcome.code == 0
    assert "300 rows into bybit:BTC/USDT:USDT:mark:1h" in outcome.out
    assert "pairs.feather: left out, its name is none that freqtrade gives" in outcome.out
    assert len(Store().series()) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--verify", "--export", NAME, "--out", "x.csv"), "--verify, --export and --import are three commands"),
        (("--export", NAME), "--export needs a file to write. Add --out candles.parquet."),
        (("--export", "bybit:BTC/USD:BTC", "--out", "x.csv"), "names no series. Write venue:symbol:timeframe"),
        (
            ("--export", "bybit:ETH/USD:ETH:1h", "--out", "x.csv"),
            "has no rows of bybit:ETH/USD:ETH:1h in this span",
        ),
        (("--export", NAME, "--out", "x.xlsx"), "Name a .parquet or a .csv file."),
        (("--out", "x.csv"), "belong to --export. Add --export venue:symbol:timeframe."),
        (("--as", NAME), "--as and --venue belong to --import. Add --import FILE."),
        (("--import", "nowhere.csv"), "Add --as bybit:BTC/USD:BTC:1h for a file, or --venue bybit"),
        (("--import", "nowhere.csv", "--as", NAME), "nowhere.csv: no such file"),
        (("--import", "x.csv", "--as", NAME, "--venue", "bybit"), "Give one of them."),
        (
            ("--import", __file__, "--venue", "bybit"),
            "no name is one that freqtrade gives to candles, mark prices or funding. Say what a file is: --as",
        ),
        (("--import", "nowhere", "--venue", "bybit"), "nowhere: no file to import. Give a file or a folder"),
        (("--store", __file__), "is a file. Give a directory."),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_one(lbt, store, options, message):
    outcome = lbt("data", *options)
    assert outcome.code == 1
    (line,) = outcome.err.splitlines()
    assert line.startswith("Error: ")
    assert message in line


def test_a_full_disk_is_one_line_and_the_store_stays_readable(lbt, store, tmp_path, candles_of, monkeypatch):
    candles_of(3000).to_parquet(tmp_path / "more.parquet")

    def full(file):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        outcome = lbt("data", "--import", tmp_path / "more.parquet", "--as", NAME)
    assert outcome.code == 1
    (line,) = outcome.err.splitlines()
    assert line.startswith(f"Error: {store.folder(SERIES)}")
    assert line.endswith("No space left on device. Choose another path, or make room.")
    assert len(store.read(SERIES)) == 1500
    assert lbt("data", "--verify").code == 0


def test_other_commands_take_a_series_of_the_store_as_data(lbt, tiny_market, tmp_path):
    Store().append(SERIES, tiny_market, "a synthetic market")
    sizes = {"horizon": 4, "context": 32, "stride": 8, "hidden": 4, "seeds": 1, "steps": 20, "embargo": 24}
    short = [word for name, size in sizes.items() for word in (f"--{name}", size)]
    trained = lbt("train", "--data", NAME, "--until", "2020-03-20", "--out", tmp_path / "model", *short)
    assert trained.code == 0, trained.err
    traded = lbt("backtest", "--data", NAME, "--model", tmp_path / "model", "--out", tmp_path / "run")
    assert traded.code == 0, traded.err
    assert f"{NAME}: 2,600 bars" in traded.out
    assert NAME in lbt("ledger").out
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["simulation"]["contract"] == "bybit:BTC/USD:BTC"  # without --contract that of the series
    assert "generic" not in traded.out
    inputs = metrics["inputs"]
    assert inputs["data_sha256"] == candles_sha256(tiny_market[["open", "high", "low", "close", "volume"]])
    missing = lbt("train", "--data", "bybit:X/USDT:USDT:1h", "--out", tmp_path / "other")
    assert missing.code == 1
    assert "`lbt download --venue bybit --symbol X/USDT:USDT --timeframe 1h" in missing.err
