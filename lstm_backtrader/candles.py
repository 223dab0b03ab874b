"""The candle contract: what a table of bars must be before anything here computes on it.

A candle table is a DataFrame indexed by the bar's *open* time (`open_time`, UTC, increasing, unique) with
float64 columns `open high low close volume`. It may carry `mark_open mark_high mark_low mark_close` (mark
price, NaN where unknown), `funding_rate` (fraction of notional settled inside the bar, NaN where nothing was
settled), `open_interest`, and event columns of the user's own. Missing bars are gaps: reported, never filled.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lstm_backtrader.errors import ConfigError, DataError, TimeframeError

PRICES = ("open", "high", "low", "close")
COLUMNS = (*PRICES, "volume")
MARK_COLUMNS = tuple(f"mark_{name}" for name in PRICES)
TIME_COLUMNS = ("open_time", "timestamp", "datetime", "date", "time")
KNOWN_COLUMNS = (*COLUMNS, *MARK_COLUMNS, "funding_rate", "open_interest")

_UNITS = (("D", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
_NS = 1_000_000_000
_DAY_S = 86_400
T = TypeVar("T")


@dataclass(frozen=True)
class Bars:
    """The columns of a candle table as numpy arrays; cheap to cut, so that live and backtest share the code.

    `open_time`: (T,) int64, nanoseconds since 1970 UTC. `columns`: name -> (T,) float64.
    """

    open_time: NDArray[np.int64]
    columns: Mapping[str, NDArray[np.float64]]
    _derived: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)  # what functions gave

    @classmethod
    def of(cls, candles: pd.DataFrame) -> Bars:
        """The arrays of a checked candle table."""
        return cls(
            open_time=open_times(candles.index),
            columns={name: candles[name].to_numpy(np.float64) for name in candles.columns},
        )

    def __len__(self) -> int:
        return len(self.open_time)

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        try:
            return self.columns[name]
        except KeyError:
            raise DataError(
                f"column '{name}' is needed and missing; the data has {', '.join(self.columns)}. "
                f"Add it, or use a model trained without it."
            ) from None

    def last(self, n: int) -> Bars:
        """The last `n` bars."""
        return self.part(max(0, len(self) - n), len(self))

    def part(self, begin: int, end: int) -> Bars:
        """The bars from row `begin` to before row `end`."""
        return Bars(self.open_time[begin:end], {name: column[begin:end] for name, column in self.columns.items()})

    def derived(self, name: str, function: Callable[[Bars], T]) -> T:
        """`function(self)`, computed once for these bars; several features share it under `name`."""
        if name not in self._derived:
            self._derived[name] = function(self)
        return cast(T, self._derived[name])


@dataclass(frozen=True)
class CandleNotes:
    """What was found and what was mended while candles were checked; `lines()` says it in words."""

    rows: int
    timeframe_s: int
    sorted: bool = False
    duplicates: int = 0
    converted_from: str = ""
    gaps: int = 0
    missing_bars: int = 0
    longest_gap: int = 0
    longest_gap_after: str = ""
    open_outside: int = 0
    dropped_columns: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """One line for each thing worth knowing; empty when the data was clean."""
        found = []
        if self.converted_from:
            found.append(f"stamps converted from {self.converted_from} to UTC")
        if self.sorted:
            found.append("rows were out of order and have been sorted")
        if self.duplicates:
            found.append(f"{self.duplicates} exact duplicate rows dropped")
        if self.gaps:
            found.append(
                f"{self.gaps} gaps, {self.missing_bars} bars missing "
                f"(longest {self.longest_gap} after {self.longest_gap_after}); left as they are"
            )
        if self.open_outside:
            found.append(f"{self.open_outside} bars open outside [low, high]; accepted, venues publish this")
        if self.dropped_columns:
            found.append(f"columns without numbers ignored: {', '.join(self.dropped_columns)}")
        return found


def open_times(index: pd.Index) -> NDArray[np.int64]:
    """(T,) nanoseconds since 1970 UTC of a datetime index, whatever its resolution."""
    return pd.DatetimeIndex(index).as_unit("ns").asi8


def bar_seconds(open_time: NDArray[np.int64]) -> int:
    """Bar length in seconds, measured: the median distance of the stamps (nanoseconds)."""
    if len(open_time) < 2:
        raise DataError(f"the bar length is measured between bars; {len(open_time)} is too few, give at least 2.")
    return round(float(np.median(np.diff(open_time))) / _NS)


def check_clock(open_time: NDArray[np.int64], step_s: int) -> None:
    """Raises `TimeframeError` where a bar of `step_s` seconds opens beside the whole ones of the day (UTC).

    A length that does not divide the day has no such place, and any will do.
    """
    on_clock = open_time % (step_s * _NS) == 0
    if _DAY_S % step_s == 0 and not on_clock.all():
        first = show_time(int(open_time[np.argmin(on_clock)]))
        raise TimeframeError(
            f"the bar that opens at {first} does not begin on a whole {format_timeframe(step_s)} of the day (UTC), "
            f"where contexts are cut and where all other bars of a model begin. If its times are local, convert "
            f"them to UTC; else make the bars of shorter candles, with lstm_backtrader.resample in a run or "
            f"lstm_backtrader.datafeeds.resample_candles for training."
        )


def format_timeframe(seconds: int) -> str:
    """Bar length in the venues' notation.

    >>> format_timeframe(3600), format_timeframe(900), format_timeframe(86400)
    ('1h', '15m', '1D')
    """
    for unit, size in _UNITS:
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def timeframe_seconds(timeframe: str) -> int:
    """Bar length in the venues' notation, in seconds. Raises `ConfigError` for any other.

    >>> timeframe_seconds("1h"), timeframe_seconds("15m"), timeframe_seconds("1D")
    (3600, 900, 86400)
    """
    match = re.fullmatch(r"([1-9]\d*)([Ddhms])", timeframe)
    if match is None:
        raise ConfigError(
            f"timeframe {timeframe!r} is unknown. Write a number and D, h, m or s: '15m', '1h', '1D'."
        )
    return int(match[1]) * {**dict(_UNITS), "d": 86_400}[match[2]]


def show_time(stamp: int) -> str:
    """A stamp in nanoseconds as people read it, UTC."""
    return pd.Timestamp(stamp, unit="ns").strftime("%Y-%m-%d %H:%M")


def before_day_after(candles: pd.DataFrame, day: datetime | None) -> pd.DataFrame:
    """The bars that open up to the end of `day` (UTC); all of them for None. Raises `DataError` if none do."""
    if day is None:
        return candles
    kept = candles[candles.index < pd.Timestamp(day, tz="UTC") + pd.Timedelta(days=1)]
    if kept.empty:
        raise DataError(
            f"the data begin at {candles.index[0]:%Y-%m-%d %H:%M}, after {day:%Y-%m-%d}. Choose a later day."
        )
    return kept


def candles_sha256(candles: pd.DataFrame) -> str:
    """SHA-256 of the numbers themselves: times, column names and values, independent of the file format."""
    digest = hashlib.sha256(open_times(candles.index).tobytes())
    for name in candles.columns:
        digest.update(str(name).encode())
        digest.update(np.ascontiguousarray(candles[name].to_numpy(np.float64)).tobytes())
    return digest.hexdigest()
