"""Equity and drawdown, and price, trades and signal together, as plain SVG that scales to any width."""

from __future__ import annotations

import math
from html import escape
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lstm_backtrader.reporting.metrics import drawdowns

BUCKETS = 500  # each keeps its first, lowest, highest and last value
LOG_FROM = 8.0  # highest over lowest value from which the scale is logarithmic
MAX_MARKED = 150  # trades marked on the price
STRIP = 400  # stretches of time the signal is averaged over
_MARKS = {  # kind -> sign in the legend, shape in pixels around the place
    "long": ("▲", "M0-5L5 4H-5Z"),
    "short": ("▼", "M0 5L5-4H-5Z"),
    "exit": ("○", "M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0"),
    "liquidation": ("✕", "M-5-5L5 5M5-5L-5 5"),
}
SIDE = 1000.0  # the drawing's own units, stretched to the width of the page


def equity_chart(equity: pd.Series, benchmark: pd.Series | None, start_equity: float, money_digits: int = 2) -> str:
    """Two panes of HTML with inline SVG. `equity`, `benchmark` (T,): in settlement coin on the same index."""
    curves = [("equity", equity)] if benchmark is None else [("benchmark", benchmark), ("equity", equity)]
    low = min(float(curve.min()) for _, curve in curves)
    high = max(float(curve.max()) for _, curve in curves)
    is_log = low > 0 and high / low > LOG_FROM
    scale = _Scale(low, high, is_log)
    times = _position_in_time(equity.index)
    lines = "".join(_polyline(times, curve, scale, kind) for kind, curve in curves)
    money = f",.{money_digits}f"
    against = "" if benchmark is None else f", buy and hold or benchmark {benchmark.iloc[-1]:{money}}"
    name = f"Equity from {start_equity:{money}} to {equity.iloc[-1]:{money}}{against}"
    legend = '<span class="key equity">Strategy</span>'
    legend += "" if benchmark is None else '<span class="key benchmark">Benchmark</span>'
    fall = drawdowns(equity, start_equity)
    depth = _Scale(min(float(fall.min()), -1e-9), 0.0, is_log=False)
    return (
        f'<figure class="chart"><figcaption>Equity{", log scale" if is_log else ""} {legend}</figcaption>'
        + _pane(name, lines, [(f"{tick:,.6g}", scale.top(tick)) for tick in scale.ticks()], "tall")
        + "<figcaption>Drawdown</figcaption>"
        + _pane(
            f"Drawdown, deepest {fall.min():.1%}",
            _polyline(times, fall, depth, "drawdown"),
            [(f"{tick:.3g} %", depth.top(tick / 100)) for tick in _nice(depth.low * 100, 0.0, 3)],
            "low",
        )
        + _dates(equity.index)
        + "</figure>"
    )


def trade_chart(bars: pd.DataFrame, trades: pd.DataFrame, symbol: str, threshold: float | None) -> str:
    """Price with entries and exits, and below it the signal, as HTML with inline SVG.

    `bars` (T,): `close`, `position` and `forecast` of one instrument; `trades`: rows of the trade book, of which
    those of `symbol` are drawn. The signal is +-1 where the forecast reaches `threshold`; without any forecast the
    side of the position takes its place.
    """
    close, times = bars["close"], _position_in_time(bars.index)
    low, high = float(close.min()), float(close.max())
    scale = _Scale(low, high, is_log=low > 0 and high / low > LOG_FROM)
    own = trades[trades["symbol"] == symbol]
    moved = (own["exit_price"] / own["entry_price"] - 1).abs()  # unknown of what is still open
    order = own.assign(moved=moved).sort_values(["is_liquidation", "moved"], ascending=False, na_position="first")
    marked = order.iloc[:MAX_MARKED]
    longs, liquidations = int((own["side"] > 0).sum()), int(own["is_liquidation"].sum())
    known = close.dropna()
    name = (
        f"Price of {symbol} from {known.iloc[0]:,.6g} to {known.iloc[-1]:,.6g}, with {longs:,} long and "
        f"{len(own) - longs:,} short entries, {liquidations:,} of them liquidated"
    )
    cut = (
        ""
        if len(marked) == len(own)
        else (
            f'<p class="quiet">Marked are {len(marked)} of {len(own):,} trades: liquidations, then those over the '
            "largest moves of price.</p>"
        )
    )
    keys = "".join(f'<span class="mark {kind}">{sign} {kind}</span>' for kind, (sign, _) in _MARKS.items())
    ticks = [(f"{tick:,.6g}", scale.top(tick)) for tick in scale.ticks()]
    marks = f'<svg class="marks" aria-hidden="true">{_definitions()}{_marks(marked, bars.index, scale)}</svg>'
    line = _polyline(times, close, scale, "price")
    title = f"Price{', log scale' if scale.is_log else ''} and trades"
    return (
        f'<figure class="chart"><figcaption>{title} {keys}</figcaption>'
        + _pane(name, line, ticks, "tall", over=marks)
        + _signal_strip(bars, times, threshold)
        + _dates(bars.index)
        + cut
        + "</figure>"
    )


