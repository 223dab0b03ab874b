"""A forecaster of the user's own: the documented one works in every mode, an unfinished one hears what it lacks."""

import re
from pathlib import Path

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
import torch

import lstm_backtrader as lbt
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.forecast.protocol import ForecastPoint, check_forecaster

DOCUMENT = (Path(__file__).parents[1] / "docs" / "own-model.md").read_text(encoding="utf-8")


class Listening(bt.Strategy):
    params = (("model", None),)

    def __init__(self):
        self.heard = []
        self.own = lbt.LSTMSignal(self.data, model=self.p.model)

    def next(self):
        self.heard.append((self.own.forecast[0], self.own.signal[0]))


def heard(model, candles, **mode):
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(lbt.CandleFeed(candles))
    cerebro.addstrategy(Listening, model=model)
    return np.array(cerebro.run(**mode)[0].heard)


@pytest.fixture(scope="module")
def documented():
    """The class of docs/own-model.md."""
    names = {}
    exec(re.search(r"```python\n(.*?)```", DOCUMENT, flags=re.DOTALL)[1], names)
    return names["Momentum"]


@pytest.mark.parametrize("mode", [{}, {"runonce": False}, {"preload": False, "exactbars": 1}])
def test_the_documented_class_works_in_every_mode(documented, candles, mode):
    # given the day's log return over its volatility, from the closes
    forecast, signal = heard(documented(), candles, **mode).T
    log_close = np.log(candles["close"].to_numpy())
    weights = 0.5 ** (np.arange(168)[::-1] / 24)
    sigma = np.sqrt((np.diff(log_close[-169:]) ** 2 * weights).sum() / weights.sum())

    # then
    assert len(forecast) == len(candles) - 168
    assert forecast[-1] == pytest.approx((log_close[-1] - log_close[-25]) / (sigma * np.sqrt(24)))
    np.testing.assert_array_equal(signal, np.where(abs(forecast) >= 1.0, np.sign(forecast), 0.0))
    assert 0 < abs(signal).sum() < len(signal)


def without(**members):
    """A forecaster with other `members`; `...` takes one away."""
    whole = {
        "timeframe": pd.Timedelta("1h"),
        "warmup": 1,
        "predict": lambda self, candles: candles,
        "stream": lambda self: self,
        "update": lambda self, tail: ForecastPoint(0.0, 0.5, 0.0),
    }
    return type("Mine", (), {name: value for name, value in {**whole, **members}.items() if value is not ...})()


def test_a_whole_one_is_given_back():
    for model in (without(), without(timeframe="1h"), without(warmup=np.int64(3))):
        assert check_forecaster(model) is model


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (without(stream=...), "Mine is no forecaster yet: it has no `stream`. See docs/own-model.md"),
        (without(stream=..., warmup=0), "no `stream`; `warmup` 0 is no whole number of bars, 1 or more"),
        (without(warmup=True), "`warmup` True is no whole number"),
        (without(warmup=2.5), "`warmup` 2.5 is no whole number"),
        (without(timeframe=3600), "`timeframe` 3600 is no pd.Timedelta above 0"),
        (without(timeframe="soon"), "`timeframe` 'soon' is no pd.Timedelta"),
        (without(predict=[]), r"`predict` is no method but \[\]"),
        (without(update=...), "gives a Mine without the method `update`"),
        (without(columns="close"), "`columns` 'close' is no sequence of names"),
        (type(without()), r"model is the class Mine. Give an instance: model=Mine\(...\)"),
        ([1], "model of type list is neither a path nor a forecaster"),
        (torch.nn.LSTM(1, 2), "neither a path nor a forecaster.* A torch module becomes one by `lbt.from_module`"),
    ],
)
def test_every_member_that_is_missing_or_wrong_is_named(candles, model, message):
    with pytest.raises(ConfigError, match=message):
        heard(model, candles)


@pytest.mark.parametrize(
    ("predicted", "message"),
    [
        (lambda candles: candles["close"], "Mine.predict gave a Series. Return a DataFrame"),
        (lambda candles: candles.assign(forecast=0.0), "Mine.predict gave no column prob_up, spread"),
        (
            lambda candles: pd.DataFrame({"forecast": [0.0], "prob_up": [0.5], "spread": [0.0]}),
            "Mine.predict gave 1 rows for 300 candles",
        ),
    ],
)
def test_a_forecast_of_another_shape_is_refused(candles, predicted, message):
    with pytest.raises(ConfigError, match=message):
        heard(without(predict=lambda self, candles: predicted(candles)), candles)
