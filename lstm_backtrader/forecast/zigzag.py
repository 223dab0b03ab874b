"""A causal zigzag: swings of log prices, each counted only once the market has turned back far enough.

A turn is known at `confirmed_at`, some bars after the pivot's own bar, and nothing here uses a pivot before that.
Up and down are one algorithm on signed prices, so a mirrored market gives mirrored swings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from lstm_backtrader.errors import ConfigError

KEPT = 6  # pivots: the start of an impulse and the ends of its five waves


class Pivot(NamedTuple):
    """The end of a swing. `price`: its logarithm. `kind`: +1 a high, -1 a low. Bars are counted from the first."""

    bar: int
    price: float
    kind: int
    confirmed_at: int


@dataclass(frozen=True)
class Swings:
    """How far back counts as a turn: `turn` average true ranges (Wilder) of `span` bars."""

    turn: float = 3.0
    span: int = 14

    def __post_init__(self) -> None:
        if not 0 < self.turn < math.inf:
            raise ConfigError(f"turn {self.turn} must be above 0, in average true ranges. The default is 3.")
        if not (isinstance(self.span, int) and self.span >= 1):
            raise ConfigError(f"span {self.span!r} must be a whole number of bars, 1 or more. The default is 14.")


class ZigZag:
    """The swings so far, one bar after the other.

    `pivots`: the last six confirmed, oldest first. `atr`: average true range of the log price, NaN in the first
    `span` - 1 bars. `lowest`, `highest`: log prices known to come after the last pivot. A bar without a price is
    passed over.
    """

    __slots__ = ("_legs", "_ranges", "atr", "bars", "close", "highest", "lowest", "pivots", "rules")

    def __init__(self, rules: Swings) -> None:
        self.rules = rules
        self.pivots: tuple[Pivot, ...] = ()
        self.bars = 0  # rows seen
        self.close = self.atr = math.nan
        self.lowest, self.highest = math.inf, -math.inf
        self._legs: tuple[_Leg, ...] = (_Leg(1), _Leg(-1))  # either may turn out to be the first swing
        self._ranges: tuple[float, ...] = ()  # true ranges until there are `span`

    def copy(self) -> ZigZag:
        """Another one that goes on from here."""
        other = object.__new__(ZigZag)
        for name in self.__slots__:
            setattr(other, name, getattr(self, name))
        other._legs = tuple(leg.copy() for leg in self._legs)
        return other

    @property
    def swing(self) -> int:
        """Direction of the swing in progress, 0 before the first pivot."""
        return self._legs[0].side if self.pivots else 0

    def advance(self, high: float, low: float, close: float) -> bool:
        """One bar on, in log prices. True where it confirms a pivot."""
        bar = self.bars
        self.bars += 1
        if not math.isfinite(high + low + close):
            return False
        self._measure(high, low)
        self.close = close
        self.lowest, self.highest = min(self.lowest, low), max(self.highest, high)
        for leg in self._legs:
            leg.go(bar, high, low, close)
        turned = max(self._legs, key=lambda leg: leg.retreat)
        is_turn = turned.retreat >= self.rules.turn * self.atr and turned.retreat > 0.0  # nothing moved is no turn
        if not is_turn or self._is_undecided():
            return False
        pivot = Pivot(turned.extreme_bar, turned.side * turned.extreme, turned.side, bar)
        self.pivots = (*self.pivots[1 - KEPT :], pivot)
        self._legs = (turned.turned(bar, close),)
        reached = -turned.side * self._legs[0].extreme
        self.lowest, self.highest = min(reached, close), max(reached, close)
        return True

    def _measure(self, high: float, low: float) -> None:
        """Wilder's mean of true ranges; it begins with the plain mean of the first `span`."""
        last, span = self.close, self.rules.span
        reach = high - low if math.isnan(last) else max(high, last) - min(low, last)
        if not math.isnan(self.atr):
            self.atr += (reach - self.atr) / span
            return
        self._ranges = (*self._ranges, reach)
        if len(self._ranges) == span:
            self.atr, self._ranges = math.fsum(self._ranges) / span, ()

    def _is_undecided(self) -> bool:
        """Whether the first bar with a turn has turned as far both ways."""
        return len(self._legs) == 2 and self._legs[0].retreat == self._legs[1].retreat


class _Leg:
    """A swing in progress, in log prices signed by its direction.

    `extreme`: the furthest it has come. `back`: how far it has come back since, and `rally`: how far it has
    recovered from there. Of a bar that sets one of them only the close is known to come after it.
    """

    __slots__ = ("back", "back_bar", "extreme", "extreme_bar", "rally", "rally_bar", "side")

    def __init__(self, side: int) -> None:
        self.side = side
        self.extreme = self.back = self.rally = -math.inf
        self.extreme_bar = self.back_bar = self.rally_bar = 0

    def copy(self) -> _Leg:
        other = object.__new__(_Leg)
        for name in self.__slots__:
            setattr(other, name, getattr(self, name))
        return other

    @property
    def retreat(self) -> float:
        return self.extreme - self.back

    def go(self, bar: int, high: float, low: float, close: float) -> None:
        ahead, behind, last = (high, low, close) if self.side > 0 else (-low, -high, -close)
        if ahead > self.extreme:
            self.extreme = ahead
            self.back = self.rally = last
            self.extreme_bar = self.back_bar = self.rally_bar = bar
        elif behind < self.back:
            self.back, self.rally = behind, last
            self.back_bar = self.rally_bar = bar
        elif ahead > self.rally:
            self.rally, self.rally_bar = ahead, bar

    def turned(self, bar: int, close: float) -> _Leg:
        """The swing back, which began at `extreme` and has come to `back`."""
        leg = _Leg(-self.side)
        leg.extreme, leg.extreme_bar = -self.back, self.back_bar
        leg.back, leg.back_bar = -self.rally, self.rally_bar
        leg.rally, leg.rally_bar = leg.side * close, bar
        return leg
