"""The closed bars of one market as its venue publishes them: in order, each once, with mark price and funding."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lstm_backtrader.candles import COLUMNS, MARK_COLUMNS, PRICES, open_times
from lstm_backtrader.joining import settled_at

from .ccxt_client import VenueClient
from .ccxt_history import Page, fetch_pages, has_history
from .downloading import keep_page
from .series import Kind, Series, empty_rows
from .store import Store

logger = logging.getLogger(__name__)

LIVE_COLUMNS = (*COLUMNS, *MARK_COLUMNS, "funding_rate")
_MARK_PATIENCE_MS = 60_000  # a mark price that is not there a minute after its bar has closed is done without
_PUBLISHED_S = 1.0  # after its close a bar is asked for no sooner
_LONGEST_WAIT_S = 30.0  # between two requests for a bar that should be there


@dataclass(frozen=True)
class Clock:
    """Our own time in seconds, and how to let it pass: `slice_s` at a stretch, so that a run can be stopped."""

    now: Callable[[], float] = time.time
    sleep: Callable[[float], object] = time.sleep
    slice_s: float = 0.5


class LiveMarket:
    """Bars of `series` from `since` on, a page at a time: the store's, then what the venue has, then what comes.

    `poll` asks for what has closed since, and gives (T, LIVE_COLUMNS); mark price and funding are NaN where the
    venue has none. A bar comes once it is closed by the venue's clock. One that is missing between others was
    looked for twice and is a gap; the newest may just be late, and is waited for. A settlement that is published
    after its bar was given stands at the next bar, so that nothing is lost. `keep`: what the venue answers is put
    into the store as a download would, before it is given.
    """

    def __init__(
        self,
        client: VenueClient,
        series: Series,
        since: pd.Timestamp,
        store: Store | None = None,
        *,
        keep: bool = False,
    ) -> None:
        self.client = client
        self.series = series
        self._store = store
        self._keeper = store if keep else None
        self._step_ms = client.check_timeframe(series.timeframe or "")
        self._next_ms = -(-_ms(since) // self._step_ms) * self._step_ms  # open of the next bar wanted
        self._kinds = _kinds(client, series)
        self._rates: dict[int, float] = {}  # settlements that stand at no bar yet, by ms
        self._rates_ms = self._next_ms  # when the next settlement may be
        self._is_marked = True  # whether the last bar had a mark price; where there is none, none is waited for
        self._now_ms = 0
        self._misses = 0

    @property
    def next_open(self) -> pd.Timestamp:
        """Open time of the first bar not given yet."""
        return _stamp(self._next_ms)

    @property
    def is_behind(self) -> bool:
        """Whether bars that have closed by the venue's clock, as last seen, are to come; True before a `poll`."""
        return self._now_ms == 0 or self._next_ms + self._step_ms <= self._now_ms

    def wait_s(self) -> float:
        """Our seconds from the last poll to the moment when the next makes sense."""
        if self._now_ms == 0:
            return 0.0
        due_s = (self._next_ms + self._step_ms - self._now_ms) / 1000 + _PUBLISHED_S
        return due_s / self.client.speed if due_s > 0 else min(_LONGEST_WAIT_S, 2.0 ** min(self._misses, 9) - 1)

    def close(self) -> None:
        """Let go of the connection."""
        self.client.exchange.session.close()

    def poll(self) -> pd.DataFrame:
        """The bars that have closed since, at most a page of them; none if there are none. Raises `VenueError`."""
        if not self.client.knows_past(self._next_ms + self._step_ms):
            self.client.read_clock()
        self._now_ms = self.client.now_ms()
        bars = self._stored()
        if bars.empty:
            bars = self._fetched()
        self._misses = 0 if len(bars) else self._misses + 1
        return bars

    def _stored(self) -> pd.DataFrame:
        """Bars of the store up to the first thing that was never fetched; the store is looked at once."""
        store, self._store = self._store, None
        if store is None:
            return _no_bars()
        start, now = self.next_open, _stamp(self._now_ms)
        missing = [store.missing(self.series.other(kind), start, now) for kind in self._kinds]
        end_ms = min(_ms(spans[0][0]) if spans else self._now_ms for spans in missing)
        end = _stamp(end_ms // self._step_ms * self._step_ms)
        if end <= start:
            return _no_bars()
        rows = {kind: store.read(self.series.other(kind), start, end) for kind in self._kinds}
        self._next_ms = _ms(end)
        return self._joined(rows["candles"], rows.get("mark"), rows.get("funding"))

    def _fetched(self) -> pd.DataFrame:
        page = next(self._asked("candles", self._next_ms, self._now_ms), None)
        if page is None:
            return _no_bars()
        bars, end_ms = page.rows, _ms(page.span[1])
        marks = rates = None
        if len(bars) and "mark" in self._kinds:
            marks = self._pages("mark", _ms(page.span[0]), end_ms)
            is_new = _opens_ms(bars) > self._now_ms - self._step_ms - _MARK_PATIENCE_MS
            late = ~bars.index.isin(marks.index) & is_new
            if late.any() and self._is_marked:
                end_ms = int(_opens_ms(bars)[np.argmax(late)])
                bars = bars.iloc[: int(np.argmax(late))]
        if len(bars) and "funding" in self._kinds:
            rates = self._pages("funding", self._rates_ms, _ms(bars.index[-1]) + self._step_ms)
        self._next_ms = end_ms
        if len(bars) and marks is not None:
            self._is_marked = bool(bars.index[-1] in marks.index)
        return self._joined(bars, marks, rates)

    def _pages(self, kind: Kind, start_ms: int, end_ms: int) -> pd.DataFrame:
        pages = self._asked(kind, start_ms, end_ms)
        return pd.concat([empty_rows(self.series.other(kind)), *(page.rows for page in pages)])

    def _asked(self, kind: Kind, start_ms: int, end_ms: int) -> Iterator[Page]:
        """What the venue answers, kept where that is wanted."""
        series = self.series.other(kind)
        for page in fetch_pages(self.client, series, start_ms, end_ms):
            if self._keeper is not None:
                keep_page(self._keeper, series, page)
            yield page

    def _joined(self, bars: pd.DataFrame, marks: pd.DataFrame | None, rates: pd.DataFrame | None) -> pd.DataFrame:
        if bars.empty:
            return _no_bars()
        table = bars.reindex(columns=list(LIVE_COLUMNS))
        if marks is not None:
            table[list(MARK_COLUMNS)] = marks.reindex(bars.index)[list(PRICES)].to_numpy()
        if rates is not None and len(rates):
            self._rates_ms = _ms(rates.index[-1]) + 1
            settled = settled_at(open_times(rates.index)) // 1_000_000
            self._rates |= dict(zip(settled.tolist(), rates["funding_rate"].tolist(), strict=True))
        table["funding_rate"] = self._settle(_opens_ms(bars))
        return table

    def _settle(
        self, opens: np.ndarray[tuple[int], np.dtype[np.int64]]
    ) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """The rates that are due by the last of the bars that open at `opens` (ms), each at its bar: (T,)."""
        column = np.full(len(opens), np.nan)
        for stamp in sorted(self._rates):
            if stamp >= opens[-1] + self._step_ms:
                break
            if stamp < opens[0]:
                logger.warning(
                    "%s: the funding of %s came late and stands at the next bar", self.series, _stamp(stamp)
                )
            at = max(0, int(np.searchsorted(opens, stamp, side="right")) - 1)
            column[at] = np.nan_to_num(column[at]) + self._rates.pop(stamp)
        return column


def _kinds(client: VenueClient, series: Series) -> tuple[Kind, ...]:
    """What the venue has of the market: candles, and of the rest what it keeps."""
    more: tuple[Kind, ...] = ("mark", "funding")
    return ("candles", *(kind for kind in more if has_history(client, series.other(kind))))


def _no_bars() -> pd.DataFrame:
    return pd.DataFrame(columns=list(LIVE_COLUMNS), index=pd.DatetimeIndex([], tz="UTC", name="time"), dtype=float)


def _opens_ms(bars: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return open_times(bars.index) // 1_000_000


def _ms(stamp: pd.Timestamp) -> int:
    return stamp.as_unit("ns").value // 1_000_000


def _stamp(ms: int) -> pd.Timestamp:
    return pd.Timestamp(ms, unit="ms", tz="UTC")
