"""The linked chart as HTML: its numbers packed small, for the script of the page to draw with plotly."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lstm_backtrader.reporting.panels import Floats, LinkedChart, Marks, Panel, Stretches

MOST_BARS = 120_000  # drawn one by one; of more the extremes of as many stretches as fit
MOST_MARKS = 20_000  # of one kind; the first are the most telling
_EXTREMES_A_STRETCH = 2

_D3_FORMAT = {"money": ",.2f", "price": ",.6~g", "percent": ".2%", "ratio": ".4~g"}


def linked_chart(chart: LinkedChart, still: str) -> str:
    """`still`: HTML shown in its place where there is no script, and on paper."""
    return (
        f'<div class="linked">\n<div class="still">{still}</div>\n'
        f'<div class="live" role="group" aria-label="{escape(chart.name)}" hidden></div>\n'
        '<p class="quiet hint" hidden>Drag across to zoom all panels, double-click to see all again.</p>\n'
        f"{packed('chart-data', json.dumps(chart_data(chart)))}</div>"
    )


def chart_script() -> str:
    """Plotly, packed, and the script that unpacks and drives it: what a page with linked charts ends with."""
    from plotly.offline import get_plotlyjs

    script = (files("lstm_backtrader.reporting") / "page.js").read_text(encoding="utf-8")
    return f"{packed('plotly', get_plotlyjs())}\n<script>{script}</script>"


def packed(name: str, text: str) -> str:
    """A text as an element of the page that no browser runs or shows; gzip in base64."""
    data = base64.b64encode(gzip.compress(text.encode(), compresslevel=9, mtime=0)).decode()
    return f'<script type="application/gzip" id="{name}">{data}</script>'


def chart_data(chart: LinkedChart) -> dict[str, Any]:
    """The chart as plain values: what `page.js` draws."""
    kept = kept_bars([values for panel in chart.panels for values in _lines(panel)], len(chart.times))
    stamps = _milliseconds(chart.times)[kept]
    return {
        "steps": _packed_array(np.diff(stamps, prepend=0.0), "<f8"),  # even bars have even steps, which pack well
        "thinned": len(kept) < len(chart.times),
        "panels": [_panel(panel, kept) for panel in chart.panels],
        "shades": [
            {"name": escape(name), "from": _moment(begin), "to": _moment(end)}
            for name, (begin, end) in chart.shades.items()
        ],
    }


def kept_bars(lines: Sequence[Floats], n: int, most: int = MOST_BARS) -> NDArray[np.int64]:
    """Increasing rows of `n` bars: all, or about `most`, with the extremes of every line in every stretch."""
    if n <= most or not lines:
        return np.arange(n)
    stretches = max(1, most // (_EXTREMES_A_STRETCH * len(lines)))
    edges = np.linspace(0, n, stretches + 1).astype(np.int64)
    kept = [edges[:-1], np.array([n - 1])]
    for values in lines:
        for find, missing in ((np.argmin, np.inf), (np.argmax, -np.inf)):
            filled = np.where(np.isfinite(values), values, missing)
            kept.append(np.array([a + int(find(filled[a:b])) for a, b in pairwise(edges)], dtype=np.int64))
    return np.unique(np.concatenate(kept))


def _lines(panel: Panel) -> list[Floats]:
    return [
        *(curve.points for curve in panel.curves),
        *(side for band in panel.bands for side in (band.low, band.high)),
    ]


def _panel(panel: Panel, kept: NDArray[np.int64]) -> dict[str, Any]:
    return {
        "key": panel.key,
        "title": escape(panel.title),
        "height": panel.height,
        "log": panel.is_log,
        "format": _D3_FORMAT[panel.form],
        "curves": [
            {
                "name": escape(curve.name),
                "values": _packed_array(curve.points[kept], "<f4"),
                "colour": curve.colour,
                "width": curve.width,
                "filled": curve.is_filled,
                "dashed": curve.is_dashed,
                "step": curve.is_step,
            }
            for curve in panel.curves
        ],
        "bands": [
            {
                "name": escape(band.name),
                "low": _packed_array(band.low[kept], "<f4"),
                "high": _packed_array(band.high[kept], "<f4"),
                "colour": band.colour,
            }
            for band in panel.bands
        ],
        "marks": [_marks(marks) for marks in panel.marks if len(marks.times)],
        "stretches": [_stretches(stretches) for stretches in panel.stretches if len(stretches.begins)],
        "levels": [{"value": level.value, "colour": level.colour} for level in panel.levels],
    }


def _marks(marks: Marks) -> dict[str, Any]:
    return {
        "name": escape(marks.name),
        "symbol": marks.symbol,
        "colour": marks.colour,
        "times": _packed_array(_milliseconds(marks.times)[:MOST_MARKS], "<f8"),
        "values": _packed_array(marks.points[:MOST_MARKS], "<f4"),
        "texts": [escape(text) for text in marks.texts[:MOST_MARKS]],
    }


def _stretches(stretches: Stretches) -> dict[str, Any]:
    return {
        "name": escape(stretches.name),
        "colour": stretches.colour,
        "begins": _packed_array(_milliseconds(stretches.begins)[:MOST_MARKS], "<f8"),
        "ends": _packed_array(_milliseconds(stretches.ends)[:MOST_MARKS], "<f8"),
        "values": _packed_array(stretches.points[:MOST_MARKS], "<f4"),
    }


def _packed_array(values: NDArray[Any], kind: str) -> str:
    return base64.b64encode(values.astype(kind).tobytes()).decode()


def _milliseconds(times: pd.DatetimeIndex) -> Floats:
    naive = times if times.tz is None else times.tz_convert("UTC").tz_localize(None)
    return np.asarray(naive.as_unit("ms").asi8, dtype=np.float64)


def _moment(time: pd.Timestamp) -> float:
    return float(_milliseconds(pd.DatetimeIndex([time]))[0])
