"""Candles out of the store: checked, with mark price, funding and open interest joined as columns."""

from __future__ import annotations

import shlex

import pandas as pd

from lstm_backtrader.candle_check import check_candles
from lstm_backtrader.errors import DataError
from lstm_backtrader.joining import join_funding, join_mark

from .series import Series
from .spans import Moment, Span
from .store import Store

_MINUTE = pd.Timedelta(minutes=1)  # venues stamp a settlement some milliseconds beside it


def stored_candles(
    series: Series, since: Moment | None = None, until: Moment | None = None, store: Store | None = None
) -> pd.DataFrame:
    """The candles of `series` that open from `since` to before `until`, with what else the store has of the market.

    Mark prices and open interest of the same timeframe and funding become columns, as `read_candles` joins them
    from files. `.attrs` has the symbol, and notes on what was found. Raises `DataError` where there are no candles.
    """
    store = store or Store()
    rows = store.read(series, since, until)
    if len(rows) < 2:
        raise DataError(_nothing(store, series, len(rows)))
    candles, notes = check_candles(rows, str(series))
    lines = notes.lines()
    first, end = candles.index[0], candles.index[-1] + pd.Timedelta(seconds=notes.timeframe_s)
    mark = store.read(series.other("mark"), first, end)
    if len(mark) > 1:
        candles, line = join_mark(candles, notes.timeframe_s, mark, str(series.other("mark")))
        lines.append(line)
    rates = store.read(series.other("funding"), first - _MINUTE, end - _MINUTE)
    if len(rates):
        candles, line = join_funding(candles, notes.timeframe_s, rates, str(series.other("funding")))
        lines.append(line)
    interest = store.read(series.other("open_interest"), first, end)
    if len(interest):
        candles = candles.assign(open_interest=interest["open_interest"].reindex(candles.index))
        lines.append(
            f"open interest known for {int(candles['open_interest'].notna().sum())} of {len(candles)} bars"
        )
    unasked = store.missing(series, first, end)
    if unasked:
        lines.append(f"never fetched: {show_spans(unasked)}")
    candles.attrs = {"notes": lines, "symbol": series.symbol}
    return candles


def show_spans(spans: list[Span]) -> str:
    """The first of some spans in words, and how many more there are."""
    start, end = spans[0]
    more = f" and {len(spans) - 1} more spans" if len(spans) > 1 else ""
    return f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}{more}"


def download_command(series: Series, since: str = "2023-01-01") -> str:
    """What a user types to fetch a series."""
    words = ["lbt", "download", "--venue", series.venue, "--symbol", series.symbol]
    words += ["--timeframe", series.timeframe or "1h", "--since", since]
    return shlex.join(words)


def _nothing(store: Store, series: Series, rows: int) -> str:
    manifest = store.manifest(series)
    if manifest.parts:
        first, last = manifest.parts[0].first, manifest.parts[-1].last
        return (
            f"{series}: {rows} bars in this span; the store has {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}. "
            f"Choose dates inside, or fetch more: `{download_command(series)}`."
        )
    return (
        f"the store {store.root} has no {series}. `{download_command(series)}` fetches it; "
        f"`lbt data` lists what there is."
    )
