"""The four kinds of rules a strategy is made of; whatever has their methods is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self, runtime_checkable

from lstm_backtrader.strategies.situation import Situation


@runtime_checkable
class Entry(Protocol):
    """Whether a position may be entered now; an exit may have a say in it, too."""

    def refusal(self, situation: Situation) -> str | None:
        """Why not to enter `situation.side`, in one clause; None where nothing speaks against it."""
        ...


class Sizing(Protocol):
    """How large a position is."""

    def size(self, situation: Situation) -> float:
        """Size to enter `situation.side` with, 0 or more, in whole lots; 0: no position."""
        ...


class Guard(Protocol):
    """What stops trading, whatever the signal says.

    `flattens`: whether an open position is left, too, at the next open.
    """

    @property
    def flattens(self) -> bool: ...

    def halt(self, situation: Situation) -> str | None:
        """Why nothing is entered now, in one clause; None where trading goes on."""
        ...


@dataclass(frozen=True)
class ExitOrder:
    """A reduce-only order that is placed together with the entry.

    Its price is `from_fill` away from the entry's fill, as a signed fraction, or `price` itself. A "trailing" order
    begins there and follows the best price at the same distance. With `wakes_from_fill` it sleeps until the price
    has been so far from the fill.
    """

    reason: str
    kind: Literal["stop", "limit", "trailing"]
    from_fill: float | None = None
    price: float | None = None
    wakes_from_fill: float | None = None
    share: float = 1.0  # of the position

    @property
    def protects(self) -> bool:
        """Whether it ends all of a position that goes wrong, from the start."""
        return self.kind != "limit" and self.wakes_from_fill is None and self.share == 1.0


class Exit(Protocol):
    """How a position ends."""

    def orders(self, situation: Situation) -> Sequence[ExitOrder]:
        """Orders that go to the broker together with the entry of `situation.side`."""
        ...

    def leaves(self, situation: Situation) -> str | None:
        """Why to leave the position at the next open, in one word; None to stay."""
        ...


@runtime_checkable
class Follower(Protocol):
    """An exit whose one order moves with the market."""

    def follow(self, situation: Situation) -> float:
        """The price its order should have now; one that is further away than before, or NaN, moves nothing."""
        ...


@runtime_checkable
class OnLines(Protocol):
    """A rule that reads a Backtrader line of its own."""

    def bind(self, data: Any) -> Self:
        """The same rule with its line made on `data`, a Backtrader feed; to be called where indicators are made."""
        ...
