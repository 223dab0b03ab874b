"""Training: candles in, an ensemble of small recurrent nets out, with nothing fitted on the future."""

from __future__ import annotations

import copy
import logging
import os
import platform
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

import lstm_backtrader
from lstm_backtrader.candles import Bars, bar_seconds, candles_sha256, check_clock, show_time
from lstm_backtrader.errors import ConfigError, DataError
from lstm_backtrader.forecast.artefact import pack_weights
from lstm_backtrader.forecast.context import StridedContext
from lstm_backtrader.forecast.dataset import Crops, Scaler, Split, purged_split
from lstm_backtrader.forecast.features import (
    DEFAULT,
    FeatureSpec,
    make_features,
    parse_features,
    volume_spikes,
)
from lstm_backtrader.forecast.inference import LSTMForecaster
from lstm_backtrader.forecast.labels import LabelSpec
from lstm_backtrader.forecast.manifest import (
    Cell,
    FeatureEntry,
    Label,
    Manifest,
    ScalerEntry,
    ValidationEntry,
)
from lstm_backtrader.forecast.network import RecurrentNet, one_thread
from lstm_backtrader.forecast.objective import Objective, objective_of
from lstm_backtrader.forecast.quality import correlation, seam
from lstm_backtrader.forecast.strided import strided_forecast
from lstm_backtrader.forecast.targets import check_horizon, fit_target

logger = logging.getLogger(__name__)

SEAM_LIMIT = 1.25
EVALUATIONS = 20  # of the validation loss, evenly over the steps
Progress = Callable[[int, int, int], None]


