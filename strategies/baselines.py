"""What every result is shown beside: holding, two rules of thumb, and entries at random."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any

import backtrader as bt
import numpy as np

from lstm_backtrader.errors import ConfigError
from lstm_backtrader.reporting.recorder import RunRecord
from lstm_backtrader.strategies import parameters as p
from lstm_backtrader.strategies.signal_futures import SignalFutures

SMA_CROSS = (
    p.whole("fast", 24, 1, "bars", "length of the fast average"),
    p.whole("slow", 168, 2, "bars", "length of the slow average, above `fast`"),
)
MOMENTUM = (p.whole("lookback", 168, 1, "bars", "back to the close that the last one is compared with"),)
RANDOM_ENTRY = (
    p.anything("holdings", (24, -24), "whole numbers other than 0", "how long each position is held", "bars"),
    p.whole("flat_bars", 192, 0, "bars", "without a position, between them all"),
    p.whole("seed", 0, 0, "", "of the draw"),
)


def _defaults(parameters: Sequence[p.Parameter]) -> tuple[tuple[str, object], ...]:
    return tuple((each.name, each.default) for each in parameters)


def _check(strategy: SignalFutures, parameters: Sequence[p.Parameter]) -> None:
    """Before an indicator is made of them."""
    for each in parameters:
        each.check(getattr(strategy.p, each.name))


class BuyAndHold(SignalFutures):
    """Buy once, at `trade_from`, and hold, without leverage.

    At leverage 1 a long is never liquidated, so it wants an account of its own, ``FuturesBroker(leverage=1)``.
    """

    params = (("leverage", 1.0),)

    def target(self) -> int:
        return 1


class SmaCross(SignalFutures):
    """Long while the fast simple average lies above the slow one, short while below; lengths in bars."""

    params = _defaults(SMA_CROSS)

    @classmethod
    def parameters(cls) -> Sequence[p.Parameter]:
        return (*SMA_CROSS, *super().parameters())

    def __init__(self) -> None:
        _check(self, SMA_CROSS)
        if not self.p.fast < self.p.slow:
            raise ConfigError(f"fast={self.p.fast} must be below slow={self.p.slow}.")
        fast = bt.indicators.SimpleMovingAverage(self.data, period=self.p.fast)
        slow = bt.indicators.SimpleMovingAverage(self.data, period=self.p.slow)
        self.signal = bt.Cmp(fast, slow)


class Momentum(SignalFutures):
    """Long while the close lies above that of `lookback` bars ago, short while below.

    Source: Moskowitz, Ooi and Pedersen, "Time series momentum", Journal of Financial Economics 2012.
    """

    params = _defaults(MOMENTUM)

    @classmethod
    def parameters(cls) -> Sequence[p.Parameter]:
        return (*MOMENTUM, *super().parameters())

    def __init__(self) -> None:
        _check(self, MOMENTUM)
        self.signal = bt.Cmp(self.data.close, self.data.close(-self.p.lookback))


class RandomEntry(SignalFutures):
    """As many positions, as long held, as a strategy had, at times drawn by chance.

    `holdings`: bars that each position is held, short negative. They are put in a random order, with `flat_bars`
    dealt out at random between them; when all are over they are drawn anew. `RandomEntry.matching(record)` takes
    both from the run of another strategy, so that turnover and the share of longs are the same and what is left to
    compare is the moment: what a strategy earns beyond the middle of many seeds is its timing.
    """

    params = _defaults(RANDOM_ENTRY)

    @classmethod
    def parameters(cls) -> Sequence[p.Parameter]:
        return (*RANDOM_ENTRY, *super().parameters())

    def __init__(self) -> None:
        _check(self, RANDOM_ENTRY)
        holdings = self.p.holdings
        if not isinstance(holdings, tuple | list) or not holdings or not all(map(_is_a_holding, holdings)):
            raise ConfigError(
                f"holdings={holdings!r} must be whole numbers of bars other than 0, short negative: (24, -24)."
            )
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
        if self.p.long_only:
            side = max(side, 0)
        return min(side, 0) if self.p.short_only else side


def _is_a_holding(bars: object) -> bool:
    return isinstance(bars, int) and bars != 0


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
