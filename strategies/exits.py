"""Stop, take-profit and trailing stop as orders at the broker, each a fraction of the price."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import backtrader as bt

from lstm_backtrader.errors import ConfigError, LeverageError
from lstm_backtrader.futures.contract import Contract
from lstm_backtrader.futures.rules import liquidation_distance


@dataclass(frozen=True)
class Exits:
    """Distances from the entry price, as fractions: 0.02 is 2 %, 0 is off.

    Raises `ConfigError` for a distance below 0 or of 1 and more.
    """

    stop: float = 0.0
    take_profit: float = 0.0
    trailing: float = 0.0

    def __post_init__(self) -> None:
        for name in ("stop", "take_profit", "trailing"):
            distance = getattr(self, name)
            if not 0.0 <= distance < 1.0:
                raise ConfigError(
                    f"{name}_price_pct={distance} must be in [0, 1). It is a fraction of the price: 0.02 is 2 %."
                )

    def check_liquidation(self, leverage: float, contract: Contract) -> None:
        """Refuse a stop that the venue's liquidation of an isolated position would forestall, on either side.

        Raises:
            LeverageError: naming the distance to stay below.
        """
        terms = (contract.maintenance, contract.closing_fee, contract.is_inverse, contract.on_entry)
        distance = min(liquidation_distance(side, leverage, *terms) for side in (1, -1))
        for name, value in (("stop", self.stop), ("trailing", self.trailing)):
            if value >= distance:
                raise LeverageError(
                    f"{name}_price_pct={value} lies at or beyond liquidation, {distance:.4f} from the entry at "
                    f"leverage {leverage:g}. Use a nearer stop or less leverage."
                )

    def orders(self, side: int, price: float) -> list[dict[str, Any]]:
        """Keyword arguments of one order for each exit of a position; `side` +1 long, -1 short.

        `price`: the best guess of the entry; a futures broker moves them to the true one (`from_fill`). The stop
        comes first, since Backtrader's broker fills in this order where one bar reaches two of them.
        """
        stop, target, trail = -side * self.stop, side * self.take_profit, -side * self.trailing
        found: list[dict[str, Any]] = []
        if self.stop:
            found.append(
                {"reason": "stop", "exectype": bt.Order.Stop, "price": price * (1 + stop), "from_fill": stop}
            )
        if self.trailing:
            found.append({"reason": "trailing", "exectype": bt.Order.StopTrail, "price": price})
            found[-1] |= {"trailpercent": self.trailing, "from_fill": trail}
        if self.take_profit:
            found.append({"reason": "take_profit", "exectype": bt.Order.Limit, "price": price * (1 + target)})
            found[-1]["from_fill"] = target
        return found
