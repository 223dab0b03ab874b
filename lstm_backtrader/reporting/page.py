"""One self-contained HTML page: what to believe, a chart, sections, and the tearsheet on a second tab."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files

from lstm_backtrader.reporting.linked import chart_script, linked_chart
from lstm_backtrader.reporting.notes import Note
from lstm_backtrader.reporting.panels import LinkedChart

DISCLAIMER = "Past results of a simulation: they promise nothing about the future."
STYLE = (files("lstm_backtrader.reporting") / "page.css").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Tile:
    """A figure of the head: what it is, how much, and what to see it beside."""

    name: str
    value: str
    beside: str = ""
    is_bad: bool = False


@dataclass(frozen=True)
class Page:
    """What a page shows. Texts are escaped when they are written; `still` and `sections` are HTML."""

    title: str
    lead: str  # what was run, from when to when
    verdict: str = ""
    tiles: Sequence[Tile] = ()
    notes: Sequence[Note] = ()  # what a reader must know before he believes a figure
    chart: LinkedChart | None = None
    still: str = ""  # drawings in place of the chart, where there is no script and on paper
    sections: Sequence[str] = ()
    tearsheet: str | None = None  # a complete HTML document
    first_tab: str = "Account"


def render_page(page: Page) -> str:
    """The page as one HTML document that loads nothing, and whose tables need no script."""
    drawn = page.still if page.chart is None else linked_chart(page.chart, page.still)
    body = "\n".join(part for part in (drawn, *page.sections) if part)
    if page.tearsheet is not None:
        body = _tabs(page.first_tab, body, _tearsheet(page.tearsheet))
    notes = "".join(f"<li>{with_code(note.text)}</li>" for note in page.notes)
    return "\n".join(
        [
            document_head(page.title),
            f"<header><h1>{escape(page.title)}</h1>",
            f'<p class="quiet">{escape(page.lead)} {DISCLAIMER}</p>',
            f'<p class="verdict">{escape(page.verdict)}</p>' if page.verdict else "",
            _tiles(page.tiles),
            _flags(page.notes),
            f'<ul class="notes">{notes}</ul>' if notes else "",
            "</header>",
            body,
            "</main>",
            "" if page.chart is None else chart_script(),
            "</body>\n</html>\n",
        ]
    )


def document_head(title: str, style: str = "") -> str:
    """The document up to its first element. `style`: CSS beyond the house's."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}{style}</style>\n</head>\n<body>\n<main>"
    )


def with_code(text: str) -> str:
    """Escaped, what stands between backticks as something to type."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _tiles(tiles: Sequence[Tile]) -> str:
    shown = "".join(
        f'<div class="tile"><dt>{escape(tile.name)}</dt><dd{" class=loss" if tile.is_bad else ""}>'
        f"{escape(tile.value)}{f'<small>{escape(tile.beside)}</small>' if tile.beside else ''}</dd></div>"
        for tile in tiles
    )
    return f'<dl class="tiles">{shown}</dl>' if shown else ""


def _flags(notes: Sequence[Note]) -> str:
    order = sorted((note for note in notes if note.level != "plain"), key=lambda note: note.level)  # red first
    shown = "".join(f'<li class="{note.level}">{escape(note.flag)}</li>' for note in order)
    return f'<ul class="flags" aria-label="Flags">{shown}</ul>' if shown else ""


def _tabs(name: str, first: str, second: str) -> str:
    """Two pages behind two tabs, switched without a script; on paper one after the other."""
    return (
        '<input class="tab" type="radio" name="tab" id="tab-1" checked>'
        '<input class="tab" type="radio" name="tab" id="tab-2">\n'
        f'<div class="tabs"><label for="tab-1">{escape(name)}</label>'
        '<label for="tab-2">QuantStats tearsheet</label></div>\n'
        f'<section class="page-1" aria-label="{escape(name)}">\n{first}\n</section>\n'
        f'<section class="page-2" aria-label="QuantStats tearsheet">\n{second}\n</section>'
    )


def _tearsheet(document: str) -> str:
    """The tearsheet in a shadow root, so that its styles and ours do not meet."""
    body = re.search(r"<body[^>]*>(.*)</body>", document, flags=re.DOTALL)
    styles = "".join(re.findall(r"<style>(.*?)</style>", document, flags=re.DOTALL))
    content = re.sub(r"<style>.*?</style>", "", body[1] if body else document, flags=re.DOTALL)
    scoped = re.sub(r"\bbody(?=[{,])", ":host", styles.replace("*{white-space:auto !important;}", ""))
    return (
        '<h2>Tearsheet by QuantStats, from daily returns</h2>\n<div class="sheet"><template shadowrootmode="open">'
        f"<style>{scoped}{_SHEET_STYLE}</style>{content}</template></div>"
    )


_SHEET_STYLE = """
:host{display:block;margin:0!important;padding:16px}
.container{display:flow-root;max-width:100%!important}
h1{font-size:20px}h1 dt{display:block!important;margin:0!important}
@media(max-width:1060px){#left,#right{float:none!important;width:100%!important;margin:0!important}
#left svg{height:auto;margin:0!important}}
"""
