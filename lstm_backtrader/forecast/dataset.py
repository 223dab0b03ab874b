"""From candles to training material: rows, a purged split, a scaler fitted on train, and random crops."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from lstm_backtrader.errors import DataError
from lstm_backtrader.forecast.context import StridedContext

SCALER_CLIP = 5.0
FloatT = TypeVar("FloatT", np.float32, np.float64)


@dataclass(frozen=True)
class Scaler:
    """Standardises features with the mean and deviation of the train rows, then clips to +-`clip` (None: not).

    `mean`, `scale`: F numbers each. A feature that never varied on train keeps scale 1.
    """

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    clip: float | None = SCALER_CLIP

    @classmethod
    def fit(cls, X: NDArray[np.float32]) -> Scaler:
        """Fit on the train rows (N, F)."""
        mean, std = X.mean(axis=0, dtype=np.float64), X.std(axis=0, dtype=np.float64)
        return cls(tuple(mean.tolist()), tuple(np.where(std > 1e-12, std, 1.0).tolist()))

    @cached_property
    def _arrays(self) -> NDArray[np.float64]:
        return np.array([self.mean, self.scale])

    def transform(self, X: NDArray[FloatT]) -> NDArray[FloatT]:
        """(N, F) -> (N, F), of the same precision."""
        scaled = (X - self._arrays[0]) / self._arrays[1]
        if self.clip is not None:
            scaled = np.clip(scaled, -self.clip, self.clip)
        return np.asarray(scaled, dtype=X.dtype)


@dataclass(frozen=True)
class Split:
    """First and past-the-last slot of train and validation; what lies between them is purged and embargoed."""

    train_begin: int
    train_end: int
    val_begin: int
    val_end: int


def purged_split(slots: NDArray[np.int64], horizon: int, val_fraction: float, embargo: int) -> Split:
    """Validation is the last `val_fraction` of the labelled slots (N,).

    Train ends `horizon` + `embargo` bars before it, so that no train label reaches into validation and the two
    do not touch (Lopez de Prado, Advances in Financial Machine Learning, ch. 7).
    """
    begin, end = int(slots[0]), int(slots[-1]) + 1
    val_begin = end - round((end - begin) * val_fraction)
    return Split(begin, val_begin - horizon - embargo, val_begin, end)


class Crops:
    """Random crops of L + S - 1 bars of time, with the loss on the last S: the shape inference has.

    `X` (N, F) scaled features, `y` (N,) labels, `weight` (N,), `slots` (N,) increasing. Crops lie wholly in the
    rows given; a missing bar is skipped, and a crop that holds fewer bars is filled up behind its end, where the
    loss does not look.
    """

    def __init__(
        self,
        context: StridedContext,
        X: NDArray[np.float32],
        y: NDArray[np.float64],
        weight: NDArray[np.float64],
        slots: NDArray[np.int64],
    ) -> None:
        self.context = context
        span = context.span
        if len(slots) < span or slots[-1] - slots[0] < span:
            raise DataError(
                f"{len(slots)} usable train bars do not hold one crop of {span} bars (context {context.length} + "
                f"stride {context.stride}). Give more data, or a smaller --context."
            )
        self.slots = slots
        self.last_start = int(slots[-1]) - span + 1
        filler = span - 1
        usable = np.isfinite(y)
        self._X = sliding_window_view(np.pad(X, ((0, filler), (0, 0))), span, axis=0)  # (N, F, W) view
        self._y = sliding_window_view(np.pad(np.where(usable, y, 0.0).astype(np.float32), (0, filler)), span)
        loss_weight = np.where(usable, weight, 0.0).astype(np.float32)
        self._weight = sliding_window_view(np.pad(loss_weight, (0, filler)), span)
        self._slots = sliding_window_view(np.pad(slots, (0, filler), constant_values=np.iinfo(np.int64).max), span)

    def sample(
        self, rng: np.random.Generator, n: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Features (n, W, F), labels (n, W), loss weights (n, W), W = L + S - 1."""
        start = rng.integers(int(self.slots[0]), self.last_start + 1, size=n)
        first = np.searchsorted(self.slots, start)  # (n,)
        place = self._slots[first] - start[:, None]  # (n, W) bars of time since the crop began
        counted = (place >= self.context.length - 1) & (place < self.context.span)
        counted[:, : (self.context.length + 1) // 2 - 1] = False  # fewer than L/2 bars seen: no forecast there
        X = np.ascontiguousarray(self._X[first].transpose(0, 2, 1))
        return X, self._y[first], np.where(counted, self._weight[first], np.float32(0))
