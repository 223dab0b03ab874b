"""BitMEX, which ccxt has dropped: its client where the installed ccxt has one, else ours of the same methods.

Either way volume is counted in the base coin, which BitMEX tells as `homeNotional`. Public data alone is asked for:
instruments, candles, funding. An order is read, `parse_order`, if somebody has one; none is placed or fetched.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

_STATUS = {
    **dict.fromkeys(("New", "PartiallyFilled", "PendingNew", "PendingCancel", "Untriggered", "Triggered"), "open"),
    **dict.fromkeys(("DoneForDay", "Stopped"), "open"),
    "Filled": "closed",
    "Canceled": "canceled",
    "Rejected": "rejected",
    "Expired": "expired",
}
_IN_FORCE = {"GoodTillCancel": "GTC", "ImmediateOrCancel": "IOC", "FillOrKill": "FOK"}


def volume_of(bucket: dict[str, Any]) -> float | None:
    """Base coin traded in a bar; None where BitMEX does not tell."""
    told = bucket.get("homeNotional")
    return None if told is None else float(told)


def time_of(exchange: Any) -> int:
    """BitMEX's time in ms, to the second below: it has no call for it, but every answer is dated."""
    exchange.request("funding", "public", "GET", {"count": 1}, config={"cost": 5})
    return date_ms(exchange.last_response_headers["Date"])


def date_ms(header: str) -> int:
    """The Date of an answer in ms, UTC.

    >>> date_ms("Thu, 01 Jan 1970 00:00:02 GMT")
    2000
    """
    return round(parsedate_to_datetime(header).timestamp() * 1000)


@cache
def bitmex_class() -> Any:  # a class that is made of one of ccxt's, which has no types
    """The client of BitMEX."""
    import ccxt

    theirs = getattr(ccxt, "bitmex", None)
    return _ours() if theirs is None else _with_base_volume(theirs)


def _with_base_volume(theirs: Any) -> Any:
    class Bitmex(theirs):
        """ccxt's own client, with volume in the base coin, and the time."""

        def fetch_time(self, params: Any = None) -> int:
            return time_of(self)

        def parse_ohlcv(self, ohlcv: Any, market: Any = None) -> list[Any]:
            return [*super().parse_ohlcv(ohlcv, market)[:5], volume_of(ohlcv)]

    return Bitmex


