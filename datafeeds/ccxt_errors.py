"""Which errors of an exchange client pass by themselves, how long to wait, and what is said when they do not.

The client's classes alone do not tell: Bybit's HTTP 429 with an empty body comes as ExchangeError, BingX's "service
unavailable" as InsufficientFunds, a page that is not there as ExchangeNotAvailable. So status and code count too.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from lstm_backtrader.errors import ConfigError, VenueError

from .ccxt_habits import habits_of

_LATER = frozenset({408, 418, 425, 429, 500, 502, 503, 504, *range(520, 531)})  # HTTP: the same again, later
_CODE = re.compile(r'"(?:retCode|code)"\s*:\s*"?(-?\d+)')
_PLACE = frozenset({403, 451})


@dataclass(frozen=True)
class Retry:
    """Ask up to `tries` times; wait `first_s`, then twice as long each time, `longest_s` at most.

    `first_tries` is enough as long as nothing has ever come: there is no network then. A venue that names a time
    (`Retry-After`) is given it, up to `patience_s`. `sleep`: how to wait.
    """

    tries: int = 8
    first_tries: int = 4
    first_s: float = 1.0
    longest_s: float = 30.0
    patience_s: float = 180.0
    sleep: Callable[[float], object] = time.sleep

    def __post_init__(self) -> None:
        if self.tries < 1:
            raise ConfigError(f"tries {self.tries} must be at least 1.")

    def wait_s(self, failed: int, told_s: float | None = None) -> float:
        """Seconds to wait after `failed` failures in a row.

        >>> [Retry().wait_s(failed) for failed in (1, 2, 3, 7)]
        [1.0, 2.0, 4.0, 30.0]
        """
        wait = min(self.longest_s, self.first_s * 2.0 ** (failed - 1))
        return wait if told_s is None else max(wait, told_s)


def will_pass(error: Exception, venue: str, status: int | None) -> bool:
    """Whether the same request may be answered later. `status`: of the HTTP answer, None if there was none."""
    import ccxt

    if not isinstance(error, ccxt.BaseError) or isinstance(error, ccxt.InvalidNonce):
        return False
    if status is not None and status >= 400:
        return status in _LATER or _code(error) in habits_of(venue).busy or isinstance(error, ccxt.OnMaintenance)
    return isinstance(error, ccxt.OperationFailed) or _code(error) in habits_of(venue).busy


def refusal(error: Exception, venue: str, status: int | None, tries: int) -> VenueError:
    """What to tell the user of an error that does not pass, or has not passed in `tries`."""
    reason = f"{type(error).__name__}" + (f", HTTP {status}" if status is not None and status >= 400 else "")
    if status in _PLACE:
        return VenueError(
            f"{venue} refuses requests from here ({reason}); venues do so by country. Use another venue, or a "
            "connection from a country that it serves."
        )
    if will_pass(error, venue, status):
        return VenueError(
            f"{venue} gives no answer ({reason}; asked {tries} times). Look at the network and the venue's status "
            "page, then start again: what has been fetched is kept."
        )
    return VenueError(
        f"{venue} refuses the request ({reason}: {_said(error, venue)}). Check symbol, dates and kind."
    )


def _code(error: Exception) -> str:
    match = _CODE.search(str(error))
    return match[1] if match else ""


def _said(error: Exception, venue: str) -> str:
    """The venue's own words, on one line."""
    text = " ".join(str(error).removeprefix(venue).split())
    message = re.search(r'"(?:retMsg|msg|message)"\s*:\s*"([^"]+)"', text)
    return (message[1] if message else text)[:200]
