"""Backtrader's `btrun` with what is installed: a model traded from the command line, as a user types it."""

import argparse
import configparser
import re
import shlex
import subprocess
import sys
from pathlib import Path

import backtrader.btrun
import pytest

from lstm_backtrader import btrun

pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")  # of Backtrader's btrun

ROOT = Path(__file__).parents[1]
LBT = "from lstm_backtrader.cli import main; main()"
PLAIN = "from backtrader.btrun import btrun; btrun()"


def installed(command):
    """What the script of that name runs, as pip makes it."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    scripts = setup["options.entry_points"]["console_scripts"].split("\n")
    module, function = dict(line.split(" = ") for line in scripts if line)[command].split(":")
    return f"from {module} import {function}; {function}()"


BTRUN = installed("btrun")


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


ANALYSED = ("--nostdstats", "--analyzer", ":TradeAnalyzer", "--ppranalyzer")
HOURS = ("--csvformat", "btcsv", "--data", "hours.csv", "--timeframe", "minutes", "--compression", "60")


def typed(folder, *arguments, code=BTRUN):
    """(exit code, stdout, stderr) of btrun on the hours of `folder`."""
    name = ("btrun",) if code == LBT else ()
    command = [sys.executable, "-W", "ignore", "-c", code, *name, *HOURS, *arguments]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(folder), "LBT_CACHE": "off"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def closed_trades(out):
    """The number that Backtrader's TradeAnalyzer printed."""
    return int(re.search(r"'closed',\s+(\d+)", out).group(1))


def test_btrun_trades_a_model_by_the_dotted_name_of_its_strategy(folder):
    strategy = "lstm_backtrader.strategies:LSTMFutures:model='model'"

    code, out, err = typed(folder, "--strategy", strategy, *ANALYSED)

    assert (code, err) == (0, "")
    assert closed_trades(out) > 5


def test_the_quotes_that_a_shell_takes_away_are_not_missed(folder):
    strategy = "lstm_backtrader.strategies:LSTMFutures:model=./model,threshold=1/8"

    code, out, err = typed(folder, "--strategy", strategy, *ANALYSED)

    assert (code, err) == (0, "")
    assert closed_trades(out) > 5


@pytest.mark.parametrize(
    ("typed", "handed_on"),
    [
        ("size=3,late=None", "size=3,late=None"),
        (
            "frame=bt.TimeFrame.Days,each=[n for n in range(3)]",
            "frame=bt.TimeFrame.Days,each=[n for n in range(3)]",
        ),
        ("key=lambda row: row[0],more=dict(a=1,b=2)", "key=lambda row: row[0],more=dict(a=1,b=2)"),
        ("model=models/btc,size=3", "model='models/btc',size=3"),
        ("size=3, model=/home/me/btc 1h", "size=3, model='/home/me/btc 1h'"),
        ("model=it's", 'model="it\'s"'),
        ("size=", "size=''"),
        ("", ""),
    ],
)
def test_what_cannot_be_evaluated_is_text(typed, handed_on):
    assert btrun._with_path(f":Buys:{typed}", "--strategy") == f":Buys:{handed_on}"


def test_the_command_of_the_page_trades_on_a_futures_account(folder):
    page = (ROOT / "docs" / "strategy.md").read_text(encoding="utf-8").replace("\\\n", "")
    line = re.search(r"^btrun .*", page, re.MULTILINE).group().replace("models/btc", "model")
    _, *arguments = shlex.split(line)

    assert tuple(arguments[: len(HOURS)]) == HOURS
    code, out, err = typed(folder, *arguments[len(HOURS) :], *ANALYSED, code=LBT)

    assert (code, err) == (0, "")
    assert closed_trades(out) > 5


def test_backtraders_own_btrun_takes_the_path_of_the_file(folder):
    strategy = f"{ROOT / 'strategies' / '__init__'}:LSTMFutures:model='model'"

    code, out, err = typed(folder, "--strategy", strategy, *ANALYSED, code=PLAIN)

    assert (code, err) == (0, "")
    assert closed_trades(out) > 5


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((*HOURS, "--strategy", ":SMA_CrossOver", "--cash", "5000", "--commission", "0.001", *ANALYSED), 0),
        (
            (*HOURS, "--strategy=own", "--resample", "minutes:240", "--observer", ":Value", "--writer", "csv=True"),
            0,
        ),
        ((*HOURS, "--strategy", "own:Buys:size=3", "--fromdate", "2024-01-02", "--slip_perc", "0.1", *ANALYSED), 0),
        ((*HOURS, "--signal", "long+own:Up", "--cerebro", "preload=False", "--hook", "own:hook", *ANALYSED), 0),
        ((*HOURS, "--strategy", "nowhere:Buys"), 1),
        (("--help",), 0),
        (("--data", "hours.csv", "--no-such-option"), 2),
        ((), 2),
    ],
    ids=["built in", "first of a file", "file", "signal", "no file", "help", "no option", "nothing"],
)
def test_what_backtraders_own_takes_gives_the_same(folder, monkeypatch, ended, arguments, code):
    (folder / "own.py").write_text(
        "import backtrader as bt\n\n"
        "class Buys(bt.Strategy):\n    params = (('size', 1),)\n"
        "    def next(self):\n        self.buy(size=self.p.size) if len(self) % 9 else self.close()\n\n"
        "class Up(bt.Indicator):\n    lines = ('signal',)\n"
        "    def next(self):\n        self.lines.signal[0] = self.data.close[0] - self.data.open[0]\n\n"
        "def hook(cerebro):\n    cerebro.broker.setcash(77_000)\n"
    )

    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["btrun", *arguments])

    ours, theirs = (ended(command) for command in (btrun.main, backtrader.btrun.btrun))

    assert ours == theirs
    assert ours[0] == code
    assert "".join(ours[1:])


def test_every_option_of_backtraders_own_goes_through_as_it_was_typed(monkeypatch):
    # given all options that its parser knows, each with a value that could be meant for a file
    parsers = []
    with monkeypatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", lambda self: parsers.append(self))
        sys.modules["backtrader.btrun.btrun"].parse_args()
    options = [name for action in parsers[0]._actions for name in action.option_strings]
    line = [text for name in options for text in (name, "own/trend:Trend:fast=3", f"{name}=trend:Trend")]
    seen = []
    monkeypatch.setattr(backtrader.btrun, "btrun", seen.append)

    # when
    btrun.run_btrun(line)

    # then
    assert {"--data", "--strategy", "-sig", "--hook", "--plot"} <= set(options)
    assert seen == [line]


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
def test_a_mistake_is_one_line(folder, monkeypatch, ended, strategy, message):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["btrun", *HOURS, "--strategy", f"lstm_backtrader.strategies:{strategy}"])

    code, _, err = ended(btrun.main)

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


def test_a_module_without_a_file_is_left_to_backtrader(monkeypatch):
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)  # as of a program that was typed in

    assert btrun._with_path("__main__:X", "--strategy") == "__main__:X"


def test_a_file_beside_one_is_taken_as_backtrader_takes_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("json.py").touch()

    assert btrun._with_path("json:X", "--strategy") == "json:X"
