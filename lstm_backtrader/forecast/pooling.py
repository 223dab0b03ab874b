"""Training on several instruments at once: one set of weights, and a model for each that scales as it needs."""

from __future__ import annotations

import os
from collections.abc import Mapping

import pandas as pd

from lstm_backtrader.errors import LbtError
from lstm_backtrader.forecast.inference import Device, LSTMForecaster, find_device
from lstm_backtrader.forecast.net_threads import net_threads
from lstm_backtrader.forecast.pool import prepare_pool
from lstm_backtrader.forecast.train_config import TrainConfig
from lstm_backtrader.forecast.training import FittedNet, Progress, assemble, fit_net, warn_of_seam


def train_pooled(
    candles: Mapping[str, pd.DataFrame],
    config: TrainConfig | None = None,
    progress: Progress | None = None,
    *,
    device: Device = "auto",
) -> dict[str, LSTMForecaster]:
    """Train one ensemble on the candles of several instruments; a model for each, by name.

    The models share their weights; scaler, mean of the label, threshold and figures are each instrument's own. None
    forecasts a bar before the last that any of them has learned from. The rest is as in `train`; of one
    instrument it is `train`. Raises `DataError`, `TimeframeError` and `ConfigError`, naming the instrument.
    """
    config, place = config or TrainConfig(), find_device(device)
    pool = prepare_pool(candles, config)

    def fit_seed(seed: int) -> FittedNet:
        return fit_net(tuple(pool.values()), config, seed, place, progress)

    workers = min(config.seeds, os.cpu_count() or 1) if place == "cpu" else 1
    models = {}
    with net_threads(workers) as threads:
        fitted = list(threads.map(fit_seed, config.all_seeds))
    for name, material in pool.items():
        try:
            models[name] = assemble(material, config, fitted, pool=pool)
        except LbtError as error:
            raise type(error)(f"{name}: {error}") from error
    warn_of_seam(max((model.seam for model in models.values() if model.seam is not None), default=None), config)
    return models
