"""The forecast of a fold: what a walk-forward would say, kept, and made of nothing that comes after."""

import logging
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import lstm_backtrader as lbt
from lstm_backtrader.errors import DataError
from lstm_backtrader.forecast import fold_forecast as module
from lstm_backtrader.forecast.fold_forecast import fold_forecast, train_fold
from lstm_backtrader.forecast.folds import Fold, WalkForwardConfig, between, plan_folds


@pytest.fixture(scope="module")
def config(tiny_config):
    return replace(tiny_config, seeds=1, steps=10)


@pytest.fixture(scope="module")
def plan(config):
    return WalkForwardConfig(train_days=60, step_days=20, expanding=True, train=config)


@pytest.fixture(scope="module")
def fold(tiny_market, plan):
    return plan_folds(tiny_market, plan)[1]


def test_it_says_what_the_model_of_a_walk_forward_says(tiny_market, plan, config, fold, tmp_path):
    # given
    schedule = lbt.walk_forward(tiny_market, plan)
    bars = between(tiny_market, fold.begin, fold.end)

    # when
    said = fold_forecast(tiny_market, fold, config, tmp_path)

    # then
    wanted = schedule.predict(tiny_market).loc[bars.index]
    for name in ("forecast", "prob_up", "spread"):
        assert getattr(said, name) == pytest.approx(wanted[name].to_numpy(), abs=1e-6)
    assert said.threshold == schedule.models[1].threshold


def test_forecast_and_label_are_about_what_was_known_before(tiny_market, config, fold, tmp_path):
    # given
    model = train_fold(tiny_market, fold, config)
    manifest = model.manifest
    validation = model.predict(tiny_market)["forecast"].loc[manifest.validation_from : manifest.trained_until]

    # when
    said = fold_forecast(tiny_market, fold, config, tmp_path)

    # then
    assert said.about == pytest.approx((said.forecast - validation.mean()) / validation.std(ddof=0), rel=1e-4)
    assert np.isnan(said.surprise[-config.horizon :]).all()
    assert np.isfinite(said.surprise[: -config.horizon]).all()


def test_it_is_made_once_and_another_training_is_another(tiny_market, config, fold, tmp_path, monkeypatch):
    # given
    trained = []
    monkeypatch.setattr(
        module, "train_fold", lambda *args, **kwargs: trained.append(args[2]) or train_fold(*args, **kwargs)
    )

    # when
    first, again = (fold_forecast(tiny_market, fold, config, tmp_path) for _ in range(2))
    other = fold_forecast(tiny_market, fold, replace(config, seed=5), tmp_path)

    # then
    assert len(trained) == 2
    assert (first.forecast == again.forecast).all()
    assert (first.forecast != other.forecast).any()


def test_nothing_from_the_end_of_the_fold_on_is_read(tiny_market, config, fold, tmp_path):
    changed = tiny_market.copy()
    changed.loc[fold.end :, ["open", "high", "low", "close", "volume"]] *= 3
    one, other = (
        fold_forecast(each, fold, config, tmp_path / name) for name, each in (("a", tiny_market), ("b", changed))
    )
    assert [path.name for path in (tmp_path / "a").iterdir()] == [path.name for path in (tmp_path / "b").iterdir()]
    for name in ("forecast", "about", "surprise"):
        assert np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True)


def test_a_damaged_file_is_made_again(tiny_market, config, fold, tmp_path, caplog):
    first = fold_forecast(tiny_market, fold, config, tmp_path)
    (path,) = tmp_path.glob("*.npy")
    path.write_bytes(path.read_bytes()[:50])
    with caplog.at_level(logging.WARNING):
        again = fold_forecast(tiny_market, fold, config, tmp_path)
    assert (first.forecast == again.forecast).all()
    assert "is damaged" in caplog.text


def test_a_model_that_is_too_old_says_nothing(tiny_market, config, fold, tmp_path):
    said = fold_forecast(tiny_market, fold, replace(config, expires_days=12), tmp_path)
    known = between(tiny_market, fold.begin, fold.end).index[np.isfinite(said.forecast)]
    assert fold.begin == known[0]
    assert fold.begin < known[-1] < fold.end - pd.Timedelta(days=5)


def test_too_little_before_the_fold_is_refused_by_its_date(tiny_market, config, fold, tmp_path):
    early = Fold(fold.train_begin, fold.train_begin + pd.Timedelta(days=3), fold.begin, fold.end)
    with pytest.raises(DataError, match=f"the fold that begins at {fold.begin:%Y-%m-%d %H:%M} UTC: 72 bars leave"):
        fold_forecast(tiny_market, early, config, tmp_path)
