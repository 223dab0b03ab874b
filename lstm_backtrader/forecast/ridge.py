"""Ridge regression of the label on a bar's features: the plain rival of a network, in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lstm_backtrader.errors import DataError

Floats = NDArray[np.float64]

PENALTIES = tuple(10.0**power for power in range(-4, 3))  # a train row, on features of unit variance


@dataclass(frozen=True)
class Ridge:
    """`weights` (F,) and `offset`; `penalty` a train row, the one that validation liked best."""

    weights: Floats
    offset: float
    penalty: float

    @classmethod
    def fit(cls, train: tuple[Floats, Floats], validation: tuple[Floats, Floats]) -> Ridge:
        """Fit on the train rows, X (N, F) and y (N,); the penalty with the least squared error on validation wins.

        Rows without label, or without all features, are left out. Raises `DataError` where none is left.
        """
        X, y = _known(*train, "train")
        X_val, y_val = _known(*validation, "validation")
        centre, middle = X.mean(axis=0), float(y.mean())
        gram = (X - centre).T @ (X - centre) / len(X)  # (F, F)
        slope = (X - centre).T @ (y - middle) / len(X)  # (F,)
        fits = []
        for penalty in PENALTIES:
            weights = np.linalg.solve(gram + penalty * np.eye(X.shape[1]), slope)
            fit = cls(weights, middle - float(centre @ weights), penalty)
            fits.append((float(((fit.predict(X_val) - y_val) ** 2).mean()), fit))
        return min(fits, key=lambda each: each[0])[1]

    def predict(self, X: Floats) -> Floats:
        """(N, F) -> (N,); NaN where a feature is missing."""
        return np.asarray(X @ self.weights + self.offset)


def _known(X: Floats, y: Floats, name: str) -> tuple[Floats, Floats]:
    known = np.isfinite(X).all(axis=1) & np.isfinite(y)
    if not known.any():
        raise DataError(f"no {name} bar has features and label, so there is no ridge. Give more data.")
    return X[known].astype(np.float64), y[known].astype(np.float64)
