"""Features of the calendar and of events: what time it is, what happened, and how long ago."""

from __future__ import annotations

import math

import numpy as np

from lstm_backtrader.candles import Bars
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.forecast.registry import Floats, feature
from lstm_backtrader.forecast.windows import bars_since, decay_bars, last_known, weighted_sum

_DAY_NS = 86_400_000_000_000
_MONDAY_NS = 4 * _DAY_NS  # 1970-01-01 was a Thursday: four days to the first Monday
_CYCLES = {"day": _DAY_NS, "week": 7 * _DAY_NS}


def _clock_memory(cycle: str = "day", wave: str = "sin") -> int:
    for name, value, known in (("cycle", cycle, tuple(_CYCLES)), ("wave", wave, ("sin", "cos"))):
        if value not in known:
            raise ConfigError(f"feature 'clock': {name} {value!r} is unknown. Use {' or '.join(known)}.")
    return 1


def _newest_clock(bars: Bars, cycle: str, wave: str) -> float:
    length = _CYCLES[cycle]
    angle = 2 * math.pi * ((int(bars.open_time[-1]) - _MONDAY_NS) % length) / length
    return math.sin(angle) if wave == "sin" else math.cos(angle)


@feature(memory=_clock_memory, newest=_newest_clock)
def clock(bars: Bars, cycle: str, wave: str) -> Floats:
    """Sine or cosine (`wave`) of the open time within the `day` or the `week` (from Monday 00:00 UTC)."""
    length = _CYCLES[cycle]
    angle = 2 * np.pi * ((bars.open_time - _MONDAY_NS) % length) / length
    return np.sin(angle) if wave == "sin" else np.cos(angle)


@feature(memory=lambda column: 1)
def event(bars: Bars, column: str) -> Floats:
    """Value of an event column at its bar, 0 where nothing happened (NaN or 0)."""
    return np.nan_to_num(bars[column], nan=0.0)


@feature(memory=lambda column, span=168: span)
def event_last(bars: Bars, column: str, span: int) -> Floats:
    """Value of the last event of a column, 0 where none lies within `span` bars."""
    values = event(bars, column)
    held = last_known(np.where(values != 0, values, np.nan), span)
    return np.where(np.arange(len(bars)) < span - 1, np.nan, np.nan_to_num(held, nan=0.0))


@feature(memory=lambda column, span=168: span)
def event_age(bars: Bars, column: str, span: int) -> Floats:
    """Bars since the last event of a column, in units of `span`: 0 at its bar, 1 where none lies within."""
    age = bars_since(event(bars, column) != 0, span) / span
    return np.where(np.arange(len(bars)) < span - 1, np.nan, age)


def _keep(half_life: int) -> float:
    return float(0.5 ** (1 / half_life))


@feature(memory=lambda column, half_life=24: decay_bars(_keep(half_life)))
def event_sum(bars: Bars, column: str, half_life: int) -> Floats:
    """Sum of the events of a column, each losing half its weight in `half_life` bars."""
    keep = _keep(half_life)
    return weighted_sum(event(bars, column), keep ** np.arange(decay_bars(keep), dtype=np.float64)[::-1])
