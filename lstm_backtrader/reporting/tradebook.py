"""A book of trades: fills go in, one row from flat to flat comes out, and the rows add up to the account.

It knows no Backtrader. A trade belongs to a key (instrument, tradeid); a fill beyond flat closes one trade
and opens the next.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from lstm_backtrader.reporting.trade import COLUMNS, DUST, Fill, Profit, Row, Stop, Trade

__all__ = ["COLUMNS", "Fill", "Stop", "TradeBook"]

Key: TypeAlias = tuple[Hashable, int]


@dataclass
class TradeBook:
    """Trades of one account; `rows()` gives them in the order of their entry."""

    profit: Profit
    fees: float = 0.0
    slippage: float = 0.0  # within `gross` and the open profit
    funding: float = 0.0
    gross: float = 0.0
    _open: dict[Key, Trade] = field(default_factory=dict)
    _all: list[Trade] = field(default_factory=list)

    def fill(self, fill: Fill) -> None:
        """Book one fill; the costs of a reversal are shared by size."""
        if not fill.size:
            return
        self.fees += fill.fee
        self.slippage += fill.slippage
        trade = self._open.get((fill.instrument, fill.tradeid))
        if trade is None or trade.size * fill.size > 0:
            self._enter(trade, fill)
            return
        beyond = fill.size + trade.size
        if beyond * fill.size <= DUST * fill.size**2:
            self._leave(trade, fill)
        else:
            self._leave(trade, fill.part(-trade.size))
            self._enter(None, fill.part(beyond))

    def fund(self, instrument: Hashable, tradeid: int, amount: float) -> None:
        """Book a funding payment (+ received) on the open trade of that key."""
        trade = self._open.get((instrument, tradeid))
        if trade is not None:
            trade.funding += amount
            self.funding += amount

    def protect(self, instrument: Hashable, tradeid: int, bar: int, standing: Iterable[Stop]) -> None:
        """Tell the open trade of that key which stop orders stand at the instrument's `bar`."""
        trade = self._open.get((instrument, tradeid))
        if trade is not None:
            trade.protect(bar, standing)

    def withdraw(self, instrument: Hashable, tradeid: int, bar: int, order: int) -> None:
        """Tell it that a stop has gone without a fill."""
        trade = self._open.get((instrument, tradeid))
        if trade is not None:
            trade.withdraw(bar, order)

    def watch(self, bars: Mapping[Hashable, tuple[float, float]]) -> None:
        """Let what is open meet the highest and lowest price of each instrument's bar."""
        for trade in self._open.values():
            if trade.instrument in bars:
                trade.meet(*bars[trade.instrument])

    def open_profit(self, prices: Mapping[Hashable, float]) -> float:
        """Price profit of everything open at `prices`, after slippage."""
        return sum(trade.open_profit(prices[trade.instrument]) for trade in self._open.values())

    def open_slippage(self) -> float:
        """Slippage in the entries of everything open."""
        return sum(trade.slippage_open for trade in self._open.values())

    def has_open_trades(self) -> bool:
        return bool(self._open)

    def restart(self, prices: Mapping[Hashable, float], bars: Mapping[Hashable, int], time: float) -> None:
        """Forget what is closed, and enter what is open anew at `prices`: statistics begin here."""
        self._all.clear()
        self.fees = self.slippage = self.funding = self.gross = 0.0
        for key, trade in self._open.items():
            self._open[key] = trade.begun_again(time, bars[trade.instrument], prices[trade.instrument])
            self._all.append(self._open[key])

    def rows(
        self,
        prices: Mapping[Hashable, float],
        bars: Mapping[Hashable, int],
        name: Callable[[Hashable], str],
    ) -> list[Row]:
        """One row a trade; what is open is valued at `prices`, and `bars` counts each instrument's bars."""
        return [
            trade.row(name(trade.instrument), prices[trade.instrument], bars[trade.instrument])
            for trade in self._all
        ]

    def _enter(self, trade: Trade | None, fill: Fill) -> None:
        if trade is None:
            trade = self._open[fill.instrument, fill.tradeid] = Trade.begun_by(fill, self.profit)
            self._all.append(trade)
        trade.enter(fill)

    def _leave(self, trade: Trade, fill: Fill) -> None:
        self.gross += trade.leave(fill)
        if not trade.size:
            del self._open[fill.instrument, fill.tradeid]
