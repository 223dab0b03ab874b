"""Training: candles in, an ensemble of small recurrent nets out, with nothing fitted on the future."""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import torch

import lstm_backtrader
from lstm_backtrader.forecast.artefact import pack_weights
from lstm_backtrader.forecast.history import HistoryRow, finite
from lstm_backtrader.forecast.inference import Device, LSTMForecaster, find_device
from lstm_backtrader.forecast.manifest import (
    FeatureEntry,
    Manifest,
    ScalerEntry,
)
from lstm_backtrader.forecast.material import Material, Relabel, prepare
from lstm_backtrader.forecast.net_threads import end_if_unwanted, net_threads
from lstm_backtrader.forecast.network import RecurrentNet, repeatable
from lstm_backtrader.forecast.objective import objective_of
from lstm_backtrader.forecast.pool import PooledCrops
from lstm_backtrader.forecast.quality import SEAM_LIMIT
from lstm_backtrader.forecast.train_config import EVALUATIONS, TrainConfig
from lstm_backtrader.forecast.validation import validate, validation_loss

logger = logging.getLogger(__name__)

Progress = Callable[[int, int, int], None]


@dataclass(frozen=True)
class FittedNet:
    """A net with the weights of its best validation loss, the step they came from, and how it got there."""

    seed: int
    net: RecurrentNet
    best_step: int
    history: tuple[HistoryRow, ...]


def train(
    candles: pd.DataFrame,
    config: TrainConfig | None = None,
    progress: Progress | None = None,
    *,
    device: Device = "auto",
    relabel: Relabel | None = None,
) -> LSTMForecaster:
    """Train an ensemble on the candles; the last `val_fraction` of them only stops it early.

    Scaler and label mean come from the train rows alone. Bit-reproducible for one seed on one machine.
    `progress(seed, step, steps)` is called now and then, from the training threads. `device`: "auto" takes a GPU
    where there is one. `relabel` replaces the labels (T,), NaN where unknown, by others: the audit's control
    trains on shuffled ones. Raises `DataError` where the data are too few or too thin, `TimeframeError` where bars
    stand off the clock.
    """
    config, place = config or TrainConfig(), find_device(device)
    material = prepare(candles, config, relabel)

    def fit_seed(seed: int) -> FittedNet:
        return fit_net(material, config, seed, place, progress)

    workers = min(config.seeds, os.cpu_count() or 1) if place == "cpu" else 1
    with net_threads(workers) as pool:
        fitted = list(pool.map(fit_seed, config.all_seeds))
    model = assemble(material, config, fitted)
    warn_of_seam(model.seam, config)
    return model


