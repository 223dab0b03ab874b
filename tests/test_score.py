"""What a trial is worth, by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from lstm_backtrader.tuning.score import score
from lstm_backtrader.tuning.stage import FoldOutcome

DAYS = [[0.01, -0.02, 0.03, 0.0], [0.02, 0.01, -0.01, 0.02]]


def outcome(returns, about=(1.0, -1.0, 1.0, -1.0), surprise=(1.0, -1.0, -1.0, np.nan), begin="2024-01-01"):
    days = pd.Series(returns, index=pd.date_range(begin, periods=len(returns), freq="D"))
    return FoldOutcome(days, np.array(about), np.array(surprise), trades=3)


def sharpe(values):
    return np.mean(values) / np.std(values, ddof=1) * math.sqrt(365)


def test_the_objective_is_the_mean_over_folds_and_the_figures_are_of_all_days():
    found = score([outcome(DAYS[0]), outcome(DAYS[1], begin="2024-01-05")], "sharpe")
    assert found.objective == pytest.approx((sharpe(DAYS[0]) + sharpe(DAYS[1])) / 2)
    assert found.figures["mean_sharpe"] == found.objective
    assert found.figures["sharpe"] == pytest.approx(sharpe(DAYS[0] + DAYS[1]))
    assert found.figures["total_return"] == pytest.approx(np.prod([1 + r for r in DAYS[0] + DAYS[1]]) - 1)
    assert found.figures["max_drawdown"] == pytest.approx(-0.02)
    assert (found.figures["trades"], found.figures["days"], found.figures["folds"]) == (6, 8, 2)


def test_an_ic_is_about_what_was_known_before_over_the_size_of_all_folds():
    # three known pairs in each fold: mean products (1 + 1 - 1) / 3 and 2 (1 + 1 + 1) / 3
    found = score([outcome(DAYS[0]), outcome(DAYS[1], surprise=(2.0, -2.0, 2.0, np.nan))], "ic")
    size = math.sqrt((3 * 1 + 3 * 4) / 6)
    assert found.objective == pytest.approx((1 / 3 + 2) / 2 / size)
    assert found.figures["ic"] == found.objective


def test_a_fold_without_a_trade_or_a_forecast_counts_as_zero():
    flat = outcome([0.0] * 4, about=(np.nan,) * 4)
    assert score([flat], "sharpe").objective == 0.0
    assert score([flat], "ic").objective == 0.0
    assert score([flat], "sharpe").figures["sharpe"] is None
    assert score([flat, outcome(DAYS[1])], "sharpe").objective == pytest.approx(sharpe(DAYS[1]) / 2)
