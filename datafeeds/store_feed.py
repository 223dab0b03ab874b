"""`StoreFeed`: market data of the store as a Backtrader data, in one line of a script."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd

from lstm_backtrader.events import join_events

from .frames import CandleFeed, LinesFromColumns
from .series import Series
from .spans import Moment
from .store import Store
from .stored import download_command, show_spans, stored_candles

logger = logging.getLogger(__name__)


class _LinesFromStore(LinesFromColumns):
    """Reads the table before the class is chosen, whose lines are the table's columns."""

    def doprenew(  # type: ignore[override]  # other parameters, as the class has
        cls,  # noqa: N805 - a metaclass
        venue: str = "",
        symbol: str = "",
        timeframe: str = "",
        since: Moment | None = None,
        until: Moment | None = None,
        *,
        events: pd.DataFrame | None = None,
        store: str | Path | Store | None = None,
        **params: object,
    ) -> tuple[type, tuple[()], dict[str, object]]:
        table = _read(Series(venue, symbol, "candles", timeframe), since, until, events, store)
        return super().doprenew(table, **params)


class StoreFeed(CandleFeed, metaclass=_LinesFromStore):
    """Candles of the store: ``cerebro.adddata(lbt.StoreFeed("bybit", "BTC/USD:BTC", "1h", "2023-01-01"))``.

    A `CandleFeed` in all else: the mark price (`mark_open` ... `mark_close`), `funding_rate` and open interest are
    lines where the store has them, and a `FuturesBroker` uses them.

    `venue`, `symbol`, `timeframe`: as ccxt writes them. `since`, `until`: bars that open from `since` to before
    `until`, UTC; all there are by default. `events`: a table with a column `published` and numbers, which become
    lines, summed at the bar they are known by (`lstm_backtrader.join_events` does more). `store`: another store
    than the user's own. `feed_params`: Backtrader's.

    Raises `DataError` where the store has no such candles, with the command that fetches them; where it lacks a
    part of the time asked for a warning says so.
    """

    def __init__(
        self,
        venue: str = "",
        symbol: str = "",
        timeframe: str = "",
        since: Moment | None = None,
        until: Moment | None = None,
        *,
        events: pd.DataFrame | None = None,
        store: str | Path | Store | None = None,
        **feed_params: object,
    ) -> None:
        # the metaclass has made a table of them; the signature is for the reader
        super().__init__()


def _read(
    series: Series,
    since: Moment | None,
    until: Moment | None,
    events: pd.DataFrame | None,
    store: str | Path | Store | None,
) -> pd.DataFrame:
    place = store if isinstance(store, Store) else Store(store)
    candles = stored_candles(series, since, until, place)
    first = candles.index[0] if since is None else since
    end = candles.index[-1] if until is None else until
    missing = place.missing(series, first, end)
    if missing:
        start = f"{missing[0][0]:%Y-%m-%d}"
        logger.warning(
            "%s: never fetched: %s; `%s` does",
            series,
            show_spans(missing),
            download_command(series, start),
        )
    if events is not None:
        columns = [str(name) for name in events.columns if name != "published"]
        attrs = candles.attrs
        candles = join_events(candles, events, columns)
        candles.attrs["symbol"] = attrs["symbol"]
    return candles
