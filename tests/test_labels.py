"""The label: by hand, at gaps, and at the end of the data."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_backtrader.candles import Bars
from lstm_backtrader.forecast.features import volatility
from lstm_backtrader.forecast.labels import LABEL_CLIP, scaled_return


@pytest.fixture(scope="module")
def zigzag(candles_of):
    """Closes that go one per cent up and down by turns, so that volatility is 0.01; opens of their own."""
    candles = candles_of(240)
    candles["close"] = 100 * np.exp(0.01 * (np.arange(240) % 2))
    candles["open"] = 99.0
    return candles


def test_the_label_by_hand(zigzag):
    y = scaled_return(Bars.of(zigzag), 4)
    # entered at the open of 201, 99, left at the close of 204, 100
    assert y[200] == pytest.approx(math.log(100 / 99) / (0.01 * 2))
    # left at the close of 205, 101.005
    assert y[201] == pytest.approx((math.log(100 / 99) + 0.01) / (0.01 * 2))


def test_a_horizon_of_one_is_the_next_bar(zigzag):
    y = scaled_return(Bars.of(zigzag), 1)
    assert y[200] == pytest.approx((math.log(100 / 99) + 0.01) / 0.01)


@pytest.mark.parametrize("horizon", [1, 4, 24])
def test_only_bars_with_volatility_and_a_future_have_a_label(candles_of, horizon):
    y = scaled_return(Bars.of(candles_of(300)), horizon)
    assert np.flatnonzero(np.isfinite(y)).tolist() == list(range(168, 300 - horizon))


@pytest.mark.parametrize("horizon", [299, 300, 301, 5000])
def test_a_horizon_beyond_the_data_gives_no_label(candles_of, horizon):
    y = scaled_return(Bars.of(candles_of(300)), horizon)
    assert y.shape == (300,)
    assert np.isnan(y).all()


def test_labels_across_a_gap_are_nan(candles_of):
    candles = candles_of(300)
    y = scaled_return(Bars.of(candles.drop(candles.index[250])), 4)
    # bars 246 to 249 wait for bar 250; the row after it is bar 251
    assert np.flatnonzero(np.isnan(y[168:-4])).tolist() == [246 - 168, 247 - 168, 248 - 168, 249 - 168]


def test_a_jump_is_clipped(candles_of):
    candles = candles_of(300)
    candles.iloc[250:, :4] *= 10
    y = scaled_return(Bars.of(candles), 4)
    assert y[247] == LABEL_CLIP
    candles.iloc[250:, :4] /= 100
    assert scaled_return(Bars.of(candles), 4)[247] == -LABEL_CLIP


@given(row=st.integers(168, 290), horizon=st.integers(1, 9))
@settings(max_examples=30)
def test_a_label_reads_its_future_and_nothing_after_it(candles_of, row, horizon):
    bars = Bars.of(candles_of(300))
    later = np.arange(300) > row + horizon
    noise = {name: np.where(later, column * 3, column) for name, column in bars.columns.items()}
    np.testing.assert_array_equal(
        scaled_return(Bars(bars.open_time, noise), horizon)[: row + 1], scaled_return(bars, horizon)[: row + 1]
    )


def test_the_label_is_a_plain_formula_on_any_market(candles_of):
    bars = Bars.of(candles_of(300, seed=9))
    y, sigma = scaled_return(bars, 6), volatility(bars)
    for t in range(168, 294):
        move = math.log(bars["close"][t + 6] / bars["open"][t + 1]) / (sigma[t] * math.sqrt(6))
        assert y[t] == pytest.approx(min(5, max(-5, move)))
