"""What the account sees of one bar: traded prices, mark prices, and how far they ran against a position."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from lstm_backtrader.errors import DataError

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
    mark = [read_line(data, f"mark_{name}") for name in Bar._fields]
    return Prices(traded, Bar(*(last if math.isnan(own) else own for own, last in zip(mark, traded, strict=True))))


def read_line(data: Feed, name: str) -> float:
    """The line `name` in the current bar, while it is replayed in the new tick; NaN where the data have none."""
    line = getattr(data.lines, name, None)
    if line is None:
        return math.nan
    tick = getattr(data, f"tick_{name}", None) if data.replaying else None
    return float(line[0] if tick is None else tick)


def check_funding(data: Feed) -> None:
    """Raise `DataError` where Backtrader's own resampling or replay has lost the funding rates of a feed."""
    source = data.data if data._clone else data
    made_here = all(hasattr(each, "base_s") for each, _, _ in data._filters)  # by this package
    has_rates = hasattr(source.lines, "funding_rate")
    kept = hasattr(data.lines, "funding_rate") and (made_here or not data.resampling or data.replaying)
    if has_rates and not kept:
        name = "replay" if data.replaying else "resample"
        raise DataError(
            f"cerebro.{name}data drops the line funding_rate, so a position would pay no funding. "
            f"Use lstm_backtrader.{name}(cerebro, data, '1h'), which keeps it."
        )


def worst_after_entry(bar: Bar, side: int, level: float) -> float:
    """How far an entry inside the bar may have run against us.

    The bar's extreme, unless the bar opened beyond `level` already: then the extreme may be older than the entry,
    and only the close is surely younger.
    """
    return bar.worst(side) if side * bar.open > side * level else bar.close
