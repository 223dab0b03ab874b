"""When the venue closes positions, and at which prices."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from lstm_backtrader.futures import rules
from lstm_backtrader.futures.admission import OrderDesk
from lstm_backtrader.futures.bar import Point, Prices
from lstm_backtrader.futures.ledger import LiquidationEvent
from lstm_backtrader.futures.leg import Leg
from lstm_backtrader.futures.terms import Feed

logger = logging.getLogger(__name__)

_BISECTIONS = 60  # halve a way down to the last bits of a float


class LiquidatingAccount(OrderDesk):
    """Knows where the prices are inside a bar, and closes what they leave without enough behind it."""

    def init(self) -> None:
        super().init()
        self._at: dict[Feed, Point] = {}  # where the prices are inside a bar
        self._last: dict[Feed, Point] = {}  # where they were at the end of the last bar played
        self._bars: Mapping[Feed, Prices] = {}

    def _price(self, data: Feed) -> float:
        point = self._at.get(data) or self._last.get(data)  # close[0] is that of a bar yet to be played
        return float(data.close[0]) if point is None else point.traded

    def _mark(self, data: Feed, side: int = 0) -> float:
        """The mark price where it is now; before any is known the last close."""
        point = self._at.get(data) or self._last.get(data)
        return float(data.close[0]) if point is None else point.mark

    def _worst_mark(self, data: Feed, side: int) -> float:
        """The mark price of these bars that is worst for a position of that side."""
        prices = self._bars.get(data)
        return self._mark(data) if prices is None else prices.mark.worst(side)

    def _liquidate_gaps(self) -> None:
        """Close at the open what the bars open beyond."""
        if not self._legs:
            return
        if self._is_cross:
            if self._health(self._mark) <= 0.0:
                self._liquidate_account()
            return
        for data, tradeid, leg in self.legs():
            if data in self._at:
                mark = self._at[data].mark
                if leg.side * mark <= leg.side * leg.isolated_liquidation_price():
                    self._force_out(data, tradeid, leg, mark)

    def _equity_now(self) -> float:
        """Equity of a cross account at the mark prices of this moment."""
        return self.wallet() + sum(leg.profit(self._mark(data)) for data, _, leg in self.legs())

    def _health(self, mark_of: Callable[[Feed, int], float]) -> float:
        """Equity of a cross account less what its positions require; liquidated at 0 and below.

        `mark_of(data, side)`: the mark price to look at.
        """
        health = self.wallet()
        for data, _, leg in self.legs():
            mark = mark_of(data, leg.side)
            health += leg.profit(mark) - leg.contract.requirement(leg.size, leg.entry, mark)
        return health

    def _margin_call(self, ends: Mapping[Feed, Point]) -> float | None:
        """The share of the way after which a cross account no longer bears its positions; None: it always does."""
        if not self._legs:
            return None

        def health(share: float) -> float:
            def mark_of(data: Feed, side: int) -> float:
                return self._at[data].towards(ends[data], share).mark if data in ends else self._mark(data)

            return self._health(mark_of)

        if health(0.0) <= 0.0:  # a fill a moment ago, where last and mark price are apart
            return 0.0
        if health(1.0) > 0.0:
            return None
        sound, broken = 0.0, 1.0
        for _ in range(_BISECTIONS):
            middle = 0.5 * (sound + broken)
            sound, broken = (middle, broken) if health(middle) > 0.0 else (sound, middle)
        return broken

    def _liquidate_account(self) -> None:
        """Close every position of a cross account at its mark price; losses together end at what there is."""
        profits = {(data, tradeid): leg.profit(self._mark(data)) for data, tradeid, leg in self.legs()}
        lost = -sum(min(profit, 0.0) for profit in profits.values())
        there = self.wallet() + sum(max(profit, 0.0) for profit in profits.values())
        share = min(1.0, max(0.0, there / lost)) if lost else 1.0
        for data, tradeid, leg in sorted(self.legs(), key=lambda item: -profits[item[0], item[1]]):
            price, profit = self._mark(data), profits[data, tradeid]
            if share < 1.0 and profit < 0.0:
                price = rules.bankruptcy_price(leg.size, leg.entry, -share * profit, 0.0, leg.contract.is_inverse)
            self._force_out(data, tradeid, leg, price)

    def _force_out(self, data: Feed, tradeid: int, leg: Leg, price: float) -> None:
        """Fill an order of the venue's own, then cancel what the strategy had waiting for this position."""
        if not self._is_cross or self._is_last():
            price = leg.bounded_price(price, self._behind(data, tradeid, leg))
        size = leg.size
        order = (super().sell if size > 0 else super().buy)(
            owner=leg.owner,
            data=data,
            size=abs(size),
            tradeid=tradeid,
            _checksubmit=False,
            liquidation=True,
            reason="liquidation",
        )
        self.ledger.book_liquidation(
            LiquidationEvent(data.datetime[0], data, tradeid, size, price, leg.profit(price))
        )
        logger.info("liquidation of %s at %s", size, price)
        self._try(order, lambda order: self._execute(order, ago=0, price=price))
        for other in list(self.pending):
            if other.data is data and other.tradeid == tradeid:
                self.cancel(other)
