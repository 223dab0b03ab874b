"""A Backtrader broker for perpetual futures: it plays a bar with funding, orders and liquidations."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections import deque
from collections.abc import Callable
from typing import Any

import backtrader as bt

from lstm_backtrader.errors import ConfigError
from lstm_backtrader.futures import rules
from lstm_backtrader.futures.account import IsolatedAccount
from lstm_backtrader.futures.bar import Bar, Prices, check_funding, read_bar, read_line, worst_after_entry
from lstm_backtrader.futures.contract import Contract
from lstm_backtrader.futures.ledger import FundingEvent, LiquidationEvent
from lstm_backtrader.futures.leg import Leg
from lstm_backtrader.futures.terms import Feed

logger = logging.getLogger(__name__)

Order = bt.Order
STOPS = (Order.Stop, Order.StopTrail, Order.StopLimit, Order.StopTrailLimit)


class FuturesBroker(IsolatedAccount):
    """Linear perpetual futures with isolated margin: ``cerebro.setbroker(FuturesBroker(leverage=3))``.

    A bar is played in this order, pessimistic wherever OHLC leaves it open: funding of what is held at the
    bar's start; liquidations by a gap; all that fills at the open (market orders, gapped stops and limits); stops
    nearer than the liquidation price; liquidations; the remaining orders; stops and liquidation of what these
    opened.

    Liquidation looks at the data's `mark_*` lines where they are there and known, else at its prices. Funding
    needs a `funding_rate` line and is paid at `mark_open`, else at the open. On orders, `order.info.liquidation`
    is True for a liquidation and `order.info.maker` where the maker fee was paid. `buy` and `sell` take
    ``reduce_only=True`` for an order that never opens, and ``from_fill=-0.02`` for a bracket's child that belongs
    2 % below its parent's fill.

    Args:
        contract: what is traded; fees and maintenance default to a large venue's first tier.
        leverage: notional / margin of every position, 1 up to the contract's limit.
        taker_fee, maker_fee, maintenance, max_leverage: replace those of `contract`, as fractions.
        cash and every other parameter of `bt.brokers.BackBroker` (slippage, filler, ...), by keyword.

    Raises:
        LeverageError: a leverage outside the contract's limits.
    """

    pending: deque[Any]

    def __init__(
        self,
        contract: Contract | None = None,
        *,
        leverage: float = 1.0,
        cash: float = 10_000.0,  # arrives as Backtrader's parameter of that name; here for the reader
        taker_fee: float | None = None,
        maker_fee: float | None = None,
        maintenance: float | None = None,
        max_leverage: float | None = None,
    ) -> None:
        contract = Contract() if contract is None else contract
        if not isinstance(contract, Contract):
            raise ConfigError(f"contract={contract!r} is not a Contract. Pass Contract(symbol=..., ...).")
        contract = dataclasses.replace(
            contract,
            taker_fee=contract.taker_fee if taker_fee is None else taker_fee,
            maker_fee=contract.maker_fee if maker_fee is None else maker_fee,
            maintenance=contract.maintenance if maintenance is None else maintenance,
            max_leverage=contract.max_leverage if max_leverage is None else max_leverage,
        )
        super().__init__()
        self.set_contract(contract, leverage=leverage)

    def init(self) -> None:
        super().init()
        self._seen: dict[Feed, float] = {}  # stamp of the last bar played
        self._bars: dict[Feed, Prices] = {}  # the bars to play in this step

    # ---- one bar

    def next(self) -> None:
        while self._toactivate:
            self._toactivate.popleft().activate()
        if self.p.checksubmit:
            self.check_submitted()
        self._process_order_history()
        self._expire()

        self._bars = self._new_bars()
        if self._bars:
            self._play()
            self.pending = deque(sorted(self.pending, key=lambda order: order.ref))
            for order in self.pending:
                order.info["rested"] = order.active()
        self._get_value()

    def _new_bars(self) -> dict[Feed, Prices]:
        """Bars of the datas with something held or ordered; a step may bring a new bar of another data only."""
        bars = {}
        for data in dict.fromkeys([*self._legs, *(order.data for order in self.pending)]):
            if data not in self._seen:
                check_funding(data)
            if len(data) and self._seen.get(data) != data.datetime[0]:
                self._seen[data] = data.datetime[0]
                bars[data] = read_bar(data)
        return bars

    def _play(self) -> None:
        tried: set[int] = set()

        def play(orders: list[Any], execute: Callable[[Any], None]) -> None:
            for order in orders:
                if order.alive():  # one before it may have cancelled it
                    tried.add(order.ref)
                    self._try(order, execute)

        def waiting() -> list[Any]:
            return [order for order in self.pending if order.ref not in tried and self._may_fill(order)]

        self._pay_funding()
        self._liquidate(lambda bar, side, level: bar.open)
        play([order for order in waiting() if self._fills_at_open(order)], self._try_exec)
        play(self._near_stops(waiting()), self._try_exec)
        self._liquidate(lambda bar, side, level: bar.worst(side))
        others = waiting()
        play(others, self._try_exec)
        if any(order.executed.size for order in others):  # it may have opened inside the bar
            play([order for order in waiting() if self._is_protective(order)], self._try_late_stop)
            self._liquidate(worst_after_entry)

    def _expire(self) -> None:
        for order in list(self.pending):
            if order.alive() and order.expire():
                self.pending.remove(order)
                self._drop(order)

    def _pay_funding(self) -> None:
        """Book the bar's rate for each position, out of free cash, then out of the position's own margin."""
        for data, bars in self._bars.items():
            rate = read_line(data, "funding_rate")
            if math.isnan(rate):
                continue
            for _, tradeid, leg in self.legs(data):
                amount = rules.funding_payment(leg.size, bars.mark.open, rate)
                from_cash = max(amount, -max(self.cash, 0.0))
                from_margin = max(amount - from_cash, -leg.margin)
                self.cash += from_cash
                leg.margin += from_margin
                self.ledger.book_funding(FundingEvent(data.datetime[0], data, tradeid, from_cash + from_margin))

    # ---- liquidation

    def _liquidate(self, reached: Callable[[Bar, int, float], float]) -> None:
        """Close each position whose liquidation price lies within `reached(bar, side, level)`, at that price.

        Where the bar opens beyond it, at the open, but no worse than bankruptcy.
        """
        for data, tradeid, leg in self.legs():
            if data in self._bars:
                bar = self._bars[data].mark
                maintenance = self.contract(data).maintenance
                level, side = leg.liquidation_price(maintenance), leg.side
                if side * reached(bar, side, level) > side * level:
                    continue
                gapped = reached is not worst_after_entry and side * bar.open < side * level
                self._force_out(data, tradeid, leg, bar.open if gapped else level)

    def _force_out(self, data: Feed, tradeid: int, leg: Leg, price: float) -> None:
        """Fill an order of the venue's own, then cancel what the strategy had waiting for this position."""
        price = leg.no_worse_than_bankrupt(price)
        size = leg.size
        order = (self.sell if size > 0 else self.buy)(
            owner=leg.owner,
            data=data,
            size=abs(size),
            tradeid=tradeid,
            _checksubmit=False,
            liquidation=True,
            reason="liquidation",
        )
        self.ledger.book_liquidation(
            LiquidationEvent(data.datetime[0], data, tradeid, size, price, rules.profit(size, leg.entry, price))
        )
        logger.info("liquidation of %s at %s", size, price)
        self._try(order, lambda order: self._execute(order, ago=0, price=price))
        for other in list(self.pending):
            if other.data is data and other.tradeid == tradeid:
                self.cancel(other)

    # ---- orders

    def _may_fill(self, order: Any) -> bool:
        """Active, made before its data's bar, and this bar is new."""
        if order.data not in self._bars or not order.active():
            return False
        is_older = order.data.datetime[0] > order.created.dt
        return bool(is_older or self.p.coo or order.exectype == Order.Historical)

    def _fills_at_open(self, order: Any) -> bool:
        price, limit = order.created.price, order.created.pricelimit
        opened = self._bars[order.data].traded.open
        side = 1 if order.isbuy() else -1
        if order.exectype in (Order.Market, Order.Historical):
            return True
        if order.exectype == Order.Limit:
            return bool(side * opened <= side * price)
        if order.exectype in (Order.StopLimit, Order.StopTrailLimit):
            return bool(order.triggered and side * opened <= side * limit)
        return order.exectype in STOPS and bool(side * opened >= side * price)

    def _is_protective(self, order: Any) -> bool:
        """A stop that reduces its position."""
        leg = self._leg(order)
        return leg is not None and order.exectype in STOPS and order.isbuy() == (leg.size < 0)

    def _near_stops(self, orders: list[Any]) -> list[Any]:
        """Protective stops that the price meets before the liquidation price, nearest first."""
        near = []
        for order in orders:
            leg = self._leg(order)
            if leg is None or not self._is_protective(order) or order.triggered:
                continue
            level = leg.liquidation_price(self.contract(order.data).maintenance)
            if leg.side * order.created.price >= leg.side * level:
                near.append((-leg.side * order.created.price, order.ref, order))
        return [order for _, _, order in sorted(near, key=lambda item: item[:2])]

    def _try(self, order: Any, execute: Callable[[Any], None]) -> None:
        self.pending.remove(order)  # or it would cancel itself as its own OCO sibling
        order.info["maker"] = self._is_maker(order)
        execute(order)
        if order.alive():
            self.pending.append(order)
        elif order.status == Order.Completed:
            self._bracketize(order)
            while self._toactivate:
                child = self._toactivate.popleft()
                _place_from_fill(child, order.executed.price)
                child.activate()

    def _is_maker(self, order: Any) -> bool:
        """A limit that waits in the book: placed before this bar, or not marketable at its open."""
        if order.exectype == Order.Limit:
            return bool(order.info.get("rested")) or not self._fills_at_open(order)
        return bool(order.exectype in (Order.StopLimit, Order.StopTrailLimit) and order.triggered)

    def _try_late_stop(self, order: Any) -> None:
        """A stop whose position opened inside this bar; the bar before the entry is not held against it."""
        leg = self._leg(order)
        if leg is None or order.exectype not in (Order.Stop, Order.StopTrail):
            return
        bar = self._bars[order.data].traded
        level = order.created.price
        worst = worst_after_entry(bar, leg.side, level)
        high, low = (bar.high, worst) if leg.side > 0 else (worst, bar.low)
        self._try_exec_stop(order, leg.entry, high, low, level, bar.close)


def _place_from_fill(order: Any, fill: float) -> None:
    """Move a bracket's child to its distance from the parent's fill."""
    offset = order.info.get("from_fill")
    if offset is None:
        return
    if order.exectype in (Order.StopTrail, Order.StopTrailLimit):
        order.created.price = math.inf if order.isbuy() else -math.inf
        order.trailadjust(fill)
    else:
        order.created.price = fill * (1.0 + offset)
