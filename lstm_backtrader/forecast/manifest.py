"""The manifest of a model: everything it is besides its weights, read and checked without loading torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal, Protocol, Self, TypeVar

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from lstm_backtrader.errors import ConfigError, ModelError
from lstm_backtrader.forecast.context import StridedContext
from lstm_backtrader.forecast.dataset import SCALER_CLIP
from lstm_backtrader.forecast.features import FEATURES, FeatureSpec

SCHEMA_VERSION = 1
MANIFEST, WEIGHTS = "manifest.json", "model.safetensors"
INPUTS_KEY = "inputs_sha256"  # in the metadata of the weights file

Cell = Literal["lstm", "rnn"]
Params = dict[str, int | float | str]
_LONGEST_GUARD = timedelta(days=50 * 365)
ManifestT = TypeVar("ManifestT", bound="AnyManifest")
Moment = Annotated[AwareDatetime, Field(lt=datetime(2200, 1, 1, tzinfo=UTC))]  # nanoseconds end in 2262


class Strict(BaseModel):
    """What a file may hold: the keys that are declared, and numbers that are finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class AnyManifest(Protocol):
    """What every kind of manifest says: which models it describes, and the file of their weights."""

    @property
    def weights_sha256(self) -> str:
        """Of the weights file."""
        ...

    def manifests(self) -> tuple[Manifest, ...]:
        """The manifest of each model."""
        ...

    def inputs_sha256(self) -> str:
        """SHA-256 of all that decides what the weights compute, and from which bar on they may."""
        ...

    def model_dump_json(self, *, indent: int | None = None) -> str:
        """The text of the manifest file."""
        ...


class FeatureEntry(Strict):
    """A feature by name, in the order the network sees it.

    `memory`: bars it reads. `module`: where it was registered, if it is none of ours.
    """

    name: str
    params: Params
    memory: PositiveInt | None = None
    module: str | None = None

    @classmethod
    def of(cls, spec: FeatureSpec) -> FeatureEntry:
        """What is kept of a feature."""
        module = FEATURES[spec.name].function.__module__
        is_ours = module.startswith("lstm_backtrader.")
        return cls(name=spec.name, params=dict(spec.params), memory=spec.memory, module=None if is_ours else module)

    def spec(self) -> FeatureSpec:
        """The feature, looked up by name. Raises `ConfigError` where it is not there or another one."""
        if self.module is not None and self.name not in FEATURES:
            raise ConfigError(
                f"feature '{self.name}' is registered by the module '{self.module}', which is not imported. "
                f"Import it before the model is loaded; the command line does by --feature-module FILE."
            )
        spec = FeatureSpec(self.name, self.params)
        if self.memory not in (None, spec.memory):
            raise ConfigError(
                f"feature '{spec}' reads {spec.memory} bars, and read {self.memory} when the model was trained: it "
                f"is another one. Use the version it was trained with, or train again."
            )
        return spec


class ScalerEntry(Strict):
    """(x - mean) / scale of each feature, then cut to +-`clip` (None: not cut)."""

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    clip: PositiveFloat | None = SCALER_CLIP


class ScaledReturn(Strict):
    """The net says the volatility-scaled return over `horizon` bars, less its `mean` on train."""

    kind: Literal["scaled_return"] = "scaled_return"
    horizon: PositiveInt
    mean: float = 0.0


class LogReturn(Strict):
    """The net says x, and offset + scale * x is the log return over the next `horizon` bars."""

    kind: Literal["log_return"] = "log_return"
    horizon: PositiveInt = 1
    offset: float = 0.0
    scale: PositiveFloat = 1.0


class NextClose(Strict):
    """The net says x, and offset + scale * x is the close `horizon` bars on."""

    kind: Literal["next_close"] = "next_close"
    horizon: PositiveInt = 1
    offset: float = 0.0
    scale: PositiveFloat = 1.0


class OwnLabel(Strict):
    """The net says a label of the user's own, less its `mean` on train and over its deviation there, `scale`."""

    kind: Literal["own"] = "own"
    name: str
    params: Params
    horizon: PositiveInt
    mean: float
    scale: PositiveFloat


class ThreeClasses(Strict):
    """The net says three classes, down, neither and up, trained with these weights to count as much."""

    kind: Literal["three_classes"] = "three_classes"
    name: str = "three_classes"
    params: Params
    horizon: PositiveInt
    class_weights: tuple[PositiveFloat, PositiveFloat, PositiveFloat]


Label = Annotated[ScaledReturn | LogReturn | NextClose | OwnLabel | ThreeClasses, Field(discriminator="kind")]


class ValidationEntry(Strict):
    """The ensemble on validation bars. `seam`: rms forecast change where the context restarts / elsewhere.

    `half_width`: of an interval around the forecast that holds nine labels in ten (`forecast.conformal`).
    A model trained elsewhere may come with nothing but its `residual_std`.
    """

    bars: int
    loss: float | None
    ic: float | None
    event_ic: float | None
    seam: float | None
    residual_std: PositiveFloat
    forecast_std: float | None
    best_steps: tuple[int, ...]
    half_width: float | None = Field(default=None, ge=0)


class LedgerEntry(Strict):
    """The training as the ledger of trials has it."""

    key: str
    trials: PositiveInt  # configurations tried on these data when it was recorded, this one included


