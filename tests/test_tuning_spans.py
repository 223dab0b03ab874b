"""The span kept for the winner, and the folds before it."""

from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd
import pytest

from lstm_backtrader.errors import ConfigError, DataError
from lstm_backtrader.forecast.train_config import TrainConfig
from lstm_backtrader.tuning.config import TuneConfig
from lstm_backtrader.tuning.spans import make_spans

CONFIG = TuneConfig(folds=3, train=TrainConfig(embargo=24))
DAY = pd.Timedelta(days=1)


def test_the_test_span_is_the_last_part_from_a_midnight_on(candles_of):
    candles = candles_of(24 * 100 + 7, start="2024-01-01 05:00")
    spans = make_spans(candles, CONFIG)
    assert spans.test_begin == pd.Timestamp("2024-03-21", tz="UTC")
    assert spans.test_end == candles.index[-1] + pd.Timedelta(hours=1)
    assert spans.inner.index[-1] == spans.test_begin - pd.Timedelta(hours=1)
    assert make_spans(
        candles, replace(CONFIG, test_from=datetime(2024, 3, 1, tzinfo=UTC))
    ).test_begin == pd.Timestamp("2024-03-01", tz="UTC")


def test_folds_are_whole_days_that_follow_each_other_and_learn_from_all_before(candles_of):
    candles = candles_of(24 * 100)
    spans = make_spans(candles, replace(CONFIG, test_from=datetime(2024, 3, 21, tzinfo=UTC)))
    assert [fold.end - fold.begin for fold in spans.folds] == [13 * DAY] * 3  # 80 days before, 40 of them in folds
    assert [fold.end for fold in spans.folds] == [*(fold.begin for fold in spans.folds[1:]), spans.test_begin]
    for fold in (*spans.folds, spans.final()):
        assert fold.train_begin == candles.index[0]
        assert fold.begin - fold.train_end == DAY
    assert spans.final().begin == spans.test_begin
    assert spans.final().end == spans.test_end
    assert len(spans.days) == 39


@pytest.mark.parametrize("day", ["2023-12-01", "2024-01-03", "2025-01-01"])
def test_a_test_span_that_leaves_nothing_is_refused_with_what_there_is(candles_of, day):
    with pytest.raises(DataError, match=r"a test span from 20.* leaves .* days before it and .* of test; the data"):
        make_spans(candles_of(24 * 100), replace(CONFIG, test_from=datetime.fromisoformat(day)))


def test_a_fold_in_a_gap_is_refused_by_name(candles_of):
    candles = candles_of(24 * 100)
    with pytest.raises(DataError, match="the inner fold from 2024-02-11 to 2024-02-24 holds no two bars"):
        make_spans(
            candles.drop(candles.index[24 * 40 : 24 * 60]),
            replace(CONFIG, test_from=datetime(2024, 3, 21, tzinfo=UTC)),
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "sharp"}, "objective 'sharp' is unknown. Use sharpe or ic"),
        ({"trials": 0}, "trials 0 is outside 1 to 100000"),
        ({"folds": 1}, "folds 1 is outside 2 to 100"),
        ({"test_fraction": 0.9}, "test-fraction 0.9 is outside 0.02 to 0.8"),
        ({"workers": 0}, "workers 0 is outside 1 to 1024"),
    ],
)
def test_an_option_outside_its_range_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        replace(CONFIG, **options)


def test_in_sample_forecasts_have_no_place_in_a_search():
    with pytest.raises(ConfigError, match="allow-insample has no place in a search"):
        replace(CONFIG, account=replace(CONFIG.account, allow_insample=True))
