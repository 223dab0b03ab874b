"""Where folds of trials are run: in this process, or in several others that have the candles already."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path

from lstm_backtrader.errors import LbtError
from lstm_backtrader.own_module import import_file
from lstm_backtrader.tuning.space import Candidate
from lstm_backtrader.tuning.stage import FoldOutcome, Stage

Submit = Callable[[Candidate, int], "Future[FoldOutcome]"]  # configuration, number of the fold


class _StoppedError(Exception):
    """Ends a training whose result nobody waits for."""


@contextmanager
def running(stage: Stage, workers: int, own_module: Path | None = None) -> Iterator[Submit]:
    """Give the function that runs a fold. Of what it raises, errors of this package come with the future.

    Of several workers each is a process of its own, which imports `own_module` first. On leaving, they end at the
    next evaluation of the net they train.
    """
    with _quiet():
        if workers == 1:
            yield lambda candidate, number: _here(stage, candidate, number)
            return
        context = multiprocessing.get_context("spawn")  # a fork would share threads and locks of torch
        is_over = context.Event()
        with ProcessPoolExecutor(workers, context, _begin, (stage, is_over, own_module)) as pool:
            try:
                yield lambda candidate, number: pool.submit(_there, candidate, number)
            finally:
                is_over.set()
                pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """No warnings of single trials, of which there are many; those of the winner are seen when it is traded."""
    logger = logging.getLogger("lstm_backtrader")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _here(stage: Stage, candidate: Candidate, number: int) -> Future[FoldOutcome]:
    future: Future[FoldOutcome] = Future()
    try:
        future.set_result(stage.run(candidate, number, threads=os.cpu_count() or 1))
    except LbtError as error:
        future.set_exception(error)
    return future


# --- in a worker ---------------------------------------------------------------------------------------------

_given: list[tuple[Stage, Event]] = []  # of the study this process works for


def _begin(stage: Stage, is_over: Event, own_module: Path | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the first one tells the others
    logging.getLogger("lstm_backtrader").setLevel(logging.ERROR)
    if own_module is not None:
        import_file(own_module)
    _given.append((stage, is_over))


def _there(candidate: Candidate, number: int) -> FoldOutcome:
    stage, is_over = _given[-1]

    def progress(seed: int, step: int, steps: int) -> None:
        if is_over.is_set():
            raise _StoppedError

    return stage.run(candidate, number, progress=progress)
