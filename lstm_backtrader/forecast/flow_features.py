"""Features of trading and derivatives: volume, funding, basis and open interest."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from lstm_backtrader.candles import Bars
from lstm_backtrader.forecast.registry import FeatureSpec, Floats, feature
from lstm_backtrader.forecast.windows import known_mean_std, last_known, window_mean_std


def _newest_volume_z(bars: Bars, span: int) -> float:
    root = np.cbrt(bars["volume"][-span:])
    mean = float(np.add.reduce(root)) / span
    away = root - mean
    std = math.sqrt(np.add.reduce(away * away) / span)
    if math.isnan(mean):
        return math.nan
    return float(away[-1]) / std if std > 1e-12 * abs(mean) else 0.0


@feature(memory=lambda span=168: span, newest=_newest_volume_z)
def volume_z(bars: Bars, span: int) -> Floats:
    """z-score of the cube root of volume over `span` bars; 0 where volume does not vary.

    The cube root makes volumes nearly normal (Wilson and Hilferty, PNAS 1931), takes zeros, and leaves the
    score free of the unit of volume.
    """
    root = np.cbrt(bars["volume"])
    mean, std = window_mean_std(root, span)
    return np.divide(root - mean, std, out=np.where(np.isnan(mean), np.nan, 0.0), where=std > 1e-12 * np.abs(mean))


def volume_spikes(bars: Bars, threshold: float = 3.2, span: int = 168) -> NDArray[np.bool_]:
    """(T,) True at event bars: volume `threshold` standard deviations above its last `span` bars."""
    z = FeatureSpec("volume_z", {"span": span}).compute(bars)
    return np.nan_to_num(z, nan=0.0) > threshold


@feature(memory=lambda span=24: span, columns=("funding_rate",))
def funding(bars: Bars, span: int) -> Floats:
    """The latest funding rate of the last `span` bars, as a fraction; 0 where nothing was settled."""
    return _or_zero(last_known(bars["funding_rate"], span), span)


@feature(memory=lambda span=720: span, columns=("funding_rate",))
def funding_z(bars: Bars, span: int) -> Floats:
    """z-score of the latest funding rate among those settled in the last `span` bars; 0 where they do not vary."""
    rate = bars["funding_rate"]
    mean, std = known_mean_std(rate, span)
    return _or_zero(_score(last_known(rate, span) - mean, mean, std), span)


@feature(memory=lambda column: 1)
def basis(bars: Bars, column: str) -> Floats:
    """Log of the close over a reference price, say `mark_close`; 0 where that is unknown."""
    reference = bars[column]
    known = np.isfinite(reference) & (reference > 0)
    return np.log(bars["close"] / np.where(known, reference, bars["close"]))


@feature(memory=lambda span=24: 2 * span, columns=("open_interest",))
def open_interest_change(bars: Bars, span: int) -> Floats:
    """Log change of open interest over `span` bars; 0 where it is unknown.

    A venue that tells it less often than once a bar is taken at its last word, `span` bars old at most.
    """
    told = bars["open_interest"]
    held = last_known(np.where(told > 0, told, np.nan), span)
    change = np.full(len(bars), np.nan)
    change[span:] = np.log(held[span:] / held[:-span])
    return _or_zero(change, 2 * span)


def _score(away: Floats, mean: Floats, std: Floats) -> Floats:
    """(T,) `away` in units of `std`, 0 where the values do not vary."""
    return np.divide(away, std, out=np.zeros(len(away)), where=std > 1e-12 * np.abs(mean))


def _or_zero(values: Floats, memory: int) -> Floats:
    """Unknown values as 0, so that rows are missing in the warm-up alone."""
    out = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    out[: memory - 1] = np.nan
    return out
