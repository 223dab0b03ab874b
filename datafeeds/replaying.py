"""`ReplayFeed`: the bars of a longer timeframe, forming candle by candle."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lstm_backtrader.candles import bar_seconds, format_timeframe, open_times

from .frames import CandleFeed
from .grouping import bar_opens, forming_candles


class ReplayFeed(CandleFeed):
    """Candles played into bars of `step_s` seconds; made by `lstm_backtrader.replay`.

    A step gives the newest bar as it stands after one more candle, stamped with that candle. `tick_open` and
    the other `tick_` attributes hold the candle itself, which is what a broker fills orders with.
    """

    params: tuple[tuple[str, object], ...] = (("step_s", None),)
    replaying = 1
    resampling = 1  # as Backtrader's own: buffers keep one bar more

    def __init__(self, candles: object = None, **feed_params: object) -> None:
        super().__init__()
        times = open_times(self.p.dataname.index)
        self.bar_s = bar_seconds(times) if len(times) > 1 else None
        self._forming: NDArray[np.float64] = np.empty((0, 0))
        self._begins: NDArray[np.bool_] = np.empty(0, dtype=bool)

    def start(self) -> None:
        super().start()
        timeframe = format_timeframe(self.p.step_s)
        candles = self.p.dataname
        opens = bar_opens(candles, timeframe)
        self._begins = np.append(True, np.diff(opens) > 0)
        self._forming = self._lines_of(forming_candles(candles, timeframe))

    def load(self) -> bool:
        """One candle more: into the newest bar, or the first of a new one."""
        if self._row >= len(self._table):
            return False
        if self._begins[self._row]:
            self.forward()
        self._show(self._row)
        self._row += 1
        return True

    def rewind(self, size: int = 1) -> None:
        """Take back a candle that is later than those of other datas."""
        self._row -= 1
        if self._begins[self._row]:
            self.backwards(force=True)
        if self._row:
            self._show(self._row - 1)

    def _show(self, row: int) -> None:
        for line, value in zip(self.lines.itersize(), self._forming[row].tolist(), strict=True):
            line[0] = value
        for name, value in zip(self.getlinealiases(), self._table[row].tolist(), strict=True):
            if name != "datetime":
                setattr(self, f"tick_{name}", value)
        self.tick_last = self.tick_close
