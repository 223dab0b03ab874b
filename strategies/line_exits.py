"""Stops whose price comes from a line: an average true range, or any level such as a wave's invalidation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import backtrader as bt

from lstm_backtrader.errors import ConfigError
from lstm_backtrader.strategies.exits import RestingExit
from lstm_backtrader.strategies.rules import ExitOrder
from lstm_backtrader.strategies.situation import Situation

Line = (
    Any  # a Backtrader line, indicator or lines expression, untyped there; or a function of a data that makes one
)


@dataclass(frozen=True, eq=False)  # lines compare as lines
class LineStop(RestingExit):
    """A stop at the price a line has when the position is entered: reason "line_stop".

    `line`: a line, or a function that makes one of a data, say ``lambda data: bt.ind.Lowest(data.low, period=24)``.
    `below` and `above`: of two lines, the one for longs and the one for shorts, in place of `line`. `follows`: move
    the stop with the line, never away from the price. No position is entered where the line is NaN, or on its wrong
    side.
    """

    line: Line = None
    below: Line = None
    above: Line = None
    follows: bool = False
    name: str = "line_stop"

    def __post_init__(self) -> None:
        if (self.line is None) == (self.below is None and self.above is None):
            raise ConfigError("LineStop takes either line, or below and above.")

    def bind(self, data: Any) -> Self:
        """With its lines made on `data`."""
        made = {name: made_on(getattr(self, name), data) for name in ("line", "below", "above")}
        return replace(self, **made)

    def refusal(self, situation: Situation) -> str | None:
        """A desk asks its exits, too, whether a position can be protected."""
        level = self._level(situation.side)
        if level != level:
            return "the line of the stop has no value"
        if situation.side * (situation.price - level) <= 0.0:
            return f"the stop at {level:g} lies on the wrong side of the price {situation.price:g}"
        return None

    def orders(self, situation: Situation) -> Sequence[ExitOrder]:
        return (ExitOrder(self.name, "stop", price=self._level(situation.side)),)

    def follow(self, situation: Situation) -> float:
        """Where the line is now, for a position that is held."""
        return self._level(situation.held) if self.follows else float("nan")

    def _level(self, side: int) -> float:
        line = self.line if self.line is not None else self.below if side > 0 else self.above
        return float("nan") if line is None else float(line[0])


@dataclass(frozen=True, eq=False)  # lines compare as lines
class AtrStop(RestingExit):
    """A stop `atr_stop` average true ranges behind the entry's fill: reason "atr_stop".

    `period`: bars of the average, Wilder's. `follows`: keep it as far behind the last close as the range is now,
    never further away than it was ("chandelier").
    """

    atr_stop: float
    period: int = 14
    follows: bool = False
    atr: Line = None  # made by `bind`

    def __post_init__(self) -> None:
        if not self.atr_stop > 0.0:
            raise ConfigError(f"atr_stop={self.atr_stop} must be above 0. It counts average true ranges: 3.0.")
        if not (isinstance(self.period, int) and self.period >= 1):
            raise ConfigError(f"period={self.period} must be a whole number of bars, 1 or more.")

    def bind(self, data: Any) -> Self:
        """With its average true range of `data`."""
        return replace(self, atr=bt.indicators.AverageTrueRange(data, period=self.period))

    def refusal(self, situation: Situation) -> str | None:
        """A desk asks its exits, too, whether a position can be protected."""
        distance = self._distance()
        if distance != distance:
            return "the average true range is not known yet"
        if not 0.0 < distance < situation.price:
            return f"a stop {distance:g} from the price {situation.price:g} cannot be placed"
        return None

    def orders(self, situation: Situation) -> Sequence[ExitOrder]:
        offset = -situation.side * self._distance() / situation.price
        return (ExitOrder("atr_stop", "stop", from_fill=offset),)

    def follow(self, situation: Situation) -> float:
        """`atr_stop` ranges behind the last close."""
        return situation.price - situation.held * self._distance() if self.follows else float("nan")

    def _distance(self) -> float:
        if self.atr is None:
            raise ConfigError("AtrStop has no data yet. Call AtrStop(...).bind(self.data) in your __init__.")
        return self.atr_stop * float(self.atr[0])


def made_on(line: Any, data: Any) -> Any:
    """The line itself, or the one that a function makes of `data`."""
    is_function = callable(line) and not isinstance(line, bt.LineRoot)
    return line(data) if is_function else line
