"""Funding rates and mark prices as columns of a candle table, each at the bar it belongs to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lstm_backtrader.candle_check import check_candles, read_stamps
from lstm_backtrader.candles import MARK_COLUMNS, PRICES, format_timeframe, open_times, show_time
from lstm_backtrader.errors import DataError

_NS = 1_000_000_000


def join_mark(
    candles: pd.DataFrame, timeframe_s: int, table: pd.DataFrame, path: str | Path
) -> tuple[pd.DataFrame, str]:
    """The candles (bars of `timeframe_s` seconds) with the mark prices of `table`, and a line that says how many.

    `path` names the table in messages. Raises `DataError`.
    """
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


def join_funding(
    candles: pd.DataFrame, timeframe_s: int, table: pd.DataFrame, path: str | Path
) -> tuple[pd.DataFrame, str]:
    """The candles with `funding_rate` at the bars that hold a stamp of `table`, and a line that says how many.

    Two stamps in one bar are added. `path` names the table in messages. Raises `DataError`.
    """
    table = table.rename(columns={"fundingrate": "funding_rate"})
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
    series = pd.Series(rates, index=settled_at(stamps)).sort_index()
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


def settled_at(stamps: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) the whole minutes that settlements are due at, nanoseconds: venues stamp some milliseconds beside."""
    minute = 60 * _NS
    return (stamps + minute // 2) // minute * minute


def _no_overlap(path: str | Path, theirs: pd.Index, ours: pd.Index) -> str:
    return (
        f"{path}: covers {theirs[0]:%Y-%m-%d %H:%M} to {theirs[-1]:%Y-%m-%d %H:%M}, the candles "
        f"{ours[0]:%Y-%m-%d %H:%M} to {ours[-1]:%Y-%m-%d %H:%M}: nothing in common. "
        f"Give the file of the same period."
    )
