"""Whether a mean over folds is more than luck, by a rule that is stated with the answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lstm_backtrader.forecast.skill import Mean

LEVEL = 0.025  # one-sided
FEWEST_FOLDS = 3
RULE = (
    "Significant is a mean fold IC above zero whose one-sided p is below 2.5 %, by Student's t with one degree of "
    "freedom less than folds. Its standard error is the larger of what the folds' spread says and what n / horizon "
    "independent bars allow. Against the shuffled control the same holds for the IC less the control's in each "
    "fold, and the spread of the control's draws is added to the error. A forecast is called significant if it is "
    "so against both."
)


@dataclass(frozen=True)
class Call:
    """One comparison: the mean difference over folds, its standard error, t, and the one-sided p."""

    difference: float | None
    error: float | None
    t: float | None
    p: float | None

    @property
    def is_significant(self) -> bool:
        """By `RULE`; an undefined p is not."""
        return self.p is not None and self.p < LEVEL

    @property
    def word(self) -> str:
        """ "significant" or "not"."""
        return "significant" if self.is_significant else "not"


def call(mean: Mean, extra_error: float = 0.0) -> Call:
    """Whether a mean over folds is above zero. `extra_error` adds to its standard error, in squares."""
    if mean.value is None or mean.error is None or mean.dof + 1 < FEWEST_FOLDS:
        return Call(mean.value, mean.error, None, None)
    error = math.hypot(mean.error, extra_error)
    t = mean.value / max(error, 1e-12)
    return Call(mean.value, error, t, student_tail(t, mean.dof))


def draws_error(means: Sequence[float]) -> float:
    """Of a model against a control of a few draws: it is one more draw, and their mean is uncertain too."""
    if len(means) < 2:
        return 0.0
    return float(np.std(means, ddof=1)) * math.sqrt(1 + 1 / len(means))


def student_tail(t: float, dof: int) -> float:
    """P(T > t) of Student's t with a whole number of degrees of freedom (Abramowitz and Stegun, 26.7.3 and 26.7.4).

    >>> round(student_tail(2.228, 10), 4)
    0.025
    """
    angle = math.atan(abs(t) / math.sqrt(dof))
    sine, cosine = math.sin(angle), math.cos(angle)
    term, total = (cosine, 0.0) if dof % 2 else (1.0, 0.0)
    for number in range(dof % 2, dof - 1, 2):
        total += term
        term *= cosine**2 * (number + 1) / (number + 2)
    within = 2 / math.pi * (angle + sine * total) if dof % 2 else sine * total
    return (1 - within) / 2 if t >= 0 else (1 + within) / 2
