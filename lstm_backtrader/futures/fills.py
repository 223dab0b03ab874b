"""What a fill does to the account: legs, cash, fees, and what Backtrader is told of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lstm_backtrader.futures import rules
from lstm_backtrader.futures.account import FuturesAccount
from lstm_backtrader.futures.commission import ProfitOfFills
from lstm_backtrader.futures.leg import ROUNDING, Leg
from lstm_backtrader.futures.terms import Feed


class FillingAccount(FuturesAccount):
    """Fills orders: closes what they close, opens the rest if the free cash bears it, and books both."""

    def _execute(
        self,
        order: Any,
        ago: int | None = None,
        price: float | None = None,
        cash: float | None = None,
        position: Any = None,
        dtcoc: float | None = None,
        met_at: float | None = None,
    ) -> None:
        """Fill `order` at `price`: close what it closes, then open the rest if the free cash bears it.

        `met_at`: the price without slippage; what the fill is worse by is booked as such.
        """
        if price is None:  # slippage left no price inside the bar
            return
        size = order.executed.remsize
        if self.p.filler is not None and not order.info.get("liquidation"):
            size = self.p.filler(order, price, ago) * (1 if order.isbuy() else -1)
        if not size:  # the filler found no volume
            return
        leg = self._leg(order)
        closed, opened = leg.split(size)
        is_reduce_only = bool(order.info.get("reduce_only"))
        if is_reduce_only:
            opened = 0.0
            if not closed:
                order.cancel()
                self._drop(order)
                return

        dt = dtcoc or order.data.datetime[ago or 0]
        closing_price = price
        if closed and not order.info.get("liquidation"):
            closing_price = leg.bounded_price(price, self._behind(order.data, order.tradeid, leg))
        if closed and opened and closing_price != price:  # two prices are two fills
            filled = self._fill(order, leg, closed, 0.0, closing_price, dt, met_at)
            filled += self._fill(order, leg, 0.0, opened, price, dt, met_at)
        else:
            filled = self._fill(order, leg, closed, opened, closing_price, dt, met_at)
        if abs(order.executed.remsize) <= ROUNDING * abs(size):
            order.executed.remsize = 0.0
            order.completed()
        if filled:
            self.notify(order)
            self._ococheck(order)
        if filled != closed + opened:
            order.margin()
            self._drop(order)
        elif is_reduce_only and order.alive() and not leg.size:  # it was larger than the position
            order.cancel()
            self._drop(order)

    def _fill(
        self, order: Any, leg: Leg, closed: float, opened: float, price: float, dt: float, met_at: float | None
    ) -> float:
        """Book both parts at `price` and record them in the order; returns the size filled."""
        info = self.getcommissioninfo(order.data)
        contract = leg.contract
        gained = released = closing_fee = margin = opening_fee = 0.0
        if closed:
            gained, released, closing_fee = self._close(order, leg, closed, price)
        if opened:
            rate = contract.maker_fee if order.info.get("maker") else contract.taker_fee
            margin = info.getoperationcost(opened, price)
            opening_fee = rules.fee(opened, price, rate, contract.is_inverse)
            if margin + opening_fee > self._free_now():
                opened = margin = opening_fee = 0.0
            else:
                self.cash -= margin + opening_fee
                self.ledger.book_fill(0.0, opening_fee)
                leg.increase(opened, price, margin)
        if not closed + opened:
            return 0.0
        leg.owner = order.owner
        self._keep(order.data, order.tradeid, leg)
        net = self.positions[order.data]
        order.execute(
            dt,
            closed + opened,
            price,
            closed,
            released,
            closing_fee,
            opened,
            margin,
            opening_fee,
            leg.margin,
            gained,
            net.size,
            net.price,
        )
        order.addcomminfo(ProfitOfFills(info, order) if contract.is_inverse else info)
        if met_at is not None and met_at != price:
            slippage = rules.profit(closed + opened, met_at, price, contract.is_inverse)
            order.executed.exbits[-1].slippage = max(0.0, slippage)  # a loss that ends at bankruptcy is less
            self.ledger.book_slippage(max(0.0, slippage))
        return closed + opened

    def _close(self, order: Any, leg: Leg, closed: float, price: float) -> tuple[float, float, float]:
        """Take `closed` off the leg at `price`: (profit, margin released, fee), booked."""
        contract = leg.contract
        is_liquidation = bool(order.info.get("liquidation"))
        is_one_of_many = self._is_cross and is_liquidation and not self._is_last()
        if is_one_of_many:  # of an account that is liquidated as a whole
            behind = self.wallet() + self._others(order.data, order.tradeid, self._mark)
        else:
            behind = self._behind(order.data, order.tradeid, leg)
        gained = rules.profit(-closed, leg.entry, price, contract.is_inverse)
        if is_liquidation and contract.liquidation_fee is not None:
            rate = contract.liquidation_fee
        else:
            rate = contract.maker_fee if order.info.get("maker") else contract.taker_fee
        fee = rules.fee(closed, price, rate, contract.is_inverse)
        released = leg.reduce(closed)
        if not self._is_cross:
            behind = released
        if not is_one_of_many:  # of a price at bankruptcy, rounding may lose a little more
            kept = leg.profit(price) if self._is_cross else 0.0  # by what is still held
            gained = max(gained, -behind - kept)
        left = max(0.0, behind + gained)
        if self._is_cross and leg.size:
            left = max(0.0, left + leg.profit(price))
        is_forfeit = is_liquidation and contract.forfeits_margin and not is_one_of_many
        fee = left if is_forfeit else min(fee, left)
        self.cash += released + gained - fee
        self.ledger.book_fill(gained, fee)
        return gained, released, fee

    def _drop(self, order: Any) -> None:
        """Tell of an order that ended without a fill, and end those that hang on it."""
        self.notify(order)
        self._ococheck(order)
        self._bracketize(order, cancel=True)

    def _keep(self, data: Feed, tradeid: int, leg: Leg) -> None:
        """Store the leg, or forget it where it is flat, and net the legs into Backtrader's position."""
        legs = self._legs.setdefault(data, {})
        if leg.size:
            legs[tradeid] = leg
        else:
            legs.pop(tradeid, None)
        if not legs:
            del self._legs[data]
        net = self.positions[data]
        net.price_orig = net.price
        net.fix(*_net(legs.values()))
        net.datetime = data.datetime.datetime()


def _net(legs: Iterable[Leg]) -> tuple[float, float]:
    """Size of all legs together, and the price at which that size shows their common profit.

    Opposite legs may net to nothing, which has no price: 0.0.
    """
    legs = list(legs)
    if len(legs) == 1:
        return legs[0].size, legs[0].entry
    size = sum(leg.size for leg in legs)
    if not size:
        return 0.0, 0.0
    inverse = legs[0].contract.is_inverse
    value = sum(leg.size * rules.unit_value(leg.entry, inverse) for leg in legs) / size
    return size, (1.0 / value if value else float("inf")) if inverse else value
