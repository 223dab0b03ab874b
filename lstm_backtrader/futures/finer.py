"""Candles of shorter bars that say what happened inside the bars of a data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lstm_backtrader.candle_check import check_candles
from lstm_backtrader.candles import MARK_COLUMNS, PRICES, bar_seconds, format_timeframe, open_times
from lstm_backtrader.datafeeds.pace import late_s
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.futures.bar import Bar, Prices, prices_of

_EPOCH_DAYS = 719_163.0
_DAY_S = 86_400
_NS = 1_000_000_000


@dataclass(frozen=True)
class _Table:
    """One table of candles, (T,) each."""

    open_time: NDArray[np.int64]  # seconds since 1970
    traded: NDArray[np.float64]  # (T, 4)
    mark: NDArray[np.float64]  # (T, 4), NaN where unknown
    rate: NDArray[np.float64] | None  # (T,)
    bar_s: int

    @classmethod
    def of(cls, candles: pd.DataFrame, name: str) -> _Table:
        table, _ = check_candles(candles, f"intrabar_candles of {name}" if name else "intrabar_candles")
        mark = table.reindex(columns=list(MARK_COLUMNS)).to_numpy(np.float64)
        rate = table["funding_rate"].to_numpy(np.float64) if "funding_rate" in table.columns else None
        times = open_times(table.index)
        return cls(times // _NS, table[list(PRICES)].to_numpy(np.float64), mark, rate, bar_seconds(times))


class FinerCandles:
    """`given`: a table for the one data of a run, or names of datas -> tables; None for none at all.

    Raises `ConfigError` for anything else, `DataError` for tables that are no candles.
    """

    def __init__(self, given: pd.DataFrame | Mapping[str, pd.DataFrame] | None) -> None:
        if given is None:
            given = {}
        elif isinstance(given, pd.DataFrame):
            given = {"": given}
        if not isinstance(given, Mapping):
            raise ConfigError(
                f"intrabar_candles is a {type(given).__name__}. Give a DataFrame of candles, or a mapping of the "
                "datas' names to such tables."
            )
        self._tables = {str(name): _Table.of(candles, str(name)) for name, candles in given.items()}

    def __bool__(self) -> bool:
        return bool(self._tables)

    def steps(self, bars: Mapping[Any, Prices]) -> list[dict[Any, Prices]]:
        """The bars cut into shorter ones, those of one time together; a bar without any comes whole, and first."""
        by_time: dict[int, dict[Any, Prices]] = {}
        whole: dict[Any, Prices] = {}
        for data, prices in bars.items():
            rows = self._rows(data, prices)
            if not rows:
                whole[data] = prices
            for row in rows:
                by_time.setdefault(row.span[0] if row.span else 0, {})[data] = row
        steps = [by_time[time] for time in sorted(by_time)]
        if whole:
            steps = [whole | steps[0], *steps[1:]] if steps else [whole]
        return steps

    def _rows(self, data: Any, prices: Prices) -> list[Prices]:
        """The shorter bars inside the bar of `data`; without rates of their own the first pays that of the bar."""
        table = self._table(data)
        if table is None:
            return []
        length = getattr(data, "bar_s", None)
        if length is None or data.replaying:
            raise ConfigError(
                "intrabar_candles need bars whose length is measured and that do not form step by step. "
                "Use CandleFeed without replay."
            )
        if table.bar_s >= length:
            raise ConfigError(
                f"intrabar_candles of {format_timeframe(table.bar_s)} are not shorter than the bars of "
                f"{format_timeframe(length)} they should explain. Give shorter ones."
            )
        opened = round((data.datetime[0] - _EPOCH_DAYS) * _DAY_S) - late_s(data)
        first, last = np.searchsorted(table.open_time, (opened, opened + length))
        rates = (
            [prices.rate] + [math.nan] * (last - first) if table.rate is None else table.rate[first:last].tolist()
        )
        times = table.open_time[first:last].tolist()
        rows = [
            prices_of(traded, mark, rate)._replace(span=(time, time + table.bar_s))
            for time, rate, traded, mark in zip(
                times, rates, table.traded[first:last].tolist(), table.mark[first:last].tolist(), strict=False
            )
        ]
        return _within_mark(rows, prices) if prices.has_mark else rows

    def _table(self, data: Any) -> _Table | None:
        if "" not in self._tables:
            return self._tables.get(data._name)
        if len(data._env.datas) > 1:
            raise ConfigError(
                "intrabar_candles is one table and the run has several datas. "
                "Give a mapping of their names to tables."
            )
        return self._tables[""]


def _within_mark(rows: list[Prices], whole: Prices) -> list[Prices]:
    """The shorter bars; where they know no mark price it is the traded one, within the longer bar's mark prices."""
    low, high = whole.mark.low, whole.mark.high
    found = []
    for number, row in enumerate(rows):
        mark = row.mark
        if not row.has_mark:
            mark = Bar(*(min(max(price, low), high) for price in row.traded))
            if number == 0:
                mark = mark._replace(open=whole.mark.open)
        found.append(row._replace(mark=mark, has_mark=True))
    return found
