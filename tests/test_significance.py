"""PSR, DSR, minimum track record, PBO and SPA against printed figures, closed forms and other code."""

import doctest
import sys
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lstm_backtrader.errors import ReportError
from lstm_backtrader.reporting import significance
from lstm_backtrader.reporting.significance import (
    Track,
    deflated_sharpe,
    luckiest_sharpe,
    minimum_track_record,
    overfitting_probability,
    probabilistic_sharpe,
    superior_ability,
    track_of,
    variance_of_tries,
)

# Bailey & Lopez de Prado 2014, their numerical example: 100 trials with a variance of 1/2 a year, 1,250 daily
# returns of 250 a year, an annualised Sharpe ratio of 2.5, skewness -3, kurtosis 10
PUBLISHED = Track(periods=1250, sharpe=2.5 / 250**0.5, skewness=-3, kurtosis=10)
NORMAL = Track(periods=1250, sharpe=2.5 / 250**0.5)
VARIANCE = 0.5 / 250

tracks = st.builds(
    Track,
    periods=st.integers(2, 5000),
    sharpe=st.floats(-0.5, 0.5),
    skewness=st.just(0.0),
    kurtosis=st.floats(1, 20),
)


# --- printed figures ----------------------------------------------------------------------------------------


def test_the_deflated_ratio_of_the_published_example():
    assert f"{luckiest_sharpe(100, VARIANCE):.4f}" == "0.1132"
    assert f"{deflated_sharpe(PUBLISHED, 100, VARIANCE):.4f}" == "0.9004"


def test_its_two_variants_with_fewer_trials():
    assert f"{deflated_sharpe(PUBLISHED, 46, VARIANCE):.4f}" == "0.9505"
    assert f"{deflated_sharpe(NORMAL, 88, VARIANCE):.4f}" == "0.9505"


@pytest.mark.parametrize(("a_year", "years"), [(252, "2.73"), (52, "2.83"), (12, "3.24")])
def test_the_published_minimum_track_records_of_a_ratio_of_2_against_1(a_year, years):
    track = Track(periods=0, sharpe=2 / a_year**0.5)
    assert f"{minimum_track_record(track, threshold=1 / a_year**0.5) / a_year:.2f}" == years


# --- laws ---------------------------------------------------------------------------------------------------


def test_a_track_has_the_moments_that_scipy_computes():
    x = np.random.default_rng(0).standard_t(5, 500) * 0.02 + 0.001
    track = track_of(x)
    assert track.periods == 500
    assert track.sharpe == pytest.approx(x.mean() / x.std(ddof=1))
    assert track.skewness == pytest.approx(stats.skew(x))
    assert track.kurtosis == pytest.approx(stats.kurtosis(x, fisher=False))


@pytest.mark.parametrize("returns", [[], [0.01], [0.01] * 50])
def test_returns_that_do_not_vary_have_no_track(returns):
    assert track_of(np.array(returns)) is None


@given(tracks, st.floats(-0.2, 0.2))
def test_the_confidence_is_a_half_at_the_ratio_itself_and_falls_with_the_threshold(track, threshold):
    assert probabilistic_sharpe(track, track.sharpe) == pytest.approx(0.5, abs=0.5 * (track.variance == 0))
    assert 0 <= probabilistic_sharpe(track, threshold + 0.01) <= probabilistic_sharpe(track, threshold) <= 1


@given(tracks, st.integers(1, 10_000), st.integers(1, 10_000), st.floats(0, 0.01))
def test_more_tries_never_make_a_result_more_believable(track, few, more, variance):
    few, more = sorted((few, few + more))
    assert luckiest_sharpe(few, variance) <= luckiest_sharpe(more, variance)
    assert deflated_sharpe(track, more, variance) <= deflated_sharpe(track, few, variance)


@given(tracks)
def test_a_single_try_is_deflated_by_nothing(track):
    assert deflated_sharpe(track, 1, 0.3) == probabilistic_sharpe(track)


@given(tracks.filter(lambda track: track.sharpe > 0.01), st.floats(0.55, 0.999))
def test_after_the_minimum_track_record_the_confidence_is_the_one_asked_for(track, confidence):
    needed = minimum_track_record(track, confidence=confidence)
    there = Track(
        needed, track.sharpe, track.skewness, track.kurtosis
    )  # a fraction of a period is fine for the law
    assert probabilistic_sharpe(there) == pytest.approx(confidence)


