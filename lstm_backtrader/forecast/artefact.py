"""A trained model on disk: `model.safetensors` and `manifest.json` in one directory; nothing is ever unpickled."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from lstm_backtrader.errors import ModelError
from lstm_backtrader.forecast.manifest import INPUTS_KEY, MANIFEST, WEIGHTS, Manifest, read_manifest, read_weights
from lstm_backtrader.forecast.network import RecurrentNet, one_thread


def pack_weights(nets: dict[int, RecurrentNet], inputs_sha256: str) -> tuple[bytes, str]:
    """The weights of an ensemble (seed -> net) as safetensors bytes, and their SHA-256.

    `inputs_sha256` (`Manifest.inputs_sha256`) goes into the file, so that weights and the description of what
    they are fed stay together.
    """
    tensors = {
        f"seed{seed}.{name}": tensor.contiguous()
        for seed, net in nets.items()
        for name, tensor in net.state_dict().items()
    }
    packed = save_tensors(tensors, metadata={INPUTS_KEY: inputs_sha256})
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
    """Read and check an artefact: schema, hashes, tensor names and shapes. Raises `ModelError`."""
    folder = Path(directory)
    manifest = read_manifest(folder)
    packed = read_weights(folder, manifest)
    try:
        tensors = load_tensors(packed)
    except SafetensorError as error:
        raise ModelError(f"{folder / WEIGHTS} is no safetensors file ({error}). Train the model again.") from error
    with one_thread():
        return manifest, [_build(manifest, tensors, seed, folder) for seed in manifest.seeds]


def _build(manifest: Manifest, tensors: dict[str, torch.Tensor], seed: int, folder: Path) -> RecurrentNet:
    net = RecurrentNet(
        len(manifest.features), manifest.hidden, manifest.layers, manifest.cell, outputs=manifest.outputs
    )
    net = net.to(getattr(torch, manifest.precision))
    prefix = f"seed{seed}."
    mine = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    try:
        net.load_state_dict(mine)
    except RuntimeError as error:
        raise ModelError(
            f"{folder / WEIGHTS}: the tensors of seed {seed} are not those {MANIFEST} describes. "
            f"Train the model again."
        ) from error
    return net.eval()
