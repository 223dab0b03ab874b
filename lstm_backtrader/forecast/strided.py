"""The strided engine: all forecasts of a series in one pass over its sequences, in cache-sized chunks."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence

import numpy as np
import torch
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from lstm_backtrader.forecast.context import Sequences, StridedContext, sequences
from lstm_backtrader.forecast.net_threads import end_if_unwanted, net_threads
from lstm_backtrader.forecast.network import RecurrentNet, one_thread, whole_float32

_CHUNK_BYTES = 4_000_000  # hidden states of one chunk; larger ones fall out of a core's cache
_GPU_CHUNK_BYTES = 1_000_000_000  # a GPU wants all it can get


def strided_forecast(
    nets: Sequence[RecurrentNet],
    context: StridedContext,
    X: NDArray[np.float32],
    slots: NDArray[np.int64],
    *,
    begun: int | None = None,
    threads: int | None = None,
    device: str = "cpu",
) -> NDArray[np.float32]:
    """Forecasts of M nets for N rows: scaled features (N, F) at increasing slots (N,) -> (M, N), or (M, N, K).

    NaN where the row's sequence starts before slot `begun` (None: the first of `slots`), or fewer than L/2 of its
    bars are there. `threads`: Python threads, each with one torch thread; None takes one a core. `device`: where
    the nets are.
    """
    outputs = nets[0].head.out_features
    out = np.full((len(nets), len(X), *(() if outputs == 1 else (outputs,))), np.nan, dtype=X.dtype)
    if len(slots) == 0:
        return out
    plan = sequences(context, slots, int(slots[0]) if begun is None else begun)
    chunks = _chunks(plan, context.span, nets[0].cell.hidden_size, device)
    crops = Crops(X, context.span)

    def run(chunk: slice) -> None:
        end_if_unwanted()
        with torch.inference_mode():  # holds for one thread only
            x = torch.from_numpy(crops[plan.first[chunk]]).to(device)  # (B, W, F)
            rows = plan.rows(chunk)
            for member, net in enumerate(nets):
                y, _ = net(x)  # (B, W, F) -> (B, W) or (B, W, K)
                out[member, rows] = y.cpu().numpy()[plan.of_row[rows] - chunk.start, plan.step[rows]]

    with one_thread(), whole_float32(device):
        workers = min(_threads(threads, device), len(chunks))
        if workers <= 1:
            for chunk in chunks:
                run(chunk)
        else:
            with net_threads(workers) as pool:
                list(pool.map(run, chunks))
    out[:, ~plan.seen] = np.nan
    return out


class Crops:
    """W rows of X (N, F) from each of some first rows on; behind the end of X come zeros."""

    def __init__(self, X: NDArray[np.float32], span: int) -> None:
        self._whole = max(0, len(X) - span + 1)  # first rows from which a crop lies in X
        row, column = X.strides
        shape = (self._whole, span, X.shape[1])
        self._inside = as_strided(X, shape, (row, row, column), writeable=False)
        tail = np.concatenate([X[self._whole :], np.zeros((span, X.shape[1]), X.dtype)])
        self._tail = as_strided(tail, (len(X) - self._whole + 1, *shape[1:]), (*tail.strides[:1], *tail.strides))

    def __getitem__(self, first: NDArray[np.int64]) -> NDArray[np.float32]:
        """Crops (B, W, F) from the rows `first` (B,), which do not decrease; a copy."""
        cut = int(np.searchsorted(first, self._whole))
        if cut == len(first):
            return self._inside[first]
        tail = self._tail[first[cut:] - self._whole]
        return tail if cut == 0 else np.concatenate([self._inside[first[:cut]], tail])


def _chunks(plan: Sequences, span: int, hidden: int, device: str) -> list[slice]:
    """Runs of sequences whose hidden states fit the cache; those no row asks for are left out."""
    size = max(1, (_CHUNK_BYTES if device == "cpu" else _GPU_CHUNK_BYTES) // (span * hidden * 4))
    wanted = plan.of_row[plan.seen]
    if len(wanted) == 0:
        return []
    begin, end = int(wanted[0]), int(wanted[-1]) + 1
    return [slice(at, min(at + size, end)) for at in range(begin, end, size)]


def _threads(threads: int | None, device: str) -> int:
    if threads is not None:
        return threads
    if device != "cpu" or multiprocessing.parent_process() is not None:
        return 1  # a pool's children share the cores already
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
