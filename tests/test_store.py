"""The store: what goes in comes out, at once or not at all, whoever else writes and whatever breaks."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from lstm_backtrader.datafeeds.series import Series
from lstm_backtrader.datafeeds.store import Store, store_path
from lstm_backtrader.errors import ConfigError, DataError

SERIES = Series("bybit", "BTC/USD:BTC", "candles", "1h")
FUNDING = SERIES.other("funding")
HOUR = pd.Timedelta(hours=1)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "data")


@pytest.fixture
def bars(candles_of):
    """Four months of hours from 2024-01-01."""
    return candles_of(2900)


def utc(text):
    return pd.Timestamp(text, tz="UTC")


def assert_holds(store, rows, series=SERIES):
    pd.testing.assert_frame_equal(store.read(series), rows.rename_axis("time"), check_freq=False)


def span(rows, step=HOUR):
    return rows.index[0], rows.index[-1] + step


def files(store):
    """What a reader can find: bytes by path."""
    found = sorted(path for path in store.root.rglob("*") if path.is_file() and path.name != ".lock")
    return {path.relative_to(store.root): path.read_bytes() for path in found}


# --- reading and writing ------------------------------------------------------------------------------------


def test_rows_come_back_to_the_last_bit(store, bars):
    store.append(SERIES, bars, "bybit")
    assert_holds(store, bars)
    assert store.manifest(SERIES).sources == ("bybit",)
    assert [part.month for part in store.manifest(SERIES).parts] == ["2024-01", "2024-02", "2024-03", "2024-04"]


def test_the_store_is_the_same_in_whatever_steps_it_was_filled(store, bars, tmp_path):
    store.append(SERIES, bars, "bybit", covered=[span(bars)])
    other = Store(tmp_path / "other")
    for start in (1800, 0, 900, 2700, 500):
        page = bars.iloc[start : start + 1000]
        other.append(SERIES, page, "bybit", covered=[span(page)])
    assert files(store) == files(other)


def test_appending_again_changes_nothing(store, bars):
    for _ in range(2):
        store.append(SERIES, bars.iloc[:900], "bybit")
        before = files(store)
    assert files(store) == before


def test_a_span_reads_the_files_of_its_months_alone(store, bars):
    store.append(SERIES, bars, "bybit")
    for path in store.folder(SERIES).glob("2024-0[14]*.parquet"):
        path.write_bytes(b"not read")
    kept = store.read(SERIES, "2024-02-03 05:00", "2024-03-10")
    assert (kept.index[0], kept.index[-1]) == (utc("2024-02-03 05:00"), utc("2024-03-09 23:00"))
    assert len(kept) == len(pd.date_range(kept.index[0], kept.index[-1], freq="h"))


def test_a_scan_holds_a_month_at_a_time(store, bars):
    store.append(SERIES, bars, "bybit")
    months = list(store.scan(SERIES, since="2024-01-31"))
    assert [len(month) for month in months] == [24, 696, 744, len(bars) - 31 * 24 - 696 - 744]


def test_what_is_not_there_is_empty(store):
    assert store.read(SERIES).empty
    assert list(store.read(FUNDING).columns) == ["funding_rate"]
    assert store.spans(SERIES) == store.gaps(SERIES) == store.series() == []


def test_every_kind_of_series_has_its_place(store, bars):
    rates = pd.DataFrame(
        {"funding_rate": [1e-4, -2e-4]}, index=pd.date_range("2024-01-01", periods=2, freq="8h", tz="UTC")
    )
    store.append(SERIES, bars, "bybit")
    store.append(SERIES.other("mark"), bars.drop(columns="volume"), "bybit")
    store.append(FUNDING, rates, "bybit")
    store.append(SERIES.other("open_interest"), bars[["volume"]].set_axis(["open_interest"], axis=1), "bybit")
    assert {series.kind for series in store.series()} == {"candles", "mark", "funding", "open_interest"}
    assert store.read(FUNDING)["funding_rate"].tolist() == [1e-4, -2e-4]


def test_a_changed_row_takes_the_place_of_the_old_one_and_is_told(store, bars, caplog):
    store.append(SERIES, bars, "bybit")
    store.append(SERIES, bars.iloc[10:12].assign(volume=5.0), "bybit")
    assert store.read(SERIES)["volume"].iloc[9:12].tolist() == [bars["volume"].iloc[9], 5.0, 5.0]
    assert "2 rows differ from those stored, first at 2024-01-01 10:00" in caplog.text


def test_since_must_not_be_after_until(store, bars):
    with pytest.raises(ConfigError, match=r"since 2024-03-01 00:00 is after until 2024-02-01 00:00. Swap them"):
        store.read(SERIES, "2024-03-01", "2024-02-01")


def test_a_file_cannot_be_a_store(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"file is a file. Give a directory"):
        Store(tmp_path / "file")


def test_the_users_store_is_chosen_by_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("LBT_STORE", str(tmp_path))
    assert store_path() == Store().root == tmp_path
    monkeypatch.delenv("LBT_STORE")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert store_path() == tmp_path / "lstm_backtrader" / "data"
    monkeypatch.delenv("XDG_DATA_HOME")
    assert store_path() == Path.home() / ".local" / "share" / "lstm_backtrader" / "data"


# --- coverage -----------------------------------------------------------------------------------------------


def test_what_was_asked_and_what_is_missing(store, bars):
    store.append(SERIES, bars.iloc[:100], "bybit", covered=[span(bars.iloc[:100])])
    store.mark_covered(SERIES, "2024-01-10", "2024-01-12")
    assert store.spans(SERIES) == [
        span(bars.iloc[:100]),
        (utc("2024-01-10"), utc("2024-01-12")),
    ]
    assert store.missing(SERIES, "2024-01-03", "2024-01-20") == [
        (utc("2024-01-05 04:00"), utc("2024-01-10")),
        (utc("2024-01-12"), utc("2024-01-20")),
    ]


def test_an_empty_answer_is_covered_too(store, bars):
    store.append(SERIES, bars.iloc[:0], "bybit", covered=[span(bars)])
    assert store.missing(SERIES, *span(bars)) == []
    assert store.read(SERIES).empty


def test_gaps_are_noted_until_their_rows_come(store, bars):
    store.append(SERIES, bars.drop(bars.index[5:9]), "bybit")
    store.note_gaps(SERIES, [(bars.index[5], bars.index[9])])
    assert store.gaps(SERIES) == [(bars.index[5], bars.index[9])]
    store.append(SERIES, bars.iloc[6:7], "bybit")
    assert store.gaps(SERIES) == [(bars.index[5], bars.index[6]), (bars.index[7], bars.index[9])]


def test_a_forgotten_month_is_missing_again(store, bars):
    store.append(SERIES, bars, "bybit", covered=[span(bars)])
    store.forget(SERIES, ["2024-02"])
    february = (utc("2024-02-01"), utc("2024-03-01"))
    assert store.missing(SERIES, *span(bars)) == [february]
    assert store.read(SERIES, *february).empty
    assert len(store.read(SERIES)) == len(bars) - 29 * 24


# --- what breaks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("crash_at", range(1, 9))
def test_an_append_that_breaks_off_anywhere_leaves_all_as_it_was(store, bars, tmp_path, monkeypatch, crash_at):
    store.append(SERIES, bars.iloc[:1400], "bybit", covered=[span(bars.iloc[:1400])])
    before = store.read(SERIES), store.spans(SERIES)
    steps = iter(range(1, 99))

    def breaking(original):
        def step(*given):
            if next(steps) == crash_at:
                raise OSError(errno.ENOSPC, "No space left on device")
            return original(*given)

        return step

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", breaking(os.fsync))
        patch.setattr(Path, "replace", breaking(Path.replace))
        with pytest.raises(OSError, match="No space left on device") as caught:
            store.append(SERIES, bars.iloc[1300:], "bybit", covered=[span(bars.iloc[1300:])])
    assert str(store.root) in caught.value.filename
    pd.testing.assert_frame_equal(store.read(SERIES), before[0])
    assert store.spans(SERIES) == before[1]

    store.append(SERIES, bars.iloc[1300:], "bybit", covered=[span(bars.iloc[1300:])])
    whole = Store(tmp_path / "whole")
    whole.append(SERIES, bars, "bybit", covered=[span(bars)])
    assert files(store) == files(whole)


WRITER = """
import sys
import pandas as pd
from lstm_backtrader.datafeeds.series import Series
from lstm_backtrader.datafeeds.store import Store
root, path, first, last = sys.argv[1:]
store, series = Store(root), Series("bybit", "BTC/USD:BTC", "candles", "1h")
bars = pd.read_parquet(path).iloc[int(first) : int(last)]
step = pd.Timedelta(hours=1)
print("ready", flush=True)
while missing := store.missing(series, bars.index[0], bars.index[-1] + step):
    start = missing[0][0]
    page = bars[bars.index >= start].iloc[:90]
    store.append(series, page, "bybit", covered=[(start, page.index[-1] + step)])
