"""The futures account a second time, as one plain loop over bars: what the broker is compared with.

Written from what `FuturesBroker` says it does, with other arithmetic (`plain_worth`); every liquidation is found by
halving a stretch of the way, and nothing is skipped where a bar is quiet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from plain_orders import Waiting
from plain_worth import Position, Worth
from tickets import CANCEL


@dataclass
class PlainAccount(Worth):
    """`tables`: one list of bars per data; a bar is a dict of open high low close, mark_* and rate.

    `script[n]`: the tickets sent after bar n.
    """

    tables: list
    script: dict
    positions: dict = field(default_factory=dict)
    book: list = field(default_factory=list)
    equity: list = field(default_factory=list)
    fills: list = field(default_factory=list)  # (bar, data, tradeid, size, price, reason)
    events: set = field(default_factory=set)
    starts: list = field(default_factory=list)  # what datas are held at the start of each bar

    def run(self):
        self.cash, self.count, self.fees, self.funding, self.gross = self.terms.cash, 0, 0.0, 0.0, 0.0
        placed = []
        for self.bar in range(len(self.tables[0])):  # noqa: B020 - an attribute, not the account
            if self.bar:
                self.accept(placed, [table[self.bar - 1]["close"] for table in self.tables])
            self.bars = [table[self.bar] for table in self.tables]
            self.traded = [bar["open"] for bar in self.bars]
            self.mark = [bar["mark_open"] for bar in self.bars]
            self.starts.append({data for data, _ in self.positions})
            self.pay_funding()
            self.liquidate_where_due()
            for order in [each for each in self.book if each.is_active]:  # what these activate comes after them
                if order.is_alive and order.is_met_at(self.traded[order.ticket.data]):
                    self.meet(order)
            self.ratchet()
            paths = [self.path(data) for data in range(len(self.bars))]
            for step in range(3):
                self.go([path[step] for path in paths])
                self.ratchet()
            self.equity.append(self.value([bar["close"] for bar in self.bars]))
            placed = self.place(self.script.get(self.bar, ()))
        return self

    # ---- worth

    def wallet(self):
        return self.cash + sum(position.margin for position in self.positions.values())

    def profits(self, prices, but=None):
        return sum(self.profit(held, prices[key[0]]) for key, held in self.positions.items() if key != but)

    def value(self, closes):
        if self.terms.is_cross:
            return self.wallet() + max(self.profits(closes), -self.wallet())
        held = self.positions.items()
        return self.cash + sum(max(0.0, each.margin + self.profit(each, closes[key[0]])) for key, each in held)

    def free(self, prices):
        return self.cash + self.profits(prices) if self.terms.is_cross else self.cash

    def behind(self, key, held, prices):
        """The most a position may lose."""
        if not self.terms.is_cross:
            return held.margin
        wallet = self.wallet()
        return wallet + max(self.profits(prices, but=key), -max(0.0, wallet))

    # ---- orders come in

    def place(self, tickets):
        placed = []
        for ticket in tickets:
            if ticket == CANCEL:
                for old in list(self.book):
                    self.end(old)
                continue
            parent = Waiting(ticket, self.numbered())
            parent.children = [Waiting(child, self.numbered(), parent) for child in ticket.children]
            if ticket.rival is not None:
                parent.rival = next(each for each in placed if each.ticket is ticket.rival)
                parent.rival.rival = parent
            placed.append(parent)
        return placed

    def numbered(self):
        self.count += 1
        return self.count

    def accept(self, placed, last):
        """Market orders are tried one after the other, all others each alone; what only reduces is always taken.

        `last`: the closes that were known when they were placed.
        """
        cash, tried = self.free(last), {}
        for order in placed:
            is_market = order.ticket.kind == "market"
            price = last[order.ticket.data] if is_market else order.price
            held = tried.get(order.key) or self.positions.get(order.key, Position())
            after, left, opened = self.try_on(order, held, price, last, cash)
            if opened and left < 0.0:
                self.events.add("refused")
                order.is_alive = False
                if order.rival is not None and order.rival in self.book:
                    self.end(order.rival)
                continue
            if is_market:
                tried[order.key], cash = after, left
            if order.is_alive:
                self.book += [order, *order.children]

    def try_on(self, order, held, price, last, cash):
        """(position, free cash, part opened) after filling at `price`; fees are a taker's."""
        closed, opened = self.parts(held, order)
        after = Position(held.size, held.cost, held.margin)
        if closed:
            bounded = self.bounded(held, price, self.behind(order.key, held, last))
            share = -closed / held.size
            gained = share * self.profit(held, bounded) - self.terms.taker * self.notional(closed, bounded)
            if self.terms.is_cross:
                cash += share * (held.margin - self.profit(held, last[order.ticket.data])) + gained
            else:
                cash += max(0.0, share * held.margin + gained)
            after = Position(held.size * (1 - share), held.cost * (1 - share), held.margin * (1 - share))
        if opened:
            worth = self.notional(opened, price)
            cash -= worth / self.terms.leverage + worth * self.terms.taker
            after.size += opened
            after.cost += opened * self.w(price)
            after.margin += worth / self.terms.leverage
        return after, cash, opened

    def parts(self, held, order):
        """(closed, opened) of filling an order."""
        ticket = order.ticket
        if held.size * order.size >= 0.0:
            closed = 0.0
        elif abs(order.size) < abs(held.size) * (1.0 - 1e-9):
            closed = order.size
        else:
            closed = -held.size
        opened = 0.0 if ticket.reduce_only else order.size - closed
        return closed, opened if abs(opened) > 1e-9 * abs(order.size) else 0.0

    def end(self, order):
        """An order is over, and with it its rival and its bracket."""
        if not order.is_alive:
            return
        self.leave(order)
        for each in order.children if order.parent is None else (order.parent, *order.parent.children):
            self.end(each)

    def leave(self, order):
        order.is_alive = False
        self.book = [each for each in self.book if each is not order]
        if order.rival is not None:
            self.end(order.rival)

    # ---- the course of a bar

    def path(self, data):
        bar = self.bars[data]
        held = [each.size for key, each in self.positions.items() if key[0] == data]
        if held:
            is_low_first = sum(held) >= 0.0
        else:
            entries = [
                each
                for each in self.book
                if each.is_active and each.ticket.data == data and not each.ticket.reduce_only
            ]
            is_low_first = bool(entries) and not entries[0].is_buy
        if not self.terms.is_pessimistic:
            is_low_first = not is_low_first
        names = ("low", "high", "close") if is_low_first else ("high", "low", "close")
        return [(bar[name], bar[f"mark_{name}"]) for name in names]

    def go(self, ends):
        """From where the prices are to `ends`, one event after the other."""
        while True:
            nearest = None
            for event in self.ahead(ends):
                if nearest is None or event[0] < nearest[0]:
                    nearest = event
            share = 1.0 if nearest is None else nearest[0][0]
            for data, (traded, mark) in enumerate(ends):
                self.traded[data] += (
                    share * (traded - self.traded[data]) if share < 1.0 else traded - self.traded[data]
                )
                self.mark[data] += share * (mark - self.mark[data]) if share < 1.0 else mark - self.mark[data]
            if nearest is None:
                return
            _, what = nearest
            if isinstance(what, Waiting):
                if not what.is_met_at(self.traded[what.ticket.data]):  # short of it by the last bit of a float
                    self.traded[what.ticket.data] = what.level
                self.meet(what)
            else:
                self.liquidate(what)

    def ahead(self, ends):
        """((share of the way, rank, number), order or position) of all that lies on the way."""
        stop, limit = (0, 2) if self.terms.is_pessimistic else (2, 0)
        for order in self.book:
            if not order.is_active:
                continue
            start, end = self.traded[order.ticket.data], ends[order.ticket.data][0]
            rank = stop if order.waits_as_stop else limit
            if order.is_met_at(start):
                yield (0.0, rank, order.number), order
                continue
            order.has_waited = not order.waits_as_stop
            if order.is_met_at(end):
                yield ((order.level - start) / (end - start), rank, order.number), order
        for number, key in enumerate(["account"] if self.terms.is_cross and self.positions else self.positions):
            share = self.first_unsound(key, ends)
            if share is not None:
                yield (share, 1, number), key

    def health(self, key, marks):
        """Margin and profit less the requirement: of a position, or of the account."""
        if key != "account":
            held = self.positions[key]
            return held.margin + self.profit(held, marks[key[0]]) - self.requirement(held, marks[key[0]])
        due = sum(self.requirement(held, marks[data]) for (data, _), held in self.positions.items())
        return self.wallet() + self.profits(marks) - due

    def first_unsound(self, key, ends):
        def at(share):
            marks = [mark + share * (end[1] - mark) for mark, end in zip(self.mark, ends, strict=True)]
            return self.health(key, marks)

        if self.health(key, self.mark) <= 0.0:
            return 0.0
        if self.health(key, [mark for _, mark in ends]) > 0.0:
            return None
        sound, broken = 0.0, 1.0
        for _ in range(70):
            middle = (sound + broken) / 2
            sound, broken = (middle, broken) if at(middle) > 0.0 else (sound, middle)
        return broken

    def ratchet(self):
        for order in self.book:
            if order.is_active:
                order.ratchet(self.traded[order.ticket.data])

    def pay_funding(self):
        """What is received first, then the smallest payment: out of cash, then out of the position's margin."""
        due = []
        for key, held in self.positions.items():
            rate = self.bars[key[0]]["rate"]
            if not math.isnan(rate):
                due.append((held.size * abs(self.w(self.mark[key[0]])) * rate, key))
        for amount, key in sorted(due):
            held = self.positions[key]
            if self.terms.is_cross:
                paid = min(amount, max(0.0, self.wallet() + self.profits(self.mark)))
                self.cash -= paid
            else:
                from_cash = min(amount, max(0.0, self.cash))
                from_margin = min(amount - from_cash, held.margin)
                self.cash, held.margin, paid = (
                    self.cash - from_cash,
                    held.margin - from_margin,
                    from_cash + from_margin,
                )
                if from_margin:
                    self.events.add("funded from margin")
            self.funding -= paid

    # ---- fills

    def meet(self, order):
        price = self.traded[order.ticket.data]
        if order.ticket.kind in ("stop_limit", "trail_limit") and not order.is_triggered:
            order.is_triggered = True
            self.events.add("triggered")
            if not order.is_met_at(price):
                return
        self.fill(order, price, self.terms.maker if order.has_waited else self.terms.taker)

    def fill(self, order, price, rate):
        ticket, key = order.ticket, order.key
        held = self.positions.get(key, Position())
        closed, opened = self.parts(held, order)
        if ticket.reduce_only and not closed:
            self.end(order)
            return
        if ticket.wakes_from_fill is not None:
            self.events.add("woken")
        if closed:
            bounded = self.bounded(held, price, self.behind(key, held, self.traded))
            self.take_off(key, closed, bounded, rate, ticket.reason)
        if opened and not self.open(key, opened, price, rate, ticket.reason):
            self.end(order)
            return
        is_whole = abs(closed + opened - order.size) <= 1e-9 * abs(order.size)
        if is_whole and ticket.is_partial and key in self.positions:
            self.events.add("part")
            self.leave(order)
            rest = abs(self.positions[key].size)
            for each in order.parent.children:
                each.size = math.copysign(min(abs(each.size), rest), each.size)
            return
        if not is_whole or order.parent is not None:
            self.end(order)
            return
        self.leave(order)
        for child in order.children:
            child.is_active = True
            if child.ticket.wakes_from_fill is not None:
                child.wakes_at = price * (1.0 + child.ticket.wakes_from_fill)
            if child.ticket.from_fill is not None and child.ticket.trail:
                child.trail_from(price)
            elif child.ticket.from_fill is not None:
                child.price = price * (1.0 + child.ticket.from_fill)

    def open(self, key, opened, price, rate, reason):
        """Add to a position, where what is free bears margin and fee."""
        worth = self.notional(opened, price)
        if worth / self.terms.leverage + worth * rate > self.free(self.traded):
            self.events.add("too dear")
            return False
        held = self.positions.setdefault(key, Position())
        self.cash -= worth / self.terms.leverage + worth * rate
        self.fees += worth * rate
        held.margin += worth / self.terms.leverage
        held.cost += opened * self.w(price)
        held.size += opened
        self.fills.append((self.bar, *key, opened, price, reason))
        return True

    def take_off(self, key, closed, price, rate, reason):
        """Close a part; the fee is at most what is left. `rate` None: the venue keeps all that is left."""
        held = self.positions[key]
        share = -closed / held.size
        gained = share * self.profit(held, price)
        if reason == "liquidation" and self.terms.is_cross:
            behind = self.wallet() + self.profits(self.mark, but=key)
        else:
            behind = self.behind(key, held, self.traded)
            kept = (1.0 - share) * self.profit(held, price)
            gained = max(gained, -behind - kept if self.terms.is_cross else -behind * share)
        released = share * held.margin
        if share == 1.0:
            del self.positions[key]
        else:
            held.size, held.cost, held.margin = held.size + closed, held.cost * (1 - share), held.margin - released
        if self.terms.is_cross:
            left = max(0.0, behind + gained)
            if share != 1.0:
                left = max(0.0, left + self.profit(held, price))
        else:
            left = released + gained
        fee = left if rate is None else min(self.notional(closed, price) * rate, left)
        self.cash += released + gained - fee
        self.gross += gained
        self.fees += fee
        self.fills.append((self.bar, *key, closed, price, reason))

    # ---- liquidation

    def liquidate_where_due(self):
        for key in ["account"] if self.terms.is_cross and self.positions else list(self.positions):
            if self.health(key, self.mark) <= 0.0:
                self.liquidate(key)

    def liquidate(self, key):
        terms = self.terms
        rate = terms.taker if terms.liquidation_fee is None else terms.liquidation_fee
        keys = list(self.positions) if key == "account" else [key]
        gains = {each: self.profit(self.positions[each], self.mark[each[0]]) for each in keys}
        losses = -sum(min(0.0, gain) for gain in gains.values())
        there = self.wallet() + sum(max(0.0, gain) for gain in gains.values())
        for each in sorted(keys, key=lambda each: -gains[each]):
            held = self.positions[each]
            price = self.mark[each[0]]
            if not terms.is_cross:
                price = self.bounded(held, price, held.margin)
            elif len(self.positions) == 1:
                price = self.bounded(held, price, self.wallet())
            elif gains[each] < 0.0 and losses > there:  # all losses together end at what there is
                price = self.bounded(held, price, -gains[each] * max(0.0, there) / losses)
            if price != self.mark[each[0]]:
                self.events.add("bankrupt")
            keeps_all = terms.forfeits and (not terms.is_cross or len(self.positions) == 1)
            self.take_off(each, -held.size, price, None if keeps_all else rate, "liquidation")
            for order in list(self.book):
                if order.key == each:
                    self.end(order)
