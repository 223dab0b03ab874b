"""The panels of a run: price and trades, forecast, equity and holding, drawdown, leverage, liquidation, costs."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lstm_backtrader.reporting.metrics import drawdowns
from lstm_backtrader.reporting.panels import (
    Band,
    Colour,
    Curve,
    Floats,
    Level,
    LinkedChart,
    Marks,
    Overlay,
    Panel,
    Stretches,
    wants_log,
)
from lstm_backtrader.reporting.recorder import Halted
from lstm_backtrader.reporting.segments import Segment
from lstm_backtrader.reporting.tables import format_figure

_CURVE_COLOURS: tuple[Colour, ...] = ("two", "three", "quiet", "text")


@dataclass(frozen=True)
class Held:
    """What holding instead would have made: equity (T,) beside the account's."""

    name: str
    equity: pd.Series


def equity_panels(equity: pd.Series, start_equity: float, held: tuple[Held, ...]) -> tuple[Panel, Panel]:
    """Equity beside what it is compared with, and its drawdown."""
    curves = [Curve("strategy", _values(equity), "one", width=1.8)]
    for each, colour in zip(held, _CURVE_COLOURS, strict=False):
        curves.append(Curve(each.name, _values(each.equity), colour, width=1.1))
    top = Panel("equity", "Equity", "money", 220, tuple(curves), is_log=wants_log([c.points for c in curves]))
    fall = Curve("drawdown", _values(drawdowns(equity, start_equity)), "loss", width=1.0, is_filled=True)
    return top, Panel("drawdown", "Drawdown", "percent", 100, (fall,))


def run_panels(
    bars: pd.DataFrame,
    trades: pd.DataFrame,
    symbol: str,
    threshold: float | None,
    start_equity: float,
    held: tuple[Held, ...],
) -> tuple[Panel, ...]:
    """`bars` (T,): the recorder's columns; `trades`: rows of the trade book, of which those of `symbol` are marked.

    A panel whose numbers the run has not, or that would be flat, is left out.
    """
    panels = [_price_panel(bars, trades[trades["symbol"] == symbol], symbol)]
    forecast = _values(bars["forecast"])
    if np.isfinite(forecast).any():
        levels = () if threshold is None else (Level(threshold), Level(-threshold))
        panels.append(Panel("forecast", "Forecast", "ratio", 90, (Curve("forecast", forecast),), levels=levels))
    panels.extend(equity_panels(bars["equity"], start_equity, held))
    is_one = len(trades["symbol"].unique()) <= 1  # of several instruments the sides need not agree
    side = np.where(_values(bars["position"]) < 0, -1.0, 1.0) if is_one else 1.0
    leverage = _finite(_values(bars["leverage"])) * side
    panels.append(
        Panel(
            "leverage",
            "Leverage, short below zero" if is_one else "Leverage",
            "ratio",
            90,
            (Curve("leverage", leverage, "one", is_step=True),),
        )
    )
    distance = _finite(_values(bars["liquidation_distance"]))
    if np.isfinite(distance).any():
        curves = (
            Curve("price to liquidation", distance, "two"),
            Curve("margin ratio, 100 % liquidates", _finite(_values(bars["margin_ratio"])), "loss"),
        )
        panels.append(Panel("liquidation", "Liquidation", "percent", 100, curves))
    fees, funding = _values(bars["fees"]), _values(bars["funding"])
    if fees.any() or funding.any():
        curves = (Curve("fees", -fees, "loss"), Curve("funding", funding, "two"))
        panels.append(Panel("costs", "Fees and funding so far", "money", 100, curves))
    return tuple(panels)


def chart_of(
    times: pd.DatetimeIndex, panels: tuple[Panel, ...], title: str, parts: Sequence[Segment] = ()
) -> LinkedChart:
    """The panels as one chart that says in words what it shows; shaded where its model had seen the bars."""
    shown = ", ".join(panel.title.lower() for panel in panels)
    seen = {part.name: (part.begin, part.last) for part in parts if not part.is_unseen}
    return LinkedChart(times, panels, f"{title}, interactive chart: {shown}", seen)


