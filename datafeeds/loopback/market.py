"""What the loopback venue serves: bars, mark prices, funding and open interest of a market, and its name there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lstm_backtrader.candles import COLUMNS, PRICES, bar_seconds, open_times
from lstm_backtrader.errors import ConfigError

Row = tuple[int, tuple[float, ...]]  # time in ms, and the values
Times = NDArray[np.int64]
Values = NDArray[np.float64]

VENUES = ("binanceusdm", "binancecoinm", "bybit", "bingx", "bitget", "bitmex")
_MS = 1_000_000


@dataclass(frozen=True, eq=False)
class ServedMarket:
    """One market as the loopback venue has it.

    `venue`: ccxt's name, "bybit". `symbol`: ccxt's, "BTC/USD:BTC". `candles`: open times UTC in the index, open
    high low close volume, the volume in the base coin; rows later than the venue's clock are its future. `mark`:
    the same without volume. `funding`: `funding_rate` at its stamps. `open_interest`: a column of that name.
    """

    venue: str
    symbol: str
    candles: pd.DataFrame
    mark: pd.DataFrame | None = None
    funding: pd.DataFrame | None = None
    open_interest: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        if self.venue not in VENUES:
            raise ConfigError(f"the loopback venue speaks {', '.join(VENUES)}, not {self.venue!r}.")
        pair, _, settle = self.symbol.partition(":")
        if "/" not in pair or settle not in pair.split("/"):
            raise ConfigError(f"{self.symbol!r} is no perpetual. Write BTC/USDT:USDT or BTC/USD:BTC.")

    @property
    def base(self) -> str:
        return self.symbol.partition("/")[0]

    @property
    def quote(self) -> str:
        return self.symbol.partition("/")[2].partition(":")[0]

    @property
    def is_inverse(self) -> bool:
        return self.symbol.partition(":")[2] == self.base

    @property
    def id(self) -> str:
        """The venue's own name of the market."""
        if self.venue == "bingx":
            return f"{self.base}-{self.quote}"
        base = {"BTC": "XBT"}.get(self.base, self.base) if self.venue == "bitmex" else self.base
        return f"{base}{self.quote}" + ("_PERP" if self.venue == "binancecoinm" else "")

    @cached_property
    def step_ms(self) -> int:
        """Length of the bars that are served; longer ones are made of them."""
        return bar_seconds(open_times(self.candles.index)) * 1000

    def rows(self, kind: str, step_ms: int, now_ms: int) -> tuple[Times, Values]:
        """Rows of `kind` that are known at `now_ms`, the bar that is still running among them: (N,), (N, K)."""
        times, values = self._grouped(kind, step_ms)
        known = int(np.searchsorted(times, now_ms, side="left"))
        times, values = times[:known], values[:known]
        if kind in ("candles", "mark") and known and times[-1] + step_ms > now_ms:
            first = values[-1, 0]
            running = np.array([[first, first, first, first, *values[-1, 4:] / 2]])
            values = np.concatenate([values[:-1], running])
        return times, values

    def _grouped(self, kind: str, step_ms: int) -> tuple[Times, Values]:
        key = (kind, step_ms)
        if key not in self._groups:
            times, values = self._table(kind)
            if kind in ("candles", "mark") and len(times) and step_ms > self.step_ms:
                times, values = _longer(times, values, step_ms)
            elif kind == "open_interest":
                whole = times % step_ms == 0
                times, values = times[whole], values[whole]
            elif kind in ("candles", "mark") and step_ms < self.step_ms:
                times, values = times[:0], values[:0]
            self._groups[key] = (times, values)
        return self._groups[key]

    @cached_property
    def _groups(self) -> dict[tuple[str, int], tuple[Times, Values]]:
        return {}

    def _table(self, kind: str) -> tuple[Times, Values]:
        tables: dict[str, tuple[pd.DataFrame | None, tuple[str, ...]]] = {
            "candles": (self.candles, COLUMNS),
            "mark": (self.mark, PRICES),
            "funding": (self.funding, ("funding_rate",)),
            "open_interest": (self.open_interest, ("open_interest",)),
        }
        table, columns = tables[kind]
        if table is None:
            return np.empty(0, np.int64), np.empty((0, len(columns)))
        return open_times(table.index) // _MS, table[list(columns)].to_numpy(np.float64)


def _longer(times: Times, values: Values, step_ms: int) -> tuple[Times, Values]:
    """Bars of `step_ms` made of shorter ones."""
    opens = times // step_ms * step_ms
    first = np.flatnonzero(np.append(True, np.diff(opens) > 0))
    last = np.append(first[1:], len(opens)) - 1
    columns = [
        values[first, 0],
        np.maximum.reduceat(values[:, 1], first),
        np.minimum.reduceat(values[:, 2], first),
        values[last, 3],
        *(np.add.reduceat(values[:, column], first) for column in range(4, values.shape[1])),
    ]
    return opens[first], np.stack(columns, axis=1)
