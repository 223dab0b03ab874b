"""What every result is shown beside: holding, and a crossover of two averages."""

from __future__ import annotations

import backtrader as bt

from lstm_backtrader.errors import ConfigError
from lstm_backtrader.strategies.signal_futures import SignalFutures


class BuyAndHold(SignalFutures):
    """Buy once, at `trade_from`, and hold, without leverage.

    At leverage 1 a long is never liquidated, so it wants an account of its own, ``FuturesBroker(leverage=1)``.
    """

    params = (("leverage", 1.0),)

    def target(self) -> int:
        return 1


class SmaCross(SignalFutures):
    """Long while the fast simple average lies above the slow one, short while below; lengths in bars."""

    params = (("fast", 24), ("slow", 168))

    def __init__(self) -> None:
        if not 0 < self.p.fast < self.p.slow:
            raise ConfigError(f"fast={self.p.fast} must be at least 1 and below slow={self.p.slow}.")
        fast = bt.indicators.SimpleMovingAverage(self.data, period=self.p.fast)
        slow = bt.indicators.SimpleMovingAverage(self.data, period=self.p.slow)
        self.signal = bt.Cmp(fast, slow)
