"""The examples run as they stand, offline, in the order a reader meets them."""

import difflib
import re
import runpy
import subprocess
import sys
from pathlib import Path

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def run_example(name: str, *arguments: str, folder: Path) -> str:
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.slow
def test_train_and_backtest_then_the_script_before_and_after(tmp_path):
    # when
    trained = run_example("train_and_backtest.py", "out", folder=tmp_path)
    before = run_example("crossover.py", "out/candles.csv", folder=tmp_path)
    after = run_example("crossover_lstm.py", "out/candles.csv", "out/model", folder=tmp_path)

    # then
    assert "first forecast 2022-" in trained
    assert float(before) > 0
    assert float(after) > 0
    assert float(before) != float(after)
    page = (tmp_path / "report.html").read_text()
    assert "no funding, no liquidation simulated" in page
    assert (tmp_path / "out" / "report" / "metrics.json").exists()


@pytest.mark.slow
def test_the_lstm_is_shown_beside_its_baselines(tmp_path):
    lines = run_example("baselines.py", folder=tmp_path).splitlines()
    assert [line.split("x")[0] for line in lines] == ["LSTM 2", "SMA cross 2", "buy and hold 1"]
    assert all("funding" in line for line in lines)


@pytest.mark.slow
def test_a_model_of_ones_own_says_what_its_documentation_says(tmp_path):
    # when
    lines = run_example("own_model.py", "out", folder=tmp_path).splitlines()

    # then
    shown = (EXAMPLES.parent / "docs" / "own-model.md").read_text(encoding="utf-8")
    assert (tmp_path / "out" / "tutorial" / "model.safetensors").exists()
    assert [line[:14].strip() for line in lines] == [
        "the model",
        "the last close",
        "direction",
        "account",
        "a call a bar",
    ]
    assert lines[1] in shown  # arithmetic alone; the net's own digits depend on the machine
    model, last = (float(re.search(r"misses by ([\d.]+)", line)[1]) for line in lines[:2])
    assert model > last


def test_three_lines_change_from_the_script_before_to_the_one_after():
    assert len(changed_lines("crossover.py", "crossover_lstm.py")) == 3


def changed_lines(before, after):
    """Lines of `after` that `before` has not, docstrings apart."""
    texts = [(EXAMPLES / name).read_text(encoding="utf-8").splitlines()[2:] for name in (before, after)]
    one, other = ([line for line in lines if line.strip()] for lines in texts)
    return [line for line in difflib.ndiff(one, other) if line.startswith("+ ")]


def test_three_lines_make_a_report_of_an_untouched_script(tmp_path, monkeypatch, capsys):
    # given daily candles, and a screen to plot on that is not there
    rng = np.random.default_rng(4)
    close = 100 * np.exp(np.cumsum(rng.normal(0.0005, 0.02, 300)))
    days = pd.date_range("2022-01-01", periods=300, name="date")
    columns = {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close, "volume": 1.0}
    pd.DataFrame(columns, index=days).to_csv(tmp_path / "daily.csv")
    plotted = []
    monkeypatch.setattr(bt.Cerebro, "plot", lambda cerebro: plotted.append(cerebro.broker.getvalue()))
    monkeypatch.setattr(sys, "argv", ["script", "daily.csv"])
    monkeypatch.chdir(tmp_path)

    # when
    for name in ("sma_cross.py", "sma_cross_report.py"):
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")

    # then
    assert len(changed_lines("sma_cross.py", "sma_cross_report.py")) == 3
    assert plotted[0] == plotted[1] != 1000.0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<h1>SmaCross on daily</h1>" in page
    assert '<li class="red">no funding, no liquidation</li>' in page
    assert f"{plotted[1]:,.2f}" in page


def test_examples_are_short():
    for path in EXAMPLES.glob("*.py"):
        assert len(path.read_text().splitlines()) < 60, path.name


@pytest.mark.slow
def test_the_stop_at_the_invalidation_loses_what_it_says_on_a_market_without_waves(tmp_path):
    equity = float(run_example("elliott_stop.py", folder=tmp_path))
    assert 7_000 < equity < 10_500
    assert "Elliott waves of SYNTHETIC" in (tmp_path / "report.html").read_text()


def test_a_live_run_goes_through_an_outage(tmp_path, monkeypatch):
    monkeypatch.setenv("LBT_STORE", str(tmp_path))
    *words, equity = run_example("live_dry_run.py", folder=tmp_path).splitlines()
    assert [word.split(": ")[1] for word in words] == ["DELAYED", "LIVE", "DISCONNECTED", "DELAYED", "LIVE"]
    assert words[-1] == "after 225 bars: LIVE"
    assert float(equity.split()[1].replace(",", "")) != 10_000


def test_the_loopback_venue_says_what_to_type_and_that_works(tmp_path, untrained_model):
    untrained_model().save(tmp_path / "out" / "model")
    code = [sys.executable, str(EXAMPLES / "loopback_venue.py"), "--speed", "36000"]

    def lbt(words, *more):
        command = [sys.executable, "-m", "lstm_backtrader", *words[1:], *more]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        return result.stdout

    with subprocess.Popen(code, stdout=subprocess.PIPE, text=True) as venue:
        try:
            lines = [venue.stdout.readline().split() for _ in range(7)]
            fetched = lbt(next(line for line in lines if "bitmex" in line), "--until", "2020-01-10")
            traded = [lbt(lines[-1]) for _ in range(2)]
        finally:
            venue.kill()
    assert "bitmex:BTC/USD:BTC:1h: 240 new rows" in fetched
    bars = [re.findall(r"^(2022-03-\d\d \d\d:00)  close ", text, re.MULTILINE) for text in traded]
    assert [len(each) for each in bars] == [5, 5]
    assert pd.Timestamp(bars[1][0]) - pd.Timestamp(bars[0][-1]) == pd.Timedelta("1h")  # it goes on where it was
