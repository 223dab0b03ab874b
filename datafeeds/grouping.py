"""Candles of a longer bar made of shorter ones: what a venue would have published for it, and its forming states.

A bar holds the candles that open within it, counted from 1970-01-01 UTC, and is labelled by its own open, as
pandas' left-closed, left-labelled ``resample`` does. Each column has one rule: first known `open` and
`mark_open`, highest `high` and `mark_high`, lowest `low` and `mark_low`, last known `close`, `mark_close` and
`open_interest`; every other column is summed over what is known of it: `volume`, `funding_rate` (NaN where
nothing was settled) and events.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lstm_backtrader.candles import bar_seconds, format_timeframe, open_times, timeframe_seconds
from lstm_backtrader.errors import DataError, TimeframeError

_NS = 1_000_000_000
_RULES = {
    **dict.fromkeys(("open", "mark_open"), "first"),
    **dict.fromkeys(("high", "mark_high"), "max"),
    **dict.fromkeys(("low", "mark_low"), "min"),
    **dict.fromkeys(("close", "mark_close", "open_interest"), "last"),
}


def resample_candles(candles: pd.DataFrame, timeframe: str) -> pd.DataFrame:
    """The candles (T, columns) as bars of `timeframe`, say "1h": (T', columns).

    Bars without any candle are gaps; the first and the last bar may hold only a part of their time. Raises
    `TimeframeError` where the candles do not fit evenly into such bars.
    """
    opens = bar_opens(candles, timeframe)
    groups = candles.groupby(opens)
    table = pd.DataFrame(
        {
            name: groups[name].agg(_RULES[name]) if name in _RULES else groups[name].sum(min_count=1)
            for name in candles.columns
        }
    )
    table.index = pd.DatetimeIndex(pd.to_datetime(table.index, unit="ns", utc=True), name="open_time")
    table.attrs = {"symbol": candles.attrs["symbol"]} if "symbol" in candles.attrs else {}
    return table


def forming_candles(candles: pd.DataFrame, timeframe: str) -> pd.DataFrame:
    """The bar of `timeframe` as it stands after each candle: (T, columns) on the candles' own index."""
    opens = bar_opens(candles, timeframe)
    return pd.DataFrame({name: _so_far(candles[name], opens) for name in candles.columns})


def merged(line: str, before: float, now: float) -> float:
    """A line's value after one candle more: `before` as the bar stood (NaN: unknown), `now` the candle's."""
    if math.isnan(before) or math.isnan(now):
        return now if math.isnan(before) else before
    rule = "last" if line == "openinterest" else _RULES.get(line, "sum")
    choices = {"first": before, "last": now, "max": max(before, now), "min": min(before, now)}
    return choices.get(rule, before + now)


def bar_opens(candles: pd.DataFrame, timeframe: str) -> NDArray[np.int64]:
    """(T,) open of the longer bar each candle belongs to, nanoseconds since 1970 UTC. Raises `TimeframeError`."""
    step = timeframe_seconds(timeframe)
    times = open_times(candles.index)
    if len(times) == 0:
        raise DataError("there are no candles: the table has 0 rows. Check the dates it was cut to.")
    if len(times) > 1 and step % max(bar_seconds(times), 1):
        base = format_timeframe(bar_seconds(times))
        raise TimeframeError(
            f"{base} bars (measured) do not fit evenly into {timeframe} bars. Choose a whole multiple of {base}."
        )
    return times // (step * _NS) * (step * _NS)


def _so_far(column: pd.Series, opens: NDArray[np.int64]) -> pd.Series:
    """What `column` makes of each bar up to and including the row; NaN while nothing is known."""
    known = column.notna()
    count = known.groupby(opens).cumsum()
    rule = _RULES.get(str(column.name), "sum")
    if rule == "first":
        return column.where(known & (count == 1)).groupby(opens).ffill()
    if rule == "last":
        return column.groupby(opens).ffill()
    if rule == "sum":
        return column.fillna(0.0).groupby(opens).cumsum().where(count > 0)
    extreme = column.groupby(opens)
    return (extreme.cummax() if rule == "max" else extreme.cummin()).groupby(opens).ffill()
