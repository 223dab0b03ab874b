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


def last_bar(data: Feed) -> Bar:
    """Traded prices; while a bar is replayed, those of the new tick."""
    ticks = (getattr(data, f"tick_{name}", None) for name in Bar._fields)
    lines = (data.open, data.high, data.low, data.close)
    return Bar(*(line[0] if tick is None else tick for tick, line in zip(ticks, lines, strict=True)))


def worst_after_entry(bar: Bar, side: int, level: float) -> float:
    """How far an entry inside the bar may have run against us.

    The bar's extreme, unless the bar opened beyond `level` already: then the extreme may be older than the entry,
    and only the close is surely younger.
    """
    return bar.worst(side) if side * bar.open > side * level else bar.close


def mark_bar(data: Feed) -> Bar:
    """Mark prices where the data has them and they are known, else traded prices."""
    lines = (getattr(data.lines, f"mark_{name}", None) for name in Bar._fields)
    return Bar(
        *(
            price if line is None or math.isnan(line[0]) else line[0]
            for price, line in zip(last_bar(data), lines, strict=True)
        )
    )
