"""What an account is worth at a bar: as its broker says, or the books of its trades where it says no number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lstm_backtrader.futures import rules
from lstm_backtrader.reporting.tradebook import TradeBook


class Valuation:
    """One broker's account over the datas it trades, and the `book` of its trades; all in settlement coin.

    A broker may keep a `ledger` (funding, deposits, liquidations, slippage) and tell `notional`, `margin` and
    `open_profit` as `FuturesBroker` does; of any other these come from its positions and the book.
    """

    def __init__(self, broker: Any, datas: Sequence[Any]) -> None:
        self.broker, self._datas = broker, datas
        self.ledger = getattr(broker, "ledger", None)
        self.book = TradeBook(profit=self._profit)
        self.closes: dict[Any, float] = {}  # of each data the last one that is a number
        self.bars: dict[Any, int] = {}  # of each data, so far
        self.turnover = 0.0
        self.start_equity = float(broker.getvalue())
        self._funding_seen = 0
        self._totals_before = self._totals()
        self._valued = (self.start_equity, self._explained())  # at the last bar with equity, what explained it

    def look(self) -> None:
        """Take note of this bar's closes; by the end of a run a data may have moved on."""
        self.bars = {data: len(data) for data in self._datas}
        for data, bars in self.bars.items():
            if bars and (not math.isnan(close := data.close[0]) or data not in self.closes):
                self.closes[data] = close

    def begin(self, time: float) -> None:
        """Count from here: what is open is entered anew at this bar's close."""
        self.collect_funding()
        self.look()
        self.start_equity = self.equity()
        self._totals_before = self._totals()
        self.turnover = 0.0
        self.book.restart(self.closes, self.bars, time)
        self._valued = (self.start_equity, self._explained())

    def collect_funding(self) -> None:
        """Book what the ledger has paid since the last time."""
        if self.ledger is not None:
            events = self.ledger.funding_events
            for _, data, tradeid, amount in events[self._funding_seen :]:
                self.book.fund(data, tradeid, amount)
            self._funding_seen = len(events)

    def ledger_totals(self) -> tuple[float, ...]:
        """Funding, other cash and liquidations since the begin; 0.0 each without a ledger."""
        return tuple(now - before for now, before in zip(self._totals(), self._totals_before, strict=True))

    def equity(self) -> float:
        """The broker's; where a price is missing, that of the bar before and what the books say of this one."""
        equity = float(self.broker.getvalue())
        if math.isnan(equity):
            before, explained = self._valued
            equity = before + self._explained() - explained
        self._valued = (equity, self._explained())
        return equity

    def exposure(self) -> tuple[float, float]:
        """Notional and margin of all positions; margin NaN where the broker offers none."""
        broker = self.broker
        if hasattr(broker, "notional"):
            notional, margin = float(broker.notional()), float(broker.margin())
            if not math.isnan(notional):
                return notional, margin
        sizes = ((data, broker.getposition(data).size) for data in self._datas)
        return sum(self.worth(data, size, self.closes[data]) for data, size in sizes if size), math.nan

    def worth(self, data: Any, size: float, price: float) -> float:
        """Of a size at a price, never negative."""
        if hasattr(self.broker, "contract"):
            return float(rules.notional(size, price, self.broker.contract(data).is_inverse))
        return abs(size) * price * float(self.broker.getcommissioninfo(data).p.mult)

    def open_profit(self) -> float:
        """What the broker says if it says it (an isolated position loses no more than its margin)."""
        if hasattr(self.broker, "open_profit"):
            profit = float(self.broker.open_profit())
            if not math.isnan(profit):
                return profit
        return self.book.open_profit(self.closes) if self.book.has_open_trades() else 0.0

    def _explained(self) -> float:
        """What the books say that the account made, open profit at the last prices known; any time's zero."""
        book, (funding, other_cash, _) = self.book, self._totals()
        return book.gross + self.open_profit() - book.fees + funding + other_cash

    def _totals(self) -> tuple[float, ...]:
        ledger = self.ledger
        if ledger is None:
            return (0.0, 0.0, 0.0)
        return (float(ledger.funding), float(ledger.other_cash), float(ledger.liquidations))

    def _profit(self, instrument: Any, size: float, entry: float, exit_price: float) -> float:
        return float(self.broker.getcommissioninfo(instrument).profitandloss(size, entry, exit_price))
