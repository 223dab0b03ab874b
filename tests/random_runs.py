"""Random markets and random orders for the laws of the account, each from one seed."""

import math

import numpy as np
import pandas as pd
from tickets import CANCEL, Terms, Ticket

NAN = float("nan")
LEVELS = (100.0, 20.0)  # where the first and the second data begin


def market(random, bars=40, volatility=0.02, level=100.0, mark="", is_open_odd=False, rates=0.003):
    """Hourly candles with gaps and, every fourth hour, funding.

    `mark`: "known", "partly" (each price for itself) or "" for none. `is_open_odd`: some bars open outside
    their low and high, as BitMEX's do.
    """
    steps = random.normal(0, volatility, (bars, 4)) * [0.3, 1, 0.7, 0.7]
    opened = level * np.exp(np.cumsum(steps[:, 0] + np.concatenate([[0], steps[:-1, 1]])))
    close = opened * np.exp(steps[:, 1])
    high = np.maximum(opened, close) * np.exp(np.abs(steps[:, 2]))
    low = np.minimum(opened, close) * np.exp(-np.abs(steps[:, 3]))
    if is_open_odd:
        beyond = volatility * random.random(bars)
        outside = np.where(random.random(bars) < 0.5, high * (1 + beyond), low * (1 - beyond))
        opened = np.where(random.random(bars) < 0.2, outside, opened)
    index = pd.date_range("2025-01-01", periods=bars, freq="h", tz="UTC", name="open_time")
    table = pd.DataFrame({"open": opened, "high": high, "low": low, "close": close, "volume": 1.0}, index=index)
    high_rates = random.normal(0, rates, bars) * random.choice([1, 1, 1, 10], bars)  # some empty a margin
    is_stamp = (np.arange(bars) % 4 == 0) & (random.random(bars) < 0.9)  # some are missing
    table["funding_rate"] = np.where(is_stamp, high_rates, NAN)
    if mark:
        shift = np.exp(random.normal(0, volatility / 3, bars))
        for name in ("open", "high", "low", "close"):
            known = random.random(bars) < 0.6 if mark == "partly" else True
            table[f"mark_{name}"] = np.where(known, table[name] * shift, NAN)
    return table


def bars_of(table):
    """The table as the plain account reads it: dicts, with what is not known of the mark price filled in."""
    bars = []
    for row in table.to_dict("records"):
        bar = {name: row[name] for name in ("open", "high", "low", "close")}
        known = {name: row.get(f"mark_{name}", NAN) for name in bar}
        known = {name: mark for name, mark in known.items() if not math.isnan(mark)}
        for name in tuple(bar):
            within = min(max(bar[name], known.get("low", 0.0)), known.get("high", math.inf))
            bar[f"mark_{name}"] = known.get(name, within)
        bars.append(bar | {"rate": row.get("funding_rate", NAN)})
    return bars


def terms_from(random, **fixed):
    """Terms of any kind; `fixed` are given."""
    is_inverse = bool(random.random() < 0.5)
    cash = 100.0 if is_inverse else 10_000.0
    leverage = float(random.choice([1, 3, 10, 25]))
    half = cash * leverage / 2
    drawn = {
        "cash": cash,
        "leverage": leverage,
        "is_inverse": is_inverse,
        "is_cross": bool(random.random() < 0.5),
        "is_pessimistic": bool(random.random() < 0.6),
        "tiers": ((0.0, 0.004), (half / 2, 0.006), (half * 1.2, 0.015))
        if random.random() < 0.5
        else ((0.0, 0.005),),
        "is_on_entry": bool(random.random() < 0.3),
        "holds_fee": bool(random.random() < 0.3),
        "liquidation_fee": (None, 0.0, 0.0125)[int(random.integers(3))],
        "forfeits": bool(random.random() < 0.3),
    }
    return Terms(**drawn | fixed)


