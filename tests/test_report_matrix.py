"""Whatever misleads QuantStats gives a right report here, or one line that refuses it: the 38 cases measured.

QuantStats writes its tables in earnest; its drawings, which take seconds, are drawn in `test_tearsheet`.
"""

import re
import socket
import webbrowser

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from lstm_backtrader import session
from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.errors import DataError, ReportError
from lstm_backtrader.futures.broker import FuturesBroker
from lstm_backtrader.reporting.metrics import equity_from_returns, return_metrics
from lstm_backtrader.reporting.report import report, report_from_equity
from lstm_backtrader.reporting.tearsheet import tearsheet_html

N = 120
DAYS = pd.date_range("2023-06-01", periods=N, freq="D")
HOURS = pd.date_range("2023-06-01", periods=N * 24, freq="h")
RETURNS = np.random.default_rng(5).normal(0.002, 0.03, N)
EVIL = '"><script>alert(1)</script>{{title}}'


def daily(values, index=None):
    values = np.asarray(values, dtype=float)
    return equity_from_returns(pd.Series(values, index=DAYS[: len(values)] if index is None else index), 100.0)


def hourly(seed=1):
    return daily(np.random.default_rng(seed).normal(0, 0.006, len(HOURS)), HOURS)


def but(position, value):
    """The usual returns with one day changed."""
    changed = RETURNS.copy()
    changed[position] = value
    return daily(changed)


BENCH = daily(RETURNS[::-1])
TOKYO = daily(RETURNS).tz_localize("UTC").tz_convert("Asia/Tokyo")
FLAT = daily(np.zeros(N))
WARM_UP = daily(np.r_[np.zeros(20), RETURNS[20:]])

REPORTED = {  # name -> equity, benchmark
    "1 daily, with a benchmark": (daily(RETURNS), BENCH),
    "2 daily, alone": (daily(RETURNS), None),
    "3 both aware": (TOKYO, BENCH.tz_localize("UTC")),
    "4 benchmark aware, strategy naive": (daily(RETURNS), BENCH.tz_localize("UTC")),
    "5 strategy aware, alone": (TOKYO, None),
    "6 strategy aware, benchmark naive": (TOKYO, BENCH),
    "7 hourly, benchmark on other stamps": (hourly(), hourly(2).set_axis(HOURS + pd.Timedelta(minutes=29))),
    "8 hourly, daily benchmark": (hourly(), BENCH),
    "9 hourly, alone": (hourly(), None),
    "10 flat, with a benchmark": (FLAT, BENCH),
    "11 flat, alone": (FLAT, None),
    "12 benchmark flat": (daily(RETURNS), FLAT),
    "13 five flat days of warm-up, with a benchmark": (FLAT.iloc[:5], BENCH.iloc[:5]),
    "14 two days": (daily([0.01, -0.02]), None),
    "15 five days": (daily(RETURNS[:5]), None),
    "16 forty days": (daily(RETURNS[:40]), BENCH.iloc[:40]),
    "17 one day": (daily([0.01]), None),
    "18 constant returns": (daily(np.full(60, 0.01)), BENCH.iloc[:60]),
    "19 one day of +150 %, none that lost": (daily(np.r_[np.full(30, 0.01), 1.5, np.full(30, 0.01)]), None),
    "20 one day of exactly +100 %": (daily(np.r_[np.full(30, 0.01), 1.0, np.full(30, 0.01)]), None),
    "21 one day of +150 % among losses": (but(50, 1.5), BENCH),
    "22 a last day of -100 %": (but(N - 1, -1.0), BENCH),
    "23 a last day below -100 %": (but(N - 1, -1.4), BENCH),
    "24 trading goes on below zero": (but(60, -1.4), BENCH),
    "25 two days below -100 %": (daily(np.r_[RETURNS[:40], -1.5, RETURNS[41:80], -1.5, RETURNS[81:]]), None),
    "26 missing days in between": (daily(RETURNS).drop(DAYS[30:60]), None),
    "27 missing values": (daily(RETURNS).where(np.arange(N) % 7 != 3), BENCH),
    "28 leading days without a return": (WARM_UP, BENCH),
    "29 benchmark of a longer span": (daily(RETURNS[:60]), BENCH),
    "30 several strategies, by name": ({"a": daily(RETURNS), "b": BENCH}, None),
}
REFUSED = {  # name -> what is given, the one line
    "31 a ticker as benchmark": ({"equity": daily(RETURNS), "benchmark": "BTC-USD"}, "not the ticker 'BTC-USD'"),
    "32 all values missing": ({"equity": daily(RETURNS) * np.nan}, "no value at all"),
    "33 empty": ({"equity": pd.Series(dtype=float, index=DAYS[:0])}, "no value at all"),
    "34 infinite": ({"equity": daily(RETURNS).where(np.arange(N) != 9, np.inf)}, "infinite at 2023-06-10"),
    "35 infinite returns": ({"returns": pd.Series([0.1, np.inf], DAYS[:2])}, "2023-06-02 00:00:00 is infinite"),
    "36 a frame of two strategies": ({"equity": pd.DataFrame({"a": BENCH, "b": BENCH})}, "no column `equity`"),
}


