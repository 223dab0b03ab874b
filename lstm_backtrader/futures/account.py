"""The futures account: cash, legs, what a fill does to them, and which orders it bears."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from copy import copy
from typing import Any, Literal, get_args

import backtrader as bt

from lstm_backtrader.errors import ConfigError
from lstm_backtrader.futures import rules
from lstm_backtrader.futures.commission import ProfitOfFills
from lstm_backtrader.futures.ledger import CashEvent, Ledger
from lstm_backtrader.futures.leg import ROUNDING, Leg
from lstm_backtrader.futures.terms import ContractTerms, Feed

logger = logging.getLogger(__name__)

Order = bt.Order
MarginMode = Literal["isolated", "cross"]


class FuturesAccount(ContractTerms):
    """Backtrader's broker with a margin for each (data, tradeid), all in one settlement coin.

    `cash` changes only by margin, realised profit, fees, funding and `add_cash`. Isolated, a position is worth its
    margin plus its open profit, never below zero, and `cash` is the free balance. Cross, all of the account stands
    behind every position: the free balance is `cash` plus the open profit of all of them.
    `broker.positions[data]` is the net of its legs.
    """

    params = (("shortcash", False),)

    _value: float
    _fundval: float

    def __init__(self, margin_mode: MarginMode = "isolated") -> None:
        if margin_mode not in get_args(MarginMode):
            raise ConfigError(f"margin_mode={margin_mode!r} is unknown. Use 'isolated' or 'cross'.")
        super().__init__()
        self.margin_mode = margin_mode
        self._is_cross = margin_mode == "cross"

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
        """Profit not yet realised at the last close, settlement coin.

        Isolated, a position's loss ends at its margin; cross, all losses together end at the wallet balance.
        """
        if self._is_cross:
            profit = sum(leg.profit(feed.close[0]) for feed, _, leg in self.legs(data))
            return profit if data is not None else max(profit, -self.wallet())
        return sum(leg.isolated_profit(feed.close[0]) for feed, _, leg in self.legs(data))

    def wallet(self) -> float:
        """Cash and margins: what the account would hold without the open profit."""
        return float(self.cash) + self.margin()

    def getcash(self) -> float:
        """The free balance: what new positions may use."""
        return float(self.cash) + self.open_profit() if self._is_cross else float(self.cash)

    get_cash = getcash

    def notional(self, data: Feed = None) -> float:
        """Worth of the open positions at the last close, settlement coin; long and short count alike."""
        return sum(leg.notional(feed.close[0]) for feed, _, leg in self.legs(data))

    def notional_leverage(self, data: Feed = None) -> float:
        """Notional of the open positions at the last close, as a multiple of equity; 0.0 where equity is 0."""
        return self.notional(data) / self._value if self._value > 0.0 else 0.0

    def liquidation_price(self, data: Feed, tradeid: int = 0) -> float:
        """Price at which the position is closed by the venue; NaN where there is none.

        Cross: with all other positions at their last close.
        """
        leg = self._legs.get(data, {}).get(tradeid)
        if leg is None:
            return float("nan")
        if not self._is_cross:
            return leg.isolated_liquidation_price()
        behind = self.wallet()
        for feed, _, other in self.legs():
            if other is not leg:
                price = feed.close[0]
                behind += other.profit(price) - other.contract.requirement(other.size, other.entry, price)
        return leg.contract.liquidation_price(leg.size, leg.entry, behind)

    def _get_value(self, datas: Iterable[Feed] | None = None, lever: bool = False) -> float:
        """Equity. For chosen `datas`: the notional of their net positions at the last close, short negative.

        With it `order_target_value` and `order_target_percent` mean signed notional.
        """
        while self._cash_addition:
            amount = self._cash_addition.popleft()
            if self._fundval:
                self._fundshares += amount / self._fundval
            self.cash += amount
            self.ledger.book_cash(CashEvent(self._now(), amount))
        if datas:
            return float(sum(self._signed_notional(data) for data in datas if len(data)))
        margin = unrealized = held = 0.0
        for feed, legs in self._legs.items():
            price = feed.close[0]
            for leg in legs.values():
                margin += leg.margin
                unrealized += leg.profit(price) if self._is_cross else leg.isolated_profit(price)
                held += leg.notional(price)
        if self._is_cross:
            unrealized = max(unrealized, -self.cash - margin)
        locked = margin + unrealized
        self._value = self.cash + locked
        self._valuemkt, self._valuemktlever = locked, held
        self._valuelever = self.cash + held
        self._leverage = held / self._value if self._value > 0.0 else 0.0
        self._unrealized = unrealized
        if self._fundshares:
            self._fundval = self._value / self._fundshares
        return float(self._valuelever if lever else self._value)

    def _signed_notional(self, data: Feed) -> float:
        return sum(leg.side * leg.notional(data.close[0]) for _, _, leg in self.legs(data))

    def _now(self) -> float:
        feeds = [data for data in self.cerebro.datas if len(data)]
        return max((data.datetime[0] for data in feeds), default=float("nan"))

    def set_fund_history(self, fund: Any) -> None:
        raise ConfigError("a futures account keeps its own equity; add_fund_history needs Backtrader's broker.")

    # ---- may an order be submitted

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
        cash = self.getcash()
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
            refusal = self._refusal(order, leg, opened) if opened else ""
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
        info = self.getcommissioninfo(order.data)
        leg = copy(leg)
        closed, opened = leg.split(order.executed.remsize)
        if order.info.get("reduce_only"):
            opened = 0.0
        if closed:
            closing_price = leg.bounded_price(price, self._behind(order.data, order.tradeid, leg))
            gained = rules.profit(-closed, leg.entry, closing_price, leg.contract.is_inverse)
            fee = info.getcommission(closed, closing_price)
            if self._is_cross:  # the free balance held the profit at the last close already
                seen = rules.profit(-closed, leg.entry, order.data.close[0], leg.contract.is_inverse)
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

    def _drop(self, order: Any) -> None:
        """Tell of an order that ended without a fill, and end those that hang on it."""
        self.notify(order)
        self._ococheck(order)
        self._bracketize(order, cancel=True)

    # ---- what a fill does

    def _leg(self, order: Any) -> Leg:
        """The leg an order is about; a flat one where nothing is held."""
        held = self._legs.get(order.data, {}).get(order.tradeid)
        return Leg(self.contract(order.data)) if held is None else held

    def _behind(self, data: Feed, tradeid: int, leg: Leg) -> float:
        """What stands behind a position, and so the most it can lose."""
        if not self._is_cross:
            return leg.margin
        others = sum(
            other.profit(self._price(feed))
            for feed, number, other in self.legs()
            if (feed, number) != (data, tradeid)
        )
        return max(0.0, self.wallet() + others)

    def _price(self, data: Feed) -> float:
        """The price at which an open position counts now: inside a bar where it is, else its last close."""
        return float(data.close[0])

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
        closing_price = leg.bounded_price(price, self._behind(order.data, order.tradeid, leg)) if closed else price
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
        return closed + opened

    def _close(self, order: Any, leg: Leg, closed: float, price: float) -> tuple[float, float, float]:
        """Take `closed` off the leg at `price`: (profit, margin released, fee), booked."""
        contract = leg.contract
        behind = self._behind(order.data, order.tradeid, leg)
        gained = rules.profit(-closed, leg.entry, price, contract.is_inverse)
        is_liquidation = bool(order.info.get("liquidation"))
        if is_liquidation and contract.liquidation_fee is not None:
            rate = contract.liquidation_fee
        else:
            rate = contract.maker_fee if order.info.get("maker") else contract.taker_fee
        fee = rules.fee(closed, price, rate, contract.is_inverse)
        released = leg.reduce(closed)
        if not self._is_cross:
            behind = released
        gained = max(gained, -behind)  # of a price at bankruptcy, rounding may lose a little more
        left = behind + gained
        if self._is_cross and leg.size:
            left = max(0.0, left + leg.profit(price))
        fee = left if is_liquidation and contract.forfeits_margin else min(fee, left)
        self.cash += released + gained - fee
        self.ledger.book_fill(gained, fee)
        return gained, released, fee

    def _free_now(self) -> float:
        """The free balance inside a bar."""
        if not self._is_cross:
            return float(self.cash)
        return float(self.cash) + sum(leg.profit(self._price(feed)) for feed, _, leg in self.legs())

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
