"""A schedule of models: its manifest, and which of its models speaks for which bar, known without torch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, model_validator

from lstm_backtrader.forecast.description import FAR, DescribedModel
from lstm_backtrader.forecast.manifest import LedgerEntry, Manifest, Moment, Strict, parse_manifest, read_json


class ScheduledModel(Strict):
    """One model, used from the bar that opens at `begins` until the next one begins."""

    begins: Moment
    manifest: Manifest  # `created` is `begins`: the moment a live retraining would have made it


class Plan(Strict):
    """How the models were retrained."""

    train_days: float = Field(gt=0)
    step_days: float = Field(gt=0)
    expanding: bool


class ScheduleManifest(Strict):
    """Models one after the other, each trained on the past of the bars it is used for."""

    schema_version: Literal[1]
    kind: Literal["schedule"]
    created: Moment
    plan: Plan
    models: tuple[ScheduledModel, ...] = Field(min_length=1)
    data_sha256: str
    weights_sha256: str
    versions: dict[str, str]
    ledger: LedgerEntry | None = None

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        for number, model in enumerate(self.models):
            allowed = DescribedModel(model.manifest, "").valid_from
            if pd.Timestamp(model.begins) < allowed:
                raise ValueError(
                    f"model {number} begins at {model.begins:%Y-%m-%d %H:%M}, inside what it was trained on; "
                    f"its first unseen bar is {allowed:%Y-%m-%d %H:%M}"
                )
        for number, (model, later) in enumerate(pairwise(self.models), start=1):
            if model.begins >= later.begins:
                raise ValueError(f"model {number} does not begin after the one before it")
            for name in ("timeframe_s", "label"):
                if _shared(model.manifest, name) != _shared(later.manifest, name):
                    raise ValueError(f"model {number} has another {name} than the one before it")
        return self

    def manifests(self) -> tuple[Manifest, ...]:
        """The manifest of each model, in order."""
        return tuple(model.manifest for model in self.models)

    def inputs_sha256(self) -> str:
        """SHA-256 of which weights are used from when on, and of what decides what each computes."""
        parts = [
            (model.begins.isoformat(), model.manifest.inputs_sha256(), model.manifest.weights_sha256)
            for model in self.models
        ]
        return hashlib.sha256(repr(parts).encode()).hexdigest()


def _shared(manifest: Manifest, name: str) -> object:
    """What all models of a schedule must have in common."""
    return (manifest.label.kind, manifest.label.horizon) if name == "label" else getattr(manifest, name)


def read_any_manifest(folder: Path) -> Manifest | ScheduleManifest:
    """The manifest of a model or of a schedule, checked. Raises `ModelError`."""
    raw = read_json(folder)
    if isinstance(raw, dict) and "kind" in raw:
        return parse_manifest(ScheduleManifest.model_validate, raw, folder)
    return parse_manifest(Manifest.model_validate, raw, folder)


class DescribedSchedule:
    """The part of `Forecaster` that needs the manifest alone."""

    def __init__(self, manifest: ScheduleManifest, name: str) -> None:
        self.manifest = manifest
        self.name = name
        self.described = [DescribedModel(model.manifest, name) for model in manifest.models]
        self.begins = pd.DatetimeIndex([model.begins for model in manifest.models]).as_unit("ns")
        self._thresholds = np.array([model.threshold for model in self.described])
        never = np.iinfo(np.int64).max
        ends = [model.valid_until for model in self.described]
        self._expiries = np.array([never if end is None else end.as_unit("ns").value for end in ends])

    @property
    def timeframe(self) -> pd.Timedelta:
        """Bar length the models were trained on."""
        return self.described[0].timeframe

    @property
    def warmup(self) -> int:
        """Bars needed before a forecast is certain, whichever model gives it."""
        return max(model.warmup for model in self.described)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the candles the models read."""
        return tuple(dict.fromkeys(name for model in self.described for name in model.columns))

    @property
    def threshold(self) -> float:
        """The newest model's; each bar is judged by its own model's, `threshold_at`."""
        return float(self._thresholds[-1])

    @property
    def valid_from(self) -> pd.Timestamp:
        """Open of the first bar the first model is used for; every later bar is unseen by its model."""
        return self.begins[0]

    @property
    def valid_until(self) -> pd.Timestamp | None:
        """Open of the first bar the newest model is too old for; None if it never expires."""
        return self.described[-1].valid_until

    @property
    def horizon(self) -> int:
        """Bars ahead that are forecast."""
        return self.described[0].horizon

    @property
    def is_class(self) -> bool:
        """Whether they forecast which of three classes comes, and no quantity."""
        return self.described[0].is_class

    @property
    def is_return(self) -> bool:
        """Whether they forecast a return in units of its volatility."""
        return self.described[0].is_return

    @property
    def spans(self) -> list[tuple[str, pd.Timestamp, pd.Timestamp]]:
        """The bars each model is used for, none of which it has seen: name, first open, open of the first after."""
        ends = [*self.begins[1:], self.valid_until or FAR]
        return [
            (f"fold {number}, out of sample", begin, end)
            for number, (begin, end) in enumerate(zip(self.begins, ends, strict=True), start=1)
        ]

    @property
    def training(self) -> dict[str, object]:
        """Where the models come from, in plain values, for a report; features and label are those of all."""
        newest = self.described[-1].training
        return {**newest, "models": len(self.described), "weights_sha256": self.manifest.weights_sha256}

    @property
    def seam(self) -> float | None:
        """The worst seam of a model; None where none is known."""
        return max((model.seam for model in self.described if model.seam is not None), default=None)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the schedule and all its models: two that share it forecast the same."""
        parts = [model.fingerprint for model in self.described]
        return hashlib.sha256(f"{self.manifest.inputs_sha256()}{parts}".encode()).hexdigest()

    def model_at(self, times: NDArray[np.int64]) -> NDArray[np.int64]:
        """(T,) the newest model trained before each bar (ns since 1970); the first for bars before all."""
        return np.maximum(np.searchsorted(self.begins.asi8, times, side="right") - 1, 0)

    def described_at(self, time: int) -> DescribedModel:
        """The model of the bar that opens at `time`, ns since 1970."""
        return self.described[int(self.model_at(np.array([time]))[0])]

    def threshold_at(self, times: NDArray[np.int64]) -> NDArray[np.float64]:
        """(T,) |forecast| from which the signal of each bar is +-1."""
        return np.asarray(self._thresholds[self.model_at(times)])

    def half_width_at(self, times: NDArray[np.int64]) -> NDArray[np.float64]:
        """(T,) half width of the interval around each bar's forecast, NaN where its model knows none."""
        widths = np.array([np.nan if model.half_width is None else model.half_width for model in self.described])
        return np.asarray(widths[self.model_at(times)])

    def expired_at(self, times: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(T,) True where the model of a bar is too old for it."""
        return np.asarray(times >= self._expiries[self.model_at(times)])

    def stretches(self, times: NDArray[np.int64]) -> Iterator[tuple[int, slice]]:
        """Model and rows of each run of bars that one model speaks for; `times` (T,) increase."""
        edges = [0, *np.searchsorted(times, self.begins.asi8[1:]).tolist(), len(times)]
        for number, (begin, end) in enumerate(pairwise(edges)):
            if end > begin:
                yield number, slice(begin, end)
