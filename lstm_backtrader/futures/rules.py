"""The arithmetic of a linear perpetual future: scalar functions of floats, in the settlement coin.

Sizes are in the base coin and signed, +1.5 is long 1.5, -1.5 is short. Nothing here knows a class, so that a
compiler such as numba can take the same lines.
"""

import math


def notional(size: float, price: float) -> float:
    """Worth of a position in the settlement coin, never negative.

    >>> notional(size=-2.0, price=100.0)
    200.0
    """
    return abs(size) * price


def profit(size: float, entry: float, price: float) -> float:
    """Profit of a position opened at `entry` and valued or closed at `price`.

    >>> profit(size=0.2, entry=7000.0, price=7500.0), profit(size=-0.4, entry=6000.0, price=5000.0)
    (100.0, 400.0)
    """
    return size * (price - entry)


def fee(size: float, price: float, rate: float) -> float:
    """Fee of a fill, a cost >= 0 (< 0 is a rebate). `rate`: fraction of notional, 0.0005 = 5 bp.

    >>> fee(size=-2.0, price=100.0, rate=0.0005)
    0.1
    """
    return abs(size) * price * rate


def initial_margin(size: float, price: float, leverage: float) -> float:
    """Collateral an isolated position locks when it opens at `price`.

    >>> initial_margin(size=-50.0, price=100.0, leverage=10.0)
    500.0
    """
    return abs(size) * price / leverage


def maintenance_margin(size: float, price: float, maintenance: float, deduction: float = 0.0) -> float:
    """Collateral below which the venue closes the position.

    `maintenance`: fraction of notional, 0.005 = 0.5 %. `deduction`: the tier's constant, "cum" or "maintenance
    amount". Source: Binance, "Notional limits and maintenance margin".

    >>> maintenance_margin(size=2.5, price=100_000.0, maintenance=0.005, deduction=50.0)
    1200.0
    """
    return abs(size) * price * maintenance - deduction


def liquidation_price(
    size: float, entry: float, margin: float, maintenance: float, deduction: float = 0.0, closing_fee: float = 0.0
) -> float:
    """Price at which margin plus profit of an isolated position equals its maintenance margin.

    Source: Binance USDⓈ-M FAQ, "How to Calculate Liquidation Price"; Bitget and BingX add `closing_fee`, the taker
    fee rate, to the requirement. A long at 1x has its price at 0 or below: it is never liquidated.

    >>> round(liquidation_price(size=50.0, entry=100.0, margin=500.0, maintenance=0.005), 4)
    90.4523
    >>> round(liquidation_price(size=-50.0, entry=100.0, margin=500.0, maintenance=0.005), 4)
    109.4527
    """
    return (margin + deduction - size * entry) / (abs(size) * (maintenance + closing_fee) - size)


def bankruptcy_price(size: float, entry: float, margin: float) -> float:
    """Price at which the loss equals the whole margin; no fill that closes the position costs more than this.

    >>> bankruptcy_price(size=50.0, entry=100.0, margin=500.0)
    90.0
    """
    return entry - margin / size


def liquidation_distance(side: int, leverage: float, maintenance: float) -> float:
    """How far the price may move against a fresh position, as a fraction of its entry price.

    `side`: +1 long, -1 short.

    >>> round(liquidation_distance(side=1, leverage=10.0, maintenance=0.005), 6)
    0.095477
    """
    return side * (1.0 - liquidation_price(side, 1.0, 1.0 / leverage, maintenance))


def funding_payment(size: float, mark: float, rate: float) -> float:
    """What a position receives at a funding stamp; negative is paid. A positive rate: longs pay shorts.

    `mark`: mark price at the stamp. `rate`: fraction of notional for this stamp, 0.0001 = 1 bp.

    >>> round(funding_payment(size=1.2, mark=72.25, rate=0.0001), 5)
    -0.00867
    """
    return -size * mark * rate


def round_to_lot(size: float, lot: float) -> float:
    """The size cut towards zero to a multiple of `lot`; 0 allows any fraction.

    >>> round_to_lot(0.2999, lot=0.1), round_to_lot(-0.35, lot=0.1), round_to_lot(0.35, lot=0.0)
    (0.2, -0.3, 0.35)
    """
    if lot <= 0.0:
        return size
    lots = math.floor(abs(size) / lot + 1e-9)  # 0.3 / 0.1 is 2.9999999999999996
    return math.copysign(round(lots * lot, 12), size)


def round_to_tick(price: float, tick: float) -> float:
    """The price at the nearest multiple of `tick`; 0 allows any price.

    >>> round_to_tick(5739.08, tick=0.5), round_to_tick(5739.08, tick=0.0)
    (5739.0, 5739.08)
    """
    if tick <= 0.0:
        return price
    return round(math.floor(price / tick + 0.5) * tick, 12)
