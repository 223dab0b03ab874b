"""What a forecast is shown beside: ridge, momentum, the last value, buy and hold, shuffled labels, a plain RNN."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lstm_backtrader.candles import Bars
from lstm_backtrader.forecast.features import FeatureSpec
from lstm_backtrader.forecast.inference import LSTMForecaster
from lstm_backtrader.forecast.network import one_thread
from lstm_backtrader.forecast.retraining import Retraining
from lstm_backtrader.forecast.unseen import Part

Floats = NDArray[np.float64]
Tick = Callable[[str, int, int], None]  # what goes on, done, in all

RIDGE, RNN, HELD = "ridge", "vanilla RNN", "buy and hold"
LAST, MOMENTUM = "last value", "momentum"


@dataclass(frozen=True)
class Rivals:
    """Forecasts (T,) of all bars, NaN outside of the parts. `draws`: one for each shuffling of the labels."""

    named: dict[str, Floats]
    draws: tuple[Floats, ...]


def untrained(bars: Bars, horizon: int) -> dict[str, Floats]:
    """Forecasts that learn nothing: the last return goes on, the last `horizon` bars do, prices only rise."""
    return {
        MOMENTUM: FeatureSpec("log_return", {"span": horizon}).compute(bars),
        LAST: FeatureSpec("log_return", {"span": 1}).compute(bars),
        HELD: np.ones(len(bars)),
    }


def retrained(
    parts: Sequence[Part],
    retrainings: Sequence[Retraining],
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
    ridge = np.full(len(bars), np.nan)
    for part, retraining in zip(parts, retrainings, strict=True):
        first = max(0, part.begin - part.model.memory)
        ridge[part.begin : part.end] = retraining.ridge(bars.part(first, part.end))[part.begin - first :]
    tasks: list[tuple[int, int, Callable[[], LSTMForecaster]]] = []
    for number, retraining in enumerate(retrainings):
        tasks += [(number, draw, _shuffled(retraining, seeds[number][draw])) for draw in range(draws)]
        if with_rnn:
            tasks.append((number, draws, _rnn(retraining)))
    said = np.full((draws + 1, len(bars)), np.nan)  # the last row is the RNN's
    done = 0

    def work(task: tuple[int, int, Callable[[], LSTMForecaster]]) -> None:
        nonlocal done
        number, row, fit = task
        begin, end = parts[number].begin, parts[number].end
        said[row, begin:end] = fit().values(bars, begin, end)[0]
        done += 1
        if tick:
            tick("training rivals and controls", done, len(tasks))

    if tasks:
        if tick:
            tick("training rivals and controls", 0, len(tasks))
        with one_thread(), ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool:
            list(pool.map(work, tasks))
    named = {RIDGE: ridge, **({RNN: said[draws]} if with_rnn else {})}
    return Rivals(named, tuple(said[:draws]))


def _shuffled(retraining: Retraining, seed: int) -> Callable[[], LSTMForecaster]:
    return lambda: retraining.shuffled(seed)


def _rnn(retraining: Retraining) -> Callable[[], LSTMForecaster]:
    return lambda: retraining.of_cell("rnn")
