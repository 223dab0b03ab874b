"""The arithmetic of a perpetual future: scalar functions of floats, in the settlement coin.

A size is signed, +1.5 is long 1.5. Of a linear contract it counts the base coin and money is the quote coin; of an
inverse one it counts the quote coin ("contracts of 1 USD") and money is the base coin. Seen from the settlement
coin one unit of size is worth `price`, or `1 / price`; with that a formula serves both kinds. Nothing here knows
a class, so that a compiler such as numba can take the same lines.
"""

import math


def unit_value(price: float, inverse: bool = False) -> float:
    """Worth of one unit of size in the settlement coin.

    >>> unit_value(8000.0), unit_value(8000.0, inverse=True)
    (8000.0, 0.000125)
    """
    return 1.0 / price if inverse else price


def notional(size: float, price: float, inverse: bool = False) -> float:
    """Worth of a position in the settlement coin, never negative.

    >>> notional(size=-2.0, price=100.0), notional(size=60_000.0, price=50_000.0, inverse=True)
    (200.0, 1.2)
    """
    return abs(size) / price if inverse else abs(size) * price


def size_of(notional: float, price: float, inverse: bool = False) -> float:
    """Size worth `notional` at `price`; keeps the sign.

    >>> size_of(notional=-200.0, price=100.0), size_of(notional=1.2, price=50_000.0, inverse=True)
    (-2.0, 60000.0)
    """
    return notional * price if inverse else notional / price


def profit(size: float, entry: float, price: float, inverse: bool = False) -> float:
    """Profit of a position opened at `entry` and valued or closed at `price`.

    Source: Bybit, "P&L calculations (USDT contract)"; BitMEX, "Perpetual contracts guide".

    >>> profit(size=0.2, entry=7000.0, price=7500.0), profit(size=-0.4, entry=6000.0, price=5000.0)
    (100.0, 400.0)
    >>> round(profit(size=15_000.0, entry=750.0, price=800.0, inverse=True), 12)
    1.25
    """
    if inverse:
        return size * (1.0 / entry - 1.0 / price)
    return size * (price - entry)


def average_entry(size: float, entry: float, added: float, price: float, inverse: bool = False) -> float:
    """Entry price of a position of `size` at `entry` after `added` (same sign) at `price`.

    Arithmetic for linear contracts, harmonic for inverse ones. Source: Bybit, "Average entry price".

    >>> average_entry(0.5, 5000.0, 0.3, 6000.0)
    5375.0
    >>> round(average_entry(1000.0, 100.0, 1000.0, 105.0, inverse=True), 4)
    102.439
    """
    total = size + added
    if inverse:
        return total / ((size / entry if size else 0.0) + added / price)
    return (entry * size + price * added) / total


def fee(size: float, price: float, rate: float, inverse: bool = False) -> float:
    """Fee of a fill, a cost >= 0 (< 0 is a rebate). `rate`: fraction of notional, 0.0005 = 5 bp.

    >>> fee(size=-2.0, price=100.0, rate=0.0005)
    0.1
    """
    return notional(size, price, inverse) * rate


def initial_margin(size: float, price: float, leverage: float, inverse: bool = False) -> float:
    """Collateral an isolated position locks when it opens at `price`.

    >>> initial_margin(size=-50.0, price=100.0, leverage=10.0)
    500.0
    """
    return notional(size, price, inverse) / leverage


def maintenance_margin(
    size: float, price: float, maintenance: float, deduction: float = 0.0, inverse: bool = False
) -> float:
    """Collateral below which the venue closes the position.

    `maintenance`: fraction of notional, 0.005 = 0.5 %. `deduction`: the tier's constant, "cum" or "maintenance
    amount". Source: Binance, "Notional limits and maintenance margin".

    >>> maintenance_margin(size=2.5, price=100_000.0, maintenance=0.005, deduction=50.0)
    1200.0
    """
    return notional(size, price, inverse) * maintenance - deduction


def tier_deduction(floor: float, maintenance: float, previous: float, previous_deduction: float) -> float:
    """Deduction that makes the requirement continuous where a tier begins, at notional `floor`.

    Source: Binance COIN-M FAQ, "Maintenance margin".

    >>> round(tier_deduction(floor=600_000.0, maintenance=0.0065, previous=0.005, previous_deduction=50.0), 9)
    950.0
    """
    return floor * (maintenance - previous) + previous_deduction


