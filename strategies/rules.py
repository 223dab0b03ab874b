"""The four kinds of rules a strategy is made of; whatever has their methods is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from lstm_backtrader.strategies.situation import Situation


class Entry(Protocol):
    """Whether a position may be entered now."""

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
    """A reduce-only order that works from the moment its position is entered.

    Its price is `from_fill` away from the entry's fill, as a signed fraction, or `price` itself. A "trailing" order
    begins there and follows the best price at the same distance.
    """

    reason: str
    kind: Literal["stop", "limit", "trailing"]
    from_fill: float | None = None
    price: float | None = None
    share: float = 1.0  # of the position


class Exit(Protocol):
    """How a position ends."""

    def orders(self, situation: Situation) -> Sequence[ExitOrder]:
        """Orders that go to the broker together with the entry of `situation.side`."""
        ...

    def leaves(self, situation: Situation) -> str | None:
        """Why to leave the position at the next open, in one word; None to stay."""
        ...