def tables_from(random, datas=1, **options):
    volatility = float(random.choice([0.005, 0.02, 0.05, 0.1]))
    return [
        market(
            random,
            volatility=volatility,
            level=level,
            mark=str(random.choice(["", "known", "partly"])),
            is_open_odd=bool(random.random() < 0.2),
            **options,
        )
        for level in LEVELS[:datas]
    ]


def script_from(random, terms, tables):
    """A few orders of any kind after many of the bars."""
    script = {}
    for number in range(len(tables[0]) - 1):
        tickets = [CANCEL] if random.random() < 0.1 else []
        while random.random() < 0.5 and len(tickets) < 4:
            data = int(random.integers(len(tables)))
            tickets += _tickets(random, terms, data, float(tables[data]["close"].iloc[number]))
        if tickets:
            script[number] = tickets
    return script


def _tickets(random, terms, data, close):
    side = int(random.choice([-1, 1]))
    whole = terms.cash * terms.leverage / 2 * (LEVELS[data] if terms.is_inverse else 1 / LEVELS[data])
    size = side * whole * float(random.choice([0.1, 0.3, 0.6, 1.0, 2.0]) * random.uniform(0.9, 1.1))
    shared = {"data": data, "tradeid": int(random.choice([0, 0, 0, 1]))}
    kinds = ["market"] * 4 + ["limit", "stop", "trail", "stop_limit", "trail_limit", "pair", "reduce"]
    kind = str(random.choice(kinds))
    if kind == "reduce":
        return [Ticket(size, reduce_only=True, reason=kind, **shared)]
    if kind == "pair":
        stop = Ticket(size, "stop", close * (1 + side * _away(random)), reason="pair", **shared)
        limit = {"reduce_only": bool(random.random() < 0.5), "rival": stop, "reason": "pair"}
        return [stop, Ticket(size, "limit", close * (1 - side * _away(random)), **limit, **shared)]
    price, plimit, trail = NAN, NAN, 0.0
    if kind in ("limit", "stop", "stop_limit"):
        worse = -1 if kind == "limit" else 1
        price = close * (1 + side * worse * float(random.uniform(-0.01, 0.04)))
    if kind in ("trail", "trail_limit"):
        price, trail = close, _away(random)
    if kind in ("stop_limit", "trail_limit"):
        plimit = price * (1 + float(random.uniform(-0.02, 0.02)))
    children = _bracket(random, -size, close, shared) if random.random() < 0.5 else ()
    is_reduce_only = not children and kind != "market" and bool(random.random() < 0.3)
    return [
        Ticket(
            size, kind, price, plimit, trail, reduce_only=is_reduce_only, reason=kind, children=children, **shared
        )
    ]


def _bracket(random, size, close, shared):
    """One to three children, some tied to the fill and some beyond the market where they become active."""
    side = 1 if size > 0 else -1
    found = []
    for kind in random.choice(["stop", "limit", "trail", "stop_limit"], int(random.integers(1, 4)), replace=False):
        kind = str(kind)
        away = side * _away(random) * (-1 if kind == "limit" else 1)
        given = shared | {"reduce_only": bool(random.random() < 0.7), "reason": f"child {kind}"}
        is_tied = bool(random.random() < 0.6)
        price = close * (1 + away)
        if kind in ("stop", "trail") and random.random() < 0.3:
            given["wakes_from_fill"] = -side * _away(random)
        if kind == "limit" and random.random() < 0.4:
            given |= {"is_partial": True, "reduce_only": True}
            found.append(Ticket(0.4 * size, kind, price, from_fill=away if is_tied else None, **given))
        elif kind == "trail":
            found.append(Ticket(size, kind, close, trail=abs(away), from_fill=0.0 if is_tied else None, **given))
        elif kind == "stop_limit":
            found.append(Ticket(size, kind, price, price * (1 + float(random.uniform(-0.01, 0.01))), **given))
        else:
            found.append(Ticket(size, kind, price, from_fill=away if is_tied else None, **given))
    return tuple(found)


def _away(random):
    return float(random.uniform(0.002, 0.05))
