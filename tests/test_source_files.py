"""A class is known by its name and the files of its code: any change of them is seen, and nothing else."""

import importlib
import subprocess
import sys
from pathlib import Path

import backtrader as bt
import pytest

from lstm_backtrader.forecast.source_files import is_shipped, place_of, source_sha256
from lstm_backtrader.strategies import LSTMFutures

ROOT = Path(__file__).parents[1]
STRATEGY = """
import backtrader as bt
import numpy
from ideas_of_mine.helper import AHEAD

class Trend(bt.Strategy):
    def next(self):
        from .late import LATER
"""


@pytest.fixture
def ideas(tmp_path, monkeypatch):
    """`ideas(name="text", ...)` writes modules of a package of the user's own and gives its class."""
    folder = tmp_path / "ideas_of_mine"
    folder.mkdir()
    monkeypatch.syspath_prepend(tmp_path)

    def load(**modules):
        for name, text in modules.items():
            (folder / f"{name}.py").write_text(text)
        forget()
        for name in ("helper", "late", "other"):
            importlib.import_module(f"ideas_of_mine.{name}")
        return importlib.import_module("ideas_of_mine.trend").Trend

    def forget():
        for name in [name for name in sys.modules if name.partition(".")[0] == "ideas_of_mine"]:
            del sys.modules[name]
        importlib.invalidate_caches()

    yield lambda **modules: load(**{"__init__": "", **modules})
    forget()


def test_the_packages_above_what_it_imports_are_part_of_it(ideas, tmp_path):
    below = tmp_path / "ideas_of_mine" / "below"
    below.mkdir()
    (below / "leaf.py").write_text("DEEP = 0\n")
    (below / "__init__.py").write_text("")
    files = {"trend": STRATEGY + "from ideas_of_mine.below.leaf import DEEP\n", "helper": "AHEAD = 0\n"}
    first = source_sha256(ideas(**files, late="", other=""))

    (below / "__init__.py").write_text("import backtrader\n")

    assert source_sha256(ideas()) != first


def test_a_change_of_its_file_or_of_one_it_imports_makes_another_class(ideas):
    # given
    files = {"trend": STRATEGY, "helper": "AHEAD = 0\n", "late": "LATER = 0\n", "other": "IDLE = 0\n"}
    first = source_sha256(ideas(**files))

    # then
    assert source_sha256(ideas(**files)) == first
    assert source_sha256(ideas(other="IDLE = 1\n")) == first  # which nothing of it imports
    assert source_sha256(ideas(helper="AHEAD = 1\n")) != first
    assert source_sha256(ideas(**files)) == first
    assert source_sha256(ideas(late="LATER = 1\n")) != first  # imported inside a method
    assert source_sha256(ideas(trend=STRATEGY + "# changed\n")) != first


def test_a_script_and_the_same_file_as_a_module_are_one_class(tmp_path):
    # given
    (tmp_path / "trade.py").write_text(
        "from lstm_backtrader.forecast.source_files import place_of, source_sha256\n"
        "class Trend: ...\n"
        "print(place_of(Trend), source_sha256(Trend))\n"
    )

    # when
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    said = [
        subprocess.check_output([sys.executable, *how], cwd=tmp_path, env=environment, text=True)
        for how in (["trade.py"], ["-c", "import trade"])
    ]

    # then
    line, same = said
    assert line == same
    assert line.startswith("trade:Trend ")
    assert len(line.split()[1]) == 64


def test_a_class_that_is_in_no_file_has_no_hash():
    scope = {"__name__": "typed_in_a_notebook"}
    exec("class Trend: ...", scope)
    assert source_sha256(scope["Trend"]) is None
    assert place_of(scope["Trend"]) == "typed_in_a_notebook:Trend"


def test_what_is_shipped_is_told_from_what_is_not():
    class Mine(LSTMFutures):
        """One of the user's own."""

    assert is_shipped(LSTMFutures)
    assert is_shipped(bt.Strategy)
    assert is_shipped(bt.ind.SMA)
    assert not is_shipped(Mine)
