"""What the same trades would have made at other costs and sizes: no run again, the bars' returns reckoned anew."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lstm_backtrader.reporting.metrics import AccountTotals

EXTRA_BPS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0)  # a side, on top of what the run paid
SIZES = (0.5, 1.0, 1.5, 2.0, 3.0)  # times the run's own
_BPS = 1e-4

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sensitivity:
    """Total return and deepest drawdown for each extra cost (C,) and size (S,); -1 is ruin.

    `break_even_bps`: extra cost a side, in basis points of the worth of each fill, at which a run of the same sizes
    would have made nothing; None where nothing was traded.
    """

    extra_bps: tuple[float, ...]
    sizes: tuple[float, ...]
    total_return: Floats  # (C, S)
    max_drawdown: Floats  # (C, S)
    break_even_bps: float | None

    def document(self) -> dict[str, object]:
        """As `metrics.json` holds it."""
        return {
            "extra_bps": list(self.extra_bps),
            "sizes": list(self.sizes),
            "total_return": self.total_return.tolist(),
            "max_drawdown": self.max_drawdown.tolist(),
            "break_even_bps": self.break_even_bps,
        }


def sensitivity(
    bars: pd.DataFrame,
    totals: AccountTotals,
    *,
    is_inverse: bool = False,
    is_one_position: bool = True,
    extra_bps: tuple[float, ...] = EXTRA_BPS,
    sizes: tuple[float, ...] = SIZES,
) -> Sensitivity:
    """Reckon from the recorder's `bars` (T,), whose return in bar t is r = (E[t] - E[t-1]) / E[t-1].

    At an extra cost of c a side and a size of s times the run's, bar t returns s * (r - c * traded[t] / E[t-1]);
    the account compounds. It is ruined where a bar, or the worst price in it for what was held at its begin, takes
    all; with positions side by side (`is_one_position` False) only the closes count. Sizes follow the equity, and
    where the venue would have liquidated first is not looked at: a larger size is shown too well rather than too
    badly.
    """
    equity = bars["equity"].to_numpy(dtype="float64")
    before = np.concatenate([[totals.start_equity], equity[:-1]])
    alive = int(np.argmax(before <= 0)) if (before <= 0).any() else len(before)
    before, equity = before[:alive], equity[:alive]
    made = equity / before - 1
    traded = np.diff(bars["turnover"].to_numpy(dtype="float64")[:alive], prepend=0.0) / before
    worst = _worst_inside(bars.iloc[:alive], before, is_inverse) if is_one_position else made
    shape = (len(extra_bps), len(sizes))
    total, deepest = np.empty(shape), np.empty(shape)
    for row, bps in enumerate(extra_bps):
        cost = bps * _BPS * traded
        for column, size in enumerate(sizes):
            total[row, column], deepest[row, column] = _compounded(size * (made - cost), size * (worst - cost))
    profit = float(equity[-1]) - totals.start_equity - totals.other_cash
    return Sensitivity(
        extra_bps,
        sizes,
        total,
        deepest,
        break_even_bps=profit / totals.turnover / _BPS if totals.turnover > 0 else None,
    )


def _worst_inside(bars: pd.DataFrame, before: Floats, is_inverse: bool) -> Floats:
    """(T,) return at the worst price of each bar for the position it began with."""
    close, low, high, notional, position = (
        bars[name].to_numpy(dtype="float64") for name in ("close", "low", "high", "notional", "position")
    )
    side = np.sign(position[:-1])
    met = np.where(side > 0, low[1:], high[1:]) / close[:-1]
    move = 1 - 1 / met if is_inverse else met - 1
    return np.concatenate([[0.0], np.minimum(side * notional[:-1] * move / before[1:], 0.0)])


def _compounded(made: Floats, worst: Floats) -> tuple[float, float]:
    """Total return and deepest drawdown by bar of returns (T,)."""
    ruined = np.minimum(made, worst) <= -1
    if ruined.any():
        return -1.0, -1.0
    wealth = np.cumprod(1 + made)
    peak = np.maximum(np.maximum.accumulate(wealth), 1.0)
    return float(wealth[-1]) - 1, min(float((wealth / peak).min()) - 1, 0.0)
