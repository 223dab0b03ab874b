"""What a forecast is shown beside: ridge, momentum, the last value, buy and hold, shuffled labels, a plain RNN."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lstm_backtrader.candles import Bars
from lstm_backtrader.forecast.features import FeatureSpec
from lstm_backtrader.forecast.inference import LSTMForecaster
from lstm_backtrader.forecast.net_threads import net_threads
from lstm_backtrader.forecast.retraining import Retraining
from lstm_backtrader.forecast.skill import FLAT, Said
from lstm_backtrader.forecast.unseen import Part

Floats = NDArray[np.float64]
Tick = Callable[[str, int, int], None]  # what goes on, done, in all

RIDGE, RNN, HELD = "ridge", "vanilla RNN", "buy and hold"
LAST, MOMENTUM = "last value", "momentum"


@dataclass(frozen=True)
class Rivals:
    """Forecasts of all bars, NaN outside of the parts. `draws`: one for each shuffling of the labels."""

    named: dict[str, Said]
    draws: tuple[Said, ...]


def untrained(bars: Bars, horizon: int) -> dict[str, Said]:
    """Forecasts that learn nothing: the last return goes on, the last `horizon` bars do, prices only rise."""
    zero, one = np.zeros(len(bars)), np.ones(len(bars))
    return {
        MOMENTUM: Said(FeatureSpec("log_return", {"span": horizon}).compute(bars), zero, one),
        LAST: Said(FeatureSpec("log_return", {"span": 1}).compute(bars), zero, one),
        HELD: Said(one, one, one),
    }


def say(
    model: LSTMForecaster, part: Part, index: pd.Index[pd.Timestamp], bars: Bars
) -> tuple[Floats, float, float]:
    """(n,) forecasts of the rows of a part by `model`, and mean and deviation of those on the part's validation."""
    rows = part.validation(index)
    before = np.empty(0) if rows is None else model.values(bars, rows.start, rows.stop)[0]
    return model.values(bars, part.begin, part.end)[0], *usual(before)


def usual(values: Floats) -> tuple[float, float]:
    """Mean and deviation of the finite values; 0 and 1 where there are none, or they never change."""
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return 0.0, 1.0
    spread = float(known.std())
    return float(known.mean()), spread if spread > FLAT else 1.0


def retrained(
    parts: Sequence[Part],
    retrainings: Sequence[Retraining],
    index: pd.Index[pd.Timestamp],
    bars: Bars,
    *,
    draws: int,
    with_rnn: bool,
    seed: int = 0,
    jobs: int | None = None,
    tick: Tick | None = None,
) -> Rivals:
    """Ridge, `draws` nets of shuffled labels and, if asked for, a vanilla RNN, trained as each model was.

    `jobs`: nets trained at a time, None: one a core. The numbers do not depend on it.
    """
    seeds = np.random.default_rng(seed).integers(0, 2**31, (len(parts), draws)).tolist()
    said, centre, scale = (np.full((draws + 2, len(bars)), np.nan) for _ in range(3))  # the last: RNN, ridge
    for part, retraining in zip(parts, retrainings, strict=True):
        rows = part.validation(index)
        first = max(0, (part.begin if rows is None else rows.start) - part.model.memory)
        all_of_it = retraining.ridge(bars.part(first, part.end))
        before = np.empty(0) if rows is None else all_of_it[rows.start - first : rows.stop - first]
        here = slice(part.begin, part.end)
        said[-1, here], (centre[-1, here], scale[-1, here]) = all_of_it[part.begin - first :], usual(before)
    tasks: list[tuple[int, int, Callable[[], LSTMForecaster]]] = []
    for number, retraining in enumerate(retrainings):
        tasks += [(number, draw, _shuffled(retraining, seeds[number][draw])) for draw in range(draws)]
        if with_rnn:
            tasks.append((number, draws, _rnn(retraining)))
    done = 0

    def work(task: tuple[int, int, Callable[[], LSTMForecaster]]) -> None:
        nonlocal done
        number, row, fit = task
        part = parts[number]
        here = slice(part.begin, part.end)
        said[row, here], centre[row, here], scale[row, here] = say(fit(), part, index, bars)
        done += 1
        if tick:
            tick("training rivals and controls", done, len(tasks))

    if tasks:
        if tick:
            tick("training rivals and controls", 0, len(tasks))
        with net_threads(jobs or os.cpu_count() or 1) as pool:
            list(pool.map(work, tasks))
    every = [Said(*rows) for rows in zip(said, centre, scale, strict=True)]
    named = {RIDGE: every[-1], **({RNN: every[draws]} if with_rnn else {})}
    return Rivals(named, tuple(every[:draws]))


def _shuffled(retraining: Retraining, seed: int) -> Callable[[], LSTMForecaster]:
    return lambda: retraining.shuffled(seed)


def _rnn(retraining: Retraining) -> Callable[[], LSTMForecaster]:
    return lambda: retraining.of_cell("rnn")
