"""What all figures of an evaluation are made from: the judged bars, their folds, and every forecast of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lstm_backtrader.candles import Bars
from lstm_backtrader.forecast.rivals import HELD, LAST, MOMENTUM
from lstm_backtrader.forecast.skill import Said, Skill, skill
from lstm_backtrader.forecast.unseen import Folds, Part

Floats = NDArray[np.float64]

CONTROL = "shuffled labels"
UNSCALED = (MOMENTUM, LAST, HELD)  # directions, not sizes: a squared error of theirs says nothing


@dataclass(frozen=True)
class Scene:
    """One evaluation, before any figure; arrays are (T,) on the candles."""

    index: pd.Index[pd.Timestamp]
    bars: Bars
    horizon: int
    parts: tuple[Part, ...]
    folds: Folds
    label: Said  # about its mean on train
    move: Floats
    forecasts: dict[str, Said]  # the model's first
    draws: tuple[Said, ...]

    @property
    def main(self) -> Floats:
        """The model's forecast."""
        return next(iter(self.forecasts.values())).raw

    @property
    def judged(self) -> NDArray[np.int64]:
        """Rows of all folds."""
        return np.concatenate(self.folds.rows)

    @property
    def sizes(self) -> list[int]:
        """Rows of each fold."""
        return [len(rows) for rows in self.folds.rows]

    @property
    def trained(self) -> list[str]:
        """Names of the model and of what was trained beside it."""
        return [name for name in self.forecasts if name not in UNSCALED]

    def spread(self, values: Sequence[Floats | float]) -> Floats:
        """(T,) the values of each part on its rows, NaN elsewhere; a part has an array or one number."""
        out = np.full(len(self.bars), np.nan)
        for part, each in zip(self.parts, values, strict=True):
            out[part.begin : part.end] = each
        return out

    def skill(self, said: Said) -> Skill:
        """The figures of a forecast."""
        return skill(said, self.label, self.move, self.folds.rows, self.folds.counts, self.horizon)
