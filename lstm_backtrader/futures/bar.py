"""What the account sees of one bar: traded prices, mark prices, and how far they ran against a position."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

Feed = Any  # Backtrader ships no types


class Bar(NamedTuple):
    """Prices of one bar, last or mark."""

    open: float
    high: float
    low: float
    close: float

    def worst(self, side: int) -> float:
        """The extreme against a position."""
        return self.low if side > 0 else self.high


class Prices(NamedTuple):
    """The two views of one bar: orders fill at traded prices, liquidation and funding look at mark prices."""

    traded: Bar
    mark: Bar


def read_bar(data: Feed) -> Prices:
    """The current bar of a data; while it is replayed, the new tick. Mark prices are traded ones where unknown."""
    if getattr(data, "tick_open", None) is None:
        traded = Bar(data.open[0], data.high[0], data.low[0], data.close[0])
    else:
        traded = Bar(data.tick_open, data.tick_high, data.tick_low, data.tick_close)
    lines = [getattr(data.lines, f"mark_{name}", None) for name in Bar._fields]
    if all(line is None for line in lines):
        return Prices(traded, traded)
    mark = [
        price if line is None or math.isnan(line[0]) else line[0] for price, line in zip(traded, lines, strict=True)
    ]
    return Prices(traded, Bar(*mark))


def worst_after_entry(bar: Bar, side: int, level: float) -> float:
    """How far an entry inside the bar may have run against us.

    The bar's extreme, unless the bar opened beyond `level` already: then the extreme may be older than the entry,
    and only the close is surely younger.
    """
    return bar.worst(side) if side * bar.open > side * level else bar.close
