"""What the five dialects share: finding a market, cutting a page out of it, and saying no."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .faults import Faults
from .market import Row, ServedMarket

Query = Mapping[str, str]
DAY_MS = 86_400_000


@dataclass(frozen=True)
class Refusal:
    """An answer that is an error."""

    status: int
    body: Any  # JSON, or text as it is


@dataclass(frozen=True)
class Shelf:
    """One request's view of the venue: its markets, its clock, and what is to go wrong."""

    markets: tuple[ServedMarket, ...]
    now_ms: int
    faults: Faults
    fault: str | None = None

    def of(self, venue: str) -> list[ServedMarket]:
        """The markets of a venue."""
        return [market for market in self.markets if market.venue == venue]

    def find(self, venue: str, name: str, is_inverse: bool | None = None) -> ServedMarket | None:
        """The market that the venue calls `name`."""
        for market in self.of(venue):
            if market.id == name and is_inverse in (None, market.is_inverse):
                return market
        return None

    def page(
        self,
        market: ServedMarket,
        kind: str,
        step_ms: int,
        *,
        first: int | None = None,
        last: int | None = None,
        limit: int,
        newest: bool = False,
    ) -> list[Row]:
        """At most `limit` rows from `first` to `last` ms, both included, in order; `newest`: the latest of them."""
        times, values = market.rows(kind, step_ms, self.now_ms)
        begin = 0 if first is None else int(np.searchsorted(times, first, side="left"))
        end = len(times) if last is None else int(np.searchsorted(times, last, side="right"))
        if newest or first is None:
            begin = max(begin, end - limit)
        end = min(end, begin + limit)
        rows = [
            (int(time), tuple(map(float, row)))
            for time, row in zip(times[begin:end], values[begin:end], strict=True)
        ]
        return self.faults.spoil(rows, self.fault)


Dialect = Callable[[str, Query, Shelf], Any]


def number(query: Query, name: str, default: int | None = None) -> int | None:
    """A whole number of a query; `default` where it is not there."""
    return int(query[name]) if query.get(name) else default


def interval_ms(name: str, units: str = "mhdD") -> int:
    """Length of an interval written as 1m, 4h, 1d.

    >>> interval_ms("15m"), interval_ms("1D")
    (900000, 86400000)
    """
    return int(name[:-1]) * {"m": 60_000, "h": 3_600_000, "d": DAY_MS}[name[-1].lower()]
