"""No trading around events: a rule for `entries`, or for `guards`, where it may close what is held, too."""

from __future__ import annotations

import bisect
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lstm_backtrader.candle_check import read_stamps
from lstm_backtrader.candles import show_time
from lstm_backtrader.errors import ConfigError, DataError
from lstm_backtrader.event_files import PUBLISHED, SCHEDULED
from lstm_backtrader.strategies.situation import Situation


class EventBlackout:
    """Lets nothing in from `before` an event to `after` it, with what is known of events at that moment.

    `events`: a table as `read_events` gives it. One with a column `scheduled` says when each happens, and is heeded
    ahead of its time from the moment it was `published` (+ `latency`). Without that column an event happens when it
    is known, and `before` has to be 0: nobody knows of it sooner. `flattens`: as a guard, leave open positions at
    the next open as well.

    Raises `ConfigError` and `DataError`.
    """

    def __init__(
        self,
        events: pd.DataFrame,
        *,
        before: str | pd.Timedelta = "0s",
        after: str | pd.Timedelta = "1h",
        latency: str | pd.Timedelta = "0s",
        flattens: bool = False,
    ) -> None:
        self.flattens = flattens
        self._said = f"before {before}, after {after}" + ", flattens" * flattens
        ahead, behind = _nanoseconds("before", before), _nanoseconds("after", after)
        known = _stamps(events, PUBLISHED) + _nanoseconds("latency", latency)
        is_scheduled = SCHEDULED in events.columns
        if ahead and not is_scheduled:
            raise ConfigError(
                f"before={before!r}: events without a column '{SCHEDULED}' are known when they are published, "
                f"and not before. Leave it out, or give the times of what is announced."
            )
        happens = _stamps(events, SCHEDULED) if is_scheduled else known
        self._begins, self._ends = _together(np.maximum(happens - ahead, known), happens + behind)

    def __repr__(self) -> str:
        return f"EventBlackout({len(self._begins)} stretches, {self._said})"

    def refusal(self, situation: Situation) -> str | None:
        """Why not to enter now; None outside the blackouts."""
        return self.halt(situation)

    def halt(self, situation: Situation) -> str | None:
        """Why nothing is entered now; None outside the blackouts."""
        now = _instant(situation.moment)
        at = bisect.bisect_right(self._begins, now) - 1
        if at < 0 or now >= self._ends[at]:
            return None
        return f"events from {show_time(self._begins[at])} to {show_time(self._ends[at])} UTC"


def _nanoseconds(name: str, length: str | pd.Timedelta) -> int:
    try:
        found = pd.Timedelta(length)
    except ValueError as error:
        raise ConfigError(f"{name}={length!r} is no length of time. Use '2h' or '30min'.") from error
    if not found >= pd.Timedelta(0):
        raise ConfigError(f"{name}={length!r} must be 0 or more. Use '2h' or '30min'.")
    return found.as_unit("ns").value


def _stamps(events: pd.DataFrame, column: str) -> NDArray[np.int64]:
    """(E,) nanoseconds UTC."""
    if column not in events.columns:
        raise DataError(
            f"events: column {column} missing; found {', '.join(map(str, events.columns)) or 'none'}. "
            f"`lbt.read_events` reads a file that has it."
        )
    if events.empty:
        return np.empty(0, dtype=np.int64)
    return read_stamps(pd.DataFrame({"time": events[column].reset_index(drop=True)}), f"events, {column}")[0]


def _together(begins: NDArray[np.int64], ends: NDArray[np.int64]) -> tuple[list[int], list[int]]:
    """The stretches in order, those that touch made one, those over before they are known left out."""
    first: list[int] = []
    last: list[int] = []
    for begin, end in sorted(zip(begins.tolist(), ends.tolist(), strict=True)):
        if end <= begin:
            continue
        if last and begin <= last[-1]:
            last[-1] = max(last[-1], end)
        else:
            first.append(begin)
            last.append(end)
    return first, last


def _instant(moment: datetime) -> int:
    return pd.Timestamp(moment).as_unit("ns").value
