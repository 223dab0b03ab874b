"""Spans of time [start, end) and what is left of them: the arithmetic of what was asked and what is missing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import numpy as np
import pandas as pd

from lstm_backtrader.candles import open_times
from lstm_backtrader.errors import ConfigError

Span = tuple[pd.Timestamp, pd.Timestamp]
Moment = str | datetime | pd.Timestamp


def moment(given: Moment, name: str = "time") -> pd.Timestamp:
    """A point in time, UTC; one without a zone is taken as UTC. Raises `ConfigError`.

    >>> moment("2024-01-31")
    Timestamp('2024-01-31 00:00:00+0000', tz='UTC')
    """
    try:
        stamp = pd.Timestamp(given)
    except ValueError as error:
        raise ConfigError(f"{name} {given!r} is no time. Write 2024-01-31 or 2024-01-31T08:00, UTC.") from error
    if pd.isna(stamp):
        raise ConfigError(f"{name} {given!r} is no time. Write 2024-01-31 or 2024-01-31T08:00, UTC.")
    return stamp.tz_localize("UTC") if stamp.tz is None else stamp.tz_convert("UTC")


def union(spans: Iterable[Span]) -> list[Span]:
    """The same time in as few spans as possible, in order; empty ones vanish."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if start >= end:
            continue
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def subtract(spans: Iterable[Span], holes: Iterable[Span]) -> list[Span]:
    """What is in `spans` and not in `holes`."""
    left = union(spans)
    for begin, until in union(holes):
        parts = [((start, min(end, begin)), (max(start, until), end)) for start, end in left]
        left = [(start, end) for both in parts for start, end in both if start < end]
    return left


def intersect(spans: Iterable[Span], others: Iterable[Span]) -> list[Span]:
    """What is in both."""
    spans = union(spans)
    return subtract(spans, subtract(spans, others))


def runs(index: pd.Index, step: pd.Timedelta) -> list[Span]:
    """The time that bars of length `step` fill, opening at the times of `index` (UTC, increasing)."""
    times = pd.DatetimeIndex(index)
    if len(times) == 0:
        return []
    last = np.append(np.flatnonzero(np.diff(open_times(times)) > step.as_unit("ns").value), len(times) - 1)
    first = np.append(0, last[:-1] + 1)
    return [(times[begin], times[end] + step) for begin, end in zip(first, last, strict=True)]
