"""The page: what it says, what it escapes, what it loads (nothing), and what a real browser makes of it."""

from __future__ import annotations

import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lstm_backtrader.reporting.chart import equity_chart, keep_extremes
from lstm_backtrader.reporting.metrics import return_metrics
from lstm_backtrader.reporting.page import MAX_TRADES, Page, format_figure, render_page
from lstm_backtrader.reporting.tearsheet import tearsheet_html

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
INDEX = pd.date_range("2024-01-01", periods=400, freq="h", tz="UTC")
EQUITY = pd.Series(1000 * np.exp(np.cumsum(np.random.default_rng(2).normal(0, 0.01, 400))), index=INDEX)
EVIL = '"><script>alert(1)</script>'


def trade_rows(n: int) -> pd.DataFrame:
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


def page(**changes: object) -> Page:
    base = {"title": "Mine", "account": return_metrics(EQUITY), "equity": EQUITY, "start_equity": 1000.0}
    return Page(**{**base, **changes})


def test_a_page_says_what_it_is_and_promises_nothing():
    html = render_page(page(verdict="The account lost 3.00%.", notes=("Liquidations: 2",)))
    assert "Past results of a simulation: they promise nothing" in html
    assert "The account lost 3.00%." in html
    assert "<li>Liquidations: 2</li>" in html
    assert "2024-01-01 00:00 to 2024-01-17 15:00 UTC, 400 bars" in html


def test_every_text_from_outside_is_escaped():
    figures = return_metrics(EQUITY)
    html = render_page(
        page(
            title=EVIL,
            verdict=EVIL,
            notes=(EVIL,),
            baselines={EVIL: figures},
            benchmark=figures,
            benchmark_name=EVIL,
            parameters={EVIL: EVIL},
            trades=trade_rows(3).assign(exit_reason=EVIL),
        )
    )
    assert "<script" not in html
    assert "<b>0" not in html
    assert html.count("&lt;script&gt;") == 11  # title twice, verdict, note, 2 names, parameter twice, 3 reasons


def test_account_stands_beside_benchmark_and_baselines():
    figures = return_metrics(EQUITY)
    html = render_page(page(benchmark=figures, benchmark_name="Hold", baselines={"Cross": {"sharpe": None}}))
    assert re.search(r"Strategy</th><th[^>]*>Hold</th><th[^>]*>Cross</th>", html)
    assert re.search(r"Sharpe ratio[^<]*</th><td>[^<]+</td><td>[^<]+</td><td>n/a</td>", html)


def test_a_long_list_of_trades_is_cut_and_says_so():
    html = render_page(page(trades=trade_rows(MAX_TRADES + 5)))
    assert f"The last {MAX_TRADES} of 205 trades" in html
    assert html.count('<td class="text">long</td>') == MAX_TRADES
    assert "&lt;b&gt;4<" not in html
    assert "&lt;b&gt;204<" in html


def test_no_trade_is_said_in_words():
    assert "No trade was made." in render_page(page(trades=trade_rows(1).iloc[:0]))


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (-0.1234, "percent", "−12.34 %"),
        (0.5, "share", "50.00 %"),
        (1234.5, "gain", "+1,234.50"),
        (-1e-12, "gain", "0.00"),
        (None, "ratio", "n/a"),
        (float("nan"), "price", "open"),
        (-1, "side", "short"),
        (0.00012345, "price", "0.00012345"),
        (12, "count", "12"),
    ],
)
def test_figures_read_as_people_write_them(value, kind, text):
    assert format_figure(value, kind) == text


@given(arrays(float, st.integers(1, 400), elements=st.floats(-1e6, 1e6)), st.integers(1, 20))
def test_thinning_keeps_the_ends_and_the_extremes(values, buckets):
    kept = keep_extremes(values, buckets)
    assert (np.diff(kept) > 0).all()
    assert len(kept) <= max(4 * buckets, 1)
    assert {0, len(values) - 1} <= set(kept.tolist())
    assert (values[kept].min(), values[kept].max()) == (values.min(), values.max())


@pytest.mark.parametrize("equity", [EQUITY, EQUITY * 0 + 5, EQUITY - EQUITY.max(), EQUITY**3, EQUITY.iloc[:1]])
def test_a_chart_is_drawn_of_any_equity(equity):
    svg = equity_chart(equity, None, 1000.0)
    points = [float(n) for n in re.findall(r"-?[\d.]+", " ".join(re.findall(r'points="([^"]*)"', svg)))]
    assert all(-0.1 <= n <= 1000.1 for n in points)
    assert "nan" not in svg.lower()
    assert svg.count('role="img" aria-label="') == 2


@pytest.fixture(scope="module")
def full_page(tmp_path_factory):
    sheet = tearsheet_html(EQUITY, benchmark=EQUITY * 2, title="Sheet")
    html = render_page(page(tearsheet=sheet, benchmark_equity=EQUITY[::-1].set_axis(INDEX), trades=trade_rows(3)))
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(html, encoding="utf-8")
    return file


def test_the_tearsheet_is_isolated_from_the_page(full_page):
    html = full_page.read_text(encoding="utf-8")
    sheet = html[html.index('<template shadowrootmode="open">') : html.index("</template>")]
    assert ":host{" in sheet
    assert not re.search(r"\bbody[{,]", sheet)
    assert "Key Performance Metrics" in sheet
    assert html.count("<html") == html.count("<body") == 1


def test_the_page_references_nothing_outside_itself(full_page):
    html = full_page.read_text(encoding="utf-8")
    assert not re.findall(r'(?:src|href)\s*=\s*["\']?(?!["\']?#)|@import|url\((?!#)', html)
    assert "<script" not in html


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not on PATH")
@pytest.mark.parametrize("width", [400, 1200])
def test_a_browser_shows_the_page_and_its_tearsheet(full_page, tmp_path, width):
    shot = tmp_path / "shot.png"
    flags = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync"
    command = [CHROMIUM, *flags.split(), "--disable-component-update", f"--user-data-dir={tmp_path / 'profile'}"]
    probe = tmp_path / "probe.html"  # what a shadow root holds only a script can tell, and the page has none
    look = "document.title = document.querySelector('.sheet').shadowRoot.querySelector('table').textContent"
    probe.write_text(full_page.read_text(encoding="utf-8") + f"<script>{look}</script>", encoding="utf-8")
    command += [f"--window-size={width},1200", f"--screenshot={shot}", "--dump-dom", probe.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert shot.stat().st_size > 10_000
    assert "<h1>Mine</h1>" in done.stdout
    title = re.search(r"<title>(.*?)</title>", done.stdout, flags=re.DOTALL)
    assert title
    assert "Cumulative Return" in title[1]
