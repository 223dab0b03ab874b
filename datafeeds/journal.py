"""A journal of the bars that a live run has seen, and a source of bars that plays it again before it goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd

from lstm_backtrader.candles import open_times
from lstm_backtrader.errors import DataError

from .ccxt_live import BarSource
from .live_market import LIVE_COLUMNS
from .series import Series

_MS = 1_000_000
_LONGEST_LINE = 4096  # bytes; a bar takes some 250


class Journal:
    """Bars in the order they were seen, a line of JSON each: open time in ms, then `LIVE_COLUMNS`, null for NaN.

    A line counts once it is whole, so that a process killed while it wrote one has not seen that bar.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> pd.DataFrame:
        """All bars so far, (T, LIVE_COLUMNS). Raises `DataError` where a whole line is none, or out of order."""
        try:
            *lines, _ = self.path.read_bytes().split(b"\n")  # what comes after the last line end is none yet
        except FileNotFoundError:
            lines = []
        rows = [self._bar(number, line) for number, line in enumerate(lines, start=1)]
        times = np.array([row[0] for row in rows], dtype=np.int64)
        if (np.diff(times) <= 0).any():
            number = int(np.argmax(np.diff(times) <= 0)) + 2
            raise DataError(f"{self.path}, line {number}: the bar is not later than the one before. {_REMEDY}")
        values = np.array([row[1:] for row in rows], dtype=np.float64).reshape(len(rows), len(LIVE_COLUMNS))
        index = pd.DatetimeIndex(pd.to_datetime(times, unit="ms", utc=True), name="time").as_unit("ns")
        return pd.DataFrame(values, index=index, columns=list(LIVE_COLUMNS))

    def append(self, bars: pd.DataFrame) -> None:
        """Add bars (T, LIVE_COLUMNS), on the disk before this returns."""
        values = bars[list(LIVE_COLUMNS)].to_numpy(np.float64).tolist()
        lines = [
            json.dumps([int(time) // _MS, *(None if value != value else value for value in row)])
            for time, row in zip(open_times(bars.index), values, strict=True)
        ]
        with self.path.open("a+b") as file:
            file.truncate(_whole(file))
            file.write("".join(f"{line}\n" for line in lines).encode())
            file.flush()
            os.fsync(file.fileno())

    def _bar(self, number: int, line: bytes) -> list[float]:
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{self.path}, line {number} is damaged ({error}). {_REMEDY}") from error
        is_bar = isinstance(row, list) and len(row) == 1 + len(LIVE_COLUMNS) and isinstance(row[0], int)
        if not is_bar or not all(value is None or isinstance(value, int | float) for value in row):
            raise DataError(f"{self.path}, line {number} is no bar. {_REMEDY}")
        return [np.nan if value is None else value for value in row]


_REMEDY = "Restore the file, or begin a new account in another folder."


def _whole(file: BinaryIO) -> int:
    """Length of the file up to its last whole line."""
    end = file.seek(0, os.SEEK_END)
    begin = file.seek(max(0, end - _LONGEST_LINE))
    return begin + file.read().rfind(b"\n") + 1


class JournaledBars:
    """First what `journal` has, then what `rest(last)` gives from the bar after its `last` on, which it keeps."""

    def __init__(self, series: Series, journal: Journal, rest: Callable[[pd.Timestamp | None], BarSource]) -> None:
        self.series = series
        self._journal = journal
        self._seen: pd.DataFrame | None = journal.read()
        last = None if self._seen.empty else self._seen.index[-1]
        self._rest = rest(last)

    @property
    def is_behind(self) -> bool:
        return self._seen is not None or self._rest.is_behind

    def wait_s(self) -> float:
        return self._rest.wait_s()

    def poll(self) -> pd.DataFrame:
        seen, self._seen = self._seen, None
        if seen is not None and len(seen):
            return seen
        bars = self._rest.poll()
        if len(bars):
            self._journal.append(bars)
        return bars

    def close(self) -> None:
        self._rest.close()
