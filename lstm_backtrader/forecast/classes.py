"""From what a net says of three classes (down, neither, up) to their probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def probabilities(logits: NDArray[np.floating], class_weights: Sequence[float] = (1.0, 1.0, 1.0)) -> Floats:
    """(..., 3) -> (..., 3) adding up to 1.

    A net trained with `class_weights` says how probable a class were if all counted as much as they were weighted;
    dividing by the weights brings back how often they come (Saerens, Latinne and Decaestecker, Neural Computation
    2002).
    """
    shifted = np.asarray(logits, dtype=np.float64) - np.log(class_weights)
    grown = np.exp(shifted - shifted.max(axis=-1, keepdims=True))
    return np.asarray(grown / grown.sum(axis=-1, keepdims=True))
