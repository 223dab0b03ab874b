"""The call: Student's t against scipy, and how often noise is called significant."""

import numpy as np
import pytest
from scipy import stats

from lstm_backtrader.forecast.skill import Mean, mean_over_folds
from lstm_backtrader.forecast.verdict import call, draws_error, student_tail


@pytest.mark.parametrize("dof", [1, 2, 3, 4, 5, 11, 30])
def test_students_tail_is_scipys(dof):
    for t in (-4.0, -0.5, 0.0, 0.3, 2.2, 7.0):
        assert student_tail(t, dof) == pytest.approx(stats.t.sf(t, dof), abs=1e-12)


def test_the_call_says_t_and_p():
    found = call(Mean(0.03, 0.01, 11))
    assert (found.t, found.p) == (pytest.approx(3.0), pytest.approx(stats.t.sf(3.0, 11)))
    assert found.word == "significant"
    assert call(Mean(-0.03, 0.01, 11)).word == "not"


def test_too_few_folds_are_no_evidence():
    assert call(Mean(0.9, 0.01, 1)).p is None
    assert call(Mean(None, None, 0)).word == "not"


def test_a_control_that_scatters_weighs_against_the_model():
    spread = draws_error([0.08, -0.02, 0.0])
    assert spread == pytest.approx(np.std([0.08, -0.02, 0.0], ddof=1) * np.sqrt(4 / 3))
    assert call(Mean(0.06, 0.01, 11)).is_significant
    assert not call(Mean(0.06, 0.01, 11), spread).is_significant
    assert draws_error([0.1]) == 0.0


def test_noise_is_called_significant_no_more_often_than_the_rule_says():
    rng = np.random.default_rng(0)
    called = 0
    for _ in range(2000):
        ics = rng.normal(0, 0.1, 6)
        called += call(mean_over_folds(list(ics), [404] * 6, [True] * 6, 4)).is_significant
    assert called / 2000 < 0.03
