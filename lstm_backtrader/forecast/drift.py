"""How far the features of unseen bars have moved from those the model was trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BINS = 10
MOVING, MOVED = 0.1, 0.25  # the usual marks of the population stability index
_LEAST = 1e-4  # share of an empty bin, so that the index stays finite


@dataclass(frozen=True)
class Drift:
    """`psi`: population stability index over tenths of train; `ks`: largest distance of the two distributions;
    `shift`: of the mean, in train deviations.
    """

    psi: float
    ks: float
    shift: float

    @property
    def word(self) -> str:
        """The usual reading of the index."""
        return "moved" if self.psi > MOVED else "moving" if self.psi > MOVING else "stable"


def drift(train: Floats, unseen: Floats) -> Drift:
    """Of one feature, train rows (N,) against unseen rows (M,).

    Bins are the tenths of train; values that many rows share (no news) have a bin to themselves.
    """
    edges = np.unique(np.quantile(train, np.linspace(0, 1, BINS + 1)[1:-1]))
    shares = [_shares(values, edges) for values in (train, unseen)]
    then, now = (np.maximum(share, _LEAST) for share in shares)
    both = np.sort(np.concatenate([train, unseen]))
    below = [np.searchsorted(np.sort(values), both, side="right") / len(values) for values in (train, unseen)]
    spread = float(train.std())
    return Drift(
        psi=float(((now - then) * np.log(now / then)).sum()),
        ks=float(np.abs(below[0] - below[1]).max()),
        shift=float(unseen.mean() - train.mean()) / spread if spread > 1e-12 else 0.0,
    )


def _shares(values: Floats, edges: Floats) -> Floats:
    """(bins,) below the first edge, on it, up to the next, on it, and so on."""
    left, right = (np.searchsorted(edges, values, side=side) for side in ("left", "right"))
    return np.bincount(left + right, minlength=2 * len(edges) + 1) / len(values)
