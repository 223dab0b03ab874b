"""CandleFeed hands a candle table to Cerebro, with a line for each extra column.

It gives Backtrader the very numbers `bt.feeds.PandasData` would, bit for bit, but fills the lines at once
where PandasData asks pandas for every cell, which is half the time of an ordinary backtest.
"""

from __future__ import annotations

from array import array
from functools import cache
from keyword import iskeyword
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lstm_backtrader.candles import COLUMNS, bar_seconds, open_times, show_time
from lstm_backtrader.errors import DataError

from .pace import backtrader_length, late_s

_EPOCH_DAY = 719_163  # 1970-01-01 in Backtrader's count of days
_US_PER_DAY = 86_400_000_000
_NS = 1_000_000_000
_LINE_OF = {"open_interest": "openinterest"}  # our column -> Backtrader's line; all others keep their name


class LinesFromColumns(bt.feed.MetaAbstractDataBase):
    """Makes `CandleFeed(candles)` an instance of a subclass that has the table's extra columns as lines.

    Lines are class attributes in Backtrader, so each set of extra columns needs a class of its own.
    """

    def doprenew(cls, candles: object = None, **params: object) -> tuple[type, tuple[()], dict[str, object]]:  # noqa: N805 - a metaclass
        table = _checked(params.get("dataname") if candles is None else candles)
        return with_lines(cls, _extra_lines(cls, table)), (), {**params, "dataname": table}


class CandleFeed(bt.feed.DataBase, metaclass=LinesFromColumns):
    """Candles as a Backtrader data.

    `candles`: DataFrame (T, columns) as `lstm_backtrader.candles` defines it; the index is the bar's open
    time in UTC (naive stamps are taken as UTC). Columns `open high low close volume` become the lines of
    that name, `open_interest` becomes `openinterest` (NaN without it), and every other column, say
    `funding_rate` or `news`, a line of its own: `self.data.lines.funding_rate[0]`. The line `datetime` is
    the open time.

    `feed_params`: Backtrader's feed parameters (`fromdate`, `todate`, `name`, ...). `timeframe` and
    `compression` default to the bar length measured from the stamps, `name` to `candles.attrs["symbol"]`.

    Beside feeds of shorter bars in the same run `datetime` lies behind the open, or the bar would be seen before
    its end (`lstm_backtrader.datafeeds.pace`). For longer bars of the same candles use
    `lstm_backtrader.resample` or `replay`: Backtrader's own carry the seven standard lines only, so that the
    extra lines are NaN in a resampled feed and stale in a replayed one.

    Raises `DataError` where the table breaks the contract.
    """

    params: tuple[tuple[str, object], ...] = (("timeframe", None), ("compression", None))

    def __init__(self, candles: pd.DataFrame | None = None, **feed_params: object) -> None:
        # both arrive as parameters; the signature is for the reader
        super().__init__()
        self._table: NDArray[np.float64] = np.empty((0, 0))
        self._row = 0
        self._is_preloaded = False
        self._ticks = [(f"tick_{name}", getattr(self.lines, name)) for name in self.getlinealiases()]
        self._ticks = [(name, line) for name, line in self._ticks if name != "tick_datetime"]
        self._no_ticks = dict.fromkeys([*(name for name, _ in self._ticks), "tick_last"])
        self.p.name = self.p.name or str(self.p.dataname.attrs.get("symbol", ""))
        if self.p.timeframe is None:
            self.p.timeframe, measured = _timeframe(self.p.dataname)
            self.p.compression = self.p.compression or measured
        self.p.compression = self.p.compression or 1
        # a length declared by the user may serve a plot; three bars measure it, two may hold a gap
        times = open_times(self.p.dataname.index)
        self.bar_s: int | None = bar_seconds(times) if len(times) > 2 else None

    def __len__(self) -> int:
        count: int = self.lines.lines[0].lencount  # Backtrader asks several times a bar, by four calls
        return count

    def reset(self) -> None:
        for line in self.lines.itersize():
            line.mode = line.UnBounded  # an earlier run with exactbars=1 left a queue of a few bars
        super().reset()

    def start(self) -> None:
        super().start()
        self._table = self._lines_of(self.p.dataname)
        self._row = 0
        self._is_preloaded = False

    def _lines_of(self, candles: pd.DataFrame) -> NDArray[np.float64]:
        return line_table(candles, self.getlinealiases(), late_s(self))

    def preload(self) -> None:
        """Fill every line at once; bar by bar where a filter, a time zone or a date range has a say."""
        self._is_preloaded = True
        if self._filters or self._tzinput or np.isfinite([self.fromdate, self.todate]).any():
            super().preload()
            return
        for column, line in enumerate(self.lines.itersize()):
            line.array = array("d", self._table[:, column].tobytes())
            line.array.extend([np.nan] * line.extension)  # room asked for by Cerebro(lookahead=...)
        self._row = len(self._table)
        self.home()

    def _tick_nullify(self) -> None:
        """As Backtrader's, for every bar, without looking every line up by its name: a tenth of a backtest."""
        self.__dict__.update(self._no_ticks)

    def _tick_fill(self, force: bool = False) -> None:
        """As Backtrader's: where nobody filled them the `tick_` attributes hold the bar."""
        ticks = self.__dict__
        if force or ticks[self._ticks[0][0]] is None:
            for name, line in self._ticks:
                ticks[name] = line[0]
            ticks["tick_last"] = ticks[self._ticks[0][0]]

    def _load(self) -> bool:
        if self._row >= len(self._table):
            return False
        for line, value in zip(self.lines.itersize(), self._table[self._row].tolist(), strict=True):
            line[0] = value
        self._row += 1
        return True

    def qbuffer(self, savemem: int = 0, replaying: bool = False) -> None:
        """With `exactbars`: keep one bar more beside other datas, as the newest may be given back."""
        super().qbuffer(savemem, replaying or len(self._env.datas) > 1)

    def rewind(self, size: int = 1) -> None:
        """Give back a bar that is later than those of other datas, to deliver it again.

        Not preloaded, it is loaded again: where `exactbars` keeps a few bars only, Backtrader would lose it.
        """
        if self._is_preloaded or self._filters:
            super().rewind(size)
            return
        self._row -= size
        self.backwards(size, force=True)

    def __reduce__(self) -> tuple[object, ...]:
        # a class made at run time cannot be found by name in another process; it is made again there
        base, lines = vars(type(self)).get("_made_from", (type(self), ()))
        return _blank_feed, (base, lines), vars(self)


