"""A venue on loopback whose hours pass in moments: a clock for live feeds that moves the venue's own along."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from lstm_backtrader.datafeeds.live_market import Clock
from lstm_backtrader.datafeeds.loopback.faults import Faults
from lstm_backtrader.datafeeds.loopback.server import LoopbackVenue

SECOND = pd.Timedelta(seconds=1)


@dataclass
class VenueTime:
    """Time that passes only while somebody sleeps; between the `outages` the venue can be reached."""

    venue: LoopbackVenue
    now: pd.Timestamp
    outages: list[tuple[pd.Timestamp, pd.Timestamp]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.set(self.now)

    def clock(self) -> Clock:
        """For a live feed."""
        return Clock(self._seconds, self._sleep, slice_s=3600.0)

    def _seconds(self) -> float:
        return self.now.timestamp()

    def _sleep(self, seconds: float) -> None:
        self.set(self.now + seconds * SECOND)

    def set(self, now: pd.Timestamp) -> None:
        """Turn the clock to `now`."""
        self.now = now
        self.venue.now_ms = round(now.timestamp() * 1000)
        is_out = any(start <= now < end for start, end in self.outages)
        self.venue.faults = Faults(rate=float(is_out), kinds=("hang_up", "bad_gateway", "overloaded"))
