"""When a bar may be seen: beside shorter bars a longer one is stamped late, or it would be seen before its end.

Backtrader plays the datas of a run in the order of their stamps. Stamped by its open, a bar of four hours
would arrive together with the first of its hours, three hours before anybody could know it. So where a run has
bars of several lengths, each is stamped with the open of the last short bar within it: 03:00 for the four hours
from 00:00 beside hours. In a run of one bar length that is the open itself.
"""

from __future__ import annotations

from typing import Any

import backtrader as bt

Feed = Any  # Backtrader ships no types

_SECONDS = {  # longest first
    bt.TimeFrame.Weeks: 604_800,
    bt.TimeFrame.Days: 86_400,
    bt.TimeFrame.Minutes: 60,
    bt.TimeFrame.Seconds: 1,
}


def backtrader_length(seconds: int) -> tuple[int, int]:
    """A bar length as Backtrader's timeframe and compression: 14400 s is (Minutes, 240)."""
    timeframe = next(timeframe for timeframe, unit in _SECONDS.items() if seconds % unit == 0)
    return timeframe, seconds // _SECONDS[timeframe]


def declared_s(data: Feed) -> int | None:
    """Length of a data's bars in seconds as it declares them; None for ticks and months."""
    unit = _SECONDS.get(data._timeframe)
    return None if unit is None else int(unit * data._compression)


def pace_s(data: Feed) -> int | None:
    """Seconds between two steps of a data: measured where it says so (`bar_s`), else as declared."""
    measured: int | None = getattr(data, "bar_s", None)
    return measured or declared_s(data)


def late_s(data: Feed) -> int:
    """Seconds from the open of a bar to its stamp, in the run of `data`; 0 for feeds not of this package."""
    cerebro = getattr(data, "_env", None)
    own = pace_s(data)
    is_ours = hasattr(data, "bar_s") and all(hasattr(each, "base_s") for each, _, _ in data._filters)
    if cerebro is None or own is None or not is_ours:
        return 0
    return max(0, own - min(pace for other in cerebro.datas if (pace := pace_s(other))))
