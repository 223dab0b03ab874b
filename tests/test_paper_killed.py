"""A paper account whose process is killed by the system, not by an exception of the test."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from live_venue import VenueTime

from lstm_backtrader.datafeeds.loopback.market import ServedMarket
from lstm_backtrader.datafeeds.loopback.server import LoopbackVenue
from lstm_backtrader.datafeeds.series import Series
from lstm_backtrader.paper_account import STATE, PaperFolder
from lstm_backtrader.paper_trading import LiveSource, PaperHooks, paper

OPENING, LIVE = 200, 60  # bars that have closed at the opening, and bars traded
HERE = Path(__file__)
AS_A_PROCESS = """
import sys, time
import pandas as pd
sys.path.insert(0, sys.argv[1])
from test_paper_killed import run_paper

def tell(state):
    print(state.bar, flush=True)
    time.sleep(0.02)

run_paper(pd.read_parquet(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5]), None, tell)
"""


def run_paper(candles, model, account, closed, bars, tell=lambda state: None):
    """Trade `bars` new bars on a venue of its own, where `closed` bars have closed when it starts."""
    with LoopbackVenue([ServedMarket("bybit", "BTC/USD:BTC", candles)]) as venue:
        clock = VenueTime(venue, candles.index[0] + closed * pd.Timedelta("1h")).clock()
        source = LiveSource(Series("bybit", "BTC/USD:BTC", "candles", "1h"), via=venue.address, clock=clock)
        paper(source, model, account, bars=bars, hooks=PaperHooks(bar=tell))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")
def test_a_process_that_is_killed_twice_leaves_an_account_that_goes_on(
    candles_of, untrained_model, tmp_path, monkeypatch
):
    monkeypatch.setenv("LBT_STORE", str(tmp_path / "store"))
    candles, model = candles_of(OPENING + LIVE + 50), tmp_path / "model"
    untrained_model(context=12, stride=4).save(model)
    candles.to_parquet(tmp_path / "candles.parquet")
    run_paper(candles, model, tmp_path / "whole", OPENING, LIVE)
    killed = PaperFolder(tmp_path / "killed")

    closed = OPENING
    for bars in (4, 9):
        places = (HERE.parent, tmp_path / "candles.parquet", model, tmp_path / "killed", closed)
        command = [sys.executable, "-c", AS_A_PROCESS, *map(str, places)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            seen = [process.stdout.readline() for _ in range(bars)]
            os.kill(process.pid, signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        assert all(seen)
        closed = candles.index.get_loc(killed.journal.read().index[-1]) + 1
    left = OPENING + LIVE - closed
    assert 0 < left < LIVE - 4 - 9 + 1
    run_paper(candles, model, tmp_path / "killed", closed, left)

    state = killed.state()
    assert state is not None
    assert state.fees > 0  # there was something to lose
    assert (tmp_path / "killed" / STATE).read_bytes() == (tmp_path / "whole" / STATE).read_bytes()
