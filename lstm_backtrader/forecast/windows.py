"""Sums, means and last values over windows, each taken from its own window: the arithmetic of finite memory."""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float64]

REST = 1e-4  # weight of all bars an exponential mean leaves out


def decay_bars(keep: float) -> int:
    """Bars until the weight of what is older, `keep` ** bars, falls below 1e-4.

    >>> decay_bars(13 / 14)  # Wilder's mean of 14
    125
    """
    return 1 if keep <= 0 else math.ceil(math.log(REST) / math.log(keep))


def decay_weights(keep: float) -> Floats:
    """Weights, oldest first, of an exponential mean that keeps `keep` a bar, cut and made to add up to 1."""
    weights = keep ** np.arange(decay_bars(keep), dtype=np.float64)[::-1]
    return np.asarray(weights / weights.sum())


def weighted_sum(values: Floats, weights: Floats) -> Floats:
    """(T,) sum of the last W values times their weights (W,), oldest first; NaN in the first W - 1 rows."""
    out = np.full(len(values), np.nan)
    if len(values) >= len(weights):
        out[len(weights) - 1 :] = np.correlate(values, weights, mode="valid")
    return out


def window_mean_std(values: Floats, span: int) -> tuple[Floats, Floats]:
    """Mean and standard deviation (ddof 0) of the last `span` values, two passes over each window: (T,), (T,)."""
    mean, std = np.full(len(values), np.nan), np.full(len(values), np.nan)
    if len(values) < span:
        return mean, std
    windows = sliding_window_view(values, span)  # (T - span + 1, span), a view
    chunk = max(1, 200_000 // span)  # what a core's cache holds
    for start in range(0, len(windows), chunk):
        part = windows[start : start + chunk]
        centre = np.add.reduce(part, axis=1) / span  # what mean() does, for a third of its overhead
        rows = slice(span - 1 + start, span - 1 + start + len(part))
        mean[rows] = centre
        away = part - centre[:, None]
        away *= away
        std[rows] = np.sqrt(np.add.reduce(away, axis=1) / span)
    return mean, std


def known_mean_std(values: Floats, span: int) -> tuple[Floats, Floats]:
    """As `window_mean_std`, of those of the last `span` values that are no NaN; NaN where there is none.

    Taken once for all windows that hold the same values, of which there are few where values are.
    """
    mean, std = np.full(len(values), np.nan), np.full(len(values), np.nan)
    at = np.flatnonzero(np.isfinite(values))
    rows = np.arange(span - 1, len(values))
    if len(at) == 0 or len(rows) == 0:
        return mean, std
    first, end = np.searchsorted(at, rows - span + 1), np.searchsorted(at, rows, side="right")
    differs = np.ones(len(rows), dtype=bool)
    differs[1:] = (np.diff(first) != 0) | (np.diff(end) != 0)
    first, end = first[differs], end[differs]  # (K,) each
    widest = max(1, int((end - first).max()))
    centre, width = np.full(len(first), np.nan), np.full(len(first), np.nan)
    chunk = max(1, 1_000_000 // widest)
    for start in range(0, len(first), chunk):
        some = slice(start, start + chunk)
        place = first[some, None] + np.arange(widest)  # (k, widest)
        counted = place < end[some, None]
        n = np.where(end[some] > first[some], end[some] - first[some], np.nan)
        part = np.where(counted, values[at[np.minimum(place, len(at) - 1)]], 0.0)
        centre[some] = np.add.reduce(part, axis=1) / n
        away = np.where(counted, part - centre[some, None], 0.0)
        width[some] = np.sqrt(np.add.reduce(away * away, axis=1) / n)
    of_row = np.cumsum(differs) - 1
    mean[rows], std[rows] = centre[of_row], width[of_row]
    return mean, std


def bars_since(happened: NDArray[np.bool_], span: int) -> NDArray[np.int64]:
    """(T,) bars since it last happened, 0 at the bar itself; `span` where not within the last `span` bars."""
    rows = np.arange(len(happened))
    last = np.maximum.accumulate(np.where(happened, rows, -span)) if len(rows) else rows
    return np.minimum(rows - last, span)


def last_known(values: Floats, span: int) -> Floats:
    """(T,) the latest value that is no NaN or infinity among the last `span`; NaN where there is none."""
    age = bars_since(np.isfinite(values), span)
    held = values[np.maximum(np.arange(len(values)) - age, 0)]
    return np.where(age < span, held, np.nan)
