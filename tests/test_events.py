"""Events stand at the bar they are known by, never earlier, whatever their order, zone or number."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_backtrader import join_events
from lstm_backtrader.errors import ConfigError, DataError

START = pd.Timestamp("2024-01-01", tz="UTC")
MINUTE = pd.Timedelta(minutes=1)


def told(*rows, **more):
    """Events from (minutes after START, value)."""
    return pd.DataFrame({"published": [START + m * MINUTE for m, _ in rows], "value": [v for _, v in rows], **more})


def bars_with_values(joined, name="value"):
    return {int((time - START) / MINUTE): value for time, value in joined[name].items() if value}


# --- the bar an event is known by ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minute", "latency", "bar"),
    [
        (0, "0s", 0),
        (80, "0s", 60),
        (119, "0s", 60),
        (120, "0s", 120),  # known at the close of the bar from 60 on, too late for it
        (80, "40min", 120),
        (80, "39min", 60),
        (80, "3h", 240),
    ],
)
def test_an_event_stands_at_the_first_bar_that_closes_after_it_is_known(candles, minute, latency, bar):
    joined = join_events(candles, told((minute, 1.0)), latency=latency)
    assert bars_with_values(joined) == {bar: 1.0}


@given(
    minutes=st.lists(st.integers(-500, 20_000), max_size=8),
    latency=st.integers(0, 300),
    missing=st.sets(st.integers(0, 299), max_size=200),
)
def test_no_bar_shows_an_event_before_it_is_known_and_the_first_that_can_does(
    candles_of, minutes, latency, missing
):
    # given candles with gaps
    candles = candles_of(300).drop(candles_of(300).index[sorted(missing)])
    published = pd.Series([START + m * MINUTE for m in minutes], dtype="datetime64[ns, UTC]")
    events = pd.DataFrame({"published": published, "value": 1.0}).drop_duplicates()

    # when
    joined = join_events(candles, events, latency=f"{latency}min", combine="count")

    # then
    expected = np.zeros(len(candles))
    for known in events.published + latency * MINUTE:
        later = np.flatnonzero(candles.index + 60 * MINUTE > known)
        if known >= candles.index[0] and len(later):
            expected[later[0]] += 1
    np.testing.assert_array_equal(joined["value"], expected)


def test_the_future_of_the_events_changes_no_bar_before(candles):
    past, all_of_them = told((80, 1.0), (200, 2.0)), told((80, 1.0), (200, 2.0), (320, 5.0), (321, 7.0))
    before, after = join_events(candles, past), join_events(candles, all_of_them)
    np.testing.assert_array_equal(before["value"].iloc[:5], after["value"].iloc[:5])


def test_an_event_in_a_gap_stands_at_the_next_bar_there_is(candles):
    joined = join_events(candles.drop(candles.index[[1, 2, 3]]), told((80, 1.0), (250, 2.0)))
    assert bars_with_values(joined) == {240: 3.0}


def test_events_outside_the_candles_are_left_out_and_told(candles):
    joined = join_events(candles, told((-1, 1.0), (5, 2.0), (300 * 60, 3.0)))
    assert bars_with_values(joined) == {0: 2.0}
    assert joined.attrs["notes"][-1] == "1 events joined, 2 outside the candles"


# --- several, twice, out of order ---------------------------------------------------------------------------


@pytest.mark.parametrize(("combine", "value"), [("sum", 5.5), ("last", 2.5), ("count", 3.0)])
def test_several_events_of_a_bar_make_one_number(candles, combine, value):
    events = told((10, 1.0), (50, 2.5), (30, 2.0))
    assert bars_with_values(join_events(candles, events, combine=combine)) == {0: value}


@given(order=st.permutations(range(5)), combine=st.sampled_from(["sum", "last", "count"]))
def test_the_order_of_the_rows_does_not_matter(candles_of, order, combine):
    candles, events = candles_of(50), told((10, 1.0), (50, 2.5), (30, 2.0), (500, -1.0), (61, 4.0))
    pd.testing.assert_frame_equal(
        join_events(candles, events.iloc[list(order)], combine=combine),
        join_events(candles, events, combine=combine),
    )


def test_of_two_events_at_one_time_the_lower_row_is_the_last(candles):
    assert bars_with_values(join_events(candles, told((10, 1.0), (10, 2.0)), combine="last")) == {0: 2.0}


def test_an_event_told_twice_is_one_and_one_with_another_text_is_not(candles):
    twice = told((10, 1.0), (10, 1.0))
    assert bars_with_values(join_events(candles, twice)) == {0: 1.0}
    assert join_events(candles, twice).attrs["notes"][-1] == "1 events joined, 1 told twice"
    apart = told((10, 1.0), (10, 1.0), headline=["ETF approved", "hack"])
    assert bars_with_values(join_events(candles, apart)) == {0: 2.0}


def test_several_columns_are_joined_at_once_under_a_prefix(candles):
    events = told((10, 1.0), (70, 2.0), size=[3.0, 4.0])
    joined = join_events(candles, events, ["value", "size"], prefix="news_")
    assert bars_with_values(joined, "news_value") == {0: 1.0, 60: 2.0}
    assert bars_with_values(joined, "news_size") == {0: 3.0, 60: 4.0}


def test_no_event_at_all_is_a_column_of_zeros(candles):
    assert not join_events(candles, told())["value"].any()


def test_the_candles_themselves_stay_as_they_are(candles):
    joined = join_events(candles, told((10, 1.0)))
    assert "value" not in candles
    pd.testing.assert_frame_equal(joined.drop(columns="value"), candles)


# --- time zones ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "published",
    [
        "2024-01-01 01:20",
        "2024-01-01T01:20:00Z",
        "2024-01-01T03:20:00+02:00",
        pd.Timestamp("2024-01-01 01:20"),
        pd.Timestamp("2023-12-31 20:20", tz="America/New_York"),
        1_704_072_000,
        1_704_072_000_000,
    ],
)
def test_times_are_utc_where_no_zone_is_stated(candles, published):
    joined = join_events(candles, pd.DataFrame({"published": [published], "value": [1.0]}))
    assert bars_with_values(joined) == {60: 1.0}


def test_zones_may_be_mixed(candles):
    events = pd.DataFrame({"at": ["2024-01-01T03:20:00+02:00", "2024-01-01T02:20:00Z"], "value": [1.0, 2.0]})
    assert bars_with_values(join_events(candles, events, published="at")) == {60: 1.0, 120: 2.0}


def test_a_model_learns_from_joined_events(candles):
    from lstm_backtrader.candles import Bars
    from lstm_backtrader.forecast.features import FeatureSpec

    bars = Bars.of(join_events(candles, told((80, -2.0))))
    assert FeatureSpec("event", {"column": "value"}).compute(bars)[:3].tolist() == [0, -2, 0]


# --- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"latency": "-1s"}, ConfigError, "latency -1s is below 0: nothing is known before it is published"),
        ({"latency": "soon"}, ConfigError, "latency 'soon' is no length of time"),
        ({"combine": "mean"}, ConfigError, "combine 'mean' is unknown. Use sum, last, count"),
        ({"published": "time"}, DataError, "events: column time missing; found published, value"),
        ({"columns": ["size"]}, DataError, "column size missing"),
    ],
)
def test_wrong_options_are_refused(candles, options, error, message):
    with pytest.raises(error, match=message):
        join_events(candles, told((10, 1.0)), **options)


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), "up"])
def test_a_value_that_is_no_number_is_refused(candles, value):
    with pytest.raises(DataError, match=r"events: value is .*, not a number. Mend or drop that event"):
        join_events(candles, told((10, value)))


def test_a_time_that_is_none_is_refused(candles):
    with pytest.raises(DataError, match="events: row 2: time 'yesterday' is not a time"):
        join_events(candles, pd.DataFrame({"published": ["2024-01-01", "yesterday"], "value": 1.0}))


def test_a_column_that_is_there_already_is_refused(candles):
    with pytest.raises(
        DataError, match=r"candles have a column value already. Drop it, or give the events a prefix"
    ):
        join_events(join_events(candles, told((10, 1.0))), told((10, 1.0)))
