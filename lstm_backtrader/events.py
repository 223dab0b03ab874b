"""Events joined to candles by the time they are known: news, filings, unlocks, whatever is published once.

A bar shows an event only if the event was known before the bar closed. So what is published at 11:20 and reaches
you five minutes later stands at the bar from 11:00 to 12:00; what is known at 12:00 sharp stands at the next one,
which is the first whose close can be acted on with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lstm_backtrader.candle_check import read_stamps
from lstm_backtrader.candles import bar_seconds, open_times
from lstm_backtrader.errors import ConfigError, DataError

Combine = Literal["sum", "last", "count"]
_NS = 1_000_000_000


def join_events(
    candles: pd.DataFrame,
    events: pd.DataFrame,
    columns: Sequence[str] = ("value",),
    *,
    published: str = "published",
    latency: str | pd.Timedelta = "0s",
    combine: Combine = "sum",
    prefix: str = "",
) -> pd.DataFrame:
    """The candles with a column for each of the events' `columns`: the value at the bar it is known by, else 0.

    `events` has one row an event: the column `published`, in UTC where no zone is stated (ISO 8601, datetimes or an
    epoch), and a number in each of `columns`. It is known at `published` + `latency`. Rows may come in any order;
    rows that are equal in all columns are one event, told twice. Several events of one bar make one number by
    `combine`: their "sum", the "last" by the time it is known (of equal times the lower row), or their "count".
    An event that falls where bars are missing stands at the next bar there is; one from before the first bar, or
    that is known only after the last bar has closed, at none. The new columns are called `prefix` + name.

    An event of value 0 cannot be told from none: count, or give events that say nothing but that they happened a 1.
    What was joined and left out is added to `.attrs["notes"]`. Raises `DataError` and `ConfigError`.
    """
    if combine not in get_args(Combine):
        raise ConfigError(f"combine {combine!r} is unknown. Use {', '.join(get_args(Combine))}.")
    delay = _delay(latency)
    _check_columns(candles, events, [published, *columns], [f"{prefix}{name}" for name in columns])
    told = len(events)
    events = events.drop_duplicates().reset_index(drop=True)
    values = {name: _numbers(events, name) for name in columns}
    known = _stamps(events, published) + delay
    rows, at = _place(open_times(candles.index), known)
    joined = {
        f"{prefix}{name}": _combined(column[rows], at, len(candles), combine) for name, column in values.items()
    }
    out = candles.assign(**joined)
    out.attrs = {"notes": [*candles.attrs.get("notes", []), _note(len(rows), len(events), told)]}
    return out


def _delay(latency: str | pd.Timedelta) -> int:
    try:
        delay = pd.Timedelta(latency)
    except ValueError as error:
        raise ConfigError(f"latency {latency!r} is no length of time. Use '5min' or '30s'.") from error
    if not delay >= pd.Timedelta(0):
        raise ConfigError(f"latency {latency} is below 0: nothing is known before it is published. Use 0 or more.")
    return delay.as_unit("ns").value


def _check_columns(candles: pd.DataFrame, events: pd.DataFrame, needed: list[str], fresh: list[str]) -> None:
    missing = [name for name in needed if name not in events.columns]
    if missing:
        raise DataError(
            f"events: column {', '.join(missing)} missing; found {', '.join(map(str, events.columns)) or 'none'}. "
            f"Name the time of publication by published=, the values by columns=."
        )
    taken = [name for name in fresh if name in candles.columns]
    if taken:
        raise DataError(f"candles have a column {taken[0]} already. Drop it, or give the events a prefix.")


def _numbers(events: pd.DataFrame, name: str) -> NDArray[np.float64]:
    values = pd.to_numeric(events[name], errors="coerce").to_numpy(np.float64, na_value=np.nan)
    bad = ~np.isfinite(values)
    if bad.any():
        row = int(np.argmax(bad))
        found = events[name].astype(object).iloc[row]  # a plain float, where it is one
        raise DataError(f"events: {name} is {found!r}, not a number. Mend or drop that event.")
    return values


def _stamps(events: pd.DataFrame, published: str) -> NDArray[np.int64]:
    """(E,) publication in nanoseconds UTC."""
    if events.empty:
        return np.empty(0, dtype=np.int64)
    stamps, _ = read_stamps(pd.DataFrame({"time": events[published]}), "events")
    return stamps


def _place(opens: NDArray[np.int64], known: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Events in the order they are known, those that have a bar, and the bar of each."""
    order = np.argsort(known, kind="stable")
    closes = opens + bar_seconds(opens) * _NS
    at = np.searchsorted(closes, known[order], side="right")  # the first bar that closes after it is known
    kept = (known[order] >= opens[0]) & (at < len(opens))
    return order[kept], at[kept]


def _combined(
    values: NDArray[np.float64], at: NDArray[np.int64], bars: int, combine: Combine
) -> NDArray[np.float64]:
    """(T,) one number a bar, 0 where there is no event."""
    out = np.zeros(bars)
    if combine == "last":
        out[at] = values  # of several the later one stays
    else:
        np.add.at(out, at, values if combine == "sum" else 1.0)
    return out


def _note(joined: int, distinct: int, told: int) -> str:
    parts = [f"{joined} events joined"]
    if told > distinct:
        parts.append(f"{told - distinct} told twice")
    if distinct > joined:
        parts.append(f"{distinct - joined} outside the candles")
    return ", ".join(parts)
