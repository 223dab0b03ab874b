"""What each venue does of its own way, as far as history is concerned: page sizes, pace, and what it does not have.

Measured on recorded answers and on the client's source; the loopback venue behaves accordingly.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lstm_backtrader.errors import ConfigError

DAY_MS = 86_400_000
SPEED_HEADER = "Loopback-Speed"  # of a loopback venue's answers: how many times faster than ours its clock goes


@dataclass(frozen=True)
class Habits:
    """How to ask one venue for history.

    `page`: rows of a request for candles; `rates`: for funding; `interest`: for open interest, 0: it keeps none.
    `interest_bars`: timeframes that it keeps open interest for, `interest_days`: how long; None: for ever.
    `span_days`: longest span of a request; None: any. `rate_limit_ms`: what its limiter counts with, where ccxt's
    own figure is too quick. `busy`: its codes for "later", which come as other errors. `marks`: markets with
    candles of the mark price, `funded`: those with a history of funding: "all", "linear" or "none".
    `is_dated`: its own clock is in the Date of every answer, and nowhere else.
    `inverse_in_contracts`: volume of its inverse markets counts contracts, and nothing tells the base coin.
    """

    page: int
    rates: int
    interest: int = 0
    interest_bars: tuple[str, ...] = ()
    interest_days: int | None = None
    span_days: int | None = None
    rate_limit_ms: int | None = None
    busy: frozenset[str] = frozenset()
    marks: str = "all"
    funded: str = "all"
    funding_by_page: bool = False
    is_dated: bool = False
    inverse_in_contracts: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    def rows_of(self, step_ms: int, kind: str) -> int:
        """Rows of a request for bars of `step_ms`."""
        most = self.interest if kind == "open_interest" else self.page
        return most if self.span_days is None else max(2, min(most, self.span_days * DAY_MS // step_ms))


_BINANCE = Habits(
    page=1000,
    rates=1000,
    interest=500,
    interest_bars=("5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d"),
    interest_days=29,
)
HABITS: Mapping[str, Habits] = {
    "binanceusdm": _BINANCE,
    "binancecoinm": replace(_BINANCE, span_days=199),
    "bybit": Habits(
        page=1000,
        rates=200,
        interest=200,
        interest_bars=("5m", "15m", "30m", "1h", "4h", "1d"),
        busy=frozenset({"10000", "10016"}),  # server timeout; system error, try again later
        options={"fetchMarkets": {"types": ["linear", "inverse"]}},
    ),
    "bingx": Habits(
        page=1000,
        rates=1000,
        rate_limit_ms=1000,  # ccxt has 100 ms; the venue allows history one call a second
        busy=frozenset({"80012"}),  # "service unavailable", which ccxt takes for lack of funds
        marks="linear",
        funded="linear",
        inverse_in_contracts=True,
    ),
    "bitget": Habits(
        page=200,  # of old bars; newer ones come in pages of the same size, so that nothing changes midway
        rates=100,
        span_days=90,
        busy=frozenset({"40015", "40725"}),  # system abnormal, service error: try again later
        funding_by_page=True,
        options={"uta": False, "fetchMarkets": {"types": ["swap"]}},
    ),
    "bitmex": Habits(
        page=500,
        rates=500,
        rate_limit_ms=400,  # times the cost 5 of a request: 30 a minute without a key
        marks="none",
        is_dated=True,
    ),
}


def habits_of(venue: str) -> Habits:
    """The habits of a venue by ccxt's name of it. Raises `ConfigError` for one whose history is not known here."""
    if venue not in HABITS:
        raise ConfigError(
            f"venue {venue!r} is not known. {did_you_mean(venue, HABITS)}Choose from {', '.join(HABITS)}."
        )
    return HABITS[venue]


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """ "Did you mean 'bybit'? " where one of `known` is near enough, else nothing.

    >>> did_you_mean("bibyt", ["bybit", "bingx"])
    "Did you mean 'bybit'? "
    """
    names = list(known)
    begun = [name for name in names if given and name.lower().startswith(given.lower())]
    near = begun[:1] or difflib.get_close_matches(given, names, n=1, cutoff=0.5)
    return f"Did you mean {near[0]!r}? " if near else ""
