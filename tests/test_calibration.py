"""Platt's fit against scipy, and reliability by hand and by simulation."""

import numpy as np
import pytest
from scipy.optimize import minimize

from lstm_backtrader.forecast.calibration import Platt, brier, reliability


def market(slope, n=5000, seed=0):
    """z, and whether the price rose, with that slope."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    return z, rng.random(n) < 1 / (1 + np.exp(-(0.2 + slope * z)))


def test_the_fit_is_the_maximum_of_the_likelihood():
    z, is_up = market(1.5)
    ups = is_up.sum()
    target = np.where(is_up, (ups + 1) / (ups + 2), 1 / (len(z) - ups + 2))

    def loss(weights):
        logit = weights[0] + weights[1] * z
        return np.logaddexp(0, logit).sum() - (target * logit).sum()

    best = minimize(loss, [0.0, 0.0]).x
    found = Platt.fit(z, is_up)
    assert (found.offset, found.slope) == pytest.approx(tuple(best), abs=1e-4)


def test_a_forecast_that_errs_is_muted_and_not_turned_round():
    z, is_up = market(1.5)
    found = Platt.fit(-z, is_up)
    assert found.slope == 0.0
    assert found.probability(z) == pytest.approx(np.full(len(z), is_up.mean()), abs=1e-3)


def test_one_direction_alone_has_a_finite_fit():
    found = Platt.fit(np.linspace(-1, 1, 50), np.ones(50, bool))
    assert np.isfinite([found.offset, found.slope]).all()
    assert (found.probability(np.array([-9.0, 9.0])) > 0.5).all()


def test_separable_validation_has_a_finite_fit():
    z = np.linspace(-1, 1, 60)
    found = Platt.fit(z, z > 0)
    assert np.isfinite([found.offset, found.slope]).all()
    assert found.probability(np.array([-1.0]))[0] < 0.1


def test_calibration_mends_an_overconfident_probability():
    z, is_up = market(0.3)
    later, came = market(0.3, seed=1)
    platt = Platt.fit(z, is_up)
    raw = 1 / (1 + np.exp(-5 * later))
    own, mended = reliability(raw, came, 1), reliability(platt.probability(later), came, 1)
    assert mended.ece < 0.03 < 0.3 < own.ece
    assert mended.brier < own.brier


def test_reliability_by_hand():
    said = np.array([0.2, 0.2, 0.8, 0.8])
    came = np.array([False, True, True, True])
    found = reliability(said, came, 1, bins=2)
    assert [(each.said, each.came, each.bars) for each in found.bins] == [(0.2, 0.5, 2), (0.8, 1.0, 2)]
    assert found.ece == pytest.approx((0.3 + 0.2) / 2)
    assert found.brier == pytest.approx((0.04 + 0.64 + 0.04 + 0.04) / 4)
    assert brier(0.5, came) == 0.25


def test_a_perfect_probability_shows_the_ece_that_chance_gives():
    ratios = []
    for seed in range(20):
        z, is_up = market(1.0, n=2000, seed=seed)
        found = reliability(1 / (1 + np.exp(-(0.2 + z))), is_up, 1)
        ratios.append(found.ece / found.ece_by_chance)
    assert 0.8 < np.mean(ratios) < 1.2
