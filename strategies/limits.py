"""What an account bears: the largest position, what a move makes of it, and the leverage of a notional."""

from __future__ import annotations

from lstm_backtrader.errors import LeverageError
from lstm_backtrader.futures.contract import Contract
from lstm_backtrader.futures.rules import (
    fee,
    liquidation_distance,
    notional,
    profit,
    round_to_lot,
    size_of,
    unit_value,
)
from lstm_backtrader.strategies.situation import Situation

_HEADROOM = 0.99  # of the balance; the next open may lie beyond the close that a size was made by


def spendable(situation: Situation) -> float:
    """Balance that a new position may use once that of its data is closed at the price, settlement coin.

    Where the free balance is not known it is all of the equity.
    """
    free = situation.equity if situation.free != situation.free else situation.free
    if situation.held:
        inverse = situation.contract.is_inverse
        margin = notional(situation.size, situation.entry_price, inverse) / situation.leverage
        gained = profit(situation.size, situation.entry_price, situation.price, inverse)
        free += margin + max(gained, -margin)
    return max(0.0, min(situation.equity, free))


def largest_notional(situation: Situation) -> float:
    """The most that the balance bears, margin and taker fee, and that the venue allows at this leverage.

    A hundredth of the balance is kept back, so that the order is still paid where the next open lies beyond the
    close by as much.
    """
    contract, leverage = situation.contract, situation.leverage
    bearable = _HEADROOM * spendable(situation) / (1.0 / leverage + max(contract.taker_fee, 0.0))
    return min(bearable, contract.max_notional(leverage))


def size_within(wanted: float, situation: Situation) -> float:
    """Size worth `wanted`, or what of it the account bears, in whole lots; 0.0 below the venue's smallest order.

    `wanted`: notional at the price, settlement coin; NaN gives 0.0, too.

    >>> size_within(5_000.0, Situation(price=100.0, equity=1_000.0, leverage=3.0, contract=Contract(taker_fee=0.0)))
    29.7
    """
    contract, price = situation.contract, situation.price
    if not (wanted > 0.0 and price > 0.0):
        return 0.0
    worth = min(wanted, largest_notional(situation))
    size = round_to_lot(size_of(worth, price, contract.is_inverse), contract.lot)
    is_too_small = size < contract.min_size or notional(size, price, contract.is_inverse) < contract.min_notional
    return 0.0 if is_too_small else size


def gain_of_move(situation: Situation, move: float) -> float:
    """What one unit of size makes that is entered at the price and left when that has moved by `move` for it.

    `move`: fraction of the price, negative against the position: -0.02 is a stop at 2 %. Taker fee and slippage of
    both fills are in it, settlement coin. A gap beyond the stop and funding are not.

    >>> at = Situation(side=1, price=100.0, contract=Contract(taker_fee=0.0005))
    >>> round(gain_of_move(at, -0.02), 4)
    -2.099
    """
    contract, side = situation.contract, situation.side or 1
    inverse, price = contract.is_inverse, situation.price
    left_at = price * (1.0 + side * move)
    costs = sum(
        fee(1.0, each, contract.taker_fee, inverse) + situation.slippage * unit_value(each, inverse)
        for each in (price, left_at)
    )
    return profit(float(side), price, left_at, inverse) - costs


def leverage_for(contract: Contract, worth: float, margin: float, stop_price_pct: float = 0.0) -> float:
    """The lowest leverage at which a notional of `worth` needs no more than `margin`, both in the settlement coin.

    For ``FuturesBroker(contract, leverage=leverage_for(...))``: a lower leverage keeps liquidation further away and
    is allowed a larger notional. `stop_price_pct`: a stop that has to come before liquidation, 0.02 is 2 %.

    Raises:
        LeverageError: the venue allows no such position, or liquidates an isolated one before the stop.

    >>> leverage_for(Contract(), worth=6_000.0, margin=2_000.0)
    3.0
    """
    if not (worth > 0.0 and margin > 0.0):
        raise LeverageError(f"a notional of {worth:g} on a margin of {margin:g} is no position. Give both above 0.")
    leverage = max(1.0, worth / margin)
    label, coin = contract.symbol or "the contract", contract.settlement
    if worth > contract.max_notional(1.0):
        raise LeverageError(
            f"a notional of {worth:,.2f} {coin} is above the {contract.max_notional(1.0):,.2f} that {label} allows "
            "at any leverage. Take a smaller position."
        )
    if leverage > contract.max_leverage or worth > contract.max_notional(leverage):
        limit = min(contract.max_leverage, contract.tier(worth).max_leverage)
        raise LeverageError(
            f"a notional of {worth:,.2f} {coin} on a margin of {margin:,.2f} takes leverage {leverage:g}, where "
            f"{label} allows {limit:g}. Put more margin behind it, or take a smaller position."
        )
    terms = (contract.tier(worth).maintenance, contract.closing_fee, contract.is_inverse, contract.on_entry)
    distance = min(liquidation_distance(side, leverage, *terms) for side in (1, -1))
    if stop_price_pct >= distance:
        raise LeverageError(
            f"stop_price_pct={stop_price_pct} lies at or beyond liquidation, {distance:.4f} from the entry at "
            f"leverage {leverage:g}. Put more margin behind the position, or use a nearer stop."
        )
    return leverage
