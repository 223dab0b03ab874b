"""The page: what it says, what it escapes, what it loads (nothing), and how figures read."""

import re

import numpy as np
import pandas as pd
import pytest

from lstm_backtrader.reporting.drawings import bars, curve, histogram, month_name, scatter, waterfall
from lstm_backtrader.reporting.notes import Note
from lstm_backtrader.reporting.page import Page, Tile, render_page
from lstm_backtrader.reporting.tables import columns_table, format_figure
from lstm_backtrader.reporting.tearsheet import tearsheet_html
from lstm_backtrader.reporting.trade_sections import MAX_TRADES, trades_section

INDEX = pd.date_range("2024-01-01", periods=400, freq="h", tz="UTC")
EQUITY = pd.Series(1000 * np.exp(np.cumsum(np.random.default_rng(2).normal(0, 0.01, 400))), index=INDEX)
EVIL = '"><script>alert(1)</script>'


def trade_rows(n):
    return pd.DataFrame(
        {
            "symbol": [f"<b>{i}" for i in range(n)],
            "side": 1,
            "entry_time": INDEX[0],
            "exit_time": pd.Series([INDEX[1]] * (n - 1) + [pd.NaT], dtype="datetime64[us, UTC]"),
            "entry_price": 100.0,
            "net_profit": -1.5,
            "exit_reason": "signal",
        }
    )


def test_a_page_says_what_it_is_and_promises_nothing():
    html = render_page(
        Page("Mine", "400 bars.", "The account lost 3.00%.", notes=[Note("liquidated", "Two.", "red")])
    )
    assert "400 bars. Past results of a simulation: they promise nothing" in html
    assert "The account lost 3.00%." in html
    assert "<li>Two.</li>" in html


def test_flags_stand_in_the_head_red_ones_first_and_plain_notes_have_none():
    notes = [Note("seam", "a"), Note("in-sample", "b", "red"), Note("position open", "c", "plain")]
    html = render_page(Page("Mine", "", notes=notes))
    flags = re.search(r'<ul class="flags".*?</ul>', html)[0]
    assert re.findall(r'<li class="(\w+)">([^<]+)', flags) == [("red", "in-sample"), ("yellow", "seam")]
    assert "flags" not in render_page(Page("Mine", "")).partition("</style>")[2]


def test_what_is_to_be_typed_is_set_as_code():
    html = render_page(Page("Mine", "400 bars.", notes=[Note("seam", "Type `lbt audit --data <FILE>` now.")]))
    assert "<li>Type <code>lbt audit --data &lt;FILE&gt;</code> now.</li>" in html


def test_a_month_is_named_so_that_it_breaks_before_its_year():
    assert [month_name(month) for month in ("2023-12", "2024-01")] == ["Dec '23", "Jan '24"]


def test_every_text_from_outside_is_escaped():
    html = render_page(
        Page(
            EVIL,
            EVIL,
            EVIL,
            tiles=[Tile(EVIL, EVIL, EVIL)],
            notes=[Note(EVIL, EVIL)],
            sections=[columns_table("account", {EVIL: {"sharpe": 1.0}}, [("sharpe", EVIL, "ratio")], caption=EVIL)],
            tearsheet="<body></body>",
            first_tab=EVIL,
        )
    )
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 14


def test_account_stands_beside_benchmark_and_baselines():
    columns = {"Strategy": {"sharpe": 1.0, "trades": 3}, "Hold": {"sharpe": 0.5}, "Cross": {"sharpe": None}}
    html = columns_table("account", columns, [("sharpe", "Sharpe", "ratio"), ("trades", "Trades", "count")])
    assert re.search(r"Strategy</th><th[^>]*>Hold</th><th[^>]*>Cross</th>", html)
    assert "<td>1.00</td><td>0.50</td><td>n/a</td>" in html
    assert "<td>3</td><td></td><td></td>" in html


def test_a_long_list_of_trades_is_cut_and_says_so():
    html = trades_section(trade_rows(MAX_TRADES + 5), 2)
    assert f"The last {MAX_TRADES} of 205 trades" in html
    assert html.count('<td class="text">long</td>') == MAX_TRADES
    assert "&lt;b&gt;4<" not in html
    assert "&lt;b&gt;204<" in html
    assert "<b>" not in html


