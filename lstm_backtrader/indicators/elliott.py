"""`ElliottWaves`: the best Elliott count of a data as lines, known at the close of each bar and never redrawn."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import numpy as np
from numpy.typing import NDArray

from lstm_backtrader.candles import Bars, timeframe_seconds
from lstm_backtrader.datafeeds.pace import declared_s, pace_s
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.forecast.elliott import Reading
from lstm_backtrader.forecast.wave_series import WaveRules, WaveStream, wave_readings
from lstm_backtrader.indicators.tape import Reader, Tape

_LINES = ("wave", "confidence", "invalidation", "target", "swing", "bars_since_pivot", "retrace", "n_hypotheses")
_PRICES = ("invalidation", "target")
_ZERO_WHERE_UNKNOWN = ("wave", "confidence", "swing", "n_hypotheses")  # NaN would count as true
_NS = 1_000_000_000
_READER = Reader(
    "ElliottWaves",
    "ElliottWaves(self.data)",
    "and the feed, or timeframe=, says",
    "Say timeframe= with the true length, '1h' or such.",
)


class ElliottWaves(bt.Indicator):
    """Elliott's waves of log prices, counted on confirmed swings alone.

    * `wave`: wave in progress by the best count, 1 to 5, or 6 when all five are over; above 0 where the impulse
      points up, below 0 where down, 0 where no count is left.
    * `confidence`: nearness of its finished waves to Fibonacci ratios, 0 to 1.
    * `invalidation`: price at which that count is wrong, a place for a stop; NaN without a count.
    * `target`: price where the wave in progress usually ends; NaN without a count and in wave 1.
    * `swing`: +1, -1, direction of the swing in progress.
    * `bars_since_pivot`: bars since the last confirmed pivot.
    * `retrace`: length of the swing in progress over that of the one before.
    * `n_hypotheses`: counts the rules still allow. Nearly always there are several.

    `turn`: average true ranges of `span` bars that make a turn. A count has seen the last `context` to `context` +
    `stride` - 1 bars, so the lines are the same wherever the data begin. `timeframe`: bar length such as "1h",
    where the data do not say it. `stamps`: see `LSTMSignal`.

    A random walk shows these waves too: 7.1 % of its runs of six pivots pass all rules, and nearly every bar has a
    count. See docs/elliott.md before you trade one.
    """

    lines = _LINES
    params = (
        ("turn", 3.0),
        ("span", 14),
        ("context", 384),
        ("stride", 96),
        ("timeframe", None),
        ("stamps", None),
    )
    plotinfo: Any = {"subplot": True, "plotname": "Elliott"}  # Backtrader makes an object of it
    plotlines = {name: {"_plotskip": True} for name in _LINES if name != "wave"}

    def __init__(self) -> None:
        self.rules = WaveRules.of(self.p.turn, self.p.span, self.p.context, self.p.stride)
        step_s = self._bar_seconds()
        self.tape = Tape(self.data, ("high", "low", "close"), step_s, self.p.stamps, _READER)
        self._step_ns = step_s * _NS
        self._stream = WaveStream(self.rules, self._step_ns)
        self.addminperiod(self.rules.memory)

    def _bar_seconds(self) -> int:
        if self.p.timeframe is not None:
            return timeframe_seconds(self.p.timeframe)
        data = self.data
        if not isinstance(data, bt.feed.AbstractDataBase):
            return 1  # of no use: the tape says what is wrong with it
        replayed = getattr(data.p, "step_s", None)
        seconds = replayed or (declared_s(data) if data.replaying else pace_s(data))
        if seconds is None:
            raise ConfigError("ElliottWaves cannot tell the length of the bars. Say timeframe='1h', or such.")
        return seconds

    def prenext(self) -> None:
        for name in _ZERO_WHERE_UNKNOWN:
            getattr(self.l, name)[0] = 0.0

    def next(self) -> None:
        reading = self._stream.update(self.tape.last)
        for name, values in self._shown(None if reading is None else reading._asdict()).items():
            getattr(self.l, name)[0] = float(values)

    def preonce(self, start: int, end: int) -> None:
        """Nothing: `once` fills every bar."""

    def oncestart(self, start: int, end: int) -> None:
        """Nothing: `once` fills every bar."""

    def once(self, start: int, end: int) -> None:
        bars = self.tape.everything()
        for name, values in self._shown(wave_readings(bars, self.rules, self._step_ns)).items():
            np.frombuffer(getattr(self.l, name).array)[: len(values)] = values

    def bars(self) -> Bars:
        """The bars so far that are still in memory."""
        return self.tape.last(len(self.data))

    def _shown(self, reading: dict[str, Any] | None) -> dict[str, NDArray[np.float64]]:
        """The lines of readings, one or (T,)."""
        said = dict.fromkeys(Reading._fields, np.nan) if reading is None else reading
        return {
            name: np.exp(said[name])
            if name in _PRICES
            else np.nan_to_num(said[name])
            if name in _ZERO_WHERE_UNKNOWN
            else np.asarray(said[name], dtype=np.float64)
            for name in _LINES
        }
