"""The demonstration keeps what the README says of it."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from lstm_backtrader.demo import demo

README = Path(__file__).parent.parent / "README.md"


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """The demonstration, run once: its result and its folder."""
    folder = tmp_path_factory.mktemp("demo")
    result, _ = demo(folder)
    return result, folder


@pytest.mark.slow
def test_the_lstm_finds_what_the_rnn_forgets(shown):
    # given
    result, folder = shown

    # then
    assert result.lstm_ic_ratio >= 0.95
    assert result.rnn_ic_ratio <= 0.25
    assert result.lstm_all_bar_ratio >= 0.6
    assert result.seam <= 1.25
    assert result.event_bars > 1000
    written = json.loads((folder / "demo.json").read_text())
    assert written["lstm_ic_ratio"] == result.lstm_ic_ratio
    assert {"rnn_ic_ratio", "oracle_ic", "seconds"} <= set(written)


@pytest.mark.slow
def test_the_demo_leaves_a_report_that_adds_up(shown):
    # given
    _, folder = shown
    account = json.loads((folder / "metrics.json").read_text())["account"]
    trades = pd.read_parquet(folder / "trades.parquet")

    # then
    assert trades.net_profit.sum() == pytest.approx(account["final_equity"] - account["start_equity"], abs=0.005)
    assert (folder / "report.html").stat().st_size > 100_000


@pytest.mark.slow
def test_the_readme_prints_what_the_demo_prints(shown):
    # given
    result, _ = shown
    printed = dict(
        re.findall(r"^ *(trained LSTM|vanilla RNN|oracle)[^\d-]+(-?\d\.\d+)", README.read_text(), re.MULTILINE)
    )

    # then
    for name, ratio in (
        ("trained LSTM", result.lstm_ic_ratio),
        ("vanilla RNN", result.rnn_ic_ratio),
        ("oracle", 1.0),
    ):
        # another processor rounds otherwise, and 900 steps of training carry that on
        assert float(printed[name]) == pytest.approx(ratio * result.oracle_ic, abs=0.05)
