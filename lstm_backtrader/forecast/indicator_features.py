"""Features of technical analysis, with exponential means that end after a finite number of bars.

A mean whose weights fall by a constant factor never forgets; ours ends where the weight left out falls below 1e-4
and is made whole again. That is `pandas.Series.ewm(adjust=True)` over the window, and within 1e-4 of a chart.
"""

from __future__ import annotations

import numpy as np

from lstm_backtrader.candles import Bars
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.forecast.registry import Floats, feature
from lstm_backtrader.forecast.windows import decay_bars, decay_weights, weighted_sum


def _wilder(span: int) -> float:
    """What a mean of `span` bars keeps a bar (Wilder, New Concepts in Technical Trading Systems, 1978)."""
    return 1 - 1 / span


def _exponential(span: int) -> float:
    """What an exponential mean of `span` bars keeps a bar, as in Appel's MACD."""
    return 1 - 2 / (span + 1)


@feature(memory=lambda span=14: decay_bars(_wilder(span)) + 1)
def rsi(bars: Bars, span: int) -> Floats:
    """Wilder's relative strength index of `span` bars, centred: -1 where all moves were down, +1 all up."""
    move = np.diff(bars["close"])
    weights = decay_weights(_wilder(span))
    up_less_down, all_moves = weighted_sum(move, weights), weighted_sum(np.abs(move), weights)
    centred = np.divide(up_less_down, all_moves, out=_zeros_of(all_moves), where=all_moves > 0)
    return np.concatenate([[np.nan], centred])


@feature(memory=lambda span=14: decay_bars(_wilder(span)) + 1)
def atr(bars: Bars, span: int) -> Floats:
    """Wilder's average true range of `span` bars over the close."""
    return average_true_range(bars, span) / bars["close"]


def _macd_weights(fast: int, slow: int, signal: int) -> Floats:
    """Weights of closes, oldest first, whose sum is the histogram: MACD less its own exponential mean."""
    short, long, mean = (decay_weights(_exponential(span)) for span in (fast, slow, signal))
    macd = np.zeros(max(len(short), len(long)))
    macd[-len(short) :] += short
    macd[-len(long) :] -= long
    less_mean = -mean
    less_mean[-1] += 1
    return np.convolve(macd, less_mean)


def _macd_memory(fast: int = 12, slow: int = 26, signal: int = 9, span: int = 14) -> int:
    if fast >= slow:
        raise ConfigError(f"feature 'macd': fast {fast} is not below slow {slow}. Use 12 and 26, or such.")
    closes = decay_bars(_exponential(slow)) + decay_bars(_exponential(signal)) - 1
    return max(closes, decay_bars(_wilder(span)) + 1)


@feature(memory=_macd_memory)
def macd(bars: Bars, fast: int, slow: int, signal: int, span: int) -> Floats:
    """Histogram of the MACD (`fast`, `slow`, `signal`) in average true ranges of `span` bars."""
    histogram = weighted_sum(bars["close"], _macd_weights(fast, slow, signal))
    size = average_true_range(bars, span)
    return np.divide(histogram, size, out=_zeros_of(histogram + size), where=size > 1e-12 * bars["close"])


def average_true_range(bars: Bars, span: int) -> Floats:
    """(T,) in units of price: Wilder's mean over a finite window of how far a bar reached from the close before."""
    before = bars["close"][:-1]
    true_range = np.maximum(bars["high"][1:], before) - np.minimum(bars["low"][1:], before)
    return np.concatenate([[np.nan], weighted_sum(true_range, decay_weights(_wilder(span)))])


def _zeros_of(values: Floats) -> Floats:
    """(T,) 0, and NaN where `values` is NaN."""
    return np.asarray(values * 0.0)
