"""What a forecast is worth: by hand, by scipy, and on many markets."""

import numpy as np
import pytest
from scipy import stats

from lstm_backtrader.candles import Bars
from lstm_backtrader.forecast.labels import scaled_return
from lstm_backtrader.forecast.skill import (
    Said,
    cosine,
    deciles,
    fold_ics,
    forward_return,
    hit_rate,
    mean_over_folds,
    pair_error,
    ranks,
    skill,
)

K = 4


@pytest.fixture(scope="module")
def pair():
    """A forecast that knows a little, and what came: (2, 1200)."""
    rng = np.random.default_rng(1)
    came = rng.normal(size=1200)
    return 0.3 * came + rng.normal(size=1200), came


def thirds(n=1200):
    return tuple(np.array_split(np.arange(n), 3))


def plain(values):
    """Values about zero."""
    return Said(values, np.zeros(len(values)), np.ones(len(values)))


def test_ranks_are_scipys_less_one():
    values = np.random.default_rng(0).integers(0, 9, 200).astype(float)
    np.testing.assert_array_equal(ranks(values), stats.rankdata(values) - 1)


def test_the_figures_of_a_forecast_are_means_over_its_folds(pair):
    said, came = pair
    found = skill(plain(said), plain(came), came / 100, thirds(), (True,) * 3, K)
    size = np.sqrt((said**2).mean() * (came**2).mean())
    assert found.ics == pytest.approx([(said[rows] * came[rows]).mean() / size for rows in thirds()])
    assert found.ics == pytest.approx([stats.pearsonr(said[rows], came[rows])[0] for rows in thirds()], abs=0.03)
    assert found.mean_ic.value == pytest.approx(np.mean(found.ics))
    assert found.rank_ic.value == pytest.approx(
        np.mean([stats.spearmanr(said[rows], came[rows])[0] for rows in thirds()])
    )
    assert found.hit_rate == pytest.approx(np.mean(np.sign(said) == np.sign(came)))
    assert found.base_rate == pytest.approx(max(np.mean(came > 0), np.mean(came <= 0)))
    assert found.r2 == pytest.approx(1 - ((came - said) ** 2).sum() / (came**2).sum())


def test_a_forecast_and_a_label_are_taken_about_what_they_were_before(pair):
    """Another model in each fold, with a level and a size of its own."""
    said, came = pair
    centre, scale = np.repeat([1.0, -2.0, 5.0], 400), np.repeat([0.1, 1.0, 7.0], 400)
    label = Said(came + 0.5, np.full(1200, 0.5), np.ones(1200))
    about = skill(Said(said * scale + centre, centre, scale), label, came, thirds(), (True,) * 3, K)
    plainly = skill(plain(said), plain(came), came, thirds(), (True,) * 3, K)
    assert about.ics == pytest.approx(plainly.ics)


def test_a_forecast_that_never_changes_has_no_ic(pair):
    _, came = pair
    ones = np.ones(1200)
    found = skill(Said(ones, ones, ones), plain(came + 1), came, thirds(), (True,) * 3, K)
    assert found.ics == (None,) * 3
    assert found.mean_ic.value is None
    assert found.hit_rate == pytest.approx(np.mean(came + 1 > 0))


def test_a_slow_forecast_of_reversal_knows_nothing_of_a_random_walk():
    """About the mean of each fold, and over its size, it would know 0.06."""
    folds = tuple(np.array_split(np.arange(168, 168 + 12 * 1460), 12))
    inside, before = [], []
    for seed in range(80):
        path = np.cumsum(np.random.default_rng(seed).normal(size=168 + 12 * 1460 + 24))
        rise = np.r_[np.full(168, np.nan), path[168:] - path[:-168]]
        came = np.r_[path[24:] - path[:-24], np.full(24, np.nan)]
        before.append(np.mean(fold_ics(-rise, came, folds)))
        inside.append(np.mean([np.corrcoef(-rise[rows], came[rows])[0, 1] for rows in folds]))
    assert np.mean(inside) == pytest.approx(0.06, abs=0.015)
    assert np.mean(before) == pytest.approx(0.0, abs=0.015)  # its error is 0.004


def test_a_fold_of_two_bars_has_no_ic(pair):
    said, came = pair
    assert fold_ics(said, came, [np.arange(400), np.arange(400, 402)])[1] is None
    assert fold_ics(said, came, [np.arange(2)]) == [None]
    assert fold_ics(said, came, []) == []


def test_the_error_of_a_mean_is_the_larger_of_spread_and_sampling():
    apart = mean_over_folds([0.5, -0.5, 0.3], [4000] * 3, [True] * 3, K)
    alike = mean_over_folds([0.1, 0.1, 0.1], [400] * 3, [True] * 3, K)
    assert apart.error == pytest.approx(np.std([0.5, -0.5, 0.3], ddof=1) / np.sqrt(3))
    assert alike.error == pytest.approx((1 - 0.01) / np.sqrt(99) / np.sqrt(3))
    assert (apart.dof, alike.dof) == (2, 2)


def test_short_folds_and_folds_without_a_value_are_left_out():
    found = mean_over_folds([0.1, None, 0.3, 9.0], [400] * 4, [True, True, True, False], K)
    assert (found.value, found.dof) == (pytest.approx(0.2), 1)
    assert mean_over_folds([0.1], [400], [True], K).error is None
    assert mean_over_folds([None], [400], [True], K).value is None


def test_overlapping_labels_count_once_a_horizon():
    assert pair_error(0.0, 400, 4) == pytest.approx(1 / np.sqrt(99))
    assert pair_error(0.0, 11, 4) is None
    assert pair_error(None, 400, 4) is None


def test_the_money_weighted_ic_weighs_a_bar_by_its_move():
    """Right on ninety small moves and wrong on ten large ones: many hits, and money lost."""
    move = np.r_[np.full(90, 0.001), np.full(10, -0.05)]
    said = np.ones(100)
    assert hit_rate(said, move) == pytest.approx(0.9)
    assert cosine(said, move) == pytest.approx(move.sum() / np.sqrt(100 * (move**2).sum()))
    assert cosine(said, move) < 0
    assert cosine(0 * said, move) is None
    assert hit_rate(0 * said, move) is None


def test_the_return_of_a_bar_is_from_its_next_open_and_ends_at_a_gap(candles_of):
    candles = candles_of(300).drop(candles_of(300).index[250])
    bars = Bars.of(candles)
    found = forward_return(bars, K)
    assert found[200] == pytest.approx(candles["close"].iloc[204] / candles["open"].iloc[201] - 1)
    known = np.isfinite(scaled_return(bars, K))
    assert np.isnan(found[246:250]).all()
    np.testing.assert_array_equal(np.isfinite(found)[169:], known[169:])


def test_deciles_of_a_forecast_that_knows_rise(pair):
    said, came = pair
    found = deciles(said, came, came / 100, thirds(), K)
    assert [each.bars for each in found] == [120] * 10
    assert found[0].label < 0 < found[9].label
    assert found[9].move == pytest.approx(found[9].label / 100)
    assert found[9].label_error == pytest.approx(came.std() / np.sqrt(30), rel=0.3)


def test_deciles_rank_within_a_fold():
    """A model whose level rises from fold to fold does not fill the upper tenths with one fold."""
    said = np.arange(1200.0)
    found = deciles(said, np.repeat([1.0, 2.0, 3.0], 400), said, thirds(), K)
    assert [each.label for each in found] == pytest.approx([2.0] * 10)
