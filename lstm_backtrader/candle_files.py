"""Reading candles from files: Parquet, CSV and feather, with funding and mark price joined as columns."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import pandas as pd

from lstm_backtrader.candles import bar_seconds, check_candles, open_times
from lstm_backtrader.errors import DataError
from lstm_backtrader.joining import join_funding, join_mark


def read_candles(
    path: str | Path, funding: str | Path | None = None, mark: str | Path | None = None
) -> pd.DataFrame:
    """Candles from Parquet, CSV or feather (freqtrade's too), checked, with funding and mark price joined.

    `path`: a file, or a series of the store, "bybit:BTC/USD:BTC:1h", which brings mark price and funding along.
    `funding`: file with a time column and `funding_rate` (fraction of notional; positive: longs pay). A stamp
    goes to the bar that holds it; two in one bar are added. `mark`: candles of the mark price, same bar
    length. What was mended or found is in `.attrs["notes"]`, a list of lines. Raises `DataError`.
    """
    candles = _candles(path)
    timeframe_s = bar_seconds(open_times(candles.index))
    attrs = candles.attrs
    if mark is not None:
        candles, line = join_mark(candles, timeframe_s, read_table(mark), mark)
        attrs["notes"].append(line)
    if funding is not None:
        candles, line = join_funding(candles, timeframe_s, read_table(funding), funding)
        attrs["notes"].append(line)
    candles.attrs = attrs
    return candles


def names_series(path: str | Path) -> bool:
    """Whether `path` names a series of the store, "bybit:BTC/USD:BTC:1h", and is no file."""
    return not Path(path).exists() and re.match(r"[a-z0-9_]{2,}:", str(path)) is not None


def _candles(path: str | Path) -> pd.DataFrame:
    if names_series(path):
        from lstm_backtrader.datafeeds.series import parse_series
        from lstm_backtrader.datafeeds.stored import stored_candles

        return stored_candles(parse_series(str(path)))
    candles, notes = check_candles(read_table(path), str(path))
    candles.attrs = {"notes": notes.lines()}
    return candles


def read_table(path: str | Path) -> pd.DataFrame:
    """The table of a file as it is, column names in small letters. Raises `DataError`."""
    file = Path(path)
    if not file.is_file():
        raise DataError(f"{path}: no such file. Give a Parquet, CSV or feather file, or a series of the store.")
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
