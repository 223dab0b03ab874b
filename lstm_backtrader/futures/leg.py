"""One isolated position: what one `tradeid` of one data holds, and the margin that stands behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lstm_backtrader.futures import rules

ROUNDING = 1e-9  # a rest smaller than this share of a position is float noise, 0.3 - 0.1 - 0.2


@dataclass
class Leg:
    """An isolated position; loses at most its margin.

    `size` signed, base coin. `entry` average price. `margin` settlement coin: notional / leverage at the entries,
    less the funding that free cash could not pay. `owner`: the strategy that traded last (it gets a liquidation).
    """

    size: float = 0.0
    entry: float = 0.0
    margin: float = 0.0
    owner: Any = None  # a Backtrader strategy; the library ships no types

    @property
    def side(self) -> int:
        """+1 long, -1 short."""
        return 1 if self.size > 0 else -1

    def split(self, size: float) -> tuple[float, float]:
        """A fill's (closed, opened) parts, both with the sign of `size`."""
        if self.size * size >= 0.0:
            return 0.0, size
        rest = size + self.size
        if abs(rest) <= ROUNDING * abs(self.size):
            return -self.size, 0.0
        return (-self.size, rest) if rest * size > 0.0 else (size, 0.0)

    def reduce(self, closed: float) -> float:
        """Take `closed` (opposite sign) off and return the margin set free."""
        if closed == -self.size:
            released, self.size, self.entry, self.margin = self.margin, 0.0, 0.0, 0.0
            return released
        released = self.margin * abs(closed / self.size)
        self.size += closed
        self.margin -= released
        return released

    def increase(self, opened: float, price: float, margin: float) -> None:
        """Add `opened` (same sign, or to a flat leg) at `price`, backed by `margin`."""
        self.entry = (self.entry * self.size + price * opened) / (self.size + opened)
        self.size += opened
        self.margin += margin

    def open_profit(self, price: float) -> float:
        """Profit if closed at `price`; an isolated position cannot lose more than its margin."""
        return max(rules.profit(self.size, self.entry, price), -self.margin)

    def liquidation_price(self, maintenance: float) -> float:
        return rules.liquidation_price(self.size, self.entry, self.margin, maintenance)

    def no_worse_than_bankrupt(self, price: float) -> float:
        """The price a closing fill can get: the venue takes over at the bankruptcy price."""
        bankrupt = rules.bankruptcy_price(self.size, self.entry, self.margin)
        return max(price, bankrupt) if self.size > 0 else min(price, bankrupt)
