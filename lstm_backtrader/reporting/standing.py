"""The stop orders that stand at a broker, as its notifications tell of them: what protects a position."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import backtrader as bt

from lstm_backtrader.reporting.tradebook import Stop

_TRAILING = (bt.Order.StopTrail, bt.Order.StopTrailLimit)
_STOPS = (bt.Order.Stop, bt.Order.StopLimit, *_TRAILING)


class StandingStops:
    """Stops that are alive, of any broker that notifies its orders."""

    def __init__(self) -> None:
        self._orders: dict[int, Any] = {}  # by their numbers

    def notice(self, order: Any) -> None:
        """Take note of what a notification says."""
        if order.exectype in _STOPS:
            if order.alive():
                self._orders[order.ref] = order
            else:
                self._orders.pop(order.ref, None)

    def of(self, data: Any, tradeid: int) -> Iterator[Stop]:
        """Those of one position; of a bracket's children those of an entry that has filled.

        A stop that only begins to work once the price has been on the good side (`wakes_from_fill`) is none.
        """
        for order in self._orders.values():
            if order.data is not data or order.tradeid != tradeid or "wakes_from_fill" in order.info:
                continue
            if order.parent is None or order.parent.executed.size:
                yield Stop(order.ref, 1 if order.isbuy() else -1, _first_price(order))


def _first_price(order: Any) -> float:
    """Where a stop began; a notification comes when a trailing one has followed the price of a bar already."""
    if order.exectype not in _TRAILING:
        return float(order.created.price)
    if order.info.get("from_fill") is not None:  # a child that is placed where its entry fills
        reference = order.parent.executed.price
    else:
        reference = order.p.price or order.created.pclose
    away = order.trailamount or reference * (order.trailpercent or 0.0)
    return float(reference + away if order.isbuy() else reference - away)
