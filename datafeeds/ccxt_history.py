"""Closed bars, mark prices, funding and open interest of a venue, page by page, whatever it does to its pages.

Every page is a span of time. What is missing in it is asked for again, until an answer brings nothing new. So a
page may come short, in any order, with rows twice or beside the span, and a gap is one that was looked for twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import pandas as pd

from lstm_backtrader.errors import ConfigError

from .ccxt_client import VenueClient
from .ccxt_habits import DAY_MS
from .series import Kind, Series, empty_rows
from .spans import Span

Rows = dict[int, tuple[float, ...]]  # time in ms -> values
Holes = list[tuple[int, int]]  # [start, end) in ms

_FUNDING_MS = 8 * 3_600_000  # what is usual; where it is less, a page fills up and the rest is asked for again
_OFTEN_MS = 3_600_000  # nowhere is it less
_LATE_MS = 60_000  # settlements are stamped up to this much late
_PUBLISHED_MS = 600_000  # what closed less than this ago may just be late
_MAX_PAGES = 10_000


@dataclass(frozen=True)
class Page:
    """The answer for one span of time: its rows, and where the venue has none.

    `span`: what is answered for, [start, end); it ends before bars that may still be published.
    """

    rows: pd.DataFrame
    span: Span
    gaps: tuple[Span, ...] = ()


def fetch_closed(
    client: VenueClient,
    symbol: str,
    timeframe: str,
    since_ms: int,
    until_ms: int | None = None,
    kind: Kind = "candles",
) -> pd.DataFrame:
    """The bars that opened at `since_ms` or later and have closed by the venue's clock and by `until_ms`.

    Rows as `Series.columns` has them, index `time`, UTC. Retries as the client does; reads the venue's clock anew.
    """
    series = Series(client.venue, symbol, kind, timeframe)
    client.read_clock()
    pages = fetch_pages(client, series, since_ms, until_ms or client.now_ms())
    return pd.concat([empty_rows(series), *(page.rows for page in pages)])


def has_history(client: VenueClient, series: Series) -> bool:
    """Whether the venue keeps a history of this kind of a market. Raises `ConfigError` for one it has not."""
    market, habits = client.market(series.symbol), client.habits
    interest = "all" if habits.interest else "none"
    has = {"candles": "all", "mark": habits.marks, "funding": habits.funded}.get(series.kind, interest)
    return has == "all" or (has == "linear" and bool(market["linear"]))


def check_kinds(client: VenueClient, wanted: Iterable[Series]) -> None:
    """Raises `ConfigError` where the venue has no such bars, or no history of some of the kinds; names them all."""
    lacking = []
    for series in wanted:
        if series.timeframe is not None:
            client.check_timeframe(series.timeframe)
        if not has_history(client, series):
            lacking.append(series)
        elif series.kind == "open_interest" and series.timeframe not in client.habits.interest_bars:
            raise ConfigError(
                f"{client.venue} keeps open interest at {', '.join(client.habits.interest_bars)} alone, not at "
                f"{series.timeframe}. Leave open-interest out of --with, or fetch it at one of these timeframes."
            )
    if lacking:
        what = " and ".join(series.kind.replace("_", "-") for series in lacking)
        it = "it" if len(lacking) == 1 else "them"
        raise ConfigError(
            f"there is no history of {what} of {lacking[0].symbol} at {client.venue}. Leave {it} out of --with."
        )


def fetch_pages(client: VenueClient, series: Series, since_ms: int, until_ms: int) -> Iterator[Page]:
    """All of [since, until) that is over by the venue's clock, in pages, oldest first."""
    now_ms = client.now_ms()
    until_ms = min(until_ms, now_ms)
    if series.kind == "funding":
        yield from _funding_pages(client, series, since_ms, min(until_ms, now_ms - _PUBLISHED_MS))
        return
    step_ms = client.check_timeframe(series.timeframe or "")
    start, end = -(-since_ms // step_ms) * step_ms, until_ms // step_ms * step_ms
    limit = client.habits.rows_of(step_ms, series.kind)
    page_ms = (limit - 1) * step_ms
    ask = _asker(client, series, step_ms, limit)
    late_ms = (now_ms - max(_PUBLISHED_MS, 2 * step_ms)) // step_ms * step_ms

    def holes(rows: Rows, begin: int, until: int) -> Holes:
        return _missing_bars(rows, begin, until, step_ms)

    while start < end:
        until = min(start + page_ms, end)
        rows, gaps = _complete(ask, start, until, holes, limit)
        gaps, answered = _without_late(gaps, until, late_ms)
        yield _page(series, rows, (start, answered), gaps)
        start = until
        if not rows and start < end and step_ms < DAY_MS and series.kind in ("candles", "mark"):
            first = _first_day(client, series, start, end)
            if first > start:
                skipped, answered = _without_late([(start, first)], first, late_ms)
                yield _page(series, {}, (start, answered), skipped)
                start = first


def _complete(
    ask: Callable[[int, int], Rows], start: int, end: int, holes: Callable[[Rows, int, int], Holes], limit: int
) -> tuple[Rows, Holes]:
    """All rows of [start, end), and the holes that were asked for once more and are empty.

    Holes are asked for together. An answer without new rows that leaves out some of those we have, or is as long as
    an answer can be (`limit`), may have left out others, too; from then on each hole is asked for by itself.
    """
    rows = _inside(ask(start, end), start, end)
    empty: set[tuple[int, int]] = set()
    together = True
    while open_holes := [hole for hole in holes(rows, start, end) if hole not in empty]:
        asked = open_holes if together else open_holes[:1]
        begin, until = asked[0][0], asked[-1][1]
        told = ask(begin, until)
        answer = _inside(told, start, end)
        if answer.keys() - rows.keys():
            rows |= answer
        elif not together or (
            len(told) < limit and answer.keys() >= {time for time in rows if begin <= time < until}
        ):
            empty.update(asked)
        else:
            together = False
    return dict(sorted(rows.items())), holes(rows, start, end)


def _inside(rows: Rows, start: int, end: int) -> Rows:
    return {time: row for time, row in rows.items() if start <= time < end}


def _asker(client: VenueClient, series: Series, step_ms: int, limit: int) -> Callable[[int, int], Rows]:
    """A function that asks for [begin, end) once; its rows may lie beside it, and be of any number."""
    market = client.market(series.symbol)
    symbol, kind = market["symbol"], series.kind
    is_paired = market["inverse"] and "pair" in market["info"]  # at Binance; ccxt 4.5.83 would ask for quarterlies
    by_pair = {"pair": market["info"]["pair"], "contractType": "PERPETUAL"} if is_paired else {}
    in_contracts = kind == "candles" and market["inverse"] and client.habits.inverse_in_contracts

    def ask(begin: int, end: int) -> Rows:
        # the end itself is asked for, too: some venues leave it out, and one cuts it to the bar before it does
        if kind == "open_interest":
            params = {"until": end, **by_pair}
            told = client.ask("fetch_open_interest_history", symbol, series.timeframe, begin, limit, params)
            name = "openInterestAmount" if market["linear"] else "openInterestValue"
            return _numbers((row["timestamp"], [row[name]]) for row in told)
        params = {"until": end, **({"price": "mark"} if kind == "mark" else {})}
        bars = client.ask("fetch_ohlcv", symbol, series.timeframe, begin, limit, params)
        width = 1 + len(series.columns)  # mark prices have no volume
        rows = _numbers((bar[0] // step_ms * step_ms, bar[1:width]) for bar in bars)
        if in_contracts:
            rows = {time: (*row[:4], _in_coin(row, market["contractSize"])) for time, row in rows.items()}
        return rows

    return ask


def _numbers(told: Iterable[tuple[int, list[float | None]]]) -> Rows:
    """Rows of numbers; one with a field that the venue has left empty is no row."""
    rows = {}
    for time, values in told:
        numbers = tuple(float(value) for value in values if value is not None)
        if len(numbers) == len(values):
            rows[int(time)] = numbers
    return rows


def _in_coin(bar: tuple[float, ...], contract_size: float) -> float:
    """Contracts of `contract_size` units of the quote currency, in the base coin at the bar's mean price.

    >>> round(_in_coin((76603.2, 76633.2, 76441.8, 76543.6, 6876.0), 100.0), 3)
    8.982
    """
    return 4 * bar[4] * contract_size / sum(bar[:4])


def _funding_pages(client: VenueClient, series: Series, start: int, end: int) -> Iterator[Page]:
    """Funding comes at its own times, so that holes are told by the usual distance, and not reported."""
    symbol = client.market(series.symbol)["symbol"]
    habits = client.habits

    def ask(begin: int, until: int) -> Rows:
        if habits.funding_by_page:
            return _by_number(client, symbol, begin)
        told = client.ask("fetch_funding_rate_history", symbol, begin, habits.rates, {"until": until})
        return _numbers((row["timestamp"], [row["fundingRate"]]) for row in told)

    page_ms, limit = habits.rates * _FUNDING_MS, habits.rates
    if habits.funding_by_page:
        page_ms, limit = max(end - start, 1), _MAX_PAGES * habits.rates
    elif habits.span_days is not None:
        page_ms = min(page_ms, habits.span_days * DAY_MS)
    while start < end:
        until = min(start + page_ms, end)
        rows, _ = _complete(ask, start, until, _missing_rates, limit)
        yield _page(series, rows, (start, until), [])
        start = until


def _by_number(client: VenueClient, symbol: str, begin: int) -> Rows:
    """Funding of a venue that counts pages from now back, whatever time is asked for; back to `begin`."""
    rows: Rows = {}
    for number in range(1, _MAX_PAGES):
        told = client.ask("fetch_funding_rate_history", symbol, None, client.habits.rates, {"pageNo": number})
        rows |= _numbers((row["timestamp"], [row["fundingRate"]]) for row in told)
        if not told or min(int(row["timestamp"]) for row in told) <= begin:
            break
    return rows


def _first_day(client: VenueClient, series: Series, start: int, end: int) -> int:
    """Where the first day with any bar begins, `end` if none does: years before a listing cost a few requests."""
    limit = client.habits.rows_of(DAY_MS, series.kind)
    ask = _asker(client, Series(series.venue, series.symbol, series.kind, "1d"), DAY_MS, limit)
    page_ms = (limit - 1) * DAY_MS
    day = start // DAY_MS * DAY_MS
    while day < end:
        until = min(day + page_ms, end)
        rows, _ = _complete(ask, day, until, _nothing, limit)
        if rows:
            return max(start, min(rows))
        day = until
    return end


def _nothing(rows: Rows, start: int, end: int) -> Holes:
    """A page without any row is one hole."""
    return [] if rows else [(start, end)]


def _missing_bars(rows: Rows, start: int, end: int, step_ms: int) -> Holes:
    """Where bars of `step_ms` are missing.

    >>> _missing_bars({0: (), 2: (), 5: ()}, 0, 7, 1)
    [(1, 2), (3, 5), (6, 7)]
    """
    edges = [start - step_ms, *sorted(rows), end]
    return [(a + step_ms, b) for a, b in pairwise(edges) if b - a > step_ms]


def _missing_rates(rows: Rows, start: int, end: int) -> Holes:
    """Where a settlement may be missing: between two that are farther apart than the nearest two, or at an end."""
    times = sorted(rows)
    between = [b - a for a, b in pairwise(times)]
    usual = min(between) if len(between) > 1 else _OFTEN_MS
    if not times:
        return [(start, end)]
    first = [(start, times[0])] if times[0] - start > usual - _LATE_MS else []
    last = [(times[-1], end)] if end - times[-1] > usual + _LATE_MS else []
    return [*first, *((a, b) for a, b in pairwise(times) if b - a > 1.5 * usual), *last]


def _without_late(gaps: Holes, end: int, late_ms: int) -> tuple[Holes, int]:
    """Gaps without what may just not be published yet, and where the answer ends for that reason."""
    if not gaps or gaps[-1][1] != end or end <= late_ms:
        return gaps, end
    begin = max(gaps[-1][0], late_ms)
    return [*gaps[:-1], *([(gaps[-1][0], begin)] if begin > gaps[-1][0] else [])], begin


def _page(series: Series, rows: Rows, span: tuple[int, int], gaps: Holes) -> Page:
    frame = empty_rows(series)
    if rows:
        index = pd.DatetimeIndex(pd.to_datetime(list(rows), unit="ms", utc=True).as_unit("ns"), name="time")
        frame = pd.DataFrame(list(rows.values()), index=index, columns=list(series.columns))
    return Page(frame, _span(*span), tuple(_span(*gap) for gap in gaps))


def _span(start: int, end: int) -> Span:
    return pd.Timestamp(start, unit="ms", tz="UTC"), pd.Timestamp(end, unit="ms", tz="UTC")
