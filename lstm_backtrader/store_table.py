"""What `lbt data` shows: a line a series, and what is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from lstm_backtrader.datafeeds.series import Series
from lstm_backtrader.datafeeds.spans import Span, runs, subtract, union
from lstm_backtrader.datafeeds.store import Store
from lstm_backtrader.errors import DataError

if TYPE_CHECKING:
    from rich.table import Table


def store_table(store: Store) -> tuple[Table, list[str]]:
    """All series with rows, span, gaps, size and source; and a line for each that cannot be read."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for heading in ("series", "rows", "from, UTC", "to", "gaps", "MB", "source"):
        right = heading in ("rows", "gaps", "MB")
        table.add_column(heading, justify="right" if right else "left", no_wrap=True)
    unreadable = []
    for series in store.series():
        try:
            manifest, gaps = store.manifest(series), missing_stretches(store, series)
        except DataError as error:
            unreadable.append(str(error))
            continue
        files = [store.folder(series) / part.file for part in manifest.parts]
        size = sum(file.stat().st_size for file in files if file.is_file())
        first = f"{manifest.parts[0].first:%Y-%m-%d %H:%M}" if manifest.parts else "–"
        last = f"{manifest.parts[-1].last:%Y-%m-%d %H:%M}" if manifest.parts else "–"
        sources = manifest.sources
        source = ", ".join(sources[:2]) + (f" and {len(sources) - 2} more" if len(sources) > 2 else "")
        table.add_row(str(series), f"{manifest.rows:,}", first, last, f"{len(gaps):,}", f"{size / 1e6:.1f}", source)
    return table, unreadable


def missing_stretches(store: Store, series: Series) -> list[Span]:
    """Where no bars are: between those stored, and where the venue said that it has none.

    Raises `DataError` where a file is damaged.
    """
    manifest, step = store.manifest(series), series.step
    known = union(manifest.gap_spans())
    if step is None or not manifest.parts:
        return known
    whole = (pd.Timestamp(manifest.parts[0].first), pd.Timestamp(manifest.parts[-1].last) + step)
    if manifest.rows * step == whole[1] - whole[0]:  # as of most: nothing to read
        return known
    filled = [run for rows in store.scan(series) for run in runs(rows.index, step)]
    return union([*subtract([whole], filled), *known])
