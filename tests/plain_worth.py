"""The arithmetic of the plain account, other than the broker's.

Money is counted in the worth `w` of a unit of size, the price of a linear contract and -1 / price of an inverse
one, so that profit is size * w - cost for both; the requirement is the sum of the tiers' shares of the notional.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tickets import Terms


@dataclass
class Position:
    size: float = 0.0
    cost: float = 0.0  # sum of size * w
    margin: float = 0.0


@dataclass
class Worth:
    """What a position in a contract of `terms` is worth."""

    terms: Terms

    def w(self, price):
        return -1.0 / price if self.terms.is_inverse else price

    def price_of(self, w):
        if not self.terms.is_inverse:
            return w
        return -1.0 / w if w < 0 else math.inf

    def profit(self, position, price):
        return position.size * self.w(price) - position.cost

    def notional(self, size, price):
        return abs(size * self.w(price))

    def requirement(self, position, mark):
        held = abs(position.cost) if self.terms.is_on_entry else self.notional(position.size, mark)
        tiers = self.terms.tiers
        ends = [floor for floor, _ in tiers[1:]] + [math.inf]
        due = sum(max(0.0, min(held, end) - floor) * rate for (floor, rate), end in zip(tiers, ends, strict=True))
        return due + held * (self.terms.taker if self.terms.holds_fee else 0.0)

    def bounded(self, held, price, behind):
        """The price, or the one at which the position has lost what stands behind it."""
        if self.profit(held, price) >= -behind:
            return price
        return self.price_of((held.cost - behind) / held.size)
