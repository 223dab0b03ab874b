"""Intervals around a forecast that hold what they promise, without a word about its distribution.

Split conformal (Vovk and others; Lei and others, JASA 2018): the half width is a quantile of the absolute errors on
validation. It promises its coverage where errors ahead are like those on validation. Where they drift, the
adaptive kind (Gibbs and Candes, NeurIPS 2021) moves the level it asks for after each miss and each hit.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

from lstm_backtrader.errors import ConfigError, DataError

Floats = NDArray[np.float64]

COVERAGE = 0.9
FEWEST_ERRORS = 9  # that can promise it
RATE = 0.005  # of the adaptive kind: how far one miss moves the level


def check_coverage(coverage: float) -> float:
    """The nominal coverage, if it is one; `ConfigError`."""
    if not 0 < coverage < 1:
        raise ConfigError(f"coverage {coverage} is outside 0 to 1. 0.9 is an interval that holds nine in ten.")
    return coverage


def half_width(errors: Floats, coverage: float = COVERAGE) -> float:
    """The ceil((n + 1) coverage)-th smallest of the absolute errors (n,) on validation.

    Raises `DataError` where n is too small for that coverage, and no finite interval promises it.

    >>> half_width(np.arange(1.0, 20.0), 0.9)
    18.0
    """
    place = math.ceil((len(errors) + 1) * check_coverage(coverage) - 1e-9)
    if place > len(errors):
        raise DataError(
            f"{len(errors)} validation bars cannot promise a coverage of {coverage:g}. Give a longer validation, "
            f"or a coverage of {len(errors) / (len(errors) + 1):.2f} or less."
        )
    return float(np.partition(np.abs(errors), place - 1)[place - 1])


def adaptive_half_widths(
    errors: Floats, known_errors: Floats, horizon: int, coverage: float = COVERAGE, rate: float = RATE
) -> Floats:
    """(T,) half widths of bars that follow each other, adapted on the way.

    `errors` (n,): on validation. `known_errors` (T,): of those bars, NaN where unknown; that of bar t counts from
    bar t + `horizon` on, when its label is there. Asked for more than validation can promise, the width is that of
    the widest error there.
    """
    scores = np.sort(np.abs(errors))
    out = np.empty(len(known_errors))
    level = check_coverage(coverage)
    waiting: deque[tuple[float, float]] = deque()
    half_width(errors, coverage)  # too few errors are refused
    for t, error in enumerate(np.abs(known_errors).tolist()):
        if len(waiting) == horizon:
            came, width = waiting.popleft()
            if not math.isnan(came):
                level += rate * ((came > width) - (1 - coverage))
        place = min(max(math.ceil((len(scores) + 1) * level - 1e-9), 1), len(scores))
        out[t] = scores[place - 1]
        waiting.append((error, out[t]))
    return out


def covered(forecast: Floats, label: Floats, width: Floats) -> float | None:
    """Share of labels (T,) within `width` (T,) of their forecast; None where none is known."""
    known = np.isfinite(forecast) & np.isfinite(label)
    return float((np.abs(label - forecast)[known] <= width[known]).mean()) if known.any() else None
