"""The comparison with the oracle's strategy, at a small size: what is traded, and which bounds it asks for."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from trading import run

from benchmarks import oracle_strategy
from benchmarks.oracle_strategy import Account, Comparison, Oracle, compare, line
from lstm_backtrader.candles import Bars
from lstm_backtrader.datafeeds.synthetic import synthetic_market
from lstm_backtrader.strategies.lstm_futures import LSTMFutures

GOOD = Account(sharpe=4.0, low=3.5, high=4.5, gross=4.2, gross_low=3.7, gross_high=4.7, trades=1_000)
NOISE = Account(sharpe=-0.4, low=-0.8, high=0.0, gross=0.1, gross_low=-0.3, gross_high=0.5, trades=900)
IDLE = Account(sharpe=0.0, low=0.0, high=0.0, gross=0.0, gross_low=0.0, gross_high=0.0, trades=0)
FOUND = Comparison(
    seed=5,
    model=GOOD,
    oracle=replace(GOOD, sharpe=4.4),
    shuffled=NOISE,
    untaught=replace(NOISE, high=0.1),
    difference_error=0.1,
)


class Blurred(Oracle):
    """The oracle through a fog."""

    def predict(self, candles):
        said = super().predict(candles)
        return said.assign(forecast=said["forecast"] + np.random.default_rng(0).normal(0, 0.2, len(said)))


class Silent(Oracle):
    """Nothing is worth a trade."""

    def predict(self, candles):
        return super().predict(candles).assign(forecast=0.0)


def test_the_oracle_says_the_same_at_once_and_bar_by_bar():
    market = synthetic_market(400, seed=1)
    oracle = Oracle(market, warmup=5)
    bars = Bars.of(market.candles)

    at_once = oracle.predict(market.candles)
    one_by_one = [oracle.stream().update(bars.part(0, n + 1).last) for n in range(len(bars))]

    assert [tuple(point) for point in one_by_one] == [tuple(row) for row in at_once.to_numpy()]


def test_an_account_on_the_oracle_holds_each_trade_for_the_horizon_at_most():
    market = synthetic_market(3_000, seed=1)

    traded = run(market.candles, LSTMFutures, model=Oracle(market, 100), **oracle_strategy.RULES)

    trades = [each for each in traded._trades[traded.data][0] if each.isclosed]
    assert len(trades) > 10
    assert max(each.barlen for each in trades) == 12


def test_a_worse_forecast_earns_less_of_what_there_is(monkeypatch):
    bars = 12_000
    market = synthetic_market(bars, seed=1, start="2060-01-01")
    monkeypatch.setattr(
        oracle_strategy,
        "_model",
        lambda seed, models, shuffled=False: Silent(market, 100) if shuffled else Blurred(market, 100),
    )
    monkeypatch.setattr(oracle_strategy, "DRAWS", 200)

    found = compare(0, bars, None)

    assert 0 < found.model.sharpe < found.oracle.sharpe
    assert found.model.low < found.model.sharpe < found.model.high
    assert found.model.gross > found.model.sharpe
    assert found.difference_error > 0
    assert found.shuffled.trades == pytest.approx(3 * found.model.trades)  # this forecast reads no news
    assert "MISSED" in line(found)  # and so the shuffle does it no harm
    assert (found.untaught.trades, found.untaught.low, found.untaught.high) == (0, 0.0, 0.0)
    assert "no trade, so 0" in line(found)


def test_the_control_is_trained_on_the_same_market_with_its_news_elsewhere(monkeypatch):
    seen = []
    monkeypatch.setattr(oracle_strategy, "TRAIN_BARS", 3_000)
    monkeypatch.setattr(oracle_strategy, "train", lambda candles, config: seen.append((candles, config)))

    oracle_strategy._model(5, None)
    oracle_strategy._model(5, None, shuffled=True)

    (plain, config), (shuffled, same_config) = seen
    assert same_config is config
    pd.testing.assert_frame_equal(shuffled.drop(columns="news"), plain.drop(columns="news"))
    assert shuffled["news"].ne(plain["news"]).sum() > 20
    assert shuffled["news"].value_counts().to_dict() == plain["news"].value_counts().to_dict()


def test_a_model_that_is_kept_is_taken_again(tmp_path, monkeypatch, untrained_model):
    monkeypatch.setattr(oracle_strategy, "TRAIN_BARS", 300)
    monkeypatch.setattr(oracle_strategy, "train", lambda candles, config: untrained_model())

    trained = oracle_strategy._model(5, tmp_path, shuffled=True)
    monkeypatch.setattr(oracle_strategy, "train", None)
    again = oracle_strategy._model(5, tmp_path, shuffled=True)

    assert again.manifest.weights_sha256 == trained.manifest.weights_sha256
    assert [each.name for each in tmp_path.iterdir()] == ["5-shuffled"]


def test_a_line_shows_the_shuffled_news_with_both_intervals_under_their_heading():
    shown, heading = line(FOUND), oracle_strategy._HEAD
    at = heading.index("news shuffled")
    assert shown[at:].startswith(" 0.10 [-0.30,  0.50]  -0.40 [-0.80,  0.00]    900  ")
    assert shown.index("-0.40 [-0.80,  0.10]") == heading.index("trained on")


@pytest.mark.parametrize(
    ("changed", "is_met"),
    [
        ({}, True),
        ({"model": replace(GOOD, sharpe=3.5)}, False),  # 0.795 of the oracle
        ({"model": replace(GOOD, sharpe=4.7)}, False),  # three errors above it
        ({"model": replace(GOOD, sharpe=4.55)}, True),
        ({"shuffled": replace(NOISE, gross_low=0.05)}, False),
        ({"untaught": IDLE}, True),
        ({"untaught": replace(NOISE, low=0.05, high=0.4)}, False),
        ({"untaught": replace(NOISE, low=-0.8, high=-0.1)}, False),
        ({"model": replace(GOOD, sharpe=-1.0), "oracle": replace(GOOD, sharpe=-1.2)}, False),
    ],
)
def test_every_bound_has_to_hold(changed, is_met):
    assert replace(FOUND, **changed).is_met is is_met
    assert line(replace(FOUND, **changed)).endswith("ok" if is_met else "MISSED")
