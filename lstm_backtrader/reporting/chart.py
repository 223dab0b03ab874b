"""Equity against its benchmark, and the drawdown below, as plain SVG that scales to any width."""

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
SIDE = 1000.0  # the drawing's own units, stretched to the width of the page


def equity_chart(equity: pd.Series, benchmark: pd.Series | None, start_equity: float) -> str:
    """Two panes of HTML with inline SVG. `equity`, `benchmark` (T,): in settlement coin on the same index."""
    curves = [("equity", equity)] if benchmark is None else [("benchmark", benchmark), ("equity", equity)]
    low = min(float(curve.min()) for _, curve in curves)
    high = max(float(curve.max()) for _, curve in curves)
    is_log = low > 0 and high / low > LOG_FROM
    scale = _Scale(low, high, is_log)
    times = _position_in_time(equity.index)
    lines = "".join(_polyline(times, curve, scale, kind) for kind, curve in curves)
    against = "" if benchmark is None else f", buy and hold or benchmark {benchmark.iloc[-1]:,.2f}"
    name = f"Equity from {start_equity:,.2f} to {equity.iloc[-1]:,.2f}{against}"
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
    kept = keep_extremes(values)
    x, y = times[kept] * SIDE, scale.tops(values[kept]) * SIDE
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    if kind == "drawdown":
        points = f"{x[0]:.1f},0 {points} {x[-1]:.1f},0"
    return f'<polyline class="{kind}" points="{points}"/>'


def _pane(name: str, lines: str, ticks: list[tuple[str, float]], height: str) -> str:
    grid = "".join(f'<path class="grid" d="M0 {top * SIDE:.1f}H{SIDE:.0f}"/>' for _, top in ticks)
    labels = "".join(f'<span style="top:{top:.2%}">{escape(text)}</span>' for text, top in ticks)
    return (
        f'<div class="pane {height}"><svg role="img" aria-label="{escape(name)}" preserveAspectRatio="none" '
        f'viewBox="0 0 {SIDE:.0f} {SIDE:.0f}">{grid}{lines}</svg>{labels}</div>'
    )


def _position_in_time(index: pd.Index[pd.Timestamp]) -> NDArray[np.float64]:
    stamps = pd.DatetimeIndex(index).as_unit("ms").asi8.astype("float64")
    return np.asarray((stamps - stamps[0]) / max(stamps[-1] - stamps[0], 1.0), dtype="float64")


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
