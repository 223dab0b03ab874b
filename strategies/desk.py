"""The desk of a strategy: it asks the rules, and places what they want as orders at the broker."""

from __future__ import annotations

import dataclasses
import logging
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import backtrader as bt

from lstm_backtrader.errors import ConfigError, LeverageError
from lstm_backtrader.futures.broker import FuturesBroker
from lstm_backtrader.futures.rules import liquidation_distance, round_to_lot
from lstm_backtrader.strategies.exits import FixedExit, RestingExit
from lstm_backtrader.strategies.reading import SituationReader
from lstm_backtrader.strategies.rules import Entry, Exit, ExitOrder, Follower, Guard, Sizing
from lstm_backtrader.strategies.signal_parameters import PARAMETERS
from lstm_backtrader.strategies.situation import Situation

logger = logging.getLogger(__name__)

_KINDS = {each.name: each for each in PARAMETERS if each.name in ("sizing", "entries", "exits", "guards")}
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
    Raises `ConfigError` for what is no rule, as a class in place of one of its objects.
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
        _check_kinds(sizing=sizing, entries=entries, exits=exits, guards=guards)
        self.reader = SituationReader(strategy, data, forecast)
        self._strategy = strategy
        self._data = strategy.data if data is None else data
        self._sizing, self._exits, self._guards = sizing, tuple(exits), tuple(guards)
        self._entries = (*entries, *(rule for rule in exits if isinstance(rule, Entry) and rule not in entries))
        self._leavers = [rule for rule in exits if not isinstance(rule, RestingExit)]
        self._is_following = any(isinstance(rule, Follower) for rule in exits)
        self.halts: list[Halt] = []
        self.refusals: Counter[str] = Counter()  # bars on which a rule, by its name, kept a position out
        self.entry: Any = None  # the last order that entered
        self._children: list[tuple[Exit, Any]] = []
        self._halted: dict[int, str] = {}  # number of a guard -> why it halts now
        self._refused_by = ""
        check_stops(self._exits, self.reader)

    def observe(self) -> None:
        """Take in the bar that just closed, and move the stops that follow it."""
        self.reader.observe()
        if self._is_following and self.held:
            self._follow()

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
        if why and side and not self.held:
            self.refusals[why] += 1
        return flattens, why

    def reason_to_leave(self, side: int) -> str | None:
        """What the first exit that wants to leave at the next open says; None to stay."""
        if not self._leavers:
            return None
        situation = self.reader.read(side)
        return next((reason for rule in self._leavers if (reason := rule.leaves(situation))), None)

    def enter(self, side: int, reason: str = "signal") -> Any:
        """Order a position of `side`, with its exits; None where a rule refuses it or it would be too small."""
        situation = self.reader.read(side)
        for rule in self._entries:
            refusal = rule.refusal(situation)
            if refusal is not None:
                self._note(situation, name_of(rule), refusal)
                return None
        placed = [(rule, order) for rule in self._exits for order in rule.orders(situation)]
        orders = [order for _, order in placed]
        situation = dataclasses.replace(situation, stop_distance=nearest_stop(orders, situation))
        size = self._sizing.size(situation)
        if not size > 0.0:
            why = f"equity {situation.equity} is too small at price {situation.price}"
            self._note(situation, name_of(self._sizing), why)
            return None
        beyond = self._beyond_liquidation(situation, size, orders)
        if beyond:
            self._note(situation, "liquidation", beyond)
            return None
        self._refused_by = ""
        self._place(situation, size, placed, reason)
        return self.entry

    def kept_out(self) -> Counter[str]:
        """Bars on which a position was wanted and not entered, by what kept it out."""
        is_waiting = self.entry is not None and self.entry.alive()
        return self.refusals + Counter({"the end of the data": int(is_waiting)})

    def note_order(self, order: Any) -> bool:
        """Whether `order`, which came to nothing, was to enter; one that the broker refused is counted."""
        is_entry = self.entry is not None and order.ref == self.entry.ref
        if is_entry and order.status in (order.Margin, order.Rejected):
            self.refusals["the broker"] += 1
        return is_entry

    def leave(self, reason: str) -> None:
        """Cancel the exits, and close what is held at the next open."""
        self.cancel_exits()
        if self.held:
            self._strategy.close(data=self._data, reason=reason, reduce_only=True)

    def cancel_exits(self) -> None:
        """Take back what waits to end the position."""
        for _, order in self._children:
            if order.alive():
                self._strategy.cancel(order)
        self._children = []

    def _note(self, situation: Situation, name: str, why: str) -> None:
        """Count a refusal, and log the first of a row."""
        self.refusals[name] += 1
        level = logging.DEBUG if name == self._refused_by else logging.INFO
        self._refused_by = name
        logger.log(level, "%s: no entry, by %s: %s", situation.moment, name, why)

    def _beyond_liquidation(self, situation: Situation, size: float, orders: Sequence[ExitOrder]) -> str:
        """What is wrong with a stop that the venue's liquidation would forestall; empty where none is."""
        broker, side, price = self._strategy.broker, situation.side, situation.price
        if not isinstance(broker, FuturesBroker):
            return ""
        level = broker.liquidation_price_if(self._data, side * size, price)
        for order in orders:
            at = price * (1.0 + offset(order, price))
            if order.protects and side * at <= side * level:
                return f"{order.reason} at {at:g} lies beyond liquidation at {level:g}. Use less leverage."
        return ""

    def _place(
        self, situation: Situation, size: float, placed: Sequence[tuple[Exit, ExitOrder]], reason: str
    ) -> None:
        strategy, side = self._strategy, situation.side
        enter, leave = (strategy.buy, strategy.sell) if side > 0 else (strategy.sell, strategy.buy)
        children = []
        for rule, order in sorted(placed, key=lambda each: list(_EXECTYPES).index(each[1].kind)):
            part = round_to_lot(size * order.share, situation.contract.lot)
            if part > 0.0:
                children.append((rule, {"size": part} | _options(order, situation.price)))
        self.entry = enter(data=self._data, size=size, transmit=not children, reason=reason)
        last = len(children) - 1
        self._children = [
            (rule, leave(data=self._data, parent=self.entry, transmit=at == last, reduce_only=True, **options))
            for at, (rule, options) in enumerate(children)
        ]

    def _follow(self) -> None:
        situation = self.reader.read(self.held)
        for rule, order in self._children:
            if isinstance(rule, Follower) and order.alive():
                price = rule.follow(situation)
                if situation.held * (price - order.created.price) > 0.0:
                    order.created.price = price  # as a venue's client amends an order; brokers read it there


