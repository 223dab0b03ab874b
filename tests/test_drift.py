"""Drift of features: nothing where nothing moved, the textbook figure where something did."""

import numpy as np
import pytest
from scipy import stats

from lstm_backtrader.forecast.drift import drift


@pytest.fixture(scope="module")
def train():
    return np.random.default_rng(0).normal(size=20_000)


def test_more_of_the_same_is_stable(train):
    found = drift(train, np.random.default_rng(1).normal(size=5000))
    assert found.psi < 0.01
    assert found.word == "stable"


def test_ks_is_scipys(train):
    unseen = np.random.default_rng(2).normal(0.3, 1.2, 3000)
    assert drift(train, unseen).ks == pytest.approx(stats.ks_2samp(train, unseen).statistic)


def test_a_shift_of_half_a_deviation_has_the_psi_of_two_normals(train):
    """(difference of means / deviation) squared over continuous bins; tenths keep nearly all of it."""
    found = drift(train, np.random.default_rng(3).normal(0.5, 1, 20_000))
    assert found.psi == pytest.approx(0.25, abs=0.03)
    assert found.shift == pytest.approx(0.5, abs=0.05)
    assert drift(train, np.random.default_rng(4).normal(1, 1, 5000)).word == "moved"


def test_a_column_of_rare_events_is_measured_by_how_often_they_come():
    rng = np.random.default_rng(5)
    seldom, as_seldom, often = ((rng.random(20_000) < share) * 1.0 for share in (0.01, 0.01, 0.2))
    assert drift(seldom, as_seldom).psi < 0.01
    assert drift(seldom, often).word == "moved"


def test_a_feature_that_never_varied_has_no_shift():
    found = drift(np.ones(100), np.ones(50))
    assert (found.psi, found.ks, found.shift) == (0.0, 0.0, 0.0)


def test_values_never_seen_in_training_leave_the_index_finite(train):
    assert np.isfinite(drift(train, np.full(100, 9.0)).psi)
