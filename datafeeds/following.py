"""Longer bars made while the candles of a feed arrive: for live feeds, whose history nobody has beforehand."""

from __future__ import annotations

import math
from typing import Any

import backtrader as bt

from lstm_backtrader.candles import format_timeframe, show_time
from lstm_backtrader.errors import TimeframeError

from .frames import with_lines
from .grouping import merged
from .pace import Feed, backtrader_length, late_s

_EPOCH_DAYS = 719_163  # backtrader's number of 1970-01-01
_DAY_S = 86_400
_NS = 1_000_000_000


class LongerBars:
    """A Backtrader filter: takes candles of `base_s` seconds out of a feed and delivers bars of `step_s`."""

    def __init__(self, data: Feed, step_s: int, base_s: int) -> None:
        self.step_s = step_s
        self.base_s = base_s
        self.open_s = -1  # open of the bar that forms
        self.closed_s = -1  # and of the one delivered last
        self.row: list[float] = []
        self.lines: tuple[str, ...] = data.getlinealiases()
        data.resampling = 1  # Cerebro lets such a feed follow the others, and keeps one bar more in its buffers
        data.bar_s = step_s
        data._timeframe, data._compression = backtrader_length(step_s)

    def __call__(self, data: Feed) -> bool:
        """Take the candle the feed has just loaded; True, as it never goes further."""
        values = [line[0] for line in data.lines.itersize()]
        data.backwards()
        candle_s = _seconds(values[self.lines.index("datetime")])
        open_s = candle_s // self.step_s * self.step_s
        if open_s <= self.closed_s:
            raise TimeframeError(
                f"a candle of {show_time(candle_s * _NS)} came after its {format_timeframe(self.step_s)} bar was "
                f"closed: the candles are shorter than the {format_timeframe(self.base_s)} the feed declares. "
                f"Give it its true `timeframe` and `compression`."
            )
        if self.row and open_s != self.open_s:
            self._deliver(data)
        self.row = [
            merged(name, before, now)
            for name, before, now in zip(self.lines, self.row or [math.nan] * len(values), values, strict=True)
        ]
        self.open_s = open_s
        if candle_s + self.base_s >= open_s + self.step_s:
            self._deliver(data)
        return True

    def last(self, data: Feed) -> bool:
        """The bar that was forming when the feed ended."""
        if self.row:
            self._deliver(data)
            return True
        return False

    def _deliver(self, data: Feed) -> None:
        self.row[self.lines.index("datetime")] = _EPOCH_DAYS + (self.open_s + late_s(data)) / _DAY_S
        data._add2stack(self.row)
        self.row, self.closed_s = [], self.open_s


class Follower(bt.feed.DataClone):
    """A feed that reads the candles of another one of the run, extra lines included."""

    _dlen: int  # candles of the other feed taken so far

    @classmethod
    def of(cls, data: Feed) -> Any:
        """A follower of `data`, of a class that has its lines."""
        extra = tuple(name for name in data.getlinealiases() if name not in cls.lines.getlinealiases())
        kind: Any = cls  # Backtrader's classes have no types
        return with_lines(kind, extra)(dataname=data)

    def next(self, datamaster: Feed | None = None, ticks: bool = True) -> Any:
        """Take the other feed's new candle at every step, a step that delivers an earlier bar included."""
        if len(self.data) > self._dlen:
            self._dlen = len(self.data)
            self._add2stack([line[0] for line in self.data.lines.itersize()], stash=True)
        return super().next(datamaster, ticks)

    def advance(self, size: int = 1, datamaster: Feed | None = None, ticks: bool = True) -> None:
        """Deliver a bar again that was held back; Backtrader's own clone counts a new candle here, and loses it."""
        super(bt.feed.DataClone, self).advance(size, datamaster, ticks=ticks)

    def _load(self) -> bool:
        return False  # `next` has taken what there is


def _seconds(days: float) -> int:
    return round((days - _EPOCH_DAYS) * _DAY_S)
