"""The folds of a walk-forward: what each learns from, what it is used for, and when there can be none."""

import dataclasses

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_backtrader.errors import ConfigError, DataError
from lstm_backtrader.forecast.folds import WalkForwardConfig, between, plan_folds
from lstm_backtrader.forecast.train_config import TrainConfig

HOUR = pd.Timedelta(hours=1)
DAY = pd.Timedelta(days=1)


def utc(text):
    return pd.Timestamp(text, tz="UTC")


def plan(embargo=24, **options):
    return WalkForwardConfig(**{"train_days": 20, "step_days": 7, "train": TrainConfig(embargo=embargo), **options})


@pytest.fixture(scope="module")
def year(candles_of):
    """1,200 hours: fifty days from the first of January."""
    return candles_of(1200)


@given(
    train=st.integers(2, 20),
    step=st.integers(1, 30),
    embargo=st.integers(0, 60),
    expanding=st.booleans(),
    missing=st.sets(st.integers(1, 1198), max_size=300),
)
def test_every_bar_from_the_begin_on_belongs_to_one_fold_that_has_not_seen_it(
    year, train, step, embargo, expanding, missing
):
    candles = year.drop(year.index[sorted(missing)])
    folds = plan_folds(
        candles, plan(embargo, train_days=train, step_days=step, expanding=expanding, begin=utc("2024-01-25"))
    )
    forecast = pd.concat([between(candles, fold.begin, fold.end) for fold in folds])
    assert forecast.index.equals(candles.index[candles.index >= utc("2024-01-25")])
    for fold in folds:
        assert fold.begin - fold.train_end == embargo * HOUR
        assert fold.train_bars(candles).index[-1] + (embargo + 1) * HOUR <= fold.begin
        assert fold.train_begin == candles.index[0] if expanding else fold.train_end - train * DAY
        assert fold.train_end - fold.train_begin >= train * DAY


def test_the_folds_by_hand(year):
    folds = plan_folds(year, plan(begin=utc("2024-01-25"), end=utc("2024-02-10")))
    assert [(f.train_begin, f.train_end, f.begin, f.end) for f in folds] == [
        (utc("2024-01-04"), utc("2024-01-24"), utc("2024-01-25"), utc("2024-02-01")),
        (utc("2024-01-11"), utc("2024-01-31"), utc("2024-02-01"), utc("2024-02-08")),
        (utc("2024-01-18"), utc("2024-02-07"), utc("2024-02-08"), utc("2024-02-10")),
    ]


def test_without_a_begin_the_first_day_with_a_full_train_span_is_taken(candles_of):
    candles = candles_of(1200, start="2024-01-01 05:00")
    assert plan_folds(candles, plan())[0].begin == utc("2024-01-23")  # 20 days and an embargo of one after 05:00


def test_a_fold_without_its_full_train_span_is_refused_with_the_earliest_begin(year):
    with pytest.raises(
        DataError,
        match=r"begins at 2024-01-21 00:00 UTC needs 20 days to learn from and an embargo of 24 bars before it, "
        r"and the data begin at 2024-01-01 00:00. The earliest possible is --from 2024-01-22",
    ):
        plan_folds(year, plan(begin=utc("2024-01-21")))
    assert plan_folds(year, plan(begin=utc("2024-01-22")))[0].train_begin == year.index[0]


def test_data_too_short_for_any_fold_are_refused(year):
    with pytest.raises(DataError, match=r"leaves nothing to forecast after 60 days .* fewer --train-days"):
        plan_folds(year, plan(train_days=60))


@pytest.mark.parametrize("span", [("2024-02-05", "2024-02-05"), ("2024-05-01", None)])
def test_a_span_without_a_bar_is_refused(year, span):
    begin, end = (None if day is None else utc(day) for day in span)
    with pytest.raises(DataError, match=r"no bar to forecast lies between .* Choose --from and --until inside"):
        plan_folds(year, plan(begin=begin, end=end))


def test_a_fold_whose_bars_are_all_missing_is_left_out(year):
    hole = year[(year.index < utc("2024-02-01")) | (year.index >= utc("2024-02-08"))]
    assert [fold.begin for fold in plan_folds(hole, plan(begin=utc("2024-01-25")))] == [
        utc("2024-01-25"),
        utc("2024-02-08"),
        utc("2024-02-15"),
    ]


def test_a_begin_between_two_bars_is_moved_to_the_next(candles_of):
    days = candles_of(80, freq="1D")
    folds = plan_folds(days, plan(embargo=2, begin=utc("2024-02-10 13:00")))
    assert folds[0].begin == utc("2024-02-11")


@pytest.mark.parametrize("options", [{"train_days": 0}, {"step_days": -1}, {"train_days": float("nan")}])
def test_days_that_cannot_be_are_refused(options):
    name = next(iter(options)).replace("_", "-")
    with pytest.raises(ConfigError, match=rf"{name} .* is not above 0 and at most 100000. Give days"):
        plan(**options)


def test_a_step_shorter_than_a_bar_is_refused(candles_of):
    with pytest.raises(ConfigError, match=r"step-days 0.1 is less than one bar of 1 days"):
        plan_folds(candles_of(80, freq="1D"), dataclasses.replace(plan(), step_days=0.1))
