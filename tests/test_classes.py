"""Three numbers become probabilities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_backtrader.forecast.classes import probabilities

numbers = st.floats(-700, 700)
weights = st.floats(1e-3, 1e3)


def test_by_hand():
    np.testing.assert_allclose(probabilities(np.log([1.0, 2.0, 5.0])), [1 / 8, 2 / 8, 5 / 8])
    np.testing.assert_allclose(probabilities(np.log([1.0, 2.0, 5.0]), (1.0, 2.0, 5.0)), [1 / 3] * 3)


@given(logits=st.tuples(numbers, numbers, numbers), weighted=st.tuples(weights, weights, weights), shift=numbers)
def test_they_add_up_to_one_and_depend_on_differences_alone(logits, weighted, shift):
    said = probabilities(np.array([logits]), weighted)
    assert said.sum() == pytest.approx(1)
    assert ((said >= 0) & (said <= 1)).all()
    np.testing.assert_allclose(probabilities(np.array([logits]) + shift, weighted), said, atol=1e-9)


def test_unknown_stays_unknown():
    assert np.isnan(probabilities(np.array([[np.nan, np.nan, np.nan], [0, 0, 0]]))).tolist() == [
        [True] * 3,
        [False] * 3,
    ]
