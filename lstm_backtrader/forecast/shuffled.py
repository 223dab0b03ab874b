"""The control that trains as a model was trained, but on shuffled labels: its forecasts must be worth nothing."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pandas as pd
from pydantic import TypeAdapter, ValidationError

from lstm_backtrader.candles import Bars
from lstm_backtrader.errors import ConfigError, DataError
from lstm_backtrader.forecast.audit import Floats
from lstm_backtrader.forecast.audit_subjects import chance_limit, judge, shuffled_labels
from lstm_backtrader.forecast.description import DescribedModel
from lstm_backtrader.forecast.findings import AuditReport
from lstm_backtrader.forecast.manifest import Manifest
from lstm_backtrader.forecast.train_config import TrainConfig
from lstm_backtrader.forecast.training import train


def audit_training(model: DescribedModel, candles: pd.DataFrame, draws: int = 3, seed: int = 0) -> AuditReport:
    """Train the model's configuration anew, one net a draw, with train and validation labels shuffled together.

    Judged on the bars the model has not seen, by their true labels, and on validation, by the shuffled ones.
    Raises `ConfigError` for a model that was not trained here, `DataError` where the candles lack its train span.
    """
    config = config_of(model.manifest)
    if model.manifest.train_from is None:
        raise ConfigError(f"{model.name} does not say from when on it was trained, so it cannot be trained again.")
    start = int(candles.index.searchsorted(pd.Timestamp(model.manifest.train_from)))
    candles = candles.iloc[max(0, start - model.memory + 1) :]
    unseen = np.asarray(candles.index >= model.valid_from)
    learned = candles[~unseen]
    if len(learned) < 2:
        raise DataError(
            f"the candles begin at {candles.index[0]:%Y-%m-%d}, the model was trained from "
            f"{model.manifest.train_from:%Y-%m-%d} to {model.manifest.trained_until:%Y-%m-%d}. Give those bars too."
        )
    validations: list[tuple[float, int]] = []
    fresh = np.random.default_rng(seed).integers(0, 2**31, draws)  # not the model's: each draw another net

    def pipeline(labels: Floats) -> Floats:
        told = replace(config, seed=int(fresh[len(validations)]))
        net = train(learned, told, relabel=lambda y: labels[: len(y)])
        found = net.manifest.validation
        validations.append((found.ic or 0.0, found.bars))
        return net.predict(candles)["forecast"].to_numpy(np.float64)

    labels = config.label_spec().compute(Bars.of(candles))
    on_unseen = shuffled_labels(pipeline, labels, unseen, horizon=config.horizon, draws=draws, seed=seed)
    rows = validations[0][1]
    # shuffled labels do not overlap, but the best of the steps is chosen by them: the wider limit allows for it
    limit = chance_limit(rows, config.horizon, draws)
    on_validation = judge("validation", "training", [ic for ic, _ in validations], rows, limit)
    return AuditReport((on_unseen, on_validation))


def config_of(manifest: Manifest) -> TrainConfig:
    """How the model was trained, with one net; of several instruments, as if it had been on this one alone.

    Raises `ConfigError` where it was not trained here.
    """
    known = {each.name for each in fields(TrainConfig)}
    training = {name: value for name, value in manifest.training.items() if name != "pooled"}
    if not training or not training.keys() <= known:
        raise ConfigError(
            "the model was not trained by this version of `lbt train`, so its training cannot be repeated with "
            "shuffled labels. Leave --shuffled-labels out."
        )
    try:
        return replace(TypeAdapter(TrainConfig).validate_python(training), seeds=1)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(
            f"the manifest's training cannot be repeated: {first['loc'][0]} {first['input']!r}: {first['msg']}. "
            f"Restore the manifest, or train again."
        ) from error