def test_a_ratio_that_is_not_above_the_threshold_has_no_minimum_record():
    assert minimum_track_record(Track(100, -0.1)) is None
    assert minimum_track_record(Track(100, 0.1), threshold=0.1) is None


def test_the_best_of_luck_is_about_what_a_thousand_draws_show():
    rng = np.random.default_rng(1)
    for trials in (10, 100, 1000):
        seen = rng.normal(0, 0.06, (2000, trials)).max(axis=1).mean()
        assert luckiest_sharpe(trials, 0.06**2) == pytest.approx(seen, rel=0.03)


def test_on_returns_without_skill_the_confidence_is_uniform():
    rng = np.random.default_rng(2)
    said = [probabilistic_sharpe(track_of(rng.normal(0, 0.03, 250))) for _ in range(2000)]
    assert stats.kstest(said, "uniform").pvalue > 0.01


def test_the_best_of_fifty_random_walks_is_called_luck():
    # given fifty tries without skill, the best of which is reported, a hundred times
    rng, called = np.random.default_rng(3), 0
    for _ in range(100):
        known = [track_of(rng.normal(0, 0.03, 365)) for _ in range(50)]
        best = max(known, key=lambda track: track.sharpe)
        called += deflated_sharpe(best, 50, np.var([track.sharpe for track in known], ddof=1)) > 0.95
    # then: at most 5 % of them above 0.95, though most look good alone
    assert called <= 5


# --- tries of other lengths ---------------------------------------------------------------------------------


def ratios(returns):
    return returns.mean(axis=-1) / returns.std(axis=-1, ddof=1)


def given_up_behind_the_median(returns):
    half = ratios(returns[:, :180])
    return np.where(half < np.median(half), 180, 360)


def given_up_by_chance(returns):
    return np.where(np.arange(len(returns)) % 3 == 0, 360, 90)


def looked_at_for_a_month(returns):
    return np.where(np.arange(len(returns)) % 2 == 0, 360, 30)


@pytest.mark.parametrize("lengths_of", [given_up_behind_the_median, given_up_by_chance, looked_at_for_a_month])
def test_short_tries_without_skill_make_the_best_of_luck_neither_better_nor_worse(lengths_of):
    # given 300 searches of fifty tries without skill, some of which have a short record
    rng, called, plain, at_length, best = np.random.default_rng(4), 0, [], [], []
    for _ in range(300):
        returns = rng.normal(0, 0.03, (50, 360))
        lengths = lengths_of(returns)
        sharpes = np.array([ratios(each[:days]) for each, days in zip(returns, lengths, strict=True)])
        winner = np.where(lengths == 360, sharpes, -np.inf).argmax()
        variance = variance_of_tries(sharpes, lengths.astype(float), 360)
        called += deflated_sharpe(track_of(returns[winner]), 50, variance) > 0.95
        plain.append(luckiest_sharpe(50, sharpes.var(ddof=1)))
        at_length.append(luckiest_sharpe(50, variance))
        best.append(ratios(returns).max())

    # then: luck is not called skill, and not held for more than fifty whole records show, as it plainly would be
    assert called <= 0.05 * 300
    assert np.mean(at_length) == pytest.approx(np.mean(best), rel=0.1)
    assert np.mean(plain) > 1.15 * np.mean(best)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=20), st.integers(20, 3000))
def test_of_tries_as_long_as_the_record_the_variance_is_the_published_one(sharpes, days):
    known = np.array(sharpes)
    for lengths in (np.full(len(known), float(days)), np.full(len(known), np.nan)):
        assert variance_of_tries(known, lengths, days) == pytest.approx(known.var(ddof=1), abs=1e-12)


def test_what_tries_differ_by_in_truth_stays_whatever_their_length():
    rng = np.random.default_rng(5)
    lengths = rng.choice([60.0, 120.0, 730.0], 20_000)
    sharpes = rng.normal(0, 0.2, 20_000) + rng.normal(0, 1, 20_000) / np.sqrt(lengths - 1)
    for days in (60, 730):
        assert variance_of_tries(sharpes, lengths, days) == pytest.approx(0.2**2 + 1 / (days - 1), rel=0.03)


