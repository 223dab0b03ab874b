"""Timing two ways of doing one thing in turns, so that a busy machine slows both alike."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

Job = Callable[[], object]


class CheckError(Exception):
    """Two results that must be equal differ; what was measured on them would mean nothing."""


@dataclass(frozen=True)
class Plan:
    """How often a comparison is repeated, and how large it is."""

    repeats: int = 5  # of a short job
    pairs: int = 9  # of backtests
    scale: float = 1.0  # of the number of bars; the tests make it small

    def bars(self, wanted: int, at_least: int = 0) -> int:
        """`wanted` bars, scaled."""
        return max(int(wanted * self.scale), at_least)


@dataclass(frozen=True)
class Outcome:
    """Figures of the repeats, one each, and in words what was checked to be equal before."""

    figures: tuple[float, ...]
    checked: str
    gpu: float | None = None  # the engine on the GPU over the engine on one core; None where it was not tried

    @property
    def ratio(self) -> float:
        """The median."""
        return median(self.figures)

    @property
    def spread(self) -> tuple[float, float]:
        """Smallest and largest."""
        return min(self.figures), max(self.figures)


def cpu_seconds(job: Job) -> float:
    """CPU time of this process, all threads; what another process takes of the machine does not count."""
    gc.collect()
    began = time.process_time()
    job()
    return time.process_time() - began


def wall_seconds(job: Job) -> float:
    """Elapsed time, for what a GPU computes."""
    began = time.perf_counter()
    job()
    return time.perf_counter() - began


def in_turns(slow: Job, fast: Job, repeats: int, slow_units: int = 1, fast_units: int = 1) -> tuple[float, ...]:
    """Seconds a unit of `slow` over those of `fast`, `repeats` times; who goes first alternates.

    `slow_units`, `fast_units`: bars each of them works through, where they differ.
    """
    ratios = []
    for turn in range(repeats):
        jobs = (slow, fast) if turn % 2 == 0 else (fast, slow)
        seconds = {job: cpu_seconds(job) for job in jobs}
        ratios.append((seconds[slow] / slow_units) / (seconds[fast] / fast_units))
    return tuple(ratios)


def check(is_equal: bool, claim: str) -> str:
    """The claim, if it holds. Raises `CheckError`."""
    if not is_equal:
        raise CheckError(f"not true: {claim}")
    return claim
