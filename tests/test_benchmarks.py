"""The benchmarks compare what they claim to: every check at a small size, and what is written; never the time."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks import measure, training
from benchmarks.measure import CheckError, Outcome, Plan, check, in_turns
from benchmarks.models import candles
from benchmarks.rows import ROWS, Row
from benchmarks.strategy import Result, check_trades, pandas_feed, ready_column, run
from lstm_backtrader.datafeeds import CandleFeed, synthetic_market

TINY = Plan(repeats=1, pairs=1, scale=0.01)
RIVALS = {"onnxruntime": "onnxruntime", "backtesting.py": "backtesting", "vectorbt": "vectorbt"}
SLOW = ("oracle", "Dataset")  # they train


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("LBT_CACHE", str(tmp_path / "cache"))


def fast_rows():
    for row in ROWS:
        library = next((module for rival, module in RIVALS.items() if rival in row.name), None)
        skip = pytest.mark.skipif(library is not None and find_spec(library) is None, reason=f"needs {library}")
        if not any(word in row.name for word in SLOW):
            yield pytest.param(row, marks=skip, id=row.name)


@pytest.mark.parametrize("row", list(fast_rows()))
def test_both_sides_of_a_row_agree(row):
    outcome = row.measure(TINY)
    assert outcome.ratio > 0
    assert outcome.checked


def test_a_crop_and_a_window_are_the_same_material():
    outcome = training.against_windows(8, 4, 1, Plan(repeats=1, scale=0.05))
    assert "window" in outcome.checked


def test_a_window_of_other_bars_is_noticed():
    # given a bar that is missing, which the Dataset of the tutorials cannot know
    X, y, slots = training._material(candles(600))
    with_gap = slots + (np.arange(len(slots)) >= 20)

    # then
    training._check_same_windows(X, y, slots, 8)
    with pytest.raises(CheckError, match="window and the label of the Dataset"):
        training._check_same_windows(X, y, with_gap, 8)


def test_the_oracle_is_all_of_the_oracle():
    # given
    market = synthetic_market(6_000, seed=1)

    class Oracle:
        def predict(self, candles):
            return market.oracle.to_frame("forecast")

    # then
    assert training._part_of_oracle(Oracle(), market) == pytest.approx(1.0)


def test_other_trades_are_noticed():
    # given
    market = candles(400)
    some = np.repeat([1.0, -1.0, 0.0, 1.0], 100)

    # when
    ours = run(CandleFeed(market.assign(ready=some)), ready_column)
    same = run(pandas_feed(market.assign(ready=some)), ready_column)
    late = run(CandleFeed(market.assign(ready=np.roll(some, 1))), ready_column)

    # then
    assert check_trades(ours, same)
    with pytest.raises(CheckError, match="trades and final value are equal"):
        check_trades(ours, late)


def test_a_backtest_without_trades_proves_nothing():
    nothing = Result((), 1.0)
    with pytest.raises(CheckError, match="there are trades to compare"):
        check_trades(nothing, nothing)


def test_ratios_are_of_seconds_a_unit(monkeypatch):
    # given a clock on which the slow job takes 6 s for 3 bars and the fast one 2 s for 4
    spent = {"slow": 6.0, "fast": 2.0}
    monkeypatch.setattr(measure, "cpu_seconds", lambda job: spent[job()])

    # when
    ratios = in_turns(lambda: "slow", lambda: "fast", 2, slow_units=3, fast_units=4)

    # then
    assert ratios == (4.0, 4.0)


def test_the_figure_is_the_median_and_the_spread_goes_from_least_to_most():
    outcome = Outcome((3.0, 1.0, 7.0), "")
    assert outcome.ratio == 3.0
    assert outcome.spread == (1.0, 7.0)


@pytest.mark.parametrize(
    ("bound", "target", "ratio", "met"),
    [
        ("at least", 5, 5.1, True),
        ("at least", 5, 4.9, False),
        ("at most", 1.1, 1.09, True),
        ("at most", 1.1, 1.2, False),
    ],
)
def test_a_bound_holds_the_median(bound, target, ratio, met):
    assert Row("row", lambda plan: Outcome((ratio,), ""), bound, target).is_met(ratio) is met


def test_every_target_has_a_bound_and_every_name_is_its_own():
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert all((row.target is None) == (row.bound == "reported") for row in ROWS)


def command_line(monkeypatch, rows, *arguments):
    monkeypatch.setattr(command, "ROWS", rows)
    monkeypatch.setattr(sys, "argv", ["benchmarks", *arguments])
    return command.main()


def test_the_figures_are_written_as_a_list(monkeypatch, tmp_path, capsys):
    # given
    rows = [Row("one", lambda plan: Outcome((2.0, 1.0, 4.0), "equal"), "at least", 1.5, on_gpu=True)]

    # when
    status = command_line(monkeypatch, rows, "--out", str(tmp_path / "bench.json"))

    # then
    (entry,) = json.loads((tmp_path / "bench.json").read_text())
    assert status == 0
    assert entry["name"] == "one"
    assert (entry["ratio"], entry["target"], entry["spread"]) == (2.0, 1.5, [1.0, 4.0])
    assert "no CUDA device" in capsys.readouterr().out


def test_results_that_differ_fail_the_command_and_leave_no_figure(monkeypatch, tmp_path, capsys):
    # given
    rows = [Row("one", lambda plan: Outcome((1.0,), check(False, "both are equal")))]

    # when
    status = command_line(monkeypatch, rows, "--out", str(tmp_path / "bench.json"))

    # then
    assert status == 1
    assert json.loads((tmp_path / "bench.json").read_text()) == []
    assert "one: not true: both are equal" in capsys.readouterr().out


def test_a_missing_rival_is_named_with_the_remedy(monkeypatch, tmp_path, capsys):
    # given
    def measure_it(plan):
        raise ModuleNotFoundError("No module named 'vectorbt'")

    # when
    status = command_line(monkeypatch, [Row("one", measure_it)], "--out", str(tmp_path / "bench.json"))

    # then
    assert status == 0
    assert "pip install -e '.[bench]'" in capsys.readouterr().out


def test_an_unknown_name_lists_the_rows(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        command_line(monkeypatch, [Row("engine", lambda plan: Outcome((1.0,), ""))], "--only", "engin e")
    assert "There are: engine" in capsys.readouterr().err


def test_the_peak_of_a_process_leaves_out_the_one_that_started_it():
    ballast = bytearray(300_000_000)
    ballast[::4096] = b"x" * len(ballast[::4096])  # every page is there
    code = "from benchmarks.peak import peak_bytes; print(peak_bytes())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True
    )
    assert 1_000_000 < int(done.stdout) < 100_000_000 < len(ballast)
