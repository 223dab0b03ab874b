"""Silence for work that is repeated many times, whose warnings and prints say nothing new."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path


@contextmanager
def errors_alone() -> Iterator[None]:
    """No warnings of the package inside."""
    logger = logging.getLogger("lstm_backtrader")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextmanager
def nothing_printed() -> Iterator[None]:
    """Nothing that is printed inside reaches standard output."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        yield
