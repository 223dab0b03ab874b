"""Every trap of quantstats.reports.html that was measured gives a right tearsheet, or is refused in one line."""

from __future__ import annotations

import logging
import re
import socket
import sys
import warnings
import webbrowser
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lstm_backtrader.errors import ReportError
from lstm_backtrader.reporting.metrics import equity_from_returns, return_metrics
from lstm_backtrader.reporting.tearsheet import tearsheet_html

DAYS = pd.date_range("2023-06-01", periods=120, freq="D")
RETURNS = np.random.default_rng(5).normal(0.002, 0.03, len(DAYS))


def daily(returns: list[float] | np.ndarray, index: pd.DatetimeIndex | None = None) -> pd.Series:
    values = np.asarray(returns, dtype=float)
    return equity_from_returns(pd.Series(values, index=DAYS[: len(values)] if index is None else index), 100.0)


def sheet(equity: pd.Series, **options: object) -> str:
    return tearsheet_html(equity, start_equity=100.0, **options)


@cache
def plain_sheet() -> str:
    return sheet(daily(RETURNS), benchmark=daily(RETURNS[::-1]))


def row(page: str, name: str) -> list[str]:
    """The cells of one line of the tearsheet's table."""
    found = re.search(rf"<tr><td>{re.escape(name)}</td>(.*?)</tr>", page)
    assert found, name
    return re.findall(r"<td>(.*?)</td>", found[1])


def percent(cell: str) -> float:
    return float(cell.rstrip("%").replace(",", "")) / 100


def test_daily_returns_with_a_benchmark_give_our_own_figures():
    figures = return_metrics(daily(RETURNS), 100.0)
    page = plain_sheet()
    assert percent(row(page, "Cumulative Return")[1]) == pytest.approx(figures["total_return"], abs=1e-4)
    assert percent(row(page, "CAGR")[1]) == pytest.approx(figures["cagr"], abs=1e-4)
    assert float(row(page, "Sharpe")[1]) == pytest.approx(figures["sharpe"], abs=0.006)
    assert percent(row(page, "Max Drawdown")[1]) == pytest.approx(figures["max_drawdown"], abs=1e-4)


def test_risk_adjusted_return_is_annualised_by_365_days():
    page = plain_sheet()
    assert percent(row(page, "Risk-Adjusted Return")[1]) == pytest.approx(percent(row(page, "CAGR")[1]), rel=0.02)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_time_zones_of_strategy_and_benchmark_do_not_matter(zone):
    equity, benchmark = daily(RETURNS), daily(RETURNS[::-1])
    page = sheet(equity.tz_localize("UTC").tz_convert(zone), benchmark=benchmark.tz_localize("UTC"))
    assert page == plain_sheet()


def test_hourly_equity_and_a_benchmark_on_other_stamps_are_compared_by_day():
    hours = pd.date_range("2023-06-01", periods=24 * 60, freq="h")
    hourly = daily(np.random.default_rng(1).normal(0, 0.005, len(hours)), hours)
    page = sheet(hourly, benchmark=hourly.set_axis(hours + pd.Timedelta(minutes=29)))
    assert row(page, "Beta") == ["-", "1.0"]
    benchmark, strategy = row(page, "Best Day")
    assert benchmark == strategy


def test_hourly_equity_without_benchmark_is_read_by_day():
    hours = pd.date_range("2023-06-01", periods=24 * 40, freq="h")
    hourly = daily(np.full(len(hours), 0.001), hours)
    assert percent(row(sheet(hourly), "Best Day")[0]) == pytest.approx(1.001**24 - 1, abs=1e-4)


def test_a_ticker_as_benchmark_is_refused():
    with pytest.raises(ReportError, match="not the ticker 'BTC-USD': nothing is downloaded"):
        sheet(daily(RETURNS), benchmark="BTC-USD")


def test_a_series_as_risk_free_rate_is_refused():
    with pytest.raises(ReportError, match="risk_free is one annual rate"):
        sheet(daily(RETURNS), risk_free=pd.Series([0.01]))


def test_a_benchmark_of_another_year_is_refused():
    with pytest.raises(ReportError, match="shares no day"):
        sheet(daily(RETURNS), benchmark=daily(RETURNS, DAYS - pd.Timedelta(days=3650)))


def test_several_strategies_and_mappings_are_refused():
    with pytest.raises(ReportError, match="not DataFrame"):
        sheet(pd.DataFrame({"a": daily(RETURNS), "b": daily(RETURNS)}))
    with pytest.raises(ReportError, match="not dict"):
        sheet(dict(daily(RETURNS)))


@pytest.mark.parametrize("values", [[], [np.nan] * 5])
def test_nothing_is_refused(values):
    with pytest.raises(ReportError, match="no value at all"):
        sheet(pd.Series(values, index=DAYS[: len(values)], dtype=float))


def test_one_day_is_refused_and_two_are_enough():
    with pytest.raises(ReportError, match="at least 2 UTC days, equity spans 1"):
        sheet(daily([0.01]))
    assert percent(row(sheet(daily([0.01, -0.02])), "Cumulative Return")[0]) == pytest.approx(-0.0102)


def test_infinite_equity_is_refused():
    with pytest.raises(ReportError, match="infinite"):
        sheet(pd.Series([100.0, np.inf], index=DAYS[:2]))


def test_a_flat_strategy_loses_its_benchmark_instead_of_failing():
    page = sheet(daily(np.zeros(30)), benchmark=daily(RETURNS[:30]))
    assert row(page, "Cumulative Return") == ["0.0%"] or percent(row(page, "Cumulative Return")[0]) == 0
    assert "vs Benchmark" not in page


