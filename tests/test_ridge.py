"""Ridge in closed form."""

import numpy as np
import pytest

from lstm_backtrader.errors import DataError
from lstm_backtrader.forecast.ridge import PENALTIES, Ridge


def sample(n, noise, seed, weights=(0.5, -0.2, 0.0)):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)) + 1.0
    return X, X @ np.array(weights) + 0.7 + noise * rng.normal(size=n)


def test_plenty_of_clean_data_give_the_true_weights():
    fit = Ridge.fit(sample(5000, 0.01, 0), sample(500, 0.01, 1))
    assert fit.weights == pytest.approx([0.5, -0.2, 0.0], abs=0.01)
    assert fit.offset == pytest.approx(0.7, abs=0.01)
    assert fit.penalty == PENALTIES[0]


def test_the_fit_is_that_of_the_normal_equations():
    X, y = sample(200, 1.0, 2)
    fit = Ridge.fit((X, y), sample(100, 1.0, 3))
    centred = X - X.mean(axis=0)
    wanted = np.linalg.solve(centred.T @ centred + 200 * fit.penalty * np.eye(3), centred.T @ (y - y.mean()))
    assert fit.weights == pytest.approx(wanted)


def test_noise_is_answered_with_the_heaviest_penalty():
    fit = Ridge.fit(sample(60, 5.0, 4, (0, 0, 0)), sample(4000, 5.0, 5, (0, 0, 0)))
    assert fit.penalty >= 10
    assert np.abs(fit.weights).max() < 0.1


def test_rows_without_label_are_left_out_and_nothing_at_all_is_refused():
    X, y = sample(300, 0.1, 6)
    holes = y.copy()
    holes[::3] = np.nan
    val = sample(100, 0.1, 7)
    kept = np.isfinite(holes)
    assert Ridge.fit((X, holes), val).weights == pytest.approx(Ridge.fit((X[kept], y[kept]), val).weights)
    with pytest.raises(DataError, match="no validation bar has features and label"):
        Ridge.fit((X, y), (X, y * np.nan))
    assert np.isnan(Ridge.fit((X, y), val).predict(np.full((1, 3), np.nan))).all()
