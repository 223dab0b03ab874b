"""One position: what one `tradeid` of one data holds, and the margin that stands behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lstm_backtrader.futures import rules
from lstm_backtrader.futures.contract import Contract

ROUNDING = 1e-9  # a rest smaller than this share of a position is float noise, 0.3 - 0.1 - 0.2


@dataclass
class Leg:
    """A position in `contract`.

    `size` signed, see `Contract`. `entry` average price. `margin` settlement coin: notional / leverage at the
    entries, less the funding that free cash could not pay. `owner`: the strategy that traded last (it gets a
    liquidation).
    """

    contract: Contract
    size: float = 0.0
    entry: float = 0.0
    margin: float = 0.0
    owner: Any = None  # a Backtrader strategy; the library ships no types
    _level: float | None = None  # liquidation price as an isolated position, until something changes

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
        self._level = None
        if closed == -self.size:
            released, self.size, self.entry, self.margin = self.margin, 0.0, 0.0, 0.0
            return released
        released = self.margin * abs(closed / self.size)
        self.size += closed
        self.margin -= released
        return released

    def increase(self, opened: float, price: float, margin: float) -> None:
        """Add `opened` (same sign, or to a flat leg) at `price`, backed by `margin`."""
        self._level = None
        self.entry = rules.average_entry(self.size, self.entry, opened, price, self.contract.is_inverse)
        self.size += opened
        self.margin += margin

    def add_margin(self, amount: float) -> None:
        """Put `amount` into the position's own margin, or take it out where negative."""
        self._level = None
        self.margin += amount

    def notional(self, price: float) -> float:
        """Worth in the settlement coin, never negative."""
        return rules.notional(self.size, price, self.contract.is_inverse)

    def profit(self, price: float) -> float:
        """Price profit if closed at `price`, whatever the margin."""
        return rules.profit(self.size, self.entry, price, self.contract.is_inverse)

    def isolated_profit(self, price: float) -> float:
        """Profit if closed at `price`; an isolated position cannot lose more than its margin."""
        return max(self.profit(price), -self.margin)

    def isolated_liquidation_price(self) -> float:
        """Price at which the position's own margin no longer bears it."""
        if self._level is None:
            self._level = self.contract.liquidation_price(self.size, self.entry, self.margin)
        return self._level

    def bounded_price(self, price: float, margin: float) -> float:
        """The price a closing fill can get where a loss ends at `margin`: the venue takes over at bankruptcy."""
        bankrupt = rules.bankruptcy_price(self.size, self.entry, margin, 0.0, self.contract.is_inverse)
        return max(price, bankrupt) if self.size > 0 else min(price, bankrupt)
