"""The isolated-margin account: cash, legs, and what a fill does to them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from copy import copy
from typing import Any

import backtrader as bt

from lstm_backtrader.errors import ConfigError
from lstm_backtrader.futures import rules
from lstm_backtrader.futures.ledger import CashEvent, Ledger
from lstm_backtrader.futures.leg import ROUNDING, Leg
from lstm_backtrader.futures.terms import ContractTerms, Feed

logger = logging.getLogger(__name__)

Order = bt.Order


class IsolatedAccount(ContractTerms):
    """Backtrader's broker with isolated margin for each (data, tradeid).

    `cash` is the free balance: it changes only by margin, realised profit, fees, funding and `add_cash`. What is
    in a position is its margin plus its open profit, never below zero. `broker.positions[data]` is the net of its
    legs.
    """

    params = (("shortcash", False),)

    _value: float
    _fundval: float

    def init(self) -> None:
        super().init()
        self.ledger = Ledger()
        self._legs: dict[Feed, dict[int, Leg]] = {}

    # ---- what the account is worth

    def legs(self, data: Feed = None) -> Iterator[tuple[Feed, int, Leg]]:
        """(data, tradeid, leg) of every open position, or of those of one data."""
        for feed in list(self._legs) if data is None else [data]:
            for tradeid, leg in list(self._legs.get(feed, {}).items()):
                yield feed, tradeid, leg

    def margin(self, data: Feed = None) -> float:
        """Margin locked in positions, settlement coin."""
        return sum(leg.margin for _, _, leg in self.legs(data))

    def open_profit(self, data: Feed = None) -> float:
        """Profit not yet realised at the last close, settlement coin; a position's loss ends at its margin."""
        return sum(leg.open_profit(feed.close[0]) for feed, _, leg in self.legs(data))

    def notional_leverage(self, data: Feed = None) -> float:
        """Notional of the open positions at the last close, as a multiple of equity; 0.0 where equity is 0."""
        held = sum(rules.notional(leg.size, feed.close[0]) for feed, _, leg in self.legs(data))
        return held / self._value if self._value > 0.0 else 0.0

    def liquidation_price(self, data: Feed, tradeid: int = 0) -> float:
        """Price at which the position is closed by the venue; NaN where there is none."""
        leg = self._legs.get(data, {}).get(tradeid)
        if leg is None:
            return float("nan")
        return leg.liquidation_price(self.contract(data).maintenance)

    def _get_value(self, datas: Iterable[Feed] | None = None, lever: bool = False) -> float:
        """Equity. For chosen `datas`: the margin of their net positions at the last close, short negative.

        The sign is what makes `order_target_value` and `order_target_percent` right for shorts.
        """
        while self._cash_addition:
            amount = self._cash_addition.popleft()
            if self._fundval:
                self._fundshares += amount / self._fundval
            self.cash += amount
            self.ledger.book_cash(CashEvent(self._now(), amount))
        if datas:
            return float(sum(self.positions[d].size * d.close[0] / self.leverage(d) for d in datas if len(d)))
        margin = unrealized = held = 0.0
        for feed, legs in self._legs.items():
            price = feed.close[0]
            for leg in legs.values():
                margin += leg.margin
                unrealized += leg.open_profit(price)
                held += rules.notional(leg.size, price)
        locked = margin + unrealized
        self._value = self.cash + locked
        self._valuemkt, self._valuemktlever = locked, held
        self._valuelever = self.cash + held
        self._leverage = held / self._value if self._value > 0.0 else 0.0
        self._unrealized = unrealized
        if self._fundshares:
            self._fundval = self._value / self._fundshares
        return float(self._valuelever if lever else self._value)

    def _now(self) -> float:
        feeds = [data for data in self.cerebro.datas if len(data)]
        return max((data.datetime[0] for data in feeds), default=float("nan"))

    def set_fund_history(self, fund: Any) -> None:
        raise ConfigError("a futures account keeps its own equity; add_fund_history needs Backtrader's broker.")

    # ---- may an order be submitted

    def check_submitted(self) -> None:
        """Accept orders that reduce a position always, orders that open one if the free cash bears margin and fee.

        Market orders of a batch are tried one after the other, as they will fill. Resting orders are each tried
        alone, since of a stop and a limit only one may fill; children of a bracket wait for their parent.
        """
        cash = self.cash
        trial: dict[tuple[Feed, int], Leg] = {}
        while self.submitted:
            order = self.submitted.popleft()
            if self._take_children(order) is None:
                continue
            if order.parent is not None:
                self.submit_accept(order)
                continue
            key = (order.data, order.tradeid)
            leg, cash_after, opened = self._try_on(order, trial.get(key) or self._leg(order) or Leg(), cash)
            if opened and self._breaks_steps(order, opened):
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
        """`order` filled at the price it was made at: (leg after, cash after, part that opens)."""
        at_open = self.p.coo and order.exectype == Order.Market
        price = order.data.open[0] if at_open else order.created.price
        info = self.getcommissioninfo(order.data)
        leg = copy(leg)
        closed, opened = leg.split(order.executed.remsize)
        if order.info.get("reduce_only"):
            opened = 0.0
        if closed:
            closing_price = leg.no_worse_than_bankrupt(price)
            gained = rules.profit(-closed, leg.entry, closing_price)
            cash += max(0.0, leg.reduce(closed) + gained - info.getcommission(closed, closing_price))
        if opened:
            margin = info.getoperationcost(opened, price)
            cash -= margin + info.getcommission(opened, price)
            leg.increase(opened, price, margin)
        return leg, cash, opened

    def _breaks_steps(self, order: Any, opened: float) -> bool:
        contract = self.contract(order.data)
        is_multiple = abs(rules.round_to_lot(order.size, contract.lot) - order.size) <= 1e-9 * abs(order.size)
        is_large_enough = rules.notional(opened, order.created.price) >= contract.min_notional
        if not (is_multiple and is_large_enough):
            logger.warning(
                "order of %s at %s rejected: lot %s, min_notional %s. Round with strategies.sizing.size_for.",
                order.size,
                order.created.price,
                contract.lot,
                contract.min_notional,
            )
        return not (is_multiple and is_large_enough)

    def _drop(self, order: Any) -> None:
        """Tell of an order that ended without a fill, and end those that hang on it."""
        self.notify(order)
        self._ococheck(order)
        self._bracketize(order, cancel=True)

    # ---- what a fill does

    def _leg(self, order: Any) -> Leg | None:
        return self._legs.get(order.data, {}).get(order.tradeid)

    def _execute(
        self,
        order: Any,
        ago: int | None = None,
        price: float | None = None,
        cash: float | None = None,
        position: Any = None,
        dtcoc: float | None = None,
    ) -> None:
        """Fill `order` at `price`: close what it closes, then open the rest if the free cash bears it."""
        if price is None:  # slippage left no price inside the bar
            return
        size = order.executed.remsize
        if self.p.filler is not None and not order.info.get("liquidation"):
            size = self.p.filler(order, price, ago) * (1 if order.isbuy() else -1)
        if not size:  # the filler found no volume
            return
        leg = self._leg(order) or Leg()
        closed, opened = leg.split(size)
        is_reduce_only = bool(order.info.get("reduce_only"))
        if is_reduce_only:
            opened = 0.0
            if not closed:
                order.cancel()
                self._drop(order)
                return

        dt = dtcoc or order.data.datetime[ago or 0]
        closing_price = leg.no_worse_than_bankrupt(price) if closed else price
        if closed and opened and closing_price != price:  # two prices are two fills
            filled = self._fill(order, leg, closed, 0.0, closing_price, dt)
            filled += self._fill(order, leg, 0.0, opened, price, dt)
        else:
            filled = self._fill(order, leg, closed, opened, closing_price, dt)
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

    def _fill(self, order: Any, leg: Leg, closed: float, opened: float, price: float, dt: float) -> float:
        """Book both parts at `price` and record them in the order; returns the size filled."""
        info = self.getcommissioninfo(order.data)
        rate = info.p.contract.maker_fee if order.info.get("maker") else info.p.contract.taker_fee
        gained = released = closing_fee = margin = opening_fee = 0.0
        if closed:
            gained = rules.profit(-closed, leg.entry, price)
            released = leg.reduce(closed)
            left = max(0.0, released + gained)
            closing_fee = min(rules.fee(closed, price, rate), left)
            self.cash += left - closing_fee
            self.ledger.book_fill(gained, closing_fee)
        if opened:
            margin = info.getoperationcost(opened, price)
            opening_fee = rules.fee(opened, price, rate)
            if margin + opening_fee > self.cash:
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
        order.addcomminfo(info)
        return closed + opened

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
        size = sum(held.size for held in legs.values())
        net.price_orig = net.price
        # opposite legs may net to nothing; else the price at which the net shows the legs' common profit
        net.fix(size, sum(held.size * held.entry for held in legs.values()) / size if size else 0.0)
        net.datetime = data.datetime.datetime()
