"""The store's check of itself finds whatever was done to its files, and mends it."""

import re

import pandas as pd
import pytest

from lstm_backtrader.datafeeds.series import Series
from lstm_backtrader.datafeeds.store import Store
from lstm_backtrader.datafeeds.store_check import repair, verify
from lstm_backtrader.whole_files import write_whole

SERIES = Series("bybit", "BTC/USD:BTC", "candles", "1h")


@pytest.fixture
def store(tmp_path, candles_of):
    store, bars = Store(tmp_path), candles_of(1500)
    store.append(SERIES, bars, "bybit", covered=[(bars.index[0], bars.index[-1] + pd.Timedelta(hours=1))])
    return store


def part_file(store, month="2024-02"):
    return store.folder(SERIES) / store.manifest(SERIES).part(month).file


def change_manifest(store, old, new):
    path = store.folder(SERIES) / "manifest.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def flip_a_bit(store):
    content = bytearray(part_file(store).read_bytes())
    content[len(content) // 2] ^= 1
    part_file(store).write_bytes(content)


def other_rows(store):
    """A sound file, under a manifest that knows its hash, with the rows of another month."""
    content = part_file(store, "2024-01").read_bytes()
    write_whole(part_file(store), content)
    parts = {month: store.manifest(SERIES).part(month) for month in ("2024-01", "2024-02")}
    change_manifest(store, parts["2024-02"].sha256, parts["2024-01"].sha256)


DAMAGE = {
    "a bit": (flip_a_bit, "damaged, its SHA-256 is not the manifest's"),
    "a file": (lambda store: part_file(store).unlink(), "No such file"),
    "rows of another month": (other_rows, "it holds 744 rows from 2024-01-01 .* the manifest says otherwise"),
    "the manifest": (lambda store: change_manifest(store, '"parts"', '"prats"'), "the manifest is damaged"),
}


def test_a_sound_store_has_no_damage(store):
    assert verify(store, SERIES) == []


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_found_and_mended(store, what):
    harm, _ = DAMAGE[what]
    harm(store)
    (found,) = verify(store, SERIES)
    assert re.search(DAMAGE[what][1], str(found))
    assert repair(store, found).startswith("bybit:BTC/USD:BTC:1h: ")
    assert verify(store, SERIES) == []
    assert len(store.read(SERIES)) == 1500 - (0 if found.month is None else 29 * 24)


def test_spans_out_of_order_are_found(store):
    store.mark_covered(SERIES, "2024-05-01", "2024-05-02")
    change_manifest(store, "2024-05-01T00:00:00Z", "2024-01-05T00:00:00Z")
    (found,) = verify(store, SERIES)
    assert str(found) == "bybit:BTC/USD:BTC:1h: the manifest's covered spans are out of order"


def test_rows_that_break_the_contract_are_found(store):
    rows = store.read(SERIES).assign(close=-1.0)
    part = store._merged(SERIES, None, rows[rows.index.month == 2], "hand")  # by-passes append, which checks
    store._commit(SERIES, store.manifest(SERIES).with_parts([part]))
    (found,) = verify(store, SERIES)
    assert "close -1 is not positive" in str(found)
    assert store.read(SERIES, until="2024-02-01")["close"].gt(0).all()
