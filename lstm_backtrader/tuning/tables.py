"""What `lbt tune` shows: a line for each of the best trials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lstm_backtrader.tuning.section import FEATURES, SHOWN, best_first, cells, headings

if TYPE_CHECKING:
    from rich.table import Table


def trials_table(document: Mapping[str, Any]) -> Table:
    """The best trials on the inner folds, the winner first; figures are net and of the inner folds."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in headings(document):
        table.add_column(heading, justify="left" if heading == FEATURES else "right", no_wrap=True)
    for trial in best_first(document)[:SHOWN]:
        table.add_row(*cells(trial))
    return table