@dataclass(frozen=True)
class TrainConfig:
    """How to train; every default is what `lbt train` uses."""

    horizon: int = 24  # k, bars the label looks ahead
    label: str = "scaled_return"  # or three_classes, or one of your own, with parameters: "three_classes:fee_bps=4"
    features: tuple[str, ...] = (DEFAULT,)  # say ("default", "rsi:span=14", "macd")
    context: int = 384  # L, bars every forecast has seen
    stride: int | None = None  # S, bars between two fresh starts; None: L / 4
    hidden: int = 16  # H
    layers: int = 1
    cell: Cell = "lstm"
    seeds: int = 3  # M, nets in the ensemble
    seed: int = 0  # of the first net; the others count on
    steps: int = 800  # optimiser steps, 32 crops each
    batch: int = 32  # B, crops a step
    learning_rate: float = 3e-3  # peak of the one-cycle schedule
    weight_decay: float = 1e-3
    dropout: float = 0.1  # before the head, in [0, 1)
    patience: int = 8  # evaluations (steps / 20 each) without a better validation loss before stopping
    event_weight: float = 0.0  # extra loss weight of `horizon` bars from a volume spike (z above 3.2) on
    events: tuple[str, ...] = ()  # event columns of the candles used as features
    val_fraction: float = 0.15  # last part of the data, for early stopping and the figures in the manifest
    embargo: int = 168  # bars left out between train and validation besides the horizon
    expires_days: int | None = None  # days after `trained_until` from which the model is too old

    def __post_init__(self) -> None:
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                default = getattr(type(self), name)
                raise ConfigError(f"{name} {value} is outside {low} to {high}. The default is {default}.")
        if self.cell not in ("lstm", "rnn"):
            raise ConfigError(f"cell '{self.cell}' is unknown. Use 'lstm', or 'rnn' for comparison.")
        self.strided_context()
        self.feature_specs()
        ahead = self.label_spec().horizon
        if ahead != self.horizon:
            raise ConfigError(
                f"label '{self.label}' looks {ahead} bars ahead, horizon is {self.horizon}. Set horizon to {ahead}."
            )

    def feature_specs(self) -> tuple[FeatureSpec, ...]:
        """What the net sees, in its order; the event columns come last."""
        return parse_features(self.features, self.events)

    def label_spec(self) -> LabelSpec:
        """What the net learns to forecast."""
        return LabelSpec.parse(self.label, self.horizon)

    def strided_context(self) -> StridedContext:
        """Context and stride together, checked."""
        return StridedContext(self.context, self.stride if self.stride is not None else max(1, self.context // 4))


_RANGES = (
    ("horizon", 1, 10_000),
    ("hidden", 1, 1024),
    ("layers", 1, 8),
    ("seeds", 1, 64),
    ("seed", 0, 2**31),
    ("steps", 1, 1_000_000),
    ("batch", 1, 4096),
    ("learning_rate", 1e-6, 1.0),
    ("weight_decay", 0.0, 1.0),
    ("dropout", 0.0, 0.95),
    ("patience", 1, EVALUATIONS),
    ("event_weight", 0.0, 1e6),
    ("val_fraction", 0.01, 0.5),
    ("embargo", 0, 100_000),
    ("expires_days", 1, 36_500),
)


@dataclass(frozen=True)
class Material:
    """Rows ready for training (N of them): scaled features, targets, loss weights, slots."""

    X: NDArray[np.float32]
    y: NDArray[np.float64]
    weight: NDArray[np.float64]
    slots: NDArray[np.int64]
    split: Split
    is_event: NDArray[np.bool_]
    label: Label

    def rows(self, begin: int, end: int) -> slice:
        """The rows whose slots lie in [begin, end)."""
        first, last = np.searchsorted(self.slots, (begin, end))
        return slice(int(first), int(last))


def train(
    candles: pd.DataFrame, config: TrainConfig | None = None, progress: Progress | None = None
) -> LSTMForecaster:
    """Train an ensemble on the candles; the last `val_fraction` of them only stops it early.

    Scaler and label mean come from the train rows alone. Bit-reproducible for one seed on one machine.
    `progress(seed, step, steps)` is called now and then, from the training threads.
    Raises `DataError` where the data are too few or too thin, `TimeframeError` where bars stand off the clock.
    """
    config = config or TrainConfig()
    bars = Bars.of(candles)
    specs = config.feature_specs()
    step_s = bar_seconds(bars.open_time)
    check_clock(bars.open_time, step_s)
    step_ns = step_s * 1_000_000_000
    material, scaler, fill_rate = _prepare(bars, specs, config, step_ns)
    seeds = range(config.seed, config.seed + config.seeds)

    def fit_seed(seed: int) -> tuple[RecurrentNet, int]:
        return _fit(material, config, seed, progress)

    with one_thread(), ThreadPoolExecutor(min(len(seeds), os.cpu_count() or 1)) as pool:
        fitted = list(pool.map(fit_seed, seeds))
    nets = [net for net, _ in fitted]
    validation = _validate(material, config, nets, tuple(step for _, step in fitted))
    split, slots = material.split, material.slots
    labelled = slots[np.isfinite(material.y)]
    trained_until = _time(labelled[-1], step_ns)
    manifest = Manifest(
        schema_version=1,
        created=datetime.now(UTC).replace(microsecond=0),
        cell=config.cell,
        hidden=config.hidden,
        layers=config.layers,
        context=config.strided_context().length,
        stride=config.strided_context().stride,
        features=tuple(FeatureEntry.of(spec) for spec in specs),
        scaler=ScalerEntry(mean=scaler.mean, scale=scaler.scale),
        label=material.label,
        timeframe_s=step_s,
        train_from=_time(slots[0], step_ns),
        train_until=_time(labelled[labelled < split.train_end][-1], step_ns),
        validation_from=_time(slots[slots >= split.val_begin][0], step_ns),
        trained_until=trained_until,
        purge_bars=config.horizon,
        expires=trained_until + timedelta(days=config.expires_days) if config.expires_days else None,
        fill_rate=fill_rate,
        seeds=tuple(seeds),
        threshold=validation.forecast_std or 0.0,
        validation=validation,
        training={**asdict(config), "events": list(config.events), "features": list(config.features)},
        data_sha256=candles_sha256(candles),
        weights_sha256="",
        versions={
            "lstm_backtrader": lstm_backtrader.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
    )
    _, weights_sha256 = pack_weights(dict(zip(seeds, nets, strict=True)), manifest.inputs_sha256())
    return LSTMForecaster(manifest.model_copy(update={"weights_sha256": weights_sha256}), nets)


def _prepare(
    bars: Bars, specs: tuple[FeatureSpec, ...], config: TrainConfig, step_ns: int
) -> tuple[Material, Scaler, float]:
    """Features, labels and split; everything fitted is fitted on the train rows."""
    X = make_features(bars, specs)
    rows = np.flatnonzero(np.isfinite(X).all(axis=1))
    spec = config.label_spec()
    y = spec.compute(bars)
    if spec.is_own:
        check_horizon(spec, bars, y)
    labelled = rows[np.isfinite(y[rows])]
    span = config.strided_context().span
    if len(labelled) < 2 * span + config.embargo:
        raise DataError(
            f"{len(bars)} bars leave {len(labelled)} with features and label; context {config.context} needs "
            f"{2 * span + config.embargo}. Give more data, a smaller --context or --horizon."
        )
    slots = bars.open_time // step_ns
    split = purged_split(slots[labelled], config.horizon, config.val_fraction, config.embargo)
    fill_rate = len(bars) / int(slots[-1] - slots[0] + 1)
    if fill_rate < 0.5:
        raise DataError(
            f"only {len(bars)} of the {slots[-1] - slots[0] + 1} bars between {show_time(bars.open_time[0])} and "
            f"{show_time(bars.open_time[-1])} are there ({fill_rate:.0%}, at least 50% is needed). "
            f"Fill the gaps from the venue, or train on a denser period."
        )
    in_train = rows[slots[rows] < split.train_end]
    if not np.isfinite(y[in_train]).any():
        raise DataError(
            f"validation ({config.val_fraction:.0%} of the data) and embargo ({config.embargo} bars) leave no "
            f"train bar. Give more data, or a smaller embargo."
        )
    scaler = Scaler.fit(X[in_train])
    label, y = fit_target(spec, y, y[in_train])
    is_event = volume_spikes(bars)[rows]
    material = Material(
        X=scaler.transform(X[rows]),
        y=y[rows],
        weight=(1.0 + config.event_weight * _recent(is_event, config.horizon)).astype(np.float64),
        slots=slots[rows],
        split=split,
        is_event=is_event,
        label=label,
    )
    return material, scaler, fill_rate


def _recent(is_event: NDArray[np.bool_], bars: int) -> NDArray[np.bool_]:
    """(N,) True at an event and at the `bars` - 1 rows after it, whose labels it still reaches."""
    events = np.cumsum(is_event)
    before = np.concatenate([np.zeros(min(bars, len(events)), events.dtype), events[:-bars]])
    return np.asarray(events > before)


def _fit(material: Material, config: TrainConfig, seed: int, progress: Progress | None) -> tuple[RecurrentNet, int]:
    """One net: the weights with the best validation loss, and the step they came from."""
    context, objective = config.strided_context(), objective_of(material.label)
    train_rows = material.rows(int(material.slots[0]), material.split.train_end)
    crops = Crops(
        context,
        material.X[train_rows],
        material.y[train_rows],
        material.weight[train_rows],
        material.slots[train_rows],
    )
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    net = RecurrentNet(
        material.X.shape[1],
        config.hidden,
        config.layers,
        config.cell,
        config.dropout,
        context.span + 1,
        generator,
        objective.outputs,
    )
    optimiser = torch.optim.AdamW(net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=config.learning_rate, total_steps=max(config.steps, 2)
    )
    every = max(1, config.steps // EVALUATIONS)
    best_loss, best_step, best_weights = np.inf, 0, copy.deepcopy(net.state_dict())
    for step in range(1, config.steps + 1):
        x, y, weight = (torch.from_numpy(part) for part in crops.sample(rng, config.batch))
        net.train()
        out, _ = net(x)  # (B, W, F) -> (B, W) or (B, W, K)
        losses = objective.losses(out, y)
        loss = (losses * weight).sum() / weight.sum().clamp(min=1)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % every == 0 or step == config.steps:
            val_loss = _validation_loss(material, context, objective, net.eval())
            if val_loss < best_loss:
                best_loss, best_step, best_weights = val_loss, step, copy.deepcopy(net.state_dict())
            elif step - best_step >= config.patience * every:
                break
            if progress:
                progress(seed, step, config.steps)
    if progress:
        progress(seed, config.steps, config.steps)
    net.load_state_dict(best_weights)
    return net.eval(), best_step


def _validation_forecast(
    material: Material, context: StridedContext, objective: Objective, nets: list[RecurrentNet]
) -> tuple[NDArray[np.float64], slice]:
    """What the ensemble says of the validation rows (their context reaches back into train), and those rows."""
    split = material.split
    rows = material.rows(split.val_begin, split.val_end)
    seen = material.rows(split.val_begin - context.span - context.stride, split.val_end)
    members = strided_forecast(nets, context, material.X[seen], material.slots[seen])
    return objective.together(members)[rows.start - seen.start :], rows


def _validation_loss(material: Material, context: StridedContext, objective: Objective, net: RecurrentNet) -> float:
    said, rows = _validation_forecast(material, context, objective, [net])
    return objective.error(said, material.y[rows], material.weight[rows])


def _validate(
    material: Material, config: TrainConfig, nets: list[RecurrentNet], best_steps: tuple[int, ...]
) -> ValidationEntry:
    """The ensemble's figures on validation; a visible seam is warned about."""
    context, objective = config.strided_context(), objective_of(material.label)
    said, rows = _validation_forecast(material, context, objective, nets)
    forecast = objective.forecast(said)
    y, is_event, slots = material.y[rows], material.is_event[rows], material.slots[rows]
    known = np.isfinite(forecast) & np.isfinite(y)
    if known.sum() < 2:
        raise DataError(
            f"validation holds {int(known.sum())} bars with forecast and label; at least 2 are needed. "
            f"Give more data, or a larger val_fraction."
        )
    measured = seam(context, forecast, slots)
    if measured is not None and measured > SEAM_LIMIT:
        logger.warning(
            "seam %.2f: the forecast steps where the context restarts (limit %.2f). Try --context %d.",
            measured,
            SEAM_LIMIT,
            2 * config.context,
        )
    return ValidationEntry(
        bars=int(known.sum()),
        loss=objective.error(said, y, material.weight[rows]),
        ic=correlation(forecast, y),
        event_ic=correlation(forecast[is_event], y[is_event]),
        seam=measured,
        residual_std=float((y[known] - forecast[known]).std()),
        forecast_std=float(forecast[known].std()),
        best_steps=best_steps,
    )


def _time(slot: int, step_ns: int) -> datetime:
    return pd.Timestamp(int(slot) * step_ns, unit="ns", tz="UTC").to_pydatetime()
