"""A strategy that trades a signal on each of several instruments, all on one account."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import backtrader as bt

from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.strategies import parameters as p
from lstm_backtrader.strategies.desk import Desk, Halt
from lstm_backtrader.strategies.rules import OnLines
from lstm_backtrader.strategies.sizing import FractionOfEquity
from lstm_backtrader.strategies.together import OrderBook, Together

logger = logging.getLogger(__name__)

PARAMETERS = (
    p.number("fraction", 0.95, 0, 1, "the part of equity put to work", "shared evenly by the instruments", "(]"),
    p.switch("long_only", "take a signal of -1 as 0"),
    p.anything("trade_from", None, "a datetime or its text, UTC", "bars that open before it are only warm-up"),
    p.anything("leave_at", {}, "datetimes by name, UTC", "an instrument to be delisted is left from then on"),
    p.rules("entries", ("refusal",), "rules that a position has to get past"),
    p.rules("exits", ("orders", "leaves"), "rules that end a position"),
    p.rule("sizing", "size", "how large a position is; None: `fraction`"),
    p.rules("guards", ("halt",), "rules that stop trading"),
)


class SignalBasket(bt.Strategy, metaclass=p.StrategyWithParameters):
    """Follow ``self.signals``, a line for each data in their order, which a subclass sets in its ``__init__``.

    Every data is an instrument with one position. All share the account: `fraction` of equity at the broker's
    leverage is split evenly, and what is decided at one close counts towards caps at once
    (``sizing=Capped(FractionOfEquity(0.3), open_multiple=2.0, open_risk_pct=0.05)``). The rules are those of
    `SignalFutures`, asked for each instrument.

    An instrument takes part from its own first bars on, and waits while it has none. One whose data end stays at
    its last price if it is still held then, which is logged; `leave_at` names a moment that was announced. The
    first data is the clock, so it has to end last; `lstm_backtrader.add_instruments` sees to that.

    Raises `ConfigError` at the start of a run.
    """

    params: Any = tuple((each.name, each.default) for each in PARAMETERS)  # Backtrader makes a class of it

    signals: Sequence[Any]  # Backtrader lines, one a data
    forecasts: Sequence[Any] = ()  # an `LSTMSignal` each, for the rules that want to know its lines

    def _start(self) -> None:
        """Backtrader's start; the rules get their lines before it counts the bars they need."""
        for each in self.parameters():
            each.check(getattr(self.p, each.name))
        self._leave_at = self._moments_to_leave()
        _check_clock(self.datas)
        self._rules = [
            {kind: _bound(getattr(self.p, kind), data) for kind in ("entries", "exits")} for data in self.datas
        ]
        super()._start()

    @classmethod
    def parameters(cls) -> Sequence[p.Parameter]:
        """What is known of the parameters; a subclass adds its own."""
        return PARAMETERS

    def _moments_to_leave(self) -> dict[int, datetime]:
        """When an instrument is left for good, by its number."""
        names = [data._name for data in self.datas]
        if not isinstance(self.p.leave_at, Mapping):
            raise ConfigError(
                f"leave_at={self.p.leave_at!r} must map names to datetimes: {{'ADAUSDT': '2024-01-31'}}."
            )
        found = {}
        for name, value in self.p.leave_at.items():
            if name not in names:
                raise ConfigError(f"leave_at names '{name}', and the instruments are {', '.join(names)}.")
            moment = p.moment(f"leave_at['{name}']", value)
            if moment is not None:
                found[names.index(name)] = moment
        return found

    def _getminperstatus(self) -> int:
        """Backtrader asks whether to call `next`: once one instrument is ready, not only when all are.

        Nor before it may trade, so that a report begins there.
        """
        left = [needed - len(data) for needed, data in zip(self._minperiods, self.datas, strict=True)]
        may_trade = len(self.data) and self._may_trade(self.data)
        self._minperstatus = min(left) if may_trade else 1
        return self._minperstatus

    def _may_trade(self, data: Any) -> bool:
        return self._trade_from is None or bool(data.datetime.datetime() >= self._trade_from)

    def start(self) -> None:
        self._trade_from = p.moment("trade_from", self.p.trade_from)
        sizing = self.p.sizing or FractionOfEquity(self.p.fraction / len(self.datas))
        self._book = OrderBook()
        self.desks = [
            Desk(
                self,
                sizing=Together(sizing, self._book, number),
                entries=self._rules[number]["entries"],
                exits=self._rules[number]["exits"],
                guards=self.p.guards,
                data=data,
                forecast=self.forecasts[number] if self.forecasts else None,
            )
            for number, data in enumerate(self.datas)
        ]
        self._sides = [0] * len(self.datas)  # last taken, held or closed by an exit since
        self._bars = [0] * len(self.datas)  # seen of each

    @property
    def halts(self) -> Sequence[Halt]:
        """When guards stopped trading, and why; the name of a guard has that of the instrument before it."""
        named = [
            replace(halt, guard=f"{data._name}: {halt.guard}")
            for data, desk in zip(self.datas, self.desks, strict=True)
            for halt in desk.halts
        ]
        return sorted(named, key=lambda halt: halt.moment)

    @property
    def kept_out(self) -> Counter[str]:
        """Bars on which a position was wanted and not entered, by what kept it out, of all instruments."""
        return sum((desk.kept_out() for desk in self.desks), Counter())

    def prenext(self) -> None:
        for number in self._with_a_new_bar():
            self.desks[number].observe()

    def next(self) -> None:
        fresh = self._with_a_new_bar()
        for number in fresh:
            self.desks[number].observe()
        self._book.keep({number for number, desk in enumerate(self.desks) if desk.entry and desk.entry.alive()})
        ready = [number for number in fresh if self._is_ready(number)]
        sides = {number: self.target(number) for number in ready}
        left = [number for number in ready if self._leaves(number, sides[number])]
        for number in ready:
            self._enters(number, sides[number], has_left=number in left)

    def _with_a_new_bar(self) -> list[int]:
        """Instruments whose data have moved on in this step."""
        bars = [len(data) for data in self.datas]
        fresh = [number for number, (now, before) in enumerate(zip(bars, self._bars, strict=True)) if now > before]
        self._bars = bars
        return fresh

    def _is_ready(self, number: int) -> bool:
        data = self.datas[number]
        return len(data) >= self._minperiods[number] and self._may_trade(data)

    def target(self, number: int) -> int:
        """The side wanted now of an instrument, by its number: +1, -1 or 0."""
        moment = self._leave_at.get(number)
        if moment is not None and self.datas[number].datetime.datetime() >= moment:
            return 0
        value = self.signals[number][0]
        side = int(value > 0.0) - int(value < 0.0)
        return max(side, 0) if self.p.long_only else side

    def _leaves(self, number: int, side: int) -> bool:
        """Leave what is held for another side, or because a rule says so; whether it did."""
        desk = self.desks[number]
        held = desk.held
        if not held:
            return False
        flattens, guard = desk.guarded(side)
        turned = side != held or self._sides[number] != held
        reason = (guard if flattens else "") or ("signal" if turned else desk.reason_to_leave(side))
        if reason:
            desk.leave(reason)
            self._sides[number] = side if reason != "signal" and not guard else 0
        return bool(reason)

    def _enters(self, number: int, side: int, *, has_left: bool) -> None:
        """Enter `side` where it is a new one."""
        desk = self.desks[number]
        if side == 0:
            self._sides[number] = 0
        if side == self._sides[number] or (desk.held and not has_left) or desk.guarded(side)[1]:
            return
        self._sides[number] = side if desk.enter(side) is not None else 0

    def notify_order(self, order: Any) -> None:
        if order.status not in (order.Margin, order.Rejected, order.Canceled, order.Expired):
            return
        for number, desk in enumerate(self.desks):
            if desk.note_order(order):
                self._sides[number] = 0  # nothing was entered: try again at the next bar
        if order.status in (order.Margin, order.Rejected):
            logger.warning(
                "%s: order of %s %s ended as %s; %s",
                order.data.datetime.datetime(),
                order.size,
                order.data._name,
                order.getstatusname(),
                order.info.get("refusal") or f"free balance {self.broker.getcash()}",
            )

    def stop(self) -> None:
        last = self.datetime.datetime()
        for data, desk in zip(self.datas, self.desks, strict=True):
            ended = data.datetime.datetime() if len(data) else last
            if desk.held and ended < last:
                logger.warning(
                    "the data of %s end at %s with a position of %s, which stays at its last price. If the end was "
                    "announced, say so: leave_at={%r: ...}.",
                    data._name,
                    f"{ended:%Y-%m-%d %H:%M}",
                    self.broker.getposition(data).size,
                    data._name,
                )


def _bound(rules: Sequence[Any], data: Any) -> list[Any]:
    """The rules with lines of their own made on `data`; those of a function, since one line is of one data."""
    return [rule.bind(data) if isinstance(rule, OnLines) else rule for rule in rules]


def _check_clock(datas: Sequence[Any]) -> None:
    """Refuse a first data that ends before another, as far as one can tell before the run."""
    ends = [data.p.dataname.index[-1] for data in datas if isinstance(data, CandleFeed)]
    if len(ends) == len(datas) and ends[0] < max(ends):
        late = datas[ends.index(max(ends))]._name
        raise ConfigError(
            f"the first instrument, {datas[0]._name}, is the clock and ends before {late}. Add {late} first, or "
            f"use `lbt.add_instruments`, which orders them."
        )
