"""One trade from flat to flat: what went in and out, what it cost, and what it risked.

Price profit comes from the caller's `profit`, which must be additive in size and price (linear and inverse
contracts are), so that a position of any number of fills is kept in three numbers. `mae` and `mfe` are the furthest
moves of price against and for a trade, as fractions of its entry price: over its fills, and all bars at whose close
it was open.

Slippage is a cost beside the fees: `gross_profit_closed` and `profit_open` are what they would have been without.
What a trade risked is the loss, before costs, of the position as first entered at its first stop; `r_multiple` is
the net result of a closed trade in units of it, missing where there was no stop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

Profit: TypeAlias = Callable[[Hashable, float, float, float], float]  # instrument, size, entry, exit -> money
Row: TypeAlias = dict[str, object]

COLUMNS = [
    "symbol",
    "side",
    "tradeid",
    "entry_time",
    "exit_time",
    "entry_price",
    "exit_price",
    "size",
    "gross_profit_closed",
    "profit_open",
    "fees",
    "slippage",
    "funding",
    "liquidation_loss",
    "net_profit",
    "mae",
    "mfe",
    "initial_stop",
    "r_multiple",
    "bars",
    "is_open",
    "exit_reason",
    "is_liquidation",
]
DUST = 1e-9  # relative size left by float arithmetic that counts as flat
LATEST_STOP = 2  # bars from the entry to the bar that hears of a stop made at the close of the one after it


class Stop(NamedTuple):
    """An order that waits for a worse price."""

    order: int  # its number
    side: int  # +1 buys, -1 sells
    price: float


@dataclass(frozen=True)
class Fill:
    """One execution."""

    instrument: Hashable
    tradeid: int
    time: float  # days as Backtrader counts them, open of the bar
    bar: int  # bars of the instrument so far
    size: float  # signed
    price: float
    fee: float  # cost of the whole fill
    reason: str = "order"
    is_liquidation: bool = False
    slippage: float = 0.0  # cost of the whole fill against the price at which the order was met
    order: int = 0  # number of the order filled

    def part(self, size: float) -> Fill:
        """The fill of `size` of it, with its share of the costs."""
        share = size / self.size
        return replace(self, size=size, fee=share * self.fee, slippage=share * self.slippage)


@dataclass
class Trade:
    """A trade at work. Its open profit at `price` is profit(size, reference, price) + carry."""

    profit: Profit
    instrument: Hashable
    tradeid: int
    entry_time: float
    entry_bar: int
    side: int
    reference: float  # price of the first fill
    order: int = 0  # the one that entered it first
    size: float = 0.0  # signed, now
    carry: float = 0.0
    first_size: float = 0.0  # of what the first order entered, or others in its first bar, and its carry
    first_carry: float = 0.0
    stop: Stop | None = None
    stop_bar: int = 0  # in which that was told
    largest: float = 0.0
    entered: float = 0.0  # absolute size bought in
    entry_value: float = 0.0
    left: float = 0.0  # absolute size closed so far
    exit_value: float = 0.0
    exit_time: float | None = None
    exit_bar: int = 0
    gross: float = 0.0  # of what is closed, less slippage
    fees: float = 0.0
    slippage: float = 0.0
    slippage_open: float = 0.0  # the part of it in the entry of what is still open
    funding: float = 0.0
    liquidation_loss: float = 0.0
    reason: str = ""
    is_liquidation: bool = False
    highest: float = -math.inf  # prices met while it was open
    lowest: float = math.inf

    @classmethod
    def begun_by(cls, fill: Fill, profit: Profit) -> Trade:
        """A trade whose first entry `fill` is, yet to be entered."""
        side = 1 if fill.size > 0 else -1
        return cls(profit, fill.instrument, fill.tradeid, fill.time, fill.bar, side, fill.price, fill.order)

    def begun_again(self, time: float, bar: int, price: float) -> Trade:
        """What is open, entered anew at `price`, without costs and without the stop it had."""
        size = abs(self.size)
        again = Trade(self.profit, self.instrument, self.tradeid, time, bar, self.side, price, size=self.size)
        again.largest = again.entered = size
        again.entry_value = price * size
        again.meet(price, price)
        return again

    def open_profit(self, price: float) -> float:
        """Price profit of what is open, after the slippage of its entry."""
        return self.profit(self.instrument, self.size, self.reference, price) + self.carry

    def meet(self, high: float, low: float) -> None:
        """Prices it lived through; a missing one (NaN) changes nothing."""
        if high > self.highest:
            self.highest = high
        if low < self.lowest:
            self.lowest = low

    def enter(self, fill: Fill) -> None:
        """Add a fill of its own side."""
        carry = self.profit(self.instrument, fill.size, fill.price, self.reference)
        self.carry += carry
        self.size += fill.size
        if not self.left and (fill.order == self.order or fill.bar == self.entry_bar):
            self.first_size += fill.size
            self.first_carry += carry
        self.largest = max(self.largest, abs(self.size))
        self.entered += abs(fill.size)
        self.entry_value += abs(fill.size) * fill.price
        self.fees += fill.fee
        self.slippage += fill.slippage
        self.slippage_open += fill.slippage
        self.meet(fill.price, fill.price)

    def leave(self, fill: Fill) -> float:
        """Close what the fill closes; the price profit of that, after slippage."""
        closing = abs(fill.size)
        share = closing / abs(self.size)
        if abs(self.size) - closing <= DUST * self.largest:
            share = 1.0
        gross = share * self.open_profit(fill.price)
        self.gross += gross
        self.carry *= 1.0 - share
        self.slippage_open *= 1.0 - share
        self.size = 0.0 if share == 1.0 else self.size + fill.size
        self.left += closing
        self.exit_value += closing * fill.price
        self.exit_time, self.exit_bar = fill.time, fill.bar
        self.fees += fill.fee
        self.slippage += fill.slippage
        self.meet(fill.price, fill.price)
        self.reason = fill.reason
        if fill.is_liquidation:
            self.is_liquidation = True
            self.liquidation_loss += min(gross, 0.0)
        return gross

    def protect(self, bar: int, standing: Iterable[Stop]) -> None:
        """Let its first stop be the nearest of the `standing` ones that would close it at a loss.

        `bar` of the instrument: one that comes later than a bar after the entry is none it was entered with.
        """
        if not self.first_size or bar - self.entry_bar > LATEST_STOP or (self.stop and bar > self.stop_bar):
            return
        closing = (stop for stop in standing if stop.side == -self.side)
        losing = [stop for stop in closing if 0.0 < self._distance(stop) < math.inf]
        if self.stop is not None:
            losing.append(self.stop)
        self.stop, self.stop_bar = min(losing, key=self._distance, default=None), bar

    def _distance(self, stop: Stop) -> float:
        return self.side * (self.reference - stop.price)

    def withdraw(self, bar: int, order: int) -> None:
        """A stop that the entry cancels, within its bar, was to enter the other side: it protected nothing."""
        if self.stop is not None and self.stop.order == order and bar == self.entry_bar and not self.left:
            self.stop = None

    def risk(self) -> float:
        """What the position as first entered would have lost at its first stop, before costs; 0.0 without one."""
        if self.stop is None:
            return 0.0
        return -self.profit(self.instrument, self.first_size, self.reference, self.stop.price) - self.first_carry

    def row(self, symbol: str, price: float, bar: int) -> Row:
        """COLUMNS of it; what is open is valued at `price`, and `bar` is the instrument's last."""
        is_open = bool(self.size)
        profit_open = self.open_profit(price) if is_open else 0.0
        net = self.gross + profit_open - self.fees + self.funding
        risk = 0.0 if is_open else self.risk()
        entry_price = self.entry_value / self.entered
        moves = [self.side * (extreme / entry_price - 1.0) for extreme in (self.highest, self.lowest)]
        return {
            "symbol": symbol,
            "side": self.side,
            "tradeid": self.tradeid,
            "entry_time": self.entry_time,
            "exit_time": None if is_open else self.exit_time,
            "entry_price": entry_price,
            "exit_price": self.exit_value / self.left if self.left else None,
            "size": self.largest,
            "gross_profit_closed": self.gross + self.slippage - self.slippage_open,
            "profit_open": profit_open + self.slippage_open,
            "fees": self.fees,
            "slippage": self.slippage,
            "funding": self.funding,
            "liquidation_loss": self.liquidation_loss,
            "net_profit": net,
            "mae": min(*moves, 0.0),
            "mfe": max(*moves, 0.0),
            "initial_stop": None if self.stop is None else self.stop.price,
            "r_multiple": net / risk if risk > 0.0 else None,
            "bars": (bar if is_open else self.exit_bar) - self.entry_bar,
            "is_open": is_open,
            "exit_reason": "" if is_open else self.reason,
            "is_liquidation": self.is_liquidation,
        }