@pytest.fixture(autouse=True)
def offline_and_undrawn(monkeypatch):
    """No network, no browser; QuantStats writes its tables, and of each figure an empty drawing."""

    def refuse(*_, **__):
        raise AssertionError("a report opens neither socket nor browser")

    from quantstats import plots

    for name in [name for name in dir(plots) if callable(getattr(plots, name)) and not name.startswith("_")]:
        monkeypatch.setattr(plots, name, _undrawn)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(webbrowser, "open", refuse)


def _undrawn(*_, savefig=None, **__):
    savefig["fname"].write(b"<svg></svg>")


def cells(html, name):
    found = re.search(rf"<tr><td>{re.escape(name)}</td>(.*?)</tr>", html)
    return re.findall(r"<td>(.*?)</td>", found[1]) if found else []


def assert_tearsheet_says_ours(html, account):
    """The headline rows of QuantStats' table against our figures."""
    total, fall, sharpe = (
        cells(html, name)[-1].rstrip("%").replace(",", "")
        for name in ("Cumulative Return", "Max Drawdown", "Sharpe")
    )
    assert float(total) / 100 == pytest.approx(account["total_return"], abs=2e-4)
    if fall == "-":
        assert account["max_drawdown"] == 0
    else:
        assert float(fall) / 100 >= account["max_drawdown"] - 1e-3  # ours is by bar
    if account["sharpe"] is None:
        assert sharpe == "-"
    else:
        assert float(sharpe) == pytest.approx(account["sharpe"], abs=0.006)


@pytest.mark.parametrize("name", REPORTED)
def test_a_report_with_right_numbers(name, tmp_path):
    equity, benchmark = REPORTED[name]
    if isinstance(equity, dict):
        done = report(equity, tmp_path / "page.html")
        for run, curve in equity.items():
            told = done.metrics["runs"][run]["account"]
            assert told["total_return"] == return_metrics(curve)["total_return"]
        return
    done = report_from_equity(equity, tmp_path / "page.html", benchmark=benchmark, title=EVIL)
    html = done.html.read_text(encoding="utf-8")
    account = done.metrics["account"]

    # the numbers: simple, recomputed
    values = equity.dropna().to_numpy()
    values = values[: np.argmax(values <= 0) + 1].clip(0) if (values <= 0).any() else values
    assert account["total_return"] == pytest.approx(values[-1] / values[0] - 1)
    peak = np.maximum.accumulate(values)
    assert account["max_drawdown"] == pytest.approx((values / peak - 1).min())
    assert account["cagr"] is None or account["cagr"] >= -1
    assert all(value is None or np.isfinite(value) for value in account.values())
    assert "alert(1)<" not in html
    assert html.count("<script>alert") == 0
    if len(done.metrics["notes"]) and any("no tearsheet" in note for note in done.metrics["notes"]):
        assert "Key Performance Metrics" not in html
    else:
        assert_tearsheet_says_ours(html, account)
    ruined = (equity.dropna() <= 0).any()
    assert any(flag.startswith("ruined") for flag in done.metrics["flags"]) == ruined


@pytest.mark.parametrize("name", REFUSED)
def test_a_line_that_refuses(name, tmp_path):
    given, message = REFUSED[name]
    with pytest.raises((ReportError, DataError), match=message) as caught:
        report_from_equity(path=tmp_path / "page.html", **given)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_37_a_series_as_risk_free_rate_is_refused_and_one_rate_is_taken():
    with pytest.raises(ReportError, match="risk_free is one annual rate"):
        tearsheet_html(daily(RETURNS), risk_free=pd.Series([0.01]))
    assert "Key Performance Metrics" in tearsheet_html(daily(RETURNS), risk_free=0.04)


def test_38_the_mapping_of_an_analyzer_is_taken_and_nothing_given_is_changed(tmp_path):
    returns = {day.to_pydatetime(): value for day, value in zip(DAYS, RETURNS, strict=True)}
    given, benchmark = dict(returns), BENCH.tz_localize("UTC")
    before = benchmark.copy()
    done = report_from_equity(returns=given, path=tmp_path / "page.html", benchmark=benchmark)
    assert given == returns
    pd.testing.assert_series_equal(benchmark, before)
    assert done.metrics["account"]["total_return"] == pytest.approx(np.prod(1 + RETURNS) - 1)


# --- runs at the edge ---------------------------------------------------------------------------------------


class Plan(bt.Strategy):
    """Buy the size named for a bar, sell where it is negative."""

    params = (("plan", {}),)

    def next(self):
        if len(self) in self.p.plan:
            size = self.p.plan[len(self)]
            (self.buy if size > 0 else self.sell)(size=abs(size))


def prices(*stretches):
    """Closes by stretches of (hours, change of each)."""
    changes = np.concatenate([np.full(hours, change) for hours, change in stretches])
    return 100 * np.cumprod(1 + changes)


