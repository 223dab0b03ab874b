"""One series of a market in the store: whose it is, what its rows hold, and how it is written in one word."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd

from lstm_backtrader.candle_check import check_prices, read_stamps
from lstm_backtrader.candles import COLUMNS, PRICES, format_timeframe, open_times, show_time, timeframe_seconds
from lstm_backtrader.errors import ConfigError, DataError

Kind = Literal["candles", "mark", "funding", "open_interest"]

COLUMNS_OF: dict[str, tuple[str, ...]] = {
    "candles": COLUMNS,
    "mark": PRICES,
    "funding": ("funding_rate",),
    "open_interest": ("open_interest",),
}
_DAY_S = 86_400
_NS = 1_000_000_000
_MAX_RATE = 0.1  # of the notional; venues cap theirs far below


@dataclass(frozen=True)
class Series:
    """A series of one market.

    `venue`: ccxt's name of it, "bybit". `symbol`: ccxt's, "BTC/USD:BTC". `kind`: "candles" (open high low close and
    volume, in units of the base coin where the venue says so), "mark" (candles of the mark price), "funding"
    (`funding_rate`, a fraction of the notional, at its stamps) or "open_interest". `timeframe`: "1h", "15m", "1d";
    None for funding, which comes at its own times. Raises `ConfigError`.

    >>> str(Series("bybit", "BTC/USD:BTC", "mark", "60m"))
    'bybit:BTC/USD:BTC:mark:1h'
    """

    venue: str
    symbol: str
    kind: Kind = "candles"
    timeframe: str | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9_]+", self.venue):
            raise ConfigError(f"venue {self.venue!r} is no name of a venue. Write ccxt's, say bybit.")
        if not self.symbol.isprintable() or not self.symbol or self.symbol[0] in ". ":
            raise ConfigError(f"symbol {self.symbol!r} is no market. Write ccxt's, say BTC/USD:BTC.")
        if self.kind not in get_args(Kind):
            raise ConfigError(f"kind {self.kind!r} is unknown. Use {', '.join(get_args(Kind))}.")
        if self.kind == "funding":
            if self.timeframe is not None:
                raise ConfigError(f"funding has no timeframe, got {self.timeframe!r}. Leave it out.")
            return
        if self.timeframe is None:
            raise ConfigError(f"{self.kind} of {self.venue}:{self.symbol} need a timeframe. Give one, say '1h'.")
        # as ccxt writes it, so that 60m, 1h and 1D, 1d are one series each
        object.__setattr__(self, "timeframe", format_timeframe(timeframe_seconds(self.timeframe)).lower())

    def __str__(self) -> str:
        kind = () if self.kind == "candles" else (self.kind,)
        return ":".join((self.venue, self.symbol, *kind, *((self.timeframe,) if self.timeframe else ())))

    @property
    def step(self) -> pd.Timedelta | None:
        """Length of a bar; None for funding."""
        return None if self.timeframe is None else pd.Timedelta(seconds=timeframe_seconds(self.timeframe))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of what a row holds."""
        return COLUMNS_OF[self.kind]

    def other(self, kind: Kind) -> Series:
        """Another series of the same market, of the same timeframe where it has one."""
        return Series(self.venue, self.symbol, kind, None if kind == "funding" else self.timeframe)


def parse_series(text: str) -> Series:
    """The series written as `venue:symbol:timeframe`, `venue:symbol:mark:1h` or `venue:symbol:funding`.

    Raises `ConfigError`.

    >>> parse_series("bybit:BTC/USD:BTC:1h")
    Series(venue='bybit', symbol='BTC/USD:BTC', kind='candles', timeframe='1h')
    >>> parse_series("bybit:BTC/USD:BTC:funding")
    Series(venue='bybit', symbol='BTC/USD:BTC', kind='funding', timeframe=None)
    """
    venue, *rest = text.split(":")
    timeframe = rest.pop() if rest and re.fullmatch(r"[1-9]\d*[Ddhms]", rest[-1]) else None
    kind: Kind = "candles"
    if rest and rest[-1] in get_args(Kind):
        kind = rest.pop()  # type: ignore[assignment]  # it is one of them
    symbol = ":".join(rest)
    if not symbol or (timeframe is None) != (kind == "funding"):
        raise ConfigError(
            f"{text!r} names no series. Write venue:symbol:timeframe, say bybit:BTC/USD:BTC:1h; "
            f"bybit:BTC/USD:BTC:mark:1h for the mark price, bybit:BTC/USD:BTC:funding for funding."
        )
    return Series(venue, symbol, kind, timeframe)


def checked_rows(series: Series, frame: pd.DataFrame, source: str) -> pd.DataFrame:
    """`frame` as rows of `series`: index UTC, increasing; its columns, float64; other columns are left out.

    Of two rows for one time the later one in the table counts. Raises `DataError` where a row breaks the contract
    of candles, of a rate or of the series' own grid.
    """
    missing = [name for name in series.columns if name not in frame.columns]
    if missing:
        raise DataError(f"{source}: column {', '.join(missing)} missing, which {series.kind} need. Add it.")
    if frame.empty:
        return empty_rows(series)
    stamps, _ = read_stamps(frame, source)
    table = pd.DataFrame(
        {name: pd.to_numeric(frame[name], errors="coerce").to_numpy(np.float64) for name in series.columns},
        index=pd.DatetimeIndex(pd.to_datetime(stamps, unit="ns", utc=True), name="time"),
    )
    table = table[~table.index.duplicated(keep="last")].sort_index()
    _check(series, table, source)
    return table


def empty_rows(series: Series) -> pd.DataFrame:
    """No row of `series`."""
    index = pd.DatetimeIndex(pd.to_datetime([], utc=True).as_unit("ns"), name="time")
    return pd.DataFrame({name: np.empty(0) for name in series.columns}, index=index)


def _check(series: Series, table: pd.DataFrame, source: str) -> None:
    times = open_times(table.index)
    if series.step is not None:
        step = series.step.as_unit("ns").value
        off = times % step != 0
        if _DAY_S * _NS % step == 0 and off.any():
            raise DataError(
                f"{source}: {show_time(int(times[np.argmax(off)]))} is not on the {series.timeframe} grid of "
                f"{series}. Label bars by their open time, in UTC."
            )
    if series.kind in ("candles", "mark"):
        priced = table if "volume" in table.columns else table.assign(volume=0.0)
        check_prices(priced, times, np.arange(1, len(times) + 1), source)
        return
    values = table[series.columns[0]].to_numpy()
    bad = ~(np.abs(values) < _MAX_RATE) if series.kind == "funding" else ~(np.isfinite(values) & (values >= 0))
    if bad.any():
        i = int(np.argmax(bad))
        rule = f"a fraction below {_MAX_RATE}" if series.kind == "funding" else "a number of 0 or more"
        raise DataError(
            f"{source}: {show_time(int(times[i]))}: {series.columns[0]} {values[i]} is not {rule}. "
            f"Mend or drop the row."
        )
