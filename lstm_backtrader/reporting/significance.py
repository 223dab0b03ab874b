"""Is a Sharpe ratio more than luck? The formulas, per period and not annualised, kurtosis 3 for the normal.

Bailey & Lopez de Prado, "The Sharpe ratio efficient frontier", Journal of Risk 15 (2012): PSR and the minimum
track record. The same, "The deflated Sharpe ratio", Journal of Portfolio Management 40 (2014). Bailey, Borwein,
Lopez de Prado & Zhu, "The probability of backtest overfitting", Journal of Computational Finance 20 (2017).
Hansen, "A test for superior predictive ability", JBES 23 (2005). DerSimonian & Laird, "Meta-analysis in clinical
trials", Controlled Clinical Trials 7 (1986): how much estimates of unequal precision differ in truth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from lstm_backtrader.errors import ReportError
from lstm_backtrader.reporting.metrics import FLAT

EULER = 0.5772156649015329
_NORMAL = NormalDist()

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Track:
    """What the tests ask of a record of returns: its length, Sharpe ratio and shape, per period."""

    periods: int  # T
    sharpe: float
    skewness: float = 0.0
    kurtosis: float = 3.0  # not in excess

    @property
    def variance(self) -> float:
        """Of the Sharpe ratio's error, times T - 1."""
        return max(1 - self.skewness * self.sharpe + (self.kurtosis - 1) / 4 * self.sharpe**2, 0.0)


def track_of(returns: Vector) -> Track | None:
    """The track of simple returns (T,), Sharpe with ddof=1; None where they do not vary."""
    deviation = float(returns.std(ddof=1)) if len(returns) > 1 else 0.0
    if deviation <= FLAT:
        return None
    z = (returns - returns.mean()) / returns.std()
    return Track(
        periods=len(returns),
        sharpe=float(returns.mean()) / deviation,
        skewness=float((z**3).mean()),
        kurtosis=float((z**4).mean()),
    )


def probabilistic_sharpe(track: Track, threshold: float = 0.0) -> float:
    """PSR: confidence that the true Sharpe ratio is above `threshold`.

    >>> round(probabilistic_sharpe(Track(periods=253, sharpe=0.1)), 4)
    0.9433
    """
    error = math.sqrt(track.variance / (track.periods - 1))
    if error == 0:
        return float(track.sharpe > threshold)
    return _NORMAL.cdf((track.sharpe - threshold) / error)


def luckiest_sharpe(trials: int, variance: float) -> float:
    """The best Sharpe ratio to expect of `trials` tries without any skill whose ratios vary by `variance`.

    >>> round(luckiest_sharpe(100, variance=0.5 / 250), 4)
    0.1132
    """
    if trials < 1 or variance < 0:
        raise ReportError(f"{trials} tries with a variance of {variance:g} cannot be. Count this one: at least 1.")
    if trials == 1:
        return 0.0
    usual, late = _NORMAL.inv_cdf(1 - 1 / trials), _NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return math.sqrt(variance) * ((1 - EULER) * usual + EULER * late)


def deflated_sharpe(track: Track, trials: int, variance: float) -> float:
    """DSR: confidence that the true Sharpe ratio is above what the best of `trials` tries shows by luck."""
    return probabilistic_sharpe(track, luckiest_sharpe(trials, variance))


def minimum_track_record(track: Track, threshold: float = 0.0, confidence: float = 0.95) -> float | None:
    """Periods after which such a Sharpe ratio is above `threshold` with that confidence; None if it is not above.

    >>> daily = Track(periods=0, sharpe=2 / 252**0.5)
    >>> round(minimum_track_record(daily, threshold=1 / 252**0.5) / 252, 2)
    2.73
    """
    if track.sharpe <= threshold:
        return None
    return 1 + track.variance * (_NORMAL.inv_cdf(confidence) / (track.sharpe - threshold)) ** 2


