"""Reading events from files: one row an event, when it was published, and numbers that say what it was."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lstm_backtrader.candles import TIME_COLUMNS
from lstm_backtrader.errors import DataError
from lstm_backtrader.table_files import read_table

PUBLISHED, SCHEDULED = "published", "scheduled"
_TIMES = {PUBLISHED, SCHEDULED, *TIME_COLUMNS}


def read_events(path: str | Path) -> pd.DataFrame:
    """Events from Parquet, CSV or feather, as `join_events` and `EventBlackout` take them.

    The file has a column `published`: when the event could first be known, in UTC where no zone is stated; and
    numbers in columns of any name. A column `scheduled` may say when what was announced will happen. Other columns
    stay, headlines say, for two events of one moment may differ in them alone. Raises `DataError`.
    """
    table = read_table(path)
    if PUBLISHED not in table.columns:
        raise DataError(
            f"{path}: column {PUBLISHED} missing; found {', '.join(table.columns) or 'none'}. Rename the column "
            f"that says when an event could first be known; the time it is about is not that."
        )
    if not event_columns(table) and SCHEDULED not in table.columns:
        raise DataError(
            f"{path}: no column of numbers beside {PUBLISHED}; found {', '.join(table.columns)}. Add one: a score, "
            f"a surprise, or 1 for every event."
        )
    return table


def event_columns(events: pd.DataFrame) -> tuple[str, ...]:
    """The columns of numbers of a table of events."""
    return tuple(str(name) for name in events.columns if name not in _TIMES and _is_number(events[name]))


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
