"""Reading candles from files or tables: Parquet, CSV, feather, pandas; funding and mark price join as columns."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from lstm_backtrader.candle_check import check_candles
from lstm_backtrader.candles import bar_seconds, open_times
from lstm_backtrader.errors import DataError
from lstm_backtrader.event_files import event_columns, read_events
from lstm_backtrader.events import join_events
from lstm_backtrader.joining import join_funding, join_mark
from lstm_backtrader.table_files import read_table

Given = str | Path | pd.DataFrame


def read_candles(
    path: Given,
    funding: Given | None = None,
    mark: Given | None = None,
    *,
    events: str | Path | None = None,
    latency: str = "0s",
) -> pd.DataFrame:
    """Candles from Parquet, CSV or feather (freqtrade's too), checked, with funding, mark price and events joined.

    `path`: a file, a series of the store, "bybit:BTC/USD:BTC:1h", which brings mark price and funding along, or a
    table, of ccxt's rows say: ``DataFrame(rows, columns=["timestamp", "open", "high", "low", "close", "volume"])``.
    `funding`: file or table with a time column and `funding_rate` (fraction of notional; positive: longs pay). A
    stamp goes to the bar that holds it; two in one bar are added. `mark`: candles of the mark price, same bar
    length. `events`: file of `read_events`; each of its columns of numbers stands at the bar it is known by,
    `latency` after its publication (see `join_events`). What was mended or found is in `.attrs["notes"]`, a list of
    lines. Raises `DataError`.
    """
    candles = _candles(path)
    timeframe_s = bar_seconds(open_times(candles.index))
    attrs = candles.attrs
    if mark is not None:
        candles, line = join_mark(candles, timeframe_s, *_read(mark, "mark"))
        attrs["notes"].append(line)
    if funding is not None:
        candles, line = join_funding(candles, timeframe_s, *_read(funding, "funding"))
        attrs["notes"].append(line)
    candles.attrs = attrs
    if events is not None:
        candles = _with_events(candles, events, latency)
    return candles


def _with_events(candles: pd.DataFrame, path: str | Path, latency: str) -> pd.DataFrame:
    events = read_events(path)
    columns = event_columns(events)
    if not columns:
        raise DataError(f"{path}: no column of numbers to join to the candles. Add one, say 1 for every event.")
    try:
        return join_events(candles, events, columns, latency=latency)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def names_series(path: str | Path) -> bool:
    """Whether `path` names a series of the store, "bybit:BTC/USD:BTC:1h", and is no file."""
    return not Path(path).exists() and re.match(r"[a-z0-9_]{2,}:", str(path)) is not None


def _read(given: Given, name: str) -> tuple[pd.DataFrame, str]:
    """The table, column names in small letters, and what messages call it: its file, or `name`."""
    if isinstance(given, pd.DataFrame):
        return given.rename(columns=lambda column: str(column).strip().lower()), name
    return read_table(given), str(given)


def _candles(path: Given) -> pd.DataFrame:
    if not isinstance(path, pd.DataFrame) and names_series(path):
        from lstm_backtrader.datafeeds.series import parse_series
        from lstm_backtrader.datafeeds.stored import stored_candles

        return stored_candles(parse_series(str(path)))
    candles, notes = check_candles(*_read(path, "candles"))
    candles.attrs = {"notes": notes.lines()}
    return candles
