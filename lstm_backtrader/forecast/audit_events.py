"""The audit of event columns: no bar shows an event before it is known, which only the time of publication tells.

Cutting and disturbing candles cannot see this: a column that was joined by the time an event is *about* is, to the
candles, a column like any other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lstm_backtrader.errors import ConfigError
from lstm_backtrader.event_files import PUBLISHED, event_columns
from lstm_backtrader.events import Combine, join_events
from lstm_backtrader.forecast.findings import AuditReport, Check, Finding


def audit_events(
    candles: pd.DataFrame,
    events: pd.DataFrame,
    columns: Sequence[str] = (),
    *,
    published: str = PUBLISHED,
    latency: str | pd.Timedelta = "0s",
    combine: Combine = "sum",
    prefix: str = "",
) -> AuditReport:
    """Compare the event columns of `candles` with the times at which `events` were published.

    The arguments are those of `join_events`; no `columns` means those of the events' numbers that the candles have.
    A value that stands at a bar before the event is known is a finding, one that stands later a note. Raises
    `ConfigError` where there is nothing to compare.
    """
    chosen = tuple(columns) or tuple(name for name in event_columns(events) if f"{prefix}{name}" in candles.columns)
    shown = [f"{prefix}{name}" for name in chosen]
    missing = [name for name in shown if name not in candles.columns]
    if missing or not shown:
        raise ConfigError(
            f"the candles have no event column {', '.join(missing) or 'of these events'}; they have "
            f"{', '.join(map(str, candles.columns))}. Join the events first, or name the columns."
        )
    due = join_events(
        candles.drop(columns=shown),
        events,
        chosen,
        published=published,
        latency=latency,
        combine=combine,
        prefix=prefix,
    )
    return AuditReport(tuple(_publication(candles, due, name) for name in shown))


def _publication(candles: pd.DataFrame, due: pd.DataFrame, name: str) -> Check:
    """One column against what the times of publication make of it."""
    stands, known = (np.nan_to_num(table[name].to_numpy(np.float64)) for table in (candles, due))  # (T,)
    differs = stands != known
    lacking = np.flatnonzero(differs & (known != 0))  # rows where an event is known and does not stand
    late, early = 0, []
    for row in np.flatnonzero(differs & (stands != 0)).tolist():
        same = lacking[known[lacking] == stands[row]]
        after, before = same[same > row], same[same < row]
        if len(before) and not (len(after) and after[0] - row <= row - before[-1]):
            late += 1
        else:
            early.append(_early(candles, name, row, int(after[0]) if len(after) else None, known[row]))
    note = ", ".join(
        f"{count} {said}" for count, said in ((len(early), "early"), (late, "later than they could")) if count
    )
    return Check("publication", name, int(np.count_nonzero(stands)), tuple(early[:1]), note)


def _early(candles: pd.DataFrame, name: str, row: int, due: int | None, known: float) -> Finding:
    """A value that stands at `row` and may stand at `due`, or nowhere."""
    value = float(candles[name].iloc[row])
    if due is None:
        text = f"is {value:g}, and of what was published by its close there is {known:g}."
        return Finding("publication", name, candles.index[row], abs(value - known), text)
    bars = due - row
    when = f"{candles.index[due]:%Y-%m-%d %H:%M}"
    text = (
        f"is {value:g}, {bars} bar{'s' * (bars > 1)} before it is known: it was published so that it may stand at "
        f"{when}. Join events by publication and latency, with `lbt.join_events`."
    )
    return Finding("publication", name, candles.index[row], float(bars), text)
