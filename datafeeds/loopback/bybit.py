"""The REST of Bybit, v5, linear and inverse.

Habits: rows come newest first, the running one among them; mark prices have no volume; an inverse market counts
volume in USD and has the base coin beside it; funding wants an end with every start.
"""

from __future__ import annotations

from typing import Any

from .market import Row, ServedMarket
from .shelf import DAY_MS, Query, Refusal, Shelf, number

_INTERVALS = {"D": DAY_MS} | {
    str(minutes): minutes * 60_000 for minutes in (1, 3, 5, 15, 30, 60, 120, 240, 360, 720)
}
_INTEREST = {"5min": 5, "15min": 15, "30min": 30, "1h": 60, "4h": 240, "1d": 1440}


def answer(path: str, query: Query, shelf: Shelf) -> Any:
    """What api.bybit.com answers."""
    if shelf.fault == "throttled":
        return _error(10006, "Too many visits. Exceeded the API Rate Limit.")
    if shelf.fault == "maintenance":
        return _error(10016, "System error. Please try again later.")
    path = path.removeprefix("/v5/market/")
    if path == "time":
        nano = shelf.now_ms * 1_000_000
        return _result({"timeSecond": str(shelf.now_ms // 1000), "timeNano": str(nano)}, shelf)
    category = query.get("category", "")
    if path == "instruments-info":
        rows = [] if query.get("status") == "PreLaunch" else _instruments(category, shelf)
        return _result({"category": category, "list": rows, "nextPageCursor": ""}, shelf)
    market = shelf.find("bybit", query.get("symbol", ""), is_inverse=category == "inverse")
    if market is None:
        return _error(10001, "params error: Symbol Invalid")
    page = _rows(path, query, shelf, market)
    if isinstance(page, Refusal):
        return page
    return _result({"symbol": market.id, "category": category, "list": page[::-1], "nextPageCursor": ""}, shelf)


def _rows(path: str, query: Query, shelf: Shelf, market: ServedMarket) -> list[Any] | Refusal:
    limit = min(number(query, "limit") or 200, 1000)
    if path in ("kline", "mark-price-kline"):
        kind = "candles" if path == "kline" else "mark"
        step = _INTERVALS[query["interval"]]
        first, last = number(query, "start"), number(query, "end")
        newest = first is None or last is not None
        page = shelf.page(market, kind, step, first=first, last=last, limit=limit, newest=newest)
        return [_candle(market, row) for row in page]
    first, last = number(query, "startTime"), number(query, "endTime")
    if path == "funding/history":
        if first is not None and last is None:
            return _error(10001, "params error: endTime is required")
        page = shelf.page(market, "funding", 1, first=first, last=last, limit=min(limit, 200), newest=True)
        return [
            {"symbol": market.id, "fundingRate": repr(rate), "fundingRateTimestamp": str(time)}
            for time, (rate,) in page
        ]
    if path == "open-interest":
        step = _INTEREST[query["intervalTime"]] * 60_000
        page = shelf.page(market, "open_interest", step, first=first, last=last, limit=min(limit, 200), newest=True)
        return [{"openInterest": repr(value), "timestamp": str(time)} for time, (value,) in page]
    return Refusal(404, "not served")


def _candle(market: ServedMarket, row: Row) -> list[str]:
    time, values = row
    prices = [str(time), *map(repr, values[:4])]
    if len(values) == 4:
        return prices
    base, quote = repr(values[4]), repr(values[4] * values[3])
    return [*prices, quote, base] if market.is_inverse else [*prices, base, quote]


def _instruments(category: str, shelf: Shelf) -> list[dict[str, Any]]:
    return [
        {
            "symbol": market.id,
            "contractType": "InversePerpetual" if market.is_inverse else "LinearPerpetual",
            "status": "Trading",
            "baseCoin": market.base,
            "quoteCoin": market.quote,
            "settleCoin": market.base if market.is_inverse else market.quote,
            "launchTime": "1584230400000",
            "deliveryTime": "0",
            "priceScale": "2",
            "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
            "priceFilter": {"minPrice": "0.10", "maxPrice": "1999999.80", "tickSize": "0.10"},
            "lotSizeFilter": {"maxOrderQty": "1190", "minOrderQty": "1", "qtyStep": "1", "minNotionalValue": "5"},
            "fundingInterval": 480,
        }
        for market in shelf.of("bybit")
        if market.is_inverse == (category == "inverse")
    ]


def _result(result: dict[str, Any], shelf: Shelf) -> dict[str, Any]:
    return {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": shelf.now_ms}


def _error(code: int, message: str) -> Refusal:
    return Refusal(200, {"retCode": code, "retMsg": message, "result": {}, "retExtInfo": {}, "time": 0})
