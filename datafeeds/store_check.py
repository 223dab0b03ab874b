"""The store's check of itself: every file against its manifest, every row against the contract."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pyarrow as pa

from lstm_backtrader.errors import DataError

from .series import Series, checked_rows
from .store import Store, rows_of_bytes
from .store_manifest import Part, SeriesManifest


@dataclass(frozen=True)
class Damage:
    """What is wrong with one series: its manifest, or the rows of one month."""

    series: Series
    month: str | None  # None: the manifest
    text: str

    def __str__(self) -> str:
        return self.text


def verify(store: Store, series: Series) -> list[Damage]:
    """All that is wrong with a series; empty if it is sound."""
    try:
        manifest = store.manifest(series)
    except DataError as error:
        return [Damage(series, None, str(error))]
    found = [
        Damage(series, part.month, f"{store.folder(series) / part.file}: {reason}")
        for part in manifest.parts
        if (reason := _reason(series, store.folder(series) / part.file, part))
    ]
    return found + _covering(series, manifest)


def repair(store: Store, damage: Damage) -> str:
    """Make a series readable again, and say what was done."""
    if damage.month is None:
        rows = store.rebuild(damage.series)
        return f"{damage.series}: manifest made anew, {rows:,} rows found"
    store.forget(damage.series, [damage.month])
    return f"{damage.series}: {damage.month} is forgotten; lbt download fetches it again"


def _reason(series: Series, path: Path, part: Part) -> str:
    """What is wrong with the file of a month; empty if nothing is."""
    try:
        content = path.read_bytes()
    except OSError as error:
        return error.strerror or str(error)
    if hashlib.sha256(content).hexdigest() != part.sha256:
        return "damaged, its SHA-256 is not the manifest's"
    try:
        rows = rows_of_bytes(content)
        sound = checked_rows(series, rows, str(path))
    except (DataError, KeyError, pa.ArrowException) as error:
        return str(error)
    if not rows.equals(sound):
        return "its rows are out of order, or there twice"
    said = (part.rows, part.first, part.last)
    held = (len(rows), rows.index[0], rows.index[-1])
    if said != held or {f"{stamp:%Y-%m}" for stamp in held[1:]} != {part.month}:
        return f"it holds {held[0]} rows from {held[1]} to {held[2]}, the manifest says otherwise"
    return ""


def _covering(series: Series, manifest: SeriesManifest) -> list[Damage]:
    """Spans and gaps must be in order and apart, or what is missing is counted wrongly."""
    texts = []
    for name, spans in (("covered spans", manifest.spans()), ("gaps", manifest.gap_spans())):
        flat = [moment for span in spans for moment in span]
        if any(later <= earlier for earlier, later in pairwise(flat)):
            texts.append(f"{series}: the manifest's {name} are out of order")
    return [Damage(series, None, text) for text in texts]
