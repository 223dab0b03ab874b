"""Models with random weights and markets to run them on: what a forecast costs does not depend on its worth."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import torch
from torch import nn

from lstm_backtrader.candles import COLUMNS, Bars
from lstm_backtrader.datafeeds.synthetic import synthetic_market
from lstm_backtrader.forecast.artefact import pack_weights
from lstm_backtrader.forecast.dataset import Scaler
from lstm_backtrader.forecast.features import default_features, make_features
from lstm_backtrader.forecast.inference import LSTMForecaster
from lstm_backtrader.forecast.manifest import FeatureEntry, Manifest, ScaledReturn, ScalerEntry, ValidationEntry
from lstm_backtrader.forecast.network import RecurrentNet
from lstm_backtrader.forecast.train_config import TrainConfig

_DEFAULT = TrainConfig()


@dataclass(frozen=True)
class Shape:
    """The size of a model; without arguments, what `lbt train` makes."""

    context: int = _DEFAULT.context  # L
    stride: int = _DEFAULT.strided_context().stride  # S
    hidden: int = _DEFAULT.hidden  # H
    layers: int = _DEFAULT.layers
    seeds: int = _DEFAULT.seeds  # M

    def net(self, n_features: int = 12, seed: int = 0) -> RecurrentNet:
        """One net of the shape."""
        generator = torch.Generator().manual_seed(seed)
        memory = self.context + self.stride
        net = RecurrentNet(n_features, self.hidden, self.layers, "lstm", memory=memory, generator=generator)
        return net.eval()


def candles(bars: int, seed: int = 0) -> pd.DataFrame:
    """A synthetic market of hourly bars, without its news."""
    return synthetic_market(bars, seed=seed).candles[list(COLUMNS)]


def random_model(shape: Shape, market: pd.DataFrame) -> LSTMForecaster:
    """An untrained ensemble with the default features, scaled on `market` and as often in it as a trained one."""
    specs = default_features()
    X = make_features(Bars.of(market), specs)
    scaler = Scaler.fit(X[np.isfinite(X).all(axis=1)])
    nets = {seed: shape.net(len(specs), seed) for seed in range(shape.seeds)}
    long_ago = datetime(2000, 1, 1, tzinfo=UTC)
    manifest = Manifest(
        schema_version=1,
        created=long_ago,
        cell="lstm",
        hidden=shape.hidden,
        layers=shape.layers,
        context=shape.context,
        stride=shape.stride,
        features=tuple(FeatureEntry.of(spec) for spec in specs),
        scaler=ScalerEntry(mean=scaler.mean, scale=scaler.scale),
        label=ScaledReturn(horizon=24),
        timeframe_s=3600,
        train_from=None,
        train_until=long_ago,
        validation_from=None,
        trained_until=long_ago,
        purge_bars=24,
        expires=None,
        fill_rate=None,
        seeds=tuple(nets),
        threshold=0.0,
        validation=ValidationEntry(
            bars=1,
            loss=None,
            ic=None,
            event_ic=None,
            seam=None,
            residual_std=1.0,
            forecast_std=None,
            best_steps=(1,) * shape.seeds,
        ),
        training={},
        data_sha256=None,
        weights_sha256="",
        versions={},
    )
    threshold = float(LSTMForecaster(manifest, list(nets.values())).predict(market)["forecast"].std())
    _, weights_sha256 = pack_weights(nets, manifest.inputs_sha256())
    update = {"weights_sha256": weights_sha256, "threshold": threshold}
    return LSTMForecaster(manifest.model_copy(update=update), list(nets.values()))


def plain_torch(net: RecurrentNet) -> tuple[nn.LSTM, nn.Linear]:
    """The same weights in torch's own modules, as a tutorial has them."""
    cell = net.cell
    lstm = nn.LSTM(cell.input_size, cell.hidden_size, cell.num_layers, batch_first=True)
    lstm.load_state_dict(cell.state_dict())
    head = nn.Linear(cell.hidden_size, 1)
    head.load_state_dict(net.head.state_dict())
    return lstm.eval(), head.eval()
