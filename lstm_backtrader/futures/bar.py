"""What the account sees of one bar: traded prices and mark prices, and the order in which they are visited."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

from lstm_backtrader.errors import DataError

Feed = Any  # Backtrader ships no types
Intrabar = Literal["pessimistic", "optimistic"]

NAMES = ("open", "high", "low", "close")


class Bar(NamedTuple):
    """Prices of one bar, last or mark."""

    open: float
    high: float
    low: float
    close: float

    def worst(self, side: int) -> float:
        """The extreme against a position; where a mark price is known in part, or a venue opens a bar with the
        price before it, that may be the open or the close."""
        return min(self) if side > 0 else max(self)


class Prices(NamedTuple):
    """The two views of one bar: orders fill at traded prices, liquidation and funding look at mark prices."""

    traded: Bar
    mark: Bar  # traded prices where no mark price is known
    rate: float = math.nan  # funding settled in the bar; NaN: none
    has_mark: bool = False  # whether the mark prices were there
    span: tuple[int, int] | None = None  # open and end in seconds since 1970; None: those of the data's bar
    fills: bool = True  # whether orders may fill; False where the bar stands at an older price

    def lacks_price(self) -> bool:
        """Whether one of the traded prices is missing (NaN)."""
        return math.isnan(sum(self.traded))

    def standing_at(self, last: Point) -> Prices:
        """A bar without prices: nothing fills, and it stands at the `last` ones, or where its mark is known."""
        mark = self.mark if self.has_mark else Bar(*[last.mark] * 4)
        return self._replace(traded=Bar(*[last.traded] * 4), mark=mark, fills=False)

    def path(self, low_first: bool) -> tuple[Point, Point, Point, Point]:
        """Open, one extreme, the other, close: the prices a bar is played along."""
        traded, mark = self.traded, self.mark
        low, high = Point(traded.low, mark.low), Point(traded.high, mark.high)
        opened, closed = Point(traded.open, mark.open), Point(traded.close, mark.close)
        return (opened, low, high, closed) if low_first else (opened, high, low, closed)


class Point(NamedTuple):
    """Where the two prices are at one moment."""

    traded: float
    mark: float

    def towards(self, end: Point, share: float) -> Point:
        """The point `share` (0 to 1) of the way to `end`."""
        if share >= 1.0:
            return end
        return Point(
            self.traded + share * (end.traded - self.traded),
            self.mark + share * (end.mark - self.mark),
        )


class BarReader:
    """Reads the newest bar of one data; while it is replayed, the newest candle of it."""

    def __init__(self, data: Feed) -> None:
        check_funding(data)
        self._data = data
        self._traded = [getattr(data.lines, name) for name in NAMES]
        self._mark = [getattr(data.lines, f"mark_{name}", None) for name in NAMES]
        self._has_mark_lines = any(line is not None for line in self._mark)
        self._rate = getattr(data.lines, "funding_rate", None)

    def read(self) -> Prices:
        data = self._data
        if data.replaying:
            mark = [self._tick(f"mark_{name}") for name in NAMES]
            return prices_of([self._tick(name) for name in NAMES], mark, self._tick("funding_rate"))
        traded = Bar(*[line[0] for line in self._traded])
        rate = math.nan if self._rate is None else self._rate[0]
        if not self._has_mark_lines:
            return Prices(traded, traded, rate)
        return prices_of(traded, [math.nan if line is None else line[0] for line in self._mark], rate)

    def _tick(self, name: str) -> float:
        """A line's value in the newest candle of a forming bar."""
        line = getattr(self._data.lines, name, None)
        if line is None:
            return math.nan
        tick = getattr(self._data, f"tick_{name}", None)
        return float(line[0] if tick is None else tick)


def prices_of(traded: Any, mark: Any, rate: float = math.nan) -> Prices:
    """One bar of four traded and four mark prices.

    A mark price that is NaN is taken from the traded one, within the low and high of the mark that are known.
    """
    traded = Bar(*traded)
    if all(own == own for own in mark):
        return Prices(traded, Bar(*mark), rate, True)
    high = mark[1] if mark[1] == mark[1] else math.inf
    low = mark[2] if mark[2] == mark[2] else -math.inf
    filled = (own if own == own else min(max(last, low), high) for own, last in zip(mark, traded, strict=True))
    return Prices(traded, Bar(*filled), rate, False)


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