@pytest.mark.parametrize("kind", ["flat", "same as benchmark"])
def test_months_that_are_all_alike_are_drawn(kind):
    equity = daily(np.zeros(100) if kind == "flat" else RETURNS[:20])
    page = sheet(equity, benchmark=equity)
    assert page.count("<svg") >= 11


def test_leading_days_without_a_position_stay_in_the_period():
    returns = np.r_[np.zeros(5), RETURNS[:40]]
    page = sheet(daily(returns), benchmark=daily(RETURNS[:45]))
    figures = return_metrics(daily(returns), 100.0)
    assert percent(row(page, "CAGR")[1]) == pytest.approx(figures["cagr"], abs=1e-4)
    assert "1 Jun, 2023" in page


def test_constant_returns_give_no_absurd_ratio():
    page = sheet(daily(np.full(30, 0.001)))
    for name in ("Sharpe", "Smart Sharpe", "Sortino", "Calmar"):
        assert row(page, name) == ["-"], name


@pytest.mark.parametrize("jump", [1.5, 1.0])
@pytest.mark.parametrize("rest", [0.0, 0.002])
def test_a_day_that_doubles_without_any_loss_is_not_taken_for_prices(jump, rest):
    returns = np.full(30, rest)
    returns[10] = jump
    page = sheet(daily(returns))
    figures = return_metrics(daily(returns), 100.0)
    assert percent(row(page, "Cumulative Return")[0]) == pytest.approx(figures["total_return"], abs=1e-4)
    assert percent(row(page, "CAGR")[0]) == pytest.approx(figures["cagr"], rel=1e-4)
    assert row(page, "Max Drawdown") == ["-"]  # there is none


@pytest.mark.parametrize("worst", [-1.0, -1.9])
def test_ruin_ends_the_series(worst):
    returns = RETURNS[:60].copy()
    returns[[30, 40]] = worst
    page = sheet(daily(returns), benchmark=daily(RETURNS[:60]))
    assert row(page, "Cumulative Return")[1] == row(page, "Max Drawdown")[1] == "-100.0%"
    assert row(page, "CAGR")[1] == "-100.0%"
    assert "<td>Risk of Ruin</td>" not in page
    assert "<td>Risk-Adjusted Return</td>" not in page
    assert "1 Jul, 2023" in page  # day 31, where it ended


def test_missing_days_count_as_days_without_a_change():
    equity = daily(RETURNS[:60])
    sparse = equity.copy()
    sparse.iloc[20:30] = np.nan
    figures = return_metrics(equity, 100.0)
    assert percent(row(sheet(sparse), "CAGR")[0]) == pytest.approx(figures["cagr"], abs=1e-4)


def test_every_chart_has_a_name():
    charts = re.findall(r"<svg [^>]*>", plain_sheet())
    assert len(charts) > 10
    assert all('role="img" aria-label="' in chart for chart in charts)
    assert len(set(re.findall(r'aria-label="([^"]*)"', plain_sheet()))) == len(charts)


def test_texts_from_outside_are_escaped():
    page = sheet(daily(RETURNS[:10]), title="<script>{{params}}", parameters={"<b>": "<i>{{v}}"})
    assert "<script" not in page
    assert "&lt;script&gt;&#123;&#123;params&#125;&#125;" in page
    assert "&lt;b&gt;: &lt;i&gt;&#123;&#123;v&#125;&#125;" in page


def test_rows_about_more_years_than_the_run_has_and_misleading_rows_are_hidden():
    for name in ("3Y (ann.)", "5Y (ann.)", "10Y (ann.)", "Treynor Ratio"):
        assert f"<td>{name}</td>" not in plain_sheet()
    assert "<td>All-time (ann.)</td>" in plain_sheet()


def test_yearly_returns_without_benchmark_are_named_for_what_they_are():
    page = sheet(daily(RETURNS[:10]))
    assert "<th>Sum of returns</th>" in page
    assert "<th>Return</th>" in page
    assert "<th>Cumulative</th>" not in page


def test_nothing_is_loaded_from_elsewhere():
    page = plain_sheet()
    assert re.findall(r'(?:src|href)\s*=\s*"(?!#)[^"]*"|url\((?!#)', page) == []
    assert set(re.findall(r'https?://[^"\s<>]*', page)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert "<script" not in page
    assert "onload" not in page
    assert "\ufe6a" not in page


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    plain_sheet()  # QuantStats is imported
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(webbrowser, "open", lambda *_: pytest.fail("a browser was opened"))
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("the network was used"))
    fonts = logging.getLogger("matplotlib.font_manager")
    fonts.setLevel(logging.DEBUG)
    mpl.rcParams["lines.linewidth"] = 7.5
    mine = plt.figure()
    before = dict(mpl.rcParams), list(warnings.filters), plt._backend_mod, plt.get_fignums()
    equity = daily(RETURNS[:10]).tz_localize("UTC")
    copy = equity.copy()

    again = sheet(equity)

    assert (dict(mpl.rcParams), list(warnings.filters), plt._backend_mod, plt.get_fignums()) == before
    assert plt.gcf() is mine
    assert fonts.level == logging.DEBUG
    assert list(Path.cwd().iterdir()) == []
    pd.testing.assert_series_equal(equity, copy)
    fonts.setLevel(logging.NOTSET)
    plt.close(mine)
    mpl.rcdefaults()
    assert again == sheet(equity)  # and nothing of the user's settings got in


def test_quantstats_own_functions_are_put_back():
    from quantstats import stats, utils

    before = stats.rar, utils._prepare_returns, utils._looks_like_returns
    sheet(daily(RETURNS[:5]))
    assert (stats.rar, utils._prepare_returns, utils._looks_like_returns) == before
    assert "quantstats" in sys.modules
