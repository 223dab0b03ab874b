"""A trained model on disk: `model.safetensors` and `manifest.json` in one directory; nothing is ever unpickled."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from lstm_backtrader.errors import ConfigError, ModelError
from lstm_backtrader.forecast.context import StridedContext
from lstm_backtrader.forecast.features import FeatureSpec
from lstm_backtrader.forecast.network import Cell, RecurrentNet

SCHEMA_VERSION = 1
MANIFEST, WEIGHTS = "manifest.json", "model.safetensors"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FeatureEntry(_Strict):
    """A feature by name, in the order the network sees it."""

    name: str
    params: dict[str, int | str]


class ScalerEntry(_Strict):
    """Mean and scale of each feature on the train rows."""

    mean: tuple[float, ...]
    scale: tuple[float, ...]


class LabelEntry(_Strict):
    """What was learned: the volatility-scaled return over `horizon` bars, less its `mean` on train."""

    kind: Literal["scaled_return"]
    horizon: PositiveInt
    mean: float


class ValidationEntry(_Strict):
    """The ensemble on validation bars. `seam`: rms forecast change where the context restarts / elsewhere."""

    bars: int
    loss: float
    ic: float | None
    event_ic: float | None
    seam: float | None
    residual_std: float
    forecast_std: float
    best_steps: tuple[int, ...]


class Manifest(_Strict):
    """Everything a model is besides its weights. Times are UTC; bars are labelled by their open."""

    schema_version: Literal[1]
    created: datetime
    cell: Cell
    hidden: PositiveInt
    layers: PositiveInt
    context: int
    stride: int
    features: tuple[FeatureEntry, ...] = Field(min_length=1)
    scaler: ScalerEntry
    label: LabelEntry
    timeframe_s: PositiveInt
    train_from: datetime
    train_until: datetime
    validation_from: datetime
    trained_until: datetime
    purge_bars: int
    expires: datetime | None
    fill_rate: float
    seeds: tuple[int, ...] = Field(min_length=1)
    threshold: float
    validation: ValidationEntry
    training: dict[str, int | float | str | bool | list[str] | None]
    data_sha256: str
    weights_sha256: str
    versions: dict[str, str]

    def specs(self) -> tuple[FeatureSpec, ...]:
        """The features, looked up by name."""
        return tuple(FeatureSpec(entry.name, entry.params) for entry in self.features)


def pack_weights(nets: dict[int, RecurrentNet]) -> tuple[bytes, str]:
    """The weights of an ensemble (seed -> net) as safetensors bytes, and their SHA-256."""
    tensors = {
        f"seed{seed}.{name}": tensor.contiguous()
        for seed, net in nets.items()
        for name, tensor in net.state_dict().items()
    }
    packed = save_tensors(tensors)
    return packed, hashlib.sha256(packed).hexdigest()


def check_target(directory: str | Path) -> Path:
    """The path, if an artefact may be written there; `ModelError` where something else would be lost."""
    target = Path(directory)
    if target.exists() and not (target.is_dir() and (not any(target.iterdir()) or (target / MANIFEST).exists())):
        raise ModelError(f"{target} exists and is no model. Choose another directory, or remove it.")
    return target


def save_artefact(directory: str | Path, manifest: Manifest, weights: bytes) -> None:
    """Write the artefact whole or not at all; an artefact that is there already is replaced.

    Raises `ModelError` where `directory` is something else than an artefact or an empty folder.
    """
    target = check_target(directory)
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        fresh.chmod(0o755)
        (fresh / WEIGHTS).write_bytes(weights)
        (fresh / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
        if target.exists():
            old = fresh.with_name(fresh.name + "-old")
            target.replace(old)
            try:
                fresh.replace(target)
            except OSError:
                old.replace(target)
                raise
            shutil.rmtree(old)
        else:
            fresh.replace(target)
    finally:
        if fresh.exists():
            shutil.rmtree(fresh)


def load_artefact(directory: str | Path) -> tuple[Manifest, list[RecurrentNet]]:
    """Read and check an artefact: schema, hash, tensor names and shapes. Raises `ModelError`."""
    folder = Path(directory)
    manifest = _read_manifest(folder)
    try:
        packed = (folder / WEIGHTS).read_bytes()
    except OSError as error:
        raise ModelError(f"{folder / WEIGHTS} cannot be read ({error.strerror}). Train the model again.") from error
    digest = hashlib.sha256(packed).hexdigest()
    if digest != manifest.weights_sha256:
        raise ModelError(
            f"{folder / WEIGHTS}: SHA-256 {digest[:12]}... is not {manifest.weights_sha256[:12]}... of the "
            f"manifest. The file was altered or belongs to another model; train again or restore it."
        )
    try:
        tensors = load_tensors(packed)
    except SafetensorError as error:
        raise ModelError(f"{folder / WEIGHTS} is no safetensors file ({error}). Train the model again.") from error
    return manifest, [_build(manifest, tensors, seed, folder) for seed in manifest.seeds]


def _read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
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
    try:
        manifest = Manifest.model_validate(raw)
        manifest.specs()
        StridedContext(manifest.context, manifest.stride)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise ModelError(f"{path}: {place}: {first['msg']}. Train the model again.") from error
    except ConfigError as error:
        raise ModelError(f"{path}: {error}") from error
    if not len(manifest.features) == len(manifest.scaler.mean) == len(manifest.scaler.scale):
        raise ModelError(f"{path}: features and scaler differ in length. Train the model again.")
    return manifest


def _build(manifest: Manifest, tensors: dict[str, torch.Tensor], seed: int, folder: Path) -> RecurrentNet:
    net = RecurrentNet(len(manifest.features), manifest.hidden, manifest.layers, manifest.cell)
    prefix = f"seed{seed}."
    mine = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    want = {name: tensor.shape for name, tensor in net.state_dict().items()}
    have = {name: tensor.shape for name, tensor in mine.items()}
    if want != have:
        raise ModelError(
            f"{folder / WEIGHTS}: the tensors of seed {seed} do not have the shapes that {MANIFEST} describes. "
            f"Train the model again."
        )
    net.load_state_dict(mine)
    return net.eval()
