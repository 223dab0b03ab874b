"""The network: a recurrent cell, dropout and a linear head, initialised to remember."""

from __future__ import annotations

import math
import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from lstm_backtrader.forecast.manifest import Cell

State = tuple[Tensor, ...]  # (h, c) of an LSTM, (h,) of an RNN; each (layers, B, H)


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread inside, as before outside; a child process stays on one.

    A small LSTM is never faster on several intra-op threads, and a forked child hangs on the parent's pool.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        if multiprocessing.parent_process() is None:
            torch.set_num_threads(before)


@contextmanager
def whole_float32(device: str = "cpu") -> Iterator[None]:
    """Multiply float32 in all its bits inside, whatever the program allows outside.

    TF32 costs three digits, and torch allows it to an LSTM on a GPU; bfloat16 costs more. The switches are the
    process's: turn them around threads, not in them.
    """
    backend: Any = torch.backends  # torch makes its parts at run time
    rnn = backend.mkldnn.rnn if device == "cpu" else backend.cudnn.rnn
    matmul = backend.mkldnn.matmul if device == "cpu" else backend.cuda.matmul
    before = rnn.fp32_precision, matmul.fp32_precision
    rnn.fp32_precision = matmul.fp32_precision = "ieee"
    try:
        yield
    finally:
        rnn.fp32_precision, matmul.fp32_precision = before


@contextmanager
def repeatable(device: str) -> Iterator[None]:
    """Let a GPU compute the same bits each time inside, in whole float32; the CPU does anyway.

    cuBLAS reads its variable when it is first used in a process, so that one stays.
    """
    if device == "cpu":
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    cudnn: Any = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.deterministic
    cudnn.benchmark, cudnn.deterministic = False, True
    try:
        with whole_float32(device):
            yield
    finally:
        cudnn.benchmark, cudnn.deterministic = before


class _Unset:
    """Leaves parameters unset: torch's own initialisation draws from the global generator of the user's program."""

    def reset_parameters(self) -> None:
        """Nothing; `RecurrentNet` sets every parameter."""


class _Lstm(_Unset, nn.LSTM):
    pass


class _Rnn(_Unset, nn.RNN):
    pass


class _Head(_Unset, nn.Linear):
    pass


class RecurrentNet(nn.Module):
    """x (B, W, F) -> forecast (B, W), or (B, W, K) of K `outputs`, one for each bar, from the bars up to it.

    `memory` is the number of bars the cell must be able to carry: the gates of an LSTM start with time constants
    spread from 1 to `memory` bars (chrono initialisation, Tallec & Ollivier, ICLR 2018). The `rnn` cell has
    no gates and is here for comparison.
    """

    def __init__(
        self,
        n_features: int,
        hidden: int,
        layers: int = 1,
        cell: Cell = "lstm",
        dropout: float = 0.0,
        memory: int = 480,
        generator: torch.Generator | None = None,
        outputs: int = 1,
    ) -> None:
        super().__init__()
        kind = _Lstm if cell == "lstm" else _Rnn
        self.cell = kind(n_features, hidden, layers, batch_first=True)
        self.head = _Head(hidden, outputs)
        self.dropout = dropout
        self.generator = generator
        with one_thread():
            self._initialise(cell, hidden, memory)

    def _initialise(self, cell: Cell, hidden: int, memory: int) -> None:
        with torch.no_grad():
            for name, weight in self.cell.named_parameters():
                if name.startswith("weight_ih"):
                    bound = 1 / math.sqrt(weight.shape[1])
                    weight.uniform_(-bound, bound, generator=self.generator)
                elif name.startswith("weight_hh"):
                    for block in torch.split(weight, hidden):  # each gate orthogonal for itself
                        nn.init.orthogonal_(block, generator=self.generator)
                else:
                    weight.zero_()
                    if cell == "lstm" and name.startswith("bias_ih"):
                        input_gate, forget_gate, _, _ = torch.split(weight, hidden)
                        forget_gate.uniform_(1, memory - 1, generator=self.generator).log_()
                        input_gate.copy_(-forget_gate)
            bound = 0.1 / math.sqrt(hidden)
            self.head.weight.uniform_(-bound, bound, generator=self.generator)
            self.head.bias.zero_()

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """(B, W, F), state of the cell -> forecast (B, W) or (B, W, K), state after the last bar."""
        if isinstance(self.cell, nn.LSTM):
            hidden, after = self.cell(x, state)  # (B, W, F) -> (B, W, H)
        else:
            hidden, last = self.cell(x, state[0] if state else None)
            after = (last,)
        if self.training and self.dropout:
            keep = torch.rand(hidden.shape, generator=self.generator) >= self.dropout  # the same on every device
            hidden = hidden * keep.to(hidden.device) / (1 - self.dropout)
        return self.head(hidden).squeeze(-1), after  # (B, W, H) -> (B, W) or (B, W, K)
