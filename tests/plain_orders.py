"""The orders of the plain account."""

from __future__ import annotations

import math


class Waiting:
    """A ticket in the book."""

    def __init__(self, ticket, number, parent=None):
        self.ticket, self.number, self.parent = ticket, number, parent
        self.key = (ticket.data, ticket.tradeid)
        self.is_buy, self.size = ticket.size > 0, ticket.size
        self.wakes_at = None  # the price that lets it work
        self.price, self.limit, self.gap = ticket.price, ticket.limit, 0.0
        self.is_alive, self.is_active = True, parent is None
        self.is_triggered = self.has_waited = False
        self.children, self.rival = [], None
        if ticket.trail:
            self.gap = ticket.price - ticket.limit if ticket.kind == "trail_limit" else 0.0
            self.trail_from(ticket.price)

    @property
    def waits_as_stop(self):
        kind = self.ticket.kind
        return kind in ("stop", "trail") or (kind in ("stop_limit", "trail_limit") and not self.is_triggered)

    @property
    def level(self):
        return self.price if self.waits_as_stop or self.ticket.kind == "limit" else self.limit

    def trail_from(self, price):
        self.price = math.inf if self.is_buy else -math.inf
        self.ratchet(price)

    def ratchet(self, price):
        """Wake at a good price; bring a trailing stop to its distance from `price`, if that is nearer."""
        if self.wakes_at is not None:
            if price > self.wakes_at if self.is_buy else price < self.wakes_at:
                return
            self.wakes_at = None
        if self.ticket.trail and not self.is_triggered:
            away = price * self.ticket.trail
            self.price = min(self.price, price + away) if self.is_buy else max(self.price, price - away)
            self.limit = self.price - self.gap

    def is_met_at(self, price):
        if self.ticket.kind == "market":
            return True
        if self.wakes_at is not None:
            return False
        return price >= self.level if self.is_buy == self.waits_as_stop else price <= self.level
