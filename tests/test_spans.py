"""The arithmetic of spans, against sets of single hours."""

import doctest
from datetime import UTC, datetime

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_backtrader.datafeeds import spans as module
from lstm_backtrader.datafeeds.spans import intersect, moment, runs, subtract, union
from lstm_backtrader.errors import ConfigError

HOUR = pd.Timedelta(hours=1)


def at(hour):
    return pd.Timestamp("2024-01-01", tz="UTC") + hour * HOUR


def hours(spans):
    """The hours that spans hold."""
    return {each for start, end in spans for each in pd.date_range(start, end, freq="h", inclusive="left")}


some_spans = st.lists(
    st.tuples(st.integers(0, 20), st.integers(0, 20)).map(lambda pair: (at(pair[0]), at(pair[1])))
)


@given(some_spans)
def test_a_union_holds_the_same_hours_apart_and_in_order(spans):
    joined = union(spans)
    assert hours(joined) == hours(spans)
    flat = [stamp for span in joined for stamp in span]
    assert flat == sorted(set(flat))


@given(some_spans, some_spans)
def test_differences_and_intersections_are_those_of_the_hours(spans, others):
    assert hours(subtract(spans, others)) == hours(spans) - hours(others)
    assert hours(intersect(spans, others)) == hours(spans) & hours(others)


@given(st.sets(st.integers(0, 20)))
def test_runs_of_bars_fill_the_hours_they_open(opens):
    index = pd.DatetimeIndex([at(each) for each in sorted(opens)])
    found = runs(index, HOUR)
    assert hours(found) == set(index)
    assert found == union(found)


@pytest.mark.parametrize(
    "given_", ["2024-01-01", "2024-01-01T01:00+01:00", pd.Timestamp("2024-01-01"), datetime(2024, 1, 1, tzinfo=UTC)]
)
def test_a_moment_is_in_utc(given_):
    assert moment(given_) == at(0)


@pytest.mark.parametrize("given_", ["yesterday evening", "", "2024-13-01"])
def test_what_is_no_moment_is_refused(given_):
    with pytest.raises(ConfigError, match=r"since '.*' is no time. Write 2024-01-31"):
        moment(given_, "since")


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(module).failed == 0
