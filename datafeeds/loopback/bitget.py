"""The REST of Bitget's perpetuals, v2.

Habits: recent bars and old ones have an endpoint each; pages count back from `endTime`, which is cut to the bar and
left out; old ones hold at most 200 rows and 90 days; funding is paged by number, newest first, whatever the time.
"""

from __future__ import annotations

from typing import Any

from .market import Row, ServedMarket
from .shelf import DAY_MS, Query, Refusal, Shelf, number

_INTERVALS = {"1Dutc": 1440, "6Hutc": 360, "12Hutc": 720, "1H": 60, "2H": 120, "4H": 240} | {
    f"{minutes}m": minutes for minutes in (1, 3, 5, 15, 30)
}
_RECENT_DAYS = {60: 60, 120: 120, 240: 240, 360: 360, 720: 720, 1440: 1440}  # by minutes of a bar; else 30


def answer(path: str, query: Query, shelf: Shelf) -> Any:
    """What api.bitget.com answers."""
    if shelf.fault == "throttled":
        return Refusal(429, {"code": "429", "msg": "Too Many Requests"})
    if shelf.fault == "maintenance":
        return Refusal(400, {"code": "40200", "msg": "Server upgrade, please try again later"})
    if path == "/api/v2/public/time":
        return _data({"serverTime": str(shelf.now_ms)}, shelf)
    path = path.removeprefix("/api/v2/mix/market/")
    product = query.get("productType", "").upper()
    if path == "contracts":
        return _data([_instrument(each) for each in shelf.of("bitget") if _product(each) == product], shelf)
    market = shelf.find("bitget", query.get("symbol", ""), is_inverse=product == "COIN-FUTURES")
    if market is None:
        return Refusal(400, {"code": "40034", "msg": "Parameter does not exist"})
    if path == "history-fund-rate":
        return _data(_funding(market, query, shelf), shelf)
    kinds = {"candles": "candles", "history-candles": "candles", "history-mark-candles": "mark"}
    if path not in kinds:
        return Refusal(404, {"code": "40404", "msg": "Request URL NOT FOUND"})
    is_history = path.startswith("history")
    kind = "mark" if query.get("kLineType", "").lower() == "mark" else kinds[path]
    minutes = _INTERVALS[query["granularity"]]
    step = minutes * 60_000
    first, last = number(query, "startTime"), number(query, "endTime")
    if is_history and first is not None and last is not None and last - first > 90 * DAY_MS:
        return Refusal(
            400, {"code": "00001", "msg": "startTime and endTime interval cannot be greater than 90 days"}
        )
    if not is_history:
        oldest = shelf.now_ms - _RECENT_DAYS.get(minutes, 30) * DAY_MS
        first = oldest if first is None else max(first, oldest)
    page = shelf.page(
        market,
        kind,
        step,
        first=first,
        last=None if last is None else last // step * step - 1,
        limit=min(number(query, "limit") or 100, 200 if is_history else 1000),
        newest=True,
    )
    return _data([_candle(market, row) for row in page], shelf)


def _funding(market: ServedMarket, query: Query, shelf: Shelf) -> list[dict[str, Any]]:
    size = min(number(query, "pageSize") or 20, 100)
    seen = size * ((number(query, "pageNo") or 1) - 1)
    times, _ = market.rows("funding", 1, shelf.now_ms)
    if seen >= len(times):
        return []
    page = shelf.page(market, "funding", 1, last=int(times[len(times) - 1 - seen]), limit=size)
    return [
        {"symbol": market.id, "fundingRate": repr(rate), "fundingTime": str(time)} for time, (rate,) in page[::-1]
    ]


def _candle(market: ServedMarket, row: Row) -> list[str]:
    time, values = row
    prices = [str(time), *map(repr, values[:4])]
    if len(values) == 4:
        return [*prices, "0", "0"]
    base, quote = repr(values[4]), repr(values[4] * values[3])
    return [*prices, quote, base] if market.is_inverse else [*prices, base, quote]


def _product(market: ServedMarket) -> str:
    return "COIN-FUTURES" if market.is_inverse else f"{market.quote}-FUTURES"


def _instrument(market: ServedMarket) -> dict[str, Any]:
    return {
        "symbol": market.id,
        "baseCoin": market.base,
        "quoteCoin": market.quote,
        "supportMarginCoins": [market.base if market.is_inverse else market.quote],
        "makerFeeRate": "0.0002",
        "takerFeeRate": "0.0006",
        "minTradeNum": "0.001",
        "priceEndStep": "1",
        "volumePlace": "3",
        "pricePlace": "1",
        "sizeMultiplier": "0.001",
        "symbolType": "perpetual",
        "minTradeUSDT": "5",
        "symbolStatus": "normal",
        "launchTime": "",
        "fundInterval": "8",
        "minLever": "1",
        "maxLever": "125",
    }


def _data(data: Any, shelf: Shelf) -> dict[str, Any]:
    return {"code": "00000", "msg": "success", "requestTime": shelf.now_ms, "data": data}
