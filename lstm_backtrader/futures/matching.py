"""Where on its way from one price to another an order is met."""

from __future__ import annotations

from typing import Any

import backtrader as bt

from lstm_backtrader.futures.bar import Bar

Order = bt.Order

STOPS = (Order.Stop, Order.StopTrail)
STOP_LIMITS = (Order.StopLimit, Order.StopTrailLimit)
TRAILING = (Order.StopTrail, Order.StopTrailLimit)
AT_ONCE = (Order.Market, Order.Historical)


def is_stop(order: Any) -> bool:
    """Whether the order waits for a price worse than the market's: a stop, or a stop-limit not yet triggered."""
    return order.exectype in STOPS or (order.exectype in STOP_LIMITS and not order.triggered)


def is_limit(order: Any) -> bool:
    """Whether the order waits in the book for its price."""
    return order.exectype == Order.Limit or (order.exectype in STOP_LIMITS and bool(order.triggered))


def sleeps(order: Any) -> bool:
    """Whether the order is to work only once the price has been on the good side, at ``order.info.wakes_at``."""
    return order.info.get("wakes_at") is not None


def is_woken_by(order: Any, price: float) -> bool:
    """Whether `price` is so good for the position that a sleeping order protects that it begins to work."""
    return bool(price >= order.info.wakes_at if not order.isbuy() else price <= order.info.wakes_at)


def follows_price(order: Any) -> bool:
    """Whether the best price so far does something to the order: it trails, or sleeps."""
    return order.exectype in TRAILING or sleeps(order)


def level(order: Any) -> float:
    """The price a stop or limit waits for."""
    triggered = order.exectype in STOP_LIMITS and order.triggered
    return float(order.created.pricelimit if triggered else order.created.price)


def share_of_way(order: Any, start: float, end: float) -> float | None:
    """The share (0 to 1) of the way from `start` to `end` after which the order is met; None if it is not.

    0 where `start` lies at the order's price or beyond it. An order for the close of a session is never met.
    """
    if order.exectype in AT_ONCE:
        return 0.0
    if not (is_stop(order) or is_limit(order)) or sleeps(order):
        return None
    return reached(level(order), order.isbuy() == is_stop(order), start, end)


def reached(level: float, is_above: bool, start: float, end: float) -> float | None:
    """The share of the way at which a price gets to `level`, from below where `is_above`; None if it does not."""
    if is_above:
        if start >= level:
            return 0.0
        return (level - start) / (end - start) if end >= level else None
    if start <= level:
        return 0.0
    return (start - level) / (start - end) if end <= level else None


def may_be_met(order: Any, bar: Bar) -> bool:
    """Whether any way through the bar can meet the order; a trailing stop is tried at its nearest."""
    if order.exectype in AT_ONCE:
        return True
    if not (is_stop(order) or is_limit(order)):
        return False
    if sleeps(order) and not is_woken_by(order, min(bar) if order.isbuy() else max(bar)):
        return False
    wanted = level(order)
    if is_stop(order) and order.exectype in TRAILING:
        wanted = trailed(order, bar)
    return max(bar) >= wanted if order.isbuy() == is_stop(order) else min(bar) <= wanted


def trailed(order: Any, bar: Bar) -> float:
    """The price of a trailing stop once the bar's best price has pulled it along."""
    best = min(bar) if order.isbuy() else max(bar)
    away = order.trailamount or best * (order.trailpercent or 0.0)
    return float(min(level(order), best + away) if order.isbuy() else max(level(order), best - away))