"""


@pytest.fixture
def writer(store, bars, tmp_path):
    """`writer(first, last)` starts a process that fills the store page by page with what is missing."""
    bars.to_parquet(tmp_path / "bars.parquet")

    def start(first=0, last=10**9):
        code = [sys.executable, "-c", WRITER, store.root, tmp_path / "bars.parquet", first, last]
        process = subprocess.Popen(list(map(str, code)), stdout=subprocess.PIPE)
        process.stdout.readline()
        return process

    return start


def test_a_writer_killed_again_and_again_loses_and_repeats_nothing(store, bars, writer, tmp_path):
    for moment in range(6):
        process = writer()
        time.sleep(0.02 + 0.013 * moment)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        rows = store.read(SERIES)  # readable at any time
        pd.testing.assert_frame_equal(rows, bars.iloc[: len(rows)].rename_axis("time"), check_freq=False)
    last = writer()
    last.communicate()
    assert last.returncode == 0
    whole = Store(tmp_path / "whole")
    whole.append(SERIES, bars, "bybit", covered=[span(bars)])
    assert files(store) == files(whole)


def test_two_processes_write_and_a_third_reads_at_the_same_time(store, bars, writer):
    both = [writer(0, 1500), writer(1400, len(bars))]
    while any(process.poll() is None for process in both):
        rows = store.read(SERIES)
        pd.testing.assert_frame_equal(rows, bars.loc[rows.index].rename_axis("time"), check_freq=False)
    for process in both:
        process.communicate()
        assert process.returncode == 0
    assert_holds(store, bars)
    assert store.spans(SERIES) == [span(bars)]


def test_a_damaged_file_is_refused_and_its_neighbours_are_read(store, bars):
    store.append(SERIES, bars, "bybit")
    damaged = next(store.folder(SERIES).glob("2024-02*.parquet"))
    damaged.write_bytes(damaged.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"2024-02.*parquet is damaged: its SHA-256 .* `lbt data --verify` lists"):
        store.read(SERIES)
    assert len(store.read(SERIES, until="2024-02-01")) == 31 * 24
    damaged.unlink()
    with pytest.raises(DataError, match=r"2024-02.*parquet is missing. `lbt data --verify`"):
        store.read(SERIES)


@pytest.mark.parametrize("content", [b"", b"{", b'{"schema_version": 2}'])
def test_a_damaged_manifest_is_refused_and_can_be_made_anew(store, bars, content):
    gappy = bars.drop(bars.index[50:60])
    store.append(SERIES, gappy, "bybit", covered=[span(bars)])
    (store.folder(SERIES) / "manifest.json").write_bytes(content)
    with pytest.raises(DataError, match=r"manifest is damaged .* `lbt data --verify --repair` makes it anew"):
        store.append(SERIES, bars, "bybit")
    assert store.rebuild(SERIES) == len(gappy)
    assert_holds(store, gappy)
    assert store.missing(SERIES, *span(bars)) == [(bars.index[50], bars.index[60])]


def test_the_manifest_of_another_series_is_refused(store, bars):
    store.append(SERIES, bars, "bybit")
    other = Series("bybit", "ETH/USD:ETH", "candles", "1h")
    store.folder(other).parent.mkdir(parents=True)
    store.folder(SERIES).rename(store.folder(other))
    with pytest.raises(
        DataError, match=r"the manifest is that of bybit:BTC/USD:BTC:1h, not of bybit:ETH/USD:ETH:1h"
    ):
        store.read(other)


def test_bad_rows_are_refused_before_anything_is_written(store, bars):
    with pytest.raises(DataError, match=r"bybit:BTC/USD:BTC:1h from a page: .* close nan is not a finite number"):
        store.append(SERIES, bars.assign(close=float("nan")), "a page")
    assert not store.root.exists()


def test_folders_of_something_else_are_let_alone(store, bars):
    store.append(SERIES, bars, "bybit")
    for name in ("bybit/BTC/notes", "bybit/BTC/candles-weekly", "Old Things/x/candles-1h"):
        (store.root / name).mkdir(parents=True)
        (store.root / name / "manifest.json").write_text("")
    assert store.series() == [SERIES]
