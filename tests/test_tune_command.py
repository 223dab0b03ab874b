"""`lbt tune` as a user types it, and its page of the documentation."""

import dataclasses
import inspect
import json
import re
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

import lstm_backtrader as lbt
from lstm_backtrader import cli
from lstm_backtrader.backtesting import BacktestConfig
from lstm_backtrader.forecast.train_config import TrainConfig
from lstm_backtrader.reporting import report
from lstm_backtrader.tuning.config import TuneConfig
from lstm_backtrader.tuning.space_file import read_space

PAGE = Path(__file__).resolve().parents[1] / "docs" / "tune.md"
TINY = ("--horizon", 4, "--context", 16, "--stride", 16, "--hidden", 4, "--seeds", 1, "--steps", 6, "--embargo", 24)
SHORT = ("--folds", 2, "--test-from", "2024-02-15", "--features", "log_return:span=6")


@pytest.fixture
def tune(lbt, monkeypatch, tmp_path):
    """`tune("--trials", 3)` runs the command in this process, on a ledger of its own."""
    monkeypatch.setenv("LBT_LEDGER", str(tmp_path / "ledger.jsonl"))
    monkeypatch.setattr(report, "tearsheet_html", lambda *args, **options: "<html></html>")

    return partial(lbt, "tune")


@pytest.fixture(scope="module")
def data(candles_of, tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "TOY-1h.parquet"
    candles_of(24 * 70, seed=5).rename_axis("timestamp").reset_index().to_parquet(path)
    return path


def test_it_shows_the_trials_the_winner_and_what_luck_makes_of_it(tune, data, tmp_path):
    # when
    done = tune("--data", data, "--out", tmp_path / "out", "--trials", 2, *TINY, *SHORT, "--leverage", 2)

    # then
    assert done.code == 0, done.err
    assert re.search(r"trial +sharpe +Sharpe +IC +return +drawdown +trades +hidden", done.out)
    assert "2 trials on 2 inner folds" in done.out
    assert "The winner from 2024-02-15 on, trained on all before:" in done.out
    assert "LSTM 2x" in done.out
    assert "With 2 tries on TOY-1h the best of luck would show" in done.out
    assert "4/4" in done.err  # folds of the progress bar
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["significance"]["tries"] == 2
    assert {"data_sha256", "model_sha256"} <= metrics["inputs"].keys()
    assert metrics["forecast"]["in_sample"] == 0
    model = lbt.load_model(tmp_path / "out" / "model")
    assert model.valid_from == pd.Timestamp(metrics["span"]["start"]) == pd.Timestamp("2024-02-15", tz="UTC")


def test_space_and_options_may_come_from_files(tune, data, tmp_path):
    # given
    (tmp_path / "space.toml").write_text("[train]\nhidden = [2, 4]\n")
    (tmp_path / "lbt.toml").write_text(
        f'data = "{data}"\n[tune]\nspace = "space.toml"\ntrials = 2\ntest-from = 2024-03-01\n'
        "[train]\nhorizon = 4\ncontext = 16\nstride = 16\nseeds = 1\nsteps = 6\nembargo = 24\nfeatures = ['macd']\n"
        "[backtest]\nleverage = 3\n"
    )

    # when
    done = tune("--config", tmp_path / "lbt.toml", "--out", tmp_path / "out", "--folds", 2)

    # then
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "out" / "tune.json").read_text())
    assert {each["values"]["hidden"] for each in found["trials"]} == {2, 4}
    assert found["test"]["begin"] == "2024-03-01"
    manifest = json.loads((tmp_path / "out" / "model" / "manifest.json").read_text())
    assert (manifest["training"]["features"], manifest["training"]["context"]) == (["macd"], 16)
    assert "LSTM 3x" in done.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--objective", "sharp"), "objective 'sharp' is unknown. Use sharpe or ic"),
        (("--trials", 0), "trials 0 is outside 1 to 100000"),
        (("--test-from", "2031-01-01"), "a test span from 2031-01-01 on leaves"),
        (("--space", "none.toml"), "none.toml cannot be read"),
        (("--hidden", 0), "hidden 0 is outside"),
        (("--device", "gpu"), "device 'gpu' is unknown"),
        (("--threshold", "-1"), "none of 2 configurations can be tried. The last one: threshold -1"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_no_report(tune, data, tmp_path, options, message):
    done = tune("--data", data, "--out", tmp_path / "out", "--trials", 2, *TINY, *options)
    assert done.code == 1
    assert done.last.startswith("Error: ")
    assert message in done.last
    assert "Traceback" not in done.err
    assert not (tmp_path / "out" / "report.html").exists()


def test_the_defaults_are_those_of_python():
    typed = {name: given.default for name, given in inspect.signature(cli.tune).parameters.items()}
    renamed = {"events": "event", "expires_days": "expires"}
    for each in dataclasses.fields(TrainConfig):
        default = None if each.name in ("events", "features") else each.default
        assert typed[renamed.get(each.name, each.name)] == default, each.name
    for each in dataclasses.fields(BacktestConfig):
        assert typed.get(each.name, each.default) == each.default, each.name
    for each in dataclasses.fields(TuneConfig):
        if each.name not in ("train", "account"):
            name = "search_seed" if each.name == "seed" else each.name
            assert typed[name] == each.default, each.name


# --- the page -----------------------------------------------------------------------------------------------


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_space_of_the_page_is_one(tmp_path):
    (text,) = blocks("toml")
    (tmp_path / "space.toml").write_text(text)
    space = read_space(tmp_path / "space.toml")
    space.check(TrainConfig(), BacktestConfig())
    assert len(space.dimensions()) == 8


def test_the_commands_of_the_page_are_understood(tune):
    (text,) = blocks("sh")
    typed = text.split()
    assert typed[:2] == ["lbt", "tune"]
    assert tune(*typed[2:], "--help").code == 0


def test_the_script_of_the_page_runs(data, tmp_path, monkeypatch, capsys):
    # given the script as it stands, with a smaller search
    (text,) = blocks("python")
    small = "trials=2, folds=2, train=lbt.TrainConfig(horizon=24, context=16, seeds=1, steps=4, embargo=24)"
    script = text.replace("trials=50, workers=2, train=lbt.TrainConfig(horizon=24)", small)
    assert script != text
    (tmp_path / "BTCUSDT-1h.parquet").write_bytes(data.read_bytes())
    (tmp_path / "space.toml").write_text("[train]\nhidden = [2, 4]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LBT_LEDGER", str(tmp_path / "ledger.jsonl"))
    monkeypatch.setattr(report, "tearsheet_html", lambda *args, **options: "<html></html>")

    # when
    exec(compile(script, "tune.md", "exec"), {"__name__": "__main__"})

    # then
    assert capsys.readouterr().out.startswith("Candidate(train=TrainConfig(")
    assert (tmp_path / "runs" / "tuned" / "report.html").exists()
