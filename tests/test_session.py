"""One line around cerebro.run(): what it returns, what it adds, what it refuses."""

from __future__ import annotations

import subprocess
import sys

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from lstm_backtrader import session
from lstm_backtrader.errors import DataError, ReportError
from lstm_backtrader.reporting.recorder import RunRecorder, run_record


class Hold(bt.Strategy):
    params = (("size", 1), ("period", 1))

    def __init__(self) -> None:
        bt.indicators.SimpleMovingAverage(self.data, period=self.p.period)

    def next(self) -> None:
        if not self.position:
            self.buy(size=self.p.size)


@pytest.fixture
def cerebro() -> bt.Cerebro:
    index = pd.date_range("2024-01-01", periods=24, freq="h")
    price = 100 + np.arange(24.0)
    frame = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close", "volume"), price), index=index)
    brain = bt.Cerebro(stdstats=False)
    brain.adddata(bt.feeds.PandasData(dataname=frame, name="BTC"))
    return brain


def test_run_returns_what_cerebro_returns_and_records(cerebro):
    cerebro.addstrategy(Hold)
    results = session.run(cerebro, runonce=False)
    assert isinstance(results, list)
    assert isinstance(results[0], Hold)
    assert cerebro._dorunonce is False
    assert len(run_record(results).trades) == 1


def test_the_recorder_is_added_once(cerebro):
    cerebro.addstrategy(Hold)
    assert session.instrument(session.instrument(cerebro)) is cerebro
    session.run(cerebro)
    assert [kind for kind, _, _ in cerebro.analyzers] == [RunRecorder]


def test_run_writes_the_report_it_is_asked_for(cerebro, tmp_path):
    cerebro.addstrategy(Hold)
    session.run(cerebro, tmp_path / "report.html", title="Mine")  # one day, so without the slow tearsheet
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<h1>Mine</h1>" in page
    assert "less than two UTC days" in page


def test_a_report_that_has_no_place_is_refused_before_the_run(cerebro, tmp_path):
    (tmp_path / "out").write_text("mine")
    (tmp_path / "out.html").mkdir()
    cerebro.addstrategy(Hold)
    for name, message in (("out", "is a file. Name a directory"), ("out.html", "is a directory. Name a page")):
        with pytest.raises(ReportError, match=message):
            session.run(cerebro, tmp_path / name)
    assert not hasattr(cerebro, "runningstrats")


def test_an_optimisation_passes_through_unrecorded(cerebro):
    cerebro.optstrategy(Hold, size=[1, 2])
    results = session.run(cerebro, maxcpus=1)
    assert [runs[0].p.size for runs in results] == [1, 2]
    assert not list(results[0][0].analyzers)


def test_an_optimised_run_too_long_for_the_data_is_one_line(cerebro, tmp_path):
    cerebro.optstrategy(Hold, period=[2, 40])
    with pytest.raises(DataError, match="Hold needs 40 bars before its first next"):
        session.run(cerebro, tmp_path / "out", maxcpus=1)
    assert not list(tmp_path.iterdir())


def test_so_is_one_of_another_process_of_which_only_the_error_comes_back(cerebro, tmp_path, monkeypatch):
    def fail(**_):
        raise IndexError("array assignment index out of range")

    cerebro.optstrategy(Hold, period=[2, 40])
    monkeypatch.setattr(cerebro, "run", fail)
    with pytest.raises(DataError, match="one of the optimised runs needs more bars"):
        session.run(cerebro, tmp_path / "out")


def test_a_run_that_never_traded_is_left_out_of_the_comparison(cerebro, tmp_path):
    cerebro.optstrategy(Hold, period=[2, 3, 40])
    session.run(cerebro, tmp_path / "out.html", maxcpus=1, runonce=False)  # where Backtrader itself does not fail
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert "Left out: 1 of 3 runs, which never reached next()" in page
    assert "period=40" not in page


def test_one_run_that_traded_is_no_comparison(cerebro, tmp_path):
    cerebro.optstrategy(Hold, period=[2, 40])
    with pytest.raises(ReportError, match="of 2 runs 1 can be compared: the strategy never reached next"):
        session.run(cerebro, tmp_path / "out.html", maxcpus=1, runonce=False)


@pytest.mark.parametrize("processes", [1, 2])
def test_an_optimisation_with_a_report_compares_its_runs(cerebro, tmp_path, processes):
    cerebro.optstrategy(Hold, size=[1, 2])
    results = session.run(cerebro, tmp_path / "out", maxcpus=processes)
    assert [runs[0].p.size for runs in results] == [1, 2]
    assert pd.read_parquet(tmp_path / "out" / "equity.parquet").columns.tolist() == ["size=1", "size=2"]


def test_a_report_of_a_strategy_that_never_ran_is_refused(cerebro, tmp_path):
    cerebro.addstrategy(Hold, period=1000)
    with pytest.raises(ReportError, match="never reached next"):
        session.run(cerebro, tmp_path / "report.html", runonce=False)
    assert not list(tmp_path.iterdir())


def test_data_shorter_than_an_indicator_are_named_instead_of_an_index_error(cerebro):
    cerebro.addstrategy(Hold, period=1000)
    with pytest.raises(DataError, match=r"Hold needs 1000 bars before its first next.*the data have 24"):
        session.run(cerebro)


def test_an_index_error_of_the_users_own_stays_his_own(cerebro):
    class Clumsy(bt.Strategy):
        def next(self) -> None:
            [][1]

    cerebro.addstrategy(Clumsy)
    with pytest.raises(IndexError, match="list index out of range"):
        session.run(cerebro)


def test_importing_the_session_loads_neither_charts_nor_networks():
    code = (
        "import sys, lstm_backtrader.session\n"
        "sys.exit(' '.join({'quantstats', 'torch', 'plotly', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
