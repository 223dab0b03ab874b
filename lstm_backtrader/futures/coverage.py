"""How many funding stamps a venue's grid puts into what an account has seen, and how many were in the data."""

from __future__ import annotations

from typing import Any

from lstm_backtrader.datafeeds.pace import late_s
from lstm_backtrader.futures.bar import Prices
from lstm_backtrader.futures.contract import Contract
from lstm_backtrader.futures.ledger import Coverage

_EPOCH_DAYS = 719_163.0  # Backtrader's number of 1970-01-01
_DAY_S = 86_400


class StampCount:
    """Counts for one data while a position is held."""

    def __init__(self, data: Any, contract: Contract) -> None:
        self._data = data
        self._every_s = contract.funding_hours * 3600.0
        self._offset_s = contract.funding_offset_hours * 3600.0
        self._late_s = late_s(data)
        self._length_s: int | None = getattr(data, "bar_s", None)
        self._bar = -1  # number of the last bar counted
        self._until = 0

    def count(self, prices: Prices, coverage: Coverage) -> None:
        """Book one bar, or shorter bar within it, that opened with a position."""
        data = self._data
        if prices.span is not None:
            begin, self._until = prices.span
        else:
            opened = round((data.datetime[0] - _EPOCH_DAYS) * _DAY_S) - self._late_s
            begin = self._until if self._bar == len(data) - 1 else opened  # stamps in a gap are missing too
            # without a measured length what lies inside the bar is counted with the next
            self._until = opened + (1 if self._length_s is None else self._length_s)
        self._bar = len(data)
        due = self._stamps_before(self._until) - self._stamps_before(begin)
        if prices.rate == prices.rate:  # not NaN
            settled = max(due, 1)
            coverage.funding_real += settled
            coverage.funding_mark_imputed += 0 if prices.has_mark else settled
        else:
            coverage.funding_missing += due
        if prices.has_mark:
            coverage.bars_marked += 1
        else:
            coverage.bars_unmarked += 1

    def _stamps_before(self, time_s: float) -> int:
        return int(-((self._offset_s - time_s) // self._every_s))
