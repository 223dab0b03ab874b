"""One bar on, in plain numpy: an ensemble's cells advanced by one step, without the cost of calling torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lstm_backtrader.forecast.manifest import Cell

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class _Layer:
    """Weights of a layer of M nets; G is 4 H for an LSTM (gates i f g o), H for an RNN."""

    of_input: Floats  # (M, F, G), for deeper layers (M, H, G)
    of_hidden: Floats  # (M, H, G)
    bias: Floats  # (M, 1, G)


class EnsembleStep:
    """M nets of one shape, each with n running sequences that all see the same bar.

    State is (parts, layers, M, n, H): hidden and cell state of an LSTM, the hidden state of an RNN. Equal to
    `RecurrentNet` to 1e-6, in the precision of its weights (Hochreiter & Schmidhuber 1997, in torch's order of
    gates).
    """

    def __init__(self, nets: Sequence[Mapping[str, Floats]], cell: Cell, layers: int) -> None:
        self.is_lstm = cell == "lstm"
        self.hidden = nets[0]["head.weight"].shape[1]
        self.layers = [self._layer(nets, layer) for layer in range(layers)]
        self.head = np.stack([net["head.weight"].T for net in nets])  # (M, H, K)
        self.head_bias = np.stack([net["head.bias"] for net in nets])[:, None]  # (M, 1, K)

    def _layer(self, nets: Sequence[Mapping[str, Floats]], layer: int) -> _Layer:
        of_input = np.stack([net[f"cell.weight_ih_l{layer}"].T for net in nets])
        of_hidden = np.stack([net[f"cell.weight_hh_l{layer}"].T for net in nets])
        bias = np.stack([net[f"cell.bias_ih_l{layer}"] + net[f"cell.bias_hh_l{layer}"] for net in nets])[:, None]
        if self.is_lstm:
            # sigmoid(x) = tanh(x / 2) / 2 + 1 / 2, so that one tanh serves all four gates
            half = np.full(4 * self.hidden, 0.5, dtype=of_input.dtype)
            half[2 * self.hidden : 3 * self.hidden] = 1.0
            of_input, of_hidden, bias = of_input * half, of_hidden * half, bias * half
        return _Layer(*(np.ascontiguousarray(part, dtype=of_input.dtype) for part in (of_input, of_hidden, bias)))

    def empty(self) -> Floats:
        """The state of no sequence at all."""
        parts = 2 if self.is_lstm else 1
        return np.zeros((parts, len(self.layers), len(self.head), 0, self.hidden), self.head.dtype)

    def advance(self, x: Floats, state: Floats) -> tuple[Floats, Floats]:
        """Features (F,), state before -> what the nets say, (M, n) or of K outputs (M, n, K), state after."""
        after = np.empty_like(state)
        inputs = x[None, None]  # (1, 1, F), then (M, n, H)
        for number, layer in enumerate(self.layers):
            gates = np.tanh(inputs @ layer.of_input + layer.bias + state[0, number] @ layer.of_hidden)  # (M, n, G)
            if self.is_lstm:
                H = self.hidden
                opened = gates * 0.5 + 0.5
                cell = opened[..., H : 2 * H] * state[1, number] + opened[..., :H] * gates[..., 2 * H : 3 * H]
                after[1, number] = cell
                gates = opened[..., 3 * H :] * np.tanh(cell)
            after[0, number] = inputs = gates
        said = inputs @ self.head + self.head_bias  # (M, n, H) -> (M, n, K)
        return (said[..., 0] if said.shape[-1] == 1 else said), after