def liquidation_price(
    size: float,
    entry: float,
    margin: float,
    maintenance: float,
    deduction: float = 0.0,
    closing_fee: float = 0.0,
    inverse: bool = False,
    on_entry: bool = False,
) -> float:
    """Price at which margin plus profit of a position equals its requirement.

    The requirement is ``notional * (maintenance + closing_fee) - deduction``, with the notional at that price, or
    at the entry price where `on_entry`. `margin`: of an isolated position its own; of a cross position the wallet
    balance, less the maintenance of all others, plus their open profit. A price that cannot be reached is 0 or
    below for a long and infinite for an inverse short: a linear long at 1x is never liquidated.

    Source: Binance USDⓈ-M FAQ, "How to calculate liquidation price"; Bitget and BingX add the taker fee to the
    requirement; BitMEX takes the notional at the entry, as Bybit did until September 2025.

    >>> round(liquidation_price(size=50.0, entry=100.0, margin=500.0, maintenance=0.005), 4)
    90.4523
    >>> round(liquidation_price(size=-50.0, entry=100.0, margin=500.0, maintenance=0.005), 4)
    109.4527
    >>> round(liquidation_price(60_000.0, 50_000.0, 0.12, 0.005, inverse=True, on_entry=True), 2)
    45662.1
    """
    rate = maintenance + closing_fee
    value = unit_value(entry, inverse)
    direction = -size if inverse else size  # what the account gains where a unit gains 1
    if on_entry:
        level = value + (abs(size) * value * rate - deduction - margin) / direction
    else:
        level = (margin + deduction - direction * value) / (abs(size) * rate - direction)
    if not inverse:
        return level
    return 1.0 / level if level > 0.0 else math.inf


def bankruptcy_price(
    size: float, entry: float, margin: float, closing_fee: float = 0.0, inverse: bool = False
) -> float:
    """Price at which the loss, and the fee of closing there, equal the whole margin.

    No fill that closes the position costs more than this. Infinite for an inverse short that cannot go bankrupt.

    >>> bankruptcy_price(size=50.0, entry=100.0, margin=500.0)
    90.0
    >>> round(bankruptcy_price(10_000.0, 8_000.0, 0.5, closing_fee=0.00075, inverse=True), 2)
    5718.57
    """
    return liquidation_price(size, entry, margin, 0.0, 0.0, closing_fee, inverse)


def liquidation_distance(
    side: int,
    leverage: float,
    maintenance: float,
    closing_fee: float = 0.0,
    inverse: bool = False,
    on_entry: bool = False,
) -> float:
    """How far the price may move against a fresh position, as a fraction of its entry price.

    `side`: +1 long, -1 short. Infinite where no move can liquidate it.

    >>> round(liquidation_distance(side=1, leverage=10.0, maintenance=0.005), 6)
    0.095477
    """
    margin = 1.0 / leverage
    return side * (1.0 - liquidation_price(side, 1.0, margin, maintenance, 0.0, closing_fee, inverse, on_entry))


def price_change(return_on_margin: float, side: int, leverage: float, inverse: bool = False) -> float:
    """Relative change of the price after which a fresh position has gained that fraction of its margin.

    `side`: +1 long, -1 short. Infinite where an inverse long or a linear short cannot gain so much.

    >>> price_change(-0.2, side=1, leverage=10.0), price_change(0.5, side=-1, leverage=10.0)
    (-0.02, -0.05)
    >>> round(price_change(-0.2, side=1, leverage=10.0, inverse=True), 6)
    -0.019608
    """
    moved = side * return_on_margin / leverage
    if not inverse:
        return moved if moved > -1.0 else -math.inf
    return 1.0 / (1.0 - moved) - 1.0 if moved < 1.0 else math.inf


def funding_payment(size: float, mark: float, rate: float, inverse: bool = False) -> float:
    """What a position receives at a funding stamp; negative is paid. A positive rate: longs pay shorts.

    `mark`: mark price at the stamp; nan, a price that is not known, books nothing. `rate`: fraction of notional for
    this stamp, 0.0001 = 1 bp.

    >>> round(funding_payment(size=1.2, mark=72.25, rate=0.0001), 5)
    -0.00867
    """
    if math.isnan(mark):
        return 0.0
    return -size * unit_value(mark, inverse) * rate


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


def round_against(price: float, tick: float, side: int) -> float:
    """A liquidation price at the next tick that comes sooner for the trader; `side`: +1 long, -1 short.

    Source: Bybit, "Liquidation price (inverse contract)", whose example of 5739.08 is shown as 5739.50.

    >>> round_against(5739.08, tick=0.5, side=1), round_against(5739.08, tick=0.5, side=-1)
    (5739.5, 5739.0)
    """
    if tick <= 0.0 or not math.isfinite(price):
        return price
    ticks = price / tick
    whole = math.ceil(ticks - 1e-9) if side > 0 else math.floor(ticks + 1e-9)
    return round(whole * tick, 12)
