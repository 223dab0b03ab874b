"""The examples run as they stand, offline, in the order a reader meets them."""

import difflib
import re
import subprocess
import sys
from pathlib import Path

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
    # given
    before, after = (
        [line for line in (EXAMPLES / name).read_text().splitlines()[2:] if line.strip()]
        for name in ("crossover.py", "crossover_lstm.py")
    )

    # when
    changes = [line for line in difflib.ndiff(before, after) if line.startswith("+ ")]

    # then
    assert len(changes) == 3


def test_examples_are_short():
    for path in EXAMPLES.glob("*.py"):
        assert len(path.read_text().splitlines()) < 60, path.name


@pytest.mark.slow
def test_the_stop_at_the_invalidation_loses_what_it_says_on_a_market_without_waves(tmp_path):
    equity = float(run_example("elliott_stop.py", folder=tmp_path))
    assert 7_000 < equity < 10_500
    assert "Elliott waves of SYNTHETIC" in (tmp_path / "report.html").read_text()


def test_the_loopback_venue_says_what_to_type_and_that_works(tmp_path):
    code = [sys.executable, str(EXAMPLES / "loopback_venue.py")]
    with subprocess.Popen(code, stdout=subprocess.PIPE, text=True) as venue:
        lines = [venue.stdout.readline().split() for _ in range(6)]
        typed = next(line for line in lines if "bitmex" in line)
        typed[typed.index("dry-run")] = str(tmp_path)
        command = [sys.executable, "-m", "lstm_backtrader.cli", *typed[1:], "--until", "2020-01-10"]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        venue.kill()
    assert result.returncode == 0, result.stderr
    assert "bitmex:BTC/USD:BTC:1h: 240 new rows" in result.stdout
