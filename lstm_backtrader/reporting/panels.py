"""What the linked chart shows: panels one below the other over one axis of time, with curves and marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Colour = Literal["one", "two", "three", "loss", "text", "quiet"]
Symbol = Literal["triangle-up", "triangle-down", "circle-open", "x", "x-open", "diamond", "square", "star"]
Form = Literal["money", "price", "percent", "ratio"]
Floats = NDArray[np.float64]

LOG_FROM = 8.0  # highest over lowest value from which the scale is logarithmic


@dataclass(frozen=True)
class Curve:
    """A line over all bars of the run: `points` (T,), NaN where it has none."""

    name: str
    points: Floats
    colour: Colour = "one"
    width: float = 1.4
    is_filled: bool = False  # down to zero
    is_dashed: bool = False
    is_step: bool = False


@dataclass(frozen=True)
class Band:
    """The area between two lines: `low` and `high` (T,)."""

    name: str
    low: Floats
    high: Floats
    colour: Colour = "quiet"


@dataclass(frozen=True)
class Marks:
    """Single points, the most telling first: `times` (N,) in UTC, `points` (N,), and a text each to hover over."""

    name: str
    times: pd.DatetimeIndex
    points: Floats
    symbol: Symbol
    colour: Colour
    texts: Sequence[str] = ()


@dataclass(frozen=True)
class Stretches:
    """Dashed horizontal lines that each last a while, the most telling first.

    `begins`, `ends` (N,) in UTC; `points` (N,): their heights.
    """

    name: str
    begins: pd.DatetimeIndex
    ends: pd.DatetimeIndex
    points: Floats
    colour: Colour


@dataclass(frozen=True)
class Level:
    """A horizontal line."""

    value: float
    colour: Colour = "quiet"


@dataclass(frozen=True)
class Panel:
    """One pane of the chart; `key` is what an overlay calls it by."""

    key: str
    title: str
    form: Form
    height: int  # pixels
    curves: tuple[Curve, ...] = ()
    bands: tuple[Band, ...] = ()
    marks: tuple[Marks, ...] = ()
    stretches: tuple[Stretches, ...] = ()
    levels: tuple[Level, ...] = ()
    is_log: bool = False


@dataclass(frozen=True)
class Overlay:
    """Curves and marks that something else draws onto a panel of the chart, say waves onto the price.

    `panel`: the key of a panel: price, forecast, equity, drawdown, leverage, liquidation or costs. Where the run
    has no such panel the overlay is left out.
    """

    panel: str
    curves: tuple[Curve, ...] = ()
    marks: tuple[Marks, ...] = ()
    levels: tuple[Level, ...] = ()


@dataclass(frozen=True)
class LinkedChart:
    """Panels over the same bars. `times` (T,): their open times, UTC. `name`: what it shows, in words."""

    times: pd.DatetimeIndex
    panels: tuple[Panel, ...]
    name: str
    shades: Mapping[str, tuple[pd.Timestamp, pd.Timestamp]] = field(default_factory=dict)

    def with_overlays(self, overlays: Sequence[Overlay]) -> LinkedChart:
        """The chart with what others draw onto its panels."""
        panels = list(self.panels)
        for overlay in overlays:
            for number, panel in enumerate(panels):
                if panel.key == overlay.panel:
                    panels[number] = replace(
                        panel,
                        curves=(*panel.curves, *overlay.curves),
                        marks=(*panel.marks, *overlay.marks),
                        levels=(*panel.levels, *overlay.levels),
                    )
        return replace(self, panels=tuple(panels))


def wants_log(curves: Sequence[Floats]) -> bool:
    """Whether the values of a panel are better read on a logarithmic scale."""
    known = np.concatenate([values[np.isfinite(values)] for values in curves]) if curves else np.empty(0)
    return bool(len(known)) and float(known.min()) > 0 and float(known.max()) > LOG_FROM * float(known.min())
