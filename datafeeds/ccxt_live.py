"""`CCXTLive`: the closed bars of a venue as a Backtrader data that goes on where history ends."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import backtrader as bt
import pandas as pd

from lstm_backtrader.candles import MARK_COLUMNS
from lstm_backtrader.errors import ConfigError, VenueError

from .ccxt_client import connect
from .ccxt_errors import Retry
from .frames import line_table
from .live_market import Clock, LiveMarket
from .pace import backtrader_length
from .series import Series
from .spans import Moment, moment
from .store import Store

logger = logging.getLogger(__name__)

_INSTANT_S = 1e-3
_GLANCE_S = 0.05  # slept where another data has bars, so that nobody spins
_LONGEST_PAUSE_S = 60.0  # between two attempts to reach a venue that is gone


_AsParameters = tuple[type, tuple[()], dict[str, object]]  # class, positional and named arguments


class BarSource(Protocol):
    """Where a live feed has its bars from; see `LiveMarket`."""

    series: Series

    @property
    def is_behind(self) -> bool: ...
    def wait_s(self) -> float: ...
    def poll(self) -> pd.DataFrame: ...
    def close(self) -> None: ...


class _SourceFromNames(bt.feed.MetaAbstractDataBase):
    """Turns what `CCXTLive` is called with into parameters of a feed: whose bars they are, and what gives them."""

    def doprenew(cls, *given: Any, **named: Any) -> _AsParameters:  # noqa: N805 - a metaclass
        call = signature(CCXTLive.__init__).bind(None, *given, **named)
        call.apply_defaults()
        wanted = SimpleNamespace(**call.arguments)
        series = Series(wanted.venue, wanted.symbol, "candles", wanted.timeframe)
        if wanted.backfill < 0:
            raise ConfigError(f"backfill {wanted.backfill} is below 0. Give the bars that the warm-up needs.")
        if wanted.via is not None and wanted.keep and wanted.store is None:
            raise ConfigError(
                "keep=True would write what a loopback venue makes up into your own store. Add store='dry-run', or "
                "leave keep out."
            )
        clock = wanted.clock or Clock()
        since = None if wanted.since is None else moment(wanted.since, "since")

        def open_market() -> BarSource:
            store = wanted.store
            if not isinstance(store, Store) and (store is not None or wanted.via is None):
                store = Store(store)
            return open_live(series, wanted.backfill, since, store, wanted.via, clock, keep=wanted.keep)

        length, compression = backtrader_length(_seconds(series))
        own = {"timeframe": length, "compression": compression, "name": wanted.symbol, **wanted.feed_params}
        return cls, (), {**own, "dataname": series, "opened": wanted.opened or open_market, "clock": clock}


class CCXTLive(bt.feed.DataBase, metaclass=_SourceFromNames):
    """Live bars: ``cerebro.adddata(lbt.CCXTLive("bybit", "BTC/USD:BTC", "1h", backfill=500))``.

    First the last `backfill` closed bars (or those from `since`), out of the store as far as it has them, then
    every bar as it closes by the venue's clock; never one that still runs, none twice, none left out. It asks the
    venue for nothing but public data and places no order.

    `notify_data` of a strategy is told DELAYED while bars come later than they closed, LIVE when they come as they
    close, and DISCONNECTED when the venue is out of reach; it is asked again after 1, 2, 4 ... 60 seconds, and what
    was missed comes first. The run ends by ``cerebro.runstop()``, or with the bar before `todate`.

    Lines besides the usual: `mark_open`, `mark_high`, `mark_low`, `mark_close` and `funding_rate`, NaN where the
    venue has none. `lstm_backtrader.resample` makes longer bars of them.

    `store`: another than the user's own. `keep`: write to it what comes from the venue, so that the next start, a
    backtest or `lbt download` has it; a full disk then ends the run. `via`: address of a loopback venue for dry
    runs, which look at no store but one that is given. `clock`: our time and how it passes. `opened`: what gives
    the bars instead of the venue, see `BarSource`. `feed_params`: Backtrader's.

    Raises `ConfigError` for a venue, symbol or timeframe that is not there, and `VenueError` where it cannot be
    reached at the start.
    """

    lines: Any = (*MARK_COLUMNS, "funding_rate")  # Backtrader makes objects of both
    params: Any = (("qcheck", 0.5), ("opened", None), ("clock", None))

    def __init__(
        self,
        venue: str = "",
        symbol: str = "",
        timeframe: str = "",
        *,
        backfill: int = 500,
        since: Moment | None = None,
        store: Store | str | Path | None = None,
        keep: bool = False,
        via: str | None = None,
        clock: Clock | None = None,
        opened: Callable[[], BarSource] | None = None,
        **feed_params: object,
    ) -> None:
        # the metaclass has made parameters of them; the signature is for the reader
        super().__init__()
        self.bar_s = _seconds(self.p.dataname)

    def islive(self) -> bool:
        return True

    def haslivedata(self) -> bool:
        return bool(self._rows)

    def start(self) -> None:
        super().start()
        self._rows: deque[list[float]] = deque()
        self._failures = 0
        self._source: BarSource = self.p.opened()
        self._asks_at = self.p.clock.now()
        self.put_notification(self.DELAYED)

    def stop(self) -> None:
        super().stop()
        self._source.close()

    def _load(self) -> bool | None:
        if not self._rows:
            if self._is_resting():
                return None
            self._ask()
            if not self._rows:
                return None
        for line, value in zip(self.lines.itersize(), self._rows.popleft(), strict=True):
            line[0] = value
        return True

    def _is_resting(self) -> bool:
        """Let some of the time pass until the venue should be asked again; whether there is more of it."""
        if self._laststatus == self.DELAYED and not self._source.is_behind and self._failures == 0:
            self.put_notification(self.LIVE)
        left = self._asks_at - self.p.clock.now()
        if left < _INSTANT_S:
            return False
        clock = self.p.clock
        clock.sleep(min(left, clock.slice_s if self._qcheck else _GLANCE_S))
        return True

    def _ask(self) -> None:
        try:
            bars = self._source.poll()
        except VenueError as error:
            self._failures += 1
            wait = min(_LONGEST_PAUSE_S, 2.0 ** (min(self._failures, 9) - 1))
            self._asks_at = self.p.clock.now() + wait
            if self._laststatus != self.DISCONNECTED:
                reason = type(error.__cause__ or error).__name__
                logger.warning("%s: the venue is out of reach (%s), and asked again", self._source.series, reason)
            self.put_notification(self.DISCONNECTED)
            return
        was_away, self._failures = self._failures > 0, 0
        self._asks_at = self.p.clock.now() + self._source.wait_s()
        if len(bars) > 1 or self._source.is_behind:
            self.put_notification(self.DELAYED)
        elif was_away:
            logger.info("%s: the venue answers again", self._source.series)
            self.put_notification(self.LIVE)
        self._rows.extend(line_table(bars, self.getlinealiases(), 0).tolist())


def open_live(
    series: Series,
    backfill: int,
    since: pd.Timestamp | None,
    store: Store | None,
    via: str | None,
    clock: Clock,
    *,
    keep: bool = False,
) -> LiveMarket:
    """The market at its venue, from `since` or the last `backfill` closed bars on; `keep`: what comes is stored."""
    client = connect(series.venue, via=via, retry=Retry(tries=3, sleep=clock.sleep), is_paced=via is None)
    client.market(series.symbol)  # a wrong one is refused before anything is asked of it
    client.retry = Retry(tries=1)  # from now on it is the feed that asks again, and tells of it
    step_s = _seconds(series)
    if since is None:
        now_s = client.now_ms() // 1000
        since = pd.Timestamp((now_s // step_s - backfill) * step_s, unit="s", tz="UTC")
    return LiveMarket(client, series, since, store, keep=keep)


def _seconds(series: Series) -> int:
    step = series.step
    return 0 if step is None else int(step.total_seconds())
