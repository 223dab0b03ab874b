"""What the trades of a run were like: long and short apart, why they ended, how far they went for and against."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lstm_backtrader.reporting.metrics import Figures

Floats = NDArray[np.float64]


def trade_figures(trades: pd.DataFrame) -> dict[str, Figures]:
    """Figures of all trades, the long and the short ones. `trades`: rows of the trade book.

    Results are net of fees and funding and of closed trades, as are hold times; fees and funding are of all.
    """
    sides = trades["side"].to_numpy(dtype="float64")
    return {"all": _figures(trades), "long": _figures(trades[sides > 0]), "short": _figures(trades[sides < 0])}


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
        "funding": float(_numbers(trades, "funding").sum()),
    }


def _numbers(trades: pd.DataFrame, column: str) -> Floats:
    return trades[column].to_numpy(dtype="float64")


def _hours(closed: pd.DataFrame) -> Floats:
    lasted = pd.to_datetime(closed["exit_time"], utc=True) - pd.to_datetime(closed["entry_time"], utc=True)
    return np.asarray(lasted.dt.total_seconds().to_numpy(dtype="float64") / 3600)


def _mean(values: NDArray[np.float64] | NDArray[np.bool_]) -> float | None:
    return float(values.mean()) if len(values) else None


def _longest_run(is_one: NDArray[np.bool_]) -> int:
    """Of consecutive True values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_one, [False]]).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max(initial=0))
