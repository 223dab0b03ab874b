"""History into the store: what is missing is asked for, and each page is kept with the time it answers for.

A process that is killed at any moment has lost the page it was at; the next one asks for the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pandas as pd

from lstm_backtrader.errors import ConfigError

from .ccxt_client import VenueClient
from .ccxt_history import Page, check_kinds, fetch_pages
from .series import Kind, Series
from .spans import Moment, Span, intersect, moment
from .store import Store

_SETTLEMENT = pd.Timedelta(hours=8)  # usual distance of two
_GENESIS = pd.Timestamp("2009-01-03", tz="UTC")


@dataclass(frozen=True)
class Downloaded:
    """What became of one series: rows that are new, and what the venue has not got of the time asked for."""

    series: Series
    rows: int
    gaps: tuple[Span, ...]
    note: str = ""


def series_to_fetch(client: VenueClient, symbol: str, timeframe: str, kinds: Iterable[Kind]) -> list[Series]:
    """The series of a market, each checked with the venue; `symbol` may be the venue's own name of it.

    Raises `ConfigError` for what the venue has not got, all of it at once, `VenueError` where it cannot be asked.
    """
    client.check_timeframe(timeframe)
    known = client.market(symbol)["symbol"]
    found = [Series(client.venue, known, kind, None if kind == "funding" else timeframe) for kind in kinds]
    check_kinds(client, found)
    return found


def download(
    client: VenueClient,
    store: Store,
    series: Series,
    since: Moment,
    until: Moment | None = None,
    progress: Callable[[str, float, float], None] = lambda label, done, total: None,
) -> Downloaded:
    """Fetch what the store has not got yet of [since, until) and keep it; `until` is now, where it is not given.

    `progress` is told bars done and bars to do; of funding, settlements. Raises `VenueError`, `ConfigError`, and
    what `Store.append` raises; all pages until then are kept.
    """
    begin, end, note = _span_to_fetch(client, series, since, until)
    missing = store.missing(series, begin, end) if begin < end else []
    step = series.step or _SETTLEMENT
    bars = sum((last - first) / step for first, last in missing)
    done, rows = 0.0, 0
    for first, last in missing:
        for page in fetch_pages(client, series, _ms(first), _ms(last)):
            keep_page(store, series, page)
            rows += len(page.rows)
            done += (page.span[1] - page.span[0]) / step
            progress(str(series), done, bars)
    return Downloaded(series, rows, tuple(intersect(store.gaps(series), [(begin, end)])), note)


def keep_page(store: Store, series: Series, page: Page) -> None:
    """Put the venue's answer for a span of time into the store. Raises what `Store.append` raises."""
    if page.gaps:  # first, so that no crash can leave them out
        store.note_gaps(series, page.gaps)
    store.append(series, page.rows, series.venue, covered=[page.span])


def _span_to_fetch(
    client: VenueClient, series: Series, since: Moment, until: Moment | None
) -> tuple[pd.Timestamp, pd.Timestamp, str]:
    now = pd.Timestamp(client.now_ms(), unit="ms", tz="UTC")
    begin = moment(since, "since")
    end = now if until is None else moment(until, "until")
    if begin >= now:
        raise ConfigError(
            f"since {begin:%Y-%m-%d %H:%M} is in the future at {client.venue}. Choose an earlier day."
        )
    if begin >= end:
        raise ConfigError(f"since {begin:%Y-%m-%d %H:%M} is not before until {end:%Y-%m-%d %H:%M}. Swap them.")
    if begin < _GENESIS:
        raise ConfigError(f"since {begin:%Y-%m-%d} is before there was anything to trade. Choose a later day.")
    note = ""
    kept = client.habits.interest_days
    if series.kind == "open_interest" and kept is not None:
        oldest = (now - pd.Timedelta(days=kept)).ceil("1D")
        if begin < oldest:
            begin, note = oldest, f"{client.venue} keeps {kept} days of open interest"
    end = min(end, now)
    if series.step is not None:
        begin, end = begin.ceil(series.step), end.floor(series.step)
    return begin, end, note


def _ms(stamp: pd.Timestamp) -> int:
    return stamp.value // 1_000_000
