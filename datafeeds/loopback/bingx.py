"""The REST of BingX's perpetuals: swap (linear) and cswap (coin-margined).

Habits: rows come newest first; `startTime` itself is left out; volume of inverse markets counts contracts of
100 USD; mark prices are told for linear markets alone and carry their time under another name; there is no funding
history of inverse markets.
"""

from __future__ import annotations

from typing import Any

from .market import Row, ServedMarket
from .shelf import Query, Refusal, Shelf, interval_ms, number

_CONTRACT = 100  # USD


def answer(path: str, query: Query, shelf: Shelf) -> Any:
    """What open-api.bingx.com answers."""
    if shelf.fault == "throttled":
        return _error(100410, "The current system is busy, please try again later")
    if shelf.fault == "maintenance":
        return _error(80012, "service unavailable")
    path = path.removeprefix("/openApi/")
    if path == "swap/v2/server/time":
        return _data({"serverTime": shelf.now_ms})
    if path == "spot/v1/common/symbols":
        return _data({"symbols": []})
    markets = shelf.of("bingx")
    if path == "swap/v2/quote/contracts":
        return _data([_linear(market) for market in markets if not market.is_inverse])
    if path == "cswap/v1/market/contracts":
        return _data([_inverse(market) for market in markets if market.is_inverse])
    is_inverse = path.startswith("cswap")
    market = shelf.find("bingx", query.get("symbol", ""), is_inverse=is_inverse)
    if market is None:
        return _error(109425, "symbol does not exist")
    first, last = number(query, "startTime"), number(query, "endTime")
    if path == "swap/v2/quote/fundingRate":
        limit = min(number(query, "limit") or 100, 1000)
        page = shelf.page(market, "funding", 1, first=first, last=last, limit=limit, newest=True)
        return _data(
            [{"symbol": market.id, "fundingRate": repr(r), "fundingTime": time} for time, (r,) in page[::-1]]
        )
    kinds = {
        "swap/v3/quote/klines": "candles",
        "cswap/v1/market/klines": "candles",
        "swap/v1/market/markPriceKlines": "mark",
    }
    if path not in kinds:
        return _error(100400, "this api does not exist")
    page = shelf.page(
        market,
        kinds[path],
        interval_ms(query["interval"]),
        first=None if first is None else first + 1,
        last=last,
        limit=min(number(query, "limit") or 500, 1000 if is_inverse else 1440),
        newest=True,
    )
    return _data([_candle(row, kinds[path], is_inverse) for row in page[::-1]])


def _candle(row: Row, kind: str, is_inverse: bool) -> dict[str, Any]:
    time, values = row
    told: dict[str, Any] = dict(zip(("open", "high", "low", "close"), map(repr, values[:4]), strict=True))
    if kind == "mark":
        return {**told, "volume": "0.00", "openTime": time, "closeTime": time}
    volume = values[4] * sum(values[:4]) / 4 / _CONTRACT if is_inverse else values[4]
    return {**told, "volume": repr(volume), "time": time}


def _linear(market: ServedMarket) -> dict[str, Any]:
    return {
        "contractId": "100",
        "symbol": market.id,
        "quantityPrecision": 4,
        "pricePrecision": 1,
        "tradeMinQuantity": 0.0001,
        "tradeMinUSDT": 2,
        "currency": market.quote,
        "asset": market.base,
        "status": 1,
        "apiStateOpen": "true",
        "apiStateClose": "true",
    }


def _inverse(market: ServedMarket) -> dict[str, Any]:
    return {
        "symbol": market.id,
        "pricePrecision": 1,
        "minTickSize": str(_CONTRACT),
        "minTradeValue": "100",
        "minQty": "1.00000000",
        "status": 1,
        "timeOnline": 1713175200000,
    }


def _data(data: Any) -> dict[str, Any]:
    return {"code": 0, "msg": "", "data": data}


def _error(code: int, message: str) -> Refusal:
    return Refusal(200, {"code": code, "msg": message, "data": {}})
