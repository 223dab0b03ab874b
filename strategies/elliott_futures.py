"""Elliott waves alone, traded as any signal: what a filter or a feature of them has to be compared with."""

from __future__ import annotations

from typing import Any

from lstm_backtrader.errors import ConfigError
from lstm_backtrader.forecast.elliott import DONE
from lstm_backtrader.indicators.elliott import ElliottWaves
from lstm_backtrader.strategies.signal_futures import SignalFutures

_indicator: Any = ElliottWaves  # Backtrader's metaclass takes the parameters, which a type checker cannot see


class ElliottFutures(SignalFutures):
    """Hold the side of the best count's impulse while it is in one of `waves`, else nothing.

    `waves`: of 1 to 5; by default those that run with the impulse and have a start to be wrong at, 3 and 5.
    `confidence`: the least a count must have. `turn`, `span`, `context`, `stride`, `timeframe`: see `ElliottWaves`.
    """

    params = (
        ("waves", (3, 5)),
        ("confidence", 0.0),
        ("turn", 3.0),
        ("span", 14),
        ("context", 384),
        ("stride", 96),
        ("timeframe", None),
    )

    def __init__(self) -> None:
        unknown = [wave for wave in self.p.waves if wave not in range(1, DONE)]
        if unknown or not self.p.waves:
            raise ConfigError(f"waves={self.p.waves!r}: an impulse has waves 1 to 5. The default is (3, 5).")
        if not 0 <= self.p.confidence <= 1:
            raise ConfigError(f"confidence={self.p.confidence} must be in [0, 1]. 0 takes every count.")
        names = ("turn", "span", "context", "stride", "timeframe")
        self.waves = _indicator(self.data, **{name: getattr(self.p, name) for name in names})
        self.signal = self.waves.wave

    def target(self) -> int:
        """The side of the impulse in one of the waves to hold, 0 in others."""
        is_held = abs(self.signal[0]) in self.p.waves and self.waves.confidence[0] >= self.p.confidence
        return super().target() if is_held else 0
