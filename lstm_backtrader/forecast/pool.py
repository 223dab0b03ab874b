"""Several instruments as material of one training: split at one time, each with a scaler and a mean of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lstm_backtrader.candles import bar_seconds, format_timeframe, open_times
from lstm_backtrader.errors import ConfigError, DataError, LbtError, TimeframeError
from lstm_backtrader.forecast.dataset import Crops, Split, purged_split
from lstm_backtrader.forecast.features import longest_memory
from lstm_backtrader.forecast.manifest import ThreeClasses
from lstm_backtrader.forecast.material import Material, prepare
from lstm_backtrader.forecast.train_config import TrainConfig


@dataclass(frozen=True)
class PooledCrops:
    """Random crops of several instruments, each coming as often as it has train bars."""

    crops: tuple[Crops, ...]
    shares: tuple[float, ...]

    @classmethod
    def of(cls, pool: Sequence[Material]) -> PooledCrops:
        """Those of the materials."""
        bars = np.array([len(each.crops.slots) for each in pool], dtype=np.float64)
        return cls(tuple(each.crops for each in pool), tuple((bars / bars.sum()).tolist()))

    def sample(
        self, rng: np.random.Generator, n: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """As `Crops.sample`; of one instrument the very same crops."""
        if len(self.crops) == 1:
            return self.crops[0].sample(rng, n)
        counts = rng.multinomial(n, self.shares)
        drawn = [each.sample(rng, int(count)) for each, count in zip(self.crops, counts, strict=True) if count]
        X, y, weight = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
        return X, y, weight


def prepare_pool(candles: Mapping[str, pd.DataFrame], config: TrainConfig) -> dict[str, Material]:
    """Material of each instrument, by name.

    Train and validation are parted at one time for all, or a bar of one would tell of the same hour of another.
    Scaler and mean of the label are fitted on each instrument's own train rows, weights of classes on all.
    Raises `DataError`, `TimeframeError` and `ConfigError`, naming the instrument.
    """
    if not candles:
        raise ConfigError("there is no instrument to learn from. Give candles by name, {'BTCUSDT': candles, ...}.")
    split = _common_split(candles, config)
    pool = {}
    for name, table in candles.items():
        try:
            pool[name] = prepare(table, config, split=split)
        except LbtError as error:
            raise type(error)(f"{name}: {error}") from error
    return _same_classes(pool)


def _common_split(candles: Mapping[str, pd.DataFrame], config: TrainConfig) -> Split:
    """One split over the time that all instruments together cover with features and labels."""
    lengths = {name: bar_seconds(open_times(table.index)) for name, table in candles.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {format_timeframe(seconds)}" for name, seconds in lengths.items())
        raise TimeframeError(
            f"instruments trained together need bars of one length, and have {told}. Resample them."
        )
    memory, step_ns = longest_memory(config.feature_specs()), next(iter(lengths.values())) * 1_000_000_000
    first, last = [], []
    for name, table in candles.items():
        slots = open_times(table.index) // step_ns
        if len(slots) < memory + config.horizon + 1:
            raise DataError(
                f"{name}: {len(slots)} bars are too few for features of {memory} and a label of {config.horizon} "
                f"bars. Give more{', or leave the instrument out' if len(candles) > 1 else ''}."
            )
        first.append(int(slots[memory - 1]))
        last.append(int(slots[-1 - config.horizon]))
    span = np.array([min(first), max(last)], dtype=np.int64)
    return purged_split(span, config.horizon, config.val_fraction, config.embargo)


def _same_classes(pool: dict[str, Material]) -> dict[str, Material]:
    """Of labels that are classes, the weights that the train rows of all give."""
    if not any(isinstance(each.label, ThreeClasses) for each in pool.values()):
        return pool
    counts = np.zeros(3)
    for each in pool.values():
        y = each.y[each.slots < each.split.train_end]
        counts += [(y == value).sum() for value in (-1, 0, 1)]
    down, neither, up = (float(weight) for weight in counts.sum() / (3 * counts))
    return {
        name: replace(each, label=each.label.model_copy(update={"class_weights": (down, neither, up)}))
        for name, each in pool.items()
    }
