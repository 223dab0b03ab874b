"""The REST of Binance's perpetuals: linear at fapi, coin-margined at dapi.

Habits: rows in order from `startTime`; coin-margined volume counts contracts of 100 USD, with the base coin
beside it, and spans of more than 200 days are refused; open interest of more than 30 days ago is refused.
"""

from __future__ import annotations

from typing import Any

from .market import Row, ServedMarket
from .shelf import DAY_MS, Query, Refusal, Shelf, interval_ms, number

_MAX_SPAN_MS = 200 * DAY_MS
_INTEREST_MS = 30 * DAY_MS


def answer_linear(path: str, query: Query, shelf: Shelf) -> Any:
    """What fapi.binance.com answers."""
    return _answer("binanceusdm", path.removeprefix("/fapi/v1"), query, shelf)


def answer_inverse(path: str, query: Query, shelf: Shelf) -> Any:
    """What dapi.binance.com answers."""
    return _answer("binancecoinm", path.removeprefix("/dapi/v1"), query, shelf)


def _answer(venue: str, path: str, query: Query, shelf: Shelf) -> Any:
    if shelf.fault == "throttled":
        return Refusal(429, {"code": -1003, "msg": "Too many requests."})
    if shelf.fault == "maintenance":
        return Refusal(503, {"code": -1001, "msg": "Internal error; unable to process your request."})
    if path == "/time":
        return {"serverTime": shelf.now_ms}
    if path == "/exchangeInfo":
        rows = [_instrument(market) for market in shelf.of(venue)]
        return {"serverTime": shelf.now_ms, "rateLimits": [], "exchangeFilters": [], "symbols": rows}
    if path == "/futures/data/openInterestHist":
        return _interest(venue, query, shelf)
    market = shelf.find(venue, query.get("symbol", ""))
    if market is None:
        return Refusal(400, {"code": -1121, "msg": "Invalid symbol."})
    first, last = number(query, "startTime"), number(query, "endTime")
    if market.is_inverse and first is not None and last is not None and last - first > _MAX_SPAN_MS:
        return Refusal(400, {"code": -1128, "msg": "Combination of optional parameters invalid."})
    if path == "/fundingRate":
        limit = min(number(query, "limit") or 100, 1000)
        rates = shelf.page(market, "funding", 1, first=first, last=last, limit=limit)
        return [
            {"symbol": market.id, "fundingTime": time, "fundingRate": repr(rate), "markPrice": "1.0"}
            for time, (rate,) in rates
        ]
    if path in ("/klines", "/markPriceKlines"):
        kind = "candles" if path == "/klines" else "mark"
        step = interval_ms(query["interval"])
        limit = min(number(query, "limit") or 500, 1500)
        page = shelf.page(market, kind, step, first=first, last=last, limit=limit)
        return [_candle(market, row, step) for row in page]
    return Refusal(404, {"code": -5000, "msg": f"Path {path} is not served."})


def _candle(market: ServedMarket, row: Row, step_ms: int) -> list[Any]:
    time, (first, high, low, close, *volume) = row
    base = volume[0] if volume else 0.0
    units, other = (base * close / 100, base) if market.is_inverse else (base, base * close)
    prices = [repr(price) for price in (first, high, low, close)]
    return [time, *prices, repr(units), time + step_ms - 1, repr(other), 1, "0", "0", "0"]


def _interest(venue: str, query: Query, shelf: Shelf) -> Any:
    is_perpetual = query.get("contractType", "PERPETUAL") == "PERPETUAL"
    market = shelf.find(venue, query.get("symbol") or f"{query.get('pair', '')}_PERP") if is_perpetual else None
    first = number(query, "startTime")
    if market is None or (first is not None and first < shelf.now_ms - _INTEREST_MS):
        return Refusal(400, {"code": -1130, "msg": "parameter 'startTime' is invalid."})
    rows = shelf.page(
        market,
        "open_interest",
        interval_ms(query["period"]),
        first=first,
        last=number(query, "endTime"),
        limit=min(number(query, "limit") or 30, 500),
        newest=True,
    )
    return [
        {
            "symbol": market.id,
            "sumOpenInterest": repr(500 * value if market.is_inverse else value),  # contracts, of 100 USD
            "sumOpenInterestValue": repr(value if market.is_inverse else 50_000 * value),
            "timestamp": time,
        }
        for time, (value,) in rows
    ]


def _instrument(market: ServedMarket) -> dict[str, Any]:
    row = {
        "symbol": market.id,
        "pair": f"{market.base}{market.quote}",
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000,
        "baseAsset": market.base,
        "quoteAsset": market.quote,
        "marginAsset": market.base if market.is_inverse else market.quote,
        "pricePrecision": 1,
        "quantityPrecision": 3,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.1", "maxPrice": "4529764", "tickSize": "0.1"},
            {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
        ],
    }
    if market.is_inverse:
        return {**row, "contractStatus": "TRADING", "contractSize": 100}
    return {**row, "status": "TRADING"}
