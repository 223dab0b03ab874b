"""The stationary bootstrap against its closed form, against `arch`, and by how often its intervals are right."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_backtrader.errors import ReportError
from lstm_backtrader.reporting.bootstrap import block_length, bootstrap_intervals, stationary_rows
from lstm_backtrader.reporting.metrics import equity_from_returns, return_metrics


def autoregressive(n, phi, seed):
    rng = np.random.default_rng(seed)
    x = np.zeros(n)
    for t, shock in enumerate(rng.normal(size=n)):
        x[t] = phi * x[t - 1] + shock if t else shock
    return x


def drawn_rows(n, block, draws, seed=0):
    return np.concatenate(list(stationary_rows(n, block, draws, np.random.default_rng(seed))))


# --- rows ---------------------------------------------------------------------------------------------------


def test_blocks_have_the_mean_length_asked_for_and_every_row_is_drawn_equally_often():
    rows = drawn_rows(50, block=5.0, draws=20_000)
    begins = (np.diff(rows, axis=1) % 50 != 1).mean()
    assert 1 / begins == pytest.approx(5.0 / (1 - 1 / 50), rel=0.01)  # one new block in fifty goes on by chance
    assert np.bincount(rows.ravel()) / rows.size == pytest.approx(1 / 50, rel=0.05)


def test_the_variance_of_a_drawn_mean_is_the_one_politis_and_romano_prove():
    # given their lemma: autocovariances weighted by (1 - k/n) q^k + (k/n) q^(n-k), q = 1 - 1/block
    x, n, block = autoregressive(60, 0.5, seed=1), 60, 4.0
    e, q, k = x - x.mean(), 1 - 1 / block, np.arange(1, n)
    covariance = np.array([e[lag:] @ e[: n - lag] for lag in range(n)]) / n
    weights = (1 - k / n) * q**k + k / n * q ** (n - k)
    proven = (covariance[0] + 2 * weights @ covariance[1:]) / n

    # when
    means = x[drawn_rows(n, block, draws=60_000)].mean(axis=1)

    # then: the standard error of a variance of 60,000 draws is 0.6 %
    assert means.var() == pytest.approx(proven, rel=0.025)


def test_a_block_of_one_draws_independently():
    x = autoregressive(200, 0.9, seed=2)
    means = x[drawn_rows(200, 1.0, draws=20_000)].mean(axis=1)
    assert means.var() == pytest.approx(x.var() / 200, rel=0.05)


@pytest.mark.parametrize(("n", "block"), [(1, 1.0), (10, 0.5), (10, 11.0)])
def test_blocks_that_cannot_be_are_refused(n, block):
    with pytest.raises(ReportError, match=rf"{n} returns cannot be drawn in blocks of {block:g}"):
        next(stationary_rows(n, block, 5, np.random.default_rng(0)))


# --- length of a block --------------------------------------------------------------------------------------


def test_the_block_length_is_that_of_arch():
    # given series of several lengths and memories
    bootstrap = pytest.importorskip("arch.bootstrap", reason="the extra arch is not installed")
    series = [
        autoregressive(n, phi, seed) for n in (40, 500) for phi in (-0.4, 0, 0.3, 0.6, 0.9) for seed in range(5)
    ]

    # when
    theirs = [max(float(bootstrap.optimal_block_length(x)["stationary"].iloc[0]), 1.0) for x in series]
    ours = [block_length(x) for x in series]

    # then: arch scales a correlation by one product more or less, which now and then ends the lags elsewhere
    assert np.isclose(ours, theirs).mean() >= 0.9


def test_what_depends_for_longer_is_drawn_in_longer_blocks():
    lengths = [
        np.mean([block_length(autoregressive(1000, phi, seed)) for seed in range(10)]) for phi in (0, 0.5, 0.9)
    ]
    assert lengths[0] < 4 < lengths[1] < lengths[2]


def test_returns_that_do_not_vary_need_no_block_and_one_return_has_no_length():
    assert block_length(np.full(30, 0.01)) == 1.0
    with pytest.raises(ReportError, match="1 returns have no autocorrelation"):
        block_length(np.array([0.01]))


@given(st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=60), st.floats(1e-3, 1e3))
def test_a_block_length_is_possible_and_the_same_in_another_unit(values, unit):
    x = np.array(values)
    length = block_length(x)
    assert 1 <= length <= len(x)
    if np.ptp(x) > 1e-6:
        assert block_length(x * unit) == pytest.approx(length, rel=1e-6)


# --- intervals ----------------------------------------------------------------------------------------------

RETURNS = np.random.default_rng(7).normal(0.001, 0.03, 400)


def test_the_intervals_are_the_quantiles_of_the_figures_the_report_computes():
    # given
    rows = drawn_rows(40, 3.0, draws=200, seed=0)
    drawn = RETURNS[:40][rows]

    # when
    found = bootstrap_intervals(RETURNS[:40], block=3.0, draws=200, seed=0)

    # then
    days = pd.date_range("2024-01-01", periods=40, freq="D")
    figures = [return_metrics(equity_from_returns(pd.Series(each, index=days)), 1.0) for each in drawn]
    for name in ("sharpe", "cagr", "max_drawdown"):
        low, high = np.sort([each[name] for each in figures])[[10, -11]]
        assert getattr(found, name) == pytest.approx((low, high))


def test_the_same_seed_gives_the_same_intervals_and_more_confidence_wider_ones():
    narrow, again = (bootstrap_intervals(RETURNS, level=0.5) for _ in range(2))
    wide = bootstrap_intervals(RETURNS, level=0.99)
    assert narrow == again
    for name in ("sharpe", "cagr", "max_drawdown"):
        (inner_low, inner_high), (outer_low, outer_high) = getattr(narrow, name), getattr(wide, name)
        assert outer_low < inner_low < inner_high < outer_high


def test_the_interval_of_an_independent_sharpe_ratio_is_the_normal_one():
    found = bootstrap_intervals(RETURNS, block=1.0, draws=8000)
    sharpe = RETURNS.mean() / RETURNS.std(ddof=1)
    error = np.sqrt((1 + sharpe**2 / 2) / len(RETURNS))  # Lo 2002
    assert found.sharpe == pytest.approx(
        ((sharpe - 1.645 * error) * 365**0.5, (sharpe + 1.645 * error) * 365**0.5), abs=0.12
    )


def test_the_intervals_agree_with_those_of_arch():
    bootstrap = pytest.importorskip("arch.bootstrap", reason="the extra arch is not installed")
    x = autoregressive(300, 0.4, seed=3) * 0.02 + 0.002

    def sharpe(drawn):
        return drawn.mean() / drawn.std(ddof=1) * 365**0.5

    theirs = bootstrap.StationaryBootstrap(6, x, seed=1).conf_int(sharpe, 3000, method="percentile", size=0.9)
    assert bootstrap_intervals(x, block=6.0, draws=3000).sharpe == pytest.approx(theirs[:, 0], abs=0.2)


@pytest.mark.parametrize(("phi", "least"), [(0.0, 0.85), (0.3, 0.82)])
def test_an_interval_of_90_percent_holds_the_truth_about_as_often(phi, least):
    # given series of a year whose true Sharpe ratio is known
    true = 0.05 / np.sqrt(1 / (1 - phi**2)) * 365**0.5
    held = 0
    for seed in range(200):
        low, high = bootstrap_intervals((autoregressive(365, phi, seed) + 0.05) * 0.02, draws=300).sharpe
        held += low <= true <= high
    # then: 2.1 % is the standard error of a share of 90 % among 200
    assert least <= held / 200 <= 0.96


def test_ruin_is_a_loss_of_everything_and_a_rise_beyond_all_floats_infinite():
    ruined = bootstrap_intervals(np.concatenate([RETURNS[:20], np.full(20, -1.0)]), block=1.0)
    assert ruined.cagr == (-1.0, -1.0)
    assert ruined.max_drawdown == (-1.0, -1.0)
    risen = bootstrap_intervals(np.tile([9.0, 8.0], 20), block=1.0)
    assert risen.cagr[1] == np.inf
    assert risen.max_drawdown == (0.0, 0.0)


def test_a_level_that_cannot_be_is_refused():
    with pytest.raises(ReportError, match=r"level 90 must be in \(0, 1\). 0.9 is an interval of 90 %"):
        bootstrap_intervals(RETURNS, level=90)
