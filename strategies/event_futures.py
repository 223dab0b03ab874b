"""Events alone, traded as any signal: what a model that learned from them has to be compared with."""

from __future__ import annotations

from lstm_backtrader.errors import ConfigError, DataError
from lstm_backtrader.strategies.signal_futures import SignalFutures


class EventFutures(SignalFutures):
    """Take the side of the last event for `hold` bars.

    `column`: the data's line of events, as `join_events` made it: each value stands at the bar it is known by, so a
    position is entered at the open after. `threshold`: ``|value|`` that an event needs to count.
    """

    params = (("column", "value"), ("hold", 24), ("threshold", 0.0))

    def __init__(self) -> None:
        if not (isinstance(self.p.hold, int) and self.p.hold >= 1):
            raise ConfigError(f"hold={self.p.hold!r} must be a whole number of bars, 1 or more.")
        if not self.p.threshold >= 0:
            raise ConfigError(f"threshold={self.p.threshold} must be 0 or more, in units of the events.")
        line = getattr(self.data.lines, self.p.column, None)
        if line is None:
            raise DataError(
                f"the data has no line '{self.p.column}'. Join events to the candles first: "
                f"lbt.CandleFeed(lbt.join_events(candles, events, ['{self.p.column}']))."
            )
        self.signal = line
        self._held = (0, 0)  # side of the last event, bars it has left

    def target(self) -> int:
        """The side of the last event while it lasts; an event of another side takes its place."""
        value = self.signal[0]
        if abs(value) > self.p.threshold:  # False for NaN
            self._held = (int(value > 0) - int(value < 0), self.p.hold)
        side, left = self._held
        self._held = (side, max(left - 1, 0))
        wanted = side if left else 0
        return max(wanted, 0) if self.p.long_only else wanted
