"""Read an equity curve from a parquet or CSV file, or refuse it with the file, the rule and the remedy."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from pyarrow import ArrowInvalid

from lstm_backtrader.errors import DataError

TIME_NAMES = ("open_time", "time", "datetime", "date", "timestamp")


def read_equity(path: str | Path) -> pd.DataFrame:
    """A frame with at least the column `equity`, index open_time in UTC, as `report_from_equity` takes it.

    A parquet file has the times as its index or in a column named open_time, time, datetime, date or
    timestamp; a CSV file in such a column or in its first. Times without a zone are UTC. Raises DataError.
    """
    file = Path(path)
    if file.is_dir():
        raise DataError(f"{file} is a folder. Name a file in it, say {file / 'equity.parquet'}.")
    if not file.is_file():
        raise DataError(f"there is no file {file}. Name a parquet or CSV file with a time and an `equity` column.")
    if file.suffix not in {".parquet", ".csv"}:
        raise DataError(f"{file} is neither .parquet nor .csv. Save the equity as one of these.")
    frame = _read(file)
    named = [column for column in frame.columns if str(column).lower() in TIME_NAMES]
    if named:
        frame = frame.set_index(named[0])
    elif file.suffix == ".csv":
        frame = frame.set_index(frame.columns[0])
    if "equity" not in frame.columns:
        raise DataError(
            f"{file} has no column `equity`, only {', '.join(map(str, frame.columns)) or 'none'}. "
            "Rename the account's."
        )
    for name in ("equity", "benchmark"):
        if name in frame.columns and not pd.api.types.is_numeric_dtype(frame[name]):
            raise DataError(f"column `{name}` of {file} holds text. Save plain numbers, 10250.5 and not 10,250.50.")
    frame.index = _times(frame.index, file)
    frame.index.name = "open_time"
    return frame.sort_index()


def _read(file: Path) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file)
    except (ArrowInvalid, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(f"{file} cannot be read as {file.suffix[1:]}: {error}. Write it anew.") from error
    if frame.empty:
        raise DataError(f"{file} has no rows. Save at least two days of equity.")
    return frame


def _times(index: pd.Index[str], file: Path) -> pd.DatetimeIndex:
    if pd.api.types.is_numeric_dtype(index):
        raise DataError(
            f"the times of {file} are numbers, e.g. {index[0]}. Save them as text such as 2024-01-31 08:00."
        )
    try:
        return pd.DatetimeIndex(pd.to_datetime(index, utc=True, format="ISO8601"))  # 01.02. is a guess
    except (ValueError, TypeError) as error:
        reason = str(error).splitlines()[0].removesuffix("You might want to try:").rstrip(" .")
        raise DataError(f"a time of {file} cannot be read: {reason}. Use 2024-01-31 08:00.") from error
