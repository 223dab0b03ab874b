"""A table of anybody's brought into the candle contract, or refused with row, rule and remedy."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lstm_backtrader.candles import (
    COLUMNS,
    PRICES,
    TIME_COLUMNS,
    CandleNotes,
    bar_seconds,
    format_timeframe,
    show_time,
)
from lstm_backtrader.errors import DataError

_NS = 1_000_000_000


def check_candles(frame: pd.DataFrame, source: str = "candles") -> tuple[pd.DataFrame, CandleNotes]:
    """Bring a table into the contract, or refuse it.

    Safe repairs (sorting, exact duplicates, a stated time zone) are made and counted. Anything that would
    need a guess raises `DataError` with source, row, rule and remedy. `source` names the table in messages.
    """
    table, dropped = _numeric_columns(frame, source)
    stamps, converted_from = read_stamps(frame, source)
    rows = np.arange(1, len(table) + 1)  # row numbers as in the file, for messages
    if len(table) < 2:
        raise DataError(f"{source}: {len(table)} rows; at least 2 bars are needed.")

    order = np.argsort(stamps, kind="stable")
    was_sorted = bool(np.array_equal(order, np.arange(len(order))))
    stamps, rows, table = stamps[order], rows[order], table.iloc[order]
    keep = _drop_duplicates(stamps, rows, table, source)
    duplicates = int(len(keep) - keep.sum())
    stamps, rows, table = stamps[keep], rows[keep], table.loc[keep]
    if len(table) < 2:
        raise DataError(f"{source}: {len(table)} distinct bars; at least 2 are needed.")

    step = _check_grid(stamps, rows, source)
    check_prices(table, stamps, rows, source)
    table.index = pd.DatetimeIndex(pd.to_datetime(stamps, unit="ns", utc=True), name="open_time")

    open_, low, high = (table[name].to_numpy() for name in ("open", "low", "high"))
    breaks = np.diff(stamps) // step - 1  # bars missing after each bar
    longest = int(np.argmax(breaks))
    notes = CandleNotes(
        rows=len(table),
        timeframe_s=step // _NS,
        sorted=not was_sorted,
        duplicates=duplicates,
        converted_from=converted_from,
        gaps=int((breaks > 0).sum()),
        missing_bars=int(breaks.sum()),
        longest_gap=int(breaks[longest]),
        longest_gap_after=show_time(stamps[longest]),
        open_outside=int(((open_ < low) | (open_ > high)).sum()),
        dropped_columns=dropped,
    )
    table.attrs = {"notes": notes.lines()}
    return table, notes


def _numeric_columns(frame: pd.DataFrame, source: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise DataError(
            f"{source}: column {', '.join(missing)} missing; "
            f"found {', '.join(map(str, frame.columns)) or 'none'}. "
            f"Candles need a time column and {', '.join(COLUMNS)}."
        )
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise DataError(f"{source}: column {twice[0]} is there twice. Keep one of them.")
    kept, dropped = {}, []
    for name in frame.columns:
        numbers = pd.to_numeric(frame[name], errors="coerce")
        bad = numbers.isna() & frame[name].notna()
        if name in TIME_COLUMNS or isinstance(frame[name].dtype, pd.DatetimeTZDtype):
            continue
        if not bad.any() and not pd.api.types.is_datetime64_any_dtype(frame[name]):
            kept[str(name)] = numbers.to_numpy(np.float64, na_value=np.nan)
        elif name in COLUMNS:
            row = int(np.argmax(bad.to_numpy()))
            raise DataError(
                f"{source}: row {row + 1}: {name} is {frame[name].iloc[row]!r}, not a number. Mend or drop the row."
            )
        else:
            dropped.append(str(name))
    order = [*COLUMNS, *(name for name in kept if name not in COLUMNS)]
    return pd.DataFrame({name: kept[name] for name in order}), tuple(dropped)


def read_stamps(frame: pd.DataFrame, source: str) -> tuple[NDArray[np.int64], str]:
    """Open times in nanoseconds UTC, and the zone they were converted from ("" if none)."""
    name = next((name for name in TIME_COLUMNS if name in frame.columns), None)
    raw: pd.Series
    if name is not None:
        raw = frame[name].reset_index(drop=True)
    elif isinstance(frame.index, pd.DatetimeIndex):
        raw = pd.Series(frame.index)
    else:
        raise DataError(
            f"{source}: no time column; found {', '.join(map(str, frame.columns))}. "
            f"Name it one of {', '.join(TIME_COLUMNS)}, or give the table a DatetimeIndex."
        )
    converted_from = ""
    if pd.api.types.is_numeric_dtype(raw):
        parsed = _from_epoch(raw, source)
    else:
        if isinstance(raw.dtype, pd.DatetimeTZDtype):
            zone = str(raw.dt.tz)
            converted_from = "" if zone in ("UTC", "UTC+00:00", "tzutc()") else zone
        elif not pd.api.types.is_datetime64_any_dtype(raw):
            offsets = raw.astype(str).str.extract(r"[T ]\d\d:?\d\d.*?([+-]\d\d:?\d\d)$")[0].dropna()
            foreign = offsets[~offsets.str.fullmatch(r"[+-]00:?00")]
            converted_from = "/".join(sorted(set(foreign))) if len(foreign) else ""
        parsed = pd.to_datetime(raw, utc=True, errors="coerce", format=None if _is_datetime(raw) else "ISO8601")
    if parsed.isna().any():
        row = int(np.argmax(parsed.isna().to_numpy()))
        raise DataError(
            f"{source}: row {row + 1}: time {raw.iloc[row]!r} is not a time. "
            f"Use UTC in ISO 8601 (2024-01-31 08:00) or an epoch in s, ms, us or ns."
        )
    return parsed.dt.as_unit("ns").astype("int64").to_numpy(), converted_from


def _is_datetime(raw: pd.Series) -> bool:
    return pd.api.types.is_datetime64_any_dtype(raw) or isinstance(raw.dtype, pd.DatetimeTZDtype)


def _from_epoch(raw: pd.Series, source: str) -> pd.Series:
    """Epoch numbers to times; the unit follows from the size (seconds reach 1e11 only in the year 5138)."""
    values = raw.to_numpy(np.float64, na_value=np.nan)
    if np.isnan(values).all():
        raise DataError(f"{source}: the time column holds no number. Give every bar its open time.")
    size = float(np.nanmedian(values))
    unit: Literal["s", "ms", "us", "ns"]
    unit = "s" if size < 1e11 else "ms" if size < 1e14 else "us" if size < 1e17 else "ns"
    if size < 1e8:
        raise DataError(
            f"{source}: row 1: time {raw.iloc[0]} is no epoch of this century. Use s, ms, us or ns since 1970."
        )
    return pd.Series(pd.to_datetime(raw, unit=unit, utc=True, errors="coerce"))


def _drop_duplicates(
    stamps: NDArray[np.int64], rows: NDArray[np.int64], table: pd.DataFrame, source: str
) -> NDArray[np.bool_]:
    """(T,) False at rows that repeat their predecessor exactly; two bars for one time are refused."""
    keep = np.ones(len(stamps), dtype=bool)
    keep[1:] = np.diff(stamps) > 0
    values = table.to_numpy()
    for i in np.flatnonzero(~keep):
        if not np.array_equal(values[i], values[i - 1], equal_nan=True):
            raise DataError(
                f"{source}: rows {rows[i - 1]} and {rows[i]}: two different bars for {show_time(stamps[i])}. "
                f"Keep one of them; if the times are local time, convert them to UTC first."
            )
    return keep


def _check_grid(stamps: NDArray[np.int64], rows: NDArray[np.int64], source: str) -> int:
    """Bar length in ns; every bar must stand on one grid of that length."""
    step = bar_seconds(stamps) * _NS
    if step <= 0:
        raise DataError(
            f"{source}: the stamps are less than a second apart. Bars of a second or longer are needed."
        )
    phases, counts = np.unique(stamps % step, return_counts=True)
    phase = int(phases[np.argmax(counts)])
    off = stamps % step != phase
    name = format_timeframe(step // _NS)
    if off.any():
        i = int(np.argmax(off))
        raise DataError(
            f"{source}: row {rows[i]}: {show_time(stamps[i])} is not on the {name} grid of the other bars. "
            f"Drop the row, or give files of one bar length each."
        )
    if phase > 0 and step - phase <= _NS:
        raise DataError(
            f"{source}: row {rows[0]}: {show_time(stamps[0])} is the end of a {name} bar. "
            f"Label bars by their open time: subtract {name} and round up to the second."
        )
    return step


def check_prices(table: pd.DataFrame, stamps: NDArray[np.int64], rows: NDArray[np.int64], source: str) -> None:
    """Raise `DataError` at the first row (number in `rows`, open time in `stamps`) whose numbers make no candle."""

    def refuse(bad: NDArray[np.bool_], column: str, rule: str, remedy: str) -> None:
        if bad.any():
            i = int(np.argmax(bad))
            raise DataError(
                f"{source}: row {rows[i]} ({show_time(stamps[i])}): {column} {table[column].iloc[i]:g} "
                f"{rule} ({int(bad.sum())} such rows). {remedy}"
            )

    drop = "Drop the rows: a gap is honest, an invented price is not."
    for name in PRICES:
        values = table[name].to_numpy()
        refuse(~np.isfinite(values), name, "is not a finite number", drop)
        refuse(values <= 0, name, "is not positive", drop)
    volume = table["volume"].to_numpy()
    refuse(
        ~(np.isfinite(volume) & (volume >= 0)),
        "volume",
        "is not a number of 0 or more",
        "Write 0 for no trade.",
    )
    high, low, close = (table[name].to_numpy() for name in ("high", "low", "close"))
    refuse(high < low, "high", "is below low", "The columns may be swapped; mend or drop the rows.")
    outside = (close > high * (1 + 1e-9)) | (close < low * (1 - 1e-9))
    refuse(outside, "close", "lies outside [low, high]", "Mend or drop the rows.")
