"""Train as a model was trained: its span, features, label and split again, for rivals and controls.

What a model is compared with has to have seen the same bars. From its manifest and the candles comes the material
it was trained on; ridge learns from that, and nets of other labels or another cell do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lstm_backtrader.candles import Bars, candles_sha256
from lstm_backtrader.errors import ConfigError, DataError
from lstm_backtrader.forecast.dataset import Crops
from lstm_backtrader.forecast.features import make_features
from lstm_backtrader.forecast.inference import LSTMForecaster
from lstm_backtrader.forecast.manifest import Cell
from lstm_backtrader.forecast.material import Material, prepare
from lstm_backtrader.forecast.ridge import Ridge
from lstm_backtrader.forecast.shuffled import config_of
from lstm_backtrader.forecast.train_config import TrainConfig
from lstm_backtrader.forecast.training import assemble, fit_net

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Retraining:
    """What a model was trained on and how, with one net. `is_same_data`: to the last bit, by the hash it kept."""

    model: LSTMForecaster
    config: TrainConfig
    material: Material
    is_same_data: bool

    @classmethod
    def of(cls, model: LSTMForecaster, candles: pd.DataFrame) -> Retraining:
        """Raises `ConfigError` for a model that was not trained here, `DataError` where its bars are not there."""
        manifest = model.manifest
        config = config_of(manifest)
        if manifest.train_from is None:
            raise ConfigError(
                f"{model.name} does not say from when on it was trained, so it cannot be trained again."
            )
        first = int(candles.index.searchsorted(pd.Timestamp(manifest.train_from)))
        last = pd.Timestamp(manifest.trained_until) + config.horizon * model.timeframe
        learned = candles.iloc[
            max(0, first - model.memory + 1) : int(candles.index.searchsorted(last, side="right"))
        ]
        if len(learned) < 2 or candles.index[0] > pd.Timestamp(manifest.train_from):
            raise DataError(
                f"the candles begin at {candles.index[0]:%Y-%m-%d}, the model was trained from "
                f"{manifest.train_from:%Y-%m-%d} to {manifest.trained_until:%Y-%m-%d}. Rivals and controls have to "
                f"learn from the same bars: give those too."
            )
        is_same = candles_sha256(learned) == manifest.data_sha256
        return cls(model, config, prepare(learned, config), is_same)

    def ridge(self, bars: Bars) -> Floats:
        """(T,) what ridge says of the bars, fitted on train; its penalty is chosen on validation."""
        material, split = self.material, self.material.split
        train = material.rows(int(material.slots[0]), split.train_end)
        validation = material.rows(split.val_begin, split.val_end)
        X, y = material.X.astype(np.float64), material.y
        fit = Ridge.fit((X[train], y[train]), (X[validation], y[validation]))
        return fit.predict(material.scaler.transform(make_features(bars, material.specs)).astype(np.float64))

    def shuffled(self, seed: int) -> LSTMForecaster:
        """A net that learned from labels of train and validation permuted together; nothing else differs."""
        material = self.material
        rng = np.random.default_rng(seed)
        known = np.flatnonzero(np.isfinite(material.y))
        y = np.full(len(material.y), np.nan)
        y[known] = material.y[rng.permutation(known)]
        train = material.rows(int(material.slots[0]), material.split.train_end)
        crops = Crops(
            self.config.strided_context(),
            material.X[train],
            y[train],
            material.weight[train],
            material.slots[train],
        )
        # not the model's seed: each draw is another net, too
        return self._fit(replace(material, y=y, crops=crops), seed=int(rng.integers(0, 2**31)))

    def of_cell(self, cell: Cell) -> LSTMForecaster:
        """A net of that cell, everything else as the model was trained."""
        return self._fit(self.material, cell=cell)

    def _fit(self, material: Material, seed: int | None = None, cell: Cell | None = None) -> LSTMForecaster:
        config = replace(
            self.config, seed=self.config.seed if seed is None else seed, cell=cell or self.config.cell
        )
        return assemble(material, config, [fit_net(material, config, config.seed)])

    def train_features(self) -> NDArray[np.float32]:
        """(N, F) scaled features of the train rows."""
        material = self.material
        return material.X[material.rows(int(material.slots[0]), material.split.train_end)]