def fit_net(
    material: Material | Sequence[Material],
    config: TrainConfig,
    seed: int,
    device: str = "cpu",
    progress: Progress | None = None,
) -> FittedNet:
    """One net of the ensemble; it depends on its seed alone, not on its fellows or on threads.

    Of several instruments it sees crops of each, as many as it has bars, and stops early by all of them.
    """
    pool = (material,) if isinstance(material, Material) else tuple(material)
    context, crops, objective = config.strided_context(), PooledCrops.of(pool), objective_of(pool[0].label)
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    net = RecurrentNet(
        pool[0].X.shape[1],
        config.hidden,
        config.layers,
        config.cell,
        config.dropout,
        context.span + 1,
        generator,
        objective.outputs,
    ).to(device)
    optimiser = torch.optim.AdamW(net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=config.learning_rate, total_steps=max(config.steps, 2)
    )
    every = max(1, config.steps // EVALUATIONS)
    best_loss, best_step, best_weights = np.inf, 0, copy.deepcopy(net.state_dict())
    history: list[HistoryRow] = []
    losses_since: list[float] = []
    with repeatable(device):
        for step in range(1, config.steps + 1):
            end_if_unwanted()
            x, y, weight = (torch.from_numpy(part).to(device) for part in crops.sample(rng, config.batch))
            net.train()
            out, _ = net(x)  # (B, W, F) -> (B, W) or (B, W, K)
            losses = objective.losses(out, y)
            loss = (losses * weight).sum() / weight.sum().clamp(min=1)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            rate = float(schedule.get_last_lr()[0])
            schedule.step()
            losses_since.append(loss.item())
            if step % every == 0 or step == config.steps:
                val_loss = validation_loss(pool, context, objective, net.eval(), device)
                is_best = val_loss < best_loss
                train_loss, losses_since = float(np.mean(losses_since)), []
                history.append(HistoryRow(seed, step, rate, finite(train_loss), finite(val_loss), is_best))
                if is_best:
                    best_loss, best_step, best_weights = val_loss, step, copy.deepcopy(net.state_dict())
                elif step - best_step >= config.patience * every:
                    break
                if progress:
                    progress(seed, step, config.steps)
    if progress:
        progress(seed, config.steps, config.steps)
    net.load_state_dict(best_weights)
    return FittedNet(seed, net.to("cpu").eval(), best_step, tuple(history))


def assemble(
    material: Material,
    config: TrainConfig,
    fitted: Sequence[FittedNet],
    extra_purge: int = 0,
    pool: Mapping[str, Material] | None = None,
) -> LSTMForecaster:
    """The forecaster of the fitted nets, with its manifest.

    `extra_purge`: bars without forecast besides the horizon after the last bar with a label. `pool`: instruments
    the nets learned from, by name; what any of them knew is known.
    """
    nets = [each.net for each in fitted]
    validation = validate(material, config, nets, tuple(each.best_step for each in fitted))
    split, slots, step_s = material.split, material.slots, material.step_s
    labelled = slots[np.isfinite(material.y)]
    learned_from = [material] if pool is None else pool.values()
    trained_until = _time(max(each.slots[np.isfinite(each.y)][-1] for each in learned_from), step_s)
    manifest = Manifest(
        schema_version=1,
        created=datetime.now(UTC).replace(microsecond=0),
        cell=config.cell,
        hidden=config.hidden,
        layers=config.layers,
        context=config.strided_context().length,
        stride=config.strided_context().stride,
        features=tuple(FeatureEntry.of(spec) for spec in material.specs),
        scaler=ScalerEntry(mean=material.scaler.mean, scale=material.scaler.scale),
        label=material.label,
        timeframe_s=step_s,
        train_from=_time(slots[0], step_s),
        train_until=_time(labelled[labelled < split.train_end][-1], step_s),
        validation_from=_time(slots[slots >= split.val_begin][0], step_s),
        trained_until=trained_until,
        purge_bars=config.horizon + extra_purge,
        expires=trained_until + timedelta(days=config.expires_days) if config.expires_days else None,
        fill_rate=material.fill_rate,
        seeds=tuple(each.seed for each in fitted),
        threshold=validation.forecast_std or 0.0,
        validation=validation,
        training={**training_entry(config), **({"pooled": list(pool)} if pool and len(pool) > 1 else {})},
        data_sha256=material.data_sha256,
        weights_sha256="",
        versions=versions(),
    )
    weights = {each.seed: each.net for each in fitted}
    _, weights_sha256 = pack_weights(weights, manifest.inputs_sha256())
    manifest = manifest.model_copy(update={"weights_sha256": weights_sha256})
    return LSTMForecaster(manifest, nets, history=[row for each in fitted for row in each.history])


def training_entry(config: TrainConfig) -> dict[str, int | float | str | bool | list[str] | None]:
    """The config as the manifest keeps it."""
    return {**asdict(config), "events": list(config.events), "features": list(config.features)}


def training_key(config: TrainConfig, device: str, **data: str) -> str:
    """SHA-256 of all that decides the weights: config, code of features and label, device, versions, and `data`."""
    parts = {**data, "config": training_entry(config), "device": device, "versions": versions()}
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
    for spec in config.feature_specs():
        digest.update(str(spec).encode() + spec.code())
    digest.update(config.label_spec().code())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Of the program and of what decides its numbers."""
    return {
        "lstm_backtrader": lstm_backtrader.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
    }


def warn_of_seam(measured: float | None, config: TrainConfig) -> None:
    """Say so where the forecast steps visibly at a restart of its context."""
    if measured is not None and measured > SEAM_LIMIT:
        stride = config.strided_context().stride
        logger.warning(
            "seam %.2f: every %d bars, where its context restarts, the forecast moves that many times as far as "
            "from bar to bar elsewhere (limit %.2f), and may be traded for it. A --stride of %d steps less and "
            "forecasts more slowly.",
            measured,
            stride,
            SEAM_LIMIT,
            max(1, stride // 4),
        )


def _time(slot: int, step_s: int) -> datetime:
    return pd.Timestamp(int(slot) * step_s, unit="s", tz="UTC").to_pydatetime()
