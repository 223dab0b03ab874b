"""Silence for work that is repeated many times, whose warnings say nothing new."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


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
