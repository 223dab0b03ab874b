"""Threads in which nets compute, and which end when nobody waits for them any more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol

from lstm_backtrader.forecast.network import one_thread

_here = threading.local()  # `ends`: the events, any of which ends the work of this thread


class End(Protocol):
    """An event, of threads or of processes."""

    def is_set(self) -> bool: ...


class UnwantedError(Exception):
    """Ends work whose result nobody waits for."""


@contextmanager
def net_threads(number: int) -> Iterator[ThreadPoolExecutor]:
    """Threads for nets; on leaving, by Ctrl-C or an error, too, they end at their next step.

    Pools that were begun from such a thread end with it.
    """
    is_over = threading.Event()
    ends = (*_ends(), is_over)

    with one_thread(), ThreadPoolExecutor(number, initializer=_end_with, initargs=(ends,)) as pool:
        try:
            yield pool
        finally:
            is_over.set()
            pool.shutdown(cancel_futures=True)


@contextmanager
def ended_by(end: End) -> Iterator[None]:
    """Let the work of this thread inside, and of pools begun there, end at its next step once `end` is set."""
    before = _ends()
    _end_with((*before, end))
    try:
        yield
    finally:
        _end_with(before)


def end_if_unwanted() -> None:
    """Leave work that has been given up, of `net_threads` or by `ended_by`; elsewhere nothing happens."""
    if any(end.is_set() for end in _ends()):
        raise UnwantedError


def _ends() -> tuple[End, ...]:
    return getattr(_here, "ends", ())


def _end_with(ends: tuple[End, ...]) -> None:
    _here.ends = ends
