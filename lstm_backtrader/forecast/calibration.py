"""Probabilities that mean what they say: Platt's fit on validation, and how reliable they are afterwards."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_STEPS = 50  # of Newton's method, which takes fewer than ten
_RIDGE = 1e-6  # keeps the fit finite where validation is parted without error
_STEEPEST = 30.0  # exponent beyond which a probability is 0 or 1 to the last digit


@dataclass(frozen=True)
class Platt:
    """P(up) = 1 / (1 + exp(-(offset + slope z))), z the forecast over its residual deviation.

    `slope` is 0 or more: a calibration may mute a forecast, never turn it round. J. Platt, Probabilistic outputs
    for support vector machines, 1999.
    """

    offset: float
    slope: float

    @classmethod
    def fit(cls, z: Floats, is_up: NDArray[np.bool_]) -> Platt:
        """Maximum likelihood on validation, z (N,) and whether the label was above zero (N,).

        The targets are Platt's, (n + 1) / (n + 2) and 1 / (n + 2) instead of 1 and 0, for a validation of one
        direction alone.
        """
        ups = int(is_up.sum())
        target = np.where(is_up, (ups + 1) / (ups + 2), 1 / (len(is_up) - ups + 2))
        offset, slope = _newton(np.stack([np.ones(len(z)), z]), target)
        if slope > 0:
            return cls(offset, slope)
        return cls(_newton(np.ones((1, len(z))), target)[0], 0.0)

    def probability(self, z: Floats) -> Floats:
        """(N,) -> (N,) in (0, 1)."""
        return _sigmoid(self.offset + self.slope * z)


@dataclass(frozen=True)
class ReliabilityBin:
    """Bars of like probability: the mean of what was said, and how often it came true."""

    bars: int
    said: float
    came: float


@dataclass(frozen=True)
class Reliability:
    """`brier`: mean squared error of the probability; `ece`: mean distance of said and came over bins of equal
    size; `ece_by_chance`: what a perfect probability would show on so few bars.
    """

    bars: int
    brier: float
    ece: float
    ece_by_chance: float
    bins: tuple[ReliabilityBin, ...]


def reliability(probability: Floats, is_up: NDArray[np.bool_], horizon: int, bins: int = 10) -> Reliability:
    """Of probabilities (N,) against outcomes (N,), in bins of equal size; labels of `horizon` bars overlap."""
    order = np.argsort(probability, kind="stable")
    found, ece, chance = [], 0.0, 0.0
    for part in np.array_split(order, min(bins, max(len(order), 1))):
        if len(part) == 0:
            continue
        said, came = float(probability[part].mean()), float(is_up[part].mean())
        share = len(part) / len(order)
        ece += share * abs(said - came)
        # mean |x| of a normal of that variance
        chance += share * math.sqrt(2 / math.pi * said * (1 - said) * horizon / len(part))
        found.append(ReliabilityBin(len(part), said, came))
    return Reliability(len(order), brier(probability, is_up), ece, chance, tuple(found))


def brier(probability: Floats | float, is_up: NDArray[np.bool_]) -> float:
    """Mean squared error of a probability; 0.25 for whoever always says one half."""
    return float(((probability - is_up) ** 2).mean()) if len(is_up) else math.nan


def _newton(x: Floats, target: Floats) -> Sequence[float]:
    """Logistic regression of `target` (N,) on x (P, N): P weights."""
    weights = np.zeros(len(x))
    for _ in range(_STEPS):
        p = _sigmoid(weights @ x)
        gradient = x @ (target - p) - _RIDGE * weights
        curvature = (x * (p * (1 - p))) @ x.T + _RIDGE * np.eye(len(x))
        step = np.linalg.solve(curvature, gradient)
        weights = weights + np.clip(step, -2, 2)  # far from the minimum a full step may overshoot
        if np.abs(step).max() < 1e-10:
            break
    return [float(weight) for weight in weights]


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -_STEEPEST, _STEEPEST))))
