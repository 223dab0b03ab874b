"""What `lbt data` shows: a line a series, and what is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
            manifest = store.manifest(series)
        except DataError as error:
            unreadable.append(str(error))
            continue
        files = [store.folder(series) / part.file for part in manifest.parts]
        size = sum(file.stat().st_size for file in files if file.is_file())
        first = f"{manifest.parts[0].first:%Y-%m-%d %H:%M}" if manifest.parts else "–"
        last = f"{manifest.parts[-1].last:%Y-%m-%d %H:%M}" if manifest.parts else "–"
        sources = manifest.sources
        source = ", ".join(sources[:2]) + (f" and {len(sources) - 2} more" if len(sources) > 2 else "")
        gaps = f"{len(manifest.gaps):,}"
        table.add_row(str(series), f"{manifest.rows:,}", first, last, gaps, f"{size / 1e6:.1f}", source)
    return table, unreadable
