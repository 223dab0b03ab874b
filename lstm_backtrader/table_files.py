"""A table of a file as it is: Parquet, CSV or feather."""

from __future__ import annotations

import zlib
from pathlib import Path

import pandas as pd

from lstm_backtrader.errors import DataError


def read_table(path: str | Path) -> pd.DataFrame:
    """The table of a file as it is, column names in small letters. Raises `DataError`."""
    file = Path(path)
    if not file.is_file():
        what = "is a folder" if file.is_dir() else "no such file"
        raise DataError(f"{path}: {what}. Give a Parquet, CSV or feather file, or a series of the store.")
    kind = "".join(file.suffixes[-2:]).lower() if file.suffix == ".gz" else file.suffix.lower()
    try:
        if kind == ".parquet":
            table = pd.read_parquet(file)
        elif kind == ".feather":
            table = pd.read_feather(file)
        elif kind in (".csv", ".csv.gz"):
            table = pd.read_csv(file)
        else:
            raise DataError(f"{path}: '{file.suffix}' is no known format. Use .parquet, .csv, .csv.gz or .feather.")
    except DataError:
        raise
    except (ValueError, OSError, EOFError, zlib.error) as error:  # the last two from a cut .csv.gz
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path}: not readable as {kind[1:]} ({reason}). Is the file whole?") from error
    if kind.startswith(".csv"):
        _check_separator(table, path)
    table.columns = pd.Index([str(name).strip().lower() for name in table.columns])
    return table


def _check_separator(table: pd.DataFrame, path: str | Path) -> None:
    """A table parted by something else than commas is one column to pandas."""
    header = str(table.columns[0])
    separator = next((each for each in ";\t|" if each in header), None)
    if len(table.columns) == 1 and separator is not None:
        raise DataError(
            f"{path}: its columns are parted by {separator!r}, not by commas. Write it with commas: "
            f"pandas.read_csv({Path(path).name!r}, sep={separator!r}).to_csv('with_commas.csv', index=False); "
            f"add decimal=',' to read_csv if the numbers have decimal commas."
        )