def _ours() -> Any:
    import ccxt

    class Bitmex(ccxt.Exchange):
        """A client of BitMEX's public data on ccxt's base, so that HTTP, limiter, symbols and errors are ccxt's."""

        def describe(self) -> Any:
            return self.deep_extend(
                super().describe(),
                {
                    "id": "bitmex",
                    "name": "BitMEX",
                    "version": "v1",
                    "rateLimit": 100,
                    "has": {
                        "swap": True,
                        "fetchMarkets": True,
                        "fetchOHLCV": True,
                        "fetchFundingRateHistory": True,
                    },
                    "timeframes": {"1m": "1m", "5m": "5m", "1h": "1h", "1d": "1d"},
                    "urls": {"api": {"public": "https://www.bitmex.com"}, "www": "https://www.bitmex.com"},
                    "exceptions": {
                        "exact": {
                            "Access Denied": ccxt.PermissionDenied,
                            "Invalid API Key.": ccxt.AuthenticationError,
                        },
                        "broad": {
                            "overloaded": ccxt.ExchangeNotAvailable,
                            "Service unavailable": ccxt.ExchangeNotAvailable,
                        },
                    },
                    "precisionMode": ccxt.TICK_SIZE,
                    "commonCurrencies": {"USDt": "USDT", "XBt": "BTC", "XBT": "BTC", "Gwei": "ETH"},
                },
            )

        def sign(
            self,
            path: str,
            api: Any = "public",
            method: str = "GET",
            params: Any = None,
            headers: Any = None,
            body: Any = None,
        ) -> dict[str, Any]:
            query = self.urlencode(params) if params else ""
            url = f"{self.urls['api']['public']}/api/{self.version}/{path}" + (f"?{query}" if query else "")
            return {"url": url, "method": method, "body": body, "headers": headers}

        def fetch_time(self, params: Any = None) -> int:
            return time_of(self)

        def fetch_markets(self, params: Any = None) -> list[Any]:
            rows = self._get("instrument/active", params or {})
            return [self.parse_market(row) for row in rows if row.get("typ") == "FFWCSX"]  # perpetuals

        def parse_market(self, market: Any) -> Any:
            base = self.safe_currency_code(market.get("underlying"))
            quote = self.safe_currency_code(market.get("quoteCurrency"))
            settle = self.safe_currency_code(market.get("settlCurrency"))
            inverse, quanto = bool(market.get("isInverse")), bool(market.get("isQuanto"))
            linear = not (inverse or quanto)
            if linear:
                per_coin = self.safe_number_2(
                    market, "underlyingToPositionMultiplier", "underlyingToSettleMultiplier"
                )
                size = abs(1 / per_coin) if per_coin else None
            else:
                size = abs(self.safe_number(market, "multiplier", 0.0))
            margin = self.safe_number(market, "initMargin")
            return self.safe_market_structure(
                {
                    "id": market["symbol"],
                    "symbol": f"{base}/{quote}:{settle}",
                    "base": base,
                    "quote": quote,
                    "settle": settle,
                    "baseId": market.get("underlying"),
                    "quoteId": market.get("quoteCurrency"),
                    "settleId": market.get("settlCurrency"),
                    "type": "swap",
                    "spot": False,
                    "swap": True,
                    "future": False,
                    "option": False,
                    "contract": True,
                    "active": market.get("state") == "Open",
                    "linear": linear,
                    "inverse": inverse,
                    "quanto": quanto,
                    "contractSize": size,
                    "maker": self.safe_number(market, "makerFee"),
                    "taker": self.safe_number(market, "takerFee"),
                    "precision": {
                        "amount": self.safe_number(market, "lotSize"),
                        "price": self.safe_number(market, "tickSize"),
                    },
                    "limits": {"leverage": {"min": 1.0, "max": 1 / margin if margin else None}},
                    "info": market,
                }
            )

        def fetch_ohlcv(
            self, symbol: str, timeframe: str = "1m", since: Any = None, limit: Any = None, params: Any = None
        ) -> list[Any]:
            self.load_markets()
            market = self.market(symbol)
            step_ms = self.parse_timeframe(timeframe) * 1000
            # BitMEX stamps a bar with its close; `partial` would add the running one
            request = self._span(market, None if since is None else since + step_ms, limit, params)
            request |= {"binSize": timeframe, "partial": True}
            rows = self._get("trade/bucketed", request)
            bars = self.parse_ohlcvs(rows, market, timeframe, since, limit)
            return [[bar[0] - step_ms, *bar[1:]] for bar in bars]

        def parse_ohlcv(self, ohlcv: Any, market: Any = None) -> list[Any]:
            prices = [self.safe_number(ohlcv, name) for name in ("open", "high", "low", "close")]
            return [self.parse8601(ohlcv["timestamp"]), *prices, volume_of(ohlcv)]

        def fetch_funding_rate_history(
            self, symbol: str, since: Any = None, limit: Any = None, params: Any = None
        ) -> list[Any]:
            self.load_markets()
            market = self.market(symbol)
            rows = self._get("funding", self._span(market, since, limit, params))
            return list(self.parse_funding_rate_histories(rows, market, since, limit))

        def parse_funding_rate_history(self, contract: Any, market: Any = None) -> Any:
            return {
                "info": contract,
                "symbol": self.safe_symbol(contract.get("symbol"), market),
                "fundingRate": self.safe_number(contract, "fundingRate"),
                "timestamp": self.parse8601(contract.get("timestamp")),
                "datetime": contract.get("timestamp"),
            }

        def parse_order(self, order: Any, market: Any = None) -> Any:
            """An order by ccxt's conventions: a size of an inverse market is USD, so `cost`; else contracts."""
            market = self.safe_market(self.safe_string(order, "symbol"), market)
            size, done = self.safe_string(order, "orderQty"), self.safe_string(order, "cumQty")
            average = self.safe_string(order, "avgPx")
            if market["inverse"]:
                done = None if average is None else ccxt.Precise.string_div(done, average)  # in the base coin
            told = self.safe_string(order, "execInst")
            at = self.parse8601(self.safe_string(order, "timestamp"))
            status, in_force = (self.safe_string(order, name) for name in ("ordStatus", "timeInForce"))
            return self.safe_order(
                {
                    "info": order,
                    "id": self.safe_string(order, "orderID"),
                    "clientOrderId": self.safe_string(order, "clOrdID"),
                    "timestamp": at,
                    "datetime": self.iso8601(at),
                    "lastTradeTimestamp": self.parse8601(self.safe_string(order, "transactTime")),
                    "symbol": market["symbol"],
                    "type": self.safe_string_lower(order, "ordType"),
                    "timeInForce": _IN_FORCE.get(in_force, in_force),
                    "postOnly": None if told is None else "ParticipateDoNotInitiate" in told,
                    "reduceOnly": None if told is None else "ReduceOnly" in told or "Close" in told,
                    "side": self.safe_string_lower(order, "side"),
                    "price": self.safe_string(order, "price"),
                    "triggerPrice": self.safe_string(order, "stopPx"),
                    "amount": None if market["inverse"] else size,
                    "cost": size if market["inverse"] else None,
                    "average": average,
                    "filled": done,
                    "remaining": self.safe_string(order, "leavesQty"),
                    "status": _STATUS.get(status, status),
                },
                market,
            )

        def _get(self, path: str, query: dict[str, Any]) -> Any:
            return self.request(path, "public", "GET", query, config={"cost": 5})

        def _span(self, market: Any, since: Any, limit: Any, params: Any) -> dict[str, Any]:
            params = dict(params or {})
            until = params.pop("until", None)
            request = {"symbol": market["id"], **params}
            if limit is not None:
                request["count"] = limit
            if until is not None:
                request["endTime"] = self.iso8601(until)
            if since is not None:
                request["startTime"] = self.iso8601(since)
            elif until is None:
                request["reverse"] = True
            return request

        def handle_errors(
            self,
            code: int,
            reason: str,
            url: str,
            method: str,
            headers: Any,
            body: str,
            response: Any,
            request_headers: Any,
            request_body: Any,
        ) -> None:
            if response is None or code < 400:
                return
            told = f"{self.id} {body}"
            if code == 429:
                raise ccxt.DDoSProtection(told)
            message = self.safe_string(self.safe_dict(response, "error", {}), "message")
            self.throw_exactly_matched_exception(self.exceptions["exact"], message, told)
            self.throw_broadly_matched_exception(self.exceptions["broad"], message, told)
            raise (ccxt.BadRequest if code == 400 else ccxt.ExchangeError)(told)

    return Bitmex
