"""What a trial is, when two are the same, and how many there are on the same data."""

import math
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_backtrader.forecast.folds import WalkForwardConfig
from lstm_backtrader.forecast.train_config import TrainConfig
from lstm_backtrader.forecast.trials import DailyReturns, Market, Trial, Tries, chosen, new_trial

BTC = Market(symbol="BTC-1h", timeframe_s=3600, data_sha256="a" * 64)
ETH = Market(symbol="ETH-1h", timeframe_s=3600, data_sha256="b" * 64)


def days(values, begin="2024-01-01"):
    return pd.Series(values, index=pd.date_range(begin, periods=len(values), freq="D"))


# --- the key ------------------------------------------------------------------------------------------------


def test_the_same_config_on_the_same_market_is_the_same_trial_whatever_came_of_it():
    one = new_trial("train", BTC, {"hidden": 8, "events": ("news",)}, {"validation_ic": 0.1})
    again = new_trial("train", BTC, {"events": ["news"], "hidden": 8}, {"validation_ic": 0.2})
    assert one.key == again.key
    assert not one.says_the_same_as(again)


def test_another_config_kind_model_market_or_bar_length_is_another_trial():
    keys = {
        new_trial("train", BTC, {}, {}).key,
        new_trial("train", BTC, {"hidden": 8}, {}).key,
        new_trial("backtest", BTC, {}, {}).key,
        new_trial("backtest", BTC, {}, {}, model="m").key,
        new_trial("train", ETH, {}, {}).key,
        new_trial("train", BTC.model_copy(update={"timeframe_s": 60}), {}, {}).key,
    }
    assert len(keys) == 6


def test_a_file_that_grew_is_the_same_market_and_so_is_one_that_was_renamed(candles_of):
    candles = candles_of(50)
    market = Market.of(candles, "BTC-1h")
    assert market.is_same(Market.of(candles.iloc[:40], "BTC-1h"))
    assert market.is_same(Market.of(candles, "copy"))
    assert market.is_same(Market.of(candles.assign(funding_rate=0.0), ""))
    assert not market.is_same(Market.of(candles.iloc[:40], "other"))
    assert not Market.of(candles).is_same(Market.of(candles.iloc[:40]))  # no name is no common name
    assert not market.is_same(Market.of(candles_of(50, freq="4h"), "BTC-1h"))


def test_only_what_is_no_default_is_a_choice():
    plan = WalkForwardConfig(540, 182, train=TrainConfig(hidden=8, seeds=3))
    assert chosen(TrainConfig()) == {}
    assert chosen(plan) == {"train_days": 540, "step_days": 182, "train": {"hidden": 8}}


def test_an_option_added_later_changes_no_key():
    @dataclass(frozen=True)
    class Config:
        hidden: int
        names: tuple[str, ...] = field(default_factory=tuple)

    @dataclass(frozen=True)
    class Later(Config):
        gate: str = "plain"

    assert chosen(Config(8)) == chosen(Later(8)) == {"hidden": 8}
    assert chosen(replace(Later(8), gate="new")) == {"hidden": 8, "gate": "new"}


@given(st.lists(st.floats(-1, 1e6), min_size=1, max_size=40))
def test_a_trial_comes_back_from_its_line_as_it_went(values):
    trial = new_trial("backtest", BTC, {"leverage": 3.0}, {"sharpe": 1.0, "days": 40}, days(values))
    assert Trial.model_validate_json(trial.model_dump_json()) == trial
    back = DailyReturns.of(days(values)).series()
    pd.testing.assert_series_equal(back, days(values), check_freq=False, check_index_type=False, atol=1e-8)


def test_a_figure_that_is_not_finite_is_none():
    assert new_trial("train", BTC, {}, {"validation_ic": math.nan, "loss": None}).figures == {
        "validation_ic": None,
        "loss": None,
    }


# --- how many -----------------------------------------------------------------------------------------------


def test_tries_are_counted_by_market_and_a_training_by_what_traded_it():
    # given two trainings, one of them traded twice, and something else
    first, second = (new_trial("train", BTC, {"hidden": size}, {}) for size in (8, 16))
    figures = [{"sharpe": 1.91, "days": 90}, {"sharpe": 3.82}]
    runs = [new_trial("backtest", BTC, {"leverage": n}, each, model=first.key) for n, each in enumerate(figures)]
    other = new_trial("train", ETH, {}, {})

    # when
    tries = Tries.on(BTC, [first, second, *runs, other])

    # then
    assert tries.number == 3
    assert tries.market == "BTC-1h"
    assert tries.sharpes == pytest.approx(np.array([1.91, 3.82]) / 365**0.5)
    assert tries.days == pytest.approx([90, math.nan], nan_ok=True)
    assert Tries.on(ETH, [first, other]).number == 1


def test_only_tries_with_a_return_on_every_day_are_compared():
    trials = [
        new_trial("backtest", BTC, {"fraction": n}, {}, days([0.01 * n] * length, begin))
        for n, (begin, length) in enumerate([("2024-01-01", 10), ("2023-12-30", 9), ("2024-01-02", 30)])
    ]
    tries = Tries.on(BTC, trials)
    together = tries.together(pd.date_range("2024-01-02", "2024-01-07"))
    assert together.shape == (6, 3)
    assert together[0] == pytest.approx([0.0, 0.01, 0.02])
    assert tries.together(pd.date_range("2024-01-01", "2024-01-08")).shape == (8, 1)
    assert tries.together(pd.date_range("2030-01-01", "2030-01-08")).shape == (8, 0)
