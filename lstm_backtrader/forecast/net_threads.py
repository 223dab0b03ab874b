"""Threads that train nets, and end when nobody waits for them any more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from lstm_backtrader.forecast.network import one_thread

_here = threading.local()  # `ends`: the events, any of which ends the training of this thread


class _UnwantedError(Exception):
    """Ends a training whose result nobody waits for."""


@contextmanager
def net_threads(number: int) -> Iterator[ThreadPoolExecutor]:
    """Threads for trainings; on leaving, by Ctrl-C or an error, too, they end at their next step.

    Pools that were begun from such a thread end with it.
    """
    is_over = threading.Event()
    ends = (*_ends(), is_over)

    def begin() -> None:
        _here.ends = ends

    with one_thread(), ThreadPoolExecutor(number, initializer=begin) as pool:
        try:
            yield pool
        finally:
            is_over.set()
            pool.shutdown(cancel_futures=True)


def end_if_unwanted() -> None:
    """Leave a training of `net_threads` that has been given up; elsewhere nothing happens."""
    if any(end.is_set() for end in _ends()):
        raise _UnwantedError


def _ends() -> tuple[threading.Event, ...]:
    return getattr(_here, "ends", ())