def test_no_trade_is_said_in_words():
    assert "No trade was made." in trades_section(trade_rows(1).iloc[:0], 2)


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (-0.1234, "percent", "−12.34 %"),
        (0.5, "share", "50.00 %"),
        (1234.5, "gain", "+1,234.50"),
        (-1e-12, "gain", "0.00"),
        (None, "ratio", "n/a"),
        (1234.5, "ratio", "1,234.50"),
        (float("nan"), "price", "open"),
        (-1, "side", "short"),
        (0.00012345, "price", "0.00012345"),
        (12, "count", "12"),
        (2.25, "hours", "2.2 h"),
    ],
)
def test_figures_read_as_people_write_them(value, kind, text):
    assert format_figure(value, kind) == text


def heights(svg):
    return [
        tuple(map(float, found)) for found in re.findall(r'y="(-?[\d.]+)" width="[\d.]+" height="([\d.]+)"', svg)
    ]


def test_a_histogram_stands_on_its_floor_and_says_what_each_bar_counts():
    svg = histogram(
        "Results", [("below 0", 1, "loss"), ("0 to 1", 0, "long"), ("1 or more", 4, "long")], ["", "0", "1"]
    )
    assert 'aria-label="Results"' in svg
    assert re.findall(r'rect class="(\w+)".*? y="([\d.]+)".*? height="([\d.]+)"', svg) == [
        ("loss", "750.0", "250.0"),
        ("long", "0.0", "1000.0"),
    ]
    assert "<title>below 0: 1</title>" in svg
    assert "<span></span><span>0</span><span>1</span>" in svg


def test_a_waterfall_steps_from_the_first_amount_to_the_last():
    # given 100, +50, -100: levels 100, 150, 50 over the span 0 to 150
    svg = waterfall("Money", [("won", 50.0), ("lost", -100.0)], ("start", 100.0, "final", 50.0), ",.0f")
    unit = 1000 / 150
    expected = [(50 * unit, 100 * unit), (0, 50 * unit), (0, 100 * unit), (100 * unit, 50 * unit)]
    assert np.array(heights(svg)) == pytest.approx(np.array(expected), abs=0.1)
    assert "start 100, won +50, lost −100, final 50" in svg


def test_bars_go_up_and_down_from_the_middle_and_say_their_value():
    svg = bars("IC", [("May", 0.2), ("June", -0.1), (EVIL, None)])
    assert heights(svg) == [(0.0, 500.0), (500.0, 250.0), (500.0, 0.0)]
    assert "<title>June: −0.1000</title>" in svg
    assert "<script" not in svg


def test_points_and_curves_are_placed_by_their_values():
    assert 'class="won" r="7" cx="500" cy="0"' in scatter("MAE", [(-0.1, 0.4, "won"), (-0.2, 0.0, "lost")], "")
    assert 'points="0.0,1000.0 1000.0,0.0"' in curve("Said", [("equity", [(0.4, 0.4), (0.6, 0.6)])], "")


@pytest.fixture(scope="module")
def sheet_page():
    return render_page(Page("Mine", "", tearsheet=tearsheet_html(EQUITY, benchmark=EQUITY * 2, title="Sheet")))


def test_the_tearsheet_is_isolated_from_the_page(sheet_page):
    sheet = sheet_page[sheet_page.index('<template shadowrootmode="open">') : sheet_page.index("</template>")]
    assert ":host{" in sheet
    assert not re.search(r"\bbody[{,]", sheet)
    assert "Key Performance Metrics" in sheet
    assert sheet_page.count("<html") == sheet_page.count("<body") == 1


def test_without_a_tearsheet_there_are_no_tabs(sheet_page):
    assert sheet_page.count('type="radio"') == 2
    assert "radio" not in render_page(Page("Mine", "")).partition("</style>")[2]


def test_the_page_references_nothing_outside_itself(sheet_page):
    assert not re.findall(r'(?:src|href)\s*=\s*["\']?(?!["\']?#)|@import|url\((?!#)', sheet_page)


def test_what_each_bar_is_stands_below_it():
    labels = "<span>start</span><span>won</span><span>lost</span><span>final</span>"
    assert labels in waterfall("Money", [("won", 5.0), ("lost", -9.0)], ("start", 9.0, "final", 5.0), ",.0f")
    assert "<span>&lt;b&gt;</span><span>Tue</span>" in bars("Days", [("<b>", 1.0), ("Tue", None)])
