"""Reading candles from files: Parquet, CSV and feather, with funding and mark price joined as columns."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from lstm_backtrader.candles import (
    MARK_COLUMNS,
    PRICES,
    check_candles,
    format_timeframe,
    open_times,
    read_stamps,
    show_time,
)
from lstm_backtrader.errors import DataError

_NS = 1_000_000_000


def read_candles(
    path: str | Path, funding: str | Path | None = None, mark: str | Path | None = None
) -> pd.DataFrame:
    """Candles from Parquet, CSV or feather (freqtrade's too), checked, with funding and mark price joined.

    `funding`: file with a time column and `funding_rate` (fraction of notional; positive: longs pay). A stamp
    goes to the bar that holds it; two in one bar are added. `mark`: candles of the mark price, same bar
    length. What was mended or found is in `.attrs["notes"]`, a list of lines. Raises `DataError`.
    """
    candles, notes = check_candles(_read_table(path), str(path))
    more: list[str] = []
    if mark is not None:
        candles, line = _join_mark(candles, notes.timeframe_s, mark)
        more.append(line)
    if funding is not None:
        candles, line = _join_funding(candles, notes.timeframe_s, funding)
        more.append(line)
    candles.attrs = {"notes": [*notes.lines(), *more]}
    return candles


def _read_table(path: str | Path) -> pd.DataFrame:
    file = Path(path)
    if not file.is_file():
        raise DataError(f"{path}: no such file. Give a Parquet, CSV or feather file.")
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


def _join_mark(candles: pd.DataFrame, timeframe_s: int, path: str | Path) -> tuple[pd.DataFrame, str]:
    table = _read_table(path)
    if "volume" not in table.columns:
        table = table.assign(volume=0.0)
    mark, notes = check_candles(table, str(path))
    if notes.timeframe_s != timeframe_s:
        raise DataError(
            f"{path}: mark prices come in {format_timeframe(notes.timeframe_s)} bars, candles in "
            f"{format_timeframe(timeframe_s)}. Give mark prices of the candles' bar length."
        )
    aligned = mark[list(PRICES)].reindex(candles.index).set_axis(MARK_COLUMNS, axis=1)
    known = int(aligned["mark_close"].notna().sum())
    if known == 0:
        raise DataError(_no_overlap(path, mark.index, candles.index))
    joined = pd.concat([candles.drop(columns=list(MARK_COLUMNS), errors="ignore"), aligned], axis=1)
    return joined, f"mark price known for {known} of {len(candles)} bars"


def _join_funding(candles: pd.DataFrame, timeframe_s: int, path: str | Path) -> tuple[pd.DataFrame, str]:
    table = _read_table(path).rename(columns={"fundingrate": "funding_rate"})
    if "funding_rate" not in table.columns:
        raise DataError(
            f"{path}: column funding_rate missing; found {', '.join(table.columns)}. "
            f"Funding files need a time column and funding_rate."
        )
    if table.empty:
        raise DataError(f"{path}: 0 rows. Give a file with funding rates, or leave it out.")
    stamps, _ = read_stamps(table, str(path))
    rates = pd.to_numeric(table["funding_rate"], errors="coerce").to_numpy(np.float64)
    bad = ~(np.abs(rates) < 0.1)
    if bad.any():
        i = int(np.argmax(bad))
        raise DataError(
            f"{path}: row {i + 1} ({show_time(stamps[i])}): "
            f"funding_rate {table['funding_rate'].iloc[i]} is not a fraction below 0.1. "
            f"0.0001 is 0.01 %; divide percent by 100, drop rows without a rate."
        )
    minute = 60 * _NS  # venues stamp a settlement some milliseconds beside the minute
    stamps = (stamps + minute // 2) // minute * minute
    series = pd.Series(rates, index=stamps).sort_index()
    same = series.index.duplicated()
    if same.any():
        rates_of = series.groupby(level=0).nunique()
        if (rates_of > 1).any():
            when = show_time(int(rates_of.index[rates_of > 1][0]))
            raise DataError(f"{path}: two different rates for {when}. Keep one of them.")
        series = series[~same]
    step = timeframe_s * _NS
    opens = open_times(candles.index)
    at = np.searchsorted(opens, series.index.to_numpy(), side="right") - 1
    inside = (at >= 0) & (series.index.to_numpy() < opens[at] + step)
    if not inside.any():
        raise DataError(_no_overlap(path, pd.to_datetime(series.index, utc=True), candles.index))
    column = np.full(len(candles), np.nan)
    column[np.unique(at[inside])] = 0.0
    np.add.at(column, at[inside], series.to_numpy()[inside])
    outside = int((~inside).sum())
    beside = f", {outside} outside the candles" if outside else ""
    return candles.assign(funding_rate=column), f"{int(inside.sum())} funding stamps joined{beside}"


def _no_overlap(path: str | Path, theirs: pd.Index, ours: pd.Index) -> str:
    return (
        f"{path}: covers {theirs[0]:%Y-%m-%d %H:%M} to {theirs[-1]:%Y-%m-%d %H:%M}, the candles "
        f"{ours[0]:%Y-%m-%d %H:%M} to {ours[-1]:%Y-%m-%d %H:%M}: nothing in common. "
        f"Give the file of the same period."
    )
