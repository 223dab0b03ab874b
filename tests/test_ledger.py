"""The file of trials: where it lies, that nothing is lost, and that nothing counts twice."""

import json
import logging
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lstm_backtrader.forecast.ledger import Ledger, ledger_path
from lstm_backtrader.forecast.trials import Market, new_trial

MARKET = Market(symbol="BTC-1h", timeframe_s=3600, data_sha256="a" * 64)
ROOT = Path(__file__).resolve().parents[1]


def trial(number, sharpe=1.0):
    return new_trial("backtest", MARKET, {"fraction": number}, {"sharpe": sharpe})


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "deep" / "ledger.jsonl")


def lines(ledger):
    return ledger.path.read_text().splitlines()


def test_it_lies_where_the_variable_says_else_with_the_users_data(monkeypatch, tmp_path):
    monkeypatch.setenv("LBT_LEDGER", str(tmp_path / "mine.jsonl"))
    assert ledger_path() == tmp_path / "mine.jsonl"
    monkeypatch.delenv("LBT_LEDGER")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert ledger_path() == tmp_path / "lstm_backtrader" / "ledger.jsonl"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert ledger_path() == tmp_path / "home" / ".local" / "share" / "lstm_backtrader" / "ledger.jsonl"


def test_before_the_first_trial_it_is_empty_and_reading_makes_no_file(ledger):
    assert ledger.read().trials == ()
    assert not ledger.path.parent.exists()


def test_a_trial_is_one_line_of_json_and_recording_gives_all_there_are(ledger):
    assert ledger.record(trial(1)) == (trial(1),)
    assert [each.config for each in ledger.record(trial(2))] == [{"fraction": 1}, {"fraction": 2}]
    assert [json.loads(line)["config"]["fraction"] for line in lines(ledger)] == [1, 2]


def test_a_repeated_trial_counts_once_and_adds_no_line(ledger):
    for _ in range(3):
        assert len(ledger.record(trial(1))) == 1
    assert len(lines(ledger)) == 1


def test_a_repeated_trial_with_another_result_is_added_and_the_newest_counts(ledger):
    for sharpe in (1.0, 2.0):
        ledger.record(trial(1, sharpe))
    assert len(lines(ledger)) == 2
    assert [each.figures["sharpe"] for each in ledger.read().trials] == [2.0]


def test_a_line_torn_by_a_crash_is_named_and_harms_no_other(ledger, caplog):
    # given a ledger whose last write was cut short
    ledger.record(trial(1))
    ledger.record(trial(2))
    whole = ledger.path.read_bytes()
    ledger.path.write_bytes(whole[:-40])

    # when
    seen = ledger.read()
    with caplog.at_level(logging.WARNING):
        after = ledger.record(trial(3))

    # then
    assert [each.config["fraction"] for each in seen.trials] == [1]
    assert len(seen.damaged) == 1
    assert f"{ledger.path}, line 2 is no trial and does not count: Invalid JSON" in seen.damaged[0]
    assert "line 2 is no trial" in caplog.text
    assert [each.config["fraction"] for each in after] == [1, 3]
    assert [each.config["fraction"] for each in ledger.read().trials] == [1, 3]
    assert ledger.path.read_bytes().startswith(whole[:-40] + b"\n")  # nothing is ever taken away


@pytest.mark.parametrize("cut", [1, 2, 200])
def test_wherever_the_last_line_is_torn_the_next_is_whole(ledger, cut):
    ledger.record(trial(1))
    ledger.path.write_bytes(ledger.path.read_bytes()[:-cut])
    ledger.record(trial(2))
    assert trial(2).key in {each.key for each in ledger.read().trials}


def test_a_line_of_a_newer_version_is_named_not_guessed_at(ledger):
    ledger.record(trial(1))
    newer = json.loads(lines(ledger)[0]) | {"schema_version": 2}
    with ledger.path.open("a") as file:
        file.write(json.dumps(newer) + "\n")
    assert "line 2 is no trial and does not count: schema_version" in ledger.read().damaged[0]


def test_where_it_cannot_be_written_the_work_goes_on_with_a_warning(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING):
        assert Ledger(tmp_path / "file" / "ledger.jsonl").record(trial(1)) == (trial(1),)
    assert "this trial is not counted in later runs" in caplog.text
    assert "Set LBT_LEDGER to a file that can" in caplog.text


def test_what_can_be_read_counts_even_where_nothing_can_be_written(ledger):
    ledger.record(trial(1))
    lock = ledger.path.with_name("ledger.jsonl.lock")
    lock.unlink(missing_ok=True)
    lock.mkdir()
    assert len(ledger.record(trial(2))) == 2
    assert len(lines(ledger)) == 1


WRITER = """
import sys
from lstm_backtrader.forecast.ledger import Ledger
from lstm_backtrader.forecast.trials import Market, new_trial
import pandas as pd
market = Market(symbol="BTC-1h", timeframe_s=3600, data_sha256="a" * 64)
returns = pd.Series([0.001] * 2000, index=pd.date_range("2020-01-01", periods=2000, freq="D"))
first, last = int(sys.argv[2]), int(sys.argv[3])
for number in range(first, last):
    Ledger(sys.argv[1]).record(new_trial("backtest", market, {"fraction": number}, {"sharpe": 1.0}, returns))
    print(number, flush=True)
"""


def writer(ledger, first, last):
    command = [sys.executable, "-c", WRITER, str(ledger.path), str(first), str(last)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_several_processes_write_at_once_and_no_line_is_lost_torn_or_doubled(ledger):
    # given three that share some of their trials, each line longer than any buffer
    writers = [writer(ledger, first, first + 20) for first in (0, 10, 20)]

    # when
    for each in writers:
        assert each.wait(timeout=120) == 0
        each.stdout.close()

    # then
    seen = ledger.read()
    assert seen.damaged == ()
    assert {each.config["fraction"] for each in seen.trials} == set(range(40))
    assert len(lines(ledger)) == 40


def test_a_writer_that_is_killed_leaves_what_it_had_recorded_and_no_lock(ledger):
    # given
    process = writer(ledger, 0, 100_000)
    while int(process.stdout.readline()) < 5:
        time.sleep(0.001)

    # when
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    after = ledger.record(trial(-1))

    # then
    recorded = {each.config["fraction"] for each in after}
    assert {0, 1, 2, 3, 4, 5, -1} <= recorded
    assert {each.config["fraction"] for each in ledger.read().trials} == recorded