def _signal_strip(bars: pd.DataFrame, times: NDArray[np.float64], threshold: float | None) -> str:
    """The share of bars at +1 upwards and at -1 downwards, over at most STRIP stretches of time."""
    forecast = bars["forecast"].to_numpy(dtype="float64")
    if threshold is not None and np.isfinite(forecast).any():
        title, signal = "Signal", np.where(np.abs(forecast) >= threshold, np.sign(forecast), 0.0)
    else:
        title, signal = "Position", np.sign(bars["position"].to_numpy(dtype="float64"))
    stretch = np.minimum((times * STRIP).astype(np.int64), STRIP - 1)
    if len(times) < STRIP:
        stretch = np.arange(len(times))
    count = np.bincount(stretch)
    edges = np.concatenate([times[np.flatnonzero(np.diff(stretch, prepend=-1))], [1.0]]) * SIDE
    areas = []
    for kind, side in (("long", 1), ("short", -1)):
        share = np.bincount(stretch, weights=signal == side)[count > 0] / count[count > 0]
        steps = "".join(
            f"M{a:.1f} 500V{500 - side * 500 * height:.0f}H{b:.1f}V500"
            for (a, b), height in zip(pairwise(edges), share, strict=True)
            if height
        )
        areas.append(f'<path class="area {kind}" d="{steps}"/>')
    shares = [f"{(signal == side).mean():.0%}" for side in (1, -1)]
    return (
        f'<figcaption>{title} <span class="mark long">up: +1, {shares[0]} of bars</span>'
        f'<span class="mark short">down: \N{MINUS SIGN}1, {shares[1]}</span></figcaption>'
        + _pane(f"{title}: +1 on {shares[0]}, -1 on {shares[1]} of bars", "".join(areas), [("0", 0.5)], "strip")
    )


def _marks(trades: pd.DataFrame, index: pd.Index[pd.Timestamp], scale: _Scale) -> str:
    """Entries, exits and liquidations at their time and price; what lies outside is moved to the edge."""
    closed = trades[~trades["is_open"]]
    found = []
    for kind, end, rows in (
        ("exit", "exit", closed[~closed["is_liquidation"]]),
        ("long", "entry", trades[trades["side"] > 0]),
        ("short", "entry", trades[trades["side"] < 0]),
        ("liquidation", "exit", closed[closed["is_liquidation"]]),
    ):
        x = _position_in_time(pd.DatetimeIndex(rows[f"{end}_time"]), index).clip(0, 1)
        y = scale.tops(rows[f"{end}_price"].to_numpy(dtype="float64")).clip(0, 1)
        found += [
            f'<use href="#{kind}" class="{kind}" x="{a:.2%}" y="{b:.2%}"/>' for a, b in zip(x, y, strict=True)
        ]
    return "".join(found)


