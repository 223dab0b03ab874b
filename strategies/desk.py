"""The desk of a strategy: it asks the rules, and places what they want as orders at the broker."""

from __future__ import annotations

import dataclasses
import logging
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import backtrader as bt

from lstm_backtrader.futures.rules import round_to_lot
from lstm_backtrader.strategies.reading import SituationReader
from lstm_backtrader.strategies.rules import Entry, Exit, ExitOrder, Guard, Sizing
from lstm_backtrader.strategies.situation import Situation

logger = logging.getLogger(__name__)

_EXECTYPES = {"stop": bt.Order.Stop, "trailing": bt.Order.StopTrail, "limit": bt.Order.Limit}


@dataclass(frozen=True)
class Halt:
    """A guard that stopped trading: when, which, and why."""

    moment: datetime
    guard: str
    reason: str


class Desk:
    """Enters and leaves one position of one data by rules.

    In a strategy of your own: make it in `start`, call `observe` in `prenext` and `next`, then `enter` or `leave`.
    """

    def __init__(
        self,
        strategy: Any,
        *,
        sizing: Sizing,
        entries: Sequence[Entry] = (),
        exits: Sequence[Exit] = (),
        guards: Sequence[Guard] = (),
        data: Any = None,
        forecast: Any = None,
    ) -> None:
        self.reader = SituationReader(strategy, data, forecast)
        self._strategy = strategy
        self._data = strategy.data if data is None else data
        self._sizing, self._entries, self._exits, self._guards = sizing, entries, exits, guards
        self.halts: list[Halt] = []
        self.entry: Any = None  # the last order that entered
        self._children: list[Any] = []
        self._halted: dict[int, str] = {}  # number of a guard -> why it halts now

    def observe(self) -> None:
        """Take in the bar that just closed."""
        self.reader.observe()

    @property
    def held(self) -> int:
        """Side of the position: +1, -1 or 0."""
        size = self._strategy.broker.getposition(self._data).size
        return int(size > 0) - int(size < 0)

    def guarded(self, side: int) -> tuple[bool, str]:
        """(whether an open position is to be left, which guard lets nothing in), or (False, "")."""
        if not self._guards:
            return False, ""
        situation = self.reader.read(side)
        flattens, why = False, ""
        for number, guard in enumerate(self._guards):
            reason = guard.halt(situation)
            if reason is None:
                if self._halted.pop(number, None) is not None:
                    logger.info("%s: %s lets trading go on", situation.moment, name_of(guard))
                continue
            if number not in self._halted:
                self.halts.append(Halt(situation.moment, name_of(guard), reason))
                logger.warning("%s: %s stops trading: %s", situation.moment, name_of(guard), reason)
            self._halted[number] = reason
            flattens, why = flattens or guard.flattens, why or name_of(guard)
        return flattens, why

    def reason_to_leave(self, side: int) -> str | None:
        """What the first exit that wants to leave at the next open says; None to stay."""
        if not self._exits:
            return None
        situation = self.reader.read(side)
        return next((reason for rule in self._exits if (reason := rule.leaves(situation))), None)

    def enter(self, side: int, reason: str = "signal") -> Any:
        """Order a position of `side`, with its exits; None where a rule refuses it or it would be too small."""
        situation = self.reader.read(side)
        for rule in self._entries:
            refusal = rule.refusal(situation)
            if refusal is not None:
                logger.debug("%s: no entry by %s: %s", situation.moment, name_of(rule), refusal)
                return None
        orders = [order for rule in self._exits for order in rule.orders(situation)]
        situation = dataclasses.replace(situation, stop_distance=nearest_stop(orders, situation))
        size = self._sizing.size(situation)
        if not size > 0.0:
            logger.info("no entry: equity %s is too small at price %s", situation.equity, situation.price)
            return None
        self._place(situation, size, orders, reason)
        return self.entry

    def leave(self, reason: str) -> None:
        """Cancel the exits, and close what is held at the next open."""
        self.cancel_exits()
        if self.held:
            self._strategy.close(data=self._data, reason=reason, reduce_only=True)

    def cancel_exits(self) -> None:
        for order in self._children:
            if order.alive():
                self._strategy.cancel(order)
        self._children = []

    def _place(self, situation: Situation, size: float, orders: Sequence[ExitOrder], reason: str) -> None:
        strategy, side = self._strategy, situation.side
        enter, leave = (strategy.buy, strategy.sell) if side > 0 else (strategy.sell, strategy.buy)
        children = []
        for order in sorted(orders, key=lambda order: list(_EXECTYPES).index(order.kind)):
            part = round_to_lot(size * order.share, situation.contract.lot)
            if part > 0.0:
                children.append({"size": part} | _options(order, situation.price))
        self.entry = enter(data=self._data, size=size, transmit=not children, reason=reason)
        self._children = [
            leave(data=self._data, parent=self.entry, transmit=each is children[-1], reduce_only=True, **each)
            for each in children
        ]


def name_of(rule: object) -> str:
    """What a rule is called in logs and reports: its `name`, or its class in small letters, say "time_limit"."""
    name = getattr(rule, "name", None)
    return str(name) if name else re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(rule).__name__).lower()


def nearest_stop(orders: Sequence[ExitOrder], situation: Situation) -> float | None:
    """Distance from the price to the nearest stop of all of a position, as a fraction of it; None without one."""
    whole = (order for order in orders if order.kind != "limit" and order.share == 1.0)
    return min((-situation.side * _offset(order, situation.price) for order in whole), default=None)


def _offset(order: ExitOrder, price: float) -> float:
    """Where an order lies, as a signed fraction of `price`."""
    if order.from_fill is not None:
        return order.from_fill
    return math.nan if order.price is None else order.price / price - 1.0


def _options(order: ExitOrder, price: float) -> dict[str, Any]:
    """Keyword arguments of Backtrader's `buy` and `sell`; `price` is the best guess of the entry."""
    options: dict[str, Any] = {"reason": order.reason, "exectype": _EXECTYPES[order.kind]}
    if order.from_fill is None:
        return options | {"price": order.price}
    options |= {"from_fill": order.from_fill}
    if order.kind == "trailing":
        return options | {"price": price, "trailpercent": abs(order.from_fill)}
    return options | {"price": price * (1.0 + order.from_fill)}
