"""Intervals hold what they promise, where errors stay as they were and where they do not."""

import numpy as np
import pytest

from lstm_backtrader.errors import ConfigError, DataError
from lstm_backtrader.forecast.conformal import adaptive_half_widths, covered, half_width


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.99])
def test_the_split_interval_covers_what_it_promises(coverage):
    """Mean over many small validations, which a plain quantile would fall short of."""
    rng = np.random.default_rng(0)
    found = [
        np.mean(np.abs(rng.standard_t(3, 500)) <= half_width(rng.standard_t(3, 120), coverage)) for _ in range(300)
    ]
    assert np.mean(found) == pytest.approx(coverage, abs=0.01)


def test_the_half_width_is_an_order_statistic():
    errors = np.array([-9.0, 1, -2, 3, -4, 5, -6, 7, 8])
    assert half_width(errors, 0.9) == 9.0
    assert half_width(errors, 0.5) == 5.0


def test_too_few_errors_are_refused():
    with pytest.raises(DataError, match=r"8 validation bars cannot promise a coverage of 0\.9"):
        half_width(np.ones(8), 0.9)
    with pytest.raises(DataError, match=r"or a coverage of 0\.89 or less"):
        adaptive_half_widths(np.ones(8), np.ones(3), 1, 0.9)


@pytest.mark.parametrize("coverage", [0.0, 1.0, 90.0, float("nan")])
def test_a_coverage_outside_0_to_1_is_refused(coverage):
    with pytest.raises(ConfigError, match=r"outside 0 to 1\. 0\.9 is an interval that holds nine in ten"):
        half_width(np.ones(99), coverage)


def test_the_adaptive_interval_follows_errors_that_grow():
    rng = np.random.default_rng(1)
    validation, ahead = rng.normal(size=2000), 1.3 * rng.normal(size=20_000)
    static = np.full(len(ahead), half_width(validation, 0.9))
    adaptive = adaptive_half_widths(validation, ahead, horizon=12)
    zero = np.zeros(len(ahead))
    assert covered(zero, ahead, static) < 0.83
    assert covered(zero, ahead, adaptive) == pytest.approx(0.9, abs=0.01)


def test_an_error_counts_only_when_its_label_is_there():
    """Another error at bar t changes nothing before bar t + horizon."""
    rng = np.random.default_rng(2)
    validation, ahead = rng.normal(size=500), rng.normal(size=300)
    other = ahead.copy()
    other[100] = 50.0 if abs(ahead[100]) < 1 else 0.0
    first = adaptive_half_widths(validation, ahead, horizon=7, rate=0.05)
    second = adaptive_half_widths(validation, other, horizon=7, rate=0.05)
    assert np.flatnonzero(first != second)[0] == 107


def test_a_rate_of_zero_is_the_split_interval():
    rng = np.random.default_rng(3)
    validation = rng.normal(size=500)
    found = adaptive_half_widths(validation, rng.normal(size=100), horizon=3, rate=0.0)
    assert found == pytest.approx(np.full(100, half_width(validation)))


def test_an_unknown_error_moves_nothing():
    validation = np.random.default_rng(4).normal(size=500)
    found = adaptive_half_widths(validation, np.full(50, np.nan), horizon=3, rate=0.1)
    assert np.unique(found).tolist() == [half_width(validation)]
    assert covered(np.full(3, np.nan), np.ones(3), np.ones(3)) is None
