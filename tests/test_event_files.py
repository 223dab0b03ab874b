"""Events from files: to columns of candles, to options of the commands; a broken file gets one clear line."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import lstm_backtrader as lbt
from lstm_backtrader.cli import app
from lstm_backtrader.errors import DataError
from lstm_backtrader.event_files import event_columns

START = pd.Timestamp("2024-01-01", tz="UTC")


@pytest.fixture
def news() -> pd.DataFrame:
    """Three events; two of one moment differ in their headline alone."""
    minutes = [80, 200, 200]
    return pd.DataFrame(
        {
            "published": [str(START + pd.Timedelta(minutes=each)) for each in minutes],
            "score": [1.0, -0.5, -0.5],
            "headline": ["up", "down", "down, says another"],
        }
    )


@pytest.fixture
def files(candles, news, tmp_path):
    candles.to_parquet(tmp_path / "candles.parquet")
    news.to_csv(tmp_path / "news.csv", index=False)
    news.to_parquet(tmp_path / "news.parquet")
    return tmp_path


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_numbers_of_a_file_stand_at_the_bar_they_are_known_by(files, kind):
    candles = lbt.read_candles(files / "candles.parquet", events=files / f"news.{kind}", latency="45min")
    assert candles["score"][candles["score"] != 0].to_dict() == {
        START + pd.Timedelta(hours=2): 1.0,  # published at 01:20, known at 02:05
        START + pd.Timedelta(hours=4): -1.0,  # two events, not one told twice
    }
    assert "3 events joined" in candles.attrs["notes"][-1]
    assert event_columns(lbt.read_events(files / f"news.{kind}")) == ("score",)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda news: news.rename(columns={"published": "time"}), "column published missing; found time, score"),
        (
            lambda news: news.drop(columns="score"),
            "no column of numbers beside published; found published, headline",
        ),
        (lambda news: news.assign(score=[1.0, np.nan, 2.0]), "events: score is nan, not a number"),
        (lambda news: news.assign(published="soon"), r"news.csv: events: row 1: time 'soon' is not a time"),
        (lambda news: news.assign(close=1.0), "candles have a column close already"),
        (
            lambda news: news.drop(columns="score").assign(scheduled=news["published"]),
            "no column of numbers to join to the candles",
        ),
    ],
)
def test_a_file_that_cannot_be_joined_says_why(files, news, change, said):
    change(news).to_csv(files / "news.csv", index=False)
    with pytest.raises(DataError, match=said):
        lbt.read_candles(files / "candles.parquet", events=files / "news.csv")


def test_a_model_learns_from_all_numbers_of_the_file_unless_told_which(tiny_market, tmp_path):
    # given the news of the synthetic market in a file of its own, with a number that says nothing
    market = tiny_market.iloc[:1800]
    at = market.index[market["news"] != 0]
    table = pd.DataFrame({"published": at + pd.Timedelta("59min"), "news": market["news"][at], "noise": 1.0})
    table.to_csv(tmp_path / "news.csv", index=False)
    market.drop(columns="news").to_parquet(tmp_path / "candles.parquet")

    # when
    options = "--horizon 4 --context 32 --stride 8 --hidden 4 --seeds 1 --steps 5 --embargo 24 --batch 4"
    command = ["train", "--data", str(tmp_path / "candles.parquet"), "--event-data", str(tmp_path / "news.csv")]
    for name, more in (("all", []), ("one", ["--event", "news"])):
        run = CliRunner().invoke(app, [*command, "--out", str(tmp_path / name), *options.split(), *more])
        assert run.exit_code == 0, run.output + str(run.exception)

    # then
    assert lbt.load_model(tmp_path / "all").columns[-2:] == ("news", "noise")
    assert lbt.load_model(tmp_path / "one").columns[-1] == "news"
    joined = lbt.read_candles(tmp_path / "candles.parquet", events=tmp_path / "news.csv")
    pd.testing.assert_series_equal(joined["news"], market["news"], check_freq=False)


def test_the_last_value_is_held_for_as_long_as_it_is_told_to(candles):
    from lstm_backtrader.candles import Bars
    from lstm_backtrader.forecast.features import FeatureSpec

    value = np.zeros(300)
    value[[10, 20]] = 0.5, -2.0
    held = FeatureSpec("event_last", {"column": "score", "span": 6}).compute(Bars.of(candles.assign(score=value)))
    assert held[9:28].tolist() == [0.0, *[0.5] * 6, 0, 0, 0, 0, *[-2.0] * 6, 0, 0]


def test_the_code_of_the_document_runs(tiny_market, tmp_path, monkeypatch):
    # given the files it names
    monkeypatch.chdir(tmp_path)
    market = tiny_market.iloc[:1500]
    at = market.index[market["news"] != 0]
    market.drop(columns="news").to_parquet("BTCUSDT-1h.parquet")
    published = at + pd.Timedelta("20min")
    pd.DataFrame({"published": published, "score": market["news"][at]}).to_csv("news.csv", index=False)
    meetings = pd.DataFrame({"published": published, "scheduled": at + pd.Timedelta("9h")})
    meetings.to_csv("meetings.csv", index=False)

    # when
    page = (Path(__file__).parents[1] / "docs" / "events.md").read_text(encoding="utf-8")
    scope = {"small": {"horizon": 4, "context": 32, "hidden": 4, "seeds": 1, "steps": 5, "embargo": 24}}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(block.replace("TrainConfig(", "TrainConfig(**small, "), scope)

    # then
    assert scope["report"].is_clean
    assert scope["model"].columns[-1] == "score"
    assert len(scope["results"]) == 1
