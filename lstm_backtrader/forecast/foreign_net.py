"""The weights of somebody else's network, found by their names and shapes and put into a `RecurrentNet`."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from lstm_backtrader.errors import ModelError
from lstm_backtrader.forecast.manifest import Cell
from lstm_backtrader.forecast.network import RecurrentNet, one_thread

TOLERANCE = 1e-6  # of the output, relative where that is above 1
SUPPORTED = (
    "Supported is one nn.LSTM or nn.RNN (tanh, one direction, any layers), then one nn.Linear to one output on the "
    "last bar, for input (B, bars, features); bring anything else as an object of your own that meets `Forecaster`."
)
_CELLS: dict[int, Cell] = {1: "rnn", 4: "lstm"}  # gates
_RECURRENT = re.compile(r"(.*?)(weight|bias)_(ih|hh)_l(\d+)$")


@dataclass(frozen=True)
class NetShape:
    """What a manifest says of a net besides its features."""

    cell: Cell
    hidden: int
    layers: int


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file. Raises `ModelError`."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"{path} is no safetensors file ({error}). "
            f"Write one by safetensors.torch.save_file(module.state_dict(), path)."
        ) from error


def build_net(tensors: Mapping[str, Tensor], features: int, source: str) -> tuple[RecurrentNet, NetShape]:
    """A net with these weights, in their precision, and its shape. Raises `ModelError` naming what does not fit."""
    recurrent = {name: match for name in tensors if (match := _RECURRENT.match(name))}
    prefixes = sorted({match[1] for match in recurrent.values()})
    if len(prefixes) != 1:
        raise ModelError(
            f"{source} has {len(prefixes)} recurrent layers by name ({', '.join(prefixes)}). {SUPPORTED}"
        )
    mine = {f"cell.{name.removeprefix(prefixes[0])}": tensors[name] for name in recurrent}
    rest = {name: tensor for name, tensor in tensors.items() if name not in recurrent}
    shape = _shape(mine, features, source)
    head = {name: tensor for name, tensor in rest.items() if tensor.shape in ((1, shape.hidden), (1,))}
    weights = [name for name, tensor in head.items() if tensor.ndim == 2]
    if len(weights) != 1 or len(head) != len(rest) or len(head) > 2:
        found = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in rest.items())
        raise ModelError(
            f"{source} has {found or 'nothing'} besides its recurrent layer, and not just the weight "
            f"(1, {shape.hidden}) and bias (1,) of a linear layer. {SUPPORTED}"
        )
    mine |= {f"head.{'weight' if tensor.ndim == 2 else 'bias'}": tensor for tensor in head.values()}
    net = RecurrentNet(features, shape.hidden, shape.layers, shape.cell).to(mine["head.weight"].dtype)
    wanted = net.state_dict()
    mine |= {name: torch.zeros_like(wanted[name]) for name in wanted.keys() - mine if "bias" in name}
    wrong = [name for name in wanted if name not in mine or mine[name].shape != wanted[name].shape]
    if wrong or mine.keys() - wanted:
        names = ", ".join(name.removeprefix("cell.") for name in (*wrong, *(mine.keys() - wanted)))
        raise ModelError(f"{source}: {names} do not fit the other tensors of its recurrent layer. {SUPPORTED}")
    net.load_state_dict(mine)
    return net.eval(), shape


def _shape(recurrent: Mapping[str, Tensor], features: int, source: str) -> NetShape:
    first, back = recurrent.get("cell.weight_ih_l0"), recurrent.get("cell.weight_hh_l0")
    if first is None or back is None or first.ndim != 2 or back.ndim != 2:
        raise ModelError(f"{source} lacks weight_ih_l0 or weight_hh_l0 of its recurrent layer. {SUPPORTED}")
    hidden = back.shape[1]
    cell = _CELLS.get(first.shape[0] // hidden)
    if cell is None:
        raise ModelError(f"{source} has a cell of {first.shape[0] // hidden} gates, as a GRU has 3. {SUPPORTED}")
    if first.shape[1] != features:
        raise ModelError(
            f"{source} sees {first.shape[1]} features, {features} are given. List them all, in its order."
        )
    return NetShape(cell, hidden, 1 + max(int(name.rpartition("_l")[2]) for name in recurrent))


def check_same(module: nn.Module, net: RecurrentNet, context: int, features: int) -> None:
    """Run both on random windows, in the module's precision and without dropout.

    Raises `ModelError` with the largest difference where they are not equal.
    """
    name = type(module).__name__
    try:
        theirs = copy.deepcopy(module).eval().cpu()
    except RuntimeError as error:  # torch's, for a tensor with a gradient's history, such as a kept hidden state
        raise ModelError(
            f"{name} cannot be copied ({error}). Keep no tensor you computed in it. {SUPPORTED}"
        ) from error
    generator = torch.Generator().manual_seed(0)
    level, spread = (
        torch.randn(2, 64, 1, features, generator=generator) * 3
    )  # wide, to reach what clips or squashes
    x = level + spread * torch.randn(64, context, features, generator=generator)
    with one_thread(), torch.inference_mode():
        x = x.to(net.head.weight.dtype)
        said, again = _said(theirs, x, name), _said(theirs, x, name)
        ours, _ = net(x)  # (64, context)
    if not torch.equal(said, again):
        raise ModelError(
            f"{name} says something else when asked again: it keeps a state or draws at random. {SUPPORTED}"
        )
    difference = float(((said - ours[:, -1]).abs() / said.abs().clamp(min=1)).max())
    if not difference <= TOLERANCE:
        raise ModelError(
            f"{name} is not its recurrent and linear layer alone: on random input the two differ by up to "
            f"{difference:.3g}, {TOLERANCE:g} is allowed. {SUPPORTED}"
        )


def _said(module: nn.Module, x: Tensor, name: str) -> Tensor:
    """(B, W, F) -> (B,) what the module says of the last bar."""
    try:
        out = module(x)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise ModelError(f"{name} fails on an input of shape {tuple(x.shape)}: {error}. {SUPPORTED}") from error
    out = out[0] if isinstance(out, tuple | list) else out
    if not isinstance(out, Tensor) or out.numel() not in (len(x), x.shape[0] * x.shape[1]):
        shape = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise ModelError(
            f"{name} gives {shape} for an input of shape {tuple(x.shape)}, not a number each. {SUPPORTED}"
        )
    return out.reshape(len(x), -1)[:, -1]
