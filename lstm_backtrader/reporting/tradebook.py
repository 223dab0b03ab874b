"""A book of trades: fills go in, one row from flat to flat comes out, and the rows add up to the account.

It knows no Backtrader. A trade belongs to a key (instrument, tradeid); a fill beyond flat closes one trade
and opens the next. Price profit comes from the caller's `profit`, which must be additive in size and price
(linear and inverse contracts are), so that a position of any number of fills is kept in three numbers. `mae` and
`mfe` are the furthest moves of price against and for a trade, as fractions of its entry price: over its fills, and
all bars at whose close it was open.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Key: TypeAlias = tuple[Hashable, int]
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
    "funding",
    "liquidation_loss",
    "net_profit",
    "mae",
    "mfe",
    "bars",
    "is_open",
    "exit_reason",
    "is_liquidation",
]
DUST = 1e-9  # relative size left by float arithmetic that counts as flat


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


@dataclass
class _Trade:
    """A trade at work. Its open profit at `price` is profit(size, reference, price) + carry."""

    entry_time: float
    entry_bar: int
    side: int
    reference: float
    size: float = 0.0  # signed, now
    carry: float = 0.0
    largest: float = 0.0
    entered: float = 0.0  # absolute size bought in
    entry_value: float = 0.0
    left: float = 0.0  # absolute size closed so far
    exit_value: float = 0.0
    exit_time: float | None = None
    exit_bar: int = 0
    gross: float = 0.0
    fees: float = 0.0
    funding: float = 0.0
    liquidation_loss: float = 0.0
    reason: str = ""
    is_liquidation: bool = False
    highest: float = -math.inf  # prices met while it was open
    lowest: float = math.inf

    def meet(self, high: float, low: float) -> None:
        """Prices it lived through; a missing one (NaN) changes nothing."""
        if high > self.highest:
            self.highest = high
        if low < self.lowest:
            self.lowest = low


@dataclass
class TradeBook:
    """Trades of one account; `rows()` gives them in the order of their entry."""

    profit: Profit
    fees: float = 0.0
    funding: float = 0.0
    gross: float = 0.0
    _open: dict[Key, _Trade] = field(default_factory=dict)
    _all: list[tuple[Key, _Trade]] = field(default_factory=list)

    def fill(self, fill: Fill) -> None:
        """Book one fill; fees of a reversal are shared by size."""
        if not fill.size:
            return
        key = (fill.instrument, fill.tradeid)
        self.fees += fill.fee
        trade = self._open.get(key)
        if trade is None:
            self._enter(key, self._new_trade(key, fill), fill, fill.size, fill.fee)
        elif trade.size * fill.size > 0:
            self._enter(key, trade, fill, fill.size, fill.fee)
        else:
            closing = min(abs(fill.size), abs(trade.size))
            beyond = abs(fill.size) - closing
            if beyond <= DUST * abs(fill.size):
                beyond = 0.0
            fee_closing = fill.fee if not beyond else fill.fee * closing / abs(fill.size)
            self._leave(key, trade, fill, closing, fee_closing)
            if beyond:
                size = beyond if fill.size > 0 else -beyond
                self._enter(key, self._new_trade(key, fill), fill, size, fill.fee - fee_closing)

    def fund(self, instrument: Hashable, tradeid: int, amount: float) -> None:
        """Book a funding payment (+ received) on the open trade of that key."""
        trade = self._open.get((instrument, tradeid))
        if trade is not None:
            trade.funding += amount
            self.funding += amount

    def watch(self, bars: Mapping[Hashable, tuple[float, float]]) -> None:
        """Let what is open meet the highest and lowest price of each instrument's bar."""
        for (instrument, _), trade in self._open.items():
            if instrument in bars:
                trade.meet(*bars[instrument])

    def open_profit(self, prices: Mapping[Hashable, float]) -> float:
        """Price profit of everything open at `prices`."""
        return sum(self._open_profit(key, trade, prices[key[0]]) for key, trade in self._open.items())

    def has_open_trades(self) -> bool:
        return bool(self._open)

    def restart(self, prices: Mapping[Hashable, float], bars: Mapping[Hashable, int], time: float) -> None:
        """Forget what is closed, and enter what is open anew at `prices`: statistics begin here."""
        self._all.clear()
        self.fees = self.funding = self.gross = 0.0
        for key, trade in list(self._open.items()):
            price, size = prices[key[0]], abs(trade.size)
            again = _Trade(time, bars[key[0]], trade.side, price, trade.size, largest=size, entered=size)
            again.entry_value = price * size
            again.meet(price, price)
            self._open[key] = again
            self._all.append((key, again))

    def rows(
        self,
        prices: Mapping[Hashable, float],
        bars: Mapping[Hashable, int],
        name: Callable[[Hashable], str],
    ) -> list[Row]:
        """One row a trade; what is open is valued at `prices`, and `bars` counts each instrument's bars."""
        return [self._row(key, trade, prices, bars, name) for key, trade in self._all]

    def _new_trade(self, key: Key, fill: Fill) -> _Trade:
        trade = _Trade(fill.time, fill.bar, 1 if fill.size > 0 else -1, fill.price)
        self._open[key] = trade
        self._all.append((key, trade))
        return trade

    def _enter(self, key: Key, trade: _Trade, fill: Fill, size: float, fee: float) -> None:
        trade.carry += self.profit(key[0], size, fill.price, trade.reference)
        trade.size += size
        trade.largest = max(trade.largest, abs(trade.size))
        trade.entered += abs(size)
        trade.entry_value += abs(size) * fill.price
        trade.fees += fee
        trade.meet(fill.price, fill.price)

    def _leave(self, key: Key, trade: _Trade, fill: Fill, closing: float, fee: float) -> None:
        share = closing / abs(trade.size)
        if abs(trade.size) - closing <= DUST * trade.largest:
            share = 1.0
        gross = share * self._open_profit(key, trade, fill.price)
        trade.gross += gross
        self.gross += gross
        trade.carry *= 1.0 - share
        trade.size = 0.0 if share == 1.0 else trade.size - trade.side * closing
        trade.left += closing
        trade.exit_value += closing * fill.price
        trade.exit_time, trade.exit_bar = fill.time, fill.bar
        trade.fees += fee
        trade.meet(fill.price, fill.price)
        trade.reason = fill.reason
        if fill.is_liquidation:
            trade.is_liquidation = True
            trade.liquidation_loss += min(gross, 0.0)
        if not trade.size:
            del self._open[key]

    def _open_profit(self, key: Key, trade: _Trade, price: float) -> float:
        return self.profit(key[0], trade.size, trade.reference, price) + trade.carry

    def _row(
        self,
        key: Key,
        trade: _Trade,
        prices: Mapping[Hashable, float],
        bars: Mapping[Hashable, int],
        name: Callable[[Hashable], str],
    ) -> Row:
        is_open = bool(trade.size)
        profit_open = self._open_profit(key, trade, prices[key[0]]) if is_open else 0.0
        last_bar = bars[key[0]] if is_open else trade.exit_bar
        entry_price = trade.entry_value / trade.entered
        moves = [trade.side * (price / entry_price - 1.0) for price in (trade.highest, trade.lowest)]
        return {
            "symbol": name(key[0]),
            "side": trade.side,
            "tradeid": key[1],
            "entry_time": trade.entry_time,
            "exit_time": None if is_open else trade.exit_time,
            "entry_price": entry_price,
            "exit_price": trade.exit_value / trade.left if trade.left else None,
            "size": trade.largest,
            "gross_profit_closed": trade.gross,
            "profit_open": profit_open,
            "fees": trade.fees,
            "funding": trade.funding,
            "liquidation_loss": trade.liquidation_loss,
            "net_profit": trade.gross + profit_open - trade.fees + trade.funding,
            "mae": min(*moves, 0.0),
            "mfe": max(*moves, 0.0),
            "bars": last_bar - trade.entry_bar,
            "is_open": is_open,
            "exit_reason": "" if is_open else trade.reason,
            "is_liquidation": trade.is_liquidation,
        }
