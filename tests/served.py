"""Markets for the loopback venue, and clients that talk to it: what tests of history and live feeds start from."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd

from lstm_backtrader.datafeeds.ccxt_client import VenueClient, connect
from lstm_backtrader.datafeeds.ccxt_errors import Retry
from lstm_backtrader.datafeeds.loopback.faults import Faults
from lstm_backtrader.datafeeds.loopback.market import ServedMarket
from lstm_backtrader.datafeeds.loopback.server import LoopbackVenue

MARKETS = (
    ("binanceusdm", "BTC/USDT:USDT"),
    ("binancecoinm", "BTC/USD:BTC"),
    ("bybit", "BTC/USDT:USDT"),
    ("bybit", "BTC/USD:BTC"),
    ("bingx", "BTC/USDT:USDT"),
    ("bingx", "BTC/USD:BTC"),
    ("bitget", "BTC/USDT:USDT"),
    ("bitget", "BTC/USD:BTC"),
    ("bitmex", "BTC/USD:BTC"),
    ("bitmex", "BTC/USDT:USDT"),
)
KEPT = {"binanceusdm": 29, "binancecoinm": 29, "bybit": None}  # days of open interest, None: all
START = pd.Timestamp("2023-01-01", tz="UTC")
SINCE_MS = START.value // 1_000_000
HOUR = pd.Timedelta(hours=1)
HOUR_MS = 3_600_000


def bars(n: int, seed: int = 1, freq: str = "1h") -> pd.DataFrame:
    """`n` seeded bars from the start of 2023."""
    draws = np.random.default_rng(seed)
    close = 20_000 * np.exp(np.cumsum(draws.normal(0, 0.005, n)))
    first = np.append(20_000.0, close[:-1])
    high = np.maximum(first, close) * (1 + 0.002 * draws.random(n))
    low = np.minimum(first, close) * (1 - 0.002 * draws.random(n))
    columns = {"open": first, "high": high, "low": low, "close": close}
    table = pd.DataFrame({name: column.round(1) for name, column in columns.items()})
    table["volume"] = (1000 * draws.random(n)).round(3)
    return table.set_index(pd.date_range(START, periods=n, freq=freq, name="time").as_unit("ns"))


def rates(n: int, hours: int = 8, seed: int = 2) -> pd.DataFrame:
    """`n` funding rates from the start of 2023, stamped some milliseconds late, as venues do."""
    draws = np.random.default_rng(seed)
    stamps = pd.date_range(START, periods=n, freq=f"{hours}h", name="time")
    late = pd.to_timedelta(draws.integers(0, 900, n), unit="ms")
    return pd.DataFrame(
        {"funding_rate": draws.normal(0, 1e-4, n).round(8)}, index=(stamps + late).as_unit("ns").rename("time")
    )


def served(venue: str, symbol: str, n: int, **changes: object) -> ServedMarket:
    """A market with `n` bars of an hour and all else that is kept of it; `changes` take the place of its fields."""
    mark = bars(n, seed=3).drop(columns="volume")
    interest = bars(n, seed=4)[["volume"]].rename(columns={"volume": "open_interest"})
    tables = {"candles": bars(n), "mark": mark, "funding": rates(n // 8 + 1), "open_interest": interest, **changes}
    return ServedMarket(venue, symbol, **tables)


def with_gaps(venue: str, symbol: str, n: int) -> ServedMarket:
    """A market with three holes in its bars."""
    whole = served(venue, symbol, n)
    return served(
        venue, symbol, n, candles=whole.candles.drop(whole.candles.index[[n // 9, n // 9 + 1, n // 2, n - 300]])
    )


@contextmanager
def serving(
    *markets: ServedMarket, now: str | pd.Timestamp, faults: Faults | None = None
) -> Iterator[LoopbackVenue]:
    """A loopback venue whose clock stands at `now`."""
    now_ms = pd.Timestamp(now).value // 1_000_000
    with LoopbackVenue(markets, now_ms=now_ms, faults=faults) as venue:
        yield venue


def client_of(venue: LoopbackVenue, name: str = "", **retry: object) -> VenueClient:
    """A client of the loopback venue that does not sleep."""
    name = name or venue.markets[0].venue
    return connect(name, via=venue.address, retry=Retry(**{"sleep": lambda seconds: None, **retry}))


class Script(Faults):
    """What goes wrong, answer by answer; then nothing."""

    def __init__(self, *kinds: str | None) -> None:
        super().__init__()
        self.script = list(kinds)

    def draw(self) -> str | None:
        return self.script.pop(0) if self.script else None


def assert_rows(rows: pd.DataFrame, expected: pd.DataFrame) -> None:
    """The same rows to the last bit; a volume that came in contracts to the last but one."""
    plain = [name for name in expected.columns if name != "volume"]
    pd.testing.assert_frame_equal(rows[plain], expected[plain], check_exact=True, check_freq=False)
    if "volume" in expected:
        np.testing.assert_allclose(rows["volume"], expected["volume"], rtol=1e-15, atol=0.0)
