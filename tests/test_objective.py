"""What training minimises, against numbers by hand and by torch's own functions."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from lstm_backtrader.forecast.manifest import ScaledReturn, ThreeClasses
from lstm_backtrader.forecast.objective import CrossEntropy, Huber, objective_of

WEIGHTS = (2.0, 0.5, 1.5)


def test_the_label_decides_the_objective():
    assert objective_of(ScaledReturn(horizon=4)) == Huber()
    assert objective_of(ThreeClasses(params={}, horizon=4, class_weights=WEIGHTS)) == CrossEntropy(WEIGHTS)
    assert (Huber().outputs, CrossEntropy(WEIGHTS).outputs) == (1, 3)


def test_huber_by_hand():
    said, y = np.array([0.5, 3.0, np.nan, 1.0]), np.array([0.0, 1.0, 0.0, np.nan])
    # 0.125 and 1.5, weighted 1 and 3
    assert Huber().error(said, y, np.array([1.0, 3.0, 9.0, 9.0])) == pytest.approx((0.125 + 3 * 1.5) / 4)
    losses = Huber().losses(torch.tensor([[0.5, 3.0]]), torch.tensor([[0.0, 1.0]]))
    assert losses.tolist() == [[0.125, 1.5]]


def test_the_surprise_of_a_class_by_hand():
    out = torch.log(torch.tensor([[[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]]]))
    losses = CrossEntropy(WEIGHTS).losses(out, torch.tensor([[1.0, -1.0]]))
    assert losses.tolist() == [pytest.approx([-1.5 * math.log(0.5), -2 * math.log(0.6)])]


def test_an_ensemble_says_its_mean_probabilities_with_the_weights_taken_back():
    one = np.log([[0.5, 0.25, 0.25]])
    other = np.log([[0.25, 0.25, 0.5]])
    said = CrossEntropy((2.0, 1.0, 1.0)).together(np.array([one, other], dtype=np.float32))
    first, second = np.array([0.25, 0.25, 0.25]) / 0.75, np.array([0.125, 0.25, 0.5]) / 0.875
    np.testing.assert_allclose(said[0], (first + second) / 2, rtol=1e-6)
    assert CrossEntropy(WEIGHTS).forecast(said)[0] == pytest.approx(said[0, 2] - said[0, 0])


@given(seed=st.integers(0, 999))
def test_the_error_on_validation_is_the_loss_of_training(seed):
    # given
    rng = np.random.default_rng(seed)
    logits, y = rng.normal(0, 2, (1, 30, 3)).astype(np.float32), rng.integers(-1, 2, 30).astype(np.float64)
    weight, objective = rng.uniform(0.5, 2, 30), CrossEntropy(WEIGHTS)

    # when
    error = objective.error(objective.together(logits), y, weight)

    # then
    losses = objective.losses(torch.from_numpy(logits), torch.from_numpy(y)[None].float())[0].numpy()
    normal = weight * np.array(WEIGHTS)[(y + 1).astype(int)]
    assert error == pytest.approx((losses * weight).sum() / normal.sum(), rel=1e-4)


def test_bars_that_nothing_is_known_of_do_not_count():
    objective = CrossEntropy(WEIGHTS)
    said = np.array([[0.2, 0.3, 0.5], [np.nan] * 3, [0.2, 0.3, 0.5]])
    alone = objective.error(said[:1], np.array([1.0]), np.ones(1))
    assert objective.error(said, np.array([1.0, 1.0, np.nan]), np.ones(3)) == pytest.approx(alone)


def test_a_net_that_learns_the_shares_says_them_whatever_the_weights():
    """With weights the best constant answer is skewed; taken back, it is the shares themselves."""
    # given
    shares = torch.tensor([0.2, 0.7, 0.1])
    objective = CrossEntropy(tuple((1 / (3 * shares)).tolist()))
    y = torch.repeat_interleave(torch.tensor([-1.0, 0.0, 1.0]), torch.tensor([20, 70, 10]))[None]
    logits = torch.zeros(3, requires_grad=True)
    optimiser = torch.optim.LBFGS([logits], max_iter=100)

    def loss():
        optimiser.zero_grad()
        mean = objective.losses(logits.expand(1, 100, 3), y).mean()
        mean.backward()
        return mean

    # when
    optimiser.step(loss)

    # then
    balanced = functional.softmax(logits.detach(), dim=0)
    np.testing.assert_allclose(balanced, [1 / 3] * 3, atol=1e-3)
    np.testing.assert_allclose(objective.together(logits.detach().numpy()[None, None])[0], shares, atol=1e-3)
