"""Small still drawings as inline SVG: bars, curves over a square, a waterfall, a scatter of points."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import pandas as pd

from lstm_backtrader.reporting.tables import MINUS, format_figure

SIDE = 1000.0  # units of a drawing, stretched to its pane
_POINT = 7  # radius of a point of a scatter, in the same units


def bars(name: str, values: Sequence[tuple[str, float | None]], kind: str = "signed") -> str:
    """A bar a value, up or down from the middle. `kind`: how a value reads, see `format_figure`."""
    most = max((abs(value) for _, value in values if value is not None), default=0.0) or 1.0
    width = SIDE / max(len(values), 1)
    shapes = []
    for number, (label, value) in enumerate(values):
        height = (value or 0.0) / most * SIDE / 2
        top = SIDE / 2 - max(height, 0.0)
        shapes.append(
            _bar("long" if height >= 0 else "short", (number, width), (top, abs(height)), label, _text(value, kind))
        )
    span = f"{MINUS}{most:.3g} to +{most:.3g}" if kind == "signed" else f"up to {_text(most, kind)} either way"
    return drawing(name, "".join(shapes), span, "low", [label for label, _ in values])


def histogram(name: str, parts: Sequence[tuple[str, int, str]], labels: Sequence[str]) -> str:
    """A bar a part, up from the bottom. `parts`: of what, how many, and the bar's kind; `labels` stand below."""
    most = max((count for _, count, _ in parts), default=0) or 1
    width = SIDE / max(len(parts), 1)
    shapes = [
        _bar(kind, (number, width), (SIDE - height, height), of, f"{count:,}")
        for number, (of, count, kind) in enumerate(parts)
        if (height := count / most * SIDE)
    ]
    return drawing(
        name, "".join(shapes), f"up to {most:,} in one bar, each named by where it begins", "low", labels
    )


def month_name(month: str) -> str:
    """``2024-01`` as it is written below a bar: in two short lines where there is little room.

    >>> month_name("2024-01")
    "Jan '24"
    """
    return f"{pd.Period(month, 'M'):%b} '{month[2:4]}"


def waterfall(
    name: str, steps: Sequence[tuple[str, float]], totals: tuple[str, float, str, float], form: str
) -> str:
    """From one amount by steps to another. `totals`: name and amount of both ends. `form`: of an amount, `,.2f`."""
    first, begin, last, end = totals
    levels, level = [begin, end, 0.0], begin
    for _, step in steps:
        level += step
        levels.append(level)
    low, high = min(levels), max(levels)
    unit = SIDE / ((high - low) or 1.0)
    width = SIDE / (len(steps) + 2)
    shapes = [_bar("total", (0, width), ((high - begin) * unit, (begin - low) * unit), first, f"{begin:{form}}")]
    level = begin
    for number, (label, step) in enumerate(steps, start=1):
        top = max(level, level + step)
        kind = "long" if step >= 0 else "loss"
        shapes.append(
            _bar(kind, (number, width), ((high - top) * unit, abs(step) * unit), label, f"{step:+{form}}")
        )
        level += step
    place = (len(steps) + 1, width)
    shapes.append(_bar("total", place, ((high - end) * unit, (end - low) * unit), last, f"{end:{form}}"))
    words = ", ".join(f"{label} {step:+{form}}" for label, step in steps).replace("-", MINUS)
    said = f"{first} {begin:{form}}, {words}, {last} {end:{form}}"
    return drawing(name, "".join(shapes), said, "low", [first, *(label for label, _ in steps), last])


def curve(name: str, curves: Sequence[tuple[str, Sequence[tuple[float, float]]]], keys: str) -> str:
    """Curves over the square of two shares, with its diagonal. `keys`: HTML that names them."""
    every = [value for _, points in curves for point in points for value in point]
    low, high = min(every), max(every)
    width = high - low or 1.0
    lines = [f'<path class="grid" d="M0 {SIDE:.0f}L{SIDE:.0f} 0"/>']
    for kind, points in curves:
        placed = " ".join(
            f"{(said - low) / width * SIDE:.1f},{(high - came) / width * SIDE:.1f}" for said, came in points
        )
        lines.append(f'<polyline class="{kind}" points="{placed}"/>')
    return drawing(name, "".join(lines), f"{low:.1%} to {high:.1%} both ways {keys}", "square")


def scatter(name: str, points: Sequence[tuple[float, float, str]], caption: str) -> str:
    """Points (x, y, kind) over the spans they fill, both from 0."""
    wide = max((abs(x) for x, _, _ in points), default=0.0) or 1.0
    high = max((abs(y) for _, y, _ in points), default=0.0) or 1.0
    shapes = "".join(
        f'<circle class="{kind}" r="{_POINT}" cx="{abs(x) / wide * SIDE:.0f}" '
        f'cy="{SIDE - abs(y) / high * SIDE:.0f}"/>'
        for x, y, kind in points
    )
    return drawing(name, shapes, f"{caption}; up to {wide:.2%} to the right, up to {high:.2%} upwards", "square")


def drawing(name: str, shapes: str, caption: str, height: str, labels: Sequence[str] = ()) -> str:
    """A figure: `shapes` are SVG, `caption` is HTML, `labels` stand below in as many equal parts."""
    below = "".join(f"<span>{escape(label)}</span>" for label in labels)
    below = f'<div class="labels" aria-hidden="true">{below}</div>' if below else ""
    ratio = "none" if height == "low" else "xMidYMid"
    return (
        f'<figure class="drawing"><svg class="{height}" role="img" aria-label="{escape(name)}" '
        f'preserveAspectRatio="{ratio}" viewBox="0 0 {SIDE:.0f} {SIDE:.0f}">{shapes}</svg>{below}'
        f'<figcaption class="quiet">{escape(name)}: {caption}</figcaption></figure>'
    )


def _bar(kind: str, place: tuple[int, float], span: tuple[float, float], label: str, said: str) -> str:
    number, width = place
    top, height = span
    return (
        f'<rect class="{kind}" x="{number * width + width * 0.1:.1f}" y="{top:.1f}" width="{width * 0.8:.1f}" '
        f'height="{height:.1f}"><title>{escape(label)}: {escape(said)}</title></rect>'
    )


def _text(value: float | None, kind: str) -> str:
    return "–" if value is None else format_figure(value, kind)