def _price_panel(bars: pd.DataFrame, trades: pd.DataFrame, symbol: str) -> Panel:
    low, close, high = (_values(bars[name]) for name in ("low", "close", "high"))
    return Panel(
        "price",
        f"Price of {symbol}",
        "price",
        280,
        (Curve("close", close, "text", width=1.1),),
        bands=(Band("bar", low, high),),
        marks=tuple(trade_marks(trades)),
        stretches=(first_stops(trades, bars.index[-1]),),
        is_log=wants_log([low, high]),
    )


def trade_marks(trades: pd.DataFrame) -> list[Marks]:
    """Entries, exits, stops and liquidations at their time and price; first those over the largest moves."""
    rows = _by_move(trades)
    closed = rows[~rows["is_open"]]
    stopped = closed["exit_reason"].isin(["stop", "trailing"])
    liquidated = closed["is_liquidation"]
    return [
        _marks("exit", "exit", closed[~stopped & ~liquidated], ("circle-open", "text")),
        _marks("stop", "exit", closed[stopped & ~liquidated], ("x-open", "loss")),
        _marks("long", "entry", rows[rows["side"] > 0], ("triangle-up", "one")),
        _marks("short", "entry", rows[rows["side"] < 0], ("triangle-down", "two")),
        _marks("liquidation", "exit", closed[liquidated], ("x", "loss")),
    ]


def first_stops(trades: pd.DataFrame, last: pd.Timestamp) -> Stretches:
    """Where the first stop of each trade that had one stood, while it was open; `last`: the run's last bar."""
    rows = _by_move(trades[trades["initial_stop"].notna()])
    begins, ends = (
        pd.DatetimeIndex(rows["entry_time"]),
        pd.DatetimeIndex(rows["exit_time"].where(~rows["is_open"], last)),
    )
    return Stretches("first stop", begins, ends, _values(rows["initial_stop"]), "loss")


def _by_move(trades: pd.DataFrame) -> pd.DataFrame:
    """Those still open, then those over the largest moves of price."""
    moved = (trades["exit_price"] / trades["entry_price"] - 1).abs()
    return trades.assign(moved=moved).sort_values("moved", ascending=False, na_position="first")


def halt_marks(bars: pd.DataFrame, halts: Sequence[Halted]) -> Overlay:
    """Where guards stopped trading, on the price."""
    times = pd.DatetimeIndex(pd.to_datetime([halt.time for halt in halts], utc=True))
    closes = np.asarray(bars["close"].reindex(times, method="ffill").to_numpy(dtype="float64"))
    texts = [f"{halt.guard}: {halt.reason}" for halt in halts]
    return Overlay("price", marks=(Marks("guard", times, closes, "square", "three", texts),))


def _marks(name: str, end: str, rows: pd.DataFrame, look: tuple[str, str]) -> Marks:
    symbol, colour = look
    return Marks(
        name,
        pd.DatetimeIndex(rows[f"{end}_time"]),
        _values(rows[f"{end}_price"]),
        symbol,  # type: ignore[arg-type]  # one of them, see above
        colour,  # type: ignore[arg-type]  # a str where a literal is meant
        [_said(row, end) for row in rows.to_dict("records")],
    )


def _said(row: Mapping[Hashable, Any], end: str) -> str:
    """What hovering over a trade's end tells."""
    side, size = format_figure(row["side"], "side"), format_figure(row["size"], "price")
    price = format_figure(row[f"{end}_price"], "price")
    if end == "entry":
        return f"{side} {size} at {price}"
    return f"{side} closed at {price} by {row['exit_reason']}: {format_figure(row['net_profit'], 'gain')}"


def _values(series: pd.Series) -> Floats:
    return np.asarray(series.to_numpy(dtype="float64"), dtype=np.float64)


def _finite(values: Floats) -> NDArray[np.float64]:
    return np.where(np.isfinite(values), values, np.nan)
