"""What training minimises: the error of a quantity, or the surprise at a class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from lstm_backtrader.forecast.classes import probabilities
from lstm_backtrader.forecast.manifest import Label, ThreeClasses

Floats = NDArray[np.float64]
Outputs = NDArray[np.float32]


class Objective(Protocol):
    """How M nets are trained towards targets (N,), and how they are judged."""

    @property
    def outputs(self) -> int:
        """K, numbers a net says of each bar."""
        ...

    def losses(self, out: Tensor, y: Tensor) -> Tensor:
        """Outputs (B, W) or (B, W, K), targets (B, W) -> the loss of each bar (B, W)."""
        ...

    def together(self, members: Outputs) -> Floats:
        """What an ensemble says: (M, N) -> (N,), or (M, N, K) -> (N, K)."""
        ...

    def error(self, said: Floats, y: Floats, weight: Floats) -> float:
        """Weighted mean loss of what was said over the bars where it and the target are known."""
        ...

    def forecast(self, said: Floats) -> Floats:
        """The forecast (N,) in what was said."""
        ...


def objective_of(label: Label) -> Objective:
    """The objective that belongs to a label."""
    return CrossEntropy(label.class_weights) if isinstance(label, ThreeClasses) else Huber()


@dataclass(frozen=True)
class Huber:
    """The square of small errors and the size of large ones (Huber, Annals of Mathematical Statistics 1964)."""

    @property
    def outputs(self) -> int:
        """See `Objective`."""
        return 1

    def losses(self, out: Tensor, y: Tensor) -> Tensor:
        """See `Objective`."""
        return functional.huber_loss(out, y, reduction="none")

    def together(self, members: Outputs) -> Floats:
        """See `Objective`."""
        return np.asarray(members.mean(axis=0, dtype=np.float64))

    def error(self, said: Floats, y: Floats, weight: Floats) -> float:
        """See `Objective`."""
        known = np.isfinite(said) & np.isfinite(y)
        error = np.abs(said[known] - y[known])
        losses = np.where(error <= 1, 0.5 * error**2, error - 0.5)
        return float((losses * weight[known]).sum() / max(weight[known].sum(), 1.0))

    def forecast(self, said: Floats) -> Floats:
        """See `Objective`."""
        return said


@dataclass(frozen=True)
class CrossEntropy:
    """The surprise at the class that came (-1, 0, 1), times its weight; what is said are probabilities (N, 3)."""

    class_weights: tuple[float, float, float]

    @property
    def outputs(self) -> int:
        """See `Objective`."""
        return 3

    def losses(self, out: Tensor, y: Tensor) -> Tensor:
        """See `Objective`."""
        classes = (y + 1).long().flatten()
        weights = torch.tensor(self.class_weights, dtype=out.dtype, device=out.device)
        return functional.cross_entropy(out.flatten(0, 1), classes, weights, reduction="none").view_as(y)

    def together(self, members: Outputs) -> Floats:
        """See `Objective`."""
        return np.asarray(probabilities(members, self.class_weights).mean(axis=0))

    def error(self, said: Floats, y: Floats, weight: Floats) -> float:
        """See `Objective`; of the probabilities as they were trained, all classes counting as much."""
        known = np.isfinite(said[:, 0]) & np.isfinite(y)
        balanced = said[known] * np.array(self.class_weights)
        balanced /= balanced.sum(axis=1, keepdims=True)
        came = (y[known] + 1).astype(np.int64)
        weight = weight[known] * np.array(self.class_weights)[came]
        surprise = -np.log(np.maximum(balanced[np.arange(len(came)), came], 1e-12))
        return float((surprise * weight).sum() / max(weight.sum(), 1.0))

    def forecast(self, said: Floats) -> Floats:
        """See `Objective`: how much more probable up is than down."""
        return np.asarray(said[:, 2] - said[:, 0])
