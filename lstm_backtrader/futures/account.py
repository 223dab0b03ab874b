"""The futures account: cash, legs, and what both are worth."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, get_args

from lstm_backtrader.errors import ConfigError
from lstm_backtrader.futures import rules
from lstm_backtrader.futures.ledger import CashEvent, Ledger
from lstm_backtrader.futures.leg import Leg
from lstm_backtrader.futures.terms import ContractTerms, Feed

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
            profit = sum(leg.profit(self._last_close(feed)) for feed, _, leg in self.legs(data))
            return profit if data is not None else max(profit, -self.wallet())
        return sum(leg.isolated_profit(self._last_close(feed)) for feed, _, leg in self.legs(data))

    def wallet(self) -> float:
        """Cash and margins: what the account would hold without the open profit."""
        return float(self.cash) + self.margin()

    def getcash(self) -> float:
        """The free balance: what new positions may use."""
        return float(self.cash) + self.open_profit() if self._is_cross else float(self.cash)

    get_cash = getcash

    def notional(self, data: Feed = None) -> float:
        """Worth of the open positions at the last close, settlement coin; long and short count alike."""
        return sum(leg.notional(self._last_close(feed)) for feed, _, leg in self.legs(data))

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
        return leg.contract.liquidation_price(leg.size, leg.entry, self._behind_but_for(leg))

    def liquidation_price_if(self, data: Feed, size: float, price: float) -> float:
        """Price at which a position of `size`, opened at `price` in place of the one of tradeid 0, would be closed.

        Cross: with all other positions at their last close.
        """
        contract = self.contract(data)
        if self._is_cross:
            behind = self._behind_but_for(self._legs.get(data, {}).get(0))
        else:
            behind = rules.initial_margin(size, price, self.leverage(data), contract.is_inverse)
        return contract.liquidation_price(size, price, behind)

    def _behind_but_for(self, leg: Leg | None) -> float:
        """What the account can put behind a position of a cross account, the others at their last close."""
        behind = self.wallet()
        for feed, _, other in self.legs():
            if other is not leg:
                price = self._last_close(feed)
                behind += other.profit(price) - other.contract.requirement(other.size, other.entry, price)
        return behind

    def margin_ratio(self) -> float:
        """What the positions require over what stands behind them at the last close: at 1 the venue liquidates.

        Isolated, of the position that is nearest to it. NaN where nothing is held.
        """
        needs, behind = [], []
        for feed, _, leg in self.legs():
            price = self._last_close(feed)
            needs.append(leg.contract.requirement(leg.size, leg.entry, price))
            behind.append(leg.margin + leg.profit(price))
        if not needs:
            return float("nan")
        if self._is_cross:
            needs, behind = [sum(needs)], [float(self.cash) + sum(behind)]
        return max(need / there if there > 0.0 else math.inf for need, there in zip(needs, behind, strict=True))

    def liquidation_distance(self) -> float:
        """How far price may move to the nearest liquidation, as a fraction of the last close; NaN without one."""
        nearest = float("nan")
        for feed, tradeid, leg in self.legs():
            distance = leg.side * (1.0 - self.liquidation_price(feed, tradeid) / self._last_close(feed))
            if not nearest <= distance:
                nearest = distance
        return nearest

    def _get_value(self, datas: Iterable[Feed] | None = None, lever: bool = False) -> float:
        """Equity. For chosen `datas`: the notional of their net positions at the last close, short negative.

        With it `order_target_value` and `order_target_percent` mean signed notional.
        """
        self._book_cash()
        if datas:
            return float(sum(self._asked_notional(data) for data in datas if len(data)))
        margin = unrealized = held = 0.0
        for feed, legs in self._legs.items():
            price = self._last_close(feed)
            for leg in legs.values():
                margin += leg.margin
                unrealized += leg.profit(price) if self._is_cross else leg.isolated_profit(price)
                held += leg.notional(price)
        locked = margin + unrealized
        if self._is_cross and locked < -self.cash:
            locked = -self.cash
            unrealized = locked - margin
        self._value = self.cash + locked
        self._valuemkt, self._valuemktlever = locked, held
        self._valuelever = self.cash + held
        self._leverage = held / self._value if self._value > 0.0 else 0.0
        self._unrealized = unrealized
        if self._fundshares:
            self._fundval = self._value / self._fundshares
        return float(self._valuelever if lever else self._value)

    def add_cash(self, cash: float) -> None:
        """Put money in, or take it out where negative: at the next bar, before it is played.

        Raises:
            ConfigError: more is taken out than the free balance.
        """
        free = self.getcash() + sum(self._cash_addition)
        if cash < -max(0.0, free):
            raise ConfigError(
                f"add_cash({cash}) takes out more than the free balance of {free:g} {self.contract().settlement}. "
                "Take less, or close positions first."
            )
        super().add_cash(cash)

    def _book_cash(self) -> None:
        while self._cash_addition:
            amount = self._cash_addition.popleft()
            if self._fundval:
                self._fundshares += amount / self._fundval
            self.cash += amount
            self.ledger.book_cash(CashEvent(self._now(), amount))

    def _asked_notional(self, data: Feed) -> float:
        held = sum(leg.side * leg.notional(self._last_close(data)) for _, _, leg in self.legs(data))
        self.getcommissioninfo(data).held = abs(held)
        return held

    def _now(self) -> float:
        feeds = [data for data in self.cerebro.datas if len(data)]
        return max((data.datetime[0] for data in feeds), default=float("nan"))

    def set_fund_history(self, fund: Any) -> None:
        raise ConfigError("a futures account keeps its own equity; add_fund_history needs Backtrader's broker.")

    # ---- what stands behind a position

    def _leg(self, order: Any) -> Leg:
        """The leg an order is about; a flat one where nothing is held."""
        held = self._legs.get(order.data, {}).get(order.tradeid)
        return Leg(self.contract(order.data)) if held is None else held

    def _behind(self, data: Feed, tradeid: int, leg: Leg) -> float:
        """What stands behind a position, and so the most it can lose.

        Below zero where funding has taken more than the wallet held, against open profit: so much must come in.
        """
        if not self._is_cross:
            return leg.margin
        others, wallet = self._others(data, tradeid, self._price), self.wallet()
        return wallet + max(others, -max(0.0, wallet))

    def _others(self, data: Feed, tradeid: int, price_of: Callable[[Feed], float]) -> float:
        """Open profit of all positions but one."""
        return sum(
            leg.profit(price_of(feed))
            for feed, number, leg in self.legs()
            if feed is not data or number != tradeid  # feeds are equal where their prices are
        )

    def _is_last(self) -> bool:
        return sum(1 for _ in self.legs()) == 1

    def _last_close(self, data: Feed) -> float:
        """Close of the newest bar; where it is missing (NaN), the last price a position of the data has met."""
        close = float(data.close[0])
        return self._price(data) if math.isnan(close) else close

    def _price(self, data: Feed) -> float:
        """The price at which an open position counts now: inside a bar where it is, else its last close."""
        return float(data.close[0])

    def _mark(self, data: Feed, side: int = 0) -> float:
        """The mark price of this moment; `side` of the position that asks for it."""
        return self._price(data)

    def _free_now(self) -> float:
        """The free balance at the prices of this moment."""
        if not self._is_cross:
            return float(self.cash)
        return float(self.cash) + sum(leg.profit(self._price(feed)) for feed, _, leg in self.legs())