@cache
def with_lines(base: Any, lines: tuple[str, ...]) -> Any:
    """`base` with more lines; Any because Backtrader's classes have no types."""
    if not lines:
        return base
    name = "+".join((base.__name__, *lines))  # no column has a "+": two sets never share a name
    return type(base)(
        name,
        (base,),
        {"lines": lines, "__module__": base.__module__, "__doc__": base.__doc__, "_made_from": (base, lines)},
    )


def _blank_feed(base: Any, lines: tuple[str, ...]) -> object:
    cls = with_lines(base, lines)
    return cls.__new__(cls)


def line_table(candles: pd.DataFrame, lines: tuple[str, ...], lateness_s: int) -> NDArray[np.float64]:
    """(T, lines) values in the order of `lines`, stamped late; NaN where the table has no such column."""
    columns = {_LINE_OF.get(name, name): candles[name] for name in candles.columns}
    table = np.full((len(candles), len(lines)), np.nan)
    for j, line in enumerate(lines):
        if line == "datetime":
            table[:, j] = _day_numbers(open_times(candles.index) + lateness_s * _NS)
        elif line in columns:
            table[:, j] = columns[line].to_numpy(np.float64, na_value=np.nan)
    return table


def _day_numbers(open_time: NDArray[np.int64]) -> NDArray[np.float64]:
    """(T,) nanoseconds since 1970 to Backtrader's days since year 1, with the bits of `bt.date2num`.

    The part of the day is rounded once, so it is kept apart from the day until the last addition.
    """
    day, part = np.divmod(open_time // 1000, _US_PER_DAY)
    numbers: NDArray[np.float64] = (day + _EPOCH_DAY) + part / _US_PER_DAY
    return numbers


def _timeframe(candles: pd.DataFrame) -> tuple[int, int]:
    """Measured bar length in Backtrader's terms: 14400 s is (Minutes, 240)."""
    seconds = bar_seconds(open_times(candles.index))
    if not seconds:
        raise DataError("the stamps are less than a second apart. Bars of a second or longer are needed.")
    return backtrader_length(seconds)


def _checked(candles: object) -> pd.DataFrame:
    """The table, if it can become bars; what Backtrader would carry silently into wrong ones is refused."""
    if not isinstance(candles, pd.DataFrame):
        raise DataError(
            f"CandleFeed takes a DataFrame of candles, got {type(candles).__name__}. "
            f"Read files with `lstm_backtrader.read_candles`."
        )
    missing = [name for name in COLUMNS if name not in candles.columns]
    if missing:
        raise DataError(
            f"column {', '.join(missing)} missing; found {', '.join(map(str, candles.columns)) or 'none'}. "
            f"Candles need {', '.join(COLUMNS)}, in small letters."
        )
    for name, dtype in candles.dtypes.items():
        if not pd.api.types.is_numeric_dtype(dtype):
            raise DataError(f"column '{name}' holds {dtype}, not numbers. Convert it to float64, or drop it.")
    if candles.empty:
        raise DataError("there are no candles: the table has 0 rows. Check the dates it was cut to.")
    _check_index(candles.index)
    return candles


def _check_index(index: pd.Index) -> None:
    if not isinstance(index, pd.DatetimeIndex):
        raise DataError(
            f"the index holds {index.dtype}, not the bars' open times. "
            f"Give it a DatetimeIndex in UTC, or the table to `lstm_backtrader.read_candles` first."
        )
    if index.tz is not None and str(index.tz) not in ("UTC", "UTC+00:00", "tzutc()"):
        raise DataError(f"the stamps are in {index.tz}, not UTC. Use `candles.tz_convert('UTC')`.")
    if index.hasnans:
        raise DataError("a stamp is missing (NaT) in the index. Drop the row.")
    step = np.diff(open_times(index))
    if (step <= 0).any():
        i = int(np.argmax(step <= 0))
        at, previous = (show_time(int(stamp)) for stamp in open_times(index[[i + 1, i]]))
        raise DataError(
            f"row {i + 2}: {at} follows {previous}, but stamps must increase without duplicates. "
            f"Sort with `candles.sort_index()` and drop repeated bars."
        )


def _extra_lines(feed: Any, candles: pd.DataFrame) -> tuple[str, ...]:
    """The columns that need a line of their own; a name that would hide a part of the feed is refused."""
    names = [_LINE_OF.get(name, name) for name in candles.columns]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataError(f"two columns for the line '{twice[0]}'. Keep one of them.")
    extra = tuple(name for name in names if name not in feed.lines.getlinealiases())
    for name in extra:
        usable = isinstance(name, str) and name.isidentifier() and not iskeyword(name)
        if not usable or name.startswith("_") or hasattr(feed.lines, name) or hasattr(feed, name):
            raise DataError(
                f"column {name!r} cannot be a line: it is not a name in Python, or Backtrader uses it. "
                f"Rename or drop it."
            )
    return extra
