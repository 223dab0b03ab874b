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

    held = 0.0  # notional held when the broker was last asked for it, as `order_target_value` does before `getsize`

    @property
    def inverse(self) -> bool:
        return bool(self.p.contract.is_inverse)

    def get_margin(self, price: float) -> float:
        return rules.initial_margin(1.0, price, self.p.margin_leverage, self.inverse)

    def getsize(self, price: float, cash: float) -> float:
        """The size whose notional is `cash`, cut to the contract's lot: what `order_target_value` asks for.

        0.0 for a difference that the fee of the position can have made by itself, or the same target twice would
        trade twice.
        """
        if cash <= 1.01 * self.held * abs(self.p.contract.taker_fee) * self.p.margin_leverage:
            return 0.0
        return rules.round_to_lot(rules.size_of(cash, price, self.inverse), self.p.contract.lot)

    def getoperationcost(self, size: float, price: float) -> float:
        return rules.initial_margin(size, price, self.p.margin_leverage, self.inverse)

    def getvaluesize(self, size: float, price: float) -> float:
        if not size:  # of a closed trade, whose price may be anything
            return 0.0
        return rules.initial_margin(size, price, self.p.margin_leverage, self.inverse)

    def getvalue(self, position: Any, price: float) -> float:  # a Backtrader Position
        """Entry margin plus open profit."""
        if not position.size:
            return 0.0
        margin = rules.initial_margin(position.size, position.price, self.p.margin_leverage, self.inverse)
        return margin + rules.profit(position.size, position.price, price, self.inverse)

    def profitandloss(self, size: float, price: float, newprice: float) -> float:
        return rules.profit(size, price, newprice, self.inverse)

    def get_credit_interest(self, data: Any, pos: Any, dt: Any) -> float:
        """None: perpetual futures pay funding, which the broker books itself."""
        return 0.0

    def _getcommission(self, size: float, price: float, pseudoexec: bool) -> float:
        return rules.fee(size, price, self.p.contract.taker_fee, self.inverse)


class ProfitOfFills:
    """The commission scheme of one order that tells a trade what the account gained.

    Backtrader's trades average their entries arithmetically, which is wrong for inverse contracts: whoever asks
    for the profit of one of the order's fills gets what was booked for it.
    """

    def __init__(self, scheme: FuturesCommission, order: Any) -> None:
        self._scheme = scheme
        self._executed = order.executed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scheme, name)

    def profitandloss(self, size: float, price: float, newprice: float) -> float:
        for bit in reversed(self._executed.exbits):
            if bit.closed == -size and bit.price == newprice:
                return float(bit.pnl)
        return self._scheme.profitandloss(size, price, newprice)
