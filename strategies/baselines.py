"""What every result is shown beside: holding, two rules of thumb, and entries at random."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any

import backtrader as bt
import numpy as np

from lstm_backtrader.errors import ConfigError
from lstm_backtrader.reporting.recorder import RunRecord
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


class Momentum(SignalFutures):
    """Long while the close lies above that of `lookback` bars ago, short while below.

    Source: Moskowitz, Ooi and Pedersen, "Time series momentum", Journal of Financial Economics 2012.
    """

    params = (("lookback", 168),)

    def __init__(self) -> None:
        if not (isinstance(self.p.lookback, int) and self.p.lookback >= 1):
            raise ConfigError(f"lookback={self.p.lookback} must be a whole number of bars, 1 or more.")
        self.signal = bt.Cmp(self.data.close, self.data.close(-self.p.lookback))


class RandomEntry(SignalFutures):
    """As many positions, as long held, as a strategy had, at times drawn by chance.

    `holdings`: bars that each position is held, short negative. They are put in a random order, with `flat_bars`
    dealt out at random between them; when all are over they are drawn anew. `RandomEntry.matching(record)` takes
    both from the run of another strategy, so that turnover and the share of longs are the same and what is left to
    compare is the moment: what a strategy earns beyond the middle of many seeds is its timing.
    """

    params = (("holdings", (24, -24)), ("flat_bars", 192), ("seed", 0))

    def __init__(self) -> None:
        holdings = self.p.holdings
        if not holdings or not all(isinstance(bars, int) and bars for bars in holdings):
            raise ConfigError(
                f"holdings={holdings!r} must be whole numbers of bars other than 0, short negative: (24, -24)."
            )
        for name in ("flat_bars", "seed"):
            value = getattr(self.p, name)
            if not (isinstance(value, int) and value >= 0):
                raise ConfigError(f"{name}={value!r} must be a whole number, 0 or more.")
        self._sides = _sides(holdings, self.p.flat_bars, np.random.default_rng(self.p.seed))

    @staticmethod
    def matching(record: RunRecord) -> dict[str, Any]:
        """`holdings`, `flat_bars` and `trade_from` of a run, for ``cerebro.addstrategy(RandomEntry, **...)``.

        They are those of the record's first data; a position that was open and over in one bar counts as one bar.
        Raises `ConfigError` for a run without a trade.
        """
        trades = record.trades[record.trades["symbol"] == record.symbol]
        if trades.empty:
            raise ConfigError(
                f"{record.strategy} made no trade, so there is no turnover to match. Give a run that trades."
            )
        # one that is still open has been held to the end of the last bar, not to its open
        held = trades["side"] * (trades["bars"] + trades["is_open"]).clip(lower=1)
        # what is decided on the last bar is filled on none, hence the 1
        flat = len(record.equity) - 1 - int(held.abs().sum())
        return {
            "holdings": tuple(int(bars) for bars in held),
            "flat_bars": max(0, flat),
            "trade_from": record.equity.index[0].to_pydatetime(),
        }

    def target(self) -> int:
        side, is_new = next(self._sides)
        if is_new:
            self._side = 0  # so that one that follows another of its side is a position of its own
        return max(side, 0) if self.p.long_only else side


def _sides(holdings: Sequence[int], flat_bars: int, generator: np.random.Generator) -> Iterator[tuple[int, bool]]:
    """Without end, for each bar its side, and whether a position begins there."""
    while True:
        cuts = np.sort(generator.integers(0, flat_bars + 1, len(holdings)))
        gaps = np.diff(cuts, prepend=0, append=flat_bars).tolist()
        for gap, held in zip(gaps, generator.permutation(np.asarray(holdings)).tolist(), strict=False):
            yield from repeat((0, False), gap)
            side = 1 if held > 0 else -1
            yield side, True
            yield from repeat((side, False), abs(held) - 1)
        yield from repeat((0, False), gaps[-1])
