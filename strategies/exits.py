"""Exits that lie at the broker as orders from the moment a position is entered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lstm_backtrader.errors import ConfigError
from lstm_backtrader.strategies.rules import ExitOrder
from lstm_backtrader.strategies.situation import Situation


@dataclass(frozen=True)
class OrderExit:
    """An exit that is an order and nothing else: it never leaves by itself."""

    def leaves(self, situation: Situation) -> str | None:
        return None


@dataclass(frozen=True)
class StopLoss(OrderExit):
    """A stop `stop_price_pct` behind the entry's fill, as a fraction of the price: 0.02 is 2 %."""

    stop_price_pct: float

    def __post_init__(self) -> None:
        _check_distance("stop_price_pct", self.stop_price_pct)

    def orders(self, situation: Situation) -> Sequence[ExitOrder]:
        return (ExitOrder("stop", "stop", from_fill=-situation.side * self.stop_price_pct),)


@dataclass(frozen=True)
class TakeProfit(OrderExit):
    """A limit `take_profit_price_pct` beyond the entry's fill, as a fraction of the price."""

    take_profit_price_pct: float

    def __post_init__(self) -> None:
        _check_distance("take_profit_price_pct", self.take_profit_price_pct)

    def orders(self, situation: Situation) -> Sequence[ExitOrder]:
        return (ExitOrder("take_profit", "limit", from_fill=situation.side * self.take_profit_price_pct),)


@dataclass(frozen=True)
class TrailingStop(OrderExit):
    """A stop that follows the best price at `trailing_price_pct`, as a fraction of it."""

    trailing_price_pct: float

    def __post_init__(self) -> None:
        _check_distance("trailing_price_pct", self.trailing_price_pct)

    def orders(self, situation: Situation) -> Sequence[ExitOrder]:
        return (ExitOrder("trailing", "trailing", from_fill=-situation.side * self.trailing_price_pct),)


def _check_distance(name: str, distance: float) -> None:
    if not 0.0 < distance < 1.0:
        raise ConfigError(f"{name}={distance} must be in (0, 1). It is a fraction of the price: 0.02 is 2 %.")
