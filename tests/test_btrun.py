"""Backtrader's `btrun` with what is installed: a model traded from the command line, as a user types it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from lstm_backtrader import btrun

pytestmark = pytest.mark.skipif(sys.version_info >= (3, 12), reason="Backtrader's btrun needs Python 3.11 or older")

ROOT = Path(__file__).parents[1]
OURS = "from lstm_backtrader.cli import main; main()"
PLAIN = "from backtrader.btrun import btrun; btrun()"


@pytest.fixture(scope="module")
def folder(tmp_path_factory, candles_of, untrained_model):
    """A CSV as Backtrader writes them, and a model."""
    folder = tmp_path_factory.mktemp("btrun")
    table = candles_of(400, start="2024-01-01")
    rows = [
        f"{time:%Y-%m-%d,%H:%M:%S},{row.open},{row.high},{row.low},{row.close},{row.volume},0"
        for time, row in zip(table.index, table.itertuples(), strict=True)
    ]
    (folder / "hours.csv").write_text("\n".join(["Date,Time,Open,High,Low,Close,Volume,OpenInterest", *rows, ""]))
    untrained_model().save(folder / "model")
    return folder


def typed(folder, *arguments, code=OURS):
    """(exit code, stdout, stderr) of btrun on the hours of `folder`."""
    data = ("--csvformat", "btcsv", "--data", "hours.csv", "--timeframe", "minutes", "--compression", "60")
    name = ("btrun",) if code == OURS else ()
    command = [sys.executable, "-W", "ignore", "-c", code, *name, *data, *arguments]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(folder), "LBT_CACHE": "off"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def closed_trades(out):
    """The number that Backtrader's TradeAnalyzer printed."""
    return int(re.search(r"'closed',\s+(\d+)", out).group(1))


ANALYSED = ("--nostdstats", "--analyzer", ":TradeAnalyzer", "--ppranalyzer")


def test_a_model_is_traded_by_its_dotted_name_on_a_futures_account(folder):
    strategy = "lstm_backtrader.strategies:LSTMFutures:model='model',stop_price_pct=0.02,cost_multiple=1.5"
    account = "lstm_backtrader.btrun:futures_account:leverage=3,cash=5_000"

    code, out, err = typed(folder, "--strategy", strategy, "--hook", account, *ANALYSED)

    assert (code, err) == (0, "")
    assert closed_trades(out) > 5


def test_backtraders_own_btrun_takes_the_path_of_the_file(folder):
    strategy = f"{ROOT / 'strategies' / '__init__'}:LSTMFutures:model='model'"

    code, out, err = typed(folder, "--strategy", strategy, *ANALYSED, code=PLAIN)

    assert (code, err) == (0, "")
    assert closed_trades(out) > 5


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        ("LSTMFutures:model='model',stop_pct=0.02", "has no parameter 'stop_pct'. Did you mean stop_price_pct?"),
        (
            "LSTMFutures:model='model',stop_price_pct=2",
            r"stop_price_pct=2 must be in [0, 1). It is a fraction of the",
        ),
        ("LSTMFutures:model='none'", "none"),
    ],
)
def test_a_mistake_is_one_line(folder, strategy, message):
    code, _, err = typed(folder, "--strategy", f"lstm_backtrader.strategies:{strategy}")

    assert code == 1
    assert err.startswith("Error: ")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("before", "argument", "expected"),
    [
        ("--strategy", "lstm_backtrader.strategies:SmaCross:fast=5", "{strategies}/__init__:SmaCross:fast=5"),
        ("", "--strategy=lstm_backtrader.strategies:SmaCross", "--strategy={strategies}/__init__:SmaCross"),
        ("-st", "lstm_backtrader.strategies.baselines:SmaCross", "{strategies}/baselines:SmaCross"),
        ("--signal", "longshort+lstm_backtrader.strategies:X", "longshort+{strategies}/__init__:X"),
        ("--strategy", "no_such.module:X", "no_such.module:X"),
        ("--strategy", "../own/trend:X", "../own/trend:X"),
        ("--strategy", ":SMA_CrossOver", ":SMA_CrossOver"),
        ("--data", "lstm_backtrader.strategies", "lstm_backtrader.strategies"),
        ("--strategy", "--nostdstats", "--nostdstats"),
    ],
)
def test_the_name_of_a_module_becomes_its_path_and_nothing_else_changes(before, argument, expected):
    strategies = Path(btrun.__file__).parent / "strategies"

    assert btrun._with_path(argument, before) == expected.format(strategies=strategies)


def test_a_file_beside_one_is_taken_as_backtrader_takes_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("json.py").touch()

    assert btrun._with_path("json:X", "--strategy") == "json:X"


def test_newer_pythons_are_told_why(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 12, 1))

    with pytest.raises(btrun.ConfigError, match=r"needs Python 3\.11 or older, this is 3\.12"):
        btrun.run_btrun(["--help"])