def name_of(rule: object) -> str:
    """What a rule is called in logs and reports: its `name`, or its class in small letters, say "time_limit"."""
    name = getattr(rule, "name", None)
    return str(name) if name else re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(rule).__name__).lower()


def nearest_stop(orders: Sequence[ExitOrder], situation: Situation) -> float | None:
    """Distance from the price to the nearest stop of all of a position, as a fraction of it; None without one."""
    price = situation.price
    return min((-situation.side * offset(order, price) for order in orders if order.protects), default=None)


def offset(order: ExitOrder, price: float) -> float:
    """Where an order lies, as a signed fraction of `price`."""
    if order.from_fill is not None:
        return order.from_fill
    return math.nan if order.price is None else order.price / price - 1.0


def _check_kinds(**given: object) -> None:
    for name, rules in given.items():
        if not _KINDS[name].allows(rules):
            raise ConfigError(
                f"{name}={rules!r} must be {_KINDS[name].range}. Of a class make an object, as StopLoss(0.02)."
            )


def check_stops(exits: Sequence[Exit], reader: SituationReader) -> None:
    """Refuse, before the run, exits that the broker has no orders for, and stops at or beyond liquidation.

    Raises:
        ConfigError: a broker without orders that sleep or close a part.
        LeverageError: naming the distance to stay below.
    """
    broker = reader.broker
    fixed = [rule for rule in exits if isinstance(rule, FixedExit)]
    given = [
        Situation(side=side, price=1.0, leverage=reader.leverage, contract=reader.contract) for side in (1, -1)
    ]
    placed = [(rule, order) for rule in fixed for situation in given for order in rule.orders(situation)]
    if not isinstance(broker, FuturesBroker):
        for rule, order in placed:
            if order.wakes_from_fill is not None or order.share < 1.0:
                raise ConfigError(
                    f"{type(rule).__name__} needs orders that {type(broker).__name__} does not have. Use "
                    "cerebro.setbroker(FuturesBroker(...))."
                )
        return
    if broker.margin_mode != "isolated":  # what a cross account can bear is known at the entry
        return
    contract = reader.contract
    terms = (contract.maintenance, contract.closing_fee, contract.is_inverse, contract.on_entry)
    liquidation = min(liquidation_distance(side, reader.leverage, *terms) for side in (1, -1))
    for _, order in placed:
        distance = abs(offset(order, 1.0))
        if order.protects and distance >= liquidation:
            name = "stop" if order.reason == "stop" else f"{order.reason} stop"
            raise LeverageError(
                f"the {name} {distance:.4g} of the price from the entry lies at or beyond liquidation, "
                f"{liquidation:.4f} from it at leverage {reader.leverage:g}. Use a nearer stop or less leverage."
            )


def _options(order: ExitOrder, price: float) -> dict[str, Any]:
    """Keyword arguments of Backtrader's `buy` and `sell`; `price` is the best guess of the entry."""
    options: dict[str, Any] = {"reason": order.reason, "exectype": _EXECTYPES[order.kind]}
    if order.share < 1.0:
        options["partial"] = True
    if order.from_fill is None:
        return options | {"price": order.price}
    options["from_fill"] = order.from_fill
    if order.wakes_from_fill is not None:
        options["wakes_from_fill"] = order.wakes_from_fill
    if order.kind == "trailing":
        return options | {"price": price, "trailpercent": abs(order.from_fill)}
    return options | {"price": price * (1.0 + order.from_fill)}
