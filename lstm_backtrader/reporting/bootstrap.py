"""The stationary bootstrap: what the same returns, drawn again in blocks, would have made of the figures.

Politis & Romano, "The stationary bootstrap", JASA 89 (1994). Length of the blocks: Politis & White, Econometric
Reviews 23 (2004), as corrected by Patton, Politis & White, Econometric Reviews 28 (2009).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lstm_backtrader.errors import ReportError
from lstm_backtrader.reporting.metrics import DAYS_PER_YEAR, FLAT

Vector = NDArray[np.float64]
Interval = tuple[float, float]

_CELLS = 2_000_000  # drawn returns held at a time, 16 MB


@dataclass(frozen=True)
class Intervals:
    """Equal-tailed intervals of `level`, from `draws` series drawn in blocks of mean length `block`."""

    level: float
    block: float  # periods
    draws: int
    sharpe: Interval  # a year, ddof=1
    cagr: Interval
    max_drawdown: Interval  # of the closes of the periods, in [-1, 0]


def bootstrap_intervals(
    returns: Vector,
    *,
    level: float = 0.9,
    block: float | None = None,
    draws: int = 2000,
    seed: int = 0,
    periods_per_year: float = DAYS_PER_YEAR,
) -> Intervals:
    """Intervals of Sharpe, CAGR and deepest drawdown of simple returns (T,), one a period.

    `block`: mean length of a block in periods; None finds it by `block_length`. The same seed gives the same
    intervals. Raises `ReportError` for fewer than two returns, or a level or block that cannot be.
    """
    if not 0 < level < 1:
        raise ReportError(f"level {level:g} must be in (0, 1). 0.9 is an interval of 90 %.")
    length = block_length(returns) if block is None else block
    parts = [
        _figures(returns[rows], periods_per_year)
        for rows in stationary_rows(len(returns), length, draws, np.random.default_rng(seed))
    ]
    sharpe, cagr, drawdown = np.concatenate(parts, axis=1)  # (draws,) each
    return Intervals(
        level=level,
        block=length,
        draws=draws,
        sharpe=_between(sharpe, level),
        cagr=_between(cagr, level),
        max_drawdown=_between(drawdown, level),
    )


def ruin_probabilities(
    returns: Vector, losses: Sequence[float], *, days: int, block: float, draws: int = 2000, seed: int = 0
) -> list[float]:
    """How often `days` drawn from returns (T,) in blocks of mean `block` lose each of `losses` on their way.

    A loss of 0.5 is half of the money there was at the begin, at the close of any day.
    """
    drawn = stationary_rows(len(returns), block, draws, np.random.default_rng(seed), length=days)
    with np.errstate(over="ignore"):  # a rise beyond all floats loses nothing
        lowest = np.concatenate(
            [np.cumprod(np.maximum(1 + returns[rows], 0.0), axis=1).min(axis=1) for rows in drawn]
        )
    return [float((lowest <= 1 - loss).mean()) for loss in losses]


def stationary_rows(
    n: int, block: float, draws: int, rng: np.random.Generator, length: int | None = None
) -> Iterator[NDArray[np.int64]]:
    """Rows (some of the draws, length) of a series of `n`, drawn in blocks of geometric length with mean `block`.

    A block that reaches the end goes on at the beginning, so that every row is drawn equally often. `length`: of a
    draw, by default `n`.
    """
    if n < 2 or not 1 <= block <= n:
        raise ReportError(
            f"{n} returns cannot be drawn in blocks of {block:g}. Give more returns, or 1 <= block <= T."
        )
    steps = np.arange(n if length is None else length)
    at_once = max(1, _CELLS // len(steps))
    for done in range(0, draws, at_once):
        shape = (min(at_once, draws - done), len(steps))
        begins = rng.random(shape) < 1 / block
        begins[:, 0] = True
        first = rng.integers(0, n, shape)
        latest = np.maximum.accumulate(np.where(begins, steps, 0), axis=1)  # step at which the block began
        yield (np.take_along_axis(first, latest, axis=1) + steps - latest) % n


def block_length(x: Vector) -> float:
    """The mean length of a block that gives the least error of the variance of a mean; 1 for independent `x` (T,).

    The autocorrelations that matter end before the first of several in a row that are no more than noise; twice
    as many lags enter, under a flat-top kernel. At most 3 sqrt(T) and T / 3.
    """
    n = len(x)
    if n < 2:
        raise ReportError(f"{n} returns have no autocorrelation. Give at least 2.")
    e = x - x.mean()
    if float(np.abs(e).max()) <= FLAT:
        return 1.0
    row = max(5, int(math.log10(n)))  # insignificant lags in a row
    most = min(math.ceil(math.sqrt(n)) + row, n - 1)
    covariance = np.array([e[k:] @ e[: n - k] for k in range(most + 1)]) / n
    noise = 2 * math.sqrt(math.log10(n) / n)
    is_noise = [abs(_overlap_correlation(e, k)) < noise for k in range(1, most + 1)]
    ends = [lag for lag in range(1, most - row + 2) if all(is_noise[lag - 1 : lag - 1 + row])]
    lags = min(2 * ends[0], most) if ends else most
    k = np.arange(1, lags + 1)
    weight = np.minimum(1.0, 2 * (1 - k / lags)) * covariance[1 : lags + 1]
    spread = 2 * float(weight @ k)
    long_run = float(covariance[0] + 2 * weight.sum())
    longest = math.ceil(min(3 * math.sqrt(n), n / 3))
    if long_run == 0:
        return float(longest)
    return float(min(max((abs(spread / long_run) ** 2 * n) ** (1 / 3), 1.0), longest))


def _overlap_correlation(e: Vector, lag: int) -> float:
    late, early = e[lag:], e[: len(e) - lag]
    scale = math.sqrt(float(late @ late) * float(early @ early))
    return float(late @ early) / scale if scale > 0 else 0.0


def _figures(drawn: Vector, periods_per_year: float) -> Vector:
    """Sharpe, CAGR and deepest drawdown of each row of (draws, T), (3, draws)."""
    n = drawn.shape[1]
    deviation = drawn.std(axis=1, ddof=1)
    risky = deviation > FLAT
    sharpe = np.where(risky, drawn.mean(axis=1) / np.where(risky, deviation, 1.0), 0.0) * math.sqrt(
        periods_per_year
    )
    wealth = np.cumprod(np.maximum(1 + drawn, 0.0), axis=1)
    peak = np.maximum(np.maximum.accumulate(wealth, axis=1), 1.0)
    drawdown = np.minimum((wealth / peak).min(axis=1) - 1, 0.0)
    with np.errstate(divide="ignore", over="ignore"):  # ruin is -100 %, a rise beyond all floats is infinite
        cagr = np.expm1(np.log(wealth[:, -1]) * periods_per_year / n)
    return np.stack([sharpe, cagr, drawdown])


def _between(values: Vector, level: float) -> Interval:
    """The values that as many lie below as above; one of them each, so that an infinite one does no harm."""
    ordered = np.sort(values)
    outside = round((1 - level) / 2 * len(ordered))
    return float(ordered[outside]), float(ordered[len(ordered) - 1 - outside])
