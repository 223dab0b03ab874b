"""One configuration on one fold: the account is that of a backtest with the fold's model."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lstm_backtrader.backtesting import BacktestConfig, backtest
from lstm_backtrader.candles import Bars
from lstm_backtrader.forecast.fold_forecast import train_fold
from lstm_backtrader.forecast.protocol import NO_FORECAST, check_forecaster
from lstm_backtrader.reporting.metrics import daily_returns
from lstm_backtrader.tuning.config import TuneConfig
from lstm_backtrader.tuning.recorded import RecordedForecaster
from lstm_backtrader.tuning.space import Candidate
from lstm_backtrader.tuning.spans import make_spans
from lstm_backtrader.tuning.stage import Stage


@pytest.fixture(scope="module")
def train(tiny_config):
    return replace(tiny_config, seeds=1, steps=10)


@pytest.fixture(scope="module")
def stage(tiny_market, train, tmp_path_factory):
    candles = tiny_market.assign(funding_rate=np.where(tiny_market.index.hour % 8 == 0, 0.0001, np.nan))
    spans = make_spans(candles, TuneConfig(folds=2, train=train))
    return Stage(spans.inner, spans.folds, tmp_path_factory.mktemp("forecasts"), "TOY", "cpu")


def test_a_fold_is_traded_as_a_backtest_of_its_model_would(stage, train, tmp_path):
    # given
    account, fold = BacktestConfig(leverage=2, stop_loss=0.03), stage.folds[0]
    model = train_fold(stage.inner, fold, train)
    whole = replace(account, threshold=0.5 * model.threshold)

    # when
    outcome = stage.run(Candidate(train, account, 0.5), 0)
    written = backtest(stage.inner, model, tmp_path, whole, begin=fold.begin, end=fold.end)

    # then
    wanted = daily_returns(written.equity["equity"], 10_000.0)
    assert outcome.trades == written.metrics["account"]["trades"] > 3
    assert written.metrics["account"]["funding"] != 0
    assert outcome.returns.to_numpy() == pytest.approx(wanted.to_numpy(), abs=1e-9)
    assert list(outcome.returns.index) == list(wanted.index)


def test_days_without_bars_return_nothing(tiny_market, train, tmp_path):
    spans = make_spans(tiny_market, TuneConfig(folds=2, train=train))
    fold = spans.folds[1]
    gap = (tiny_market.index >= fold.end - pd.Timedelta(days=2)) & (tiny_market.index < fold.end)
    stage = Stage(spans.inner[~gap[: len(spans.inner)]], spans.folds, tmp_path, "TOY", "cpu")
    returns = stage.run(Candidate(train, BacktestConfig()), 1).returns
    assert len(returns) == (fold.end - fold.begin).days
    assert (returns.iloc[-2:] == 0).all()


def test_recorded_forecasts_are_a_forecaster_at_once_and_bar_by_bar(candles):
    # given
    table = pd.DataFrame({"forecast": 0.5, "prob_up": 0.7, "spread": 0.1}, index=candles.index[50:100])
    recorded = check_forecaster(RecordedForecaster(table, threshold=0.2))

    # when
    at_once = recorded.predict(candles)
    points = [recorded.stream().update(Bars.of(candles.iloc[: n + 1]).last) for n in (49, 50, 99, 100)]

    # then
    assert at_once["forecast"].notna().sum() == 50
    assert [point == (0.5, 0.7, 0.1) for point in points] == [False, True, True, False]
    assert points[0] is NO_FORECAST
    assert recorded.timeframe == pd.Timedelta(hours=1)
