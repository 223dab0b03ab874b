"""The linked chart: what is kept of a long run, what others may draw onto it, and what a browser makes of it."""

import base64
import gzip
import json
import re

import numpy as np
import pandas as pd
import pytest
from browser import chromium, needs_chromium
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lstm_backtrader.reporting.linked import MOST_BARS, chart_data, kept_bars, linked_chart
from lstm_backtrader.reporting.page import Page, render_page
from lstm_backtrader.reporting.panels import Band, Curve, Level, LinkedChart, Marks, Overlay, Panel, Stretches
from lstm_backtrader.reporting.tearsheet import tearsheet_html

EVIL = '<img src=x onerror="alert(1)"><script>alert(2)</script>'


def hours(n):
    return pd.date_range("2024-01-01", periods=n, freq="h", tz="UTC")


def chart_of(n=500, title="Price", **changes):
    rng = np.random.default_rng(0)
    price = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, n)))
    times = hours(n)
    marks = Marks("long", times[[n // 2]], price[[n // 2]], "triangle-up", "one", [f"bought {title}"])
    stops = Stretches("stop", times[[10, 400]], times[[40, 420]], price[[10, 400]] * 0.95, "loss")
    band = Band("bar", price * 0.99, price * 1.01)
    top = Panel("price", title, "price", 200, (Curve("close", price),), (band,), (marks,), (stops,))
    low = Panel("equity", "Equity", "money", 100, (Curve("strategy", price * 10), Curve("held", price * 9, "two")))
    return LinkedChart(times, (top, low), "Price and equity", **changes)


def unpacked(html, name):
    text = re.search(rf'<script type="application/gzip" id="{name}">([^<]*)</script>', html)[1]
    return gzip.decompress(base64.b64decode(text)).decode()


def floats(text, kind="<f4"):
    return np.frombuffer(base64.b64decode(text), dtype=kind)


def test_the_data_of_a_chart_come_back_as_they_went():
    chart = chart_of()
    data = json.loads(unpacked(linked_chart(chart, ""), "chart-data"))
    times = np.cumsum(floats(data["steps"], "<f8"))
    assert times.tolist() == chart.times.as_unit("ms").asi8.tolist()
    assert floats(data["panels"][0]["curves"][0]["values"]) == pytest.approx(chart.panels[0].curves[0].points)
    assert data["thinned"] is False
    (stops,) = data["panels"][0]["stretches"]
    given = chart.panels[0].stretches[0]
    assert floats(stops["begins"], "<f8").tolist() == given.begins.as_unit("ms").asi8.tolist()
    assert floats(stops["ends"], "<f8").tolist() == given.ends.as_unit("ms").asi8.tolist()
    assert floats(stops["values"]) == pytest.approx(given.points)
    assert [panel["key"] for panel in data["panels"]] == ["price", "equity"]


@given(arrays(float, (2, 300), elements=st.floats(-1e6, 1e6) | st.just(np.nan)), st.integers(10, 200))
def test_thinning_keeps_the_ends_and_the_extremes_of_every_line(lines, most):
    kept = kept_bars(list(lines), 300, most)
    assert (np.diff(kept) > 0).all()
    assert {0, 299} <= set(kept.tolist())
    for line in lines:
        if np.isfinite(line).any():
            assert np.nanmin(line[kept]) == np.nanmin(line)
            assert np.nanmax(line[kept]) == np.nanmax(line)


def test_a_run_that_fits_is_kept_whole_and_a_longer_one_keeps_a_spike():
    line = np.zeros(3 * MOST_BARS)
    line[1234] = 9.0
    assert len(kept_bars([line], MOST_BARS)) == MOST_BARS
    kept = kept_bars([line], len(line))
    assert 1234 in kept
    assert len(kept) < 1.6 * MOST_BARS


def test_an_overlay_is_drawn_onto_its_panel_and_left_out_where_there_is_none():
    wave = Overlay("price", curves=(Curve("wave", np.ones(500)),), levels=(Level(1.0),))
    nowhere = Overlay("liquidation", curves=(Curve("x", np.ones(500)),))
    panels = chart_data(chart_of().with_overlays([wave, nowhere]))["panels"]
    assert [[curve["name"] for curve in panel["curves"]] for panel in panels] == [
        ["close", "wave"],
        ["strategy", "held"],
    ]
    assert panels[0]["levels"] == [{"value": 1.0, "colour": "quiet"}]


def test_texts_of_a_chart_are_escaped():
    chart = LinkedChart(hours(2), (Panel(EVIL, EVIL, "price", 90, (Curve(EVIL, np.ones(2)),)),), EVIL)
    html = linked_chart(chart, "")
    data = unpacked(html, "chart-data")
    assert "<img" not in html
    assert "<img" not in json.loads(data)["panels"][0]["title"]
    assert "<img" not in json.loads(data)["panels"][0]["curves"][0]["name"]


# --- in a browser -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def open_page(tmp_path_factory):
    """Chromium with a page of two panels and a tearsheet."""
    folder = tmp_path_factory.mktemp("browser")
    chart = chart_of(title=f"Price of {EVIL}")
    equity = pd.Series(chart.panels[1].curves[0].points, index=chart.times)
    table = '<table class="sortable"><thead><tr><th>N</th></tr></thead><tbody>{}</tbody></table>'
    rows = "".join(f"<tr><td>{text}</td></tr>" for text in ("2.00", "−10.00", "+1,000.00"))
    page = Page(
        "Mine",
        "A page.",
        chart=chart,
        still='<p id="still">still</p>',
        sections=[f'<p id="own">own</p>{table.format(rows)}'],
        tearsheet=tearsheet_html(equity, title="Sheet"),
    )
    file = folder / "report.html"
    file.write_text(render_page(page), encoding="utf-8")
    with chromium(folder / "profile") as open_url:
        yield lambda **kwargs: open_url(file.as_uri(), **kwargs)


def drawn(page):
    page.until("document.querySelector('.drawn') !== null")
    return page


def lines(page):
    """The path of the first line of each panel, as drawn."""
    return page.run(
        "[...document.querySelectorAll('.live .subplot')].map(each => each.querySelector('.lines .js-line')"
        ".getAttribute('d'))"
    )


@needs_chromium
def test_the_page_opens_from_disk_without_a_request_or_an_error(open_page):
    page = drawn(open_page())
    assert [url.rpartition("/")[2] for url in page.requests] == ["report.html"]
    assert page.problems == []
    assert page.run("document.querySelectorAll('.live img, .live script').length") == 0
    assert page.run("document.querySelector('.live').getAttribute('aria-label')") == "Price and equity"
    assert page.run("getComputedStyle(document.querySelector('#still')).display") == "block"
    assert page.run("document.querySelector('#still').offsetParent") is None


@needs_chromium
def test_zoom_on_one_panel_moves_the_others_and_a_double_click_shows_all(open_page):
    # given
    page = drawn(open_page())
    before = lines(page)
    x, y = page.middle_of(".live .nsewdrag")

    # when the middle of the price panel is dragged across
    page.drag((x - 100, y), (x + 100, y))
    page.until("new Date(document.querySelector('.live')._fullLayout.xaxis.range[0]) > new Date('2024-01-05')")
    page.until("document.querySelector('.live').data[0].x.length < 200")

    # then both panels show that stretch
    after = lines(page)
    assert len(before) == len(after) == 2
    assert all(one != other for one, other in zip(before, after, strict=True))

    # when
    page.run("document.querySelector('.live').emit('plotly_doubleclick')")

    # then
    page.until("document.querySelector('.live').data[0].x.length >= 500")
    assert lines(page) == before
    assert page.problems == []


@needs_chromium
def test_stretches_are_drawn_dashed_and_only_where_they_are_seen(open_page):
    # given
    page = drawn(open_page())
    trace = "document.querySelector('.live').data.find(trace => trace.name === 'stop')"
    begins, ends = (hours(500).as_unit("ms").asi8[rows].tolist() for rows in ([10, 400], [40, 420]))
    assert page.run(f"{trace}.x") == [begins[0], ends[0], None, begins[1], ends[1], None]
    assert page.run(f"{trace}.line.dash") == "dot"

    # when
    span = [begins[1] + 3_600_000, ends[1] + 9 * 3_600_000]
    page.run(f"void Plotly.relayout(document.querySelector('.live'), {{'xaxis.range': {span}}})")

    # then the one that is partly in view is whole
    page.until(f"{trace}.x.length === 3")
    assert page.run(f"{trace}.x") == [begins[1], ends[1], None]
    assert page.problems == []


@needs_chromium
def test_tabs_switch_to_the_tearsheet_and_back(open_page):
    page = drawn(open_page())
    seen = "[...document.querySelectorAll('.page-1, .page-2')].map(each => each.offsetParent !== null)"
    assert page.run(seen) == [True, False]
    page.click(page.middle_of("[for=tab-2]"))
    assert page.run(seen) == [False, True]
    words = "document.querySelector('.sheet').shadowRoot.querySelector('table').textContent"
    assert "Cumulative Return" in page.run(words)
    page.click(page.middle_of("[for=tab-1]"))
    assert page.run(seen) == [True, False]


@needs_chromium
def test_both_themes_colour_page_and_chart_alike(open_page):
    page = drawn(open_page(theme="dark"))
    back = "getComputedStyle(document.body).backgroundColor"
    paper = "document.querySelector('.live .main-svg').style.background"
    assert page.run(back) == page.run(paper) == "rgb(13, 17, 23)"
    page.use_theme("light")
    page.until(f"{paper} === 'rgb(255, 255, 255)'")
    assert page.run(back) == "rgb(255, 255, 255)"


@needs_chromium
@pytest.mark.parametrize("tab", [1, 2])
def test_a_telephone_never_scrolls_sideways(open_page, tab):
    page = drawn(open_page(width=400, height=800))
    page.click(page.middle_of(f"[for=tab-{tab}]"))
    assert page.run("[innerWidth, document.documentElement.scrollWidth]") == [400, 400]


@needs_chromium
def test_a_click_on_a_column_sorts_the_table(open_page):
    page = drawn(open_page())
    cells = "[...document.querySelectorAll('table.sortable td')].map(each => each.textContent)"
    page.click(page.middle_of("table.sortable button"))
    assert page.run(cells) == ["+1,000.00", "2.00", "−10.00"]
    page.click(page.middle_of("table.sortable button"))
    assert page.run(cells) == ["−10.00", "2.00", "+1,000.00"]


@needs_chromium
def test_without_scripts_the_still_drawings_and_tables_are_there(open_page):
    page = open_page(script=False)
    visible = (
        "[...document.querySelectorAll('#still, #own, table.sortable')].map(each => each.offsetParent !== null)"
    )
    assert page.run(visible) == [True, True, True]
    assert page.run("document.querySelector('.live').hidden") is True


@needs_chromium
def test_on_paper_both_pages_and_the_still_drawings_are_printed(open_page):
    page = drawn(open_page())
    page.use_media("print")
    shown = "['#still', '#own', '.page-2', '.live', '.tabs'].map(each => "
    shown += "getComputedStyle(document.querySelector(each)).display !== 'none')"
    assert page.run(shown) == [True, True, True, False, False]
    assert page.pdf().startswith(b"%PDF")
