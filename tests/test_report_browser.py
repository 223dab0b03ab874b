"""A whole report in a real browser, cut off from the network: all is there, and nothing from outside runs."""

from io import StringIO

import pandas as pd
import pytest
from browser import chromium, needs_chromium
from report_run import full_run

from lstm_backtrader.reporting import report as report_module
from lstm_backtrader.reporting.recorder import run_record
from lstm_backtrader.reporting.report import report

EVIL = '"><script>window.evil = 1</script><img src="http://evil.example/x" onerror="window.evil = 1">{{title}}'

HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def open_report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report_module, "tearsheet_html", lambda *_, **__: "<body><p>sheet</p></body>")
        done = report(
            full_run(),
            folder / "out",
            title=EVIL,
            parameters={EVIL: EVIL},
            baselines={EVIL: full_run()},
            inputs={EVIL: EVIL},
        )
    with chromium(folder / "profile") as open_url:
        yield lambda **kwargs: open_url(done.html.as_uri(), **kwargs)


@needs_chromium
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1200])
def test_a_hostile_report_shows_everything_and_runs_nothing(open_report, width, theme):
    # when
    page = open_report(width=width, theme=theme)
    page.until("document.querySelector('.drawn') !== null")

    # then
    assert page.problems == []
    assert [url.partition(":")[0] for url in page.requests] == ["file"]
    assert page.run("window.evil") is None
    assert page.run("document.querySelectorAll('img').length") == 0
    assert page.run("document.documentElement.scrollWidth") == width
    assert page.run("document.querySelectorAll('.live .subplot').length") == 7
    named = "[...document.querySelectorAll('svg[role=img], .live')].every(each => each.getAttribute('aria-label'))"
    assert page.run(named) is True
    heads = page.run("[...document.querySelectorAll('.page-1 h2')].map(each => each.textContent)")
    assert heads == [
        "By what the model knew",
        "Account",
        "From gross to net",
        "Trades, long and short",
        "Forecast",
        "Luck or skill",
        "At other costs and sizes",
        "What the simulation rests on",
        "List of trades",
    ]


@needs_chromium
def test_zooming_a_run_to_its_liquidation_shows_it_bar_by_bar(open_report):
    # given
    page = open_report()
    page.until("document.querySelector('.drawn') !== null")
    name = "document.querySelector('.live').data.findIndex(trace => trace.name === 'liquidation')"
    moment = page.run(f"new Date(document.querySelector('.live').data[{name}].x[0]).getTime()")

    # when
    span = [moment - 5 * HOUR_MS, moment + 5 * HOUR_MS]
    page.run(f"void Plotly.relayout(document.querySelector('.live'), {{'xaxis.range': {span}}})")
    page.until("document.querySelector('.live').data[0].x.length < 20")

    # then every bar of that stretch is drawn, on every panel, and the liquidation stands in it
    assert page.run(f"document.querySelector('.live').data[{name}].x.length") == 1
    lengths = page.run("document.querySelector('.live').data.filter(t => t.mode === 'lines').map(t => t.x.length)")
    assert set(lengths) <= {12, 13}
    assert page.problems == []


@needs_chromium
def test_the_trades_can_be_saved_without_network_or_script(open_report):
    # given
    trades = run_record(full_run()).trades
    page = open_report()
    page.until("document.querySelector('.drawn') !== null")
    link = "document.querySelector('a[download]')"

    # when
    text = page.run(f"fetch({link}.href).then(told => told.text())")

    # then
    assert page.run(f"{link}.download") == "trades-BTC-USDT.csv"
    assert page.run(f"{link}.textContent") == f"Save all {len(trades):,} trades as CSV"
    saved = pd.read_csv(StringIO(text), parse_dates=["entry_time", "exit_time"])
    assert list(saved.columns) == list(trades.columns)
    assert saved["net_profit"].to_numpy() == pytest.approx(trades["net_profit"].to_numpy())
    assert (saved["entry_time"] == trades["entry_time"].dt.tz_localize(None)).all()


@needs_chromium
def test_the_head_answers_what_a_trader_asks_first(open_report):
    page = open_report(script=False)
    said = page.run("document.querySelector('.verdict').textContent")
    assert said.startswith("After fees and funding the account gained ")
    assert "Buy and hold of BTC/USDT" in said
    assert "luck" in said
    tiles = page.run("[...document.querySelectorAll('.tile')].map(each => each.textContent)")
    assert any(tile.startswith("Liquidations") and "of price away" in tile for tile in tiles)
    assert tiles[0].startswith("Return, partly on seen bars")  # it traded the bars it was validated on, too
