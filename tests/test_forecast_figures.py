"""What forecasts were worth beside what needs no model, and how often luck would have done as well."""

import numpy as np
import pandas as pd
import pytest

from lstm_backtrader.reporting.forecast_figures import FEWEST_BARS, forecast_figures, return_behind, shifted_p

N = 3000


def smooth(rng, n=N, span=24):
    """A forecast that changes slowly, as those of a net with a long context do."""
    return np.convolve(rng.standard_normal(n + span - 1), np.ones(span) / span, "valid")


def test_smooth_forecasts_of_noise_are_called_significant_as_often_as_the_level_says():
    rng = np.random.default_rng(0)
    values = [shifted_p(smooth(rng), smooth(rng), horizon=24) for _ in range(200)]
    assert np.mean(np.array(values) < 0.05) == pytest.approx(0.05, abs=0.04)
    assert np.mean(values) == pytest.approx(0.5, abs=0.07)


def test_a_forecast_that_knows_something_is_told_from_luck():
    rng = np.random.default_rng(1)
    moved = smooth(rng)
    assert shifted_p(moved + smooth(rng), moved, horizon=24) < 0.001


@pytest.mark.parametrize(
    ("said", "moved"),
    [(np.arange(40.0), np.arange(40.0)), (np.ones(N), np.arange(N)), (np.arange(N), np.zeros(N))],
    ids=["few", "always the same", "nothing moved"],
)
def test_what_cannot_be_told_from_luck_has_no_p(said, moved):
    assert shifted_p(said.astype(float), moved.astype(float), horizon=FEWEST_BARS // 2) is None


def test_a_trend_is_guessed_by_always_long_and_by_the_last_return():
    # given a rise of a per cent a bar with a fall every tenth
    close = 100 * np.cumprod(np.where(np.arange(400) % 10 == 9, 0.99, 1.01))
    index = pd.date_range("2024-01-01", periods=400, freq="h", tz="UTC")
    bars = pd.DataFrame({"close": close, "forecast": np.sin(np.arange(400)), "prob_up": np.nan}, index=index)

    # when
    long, last = forecast_figures(bars, horizon=1)["beside"]

    # then
    assert long == {"name": "always long", "hit_rate": pytest.approx(0.9, abs=0.01), "rank_ic": None}
    assert last["name"] == "the last bar's sign"
    assert last["hit_rate"] == pytest.approx(0.8, abs=0.01)


def test_a_return_over_a_gap_is_unknown():
    index = pd.DatetimeIndex(["2024-01-01 00:00", "2024-01-01 01:00", "2024-01-01 03:00", "2024-01-01 04:00"])
    bars = pd.DataFrame({"close": [100.0, 110.0, 120.0, 132.0]}, index=index.tz_localize("UTC"))
    assert return_behind(bars, 1) == pytest.approx([np.nan, 0.1, np.nan, 0.1], nan_ok=True)
    assert np.isnan(return_behind(bars, 9)).all()
