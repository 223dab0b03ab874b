"""The Elliott waves a run was counted by: its newest count drawn on the price, beside what chance would show."""

from __future__ import annotations

from html import escape

import numpy as np

from lstm_backtrader.candles import show_time
from lstm_backtrader.forecast.elliott import DONE, Count
from lstm_backtrader.forecast.elliott_null import impulse_share
from lstm_backtrader.forecast.wave_series import WaveView, newest_view
from lstm_backtrader.indicators.elliott import ElliottWaves

SIDE = 1000.0  # units of the drawing, stretched to its pane
FEWEST_BARS = 2


def wave_sections(results: object) -> tuple[str, ...]:
    """A section of HTML for each `ElliottWaves` of a finished run, in the order of its strategies."""
    strategies = results if isinstance(results, list) else [results]
    return tuple(
        wave_section(indicator)
        for strategy in strategies
        for indicator in getattr(strategy, "getindicators", list)()
        if isinstance(indicator, ElliottWaves) and len(indicator.data) >= FEWEST_BARS
    )


def wave_section(indicator: ElliottWaves) -> str:
    """Heading, the null, the drawing and every count still possible, as HTML."""
    bars = indicator.bars()
    view = newest_view(bars, indicator.rules)
    name = escape(indicator.data._name or "the data")
    rows = "".join(_row(count) for count in view.counts)
    head = "".join(f'<th scope="col">{title}</th>' for title in ("Confidence", "Wrong at", "Target"))
    table = (
        f'<div class="wide waves" tabindex="0"><table><thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody>'
        "</table></div>"
        if view.counts
        else "<p>No count is left: the prices since the last pivot break every one.</p>"
    )
    chance = escape(impulse_share(bars, indicator.rules.swings).sentence())
    return (
        f"<h2>Elliott waves of {name}</h2>\n<style>{_STYLE}</style>"
        f"<p>{chance} A count is a way to read the past, and what follows it has to be shown.</p>\n"
        f"{_figure(view)}\n{table}"
    )


def _row(count: Count) -> str:
    way = "up" if count.side > 0 else "down"
    wave = f"five waves {way} are over" if count.wave == DONE else f"wave {count.wave} of an impulse {way}"
    target = "n/a" if np.isnan(count.target) else f"{np.exp(count.target):,.6g}"
    return (
        f'<tr><th scope="row">{wave}</th><td>{count.confidence:.2f}</td>'
        f"<td>{np.exp(count.invalidation):,.6g}</td><td>{target}</td></tr>"
    )


def _figure(view: WaveView) -> str:
    """Price, swings, the wave that ended at each pivot, and where the best count is wrong."""
    bars = view.bars
    high, low, close = (np.log(bars[name]) for name in ("high", "low", "close"))
    best = view.counts[0] if view.counts else None
    bottom, top = float(low.min()), float(high.max())
    width = max(len(bars) - 1, 1)
    height = top - bottom or 1.0

    def place(bar: int, price: float) -> tuple[float, float]:
        return bar / width * SIDE, (top - price) / height * SIDE

    def points(places: list[tuple[float, float]]) -> str:
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)

    span = [place(bar, price) for bar, price in enumerate(high)]
    span += [place(bar, low[bar]) for bar in range(len(bars) - 1, -1, -1)]
    swings = [place(pivot.bar, pivot.price) for pivot in view.pivots]
    swings += [place(len(bars) - 1, float(close[-1]))] if swings else []
    drawn = f'<polygon class="span" points="{points(span)}"/><polyline class="swing" points="{points(swings)}"/>'
    if best is not None and bottom <= best.invalidation <= top:
        y = place(0, best.invalidation)[1]
        drawn += f'<path class="wrong" d="M{swings[-2][0]:.1f} {y:.1f}H{SIDE:.0f}"/>'
    marks = "".join(
        _number(place(pivot.bar, pivot.price), wave, pivot.kind)
        + _dot(place(pivot.confirmed_at, float(close[pivot.confirmed_at])))
        for pivot, wave in zip(view.pivots, view.ended, strict=True)
    )
    label = f"Price with {len(view.pivots)} pivots over {len(bars)} bars"
    dates = "".join(f"<span>{show_time(int(bars.open_time[row]))}</span>" for row in (0, -1))
    return (
        '<figure class="chart"><figcaption>The newest count</figcaption><div class="keys">'
        '<span class="mark known">• when a pivot was known</span>'
        '<span class="mark long">1 to 5: the wave of an impulse up that ended there</span>'
        '<span class="mark short">1 to 5: of one down</span>'
        '<span class="mark wrong">┄ the best count is wrong</span>'
        f'</div><div class="pane wave"><svg role="img" aria-label="{label}" preserveAspectRatio="none" '
        f'viewBox="0 0 {SIDE:.0f} {SIDE:.0f}">{drawn}</svg><div class="on">{marks}</div>'
        f'<span style="top:0">{np.exp(top):,.6g}</span><span style="top:100%">{np.exp(bottom):,.6g}</span></div>'
        f'<div class="dates">{dates}</div></figure>'
    )


def _number(at: tuple[float, float], wave: int, kind: int) -> str:
    """The wave that ended at a pivot, above a high and below a low; empty where none was counted."""
    side, way = "above" if kind > 0 else "below", "up" if wave > 0 else "down"
    return f'<b class="{side} {way}" style="{_style(at)}">{abs(wave)}</b>' if wave else ""


def _dot(at: tuple[float, float]) -> str:
    return f'<i style="{_style(at)}"></i>'


def _style(at: tuple[float, float]) -> str:
    return f"left:{at[0] / SIDE:.2%};top:{at[1] / SIDE:.2%}"


_STYLE = """
.wave{height:340px}
.keys{margin:0 0 12px -14px}
.wave .on{position:absolute;inset:0 0 0 56px}
.wave polygon.span{fill:var(--quiet);fill-opacity:.35;stroke:none}
.wave polyline.swing{stroke:var(--one);stroke-width:1.4}
.wave .wrong{stroke:var(--loss);stroke-width:1.4;stroke-dasharray:6 4;fill:none;vector-effect:non-scaling-stroke}
.chart .mark.known{color:var(--text)}
.chart .mark.wrong{color:var(--loss)}
.wave b{position:absolute;transform:translate(-50%,-130%);font-size:13px;line-height:1}
.wave b.below{transform:translate(-50%,40%)}
.wave b.up{color:var(--one)}
.wave b.down{color:var(--two)}
.wave i{position:absolute;width:5px;height:5px;margin:-2.5px;border-radius:50%;background:var(--text)}
"""  # colours are the page's variables
