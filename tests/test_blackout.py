"""No trading around events, with what is known of them at that moment; and events traded as a signal."""

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

import lstm_backtrader as lbt
from lstm_backtrader.errors import ConfigError, DataError
from lstm_backtrader.strategies import EventBlackout, EventFutures, LSTMFutures, Situation

START = pd.Timestamp("2024-01-01", tz="UTC")


def at(hours):
    return START + pd.Timedelta(hours=hours)


def calendar(*rows):
    """Events announced and scheduled, hours after the start."""
    return pd.DataFrame({"published": [at(p) for p, _ in rows], "scheduled": [at(s) for _, s in rows]})


def halted(rule, hours):
    return [each for each in hours if rule.halt(Situation(moment=at(each).to_pydatetime())) is not None]


def test_what_is_announced_is_heeded_before_and_after():
    rule = EventBlackout(calendar((1, 20)), before="3h", after="2h")
    assert halted(rule, range(30)) == [17, 18, 19, 20, 21]


def test_nothing_is_heeded_before_it_is_announced():
    rule = EventBlackout(calendar((18, 20)), before="5h", after="1h", latency="1h")
    assert halted(rule, range(30)) == [19, 20]


def test_news_is_heeded_from_the_moment_it_is_known():
    news = pd.DataFrame({"published": [at(10)], "score": [1.0]})
    assert halted(EventBlackout(news, after="3h", latency="1h"), range(20)) == [11, 12, 13]


def test_blackouts_that_meet_are_one():
    rule = EventBlackout(calendar((0, 10), (0, 12), (0, 20)), before="1h", after="2h")
    assert halted(rule, range(30)) == [9, 10, 11, 12, 13, 19, 20, 21]
    assert repr(rule) == "EventBlackout(2 stretches, before 1h, after 2h)"
    assert "events from 2024-01-01 09:00 to 2024-01-01 14:00" in rule.halt(Situation(moment=at(10).to_pydatetime()))


def test_an_event_that_is_over_when_it_becomes_known_stops_nothing():
    assert halted(EventBlackout(calendar((30, 20)), before="1h", after="2h"), range(40)) == []


def test_no_events_stop_nothing():
    assert halted(EventBlackout(calendar().astype("datetime64[ns, UTC]")), range(5)) == []


@pytest.mark.parametrize(
    ("events", "options", "error", "said"),
    [
        (
            pd.DataFrame({"published": [START]}),
            {"before": "1h"},
            ConfigError,
            "before='1h': events without a column 'sch",
        ),
        (calendar((0, 1)), {"after": "-1h"}, ConfigError, "after='-1h' must be 0 or more"),
        (calendar((0, 1)), {"after": "soon"}, ConfigError, "after='soon' is no length of time"),
        (pd.DataFrame({"time": [START]}), {}, DataError, "column published missing; found time"),
        (calendar((0, 1)).assign(scheduled="later"), {}, DataError, "events, scheduled: row 1: time 'later'"),
    ],
)
def test_a_wrong_blackout_is_refused(events, options, error, said):
    with pytest.raises(error, match=said):
        EventBlackout(events, **options)


def run(candles, strategy, **params):
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(lbt.CandleFeed(candles))
    cerebro.setbroker(lbt.FuturesBroker(leverage=1))
    cerebro.addstrategy(strategy, **params)
    return lbt.run(cerebro)[0].analyzers[0].record


def held_hours(record):
    position = record.equity["position"]
    return [int((time - START) / pd.Timedelta("1h")) for time in position.index[position != 0]]


def test_as_an_entry_rule_it_keeps_a_strategy_out_until_it_is_over(candles, fixed_forecaster):
    rule = EventBlackout(calendar((0, 8)), before="8h", after="4h")
    record = run(candles.iloc[:40], LSTMFutures, model=fixed_forecaster(0.9), entries=[rule])
    assert held_hours(record) == list(range(12, 40))  # decided at 12:00, the close of the bar before


def test_as_a_guard_that_flattens_it_leaves_before_the_event(candles, fixed_forecaster):
    rule = EventBlackout(calendar((0, 20)), before="5h", after="4h", flattens=True)
    record = run(candles.iloc[:40], LSTMFutures, model=fixed_forecaster(0.9), guards=[rule])
    assert held_hours(record) == [*range(1, 15), *range(24, 40)]
    assert record.trades["exit_reason"].iloc[0] == "event_blackout"


# --- events as a signal -------------------------------------------------------------------------------------


def test_an_event_is_held_for_its_bars_and_another_takes_its_place(candles):
    value = np.zeros(60)
    value[[10, 30, 33]] = 1.0, -2.0, 0.4
    record = run(candles.iloc[:60].assign(score=value), EventFutures, column="score", hold=5, threshold=0.5)
    position = np.sign(record.equity["position"].to_numpy())
    offset = 60 - len(position)
    assert (np.flatnonzero(position > 0) + offset).tolist() == [11, 12, 13, 14, 15]
    assert (np.flatnonzero(position < 0) + offset).tolist() == [31, 32, 33, 34, 35]


@pytest.mark.parametrize(
    ("params", "error", "said"),
    [
        ({"column": "mood"}, DataError, r"the data has no line 'mood'. Join events to the candles first"),
        ({"column": "close", "hold": 0}, ConfigError, "hold=0 must be a whole number of bars"),
        ({"column": "close", "threshold": -1}, ConfigError, "threshold=-1 must be 0 or more"),
    ],
)
def test_what_is_no_event_is_refused(candles, params, error, said):
    with pytest.raises(error, match=said):
        run(candles, EventFutures, **params)
