"""Walk-forward: retrain again and again on the past alone, and keep the models as one schedule.

Nets of all folds and seeds are trained side by side, in threads: torch leaves Python's lock while it computes. A
fold is on disk as soon as its last net is done, under a name made of everything that decides its weights; after a
kill the next run finds it there, and a fold of another config or other data is never found.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Lock

import pandas as pd
from filelock import FileLock, Timeout
from joblib import Parallel, delayed

from lstm_backtrader.candles import candles_sha256
from lstm_backtrader.errors import ConfigError, DataError, ModelError
from lstm_backtrader.forecast.artefact import load_artefact
from lstm_backtrader.forecast.folds import Fold, WalkForwardConfig, between, plan_folds
from lstm_backtrader.forecast.history import read_history
from lstm_backtrader.forecast.inference import Device, LSTMForecaster, find_device
from lstm_backtrader.forecast.manifest import MANIFEST
from lstm_backtrader.forecast.material import Material, prepare
from lstm_backtrader.forecast.net_threads import UnwantedError, end_if_unwanted, ended_by
from lstm_backtrader.forecast.network import one_thread
from lstm_backtrader.forecast.schedule import Plan, ScheduledModel, ScheduleManifest
from lstm_backtrader.forecast.scheduled import ScheduledForecaster, make_schedule
from lstm_backtrader.forecast.train_config import TrainConfig
from lstm_backtrader.forecast.training import (
    FittedNet,
    assemble,
    fit_net,
    training_entry,
    training_key,
    versions,
    warn_of_seam,
)

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]  # optimiser steps done, and in all


def walk_forward(
    candles: pd.DataFrame,
    config: WalkForwardConfig,
    *,
    folder: str | Path | None = None,
    jobs: int | None = None,
    device: Device = "auto",
    progress: Progress | None = None,
) -> ScheduledForecaster:
    """Train a model for each fold and give them as one forecaster, the newest in charge of each bar.

    `folder`: where finished folds are kept, so that a run that was stopped goes on from there; None keeps
    nothing. `jobs`: nets trained at a time, None: one a core. `progress` is called from the training threads.
    Weights depend on data, config and device alone. Raises `DataError`, `ConfigError`.
    """
    place = find_device(device)
    folds = plan_folds(candles, config)
    with _kept_in(folder) as store:
        trainings = [_Training(candles, fold, config.train, place, store) for fold in folds]
        waiting = [training for training in trainings if training.model is None]
        if store is not None and len(waiting) < len(folds):
            logger.info("%d of %d folds are there already", len(folds) - len(waiting), len(folds))
        _train_all(waiting, config.train, jobs or _cores(place), progress)
    models = [training.model for training in trainings if training.model is not None]
    seams = [model.seam for model in models if model.seam is not None]
    warn_of_seam(max(seams, default=None), config.train)
    manifest = ScheduleManifest(
        schema_version=1,
        kind="schedule",
        created=datetime.now(UTC).replace(microsecond=0),
        plan=Plan(train_days=config.train_days, step_days=config.step_days, expanding=config.expanding),
        models=tuple(_entry(fold, model) for fold, model in zip(folds, models, strict=True)),
        data_sha256=candles_sha256(between(candles, folds[0].train_begin, folds[-1].end)),
        weights_sha256="",
        versions=versions(),
    )
    return make_schedule(manifest, models)


def _entry(fold: Fold, model: LSTMForecaster) -> ScheduledModel:
    begins = fold.begin.to_pydatetime()
    return ScheduledModel(begins=begins, manifest=model.manifest.model_copy(update={"created": begins}))


def _train_all(trainings: Sequence[_Training], config: TrainConfig, jobs: int, progress: Progress | None) -> None:
    """Fit every net of every fold, `jobs` at a time, oldest fold first."""
    done: dict[tuple[int, int], int] = {}
    total = len(trainings) * config.seeds * config.steps
    is_over = Event()
    running: list[int] = []
    failures: list[BaseException | None] = []

    def fit(number: int, seed: int) -> None:
        def advance(_: int, step: int, steps: int) -> None:
            done[number, seed] = step
            if progress:
                progress(sum(list(done.values())), total)

        is_done = False
        running.append(seed)
        try:
            with ended_by(is_over):
                end_if_unwanted()
                trainings[number].fit(seed, advance)
            is_done = True
        finally:
            running.remove(seed)
            if not is_done:
                failures.append(sys.exception())
                is_over.set()

    tasks = (delayed(fit)(number, seed) for number in range(len(trainings)) for seed in config.all_seeds)
    try:
        with one_thread():
            Parallel(n_jobs=jobs, require="sharedmem")(tasks)
    except UnwantedError:  # joblib raises whichever it sees first; what ended the others came before them
        raise failures[0] or UnwantedError from None
    finally:
        is_over.set()  # after Ctrl-C, as after an error, the threads end at their next step
        while running:  # a thread that computes while Python shuts down takes the process down with it
            time.sleep(0.01)


@dataclass
class _Training:
    """A fold on its way to a model: its nets are fitted by any thread, the last of them completes it."""

    candles: pd.DataFrame
    fold: Fold
    config: TrainConfig
    device: str
    store: Path | None
    model: LSTMForecaster | None = None
    _material: Material | None = None
    _fitted: dict[int, FittedNet] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self.candles = self.fold.train_bars(self.candles)
        self.data_sha256 = candles_sha256(self.candles)
        if self.store is not None:
            key = training_key(self.config, self.device, data=self.data_sha256, begin=self.fold.begin.isoformat())
            self.path = self.store / f"{self.fold.begin:%Y-%m-%d-%H%M}-{key[:16]}"
            self.model = self._find()

    def fit(self, seed: int, progress: Callable[[int, int, int], None]) -> None:
        """Train the net of that seed; with the last one the fold is complete, and on disk."""
        with self._lock:
            if self._material is None:
                self._material = self._prepare()
            material = self._material
        net = fit_net(material, self.config, seed, self.device, progress)
        with self._lock:
            self._fitted[seed] = net
            if len(self._fitted) == self.config.seeds:
                self._complete(material)

    def _prepare(self) -> Material:
        try:
            return prepare(self.candles, self.config)
        except DataError as error:
            raise DataError(f"the fold that begins at {self.fold.begin:%Y-%m-%d %H:%M} UTC: {error}") from error

    def _complete(self, material: Material) -> None:
        fitted = [self._fitted[seed] for seed in self.config.all_seeds]
        model = assemble(material, self.config, fitted, extra_purge=self.config.embargo)
        self._material = None
        self._fitted.clear()
        if self.store is not None:
            model.save(self.path)
        self.model = model

    def _find(self) -> LSTMForecaster | None:
        """The model of this fold, if an earlier run has finished it."""
        if not (self.path / MANIFEST).exists():
            return None
        try:
            manifest, nets = load_artefact(self.path)
            model = LSTMForecaster(manifest, nets, history=read_history(self.path))
        except ModelError as error:
            logger.warning("the fold is trained again: %s", error)
            return None
        is_same = (manifest.data_sha256, manifest.training) == (self.data_sha256, training_entry(self.config))
        if not is_same:
            logger.warning("%s holds a model of other data or another config; the fold is trained again", self.path)
        return model if is_same else None


@contextmanager
def _kept_in(folder: str | Path | None) -> Iterator[Path | None]:
    """The folder of finished folds, for this process alone; what a kill left half-written there is removed."""
    if folder is None:
        yield None
        return
    store = Path(folder)
    store.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(store / ".lock", timeout=0):
            for left in store.glob(".*-*"):
                if left.is_dir():
                    shutil.rmtree(left)
            yield store
    except Timeout as error:
        raise ConfigError(
            f"another walk-forward is writing to {store}. Wait for it, or choose another directory."
        ) from error


def _cores(device: str) -> int:
    if device != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
