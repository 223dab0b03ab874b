"""How large a position is: from equity, price and leverage."""

from __future__ import annotations

from lstm_backtrader.futures.rules import round_to_lot


def size_for(equity: float, price: float, leverage: float = 1.0, fraction: float = 0.95, lot: float = 0.0) -> float:
    """Size whose notional is ``leverage * fraction * equity``, in the base coin, cut down to a multiple of `lot`.

    `fraction` stays below 1 so that the next open may lie a little higher and the fee is still paid. Equity or a
    price of zero and below give 0.0. For a short pass the size to `sell`: `order_target_percent` counts differently
    on every broker.

    >>> size_for(equity=10_000.0, price=100.0, leverage=3.0)
    285.0
    """
    if equity <= 0.0 or price <= 0.0:
        return 0.0
    return round_to_lot(equity * leverage * fraction / price, lot)
