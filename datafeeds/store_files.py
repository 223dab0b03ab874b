"""Files in and out of the store: export to Parquet or CSV, import of freqtrade's files and of any candle file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from lstm_backtrader.candles import bar_seconds, format_timeframe, open_times
from lstm_backtrader.errors import ConfigError, DataError
from lstm_backtrader.table_files import read_table
from lstm_backtrader.whole_files import placing

from .series import Kind, Series, checked_rows
from .spans import Moment, runs
from .store import Store

# BTC_USDT_USDT-1h-futures.feather, BTC_USDT_USDT-8h-funding_rate.feather, BTC_USDT-5m.feather (spot)
_FREQTRADE = re.compile(
    r"(?P<pair>[A-Za-z0-9]+_[A-Za-z0-9]+(?:_[A-Za-z0-9]+)?)-(?P<timeframe>\d+[A-Za-z]+)(?:-(?P<kind>\w+))?"
)
_KINDS: dict[str | None, Kind] = {None: "candles", "futures": "candles", "mark": "mark", "funding_rate": "funding"}
SUFFIXES = (".feather", ".parquet", ".csv", ".csv.gz")


def export(
    store: Store, series: Series, out: Path, since: Moment | None = None, until: Moment | None = None
) -> int:
    """Write a series to `out`, .parquet or .csv, a month at a time; gives the number of rows.

    Raises `ConfigError` for another suffix, `DataError` where there is nothing to write.
    """
    if out.suffix not in (".parquet", ".csv"):
        raise ConfigError(f"{out}: '{out.suffix}' cannot be written. Name a .parquet or a .csv file.")
    months = store.scan(series, since, until)
    first = next((month for month in months if len(month)), None)
    if first is None:
        raise DataError(
            f"the store {store.root} has no rows of {series} in this span. `lbt data` lists what it has."
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    with placing(out) as temporary:
        write = _to_parquet if out.suffix == ".parquet" else _to_csv
        return write(temporary, _chained(first, months))


def import_file(store: Store, path: Path, series: Series) -> int:
    """Add the rows of a candle, mark or funding file to `series`; gives the number of rows.

    Runs of bars in it count as asked for, so that a download fetches only what lies between. Raises `DataError`.
    """
    table = read_table(path)
    if series.kind == "funding" and "funding_rate" not in table.columns:
        # freqtrade keeps the rate as the open of a candle
        theirs = "fundingrate" if "fundingrate" in table.columns else "open"
        table = table.rename(columns={theirs: "funding_rate"})
    rows = checked_rows(series, table, str(path))
    if rows.empty:
        raise DataError(f"{path}: 0 rows. There is nothing to import.")
    if series.step is not None and len(rows) > 1:
        measured = bar_seconds(open_times(rows.index))
        if measured != series.step.total_seconds():
            raise DataError(
                f"{path}: bars of {format_timeframe(measured)} (measured), which are no {series}. "
                f"Name the series by their length."
            )
    store.append(series, rows, path.name, covered=runs(rows.index, series.step or _usual_step(rows.index)))
    return len(rows)


def freqtrade_series(path: Path, venue: str) -> Series | None:
    """The series that a file of freqtrade holds by its name; None for other names and kinds.

    >>> str(freqtrade_series(Path("BTC_USDT_USDT-1h-futures.feather"), "bybit"))
    'bybit:BTC/USDT:USDT:1h'
    """
    match = _FREQTRADE.fullmatch(path.name.split(".")[0])
    if match is None or match["kind"] not in _KINDS:
        return None
    base, quote, *settle = match["pair"].split("_")
    symbol = f"{base}/{quote}" + (f":{settle[0]}" if settle else "")
    kind = _KINDS[match["kind"]]
    try:
        return Series(venue, symbol, kind, None if kind == "funding" else match["timeframe"])
    except ConfigError:  # months and weeks, 1Mo and 1w, are no bars of one length
        return None


def candle_files(path: Path) -> list[Path]:
    """The files of a folder and those below that may hold candles, or the one file. Raises `DataError`."""
    if path.is_file():
        return [path]
    found = sorted(each for each in path.rglob("*") if each.name.endswith(SUFFIXES))
    if not found:
        raise DataError(f"{path}: no file to import. Give a file or a folder of {', '.join(SUFFIXES)} files.")
    return found


def _chained(first: pd.DataFrame, rest: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    yield first
    yield from rest


def _to_parquet(path: Path, months: Iterator[pd.DataFrame]) -> int:
    rows, writer = 0, None
    try:
        for month in months:
            table = pa.Table.from_pandas(month.reset_index(), preserve_index=False)
            writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table)
            rows += len(month)
    finally:
        if writer is not None:
            writer.close()
    return rows


def _to_csv(path: Path, months: Iterator[pd.DataFrame]) -> int:
    rows = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        for month in months:
            month.to_csv(file, header=rows == 0)
            rows += len(month)
    return rows


def _usual_step(times: pd.Index) -> pd.Timedelta:
    """Distance of funding stamps; of a single one nothing is known."""
    if len(times) < 2:
        return pd.Timedelta(microseconds=1)
    return pd.Timedelta(int(np.median(np.diff(open_times(times)))), unit="ns")
