"""Watches which bars a run reads from its lines: none that comes later, and none by counting back too far.

In a preloaded run `close[1]` is tomorrow's close, and an index below the first bar, as `close[-len(self)]` is,
wraps round to the last bar of the data; Backtrader says nothing to either. A watched line notes both, with the
line of code that reads.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import backtrader as bt

_LIBRARY = str(Path(bt.__file__).parent)


@dataclass(frozen=True)
class Read:
    """A read of a bar that was not there yet. `ago`: bars ahead; `wraps`: it came from before the first bar."""

    line: str
    place: str  # file:line of the code that reads
    ago: int
    wraps: bool
    stamp: float  # Backtrader's number of the current bar; NaN before the first
    value: float  # what was read; NaN behind the last bar
    now: float  # the line's value at the current bar; NaN before the first


@dataclass
class Watch:
    """What was read during a run."""

    reads: list[Read] = field(default_factory=list)
    count: int = 0  # reads in all

    def over(self, line: Any, name: str, stamps: Any) -> None:
        """Watch `line`; `stamps` is the line `datetime` of the data it is in step with."""
        if not line.useislice and not isinstance(line, _Watched):
            kind: Any = type(line)
            line.__class__ = _watched(kind)
            line._watch, line._watched_name, line._watched_stamps = self, name, stamps


class _Watched:
    """Goes before the class of a line: notes reads of bars to come."""

    array: Any
    idx: int
    _watch: Watch
    _watched_name: str
    _watched_stamps: Any

    def __getitem__(self, ago: int) -> float:
        self._watch.count += 1
        at = self.idx + ago
        if at >= 0 >= ago:
            return float(self.array[at])
        place = _reader(sys._getframe(1))
        value = float(self.array[at]) if -len(self.array) <= at < len(self.array) else float("nan")
        if place:
            self._note(place, ago, value)
        return value

    def get(self, ago: int = 0, size: int = 1) -> Any:
        self._watch.count += 1
        last = self.idx + ago + 1
        values = self.array[last - size : last]
        if ago > 0 or (last < 0 and len(values)):
            place = _reader(sys._getframe(1))
            if place:
                self._note(place, ago, float(values[-1]) if len(values) else float("nan"))
        return values

    def _note(self, place: str, ago: int, value: float) -> None:
        stamps, at = self._watched_stamps, self.idx
        stamp = stamps.array[at] if 0 <= at < len(stamps.array) else float("nan")
        now = float(self.array[at]) if 0 <= at < len(self.array) else float("nan")  # before the first bar: none
        self._watch.reads.append(Read(self._watched_name, place, ago, ago <= 0, stamp, value, now))


@cache
def _watched(kind: Any) -> Any:
    """A subclass of a class of lines that is watched; Any because Backtrader's classes have no types."""
    return type(kind)(f"Watched{kind.__name__}", (_Watched, kind), {"__module__": __name__})


def _reader(frame: FrameType | None) -> str:
    """file:line of the user's code that reads; empty where Backtrader itself does, to find its next bar."""
    reached = ("linebuffer.py", "lineseries.py", "lineroot.py")
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if not frame.f_code.co_filename.startswith(_LIBRARY):
            return f"{path.name}:{frame.f_lineno}"
        if path.name not in reached:
            return ""
        frame = frame.f_back
    return ""
