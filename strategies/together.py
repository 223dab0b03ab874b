"""Sizes of several instruments decided at one close: each counts what the others have just ordered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from lstm_backtrader.futures.rules import notional
from lstm_backtrader.strategies.limits import gain_of_move
from lstm_backtrader.strategies.rules import Sizing
from lstm_backtrader.strategies.situation import Situation


@dataclass(frozen=True)
class Reserved:
    """What an order that is not filled yet will take, settlement coin."""

    notional: float
    margin: float  # with the fee of its fill
    risk: float  # lost where its stop is met, or without a stop its margin


class OrderBook:
    """What was ordered and not filled yet, by number of the instrument."""

    def __init__(self) -> None:
        self._reserved: dict[int, Reserved] = {}

    def keep(self, waiting: set[int]) -> None:
        """Forget all but the instruments whose orders still wait."""
        self._reserved = {number: each for number, each in self._reserved.items() if number in waiting}

    def reserve(self, number: int, situation: Situation, size: float) -> None:
        """Note what `size` of an instrument will take."""
        contract = situation.contract
        worth = notional(size, situation.price, contract.is_inverse)
        margin = worth / situation.leverage
        distance = situation.stop_distance
        risk = margin if distance is None else min(margin, -size * gain_of_move(situation, -distance))
        self._reserved[number] = Reserved(worth, margin + worth * max(contract.taker_fee, 0.0), risk)

    def seen_by(self, number: int, situation: Situation) -> Situation:
        """The situation of an instrument as if the orders of the others were filled."""
        others = [each for at, each in self._reserved.items() if at != number]
        return replace(
            situation,
            open_notional=situation.open_notional + sum(each.notional for each in others),
            open_risk=situation.open_risk + sum(each.risk for each in others),
            free=situation.free - sum(each.margin for each in others),
        )


class Together:
    """The size of a rule for one of several instruments that share an account."""

    def __init__(self, sizing: Sizing, book: OrderBook, number: int) -> None:
        self._sizing, self._book, self._number = sizing, book, number
        self.name: Any = getattr(sizing, "name", None) or type(sizing).__name__

    def size(self, situation: Situation) -> float:
        """See `Sizing`."""
        size = self._sizing.size(self._book.seen_by(self._number, situation))
        if size > 0.0:
            self._book.reserve(self._number, situation, size)
        return size
