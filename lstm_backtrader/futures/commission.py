"""The contract in the shape Backtrader asks for: a commission scheme that sizers and trades can query."""

from __future__ import annotations

from typing import Any

import backtrader as bt

from lstm_backtrader.futures import rules


class FuturesCommission(bt.CommInfoBase):
    """Margin, fee and profit of one `Contract` at one leverage.

    Backtrader's own `leverage` parameter stays at 1: the margin already holds the leverage, twice would be wrong.
    """

    params = (
        ("contract", None),
        ("margin_leverage", 1.0),  # notional / margin
        ("stocklike", True),
        ("commtype", bt.CommInfoBase.COMM_PERC),
        ("percabs", True),
    )

    def get_margin(self, price: float) -> float:
        return rules.initial_margin(1.0, price, self.p.margin_leverage)

    def getsize(self, price: float, cash: float) -> float:
        """The size that `cash` as margin pays for, cut to the contract's lot."""
        return rules.round_to_lot(cash * self.p.margin_leverage / price, self.p.contract.lot)

    def getoperationcost(self, size: float, price: float) -> float:
        return rules.initial_margin(size, price, self.p.margin_leverage)

    def getvaluesize(self, size: float, price: float) -> float:
        return rules.initial_margin(size, price, self.p.margin_leverage)

    def getvalue(self, position: Any, price: float) -> float:  # a Backtrader Position
        """Entry margin plus open profit."""
        margin = rules.initial_margin(position.size, position.price, self.p.margin_leverage)
        return margin + rules.profit(position.size, position.price, price)

    def profitandloss(self, size: float, price: float, newprice: float) -> float:
        return rules.profit(size, price, newprice)

    def get_credit_interest(self, data: Any, pos: Any, dt: Any) -> float:
        """None: perpetual futures pay funding, which the broker books itself."""
        return 0.0

    def _getcommission(self, size: float, price: float, pseudoexec: bool) -> float:
        return rules.fee(size, price, self.p.contract.taker_fee)