def variance_of_tries(sharpes: Vector, lengths: Vector, periods: int) -> float:
    """Variance that the Sharpe ratios (M,) of tries would have, were each of a record of `periods`.

    `lengths` (M,): the periods of their own records, NaN where unknown, which counts as `periods`. Without skill a
    ratio varies by 1 / (T - 1) (`Track.variance` at 0), so that those of short records scatter. What the tries vary
    beyond that is a difference between them, found as in a meta-analysis and kept; the rest is error, as large a
    share of 1 / (T - 1) at every length, below one where tries resemble each other. Of records of one length, that
    of `periods`, it is the plain variance, as published. Of fewer than two tries it is what luck alone gives.
    """
    here = 1 / (periods - 1)
    if len(sharpes) < 2:
        return here
    weight = np.maximum(np.where(np.isnan(lengths), periods, lengths) - 1, 1.0)  # 1 / variance of luck
    total, freedom = float(weight.sum()), len(sharpes) - 1
    excess = float((weight * (sharpes - weight @ sharpes / total) ** 2).sum()) / freedom  # 1 of luck alone
    between = (excess - 1) * freedom / (total - float(weight @ weight) / total)
    return max(between, 0.0) + min(excess, 1.0) * here


def overfitting_probability(returns: Vector, blocks: int = 16) -> float:
    """PBO by combinatorially symmetric cross-validation: how often the best in sample is below the median outside.

    `returns` (T, N): simple returns of N tries on the same T periods. Every choice of half of the `blocks` is once
    the sample in which the try with the best Sharpe ratio is chosen; ties share a rank. 0.5 is choosing blindly.
    Raises `ReportError` for fewer than two tries, or too few periods for the blocks.
    """
    periods, tries = returns.shape
    if tries < 2 or blocks < 2 or blocks % 2 or periods < 2 * blocks:
        raise ReportError(
            f"PBO of {tries} tries over {periods} periods in {blocks} blocks cannot be. Give at least 2 tries, an "
            f"even number of blocks, and 2 periods a block."
        )
    centre = returns.mean(axis=0)
    parts = np.array_split(returns - centre, blocks)
    sums = np.array([part.sum(axis=0) for part in parts])  # (blocks, N)
    squares = np.array([(part**2).sum(axis=0) for part in parts])
    lengths = np.array([float(len(part)) for part in parts])
    chosen = np.zeros((math.comb(blocks, blocks // 2), blocks))
    for row, half in enumerate(combinations(range(blocks), blocks // 2)):
        chosen[row, half] = 1.0
    below = 0
    for inside in np.array_split(chosen, max(1, chosen.size // 4096)):
        best = _sharpes(inside, sums, squares, lengths, centre).argmax(axis=1)
        outside = _sharpes(1 - inside, sums, squares, lengths, centre)  # (C, N)
        mine = np.take_along_axis(outside, best[:, None], axis=1)
        rank = (outside < mine).sum(axis=1) + ((outside == mine).sum(axis=1) + 1) / 2
        below += int((rank / (tries + 1) <= 0.5).sum())
    return below / len(chosen)


def _sharpes(chosen: Vector, sums: Vector, squares: Vector, lengths: Vector, centre: Vector) -> Vector:
    """Sharpe ratio of every try on every choice of blocks, (C, N); 0 where the returns do not vary."""
    n = (chosen @ lengths)[:, None]
    total = chosen @ sums
    variance = np.maximum(chosen @ squares - total**2 / n, 0.0) / (n - 1)
    risky = variance > FLAT**2
    return np.where(risky, (total / n + centre) / np.sqrt(np.where(risky, variance, 1.0)), 0.0)


def superior_ability(benchmark: Vector, models: Vector, *, block: float, draws: int = 1000, seed: int = 0) -> float:
    """SPA: p-value of "none of the models (T, N) earns more than the benchmark (T,)", Hansen's consistent one.

    From the package `arch`, with a stationary bootstrap of mean `block`. Raises `ReportError` where it is missing.
    """
    try:
        from arch.bootstrap import SPA
    except ImportError as error:
        raise ReportError(
            "the test for superior predictive ability needs the package arch. "
            "Run: pip install 'lstm-backtrader[arch]'"
        ) from error
    test = SPA(-benchmark, -models, block_size=max(1, round(block)), reps=draws, bootstrap="stationary", seed=seed)
    test.compute()
    return float(test.pvalues["consistent"])
