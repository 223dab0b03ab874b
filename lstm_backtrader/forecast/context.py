"""Strided context: which bars a forecast has seen, and where its sequence starts.

Time is cut at absolute multiples of S bars. A sequence starts from a zero state at a cut and spans L + S - 1
bars of time; its last S bars are its output. So the forecast for a bar has seen the L to L + S - 1 bars up to
and including it, and does not depend on where the data begin. S = 1 is the classic fixed window.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lstm_backtrader.errors import ConfigError


@dataclass(frozen=True)
class StridedContext:
    """`length` L: bars every forecast has seen. `stride` S: bars between two fresh starts, 1 <= S <= L."""

    length: int = 384
    stride: int = 96

    def __post_init__(self) -> None:
        if self.length < 2:
            raise ConfigError(f"context {self.length} is too short; a sequence needs 2 bars or more.")
        if not 1 <= self.stride <= self.length:
            raise ConfigError(
                f"stride {self.stride} is outside 1 to context {self.length}. Try {self.length // 4}."
            )

    @property
    def span(self) -> int:
        """Bars of time in one sequence."""
        return self.length + self.stride - 1

    def start(self, slot: NDArray[np.int64]) -> NDArray[np.int64]:
        """(N,) slot (bars since 1970) at which the sequence that gives the forecast for `slot` starts."""
        return (slot - self.length + 1) // self.stride * self.stride

    def alive(self, slot: int) -> range:
        """Starts of all sequences running at `slot`, the one that gives its forecast first."""
        return range(
            (slot - self.length + 1) // self.stride * self.stride,
            slot // self.stride * self.stride + 1,
            self.stride,
        )

    def is_cut(self, slot: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(N,) True where a forecast comes from another sequence than the forecast of the slot before."""
        return np.not_equal(self.start(slot), self.start(slot - 1))


@dataclass(frozen=True)
class Sequences:
    """The sequences over N rows of a series with gaps, as positions in it.

    `first`: (A,) first row of each sequence. `of_row`: (N,) sequence that gives a row's forecast, never
    decreasing. `step`: (N,) place of the row in that sequence. `seen`: (N,) whether it may give one.
    """

    first: NDArray[np.int64]
    of_row: NDArray[np.int64]
    step: NDArray[np.int64]
    seen: NDArray[np.bool_]

    def rows(self, chunk: slice) -> slice:
        """The rows whose forecasts come from the sequences in `chunk`."""
        begin, end = np.searchsorted(self.of_row, (chunk.start, chunk.stop))
        return slice(int(begin), int(end))


def sequences(context: StridedContext, slots: NDArray[np.int64], begun: int) -> Sequences:
    """Lay the sequences over increasing `slots` (N,); missing slots are skipped.

    A row has no forecast while its sequence starts before `begun`, the first slot that could have features, or
    when fewer than L/2 bars of its sequence are there.
    """
    starts = context.start(slots)  # (N,), never decreasing
    is_new = np.ones(len(slots), dtype=bool)
    is_new[1:] = starts[1:] != starts[:-1]
    of_row = np.cumsum(is_new) - 1
    starts = starts[is_new]  # (A,)
    first = np.searchsorted(slots, starts)  # (A,)
    step = np.arange(len(slots)) - first[of_row]
    whole = starts >= begun  # (A,)
    return Sequences(first, of_row, step, whole[of_row] & (2 * (step + 1) >= context.length))
