"""What chance alone shows: how often six pivots of prices without any pattern make a valid impulse.

Every number about waves belongs beside this one. On random walks it is 7 %, whatever their volatility.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lstm_backtrader.candles import Bars
from lstm_backtrader.forecast.elliott import DONE, is_impulse
from lstm_backtrader.forecast.zigzag import Pivot, Swings, ZigZag

RANDOM_WALK_SHARE = 0.071  # of runs of six pivots, on 20,000 bars with turns of 3 average true ranges


@dataclass(frozen=True)
class ImpulseShare:
    """`valid` of `runs` of six pivots keep all rules. `shuffled`: that share, of the same bars in random orders."""

    runs: int
    valid: int
    shuffled: tuple[float, ...] = ()

    @property
    def share(self) -> float | None:
        """None where there are fewer than six pivots."""
        return self.valid / self.runs if self.runs else None

    def sentence(self) -> str:
        """What was found, and beside it what chance shows."""
        if not self.runs:
            return "Fewer than six pivots: too few for an impulse."
        beside = f"{RANDOM_WALK_SHARE:.1%} of a random walk's"
        if self.shuffled:
            low, high = min(self.shuffled), max(self.shuffled)
            beside += f", and {low:.1%} to {high:.1%} of these bars shuffled"
        return (
            f"{self.valid:,} of {self.runs:,} runs of six pivots are valid impulses: {self.valid / self.runs:.1%}. "
            f"By chance it is {beside}."
        )


def impulse_share(bars: Bars, swings: Swings | None = None, draws: int = 5, seed: int = 0) -> ImpulseShare:
    """Valid impulses among the pivots of `bars`, beside `draws` histories of the same bars in random order.

    A shuffled bar keeps its way from the close before to its own high, low and close, and loses its place.
    """
    rules = swings or Swings()
    high, low, close = (np.log(bars[name]) for name in ("high", "low", "close"))
    before = np.concatenate([close[:1], close[:-1]])
    moves = np.stack([high, low, close]) - before  # (3, T)
    rng = np.random.default_rng(seed)
    found = _share(pivots_of(high, low, close, rules))
    shuffled = []
    for _ in range(draws):
        drawn = rng.permutation(moves, axis=1)
        path = np.cumsum(drawn[2])
        start = path - drawn[2]
        chance = _share(pivots_of(start + drawn[0], start + drawn[1], path, rules)).share
        shuffled += [] if chance is None else [chance]
    return ImpulseShare(found.runs, found.valid, tuple(shuffled))


def pivots_of(
    high: NDArray[np.float64], low: NDArray[np.float64], close: NDArray[np.float64], rules: Swings
) -> list[Pivot]:
    """All pivots of log prices (T,) in the order they are confirmed, in one pass from the first bar."""
    zigzag, found = ZigZag(rules), []
    for prices in zip(high.tolist(), low.tolist(), close.tolist(), strict=True):
        if zigzag.advance(*prices):
            found.append(zigzag.pivots[-1])
    return found


def _share(pivots: Sequence[Pivot]) -> ImpulseShare:
    runs = [pivots[at : at + DONE] for at in range(len(pivots) - DONE + 1)]
    valid = sum(is_impulse([pivot.price for pivot in run], -run[0].kind) for run in runs)
    return ImpulseShare(len(runs), valid)