class Manifest(Strict):
    """Everything a model is besides its weights. Times are UTC; bars are labelled by their open.

    What only its training knows is None where a model was trained elsewhere.
    """

    schema_version: Literal[1]
    created: Moment
    cell: Cell
    hidden: PositiveInt
    layers: PositiveInt
    context: int
    stride: int
    features: tuple[FeatureEntry, ...] = Field(min_length=1)
    scaler: ScalerEntry
    label: Label
    timeframe_s: PositiveInt
    train_from: Moment | None
    train_until: Moment
    validation_from: Moment | None
    trained_until: Moment
    purge_bars: int = Field(ge=1, le=110_000)  # horizon, and the embargo of a walk-forward
    expires: Moment | None
    fill_rate: float | None
    seeds: tuple[int, ...] = Field(min_length=1)
    threshold: float = Field(ge=0)
    validation: ValidationEntry
    training: dict[str, int | float | str | bool | list[str] | None]
    data_sha256: str | None
    weights_sha256: str
    versions: dict[str, str]
    ledger: LedgerEntry | None = None  # None: not trained by a command

    @model_validator(mode="after")
    def _check_guard(self) -> Self:
        if self.purge_bars * self.timeframe_s > _LONGEST_GUARD.total_seconds():
            raise ValueError(f"{self.purge_bars} purge_bars of {self.timeframe_s} s are more than fifty years")
        return self

    def manifests(self) -> tuple[Manifest, ...]:
        """Itself: a manifest of one model."""
        return (self,)

    @property
    def outputs(self) -> int:
        """Numbers a net says of each bar."""
        return 3 if isinstance(self.label, ThreeClasses) else 1

    @property
    def precision(self) -> Literal["float32", "float64"]:
        """Numbers the nets compute in: a return from two prices is a small difference of large ones."""
        return "float64" if self.label.kind == "next_close" else "float32"

    def inputs_sha256(self) -> str:
        """SHA-256 of all that decides what the weights compute, and from which bar on they may."""
        shape = {"cell", "hidden", "layers", "context", "stride", "timeframe_s", "seeds"}
        guard = {
            "trained_until",
            "purge_bars",
            "expires",
        }  # or one edited date would switch the in-sample guard off
        kept = shape | guard | {"features", "scaler", "label"}
        told = {"features": {"__all__": {"memory", "module"}}}  # follow from name and parameters
        return hashlib.sha256(self.model_dump_json(include=kept, exclude=told).encode()).hexdigest()

    def fingerprint(self) -> str:
        """SHA-256 of weights, inputs and feature code: two models that share it forecast the same."""
        digest = hashlib.sha256(f"{self.inputs_sha256()}{self.weights_sha256}".encode())
        digest.update(repr(self.validation.residual_std).encode())
        for spec in self.specs():
            digest.update(spec.code())
        return digest.hexdigest()

    def specs(self) -> tuple[FeatureSpec, ...]:
        """The features, looked up by name."""
        return tuple(entry.spec() for entry in self.features)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of an artefact directory, checked. Raises `ModelError`."""
    return parse_manifest(Manifest.model_validate, read_json(folder), folder)


def read_json(folder: Path) -> object:
    """What the manifest file holds, if its schema is none of the future. Raises `ModelError`."""
    path = folder / MANIFEST
    try:
        raw: object = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(
            f"{path} cannot be read ({error.strerror}). Give the directory that `lbt train --out` wrote."
        ) from error
    except ValueError as error:
        raise ModelError(f"{path} is no JSON ({error}). Train the model again.") from error
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise ModelError(
            f"{path} has schema {version}, this version reads up to {SCHEMA_VERSION}. Upgrade lstm-backtrader."
        )
    return raw


def parse_manifest(parse: Callable[[object], ManifestT], raw: object, folder: Path) -> ManifestT:
    """`raw` as a manifest of one kind, each model in it checked. Raises `ModelError`."""
    path = folder / MANIFEST
    try:
        manifest = parse(raw)
        for model in manifest.manifests():
            model.specs()
            StridedContext(model.context, model.stride)
            if not len(model.features) == len(model.scaler.mean) == len(model.scaler.scale):
                raise ModelError(f"{path}: features and scaler differ in length. Train the model again.")
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise ModelError(f"{path}: {place}: {first['msg']}. Train the model again.") from error
    except ConfigError as error:
        raise ModelError(f"{path}: {error}") from error
    return manifest


def file_stamps(folder: Path) -> tuple[tuple[int, int], ...]:
    """Changes when the files of an artefact do: time and size of each, (0, 0) for a missing one."""
    paths = [folder / name for name in (MANIFEST, WEIGHTS)]
    states = [path.stat() if path.is_file() else None for path in paths]
    return tuple((state.st_mtime_ns, state.st_size) if state else (0, 0) for state in states)


def read_weights(folder: Path, manifest: AnyManifest) -> bytes:
    """The bytes of the weights file, if they are the ones the manifest describes. Raises `ModelError`."""
    path = folder / WEIGHTS
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}). Train the model again.") from error
    digest = hashlib.sha256(packed).hexdigest()
    if digest != manifest.weights_sha256:
        raise ModelError(
            f"{path}: SHA-256 {digest[:12]}... is not {manifest.weights_sha256[:12]}... of the manifest. "
            f"The file was altered or belongs to another model; train again or restore it."
        )
    header = json.loads(packed[8 : 8 + int.from_bytes(packed[:8], "little")])
    if header.get("__metadata__", {}).get(INPUTS_KEY) != manifest.inputs_sha256():
        raise ModelError(
            f"{folder / MANIFEST}: features, scaler, label, shape or dates are not those the weights were trained "
            f"with. Restore the manifest, or train again."
        )
    return packed
