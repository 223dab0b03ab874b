"""Other costs and sizes by hand: a few bars whose every number can be checked."""

import numpy as np
import pandas as pd
import pytest

from lstm_backtrader.reporting.metrics import AccountTotals
from lstm_backtrader.reporting.sensitivity import sensitivity

INDEX = pd.date_range("2024-01-01", periods=4, freq="h", tz="UTC")


def bars_of(**changes):
    """A long of one coin at 100 with 100 of money, from the close of the first bar on; 200 traded in and out."""
    columns = {
        "equity": [100.0, 110.0, 99.0, 99.0],
        "close": [100.0, 110.0, 99.0, 99.0],
        "high": [100.0, 112.0, 110.0, 99.0],
        "low": [100.0, 60.0, 99.0, 99.0],
        "position": [1.0, 1.0, 0.0, 0.0],
        "notional": [100.0, 110.0, 0.0, 0.0],
        "turnover": [100.0, 100.0, 199.0, 199.0],
    }
    return pd.DataFrame({**columns, **changes}, index=INDEX)


def totals(turnover=199.0, **changes):
    base = dict.fromkeys(
        ("gross_profit_closed", "profit_open", "fees", "funding", "liquidation_loss", "other_cash"), 0.0
    )
    return AccountTotals(**{**base, "start_equity": 100.0, "liquidations": 0, "turnover": turnover, **changes})


def test_the_run_itself_is_in_the_table():
    found = sensitivity(bars_of(), totals(), extra_bps=(0.0,), sizes=(1.0,))
    assert found.total_return.tolist() == [[pytest.approx(-0.01)]]
    assert found.max_drawdown.tolist() == [[pytest.approx(99 / 110 - 1)]]


def test_a_cost_is_paid_on_the_worth_of_each_fill():
    found = sensitivity(bars_of(), totals(), extra_bps=(100.0,), sizes=(1.0,))
    assert found.total_return[0, 0] == pytest.approx((1 - 0.01) * 1.1 * (99 / 110 - 0.01 * 99 / 110) - 1)


def test_twice_the_size_earns_twice_each_bars_return():
    found = sensitivity(bars_of(), totals(), extra_bps=(0.0,), sizes=(2.0,))
    assert found.total_return[0, 0] == pytest.approx(1.2 * 0.8 - 1)


def test_a_low_that_takes_all_is_ruin_though_the_bar_recovered():
    # the second bar fell to 60: at 2.5 times the size all was gone
    found = sensitivity(bars_of(), totals(), extra_bps=(0.0,), sizes=(2.4, 2.5))
    assert found.total_return[0, 0] > -1
    assert found.total_return[0, 1] == found.max_drawdown[0, 1] == -1


def test_a_short_is_ruined_by_a_high():
    short = bars_of(
        position=[-1.0, -1.0, 0.0, 0.0], high=[100.0, 150.0, 110.0, 99.0], low=[100.0, 99.0, 99.0, 99.0]
    )
    assert sensitivity(short, totals(), extra_bps=(0.0,), sizes=(2.0,)).total_return[0, 0] == -1


def test_with_positions_side_by_side_only_closes_count():
    found = sensitivity(bars_of(), totals(), is_one_position=False, extra_bps=(0.0,), sizes=(2.5,))
    assert found.total_return[0, 0] == pytest.approx(1.25 * 0.75 - 1)


def test_an_inverse_contract_loses_by_the_inverse_of_its_price():
    # at half of the price a coin's worth of it has lost a whole coin
    half = bars_of(low=[100.0, 50.0, 99.0, 99.0])
    assert sensitivity(half, totals(), is_inverse=True, extra_bps=(0.0,), sizes=(1.0,)).total_return[0, 0] == -1


def test_break_even_is_the_profit_over_what_was_traded():
    rich = bars_of(equity=[100.0, 110.0, 120.0, 130.0])
    assert sensitivity(rich, totals(turnover=2000.0)).break_even_bps == pytest.approx(150.0)
    assert sensitivity(rich, totals(turnover=2000.0, other_cash=30.0)).break_even_bps == pytest.approx(0.0)
    assert sensitivity(rich, totals(turnover=0.0)).break_even_bps is None


def test_after_ruin_nothing_is_reckoned():
    ruined = bars_of(equity=[100.0, 0.0, 0.0, 50.0])
    found = sensitivity(ruined, totals())
    assert np.isfinite(found.total_return).all()
    assert found.total_return[0, 1] == -1