def _definitions() -> str:
    paths = "".join(f'<path id="{kind}" d="{path}"/>' for kind, (_, path) in _MARKS.items())
    return f"<defs>{paths}</defs>"


class _Scale:
    """Values to distances from the top, as a share of the height."""

    def __init__(self, low: float, high: float, is_log: bool) -> None:
        self.low, self.high, self.is_log = low, high, is_log
        self._bottom, self._top = (math.log(low), math.log(high)) if is_log else (low, high)
        if self._top - self._bottom <= 1e-12 * max(abs(self._top), 1.0):
            self._bottom, self._top = self._bottom - 1.0, self._top + 1.0

    def top(self, value: float) -> float:
        return (self._top - (math.log(value) if self.is_log else value)) / (self._top - self._bottom)

    def tops(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        shown = np.log(values) if self.is_log else values
        return np.asarray((self._top - shown) / (self._top - self._bottom), dtype="float64")

    def ticks(self) -> list[float]:
        if not self.is_log:
            return _nice(self.low, self.high, 4)
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        found = [m * 10.0**p for p in powers for m in (1, 2, 5) if self.low <= m * 10.0**p <= self.high]
        return found[:: max(1, len(found) // 4)]


def keep_extremes(values: NDArray[np.float64], buckets: int = BUCKETS) -> NDArray[np.int64]:
    """Increasing indices of at most 4 * buckets values, among them the first, last, lowest and highest."""
    if len(values) <= 4 * buckets:
        return np.arange(len(values))
    edges = np.linspace(0, len(values), buckets + 1).astype(np.int64)
    kept = [
        index
        for a, b in pairwise(edges)
        for index in (a, a + int(np.argmin(values[a:b])), a + int(np.argmax(values[a:b])), b - 1)
    ]
    return np.unique(np.asarray(kept, dtype=np.int64))


def _polyline(times: NDArray[np.float64], curve: pd.Series, scale: _Scale, kind: str) -> str:
    values = curve.to_numpy(dtype="float64")
    is_known = np.isfinite(values)
    times, values = times[is_known], values[is_known]
    kept = keep_extremes(values)
    x, y = times[kept] * SIDE, scale.tops(values[kept]) * SIDE
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    if kind == "drawdown":
        points = f"{x[0]:.1f},0 {points} {x[-1]:.1f},0"
    return f'<polyline class="{kind}" points="{points}"/>'


def _pane(name: str, lines: str, ticks: list[tuple[str, float]], height: str, over: str = "") -> str:
    grid = "".join(f'<path class="grid" d="M0 {top * SIDE:.1f}H{SIDE:.0f}"/>' for _, top in ticks)
    labels = "".join(f'<span style="top:{top:.2%}">{escape(text)}</span>' for text, top in ticks)
    return (
        f'<div class="pane {height}"><svg role="img" aria-label="{escape(name)}" preserveAspectRatio="none" '
        f'viewBox="0 0 {SIDE:.0f} {SIDE:.0f}">{grid}{lines}</svg>{over}{labels}</div>'
    )


def _position_in_time(
    index: pd.Index[pd.Timestamp], within: pd.Index[pd.Timestamp] | None = None
) -> NDArray[np.float64]:
    """(T,) 0 at the first stamp of `within`, 1 at its last; by default of the index itself."""
    stamps, span = (
        pd.DatetimeIndex(times).as_unit("ms").asi8.astype("float64")
        for times in (index, index if within is None else within)
    )
    return np.asarray((stamps - span[0]) / max(span[-1] - span[0], 1.0), dtype="float64")


def _dates(index: pd.Index[pd.Timestamp]) -> str:
    shown = [index[0] + (index[-1] - index[0]) * share for share in (0.0, 1 / 3, 2 / 3, 1.0)]
    return '<div class="dates">' + "".join(f"<span>{day:%Y-%m-%d}</span>" for day in shown) + "</div>"


def _nice(low: float, high: float, about: int) -> list[float]:
    """Round numbers in [low, high], about that many."""
    if high - low <= 0:
        return [low]
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    return [i * step for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
