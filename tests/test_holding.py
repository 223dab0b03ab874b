"""Buying and holding: at 1x, on borrowed money, and of an inverse contract."""

import pandas as pd
import pytest

from lstm_backtrader.reporting.holding import held_instrument

INDEX = pd.date_range("2024-01-01", periods=4, freq="h", tz="UTC")


def bars(close, low=None):
    return pd.DataFrame({"close": close, "low": close if low is None else low}, index=INDEX)


def test_at_1x_equity_follows_the_price():
    assert held_instrument(bars([100.0, 110.0, 50.0, 200.0]), 1000.0).tolist() == pytest.approx(
        [1000, 1100, 500, 2000]
    )


def test_borrowed_money_multiplies_the_change_of_the_first_price():
    assert held_instrument(bars([100.0, 110.0, 80.0, 130.0]), 1000.0, 3.0).tolist() == pytest.approx(
        [1000, 1300, 400, 1900]
    )


def test_it_is_gone_at_the_first_low_that_takes_all_and_stays_gone():
    found = held_instrument(bars([100.0, 110.0, 90.0, 200.0], low=[10.0, 100.0, 66.0, 200.0]), 1000.0, 3.0)
    assert found.tolist() == pytest.approx([1000, 1300, 0, 0])  # the low of the first bar was before the purchase


def test_a_long_of_an_inverse_contract_earns_coins():
    # a coin's worth of dollars: at twice the price half a coin is earned, at half of it the coin is lost
    found = held_instrument(bars([100.0, 200.0, 80.0, 50.0]), 2.0, is_inverse=True)
    assert found.tolist() == pytest.approx([2.0, 3.0, 1.5, 0.0])
