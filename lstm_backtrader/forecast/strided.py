"""The strided engine: all forecasts of a series in one pass over its sequences, in cache-sized chunks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from lstm_backtrader.forecast.context import StridedContext, sequences
from lstm_backtrader.forecast.network import RecurrentNet, one_thread

_CHUNK_BYTES = 4_000_000  # hidden states of one chunk; larger ones fall out of the cache


def strided_forecast(
    nets: Sequence[RecurrentNet], context: StridedContext, X: NDArray[np.float32], slots: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Forecasts of M nets for N rows: scaled features (N, F) at increasing slots (N,) -> (M, N).

    NaN where the data begin after the row's sequence does, or fewer than L/2 of its bars are there.
    """
    out = np.full((len(nets), len(X)), np.nan, dtype=X.dtype)
    plan = sequences(context, slots)
    if not (plan.of_row >= 0).any():
        return out
    span, hidden = context.span, nets[0].cell.hidden_size
    windows = sliding_window_view(np.pad(X, ((0, span - 1), (0, 0))), span, axis=0)  # (N, F, W) view
    chunk = max(1, _CHUNK_BYTES // (span * hidden * 4))
    needed = np.unique(plan.of_row[plan.of_row >= 0])  # (A',) sequences somebody asks for
    rows_of = np.searchsorted(plan.of_row[plan.of_row >= 0], needed)
    rows = np.flatnonzero(plan.of_row >= 0)
    bounds = np.append(rows_of, len(rows))
    with one_thread(), torch.inference_mode():
        for begin in range(0, len(needed), chunk):
            picked = needed[begin : begin + chunk]
            x = torch.from_numpy(windows[plan.first[picked]].transpose(0, 2, 1).copy())  # (B, W, F)
            mine = rows[bounds[begin] : bounds[min(begin + chunk, len(needed))]]
            place = np.searchsorted(picked, plan.of_row[mine])
            for member, net in enumerate(nets):
                y, _ = net(x)  # (B, W, F) -> (B, W)
                out[member, mine] = y.numpy()[place, plan.step[mine]]
    return out
