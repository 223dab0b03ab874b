"""Figures and tables as a reader sees them: HTML in which every text from outside is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd

MINUS = "\N{MINUS SIGN}"
TEXTS = {"text", "side", "time"}
_FORMATS = {
    "money": ",.{digits}f",
    "gain": "+,.{digits}f",
    "percent": "+,.2f",
    "share": ",.2f",
    "rate": ",.4f",
    "ratio": ",.2f",
    "signed": "+.4f",
    "error": ".4f",
    "count": ",.0f",
    "hours": ",.1f",
    "price": ",.6g",
    "level": ",.6g",
    "multiple": "+,.2f",
}

Fact = tuple[str, str, str]  # key, name, how it reads


def format_figure(value: object, kind: str, money_digits: int = 2) -> str:
    """A figure for people; `n/a` where it is undefined."""
    # the stubs of pandas know no `object`
    if value is None or (not isinstance(value, str) and pd.isna(value)):  # type: ignore[call-overload]  # pandas takes any object
        return "n/a" if kind not in {"time", "price"} else "open"
    if kind == "time" and isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d %H:%M}"
    if kind == "text" or not isinstance(value, int | float):
        return str(value)
    if kind == "side":
        return "long" if value > 0 else "short"
    unit, factor = (" %", 100) if kind in {"percent", "share", "rate"} else ("", 1)
    unit = " h" if kind == "hours" else unit
    text = format(value * factor, _FORMATS[kind].format(digits=money_digits)) + unit
    return text.replace("-", MINUS) if any(digit in text for digit in "123456789") else text.lstrip("+-")


def cell(value: object, kind: str, money_digits: int = 2) -> str:
    """One cell; a loss is marked as one."""
    text = format_figure(value, kind, money_digits)
    falls = kind in {"gain", "percent", "multiple"} and isinstance(value, int | float) and text.startswith(MINUS)
    classes = " ".join(name for name, applies in (("text", kind in TEXTS), ("loss", falls)) if applies)
    return f'<td class="{classes}">{escape(text)}</td>' if classes else f"<td>{escape(text)}</td>"


def row(name: str, cells: Sequence[str], kind: str = "") -> str:
    """A row of a table: `cells` are HTML, `name` is escaped."""
    classes = f' class="{kind}"' if kind else ""
    return f'<tr{classes}><th scope="row">{escape(name)}</th>{"".join(cells)}</tr>'


def table(kind: str, rows: Sequence[str], heads: Sequence[str] | None = None, caption: str = "") -> str:
    """A table that scrolls by itself where it is wide. `heads`: names of the columns after the first."""
    top = ""
    if heads is not None:
        names = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
        top = f"<thead><tr><td></td>{names}</tr></thead>"
    return wide(kind, f"{_caption(caption)}{top}\n<tbody>" + "\n".join(rows) + "</tbody>")


def wide(kind: str, content: str, classes: str = "") -> str:
    """The frame of a table: `content` is HTML."""
    named = f' class="{classes}"' if classes else ""
    return f'<div class="wide {kind}" tabindex="0"><table{named}>{content}</table></div>'


def facts(kind: str, known: Mapping[str, object], names: Sequence[Fact], money_digits: int = 2) -> str:
    """A table of those figures of `names` that are `known`; empty without any."""
    rows = [row(name, [cell(known[key], form, money_digits)]) for key, name, form in names if key in known]
    return table(kind, rows) if rows else ""


def columns_table(
    kind: str,
    columns: Mapping[str, Mapping[str, object]],
    names: Sequence[Fact],
    money_digits: int = 2,
    splits: Sequence[str] = (),
    caption: str = "",
) -> str:
    """Figures side by side, a column each; what none of them has is left out. `splits`: keys that begin a part."""
    rows = [
        row(
            name,
            [
                cell(figures[key], form, money_digits) if key in figures else "<td></td>"
                for figures in columns.values()
            ],
            "split" if key in splits else "",
        )
        for key, name, form in names
        if any(key in figures for figures in columns.values())
    ]
    return table(kind, rows, list(columns), caption)


def _caption(text: str) -> str:
    return f"<caption>{escape(text)}</caption>" if text else ""
