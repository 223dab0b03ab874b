"""Which orders the account takes, and what follows when one has had its chance."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable
from copy import copy
from typing import Any

import backtrader as bt

from lstm_backtrader.futures import matching, rules
from lstm_backtrader.futures.fills import FillingAccount
from lstm_backtrader.futures.leg import ROUNDING, Leg
from lstm_backtrader.futures.terms import Feed

logger = logging.getLogger(__name__)

Order = bt.Order


class OrderDesk(FillingAccount):
    """Takes orders as the venue would: in lots, above its minimum, within its tiers, where free cash bears them."""

    pending: deque[Any]

    def buy(self, owner: Any, data: Feed, size: float, *args: Any, **options: Any) -> Any:
        """As Backtrader's; the size is cut to a multiple of the contract's lot."""
        return super().buy(owner, data, self._in_lots(data, size, options), *args, **options)

    def sell(self, owner: Any, data: Feed, size: float, *args: Any, **options: Any) -> Any:
        """As Backtrader's; the size is cut to a multiple of the contract's lot."""
        return super().sell(owner, data, self._in_lots(data, size, options), *args, **options)

    def _in_lots(self, data: Feed, size: float, options: dict[str, Any]) -> float:
        """What a venue's client would send: whole lots, except to close a position that is none.

        A size below one lot is left as it is, to be rejected with its reason.
        """
        held = self._legs.get(data, {}).get(options.get("tradeid", 0))
        if held is not None and abs(abs(held.size) - size) <= ROUNDING * size:
            return size
        return rules.round_to_lot(size, self.contract(data).lot) or size

    def check_submitted(self) -> None:
        """Accept orders that reduce a position always, orders that open one if the free cash bears margin and fee.

        Market orders of a batch are tried one after the other, as they will fill. Resting orders are each tried
        alone, since of a stop and a limit only one may fill; children of a bracket wait for their parent.
        """
        cash = self._free_now()
        trial: dict[tuple[Feed, int], Leg] = {}
        while self.submitted:
            order = self.submitted.popleft()
            if self._take_children(order) is None:
                continue
            if order.parent is not None:
                self.submit_accept(order)
                continue
            key = (order.data, order.tradeid)
            leg, cash_after, opened = self._try_on(order, trial.get(key) or self._leg(order), cash)
            has_no_size = math.isnan(order.size)  # as that of a target at a missing price
            refusal = self._refusal(order, leg, opened) if opened or has_no_size else ""
            if refusal:
                logger.warning("order of %s at %s rejected: %s", order.size, order.created.price, refusal)
                order.addinfo(refusal=refusal)
                order.reject()
                self._drop(order)
            elif opened and cash_after < 0.0:
                order.margin()
                self._drop(order)
            else:
                if order.exectype in (Order.Market, Order.Close):
                    trial[key], cash = leg, cash_after
                self.submit_accept(order)

    def _try_on(self, order: Any, leg: Leg, cash: float) -> tuple[Leg, float, float]:
        """`order` filled at the price it was made at: (leg after, free cash after, part that opens)."""
        at_open = self.p.coo and order.exectype == Order.Market
        price = order.data.open[0] if at_open else order.created.price
        if math.isnan(price):
            price = self._price(order.data)
        info = self.getcommissioninfo(order.data)
        leg = copy(leg)
        closed, opened = leg.split(order.executed.remsize)
        if order.info.get("reduce_only"):
            opened = 0.0
        if closed:
            closing_price = leg.bounded_price(price, self._behind(order.data, order.tradeid, leg))
            gained = rules.profit(-closed, leg.entry, closing_price, leg.contract.is_inverse)
            fee = info.getcommission(closed, closing_price)
            if self._is_cross:  # of what is held, the free balance has the profit at the last close already
                is_held = order.tradeid in self._legs.get(order.data, {})
                last = self._price(order.data) if is_held else leg.entry
                seen = rules.profit(-closed, leg.entry, last, leg.contract.is_inverse)
                cash += leg.reduce(closed) + gained - seen - fee
            else:
                cash += max(0.0, leg.reduce(closed) + gained - fee)
        if opened:
            margin = info.getoperationcost(opened, price)
            cash -= margin + info.getcommission(opened, price)
            leg.increase(opened, price, margin)
        return leg, cash, opened

    def _refusal(self, order: Any, leg: Leg, opened: float) -> str:
        """Why the venue would not take an order that makes `leg` of a position; empty where it would."""
        contract, price = leg.contract, order.created.price
        size = order.size
        if math.isnan(price):
            return (
                "it has no price to reckon size or margin at: its own, or the last close, is missing (NaN). Order "
                "on bars with prices, or leave those without out of the data."
            )
        if abs(rules.round_to_lot(size, contract.lot) - size) > ROUNDING * abs(size):
            return f"size {size:g} is below or between steps of the lot {contract.lot:g}. Use a multiple of it."
        if abs(opened) < contract.min_size:
            return f"size {abs(opened):g} is below the smallest order of {contract.min_size:g}. Trade more, or not."
        if rules.notional(opened, price, contract.is_inverse) < contract.min_notional:
            return (
                f"its notional is below min_notional {contract.min_notional:g} {contract.settlement}. "
                "Trade more, or not."
            )
        others = [other for _, tradeid, other in self.legs(order.data) if tradeid != order.tradeid]
        held = leg.notional(price) + sum(other.notional(price) for other in others if other.side == leg.side)
        leverage = self.leverage(order.data)
        cap = contract.max_notional(leverage)
        if held <= cap * (1.0 + ROUNDING):
            return ""
        limit = f"a notional of {held:,.2f} {contract.settlement} is above the {cap:,.2f} of {contract.symbol}"
        if contract.is_partial and cap == contract.notional_cap:
            return f"{limit} that is known here. Load the venue's tiers with Contract.from_ccxt(market, tiers)."
        return f"{limit} at leverage {leverage:g}. Trade less, or at less leverage."

    def _try(self, order: Any, execute: Callable[[Any], None]) -> None:
        self.pending.remove(order)  # or it would cancel itself as its own OCO sibling
        order.info["maker"] = bool(order.info.get("rested"))
        execute(order)
        if order.alive():
            self.pending.append(order)
        elif order.status == Order.Completed:
            self._bracketize(order)
            while self._toactivate:
                child = self._toactivate.popleft()
                _place_from_fill(child, order.executed.price)
                child.activate()

    def _bracketize(self, order: Any, cancel: bool = False) -> None:
        """As Backtrader's, but a child that was `partial` leaves its siblings the rest to close."""
        leg = self._leg(order)
        if cancel or order.parent is None or not order.info.get("partial") or not leg.size:
            super()._bracketize(order, cancel)
            return
        siblings = self._pchildren[order.parent.ref]
        siblings.remove(order)
        for each in siblings:
            if abs(each.executed.remsize) > abs(leg.size):
                each.executed.remsize = math.copysign(leg.size, each.executed.remsize)


def _place_from_fill(order: Any, fill: float) -> None:
    """Move a bracket's child, and what wakes it, to their distances from the parent's fill."""
    wakes = order.info.get("wakes_from_fill")
    if wakes is not None:
        order.info["wakes_at"] = fill * (1.0 + wakes)
    offset = order.info.get("from_fill")
    if offset is None:
        return
    if order.exectype in matching.TRAILING:
        order.created.price = math.inf if order.isbuy() else -math.inf
        if wakes is None:
            order.trailadjust(fill)
    else:
        order.created.price = fill * (1.0 + offset)
