"""The REST of BitMEX.

Habits: bars are stamped by their close; `partial=true` adds the running one, stamped by the close it will have; an
inverse market counts volume in USD, a linear one in contracts, and `homeNotional` is the base coin; without a start
the newest come first where `reverse` asks for it; of bars there are 1m, 5m, 1h and 1d.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from .market import Row, ServedMarket
from .shelf import Query, Refusal, Shelf, interval_ms, number

_CONTRACT = {"BTC": 1_000_000, "ETH": 100_000}  # contracts a coin, of linear markets


def answer(path: str, query: Query, shelf: Shelf) -> Any:
    """What www.bitmex.com answers."""
    if shelf.fault == "throttled":
        return Refusal(429, _error("Rate limit exceeded, retry in 1 seconds."))
    if shelf.fault == "maintenance":
        return Refusal(503, _error("The system is currently overloaded. Please try again later."))
    path = path.removeprefix("/api/v1/")
    if path == "instrument/active":
        return [_instrument(market) for market in shelf.of("bitmex")]
    market = shelf.find("bitmex", query.get("symbol", ""))
    if market is None:
        return []  # as BitMEX does
    limit = min(number(query, "count") or 100, 500)
    first, last = _time(query.get("startTime")), _time(query.get("endTime"))
    newest = query.get("reverse", "false").lower() == "true"
    if path == "funding":
        page = shelf.page(market, "funding", 1, first=first, last=last, limit=limit, newest=newest)
        rows = [_rate(market, row) for row in page]
    elif path == "trade/bucketed":
        size = query["binSize"]
        if size not in ("1m", "5m", "1h", "1d"):
            return Refusal(400, _error("binSize is invalid"))
        step = interval_ms(size)
        begin = None if first is None else first - step
        end = shelf.now_ms if last is None else last - step
        if query.get("partial", "false").lower() != "true":
            end = min(end, shelf.now_ms - step)
        page = shelf.page(market, "candles", step, first=begin, last=end, limit=limit, newest=newest)
        rows = [_candle(market, row, step) for row in page]
    else:
        return Refusal(404, _error("Not Found"))
    return rows[::-1] if newest else rows


def _candle(market: ServedMarket, row: Row, step_ms: int) -> dict[str, Any]:
    time, (first, high, low, close, volume) = row
    contracts = volume * close if market.is_inverse else volume * _CONTRACT.get(market.base, 1_000_000)
    return {
        "timestamp": _text(time + step_ms),
        "symbol": market.id,
        "open": first,
        "high": high,
        "low": low,
        "close": close,
        "trades": 1,
        "volume": round(contracts),
        "vwap": close,
        "homeNotional": volume,
        "foreignNotional": volume * close,
    }


def _rate(market: ServedMarket, row: Row) -> dict[str, Any]:
    time, (rate,) = row
    return {
        "timestamp": _text(time),
        "symbol": market.id,
        "fundingInterval": "2000-01-01T08:00:00.000Z",
        "fundingRate": rate,
        "fundingRateDaily": 3 * rate,
    }


def _instrument(market: ServedMarket) -> dict[str, Any]:
    settle = {"BTC": "XBt", "USDT": "USDt"}[market.base if market.is_inverse else market.quote]
    row = {
        "symbol": market.id,
        "state": "Open",
        "typ": "FFWCSX",
        "underlying": "XBT" if market.base == "BTC" else market.base,
        "quoteCurrency": market.quote,
        "settlCurrency": settle,
        "positionCurrency": market.quote if market.is_inverse else market.base,
        "isInverse": market.is_inverse,
        "isQuanto": False,
        "lotSize": 100,
        "tickSize": 0.1,
        "initMargin": 0.01,
        "maintMargin": 0.005,
        "makerFee": 0.0005,
        "takerFee": 0.0005,
        "maxOrderQty": 10_000_000,
        "maxPrice": 1_000_000,
        "fundingInterval": "2000-01-01T08:00:00.000Z",
        "multiplier": -100_000_000 if market.is_inverse else 1,
    }
    if market.is_inverse:
        return {**row, "underlyingToSettleMultiplier": -100_000_000}
    return {**row, "underlyingToPositionMultiplier": _CONTRACT.get(market.base, 1_000_000)}


def _time(text: str | None) -> int | None:
    return None if text is None else round(datetime.fromisoformat(text).timestamp() * 1000)


def _text(time: int) -> str:
    return datetime.fromtimestamp(time / 1000, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "name": "HTTPError"}}
