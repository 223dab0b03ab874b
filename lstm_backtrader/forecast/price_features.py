"""Features of prices: returns, ranges and volatility, in units of the market's own volatility."""

from __future__ import annotations

import math

import numpy as np

from lstm_backtrader.candles import Bars
from lstm_backtrader.forecast.registry import Floats, feature
from lstm_backtrader.forecast.windows import weighted_sum

VOLATILITY_HALFLIFE = 24  # bars
VOLATILITY_MEMORY = 168  # returns; the weight left out is 0.5 ** 7
LEAST_VOLATILITY = 1e-8  # a market that did not move at all counts as this
_VOLATILITY_WEIGHTS = 0.5 ** (np.arange(VOLATILITY_MEMORY)[::-1] / VOLATILITY_HALFLIFE)
_VOLATILITY_WEIGHTS /= _VOLATILITY_WEIGHTS.sum()


def volatility(bars: Bars) -> Floats:
    """(T,) standard deviation of one bar's log return: exponentially weighted, cut after 168 returns.

    Needs 169 bars. Never zero: a market that did not move at all counts as 1e-8.
    """
    return bars.derived("volatility", _volatility)


def _volatility(bars: Bars) -> Floats:
    squares = np.diff(_log_close(bars)) ** 2
    out = np.full(len(bars), np.nan)
    if len(squares) >= VOLATILITY_MEMORY:
        variance = np.correlate(squares, _VOLATILITY_WEIGHTS, mode="valid")
        out[VOLATILITY_MEMORY:] = np.maximum(np.sqrt(variance), LEAST_VOLATILITY)
    return out


def _newest_volatility(bars: Bars) -> float:
    return bars.derived("newest_volatility", _last_volatility)


def _last_volatility(bars: Bars) -> float:
    log_close = _log_close(bars)[-VOLATILITY_MEMORY - 1 :]
    steps = log_close[1:] - log_close[:-1]
    return max(math.sqrt((steps * steps) @ _VOLATILITY_WEIGHTS), LEAST_VOLATILITY)


def _log_close(bars: Bars) -> Floats:
    return bars.derived("log_close", lambda bars: np.log(bars["close"]))


def _newest_log_return(bars: Bars, span: int) -> float:
    log_close = _log_close(bars)
    return float(log_close[-1] - log_close[-1 - span]) / (_newest_volatility(bars) * math.sqrt(span))


@feature(memory=lambda span=24: max(span, VOLATILITY_MEMORY) + 1, newest=_newest_log_return)
def log_return(bars: Bars, span: int) -> Floats:
    """Log return over `span` bars, in units of its standard deviation."""
    log_close = _log_close(bars)
    out = np.full(len(bars), np.nan)
    out[span:] = log_close[span:] - log_close[:-span]
    out /= volatility(bars) * math.sqrt(span)
    return out


def _newest_bar_range(bars: Bars) -> float:
    return float(np.log(bars["high"][-1] / bars["low"][-1])) / _newest_volatility(bars)


@feature(memory=lambda: VOLATILITY_MEMORY + 1, newest=_newest_bar_range)
def bar_range(bars: Bars) -> Floats:
    """Log of high over low, in units of one bar's standard deviation."""
    return np.divide(np.log(bars["high"] / bars["low"]), volatility(bars))


def _newest_close_location(bars: Bars) -> float:
    high, low = float(bars["high"][-1]), float(bars["low"][-1])
    return (2 * float(bars["close"][-1]) - high - low) / (high - low) if high > low else 0.0


@feature(memory=lambda: 1, newest=_newest_close_location)
def close_location(bars: Bars) -> Floats:
    """Where the close lies between low (-1) and high (+1); 0 for a bar without range."""
    width = bars["high"] - bars["low"]
    middle = 2 * bars["close"] - bars["high"] - bars["low"]
    return np.divide(middle, width, out=np.zeros(len(bars)), where=width > 0)


@feature(memory=lambda span=24: span + 1)
def realised_volatility(bars: Bars, span: int) -> Floats:
    """Natural logarithm of the root mean square of the last `span` log returns.

    The logarithm, because volatilities are nearly log-normal (Andersen, Bollerslev, Diebold and Labys, JASA 2001).
    """
    return np.log(_root_mean_square(bars, span))


@feature(memory=lambda short=12, long=168: max(short, long) + 1)
def volatility_ratio(bars: Bars, short: int, long: int) -> Floats:
    """Natural logarithm of the volatility over `short` bars to that over `long` bars."""
    return np.log(_root_mean_square(bars, short) / _root_mean_square(bars, long))


def _root_mean_square(bars: Bars, span: int) -> Floats:
    """(T,) of the last `span` log returns; NaN in the first `span` rows, never below 1e-8."""
    mean = weighted_sum(np.diff(_log_close(bars)) ** 2, np.full(span, 1 / span))
    return np.concatenate([[np.nan], np.maximum(np.sqrt(mean), LEAST_VOLATILITY)])
