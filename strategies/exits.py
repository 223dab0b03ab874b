"""Exits that lie at the broker as orders from the moment a position is entered.

The unit is part of each name: `..._price_pct` is a fraction of the price, `..._margin_pct` one of the margin, which
moves by the leverage as much. 0.02 is 2 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lstm_backtrader.errors import ConfigError
from lstm_backtrader.futures.rules import price_change
from lstm_backtrader.strategies.rules import ExitOrder
from lstm_backtrader.strategies.situation import Situation


class RestingExit:
    """An exit that is an order and nothing else: it never asks to leave by itself."""

    def leaves(self, situation: Situation) -> str | None:
        """Never: the order does it."""
        return None


class FixedExit(RestingExit):
    """One whose orders follow from side, leverage and contract alone.

    So a stop beyond liquidation is refused before the run begins.
    """


@dataclass(frozen=True)
class StopLoss(FixedExit):
    """A stop behind the entry's fill: reason "stop".

    Give one of the two. `stop_margin_pct` of an inverse contract counts its curved profit, so that the position
    loses that part of its margin and no more.
    """

    stop_price_pct: float = 0.0
    stop_margin_pct: float = 0.0

    def __post_init__(self) -> None:
        _check_one(self, "stop_price_pct", "stop_margin_pct")

    def orders(self, situation: Situation) -> Sequence[ExitOrder]:
        offset = _offset(situation, -self.stop_price_pct, -self.stop_margin_pct)
        return (ExitOrder("stop", "stop", from_fill=offset),)


@dataclass(frozen=True)
class TakeProfit(FixedExit):
    """A limit beyond the entry's fill, for all of the position or a `share` of it: reason "take_profit".

    Give one of the two distances; a `take_profit_margin_pct` may be above 1. Several with a share each take profit
    in parts.
    """

    take_profit_price_pct: float = 0.0
    take_profit_margin_pct: float = 0.0
    share: float = 1.0  # of the position as it was entered

    def __post_init__(self) -> None:
        _check_one(self, "take_profit_price_pct", "take_profit_margin_pct", most_of_margin=float("inf"))
        if not 0.0 < self.share <= 1.0:
            raise ConfigError(
                f"share={self.share} must be in (0, 1]. It is a fraction of the position: 0.5 is half."
            )

    def orders(self, situation: Situation) -> Sequence[ExitOrder]:
        offset = _offset(situation, self.take_profit_price_pct, self.take_profit_margin_pct)
        return (ExitOrder("take_profit", "limit", from_fill=offset, share=self.share),)


@dataclass(frozen=True)
class TrailingStop(FixedExit):
    """A stop that follows the best price at a distance of `trailing_price_pct` of it: reason "trailing".

    With `activation_price_pct` it begins only once the price has been so far beyond the fill.
    """

    trailing_price_pct: float
    activation_price_pct: float = 0.0

    def __post_init__(self) -> None:
        _check_price("trailing_price_pct", self.trailing_price_pct)
        if self.activation_price_pct:
            _check_price("activation_price_pct", self.activation_price_pct)

    def orders(self, situation: Situation) -> Sequence[ExitOrder]:
        wakes = situation.side * self.activation_price_pct if self.activation_price_pct else None
        offset = -situation.side * self.trailing_price_pct
        return (ExitOrder("trailing", "trailing", from_fill=offset, wakes_from_fill=wakes),)


@dataclass(frozen=True)
class BreakEven(FixedExit):
    """A stop at the entry's fill, once the price has been `break_even_price_pct` beyond it: reason "break_even".

    `lock_price_pct`: so far on the good side of the fill, say to pay for the fees.
    """

    break_even_price_pct: float
    lock_price_pct: float = 0.0

    def __post_init__(self) -> None:
        _check_price("break_even_price_pct", self.break_even_price_pct)
        if not 0.0 <= self.lock_price_pct < self.break_even_price_pct:
            raise ConfigError(
                f"lock_price_pct={self.lock_price_pct} must be 0 or more and below break_even_price_pct="
                f"{self.break_even_price_pct}. It is a fraction of the price: 0.001 is 0.1 %."
            )

    def orders(self, situation: Situation) -> Sequence[ExitOrder]:
        lock, wakes = situation.side * self.lock_price_pct, situation.side * self.break_even_price_pct
        return (ExitOrder("break_even", "stop", from_fill=lock, wakes_from_fill=wakes),)


def _offset(situation: Situation, price_pct: float, margin_pct: float) -> float:
    """Signed distance from the fill as a fraction of it, of a wish in one of the two units; gains are positive."""
    if not margin_pct:
        return situation.side * price_pct
    return price_change(margin_pct, situation.side, situation.leverage, situation.contract.is_inverse)


def _check_one(rule: FixedExit, price: str, margin: str, most_of_margin: float = 1.0) -> None:
    given = {name: getattr(rule, name) for name in (price, margin) if getattr(rule, name)}
    if len(given) != 1:
        raise ConfigError(
            f"{type(rule).__name__} takes either {price} or {margin}, was given "
            f"{' and '.join(f'{name}={value}' for name, value in given.items()) or 'none'}."
        )
    if price in given:
        _check_price(price, given[price])
    elif not 0.0 < given[margin] < most_of_margin:
        allowed = "above 0" if most_of_margin > 1.0 else "in (0, 1)"
        raise ConfigError(
            f"{margin}={given[margin]} must be {allowed}. It is a fraction of the margin: 0.2 is 20 %."
        )


def _check_price(name: str, distance: float) -> None:
    if not 0.0 < distance < 1.0:
        raise ConfigError(f"{name}={distance} must be in (0, 1). It is a fraction of the price: 0.02 is 2 %.")
