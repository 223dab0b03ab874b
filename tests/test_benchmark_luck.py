"""Tuning on a random walk and on a walk with something to learn; the forty runs are `python -m benchmarks.luck`."""

import pytest

from benchmarks.luck import one, walk
from lstm_backtrader.reporting import report
from lstm_backtrader.reporting.luck import CONFIDENCE


@pytest.fixture(autouse=True)
def no_tearsheet(monkeypatch):
    """QuantStats draws for seconds what no test here looks at."""
    monkeypatch.setattr(report, "tearsheet_html", lambda *args, **options: "<html></html>")


def test_a_walk_remembers_as_much_as_it_is_told():
    returns = walk(0, bars=6000, memory=0.3)["close"].pct_change().dropna()
    assert returns.autocorr() == pytest.approx(0.3, abs=0.04)
    assert walk(0, bars=6000)["close"].pct_change().dropna().autocorr() == pytest.approx(0.0, abs=0.04)


def test_the_winner_on_a_random_walk_is_luck():
    found = one(seed=3, trials=10, memory=0.0, bars=1200)
    assert found["inner_tries"] == found["test_tries"] == 10
    assert found["inner_dsr"] < found["inner_psr"]
    assert found["test_dsr"] < found["test_psr"]
    assert max(found["inner_dsr"], found["test_dsr"]) < CONFIDENCE


@pytest.mark.slow
def test_the_winner_on_a_walk_that_remembers_is_more_than_luck():
    found = one(seed=0, trials=10, memory=0.4, bars=1800)
    assert found["inner_dsr"] > CONFIDENCE
    assert found["test_dsr"] > CONFIDENCE
