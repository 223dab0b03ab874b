"""Elliott waves: which counts of an impulse the confirmed pivots allow, how well each fits, where each is wrong.

The rules are Frost and Prechter's (Elliott Wave Principle, 1978): wave 2 never goes beyond the start of wave 1,
wave 3 goes beyond the end of wave 1 and is never the shortest of 1, 3 and 5, wave 4 does not enter the range of
wave 1. Lengths are those of log prices. The last pivots nearly always allow several counts; all of them are kept.

Read every count beside its null: of a random walk's runs of six pivots about one in fourteen passes all rules.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from lstm_backtrader.forecast.zigzag import Pivot, Swings, ZigZag

DONE = 6  # as a wave: all five are over
RATIOS = {  # wave: the lengths it likes to have, as multiples of another wave's
    2: (1, (0.5, 0.618)),
    3: (1, (1.618, 2.618)),
    4: (3, (0.236, 0.382)),
    5: (1, (0.618, 1.0)),
}
TOLERANCE = 0.2  # deviation of a ratio's logarithm; 20 % off a Fibonacci ratio is worth 0.6


class Count(NamedTuple):
    """One way to count the last pivots.

    `wave`: the wave in progress, 1 to 5, 6 when all are over. `side`: +1 an impulse upwards. `confidence`: how
    near its finished waves are to Fibonacci ratios, 0 to 1; a wave yet to finish adds nothing. In log prices:
    `invalidation`, at which the count is wrong; `target`, the usual end of the wave in progress (NaN of wave 1);
    `limit`, which wave 5 must not reach or wave 3 would be the shortest.
    """

    wave: int
    side: int
    confidence: float
    invalidation: float
    target: float
    limit: float


class Reading(NamedTuple):
    """What is known at the close of a bar; prices are logarithms.

    `wave`: of the best count, signed by its side, 0 where none is left. `swing`: direction of the swing in
    progress. `bars_since_pivot`: since the last pivot's own bar. `retrace`: length of the swing in progress over
    that of the one before. `n_hypotheses`: counts still possible.
    """

    wave: int = 0
    confidence: float = 0.0
    invalidation: float = math.nan
    target: float = math.nan
    swing: int = 0
    bars_since_pivot: float = math.nan
    retrace: float = math.nan
    n_hypotheses: int = 0
    atr: float = math.nan


NOTHING = Reading()


class WaveCounter:
    """Counts waves bar by bar: a zigzag, and the counts its pivots and the prices since allow."""

    __slots__ = ("_counts", "zigzag")

    def __init__(self, rules: Swings) -> None:
        self.zigzag = ZigZag(rules)
        self._counts: tuple[Count, ...] = ()

    def copy(self) -> WaveCounter:
        """Another one that goes on from here."""
        other = object.__new__(WaveCounter)
        other.zigzag, other._counts = self.zigzag.copy(), self._counts
        return other

    def advance(self, high: float, low: float, close: float) -> bool:
        """One bar on, in log prices. True where it confirms a pivot."""
        zigzag = self.zigzag
        is_turn = zigzag.advance(high, low, close)
        if is_turn:
            self._counts = counts(zigzag.pivots)
        if any(not _stands(count, zigzag) for count in self._counts):
            self._counts = tuple(count for count in self._counts if _stands(count, zigzag))
        return is_turn

    def counts(self) -> tuple[Count, ...]:
        """Those still possible, the best first."""
        return self._counts

    def reading(self) -> Reading:
        """The best count and the swing, after the last bar."""
        zigzag, pivots = self.zigzag, self.zigzag.pivots
        if not pivots:
            return NOTHING._replace(atr=zigzag.atr)
        best = self._counts[0] if self._counts else None
        retrace = math.nan
        if len(pivots) > 1:
            retrace = abs(zigzag.close - pivots[-1].price) / abs(pivots[-1].price - pivots[-2].price)
        return Reading(
            wave=best.wave * best.side if best else 0,
            confidence=best.confidence if best else 0.0,
            invalidation=best.invalidation if best else math.nan,
            target=best.target if best else math.nan,
            swing=zigzag.swing,
            bars_since_pivot=float(zigzag.bars - 1 - pivots[-1].bar),
            retrace=retrace,
            n_hypotheses=len(self._counts),
            atr=zigzag.atr,
        )


def counts(pivots: Sequence[Pivot]) -> tuple[Count, ...]:
    """Every count the last one to six pivots allow by the rules, the best first; of equal ones the further."""
    found = [
        count
        for n in range(1, min(len(pivots), DONE) + 1)
        if (count := _count([pivot.price for pivot in pivots[-n:]], -pivots[-n].kind)) is not None
    ]
    return tuple(sorted(found, key=lambda count: (-count.confidence, -count.wave)))


def is_impulse(prices: Sequence[float], side: int) -> bool:
    """Whether six log prices, the start and the ends of five waves, pass all rules; `side` +1 upwards."""
    return _keeps_rules([side * price for price in prices])


def _count(prices: list[float], side: int) -> Count | None:
    """The count whose pivots these are, the first being the start of wave 1; None where a rule is broken."""
    p = [side * price for price in prices]
    if not _keeps_rules(p):
        return None
    wave = len(p)
    lengths = [abs(b - a) for a, b in pairwise(p)]  # of waves 1, 2, ...
    closeness = math.fsum(
        _closeness(lengths[number - 1] / lengths[of - 1], liked)
        for number, (of, liked) in RATIOS.items()
        if number <= len(lengths)
    )
    wrong_at = p[{1: 0, 2: 0, 3: 2, 4: 1, 5: 4, DONE: 5}[wave]]
    limit = math.inf
    if wave == 5 and lengths[2] < lengths[0]:
        limit = p[4] + lengths[2]
    target = _target(p, lengths)
    return Count(wave, side, closeness / len(RATIOS), side * wrong_at, side * target, side * limit)


def _keeps_rules(p: list[float]) -> bool:
    """Of the start and the ends of up to five waves, signed so that the impulse points up."""
    if any((b > a) != (number % 2 == 0) for number, (a, b) in enumerate(pairwise(p))):
        return False  # a wave that does not go its way
    if len(p) > 2 and p[2] <= p[0]:
        return False
    if len(p) > 3 and p[3] <= p[1]:
        return False
    if len(p) > 4 and p[4] <= p[1]:
        return False
    return len(p) < DONE or not p[3] - p[2] < min(p[1] - p[0], p[5] - p[4])


def _closeness(ratio: float, liked: tuple[float, ...]) -> float:
    """1 at a ratio that is liked, falling with the distance of the logarithms."""
    return max(math.exp(-0.5 * (math.log(ratio / level) / TOLERANCE) ** 2) for level in liked)


def _target(p: list[float], lengths: list[float]) -> float:
    """Where the wave in progress usually ends; what follows an impulse, at the end of its wave 4."""
    wave = len(p)
    if wave == 1:
        return math.nan
    if wave == DONE:
        return p[4]
    of, multiple = {2: (1, -0.618), 3: (1, 1.618), 4: (3, -0.382), 5: (1, 1.0)}[wave]
    return p[-1] + multiple * lengths[of - 1]


def _stands(count: Count, zigzag: ZigZag) -> bool:
    """Whether the prices since the last pivot leave the count possible."""
    against, ahead = (zigzag.lowest, zigzag.highest) if count.side > 0 else (-zigzag.highest, -zigzag.lowest)
    wrong_at = count.side * count.invalidation
    if count.wave == DONE:
        return ahead < wrong_at
    return against > wrong_at and ahead < count.side * count.limit
