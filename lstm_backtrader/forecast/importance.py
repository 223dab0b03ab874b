"""Permutation importance: how much worse the forecasts are when one feature comes from another time.

Whole blocks of a feature change places, so that it keeps its own look over time and loses what it had to do with
label and other features (Breiman, Random forests, 2001, by blocks because bars are no independent draws).
"""

from __future__ import annotations

import math
from itertools import count

import numpy as np
from numpy.typing import NDArray

from lstm_backtrader.candles import Bars
from lstm_backtrader.forecast.features import make_features
from lstm_backtrader.forecast.inference import LSTMForecaster
from lstm_backtrader.forecast.quality import correlation

Floats = NDArray[np.float64]

MOST_BARS = 40_000  # of one evaluation, the newest of each model
FEWEST_BLOCKS = 5


def feature_names(model: LSTMForecaster) -> list[str]:
    """A feature and its parameters in a few words: `log_return 24`, `clock day sin`."""
    return [" ".join((spec.name, *map(str, spec.params.values()))) for spec in model.specs]


def importance(
    model: LSTMForecaster, bars: Bars, label: Floats, begin: int, end: int, *, repeats: int = 2, seed: int = 0
) -> Floats | None:
    """(repeats, F) fall of the IC on rows [begin, end) of `bars`, with `label` (T,), when a feature is permuted.

    Blocks are about as long as the context. None where the rows hold fewer than five of them.
    """
    block = block_length(model.context.length)
    if (end - begin) // block < FEWEST_BLOCKS:
        return None
    first = max(0, begin - model.memory - model.context.span)
    part = bars.part(first, end)
    X = make_features(part, model.specs, model.manifest.precision)
    rows = np.flatnonzero(np.isfinite(X).all(axis=1))
    X, slots = model.scaler.transform(X[rows]), part.open_time[rows] // model.step_ns
    where = np.flatnonzero(rows >= begin - first)  # rows of X that are judged
    came = label[first + rows[where]]

    def ic(inputs: NDArray[np.float32]) -> float:
        said = model.of_inputs(inputs, rows, slots, part)
        return correlation(said[rows[where]], came) or 0.0

    whole = ic(X)
    rng = np.random.default_rng(seed)
    fall = np.empty((repeats, X.shape[1]))
    for repeat in range(repeats):
        moved = _permuted_blocks(len(X), block, rng)
        for column in range(X.shape[1]):
            inputs = X.copy()
            inputs[:, column] = X[moved, column]
            fall[repeat, column] = whole - ic(inputs)
    return fall


def block_length(context: int) -> int:
    """Bars in a block: the context or a few more.

    Blocks of whole days would fit the clock wherever they are put, and the hour would seem to matter to nobody.
    """
    return next(bars for bars in count(context) if math.gcd(bars, 2 * 3 * 7) == 1)


def _permuted_blocks(rows: int, block: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(rows,) where each row comes from: blocks in another order, none where it was."""
    blocks = [np.arange(at, min(at + block, rows)) for at in range(0, rows, block)]
    order = rng.permutation(len(blocks))
    source = np.empty(len(blocks), dtype=np.int64)
    source[order] = np.roll(order, 1)  # one cycle through all, so that none stays
    return np.concatenate([blocks[number] for number in source])
