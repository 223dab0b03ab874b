"""A market of ccxt as the fields of a contract: one unit for every size, and what cannot be traded refused.

Nothing here calls ccxt; what it reads are the dicts of `exchange.market(symbol)` (precision in steps, as ccxt 4 has
it) and of `exchange.fetch_market_leverage_tiers(symbol)` or `exchange.fetch_leverage_tiers()`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lstm_backtrader.errors import ConfigError
from lstm_backtrader.futures.venue_files import Venue, read_venue, venue_ids

Row = tuple[float, float, float]  # floor, maintenance, max leverage
Market = Mapping[str, Any]  # foreign JSON: every value is checked where it is used
Tiers = Iterable[Market] | Mapping[str, Iterable[Market]]

SATOSHIS = 1e8  # BitMEX: a coin-settled contract's multiplier is in satoshi of a USD's worth, limits are too
USDT_UNITS = 1e6  # BitMEX: limits of a USDT-settled contract are in millionths

# A key of the venue's own row -> the venue whose row has it.
_SIGNS = {
    "settlCurrency": "bitmex",
    "lotSizeFilter": "bybit",
    "sizeMultiplier": "bitget",
    "tradeMinUSDT": "bingx",
    "minTickSize": "bingx",
}


@dataclass(frozen=True)
class Bracket:
    """Where positions may go: rows by rising floor, and the notional at which they end."""

    rows: tuple[Row, ...]
    cap: float
    is_partial: bool


def read_market(market: Market, tiers: Tiers | None, venue: str) -> tuple[dict[str, Any], Bracket]:
    """Fields of `Contract` by name, without its tiers, and the brackets to make them of.

    `venue`: a ccxt id; empty: told by the venue's own row in `market["info"]`.
    """
    symbol = str(market.get("symbol") or market.get("id") or "?")
    venue = venue or _venue_of(market)
    inverse = _is_inverse(market, symbol, venue)
    size = _contract_size(market, symbol, venue, inverse)
    lot, min_size = _steps(market, symbol, size)
    min_cost = _number(market, "limits", "cost", "min") or 0.0
    if inverse:  # one unit of size is one unit of the quote currency, in which ccxt states costs
        min_size, min_cost = max(min_size, min_cost), 0.0
    fields = {
        "symbol": symbol,
        "venue": venue,
        "kind": "inverse" if inverse else "linear",
        "settlement": market["settle"],
        "contract_size": size,
        "lot": lot,
        "tick": _number(market, "precision", "price") or 0.0,
        "min_size": min_size,
        "min_notional": min_cost,
        "maker_fee": _fee(market, symbol, "maker"),
        "taker_fee": _fee(market, symbol, "taker"),
        "liquidation_fee": _number(market, "info", "liquidationFee"),
    }
    if venue in venue_ids():
        fields |= _habits(read_venue(venue))
    return fields, _brackets(market, symbol, venue, inverse, tiers)


def rows_of(brackets: Iterable[tuple[float, float, float, float | None]], limit: float | None) -> tuple[Row, ...]:
    """Rows of (floor, cap, maintenance, max leverage), in which a missing leverage becomes the market's `limit`.

    Never more than 1 / maintenance, at which a position would be liquidated at once. Raises `ConfigError` where
    nothing tells the leverage.
    """
    rows = []
    for floor, _, maintenance, leverage in brackets:
        told = leverage or limit
        if told is None:
            raise ConfigError(
                "neither the tiers nor the market tell a max leverage. Add it: "
                "market['limits']['leverage']['max'] = 125."
            )
        rows.append((floor, maintenance, told if leverage else min(told, 1.0 / maintenance)))
    return tuple(rows)


def _habits(venue: Venue) -> dict[str, Any]:
    return {
        "maintenance_on": venue.rules.maintenance_on,
        "fee_in_maintenance": venue.rules.fee_in_maintenance,
        "forfeits_margin": venue.rules.forfeits_margin,
        "funding_hours": venue.funding.hours,
        "funding_offset_hours": venue.funding.offset_hours,
    }


def _venue_of(market: Market) -> str:
    info = market.get("info") or {}
    if "maintMarginPercent" in info:
        return "binancecoinm" if market.get("inverse") else "binanceusdm"
    return next((venue for key, venue in _SIGNS.items() if key in info), "")


def _is_inverse(market: Market, symbol: str, venue: str) -> bool:
    kind = market.get("type")
    if not (market.get("swap") or kind == "swap"):
        raise ConfigError(f"{symbol} is no perpetual but of type {kind!r}. Pass a market with type 'swap'.")
    settle, base, quote = market.get("settle"), market.get("base"), market.get("quote")
    if market.get("quanto") or settle not in (base, quote):
        raise ConfigError(
            f"{symbol} is a quanto contract: {base} in {quote}, settled in {settle}. Neither the linear nor the "
            "inverse formulas hold for it; trade a contract that settles in its own base or quote currency."
        )
    inverse = bool(settle == base)
    if inverse and venue == "bitget":
        raise ConfigError(
            f"{symbol}: Bitget counts its orders in {base}, where sizes of an inverse contract count {quote}, so "
            "that every order would be misread. Trade the linear contract."
        )
    return inverse


def _contract_size(market: Market, symbol: str, venue: str, inverse: bool) -> float:
    size = _number(market, "contractSize") or 0.0
    if inverse and venue == "bitmex":
        size /= SATOSHIS
    if not 0.0 < size < 1e6:
        raise ConfigError(
            f"{symbol}: contractSize={market.get('contractSize')} is no amount of "
            f"{market.get('quote' if inverse else 'base')} that one contract may stand for. "
            f"Load the market again, or name its venue: from_ccxt(market, tiers, venue=...); known are "
            f"{', '.join(venue_ids())}."
        )
    return size


def _steps(market: Market, symbol: str, size: float) -> tuple[float, float]:
    """Lot and smallest order, from contracts to units of size."""
    step, least = _number(market, "precision", "amount"), _number(market, "limits", "amount", "min")
    if step is None:
        step = least or 0.0
    if not step or (least and least < step):
        raise ConfigError(
            f"{symbol}: an amount precision of {step:g} is no step that an order of {least or 1.0:g} can be made "
            "of. ccxt before 4 counted decimal places; pass a market whose precision is in steps (TICK_SIZE)."
        )
    return _tidy(step * size), _tidy(max(step, least or 0.0) * size)


def _fee(market: Market, symbol: str, side: str) -> float:
    rate = _number(market, side)
    if rate is None:
        raise ConfigError(f"{symbol} has no {side} fee. Add it as a fraction: market[{side!r}] = 0.0005 is 0.05 %.")
    return rate


def _brackets(market: Market, symbol: str, venue: str, inverse: bool, tiers: Tiers | None) -> Bracket:
    limit = _number(market, "limits", "leverage", "max") or _number(market, "info", "maxLongLeverage")
    if tiers is None and venue == "bitmex":
        return _base_bracket(market, limit, inverse)
    rows = sorted(_rows(tiers, symbol), key=lambda row: _number(row, "minNotional") or 0.0)
    if not rows:
        raise ConfigError(
            f"{symbol}: without tiers nothing tells its maintenance margin. Pass "
            "tiers=exchange.fetch_market_leverage_tiers(symbol), or your own: [{'minNotional': 0, "
            "'maxNotional': None, 'maintenanceMarginRate': 0.005, 'maxLeverage': 100}]."
        )
    told = []
    floor = 0.0
    for row in rows:
        maintenance = _number(row, "maintenanceMarginRate")
        if maintenance is None or maintenance <= 0.0:
            raise ConfigError(f"{symbol}: tier {dict(row)} has no maintenanceMarginRate. Leave it out, or add it.")
        cap = _number(row, "maxNotional") or math.inf
        told.append((floor, cap, maintenance, _number(row, "maxLeverage")))
        floor = cap
    if _is_percent(told[0]):
        told = [(floor, cap, maintenance / 100.0, leverage) for floor, cap, maintenance, leverage in told]
    return Bracket(rows_of(told, limit), told[-1][1], is_partial=False)


def _rows(tiers: Tiers | None, symbol: str) -> list[Market]:
    if isinstance(tiers, Mapping):
        if symbol not in tiers:
            raise ConfigError(f"the tiers know no {symbol}, so nothing tells its maintenance margin. Pass its own.")
        tiers = tiers[symbol]
    return list(tiers or ())


def _is_percent(first: tuple[float, float, float, float | None]) -> bool:
    """Whether a table says 0.5 for 0.5 %: at its own max leverage the margin would not cover the maintenance."""
    return first[2] * (first[3] or 1.0) > 1.0


def _base_bracket(market: Market, limit: float | None, inverse: bool) -> Bracket:
    """The one tier that BitMEX tells in its row; each step above it raises the rate of the whole position."""
    maintenance = _number(market, "info", "maintMargin")
    cap = _number(market, "info", "riskLimit")
    if maintenance is None or cap is None:
        raise ConfigError(f"{market.get('symbol')}: its row tells no maintMargin and riskLimit. Pass tiers.")
    return Bracket(
        rows_of([(0.0, cap, maintenance, limit)], limit),
        cap / (SATOSHIS if inverse else USDT_UNITS),
        is_partial=True,
    )


def _number(market: Market, *path: str) -> float | None:
    found: Any = market
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    if found is None or found == "":
        return None
    number = float(found)
    return number if math.isfinite(number) else None


def _tidy(number: float) -> float:
    """100 contracts of 1e-6 are 0.0001, not 9.999999999999999e-05."""
    return float(f"{number:.12g}")