def test_tries_that_resemble_each_other_are_worth_less_at_every_length():
    few = np.array([0.05, 0.051, 0.049])
    at = [variance_of_tries(few, np.full(3, 90.0), days) for days in (90, 360)]
    assert at[0] == pytest.approx(few.var(ddof=1))
    assert at[1] == pytest.approx(at[0] * 89 / 359)


@pytest.mark.parametrize("sharpes", [[], [0.3]])
def test_one_try_varies_as_luck_does(sharpes):
    assert variance_of_tries(np.array(sharpes), np.full(len(sharpes), 30.0), 101) == 1 / 100


@pytest.mark.parametrize(("trials", "variance"), [(0, 0.1), (5, -0.1)])
def test_tries_that_cannot_be_are_refused(trials, variance):
    with pytest.raises(ReportError, match=rf"{trials} tries with a variance of {variance} cannot be"):
        luckiest_sharpe(trials, variance)


# --- overfitting --------------------------------------------------------------------------------------------


def test_choosing_among_noise_is_choosing_blindly():
    found = [
        overfitting_probability(np.random.default_rng(seed).normal(0, 0.01, (320, 20)), 8) for seed in range(60)
    ]
    assert np.mean(found) == pytest.approx(0.5, abs=0.1)


def test_one_true_strategy_among_noise_is_found_again():
    found = []
    for seed in range(20):
        returns = np.random.default_rng(seed).normal(0, 0.01, (640, 20))
        returns[:, 3] += 0.003
        found.append(overfitting_probability(returns))
    assert np.mean(found) < 0.1


def test_it_is_the_share_that_a_plain_loop_counts():
    returns = np.random.default_rng(5).standard_t(4, (60, 7)) * 0.01 + 0.001
    parts, below, splits = np.array_split(np.arange(60), 6), 0, 0
    for half in combinations(range(6), 3):
        inside = np.concatenate([parts[each] for each in half])
        outside = np.setdiff1d(np.arange(60), inside)
        sharpes = [returns[rows].mean(axis=0) / returns[rows].std(axis=0, ddof=1) for rows in (inside, outside)]
        rank = stats.rankdata(sharpes[1])[sharpes[0].argmax()]
        logit = np.log(rank / 8 / (1 - rank / 8))
        below, splits = below + (logit <= 0), splits + 1
    assert overfitting_probability(returns, 6) == pytest.approx(below / splits)


@given(st.integers(0, 2**31), st.permutations(range(6)), st.floats(0.01, 100))
def test_neither_the_order_nor_the_leverage_of_the_tries_matters(seed, order, leverage):
    returns = np.random.default_rng(seed).normal(0, 0.01, (40, 6))
    found = overfitting_probability(returns, 4)
    assert overfitting_probability(returns[:, list(order)], 4) == found
    assert overfitting_probability(returns * leverage, 4) == found


def test_a_try_that_never_traded_counts_as_a_ratio_of_zero():
    returns = np.random.default_rng(6).normal(0.004, 0.01, (320, 2))
    returns[:, 1] = 0.0
    assert overfitting_probability(returns, 8) == 0.0


@pytest.mark.parametrize(("shape", "blocks"), [((320, 1), 16), ((20, 5), 16), ((320, 5), 7), ((320, 5), 0)])
def test_too_little_to_choose_from_is_refused(shape, blocks):
    with pytest.raises(ReportError, match=f"PBO of {shape[1]} tries over {shape[0]} periods in {blocks} blocks"):
        overfitting_probability(np.zeros(shape), blocks)


# --- superior ability ---------------------------------------------------------------------------------------


def test_skill_is_told_from_noise_by_spa():
    pytest.importorskip("arch.bootstrap", reason="the extra arch is not installed")
    rng = np.random.default_rng(8)
    benchmark, models = rng.normal(0, 0.01, 400), rng.normal(0, 0.01, (400, 10))
    assert superior_ability(benchmark, models, block=3.2) > 0.1
    assert superior_ability(benchmark, models + 0.004, block=3.2) < 0.01
    assert superior_ability(benchmark, models, block=3.2) == superior_ability(benchmark, models, block=3.2)


def test_without_arch_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "arch.bootstrap", None)
    with pytest.raises(ReportError, match=r"pip install 'lstm-backtrader\[arch\]'"):
        superior_ability(np.zeros(50), np.zeros((50, 2)), block=1.0)


def test_the_examples_in_the_docstrings_are_right():
    assert doctest.testmod(significance) == (0, 4)
