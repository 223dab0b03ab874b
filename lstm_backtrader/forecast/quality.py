"""How good a forecast is, and how smooth: plain numbers from arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lstm_backtrader.forecast.context import StridedContext

SEAM_LIMIT = 1.25  # above it a forecast visibly steps where its context restarts


def seam(context: StridedContext, forecast: NDArray[np.float64], slots: NDArray[np.int64]) -> float | None:
    """Rms change of the forecast (N,) from bar to bar where the context restarts, over that elsewhere.

    1 is no seam at all; None where there are too few bars or the forecast never changes.
    """
    change = np.diff(forecast)
    usable = np.isfinite(change) & (np.diff(slots) == 1)
    at_cut = context.is_cut(slots[1:])
    here, elsewhere = change[usable & at_cut], change[usable & ~at_cut]
    if len(here) < 2 or len(elsewhere) < 2 or not elsewhere.any():
        return None
    return float(np.sqrt((here**2).mean() / (elsewhere**2).mean()))


def correlation(forecast: NDArray[np.float64], y: NDArray[np.float64]) -> float | None:
    """Pearson correlation over the rows where both are known; None where it is undefined."""
    known = np.isfinite(forecast) & np.isfinite(y)
    if known.sum() < 3 or forecast[known].std() < 1e-12 or y[known].std() < 1e-12:
        return None
    return float(np.corrcoef(forecast[known], y[known])[0, 1])
