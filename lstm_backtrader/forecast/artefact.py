"""A trained model on disk: `model.safetensors` and `manifest.json` in one directory; nothing is ever unpickled."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from lstm_backtrader.errors import ModelError
from lstm_backtrader.forecast.history import HISTORY
from lstm_backtrader.forecast.manifest import (
    INPUTS_KEY,
    MANIFEST,
    WEIGHTS,
    AnyManifest,
    Manifest,
    read_manifest,
    read_weights,
)
from lstm_backtrader.forecast.network import RecurrentNet, one_thread
from lstm_backtrader.forecast.schedule import ScheduleManifest


def pack_weights(nets: dict[int, RecurrentNet], inputs_sha256: str) -> tuple[bytes, str]:
    """The weights of an ensemble (seed -> net) as safetensors bytes, and their SHA-256.

    `inputs_sha256` (`Manifest.inputs_sha256`) goes into the file, so that weights and the description of what
    they are fed stay together.
    """
    return _pack(_named(nets), inputs_sha256)


def pack_schedule(models: Sequence[dict[int, RecurrentNet]], inputs_sha256: str) -> tuple[bytes, str]:
    """As `pack_weights`, for the ensembles of a schedule."""
    named = {
        f"{prefix}{name}": tensor
        for prefix, nets in zip(_prefixes(), models, strict=False)
        for name, tensor in _named(nets).items()
    }
    return _pack(named, inputs_sha256)


def _named(nets: dict[int, RecurrentNet]) -> dict[str, torch.Tensor]:
    return {f"seed{seed}.{name}": part for seed, net in nets.items() for name, part in net.state_dict().items()}


def _pack(tensors: dict[str, torch.Tensor], inputs_sha256: str) -> tuple[bytes, str]:
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    packed = save_tensors(contiguous, metadata={INPUTS_KEY: inputs_sha256})
    return packed, hashlib.sha256(packed).hexdigest()


def check_target(directory: str | Path) -> Path:
    """The path, if an artefact may be written there; `ModelError` where something else would be lost."""
    target = Path(directory)
    if target.exists() and not (target.is_dir() and (not any(target.iterdir()) or (target / MANIFEST).exists())):
        raise ModelError(f"{target} exists and is no model. Choose another directory, or remove it.")
    return target


def save_artefact(directory: str | Path, manifest: AnyManifest, weights: bytes, history: str = "") -> None:
    """Write the artefact whole or not at all; an artefact that is there already is replaced.

    `history`: JSON lines of its training, if there are any. Raises `ModelError` where `directory` is something
    else than an artefact or an empty folder.
    """
    target = check_target(directory)
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        fresh.chmod(0o755)
        (fresh / WEIGHTS).write_bytes(weights)
        if history:
            (fresh / HISTORY).write_text(history, encoding="utf-8")
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
    """Read and check an artefact: schema, hashes, tensor names and shapes. Raises `ModelError`."""
    folder = Path(directory)
    manifest = read_manifest(folder)
    tensors = _load_tensors(folder, manifest)
    with one_thread():
        return manifest, [_build(manifest, tensors, f"seed{seed}.", folder) for seed in manifest.seeds]


def load_schedule(folder: Path, manifest: ScheduleManifest) -> list[list[RecurrentNet]]:
    """The nets of each model of a schedule; the rest as in `load_artefact`."""
    tensors = _load_tensors(folder, manifest)
    with one_thread():
        return [
            [_build(model, tensors, f"{prefix}seed{seed}.", folder) for seed in model.seeds]
            for prefix, model in zip(_prefixes(), manifest.manifests(), strict=False)
        ]


def _prefixes() -> Iterator[str]:
    """Of the tensors of each model in a schedule."""
    return (f"model{number}." for number in count())


def _load_tensors(folder: Path, manifest: AnyManifest) -> dict[str, torch.Tensor]:
    packed = read_weights(folder, manifest)
    try:
        return load_tensors(packed)
    except SafetensorError as error:
        raise ModelError(f"{folder / WEIGHTS} is no safetensors file ({error}). Train the model again.") from error


def _build(manifest: Manifest, tensors: dict[str, torch.Tensor], prefix: str, folder: Path) -> RecurrentNet:
    net = RecurrentNet(
        len(manifest.features), manifest.hidden, manifest.layers, manifest.cell, outputs=manifest.outputs
    )
    net = net.to(getattr(torch, manifest.precision))
    mine = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    try:
        net.load_state_dict(mine)
    except RuntimeError as error:
        raise ModelError(
            f"{folder / WEIGHTS}: the tensors {prefix}* are not those {MANIFEST} describes. Train the model again."
        ) from error
    return net.eval()
