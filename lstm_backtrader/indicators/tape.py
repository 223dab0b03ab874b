"""A Backtrader data as `Bars`: the one place where its stamps become open times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import backtrader as bt
import numpy as np
from numpy.typing import NDArray

from lstm_backtrader.candles import Bars, bar_seconds, check_clock, format_timeframe
from lstm_backtrader.errors import ConfigError, DataError, TimeframeError
from lstm_backtrader.indicators.stamps import Stamps, place

_NS = 1_000_000_000
_ENOUGH_BARS = 10  # to measure their length by the median: fewer, and one gap would count as the length


class Reader(NamedTuple):
    """Who reads a data, in the words of messages. `call`: how it is made; `expects`: bars of another length."""

    name: str
    call: str
    expects: str
    remedy: str


_MODEL = Reader(
    "the model",
    "LSTMSignal(self.data, model=...)",
    "the model was trained on",
    "Resample the data, or train a model on such bars.",
)


class Tape:
    """Reads `columns` of a Backtrader data (untyped there), bars of `step_s` seconds stamped as `place` says.

    `reader`: who reads, for messages.
    """

    def __init__(
        self,
        data: Any,
        columns: Sequence[str],
        step_s: int,
        stamps: Stamps | None = None,
        reader: Reader | None = None,
    ) -> None:
        self.reader = reader or _MODEL
        if not isinstance(data, bt.feed.AbstractDataBase):
            raise ConfigError(
                f"{self.reader.name} reads {', '.join(columns)} of a data feed, and was given a line or an "
                f"indicator ({type(data).__name__}). Give the data itself: {self.reader.call}."
            )
        self.data = data
        self.step_s = step_s
        self.stamps = stamps
        self.placing = place(data, step_s, stamps)
        self.lines = {name: self._line(name) for name in columns}
        self._is_checked = False

    def _line(self, name: str) -> Any:
        line = getattr(self.data.lines, name, None)
        if line is None:
            raise DataError(
                f"{self.reader.name} reads column '{name}' and the data has no line of that name. "
                f"Use lstm_backtrader.CandleFeed(candles), which makes a line of every column; candles without it "
                f"get it by --event-data, --funding or --mark, in Python by the arguments of read_candles."
            )
        return line

    def everything(self) -> Bars:
        """All bars of a preloaded data, (T,)."""
        n = self.data.buflen()
        stamps = np.frombuffer(self.data.lines.datetime.array)[:n]
        columns = {name: np.frombuffer(line.array)[:n].copy() for name, line in self.lines.items()}
        bars = Bars(self._open_time(stamps), columns)
        self._check(bars)
        return bars

    def last(self, n: int) -> Bars:
        """The last `n` bars up to now, fewer where there are fewer."""
        self._check_once()
        return self._read(n)

    def _read(self, n: int) -> Bars:
        n = min(n, len(self.data), self.data.lines.datetime.idx + 1)  # exactbars keeps only so many
        stamps = np.array(self.data.lines.datetime.get(size=n))
        columns = {name: np.array(line.get(size=n)) for name, line in self.lines.items()}
        return Bars(self._open_time(stamps), columns)

    def missing(self) -> int:
        """Bars that are not there between the first and the last of those in memory."""
        stamps = np.array(self.data.lines.datetime.array, dtype=np.float64)[: self.data.buflen()]
        slots = np.unique(self._open_time(stamps) // (self.step_s * _NS))
        return int(slots[-1] - slots[0] + 1 - len(slots)) if len(slots) else 0

    def now(self) -> int:
        """Open time of the current bar in nanoseconds."""
        self._check_once()
        return int(self._open_time(np.array([self.data.lines.datetime[0]]))[0])

    def _open_time(self, days: NDArray[np.float64]) -> NDArray[np.int64]:
        return self.placing.open_seconds(days) * _NS

    def _check_once(self) -> None:
        """As soon as there are enough bars, whatever the forecaster reads of them."""
        if not self._is_checked and len(self.data) >= _ENOUGH_BARS:
            self._check(self._read(10 * _ENOUGH_BARS))

    def _check(self, bars: Bars) -> None:
        """The bars' length must be the model's, and they must stand on the clock."""
        if len(bars) < _ENOUGH_BARS:
            return
        self._is_checked = True
        measured = bar_seconds(bars.open_time)
        if measured != self.step_s:
            raise TimeframeError(
                f"the data has {format_timeframe(measured)} bars (measured), {self.reader.expects} "
                f"{format_timeframe(self.step_s)}. {self.reader.remedy}"
            )
        check_clock(bars.open_time, self.step_s)
