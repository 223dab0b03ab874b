"""What a venue says about one perpetual future: fees, steps, limits."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lstm_backtrader.errors import ConfigError


@dataclass(frozen=True)
class Contract:
    """One perpetual future, settled in one coin.

    Fees, maintenance and steps are what a venue publishes; the defaults are those of a large USDT-margined one for
    its first tier. Raises `ConfigError` where a value cannot be.
    """

    symbol: str = ""
    kind: str = "linear"  # profit = size * (exit - entry)
    maker_fee: float = 0.0002  # fraction of notional; negative is a rebate
    taker_fee: float = 0.0005
    maintenance: float = 0.005  # fraction of notional below which the venue liquidates
    max_leverage: float = 125.0
    lot: float = 0.0  # smallest step of a size, in the base coin; 0: any fraction
    tick: float = 0.0  # smallest step of a price; 0: any price
    min_notional: float = 0.0  # smallest order that opens a position, in the settlement coin
    settlement: str = "USDT"

    def __post_init__(self) -> None:
        if self.kind != "linear":
            raise ConfigError(f"contract kind {self.kind!r} is unknown. Use kind='linear'.")
        for name in ("maker_fee", "taker_fee"):
            rate = getattr(self, name)
            if not -0.01 < rate < 0.1:
                raise ConfigError(
                    f"{name}={rate} must lie between -0.01 and 0.1. It is a fraction: 0.0005 is 0.05 %."
                )
        if not 0.0 <= self.maintenance < 1.0:
            raise ConfigError(
                f"maintenance={self.maintenance} must be in [0, 1). It is a fraction: 0.005 is 0.5 %."
            )
        if not (math.isfinite(self.max_leverage) and self.max_leverage >= 1.0):
            raise ConfigError(f"max_leverage={self.max_leverage} must be 1 or more.")
        for name in ("lot", "tick", "min_notional"):
            step = getattr(self, name)
            if not (math.isfinite(step) and step >= 0.0):
                raise ConfigError(f"{name}={step} must be 0 or more; 0 switches it off.")
