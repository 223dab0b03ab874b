"""What `lbt download` does: options to series, series to the store, and a line on each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from lstm_backtrader.candles import timeframe_seconds
from lstm_backtrader.datafeeds.ccxt_client import connect
from lstm_backtrader.datafeeds.ccxt_habits import did_you_mean, habits_of
from lstm_backtrader.datafeeds.downloading import Downloaded, download, series_to_fetch
from lstm_backtrader.datafeeds.series import Kind, Series
from lstm_backtrader.datafeeds.spans import Span
from lstm_backtrader.datafeeds.store import Store
from lstm_backtrader.errors import ConfigError

MORE: dict[str, Kind] = {"mark": "mark", "funding": "funding", "open-interest": "open_interest"}
_GAPS_SHOWN = 5


@dataclass(frozen=True)
class DownloadRequest:
    """The options of `lbt download`. Raises `ConfigError` for those that mean nothing."""

    venue: str
    symbol: str
    timeframe: str
    since: datetime
    until: datetime | None = None  # last day, whole
    more: str = ""  # names of `MORE`, between commas
    via: str | None = None

    def __post_init__(self) -> None:
        habits_of(self.venue)
        timeframe_seconds(self.timeframe)
        if self.until is not None and self.until < self.since:
            raise ConfigError(f"--until {self.until:%Y-%m-%d} is before --since {self.since:%Y-%m-%d}. Swap them.")
        for name in self.names():
            if name not in MORE:
                raise ConfigError(
                    f"--with {name!r} is none of {', '.join(MORE)}. {did_you_mean(name, MORE)}".strip()
                )

    def names(self) -> list[str]:
        """What to fetch besides candles."""
        return [name.strip() for name in self.more.split(",") if name.strip()]

    @property
    def kinds(self) -> list[Kind]:
        return ["candles", *(MORE[name] for name in dict.fromkeys(self.names()))]


def run_download(
    request: DownloadRequest, store: Store, progress: Callable[[str, float, float], None]
) -> Iterator[str]:
    """Fetch all series asked for; a line or more on each as it is done."""
    client = connect(request.venue, via=request.via)
    until = None if request.until is None else request.until + timedelta(days=1)
    for series in series_to_fetch(client, request.symbol, request.timeframe, request.kinds):
        done = download(client, store, series, request.since, until, progress)
        yield from _lines(done, store)


def _lines(done: Downloaded, store: Store) -> Iterator[str]:
    parts = store.manifest(done.series).parts
    gaps = list(done.gaps)
    held = f"nothing from {done.series.venue} in the store"
    if parts:
        first = pd.Timestamp(parts[0].first)
        held = f"{first:%Y-%m-%d %H:%M} to {parts[-1].last:%Y-%m-%d %H:%M} UTC"
        if any(end <= first for _, end in gaps):
            held += f", and nothing before at {done.series.venue}"
        gaps = [gap for gap in gaps if gap[1] > first]
    yield f"{done.series}: {done.rows:,} new rows; {held}" + (f" ({done.note})" if done.note else "")
    yield from _gap_lines(done.series, gaps)


def _gap_lines(series: Series, gaps: Iterable[Span]) -> Iterator[str]:
    longest_first = sorted(gaps, key=lambda gap: gap[0] - gap[1])
    for start, end in sorted(longest_first[:_GAPS_SHOWN]):
        bars = 0 if series.step is None else (end - start) // series.step
        span = f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}"
        yield f"  gap, asked for twice: {span}, {bars:,} bar{'s' * (bars != 1)}"
    if len(longest_first) > _GAPS_SHOWN:
        yield f"  and {len(longest_first) - _GAPS_SHOWN:,} that are not longer"