EDGES = {  # name -> closes, plan, leverage of a futures account (None: a stock broker)
    "no trade": (prices((200, 0.001)), {}, 2),
    "no trade on a flat price": (prices((200, 0.0)), {}, 2),
    "one trade, still open": (prices((200, 0.001)), {3: 10.0}, 2),
    "one trade, closed": (prices((200, 0.001)), {3: 10.0, 50: -10.0}, 2),
    "five days": (prices((120, 0.001)), {3: 10.0, 50: -10.0}, 2),
    "a day": (prices((24, 0.001)), {3: 10.0, 20: -10.0}, 2),
    "two bars": (prices((2, 0.001)), {1: 1.0}, 2),
    "ruined at once, liquidated": (prices((100, 0.001), (1, -0.6), (100, 0.001)), {3: 480.0}, 5),
    "liquidated on the last bar": (prices((100, 0.001), (1, -0.6)), {3: 480.0}, 5),
    "ruined on a stock broker": (prices((100, 0.001), (1, -0.6), (100, 0.001)), {3: 400.0}, None),
    "a stock broker, closed": (prices((100, 0.001)), {3: 10.0, 50: -10.0}, None),
}


def made(closes, plan, leverage):
    """Results of the plan over hourly bars of one price each; leverage None is a stock broker."""
    index = pd.date_range("2024-01-01", periods=len(closes), freq="h", tz="UTC", name="open_time")
    table = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), closes), index=index).assign(volume=1.0)
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(table, name="X"))
    if leverage is None:
        cerebro.broker.setcommission(leverage=5)
    else:
        cerebro.setbroker(FuturesBroker(leverage=leverage, cash=10_000.0))
    cerebro.addstrategy(Plan, plan=plan)
    return session.run(cerebro)


@pytest.mark.parametrize("name", EDGES)
def test_a_run_at_the_edge_renders(name, tmp_path):
    # given
    closes, plan, leverage = EDGES[name]

    # when
    results = made(closes, plan, leverage)
    done = report(results, tmp_path / "out")

    # then
    account = done.metrics["account"]
    assert account["final_equity"] == pytest.approx(results[0].broker.getvalue())
    assert account["trades"] == len(done.trades)
    assert done.metrics["flags"].get("liquidated") == ("red" if "iquidated" in name else None)
    assert ("ruined" in name and leverage is None) == any(key.startswith("ruined") for key in done.metrics["flags"])
    page = done.html.read_text(encoding="utf-8")
    assert ("no funding, no liquidation simulated" in page) == (leverage is None)
    assert has_no_nan(page)


def has_no_nan(page):
    seen = re.sub(r"<script.*?</script>|<style>.*?</style>", "", page, flags=re.DOTALL)
    return re.search(r"\bnan\b", seen, flags=re.IGNORECASE) is None


ENTER, LEAVE = 10.0, -10.0
WAVES = prices((50, 0.002), (50, -0.003), (100, 0.001))
HOLES = {  # name -> bars without any price, what is ordered after which bar
    "before the first price": ([0, 1, 2], {5: ENTER, 150: LEAVE}),
    "while flat": ([60, 61], {3: ENTER, 50: LEAVE}),
    "while holding": ([20, 21], {3: ENTER, 150: LEAVE}),
    "at the end, while holding": ([198, 199], {3: ENTER}),
}


@pytest.mark.parametrize("leverage", [None, 2])
@pytest.mark.parametrize("name", HOLES)
def test_bars_without_prices_change_no_figure_but_the_days_they_are_in(name, leverage, tmp_path):
    # given
    holes, plan = HOLES[name]
    closes = WAVES.copy()
    closes[holes] = np.nan
    filled = pd.Series(closes).ffill().bfill().to_numpy()

    # when
    done = report(made(closes, plan, leverage), tmp_path / "page.html")
    whole = report(made(filled, plan, leverage), tmp_path / "whole.html")

    # then all is as if the last price known had stood there, and it is said
    assert done.metrics["account"] == pytest.approx(whole.metrics["account"], nan_ok=False)
    assert done.equity["equity"].to_numpy() == pytest.approx(whole.equity["equity"].to_numpy())
    assert done.equity["notional"].to_numpy() == pytest.approx(whole.equity["notional"].to_numpy())
    assert done.metrics["benchmark"] == pytest.approx(whole.metrics["benchmark"])
    assert done.metrics["flags"]["prices missing"] == "yellow"
    assert "prices missing" not in whole.metrics["flags"]
    page = done.html.read_text(encoding="utf-8")
    assert has_no_nan(page)
    assert f"Prices are missing on {len(holes)} of 200 bars" in page


@pytest.mark.parametrize(("after", "end"), [(3, "entry"), (50, "exit")])
def test_a_fill_at_a_missing_price_is_one_line(after, end, tmp_path):
    closes = WAVES.copy()
    closes[after] = np.nan  # Backtrader's own broker fills the market order of the bar before at its open
    with pytest.raises(
        ReportError, match=rf"the {end} of X at 2024-01-0\d \d\d:00 UTC was filled at a missing price"
    ):
        report(made(closes, {3: ENTER, 50: LEAVE}, None), tmp_path / "page.html")
    assert not list(tmp_path.iterdir())
