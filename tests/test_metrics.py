"""The figures against hand calculation and against QuantStats' own formulas at 365 days."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lstm_backtrader.errors import ReportError
from lstm_backtrader.reporting.metrics import (
    AccountTotals,
    account_metrics,
    daily_returns,
    drawdowns,
    equity_from_returns,
    return_metrics,
)

KEYS = [
    "start_equity",
    "final_equity",
    "gross_profit_closed",
    "profit_open",
    "fees",
    "slippage",
    "funding",
    "liquidation_loss",
    "other_cash",
    "total_return",
    "cagr",
    "sharpe",
    "sortino",
    "calmar",
    "max_drawdown",
    "drawdown_days",
    "volatility",
    "best_day",
    "worst_day",
    "cvar",
    "skewness",
    "kurtosis",
    "exposure",
    "trades",
    "win_rate",
    "profit_factor",
    "liquidations",
]


def by_day(values: list[float], freq: str = "D") -> pd.Series:
    return pd.Series(values, index=pd.date_range("2024-01-01", periods=len(values), freq=freq), dtype=float)


def totals(**changes: float) -> AccountTotals:
    base = {"start_equity": 100.0, "gross_profit_closed": 12.0, "profit_open": 1.0, "fees": 2.0, "funding": -0.5}
    rest = {"liquidation_loss": 0.0, "other_cash": 0.0, "liquidations": 0}
    return AccountTotals(**{**base, **rest, **changes})


def trades(*net: float, still_open: int = 0) -> pd.DataFrame:
    is_open = [False] * (len(net) - still_open) + [True] * still_open
    return pd.DataFrame({"net_profit": list(net), "is_open": is_open})


@pytest.fixture(scope="module")
def random_returns() -> pd.Series:
    values = np.random.default_rng(3).normal(0.001, 0.03, 730)
    return pd.Series(values, index=pd.date_range("2022-01-01", periods=730, freq="D"))


def test_figures_of_three_days_equal_hand_calculation():
    figures = return_metrics(by_day([110.0, 99.0, 108.9]), start_equity=100.0)
    # returns +10 %, -10 %, +10 %: mean 1/30, deviation sqrt(4/300)
    assert figures["total_return"] == pytest.approx(0.089)
    assert figures["sharpe"] == pytest.approx((0.1 / 3) / math.sqrt(0.04 / 3) * math.sqrt(365))
    assert figures["sortino"] == pytest.approx((0.1 / 3) / (0.1 / math.sqrt(3)) * math.sqrt(365))
    assert figures["max_drawdown"] == pytest.approx(-0.1)
    assert figures["cagr"] == pytest.approx(1.089 ** (365 / 3) - 1)
    assert figures["calmar"] == pytest.approx((1.089 ** (365 / 3) - 1) / 0.1)
    assert figures["volatility"] == pytest.approx(math.sqrt(0.04 / 3 * 365))


def test_figures_equal_quantstats_at_365_days(random_returns):
    from quantstats import stats as qs

    figures = return_metrics(equity_from_returns(random_returns), start_equity=1.0)
    assert figures["sharpe"] == pytest.approx(qs.sharpe(random_returns, periods=365), abs=1e-9)
    assert figures["sortino"] == pytest.approx(qs.sortino(random_returns, periods=365), abs=1e-9)
    assert figures["cagr"] == pytest.approx(qs.cagr(random_returns, periods=365), abs=1e-9)
    assert figures["calmar"] == pytest.approx(qs.calmar(random_returns, periods=365), abs=1e-9)
    assert figures["max_drawdown"] == pytest.approx(qs.max_drawdown(random_returns), abs=1e-9)
    assert figures["volatility"] == pytest.approx(qs.volatility(random_returns, periods=365), abs=1e-9)


def test_sharpe_is_the_t_statistic_of_the_mean_annualised(random_returns):
    t = stats.ttest_1samp(random_returns, 0.0).statistic
    figures = return_metrics(equity_from_returns(random_returns), start_equity=1.0)
    assert figures["sharpe"] == pytest.approx(t / math.sqrt(730) * math.sqrt(365), abs=1e-9)


def test_drawdown_is_taken_from_every_bar_not_from_daily_closes():
    hourly = by_day([100.0] * 10 + [50.0] + [100.0] * 37, freq="h")
    assert return_metrics(hourly)["max_drawdown"] == pytest.approx(-0.5)
    assert return_metrics(hourly)["volatility"] == 0.0


def test_daily_returns_group_by_utc_day_and_fill_days_without_a_bar():
    tokyo = pd.DatetimeIndex(["2024-01-02 08:00", "2024-01-02 10:00", "2024-01-05 10:00"], tz="Asia/Tokyo")
    returns = daily_returns(pd.Series([101.0, 102.0, 51.0], index=tokyo), start_equity=100.0)
    assert list(returns.index.strftime("%d")) == ["01", "02", "03", "04", "05"]
    assert returns.tolist() == pytest.approx([0.01, 102 / 101 - 1, 0.0, 0.0, -0.5])


def test_ruin_cuts_the_series_and_annualises_to_minus_one():
    figures = return_metrics(by_day([100.0, 40.0, -5.0, 300.0]))
    assert (figures["cagr"], figures["total_return"], figures["max_drawdown"]) == (-1.0, -1.0, -1.0)
    assert len(daily_returns(by_day([100.0, 40.0, -5.0, 300.0]))) == 3


def test_undefined_figures_are_none():
    figures = return_metrics(by_day([100.0, 100.0, 100.0]))
    assert figures["sharpe"] is figures["sortino"] is figures["calmar"] is None
    rising = return_metrics(by_day([101.0, 102.01, 103.0301]), start_equity=100.0)
    assert rising["sharpe"] is rising["sortino"] is None  # a constant 1 % has no deviation but rounding


def test_annualising_a_huge_day_is_undefined_rather_than_infinite():
    assert return_metrics(by_day([1000.0]), start_equity=1.0)["cagr"] is None


@given(st.lists(st.floats(-0.9, 3.0), min_size=1, max_size=40), st.floats(0.01, 1e6))
def test_ratios_do_not_depend_on_the_unit_of_money(returns, unit):
    series = by_day(returns)
    one, other = (return_metrics(equity_from_returns(series, start), start) for start in (1.0, unit))
    for name in ("total_return", "max_drawdown", "cagr", "volatility"):
        if one[name] is not None and other[name] is not None:
            assert one[name] == pytest.approx(other[name], rel=1e-6, abs=1e-9)


@given(st.lists(st.floats(1.0, 1e6), min_size=1, max_size=50))
def test_drawdown_equals_a_plain_loop(values):
    peak, worst = 500.0, []
    for value in values:
        peak = max(peak, value)
        worst.append(value / peak - 1)
    assert drawdowns(by_day(values), 500.0).tolist() == pytest.approx(worst)


def test_account_has_exactly_the_documented_figures():
    figures = account_metrics(by_day([105.0, 110.5]), trades(5.0, -2.0, 7.5, still_open=1), totals(), exposure=0.5)
    assert list(figures) == KEYS
    assert figures["trades"] == 3
    assert figures["win_rate"] == 0.5
    assert figures["profit_factor"] == 2.5


def test_without_a_closed_trade_win_rate_and_profit_factor_are_none():
    figures = account_metrics(by_day([105.0, 110.5]), trades(10.5, still_open=1), totals(), exposure=1.0)
    assert figures["win_rate"] is figures["profit_factor"] is None


def test_books_that_do_not_add_up_are_refused_with_the_difference():
    with pytest.raises(ReportError, match=r"do not add up.*a difference of 0\.0100"):
        account_metrics(by_day([105.0, 110.51]), trades(), totals(), exposure=0.0)


def test_half_a_cent_of_rounding_is_accepted():
    assert account_metrics(by_day([105.0, 110.504]), trades(), totals(), exposure=0.0)["fees"] == 2.0


@pytest.mark.parametrize(
    ("equity", "message"),
    [
        (pd.Series(dtype=float, index=pd.DatetimeIndex([])), "no value at all"),
        (by_day([np.nan, np.nan]), "no value at all"),
        (by_day([100.0, np.inf]), "infinite at 2024-01-02"),
        (by_day([0.0, 1.0]), "start above zero, not at 0.0"),
        (by_day([1.0, 2.0])[::-1], "increasing times"),
        (by_day([1.0, 2.0]).to_frame(), "Series on a DatetimeIndex, not DataFrame"),
        (pd.Series([1.0, 2.0]), "Series on a DatetimeIndex"),
    ],
)
def test_equity_that_means_nothing_is_refused(equity, message):
    with pytest.raises(ReportError, match=message):
        return_metrics(equity)


def test_missing_returns_leave_equity_as_it_was():
    assert equity_from_returns(by_day([0.1, np.nan, 0.1])).tolist() == pytest.approx([1.1, 1.1, 1.21])


def test_infinite_and_absent_returns_are_refused():
    with pytest.raises(ReportError, match="2024-01-02 00:00:00 is infinite"):
        equity_from_returns(by_day([0.1, np.inf]))
    with pytest.raises(ReportError, match="no number at all"):
        equity_from_returns(by_day([np.nan]))
