"""How large a position is: from equity, price and leverage."""

from __future__ import annotations

from lstm_backtrader.futures.rules import round_to_lot, size_of


def size_for(
    equity: float,
    price: float,
    leverage: float = 1.0,
    fraction: float = 0.95,
    lot: float = 0.0,
    inverse: bool = False,
) -> float:
    """Size whose notional is ``leverage * fraction * equity``, cut down to a multiple of `lot`.

    `equity` is in the settlement coin; the size is in the base coin, of an `inverse` contract in the quote coin.
    `fraction` stays below 1 so that the next open may lie a little higher and the fee is still paid. Equity or a
    price of zero and below give 0.0. For a short pass the size to `sell`.

    >>> size_for(equity=10_000.0, price=100.0, leverage=3.0)
    285.0
    >>> size_for(equity=2.0, price=50_000.0, leverage=3.0, lot=100.0, inverse=True)
    285000.0
    """
    if equity <= 0.0 or price <= 0.0:
        return 0.0
    return round_to_lot(size_of(equity * leverage * fraction, price, inverse), lot)
