"""Elliott readings of a whole history and of a stream: the same numbers, wherever the history begins.

A zigzag never forgets where it began, so it is begun anew as the network is (`forecast.context`): at absolute
multiples of S bars since 1970. A reading comes from the count that has seen the last L to L + S - 1 bars and
nothing before them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lstm_backtrader.candles import Bars
from lstm_backtrader.forecast.context import StridedContext, sequences
from lstm_backtrader.forecast.elliott import Count, Reading, WaveCounter
from lstm_backtrader.forecast.zigzag import Pivot, Swings

Floats = NDArray[np.float64]
LogPrices = tuple[float, float, float]  # high, low, close


@dataclass(frozen=True)
class WaveRules:
    """What counts as a swing, and how many bars a count has seen."""

    swings: Swings = field(default_factory=Swings)
    context: StridedContext = field(default_factory=StridedContext)

    @classmethod
    def of(cls, turn: float = 3.0, span: int = 14, context: int = 384, stride: int = 96) -> WaveRules:
        """From plain numbers. Raises `ConfigError` outside their ranges."""
        return cls(Swings(turn, span), StridedContext(context, stride))

    @property
    def memory(self) -> int:
        """Bars a reading may have seen."""
        return self.context.span


def wave_readings(bars: Bars, rules: WaveRules, step_ns: int | None = None) -> dict[str, Floats]:
    """(T,) for each field of `Reading`, row t known at the close of bar t; prices are logarithms.

    NaN in the first `memory` - 1 rows, and where fewer than half of a context's bars are there. `step_ns`: length
    of a bar; None takes the shortest distance of two.
    """
    out = {name: np.full(len(bars), np.nan) for name in Reading._fields}
    if len(bars) < rules.memory:
        return out
    slots = bars.open_time // (step_ns or _shortest_ns(bars))
    plan = sequences(rules.context, slots, int(slots[0]))
    seen = plan.seen & (np.arange(len(bars)) >= rules.memory - 1)
    prices = _log_prices(bars)
    columns = list(out.values())
    for number, first in enumerate(plan.first.tolist()):
        rows = plan.rows(slice(number, number + 1))
        wanted = np.flatnonzero(seen[rows]) + rows.start
        if len(wanted) == 0:
            continue
        counter = WaveCounter(rules.swings)
        for row in range(first, int(wanted[-1]) + 1):
            counter.advance(*prices[row])
            if row >= wanted[0]:
                for column, value in zip(columns, counter.reading(), strict=True):
                    column[row] = value
    for column in columns:
        column[~seen] = np.nan
    return out


def newest_reading(bars: Bars, rules: WaveRules) -> Reading | None:
    """The last row of `wave_readings`, from the last `memory` bars alone; None where that is NaN."""
    recent = bars.last(rules.memory)
    if len(recent) < rules.memory:
        return None
    slots = recent.open_time // _shortest_ns(recent)
    first = int(np.searchsorted(slots, rules.context.start(slots[-1:])[0]))
    if 2 * (len(slots) - first) < rules.context.length:
        return None
    counter = WaveCounter(rules.swings)
    for high, low, close in _log_prices(recent.part(first, len(recent))):
        counter.advance(high, low, close)
    return counter.reading()


class WaveView(NamedTuple):
    """All that the newest reading rests on.

    `bars`: those its count has seen. `pivots`: confirmed, with rows of `bars`. `ended`: the wave that ended at
    each by the best count when it was confirmed, signed by its side, 0 a start or no count. `counts`: those still
    possible, the best first.
    """

    bars: Bars
    pivots: tuple[Pivot, ...]
    ended: tuple[int, ...]
    counts: tuple[Count, ...]


def newest_view(bars: Bars, rules: WaveRules) -> WaveView:
    """The count behind the newest reading, as it came about; of the last `memory` bars, or fewer if there are."""
    recent = bars.last(rules.memory)
    slots = recent.open_time // _shortest_ns(recent)
    seen = recent.part(int(np.searchsorted(slots, rules.context.start(slots[-1:])[0])), len(recent))
    counter = WaveCounter(rules.swings)
    pivots: list[Pivot] = []
    ended: list[int] = []
    for prices in _log_prices(seen):
        if counter.advance(*prices):
            wave = counter.reading().wave
            pivots.append(counter.zigzag.pivots[-1])
            ended.append(wave - (1 if wave > 0 else -1 if wave < 0 else 0))
    return WaveView(seen, tuple(pivots), tuple(ended), counter.counts())


class WaveStream:
    """The counts that are under way, each advanced a step a bar; keyed by bar time, as a forecast's stream is.

    A forming bar may come many times. Where the newest bar does not follow the one before (first call, restart),
    the counts are begun anew from `memory` bars of history.
    """

    def __init__(self, rules: WaveRules, step_ns: int) -> None:
        self.rules = rules
        self.step_ns = step_ns  # length of a bar
        self._committed: dict[int, _Running] = {}  # by start; up to the bar before the newest
        self._newest = self._committed
        self._time = -1
        self._prices: LogPrices | None = None  # of the newest bar

    def update(self, tail: Callable[[int], Bars]) -> Reading | None:
        """What is known of the newest bar, None where a context's bars are missing; `tail(n)`: the last n bars."""
        recent = tail(2)
        time, prices = int(recent.open_time[-1]), _log_prices(recent)
        if time != self._time:
            follows = len(recent) > 1 and int(recent.open_time[-2]) == self._time and prices[-2] == self._prices
            self._committed = self._newest if follows else self._begin(tail(self.rules.memory))
            self._time = time
        self._prices = prices[-1]
        alive = self.rules.context.alive(time // self.step_ns)
        self._newest = {start: self._running(start).after(prices[-1]) for start in alive}
        eldest = self._newest[alive[0]]
        return eldest.counter.reading() if 2 * eldest.bars >= self.rules.context.length else None

    def _running(self, start: int) -> _Running:
        return self._committed.get(start) or _Running(WaveCounter(self.rules.swings), 0)

    def _begin(self, history: Bars) -> dict[int, _Running]:
        """The counts as they stood before the newest bar of `history`."""
        slots, prices = history.open_time // self.step_ns, _log_prices(history)
        begun = {}
        for start in self.rules.context.alive(int(slots[-1])):
            counter, first = WaveCounter(self.rules.swings), int(np.searchsorted(slots, start))
            for high, low, close in prices[first:-1]:
                counter.advance(high, low, close)
            begun[start] = _Running(counter, len(prices[first:-1]))
        return begun


class _Running(NamedTuple):
    """A count and the bars it has seen."""

    counter: WaveCounter
    bars: int

    def after(self, prices: LogPrices) -> _Running:
        """One bar on; this one stays as it is."""
        counter = self.counter.copy()
        counter.advance(*prices)
        return _Running(counter, self.bars + 1)


def _shortest_ns(bars: Bars) -> int:
    """Length of a bar: no two lie nearer to each other, however many are missing."""
    return int(np.diff(bars.open_time).min()) if len(bars) > 1 else 1


def _log_prices(bars: Bars) -> list[LogPrices]:
    with np.errstate(divide="ignore", invalid="ignore"):  # a price of zero is none: the count passes over it
        columns = [np.log(bars[name]).tolist() for name in ("high", "low", "close")]
    return list(zip(*columns, strict=True))
