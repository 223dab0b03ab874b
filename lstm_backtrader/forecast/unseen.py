"""Which bars a forecast may be judged on, by which model, and the folds it is judged in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lstm_backtrader.candles import open_times
from lstm_backtrader.errors import DataError
from lstm_backtrader.forecast.inference import LSTMForecaster
from lstm_backtrader.forecast.scheduled import ScheduledForecaster
from lstm_backtrader.forecast.verdict import FEWEST_FOLDS

Rows = NDArray[np.int64]

MOST_BLOCKS = 12
BLOCK_HORIZONS = 30  # horizons in a block, the least


@dataclass(frozen=True)
class Part:
    """One model and the rows [begin, end) of the candles it is judged on; it has seen none of them."""

    model: LSTMForecaster
    begin: int
    end: int

    def validation(self, index: pd.Index[pd.Timestamp]) -> slice | None:
        """The rows its model was validated on; None where the candles do not hold them, or it keeps no record."""
        manifest = self.model.manifest
        if manifest.validation_from is None or index[0] > pd.Timestamp(manifest.validation_from):
            return None
        begin = int(index.searchsorted(pd.Timestamp(manifest.validation_from)))
        return slice(begin, int(index.searchsorted(pd.Timestamp(manifest.trained_until), side="right")))


@dataclass(frozen=True)
class Folds:
    """`rows` of each fold, oldest first; `counts`: whether it is in the means; `how` they were made, in words."""

    rows: tuple[Rows, ...]
    counts: tuple[bool, ...]
    how: str


def unseen_parts(
    model: LSTMForecaster | ScheduledForecaster,
    candles: pd.DataFrame,
    begin: pd.Timestamp | None = None,
    end: pd.Timestamp | None = None,
) -> tuple[Part, ...]:
    """The parts of `candles` from `begin` to before `end` that a model may forecast, oldest first.

    No bar the model was trained or stopped on is in them, and none it is too old for. Raises `DataError` where
    nothing is left.
    """
    index = candles.index
    first = 0 if begin is None else int(index.searchsorted(begin))
    last = len(index) if end is None else int(index.searchsorted(end))
    stretches = (
        [(model, slice(0, len(index)))]
        if isinstance(model, LSTMForecaster)
        else [(model.models[number], rows) for number, rows in model.stretches(open_times(index))]
    )
    allowed = int(index.searchsorted(model.valid_from))
    parts = []
    for each, rows in stretches:
        expires = each.valid_until
        until = len(index) if expires is None else int(index.searchsorted(expires))
        part = Part(each, max(rows.start, first, allowed), min(rows.stop, last, until))
        if part.end > part.begin:
            parts.append(part)
    if not parts:
        raise DataError(
            f"no bar to judge {model.name} by: it may be used from {model.valid_from:%Y-%m-%d %H:%M} UTC"
            f"{'' if model.valid_until is None else f' until {model.valid_until:%Y-%m-%d %H:%M}'}, and the data "
            f"cover {index[0]:%Y-%m-%d %H:%M} to {index[-1]:%Y-%m-%d %H:%M}. Give later data, or choose --from and "
            f"--until inside."
        )
    return tuple(parts)


def make_folds(parts: Sequence[Part], judged: NDArray[np.bool_], horizon: int) -> Folds:
    """A fold for each model of a schedule; else contiguous blocks of the judged rows, as many as say something.

    A fold shorter than half of the longest is left out of the means.
    """
    if len(parts) >= FEWEST_FOLDS:
        rows = [part.begin + np.flatnonzero(judged[part.begin : part.end]) for part in parts]
        rows = [each for each in rows if len(each)]
        longest = max((len(each) for each in rows), default=0)
        counts = tuple(2 * len(each) >= longest for each in rows)
        short = counts.count(False)
        left_out = f"; {short} shorter than half of the longest, left out of the means" if short else ""
        return Folds(tuple(rows), counts, f"{len(rows)} folds, each the unseen bars of one model{left_out}")
    every = np.flatnonzero(judged)
    blocks = max(1, min(MOST_BLOCKS, len(every) // (BLOCK_HORIZONS * horizon)))
    rows = np.array_split(every, blocks)
    why = "one model has no folds" if len(parts) == 1 else f"{len(parts)} models are too few folds"
    how = f"{blocks} contiguous blocks of the unseen bars, because {why}"
    return Folds(tuple(rows), (True,) * blocks, how)
