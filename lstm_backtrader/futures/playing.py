"""A bar played along its prices: which order and which liquidation comes when."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import backtrader as bt

from lstm_backtrader.futures import matching
from lstm_backtrader.futures.bar import Bar, Point, Prices
from lstm_backtrader.futures.ledger import AmbiguousBar
from lstm_backtrader.futures.liquidation import LiquidatingAccount
from lstm_backtrader.futures.terms import Feed

Order = bt.Order

_STOP, _LIQUIDATION, _LIMIT = 0, 1, 2  # who is first where two are met at one moment


class _Event(NamedTuple):
    """What happens next on the way; the smallest is first."""

    share: float  # of the way
    rank: int
    number: int  # of the order; liquidations in the order of the legs
    order: Any = None
    data: Feed = None
    tradeid: int = 0


class BarPlayer(LiquidatingAccount):
    """Plays bars on the account; `FuturesBroker` says when and with which."""

    intrabar: str

    def init(self) -> None:
        super().init()
        self._tried: set[int] = set()  # orders that had their chance in this bar
        self._ends: dict[tuple[Feed, int], set[str]] = {}  # what could have ended a position in this bar

    # ---- the course of a bar

    def _begin(self) -> None:
        self._tried.clear()
        self._ends.clear()

    def _open_step(self, bars: Mapping[Feed, Prices]) -> None:
        """Stand at the open of the bars, or of the shorter bars within them."""
        self._bars = {data: prices for data, prices in bars.items() if not prices.lacks_price()}
        if len(self._bars) < len(bars):
            for data, prices in bars.items():
                if data not in self._bars and data in self._last:  # else nothing of it was ever held
                    self._bars[data] = prices.standing_at(self._last[data])
        self._at = {data: Point(prices.traded.open, prices.mark.open) for data, prices in self._bars.items()}

    def _play_step(self) -> None:
        """From the open to the close."""
        self._liquidate_gaps()
        if self.pending:
            self._fill_at_open()
        if self._legs or self.pending:
            if not self._is_quiet():
                self._walk()
            if self.pending:
                self._fill_at_close()
                for order in self._waiting():
                    self._note_rest(order)
        for data, prices in self._bars.items():
            self._last[data] = Point(prices.traded.close, prices.mark.close)
        self._at = {}

    def _finish(self) -> None:
        unsure: dict[Feed, set[str]] = {}
        for (data, _), ends in self._ends.items():
            if len(ends) > 1:
                unsure.setdefault(data, set()).update(ends)
        for data, ends in unsure.items():
            self.ledger.ambiguous_bars.append(AmbiguousBar(data.datetime[0], data, tuple(sorted(ends))))

    def _waiting(self) -> list[Any]:
        """Orders that may fill in these bars: active, made before their data's bar, which has prices."""
        return [order for order in self.pending if order.ref not in self._tried and self._may_fill(order)]

    def _may_fill(self, order: Any) -> bool:
        prices = self._bars.get(order.data)
        if prices is None or not prices.fills or not order.active():
            return False
        is_older = order.data.datetime[0] > order.created.dt
        return bool(is_older or self.p.coo or order.exectype == Order.Historical)

    def _fill_at_open(self) -> None:
        for order in self._waiting():
            if not order.alive():  # one before it has cancelled it
                continue
            opened = self._at[order.data].traded
            if matching.share_of_way(order, opened, opened) is not None:
                self._meet(order, opened, at_open=True)
        self._trail(self._at)

    def _fill_past_sessions(self) -> None:
        """Orders for the close of a session that ended with the bar before: at its close, before this bar."""
        for order in self._waiting():
            if order.exectype == Order.Close and order.pannotated and order.data.datetime[0] > order.dteos:
                self._try(order, lambda order: self._try_exec_close(order, order.pannotated))

    def _fill_at_close(self) -> None:
        for order in self._waiting():
            if order.exectype == Order.Close and order.alive():
                self._try(order, lambda order: self._try_exec_close(order, self._bars[order.data].traded.close))

    def _is_quiet(self) -> bool:
        """Whether nothing can happen between open and close, whatever comes first; if so, what follows the price
        is told its best."""
        orders = self._waiting() if self.pending else []
        if any(matching.may_be_met(order, self._bars[order.data].traded) for order in orders):
            return False
        if self._is_cross:
            if self._legs and self._health(self._worst_mark) <= 0.0:
                return False
        elif any(
            leg.side * self._bars[data].mark.worst(leg.side) <= leg.side * leg.isolated_liquidation_price()
            for data, _, leg in self.legs()
            if data in self._bars
        ):
            return False
        for order in orders:
            if matching.follows_price(order):
                bar = self._bars[order.data].traded
                self._trail_one(order, min(bar) if order.isbuy() else max(bar))
        return True

    def _walk(self) -> None:
        """Go from the open to the close of all bars at once, and meet what lies on the way."""
        paths = {data: prices.path(self._low_first(data)) for data, prices in self._bars.items()}
        for stretch in (1, 2, 3):
            ends = {data: path[stretch] for data, path in paths.items()}
            while (event := self._first_event(ends)) is not None:
                self._at = {data: self._at[data].towards(end, event.share) for data, end in ends.items()}
                self._happen(event)
            self._at = ends
            self._trail(ends)

    def _low_first(self, data: Feed) -> bool:
        """Whether the low comes before the high: the worse side of what is held, or will be."""
        size = self.positions[data].size
        if size or data in self._legs:
            is_bad_first = size >= 0.0
        else:
            orders = (order for order in self._waiting() if order.data is data)
            entry = next((order for order in orders if not order.info.get("reduce_only")), None)
            is_bad_first = entry is not None and not entry.isbuy()  # the worse side of what it opens comes last
        return bool(is_bad_first == (self.intrabar == "pessimistic"))

    def _first_event(self, ends: Mapping[Feed, Point]) -> _Event | None:
        first: _Event | None = None
        for event in self._events(ends):
            if first is None or event[:3] < first[:3]:
                first = event
        return first

    def _events(self, ends: Mapping[Feed, Point]) -> Iterator[_Event]:
        stop, limit = (_STOP, _LIMIT) if self.intrabar == "pessimistic" else (_LIMIT, _STOP)
        for order in self._waiting():
            start, end = self._at[order.data], ends[order.data]
            self._note_end(order)
            share = matching.share_of_way(order, start.traded, end.traded)
            if share != 0.0:
                self._note_rest(order)
            if share is not None:
                yield _Event(share, stop if matching.is_stop(order) else limit, order.ref, order)
        if self._is_cross:
            if self._legs and self._health(self._worst_mark) <= 0.0:
                for data, tradeid, _ in self.legs():
                    self._ends.setdefault((data, tradeid), set()).add("liquidation")
            share = self._margin_call(ends)
            if share is not None:
                yield _Event(share, _LIQUIDATION, 0)
            return
        for number, (data, tradeid, leg) in enumerate(self.legs()):
            if data in ends:
                level = leg.isolated_liquidation_price()
                mark = self._bars[data].mark
                if leg.side * mark.worst(leg.side) <= leg.side * level:
                    self._ends.setdefault((data, tradeid), set()).add("liquidation")
                share = matching.reached(level, leg.size < 0, self._at[data].mark, ends[data].mark)
                if share is not None:
                    yield _Event(share, _LIQUIDATION, number, None, data, tradeid)

    def _note_end(self, order: Any) -> None:
        """Remember that the bar can end a position by this order."""
        leg = self._leg(order)
        if leg.size * order.size < 0.0 and matching.may_be_met(order, self._bars[order.data].traded):
            found = self._ends.setdefault((order.data, order.tradeid), set())
            found.add("stop" if matching.is_stop(order) else "target")
            if matching.sleeps(order):  # whether it is woken before its price is met decides, too
                found.add("waking")

    def _happen(self, event: _Event) -> None:
        if event.order is not None:
            self._meet(event.order, self._at[event.order.data].traded, at_open=False)
        elif self._is_cross:
            self._liquidate_account()
        else:
            leg = self._legs[event.data][event.tradeid]
            level, mark = leg.isolated_liquidation_price(), self._at[event.data].mark
            self._force_out(event.data, event.tradeid, leg, leg.side * min(leg.side * level, leg.side * mark))

    # ---- orders

    def _meet(self, order: Any, price: float, *, at_open: bool) -> None:
        """The price has come to an order, or was there when it was placed: fill it, or let a stop-limit wait."""
        if order.exectype in matching.STOP_LIMITS and not order.triggered:
            order.triggered = True
            if matching.share_of_way(order, price, price) is None:
                return
        self._tried.add(order.ref)
        self._try(order, lambda order: self._fill_met(order, price, at_open))

    def _fill_met(self, order: Any, price: float, at_open: bool) -> None:
        if order.exectype == Order.Historical:
            self._try_exec_historical(order)
            return
        bar: Bar = self._bars[order.data].traded
        low, high = min(bar.low, price), max(bar.high, price)  # a venue may open a bar outside of them
        slips, is_limit, moment = self.p.slip_open or not at_open, matching.is_limit(order), None
        if order.exectype == Order.Market:
            slips = self.p.slip_open
            if self.p.coc and order.info.get("coc", True):  # this bar came later, and bounds nothing
                price, moment, low, high = order.created.pclose, order.created.dt, -math.inf, math.inf
        elif is_limit:
            wanted = matching.level(order)
            if price < wanted if order.isbuy() else price > wanted:
                slips = slips and (at_open or not order.info["maker"])
                low, high = max(low, wanted), min(high, wanted)
            else:
                price, slips = wanted, False
        slip, furthest = (self._slip_up, high) if order.isbuy() else (self._slip_down, low)
        slipped = slip(furthest, price, doslip=slips, lim=is_limit)
        if is_limit and slipped is not None:  # `slip_out` leaves the bar, but no limit
            slipped = min(slipped, wanted) if order.isbuy() else max(slipped, wanted)
        self._execute(order, ago=0, price=slipped, dtcoc=moment, met_at=price)

    def _note_rest(self, order: Any) -> None:
        """A limit that is not met where the price is waits in the book, and will pay the maker fee."""
        if matching.is_limit(order):
            order.info["rested"] = True

    def _trail(self, points: Mapping[Feed, Point]) -> None:
        """Pull trailing stops along to where the prices are, and wake what waits for such a price."""
        for order in self.pending:
            if matching.follows_price(order) and order.data in points and self._may_fill(order):
                self._trail_one(order, points[order.data].traded)

    def _trail_one(self, order: Any, price: float) -> None:
        if matching.sleeps(order):
            if not matching.is_woken_by(order, price):
                return
            order.info["wakes_at"] = None
        if order.exectype in matching.TRAILING and not order.triggered:
            order.trailadjust(price)
