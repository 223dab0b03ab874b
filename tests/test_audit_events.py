"""The audit of events: what stands before it was published is found, by bar and by how much, whoever joined it."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import lstm_backtrader as lbt
from lstm_backtrader.candles import Bars
from lstm_backtrader.cli import app
from lstm_backtrader.datafeeds.synthetic import MarketShape, synthetic_market
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.forecast.labels import scaled_return
from lstm_backtrader.forecast.quality import correlation

HOUR = pd.Timedelta(hours=1)
MINUTE = pd.Timedelta(minutes=1)


@pytest.fixture
def events(candles):
    rng = np.random.default_rng(0)
    at = np.sort(rng.choice(np.arange(5, 290), 30, replace=False))
    return pd.DataFrame({"published": candles.index[at] + 20 * MINUTE, "score": rng.normal(size=30)})


def test_events_joined_by_publication_are_clean(candles, events):
    report = lbt.audit_events(lbt.join_events(candles, events, ["score"], latency="50min"), events, latency="50min")
    assert report.is_clean
    assert report.checks[0].compared == 30
    assert report.checks[0].note == ""


def test_events_published_a_bar_later_than_they_stand_are_found(candles, events):
    # given
    joined = lbt.join_events(candles, events, ["score"])
    later = events.assign(published=events["published"] + HOUR)

    # when
    report = lbt.audit_events(joined, later)

    # then
    first = joined.index[np.flatnonzero(joined["score"])[0]]
    assert report.checks[0].note == "30 early"
    assert str(report.findings[0]) == (
        f"publication: score at {first:%Y-%m-%d %H:%M} is {events['score'][0]:g}, 1 bar before it is known: it was "
        f"published so that it may stand at {first + HOUR:%Y-%m-%d %H:%M}. Join events by publication and latency, "
        "with `lbt.join_events`."
    )


def test_an_as_of_join_by_the_time_of_the_event_is_found(candles, events):
    """What `merge_asof` on the wrong column makes: an event stands at its own bar, hours before anybody knew."""
    happened = events.assign(published=events["published"] - 5 * HOUR)
    report = lbt.audit_events(lbt.join_events(candles, happened, ["score"]), events)
    assert report.findings[0].amount == 5
    assert "5 bars before it is known" in str(report.findings[0])


def test_events_that_stand_late_are_a_note_and_no_finding(candles, events):
    joined = lbt.join_events(candles, events, ["score"])
    earlier = events.assign(published=events["published"] - HOUR)
    report = lbt.audit_events(joined, earlier)
    assert report.is_clean
    assert report.checks[0].note == "30 later than they could"


def test_a_value_nobody_published_is_found(candles, events):
    joined = lbt.join_events(candles, events, ["score"])
    joined.iloc[100, joined.columns.get_loc("score")] = 77.0
    finding = lbt.audit_events(joined, events).findings[0]
    assert finding.time == joined.index[100]
    assert "is 77, and of what was published by its close there is" in str(finding)


@given(hours=st.integers(1, 30), latency=st.integers(0, 200), seed=st.integers(0, 20))
def test_any_lead_is_found_and_no_honest_join_is(candles_of, hours, latency, seed):
    candles, rng = candles_of(300), np.random.default_rng(seed)
    at = np.sort(rng.choice(np.arange(40, 200), 8, replace=False))
    events = pd.DataFrame({"published": candles.index[at] + 10 * MINUTE, "score": rng.normal(size=8)})
    joined = lbt.join_events(candles, events, ["score"], latency=f"{latency}min")
    assert lbt.audit_events(joined, events, latency=f"{latency}min").is_clean
    assert not lbt.audit_events(joined, events, latency=f"{latency + 60 * hours}min").is_clean


def test_candles_without_the_events_cannot_be_audited(candles, events):
    with pytest.raises(ConfigError, match="have no event column of these events; they have open, high"):
        lbt.audit_events(candles, events)
    with pytest.raises(ConfigError, match="no event column mood"):
        lbt.audit_events(candles, events.assign(mood=1.0), ["mood"])


def test_the_command_finds_what_a_file_of_candles_knew_too_early(candles, events, tmp_path):
    # given candles that bring a column of their own, and the times it was published
    (tmp_path / "own.py").write_text(
        "from lstm_backtrader.forecast.features import feature\n\n\n"
        "@feature(memory=lambda: 1)\ndef my_score(bars):\n    'The score.'\n    return bars['score']\n"
    )
    lbt.join_events(candles, events, ["score"]).to_parquet(tmp_path / "candles.parquet")
    events.to_csv(tmp_path / "events.csv", index=False)
    command = ["audit", "--data", str(tmp_path / "candles.parquet"), "--event-data", str(tmp_path / "events.csv")]
    command += ["--feature-module", str(tmp_path / "own.py")]

    # then
    honest, late = (CliRunner().invoke(app, [*command, *more]) for more in ([], ["--event-latency", "1h"]))
    assert honest.exit_code == 0, honest.output
    assert late.exit_code == 1
    assert "1 bar before it is known" in " ".join(late.output.split())


# --- on a market where the events are all there is to know --------------------------------------------------


@pytest.fixture(scope="module")
def moved_by_events():
    """(candles, events): each moves the price by 0.4 deviations a bar over the three bars after it is known."""
    shape = MarketShape(horizon=3, gap=(1, 1), rest=(8, 24))
    market = synthetic_market(16_000, seed=0, kappa=0.4, shape=shape)
    at = np.flatnonzero(market.candles["news"].to_numpy()[:-1]) + 1  # the bar before the drift
    published = market.candles.index[at] + 30 * MINUTE
    events = pd.DataFrame({"published": published, "score": market.candles["news"].to_numpy()[at - 1]})
    return market.candles.drop(columns="news"), events


def information(candles, columns):
    """Correlation of forecast and label on bars the model has not seen."""
    config = lbt.TrainConfig(
        horizon=3,
        context=16,
        stride=4,
        hidden=6,
        seeds=2,
        steps=300,
        learning_rate=1e-2,
        embargo=24,
        features=("close_location", "volume_z:span=48"),
        events=columns,
    )
    unseen = candles.iloc[11_000:]
    said = lbt.train(candles.iloc[:11_000], config).predict(unseen)["forecast"]
    return correlation(said.to_numpy(), scaled_return(Bars.of(unseen), 3))


def test_the_news_alone_carries_the_result_and_a_bar_later_less_of_it(moved_by_events):
    # given
    candles, events = moved_by_events
    late = events.assign(published=events["published"] + HOUR)
    in_time, a_bar_late = (lbt.join_events(candles, each, ["score"]) for each in (events, late))

    # when
    with_news = information(in_time, ("score",))
    without = information(in_time, ())
    too_late = information(a_bar_late, ("score",))

    # then the IC is there, is gone, and is that of two bars of three; and the audit tells the two joins apart
    assert with_news > 0.12
    assert abs(without) < 0.04
    assert too_late < 0.8 * with_news
    assert lbt.audit_events(in_time, events).is_clean
    assert lbt.audit_events(in_time, late).checks[0].note == f"{len(events)} early"
