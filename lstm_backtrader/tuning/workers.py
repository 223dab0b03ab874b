"""Where folds of trials are run: in this process, or in several others that have the candles already."""

from __future__ import annotations

import _thread
import ctypes
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import SpawnContext
from pathlib import Path

from lstm_backtrader.errors import LbtError
from lstm_backtrader.forecast.net_threads import UnwantedError, ended_by
from lstm_backtrader.own_module import import_file
from lstm_backtrader.quiet import errors_alone
from lstm_backtrader.tuning.space import Candidate
from lstm_backtrader.tuning.stage import FoldOutcome, Stage

Submit = Callable[[Candidate, int], "Future[FoldOutcome]"]  # configuration, number of the fold

_WATCH_S = 0.1  # how often a worker looks whether it is over


class _End:
    """An event for several processes, without a lock: one that a worker took with it would stop all others."""

    def __init__(self, context: SpawnContext) -> None:
        self._value = context.RawValue(ctypes.c_bool, False)

    def set(self) -> None:
        self._value.value = True

    def is_set(self) -> bool:
        return bool(self._value.value)


@contextmanager
def running(stage: Stage, workers: int, own_module: Path | None = None) -> Iterator[Submit]:
    """Give the function that runs a fold. Of what it raises, errors of this package come with the future.

    Of several workers each is a process of its own, which imports `own_module` first. On leaving, by Ctrl-C or an
    error, too, they give up what they are at.
    """
    with errors_alone():  # of single trials there are many; the winner's warnings are seen when it is traded
        if workers == 1:
            yield lambda candidate, number: _here(stage, candidate, number)
            return
        context = multiprocessing.get_context("spawn")  # a fork would share threads and locks of torch
        is_over = _End(context)
        with ProcessPoolExecutor(workers, context, _begin, (stage, is_over, own_module)) as pool:

            def submit(candidate: Candidate, number: int) -> Future[FoldOutcome]:
                with _ctrl_c_afterwards():
                    return pool.submit(_there, candidate, number)

            try:
                yield submit
            finally:
                is_over.set()
                pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _ctrl_c_afterwards() -> Iterator[None]:
    """Let Ctrl-C wait while a process is begun, which would be lost; the process itself never gets it."""
    pressed: list[object] = []
    before = signal.getsignal(signal.SIGINT)
    can_wait = before is not None and threading.current_thread() is threading.main_thread()
    if can_wait:
        signal.signal(signal.SIGINT, lambda *_: pressed.append(_))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if hasattr(signal, "pthread_sigmask") else None
    try:
        yield
    finally:
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)  # which processes inherit
        if can_wait:
            signal.signal(signal.SIGINT, before)
        if pressed:
            signal.raise_signal(signal.SIGINT)


def _here(stage: Stage, candidate: Candidate, number: int) -> Future[FoldOutcome]:
    future: Future[FoldOutcome] = Future()
    try:
        future.set_result(stage.run(candidate, number, threads=os.cpu_count() or 1))
    except LbtError as error:
        future.set_exception(error)
    return future


# --- in a worker ---------------------------------------------------------------------------------------------

_given: list[tuple[Stage, _End]] = []  # of the study this process works for


def _begin(stage: Stage, is_over: _End, own_module: Path | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("lstm_backtrader").setLevel(logging.ERROR)
    if own_module is not None:
        import_file(own_module)
    _given.append((stage, is_over))
    threading.Thread(target=_watch, args=(is_over,), daemon=True).start()


def _watch(is_over: _End) -> None:
    """Interrupt what the main thread is at once it is over; nets see it themselves, an account does not."""
    while True:
        time.sleep(_WATCH_S)
        if is_over.is_set():
            _thread.interrupt_main()


def _there(candidate: Candidate, number: int) -> FoldOutcome:
    stage, is_over = _given[-1]

    def give_up(*_: object) -> None:
        if is_over.is_set():
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # once, so that what is open is closed in peace
            raise UnwantedError

    signal.signal(signal.SIGINT, give_up)
    try:
        with ended_by(is_over):
            return stage.run(candidate, number)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
