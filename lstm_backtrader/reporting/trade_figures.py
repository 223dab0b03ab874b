"""What the trades of a run were like: long and short apart, why they ended, what they made of what they risked."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lstm_backtrader.reporting.metrics import Figures

Floats = NDArray[np.float64]

R_STEP, R_LEAST, R_MOST = 0.5, -3.0, 6.0  # of the histogram: width of a part, and from where on the ends are one


def trade_figures(trades: pd.DataFrame) -> dict[str, Figures]:
    """Figures of all trades, the long and the short ones. `trades`: rows of the trade book.

    Results are net of all costs and of closed trades, as are hold times; fees, slippage and funding are of all.
    """
    sides = trades["side"].to_numpy(dtype="float64")
    return {"all": _figures(trades), "long": _figures(trades[sides > 0]), "short": _figures(trades[sides < 0])}


def risk_figures(trades: pd.DataFrame) -> dict[str, Figures]:
    """Of the closed trades with a stop, all, long and short: their results as multiples of what they risked (R).

    A group without one is left out; empty where no trade had a stop.
    """
    closed = trades[trades["r_multiple"].notna()]
    sides = closed["side"].to_numpy(dtype="float64")
    groups = {"all": closed, "long": closed[sides > 0], "short": closed[sides < 0]}
    return {name: _multiples(_numbers(group, "r_multiple")) for name, group in groups.items() if len(group)}


def risk_histogram(trades: pd.DataFrame) -> list[Figures]:
    """How many closed trades ended in [from, to) multiples of their risk; the ends have no other bound (None)."""
    multiples = _numbers(trades[trades["r_multiple"].notna()], "r_multiple")
    if not len(multiples):
        return []
    inner = np.arange(R_LEAST, R_MOST + R_STEP / 2, R_STEP)
    counts = np.bincount(np.searchsorted(inner, multiples, side="right"), minlength=len(inner) + 1)
    bounds = [None, *inner.tolist(), None]
    return [
        {"from": low, "to": high, "trades": int(count)}
        for low, high, count in zip(bounds[:-1], bounds[1:], counts, strict=True)
    ]


def exit_figures(trades: pd.DataFrame) -> dict[str, Figures]:
    """Of each reason that closed a trade: how many it closed, and with what result; the commonest first."""
    closed = trades[~trades["is_open"].astype(bool)]
    found: dict[str, Figures] = {}
    for reason in closed["exit_reason"].value_counts().index:
        rows = closed[closed["exit_reason"] == reason]
        found[str(reason)] = {**_results(rows), "mean_hours": float(_hours(rows).mean())}
    return found


def clock_figures(trades: pd.DataFrame) -> dict[str, list[Figures]]:
    """Of closed trades by hour (0 to 23) and weekday (1 is Monday) of their entry, UTC; those with any."""
    closed = trades[~trades["is_open"].astype(bool)]
    entered = pd.to_datetime(closed["entry_time"], utc=True).dt
    return {
        "hours": [
            {"hour": int(hour), **_results(closed[entered.hour == hour])} for hour in sorted(entered.hour.unique())
        ],
        "weekdays": [
            {"weekday": int(day) + 1, **_results(closed[entered.day_of_week == day])}
            for day in sorted(entered.day_of_week.unique())
        ],
    }


def _results(closed: pd.DataFrame) -> Figures:
    net = _numbers(closed, "net_profit")
    return {
        "trades": len(net),
        "win_rate": float((net > 0).mean()),
        "net_profit": float(net.sum()),
        "mean_profit": float(net.mean()),
    }


def _figures(trades: pd.DataFrame) -> Figures:
    closed = trades[~trades["is_open"].astype(bool)]
    net = _numbers(closed, "net_profit")
    won, lost = net[net > 0], net[net < 0]
    hours = _hours(closed)
    return {
        "trades": len(trades),
        "closed": len(closed),
        "liquidations": int(trades["is_liquidation"].sum()),
        "win_rate": _mean(net > 0),
        "profit_factor": float(won.sum() / -lost.sum()) if len(lost) else None,
        "expectancy": _mean(net),
        "payoff": float(won.mean() / -lost.mean()) if len(won) and len(lost) else None,
        "best": float(net.max()) if len(net) else None,
        "worst": float(net.min()) if len(net) else None,
        "losses_in_a_row": _longest_run(net < 0),
        "mean_hours": _mean(hours),
        "median_hours": float(np.median(hours)) if len(hours) else None,
        "mean_mae": _mean(_numbers(closed, "mae")),
        "mean_mfe": _mean(_numbers(closed, "mfe")),
        "net_profit": float(_numbers(trades, "net_profit").sum()),
        "fees": float(_numbers(trades, "fees").sum()),
        "slippage": _known_sum(_numbers(trades, "slippage")),
        "funding": float(_numbers(trades, "funding").sum()),
    }


def _multiples(multiples: Floats) -> Figures:
    return {
        "trades": len(multiples),
        "mean": float(multiples.mean()),
        "median": float(np.median(multiples)),
        "deviation": float(multiples.std(ddof=1)) if len(multiples) > 1 else None,
        "best": float(multiples.max()),
        "worst": float(multiples.min()),
        "below_minus_one": float((multiples < -1.0).mean()),
    }


def _numbers(trades: pd.DataFrame, column: str) -> Floats:
    return trades[column].to_numpy(dtype="float64")


def _hours(closed: pd.DataFrame) -> Floats:
    lasted = pd.to_datetime(closed["exit_time"], utc=True) - pd.to_datetime(closed["entry_time"], utc=True)
    return np.asarray(lasted.dt.total_seconds().to_numpy(dtype="float64") / 3600)


def _known_sum(values: Floats) -> float | None:
    return None if np.isnan(values).any() else float(values.sum())


def _mean(values: NDArray[np.float64] | NDArray[np.bool_]) -> float | None:
    return float(values.mean()) if len(values) else None


def _longest_run(is_one: NDArray[np.bool_]) -> int:
    """Of consecutive True values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_one, [False]]).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max(initial=0))
