"""The comparison with the oracle's strategy, at a small size: what is traded, and which bounds it asks for."""

from dataclasses import replace

import numpy as np
import pytest
from trading import run

from benchmarks import oracle_strategy
from benchmarks.oracle_strategy import Account, Comparison, Oracle, compare, line
from lstm_backtrader.candles import Bars
from lstm_backtrader.datafeeds.synthetic import synthetic_market
from lstm_backtrader.strategies.lstm_futures import LSTMFutures

GOOD = Account(sharpe=4.0, low=3.5, high=4.5, gross=4.2, gross_low=3.7, gross_high=4.7, trades=1_000)
NOISE = Account(sharpe=-0.4, low=-0.8, high=0.0, gross=0.1, gross_low=-0.3, gross_high=0.5, trades=900)
FOUND = Comparison(seed=0, model=GOOD, oracle=replace(GOOD, sharpe=4.4), shuffled=NOISE, difference_error=0.1)


class Blurred(Oracle):
    """The oracle through a fog."""

    def predict(self, candles):
        said = super().predict(candles)
        return said.assign(forecast=said["forecast"] + np.random.default_rng(0).normal(0, 0.2, len(said)))


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
    monkeypatch.setattr(oracle_strategy, "_model", lambda seed, models: Blurred(market, 100))
    monkeypatch.setattr(oracle_strategy, "DRAWS", 200)

    found = compare(0, bars, None)

    assert 0 < found.model.sharpe < found.oracle.sharpe
    assert found.model.low < found.model.sharpe < found.model.high
    assert found.model.gross > found.model.sharpe
    assert found.difference_error > 0
    assert found.shuffled.trades == pytest.approx(3 * found.model.trades)  # this forecast reads no news
    assert "MISSED" in line(found)  # and so the shuffle does it no harm


@pytest.mark.parametrize(
    ("changed", "is_met"),
    [
        ({}, True),
        ({"model": replace(GOOD, sharpe=3.5)}, False),  # 0.795 of the oracle
        ({"model": replace(GOOD, sharpe=4.7)}, False),  # three errors above it
        ({"model": replace(GOOD, sharpe=4.55)}, True),
        ({"shuffled": replace(NOISE, gross_low=0.05)}, False),
        ({"model": replace(GOOD, sharpe=-1.0), "oracle": replace(GOOD, sharpe=-1.2)}, False),
    ],
)
def test_every_bound_has_to_hold(changed, is_met):
    assert replace(FOUND, **changed).is_met is is_met
    assert line(replace(FOUND, **changed)).endswith("ok" if is_met else "MISSED")
