"""The figures of each fold: by hand, and what counts in the mean."""

import math

import numpy as np
import pandas as pd
import pytest

from lstm_backtrader.candles import Bars
from lstm_backtrader.forecast.labels import scaled_return
from lstm_backtrader.reporting.fold_figures import fold_table

HORIZON = 4


@pytest.fixture(scope="module")
def market(candles_of):
    return candles_of(900)


@pytest.fixture(scope="module")
def label(market):
    return pd.Series(scaled_return(Bars.of(market), HORIZON), index=market.index)


def table_of(market, forecast, starts, equities=None):
    return fold_table(market.index[starts], HORIZON, market, forecast, equities or {})


def test_a_perfect_forecast_has_an_ic_of_one_in_every_fold(market, label):
    table = table_of(market, label.iloc[300:], [300, 500, 700])
    assert [fold.bars for fold in table.folds] == [200, 200, 200]
    assert [fold.ic for fold in table.folds] == pytest.approx([1, 1, 1])
    assert [fold.ic_se for fold in table.folds] == pytest.approx([0, 0, 0], abs=1e-12)
    assert table.mean_ic == pytest.approx(1)


def test_ic_and_its_error_by_hand(market, label):
    rng = np.random.default_rng(0)
    forecast = (label + rng.normal(0, 1, len(label))).iloc[300:]
    table = table_of(market, forecast, [300, 700])
    first = np.corrcoef(forecast.iloc[:400], label.iloc[300:700])[0, 1]
    assert table.folds[0].ic == pytest.approx(first)
    assert table.folds[0].ic_se == pytest.approx((1 - first**2) / math.sqrt(400 / HORIZON - 1))
    # the last four bars have no label yet
    assert table.folds[1].ic_se == pytest.approx((1 - table.folds[1].ic ** 2) / math.sqrt(196 / HORIZON - 1))
    ics = [fold.ic for fold in table.folds]
    assert table.mean_ic == pytest.approx(np.mean(ics))
    assert table.mean_ic_se == pytest.approx(np.std(ics, ddof=1) / math.sqrt(2))


def test_the_error_of_a_fold_is_what_many_markets_show(candles_of):
    """Forecast and label are unrelated, and both overlap; IC spreads by about its standard error."""
    found = []
    for seed in range(60):
        market = candles_of(800, seed=seed)
        noise = pd.Series(np.random.default_rng(1000 + seed).normal(size=800), index=market.index)
        forecast = noise.rolling(HORIZON).sum().iloc[200:]
        found.append(table_of(market, forecast, [200]).folds[0])
    ratio = np.std([fold.ic for fold in found]) / np.mean([fold.ic_se for fold in found])
    assert 0.6 < ratio < 1.2


def test_a_fold_cut_short_is_shown_and_left_out_of_the_mean(market, label):
    forecast = label.copy()
    forecast.iloc[700:] *= -1
    table = table_of(market, forecast.iloc[300:780], [300, 500, 700])
    assert [fold.counts for fold in table.folds] == [True, True, False]
    assert table.folds[2].ic == pytest.approx(-1)
    assert table.mean_ic == pytest.approx(1)
    assert table.sentence() == (
        "Mean IC +1.0000 ± 0.0000 over 2 folds; 1 shorter than half of the longest, marked *, left out."
    )


def test_returns_are_those_of_the_equity_between_the_folds(market, label):
    equity = pd.Series(np.linspace(110, 200, 600), index=market.index[300:])
    table = table_of(
        market, label.iloc[300:], [300, 500, 700], {"LSTM": (100.0, equity), "ruin": (1.0, equity * 0)}
    )
    made = [fold.returns["LSTM"] for fold in table.folds]
    assert made[0] == pytest.approx(equity.iloc[199] / 100 - 1)
    assert made[1] == pytest.approx(equity.iloc[399] / equity.iloc[199] - 1)
    assert np.prod(1 + np.array(made)) == pytest.approx(2.0)
    assert [fold.returns["ruin"] for fold in table.folds] == [-1.0, 0.0, 0.0]


def test_a_fold_without_a_forecast_has_no_ic(market, label):
    forecast = label.iloc[300:].copy()
    forecast.iloc[:200] = np.nan
    table = table_of(market, forecast, [300, 500, 700])
    assert (table.folds[0].ic, table.folds[0].ic_se) == (None, None)
    assert table.mean_of == 2
    nothing = table_of(market, forecast * np.nan, [300])
    assert nothing.sentence() == "No fold has an IC."


def test_a_run_before_the_first_fold_has_no_table(market, label):
    assert table_of(market, label.iloc[300:500], [600]) is None


def test_a_run_that_begins_within_a_fold_begins_with_that_fold(market, label):
    table = table_of(market, label.iloc[450:], [300, 500, 700])
    assert [fold.bars for fold in table.folds] == [50, 200, 200]
    assert [fold.counts for fold in table.folds] == [False, True, True]


def test_one_fold_alone_has_no_error_of_the_mean(market, label):
    table = table_of(market, label.iloc[300:], [300])
    assert table.mean_ic_se is None
    assert table.sentence() == "Mean IC +1.0000 over 1 fold."
    assert table.document()["folds"][0]["begin"] == "2024-01-13T12:00:00+00:00"
