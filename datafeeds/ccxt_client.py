"""A venue to ask: ccxt's client of it, with the venue's own clock, patience with its errors, and kind refusals."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any

from lstm_backtrader.candles import format_timeframe, timeframe_seconds
from lstm_backtrader.errors import ConfigError, VenueError

from .ccxt_bitmex import date_ms
from .ccxt_errors import Retry, refusal, will_pass
from .ccxt_habits import SPEED_HEADER, did_you_mean, habits_of

if TYPE_CHECKING:
    from requests import Response

logger = logging.getLogger(__name__)


def connect(
    venue: str, *, via: str | None = None, retry: Retry | None = None, is_paced: bool | None = None
) -> VenueClient:
    """A client of `venue`, by ccxt's name of it; nothing is asked yet.

    `via`: address of a loopback venue that answers instead. `is_paced`: keep to the venue's rate limits; by default
    not with a loopback venue. Raises `ConfigError` for a venue that is not known.
    """
    import ccxt

    from .ccxt_bitmex import bitmex_class

    habits = habits_of(venue)
    make = bitmex_class() if venue == "bitmex" else getattr(ccxt, venue)
    is_paced = via is None if is_paced is None else is_paced
    exchange = make({"enableRateLimit": is_paced, "timeout": 20_000, "options": dict(habits.options)})
    exchange.has["fetchCurrencies"] = False  # not needed, and private at some
    if habits.rate_limit_ms is not None:
        exchange.rateLimit = max(exchange.rateLimit, habits.rate_limit_ms)
    if via is not None:
        from .loopback.adapter import LoopbackAdapter

        exchange.session.mount("https://", LoopbackAdapter(via))
    return VenueClient(venue, exchange, retry or Retry())


class VenueClient:
    """One venue: `ask` it anything that ccxt's client can, `market` by name, `now_ms` by its clock.

    `exchange`: ccxt's client, whose own idea of now is the venue's too once the clock has been read. `speed`: how
    many times faster than ours the venue's clock goes, 1 but for a loopback venue that says otherwise.
    """

    def __init__(self, venue: str, exchange: Any, retry: Retry) -> None:
        self.venue = venue
        self.exchange = exchange
        self.retry = retry
        self.habits = habits_of(venue)
        self.speed = 1.0
        self._status: int | None = None
        self._retry_after_s: float | None = None
        self._clock: tuple[int, float] | None = None  # the venue's ms, and our monotonic s when it arrived
        self._tries = 1
        self._has_answered = False
        exchange.session.hooks["response"].append(self._note)
        exchange.fetch = self._patiently(exchange.fetch)

    def ask(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """What ccxt's `method` gives. Raises `VenueError` where the venue refuses, or has not answered for long."""
        import ccxt

        call: Callable[..., Any] = getattr(self.exchange, method)
        try:
            return call(*args, **kwargs)
        except ccxt.BaseError as error:
            if (self._retry_after_s or 0.0) > self.retry.patience_s:
                raise VenueError(
                    f"{self.venue} wants {self._retry_after_s:.0f} s without a request. Start again after that; "
                    "what has been fetched is kept."
                ) from error
            raise refusal(error, self.venue, self._status, self._tries) from error

    def _patiently(self, fetch: Callable[..., Any]) -> Callable[..., Any]:
        """ccxt's function for one HTTP request, asking again where the error passes; a method may need several."""
        import ccxt

        def asking(*args: Any, **kwargs: Any) -> Any:
            most = self.retry.tries if self._has_answered else min(self.retry.tries, self.retry.first_tries)
            for tries in count(1):
                self._tries = tries
                self._status = self._retry_after_s = None
                try:
                    return fetch(*args, **kwargs)
                except ccxt.BaseError as error:
                    told_s = self._retry_after_s
                    is_last = tries == most or (told_s or 0.0) > self.retry.patience_s
                    if is_last or not will_pass(error, self.venue, self._status):
                        raise
                    self._wait(error, self.retry.wait_s(tries, told_s))

        return asking

    def _wait(self, error: Exception, wait_s: float) -> None:
        level = logging.INFO if self._tries < 3 else logging.WARNING
        name = type(error).__name__
        logger.log(level, "%s gives no answer (%s), asking again in %.0f s", self.venue, name, wait_s)
        self.retry.sleep(wait_s)

    def market(self, symbol: str) -> Any:
        """ccxt's market of a perpetual, by ccxt's symbol or the venue's own name of it. Raises `ConfigError`."""
        if not self.exchange.markets:
            self.ask("load_markets")
        markets = [market for market in self.exchange.markets.values() if market.get("swap")]
        for market in markets:
            if symbol in (market["symbol"], market["id"]):
                return market
        names = [market["symbol"] for market in markets]
        raise ConfigError(
            f"{self.venue} has no perpetual {symbol!r}. {did_you_mean(symbol, names)}"
            f"Write ccxt's name of it, base/quote:settlement, as BTC/USDT:USDT."
        )

    def check_timeframe(self, timeframe: str) -> int:
        """Length of a bar in ms. Raises `ConfigError` where the venue has no such bars."""
        known = [name for name in self.exchange.timeframes if name[-1] in "mhd" and name != "3d"]
        seconds = timeframe_seconds(timeframe)
        if format_timeframe(seconds).lower() not in known:
            raise ConfigError(
                f"{self.venue} has no {timeframe} bars; it has {', '.join(known)}. Fetch shorter ones and make "
                f"{timeframe} of them with lbt.resample."
            )
        return seconds * 1000

    def now_ms(self) -> int:
        """The venue's time, never ahead of it: read once, then carried on by our own clock."""
        told_ms, at_s = self._clock or self.read_clock()
        return told_ms + int((time.monotonic() - at_s) * 1000 * self.speed)

    def read_clock(self) -> tuple[int, float]:
        """Ask the venue what time it is: ms, UTC, and our monotonic seconds when the answer came."""
        told_ms = int(self.ask("fetch_time"))
        clock = self._clock = (told_ms, time.monotonic())
        self.exchange.milliseconds = self.now_ms  # what is recent, and where a page may end, it asks itself
        self.exchange.lastRestRequestTimestamp = self.now_ms()  # which the limiter counts from, by the same clock
        return clock

    def knows_past(self, moment_ms: int) -> bool:
        """Whether the venue's time is past a moment, by the dates of its answers so far: nobody need ask for it."""
        return self.habits.is_dated and self._clock is not None and self.now_ms() >= moment_ms

    def _note_time(self, headers: Mapping[str, str]) -> None:
        """Correct the clock that is carried on by the date of an answer, which is the second below."""
        self.speed = float(headers.get(SPEED_HEADER, 1.0))
        if self.habits.is_dated and self._clock is not None and "Date" in headers:
            dated_ms = date_ms(headers["Date"])
            if not 0 <= self.now_ms() - dated_ms <= 1000:
                self._clock = (dated_ms, time.monotonic())

    def _note(self, response: Response, *args: object, **kwargs: object) -> None:
        """Keep what ccxt's errors leave out; refuse an answer that was cut, which it would take for text."""
        import requests

        self._status = response.status_code
        self._has_answered = True
        self._retry_after_s = _seconds(response.headers.get("Retry-After"))
        self._note_time(response.headers)
        if response.status_code < 400:
            try:
                json.loads(response.content)
            except ValueError as error:
                self._status = None  # as if nothing had come
                raise requests.ConnectionError("the answer is no JSON") from error


def _seconds(text: str | None) -> float | None:
    """Seconds of a Retry-After header; None for one that names a date, or none."""
    return float(text) if text is not None and text.isdigit() else None
