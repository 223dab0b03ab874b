"""Targets: what a label becomes before a net is trained on it, by the train rows alone."""

import numpy as np
import pytest

from lstm_backtrader.candles import Bars
from lstm_backtrader.errors import DataError
from lstm_backtrader.forecast.labels import LABELS, LabelSpec, label
from lstm_backtrader.forecast.manifest import OwnLabel, ScaledReturn, ThreeClasses
from lstm_backtrader.forecast.targets import check_horizon, fit_target


@pytest.fixture(autouse=True)
def own_labels(monkeypatch):
    monkeypatch.setattr("lstm_backtrader.forecast.labels.LABELS", dict(LABELS))

    @label(horizon=lambda ahead=3: ahead)
    def move(bars, ahead):
        close = bars["close"]
        return np.append(close[ahead:] - close[:-ahead], np.full(ahead, np.nan))


def test_a_scaled_return_loses_its_mean_on_train_and_nothing_else():
    y = np.array([1.0, 3.0, np.nan, 7.0])
    entry, target = fit_target(LabelSpec("scaled_return", {"horizon": 4}), y, y[:3])
    assert entry == ScaledReturn(horizon=4, mean=2.0)
    np.testing.assert_array_equal(target, [-1, 1, np.nan, 5])


def test_a_label_of_ones_own_becomes_deviations_on_train_clipped_to_five():
    y = np.array([0.01, 0.03, np.nan, 0.07, 5.0, -5.0])
    entry, target = fit_target(LabelSpec("move"), y, y[:3])
    assert isinstance(entry, OwnLabel)
    assert (entry.name, entry.params, entry.horizon) == ("move", {"ahead": 3}, 3)
    assert (entry.mean, entry.scale) == pytest.approx((0.02, 0.01))
    np.testing.assert_allclose(target, [-1, 1, np.nan, 5, 5, -5])


def test_classes_stay_and_weigh_by_how_seldom_they_come_on_train():
    train = np.array([-1, -1, -1, 0, 1, 1, np.nan])
    entry, target = fit_target(LabelSpec("three_classes"), np.append(train, 0), train)
    assert isinstance(entry, ThreeClasses)
    assert entry.class_weights == pytest.approx((6 / 9, 6 / 3, 6 / 6))
    np.testing.assert_array_equal(target, [*train, 0])


def test_a_class_that_never_comes_on_train_is_refused():
    with pytest.raises(DataError, match=r"on the train bars: 2 down, 1 neither, 0 up, and each must come"):
        fit_target(LabelSpec("three_classes"), np.array([-1.0, -1, 0, 1]), np.array([-1.0, -1, 0]))


def test_a_label_that_never_varies_on_train_is_refused():
    with pytest.raises(DataError, match=r"label 'move:ahead=3' is 2 on every train bar. Give one that varies"):
        fit_target(LabelSpec("move"), np.array([2.0, 2, 9]), np.array([2.0, 2]))


def test_a_label_that_keeps_its_horizon_passes(candles_of):
    bars = Bars.of(candles_of(300))
    for spec in (LabelSpec("move"), LabelSpec("scaled_return"), LabelSpec("three_classes")):
        check_horizon(spec, bars, spec.compute(bars))


def test_a_label_that_looks_further_than_it_declares_is_named_with_its_bar(candles_of):
    @label(horizon=lambda: 1)
    def too_far(bars):
        return np.append(bars["close"][5:], np.full(5, np.nan))

    bars, spec = Bars.of(candles_of(300)), LabelSpec("too_far")
    with pytest.raises(
        DataError, match=r"of the bar at 2024-01-07 01:00 .* from 2024-01-07 06:00 on, beyond its hor"
    ):
        check_horizon(spec, bars, spec.compute(bars))


def test_a_label_fitted_on_all_its_bars_is_found(candles_of):
    @label(horizon=lambda: 1)
    def standardised(bars):
        move = np.append(np.diff(bars["close"]), np.nan)
        return (move - np.nanmean(move)) / np.nanstd(move)

    bars, spec = Bars.of(candles_of(300)), LabelSpec("standardised")
    with pytest.raises(DataError, match="without the bars from"):
        check_horizon(spec, bars, spec.compute(bars))
