"""What a function computes is told apart by its code and all of its own package's that it calls."""

import subprocess
import sys
import types

import numpy as np
import pytest

from lstm_backtrader.forecast.features import FEATURES, FeatureSpec, feature
from lstm_backtrader.forecast.function_code import function_code

BASE = """
import numpy as np
SPAN = 3
WEIGHTS = np.array([1.0, 2.0])
LEVELS = {"low": (1, 2), "high": [3]}
class Filter:
    def smooth(self, values): return values * 2
def helper(values): return deeper(values) + 1
def deeper(values): return values * SPAN
def made(factor):
    def inner(values, shift=1): return values * factor + shift
    return inner
times = made(2)
def signal(values, shift=0):
    parts = [part * 2 for part in times(values)]
    return helper(values) @ WEIGHTS + shift + LEVELS["low"][0] + Filter().smooth(values) + np.sum(parts)
"""


def code_of(source, name="signal"):
    module = types.ModuleType("somebodys")
    exec(source, module.__dict__)
    return function_code(getattr(module, name))


CHANGES = [
    ("shift=0", "shift=0.5"),  # a default
    ("+ shift +", "- shift +"),  # its own arithmetic
    ("part * 2", "part * 3"),  # a comprehension within
    ("+ 1\n", "+ 2\n"),  # a helper
    ("* SPAN", "/ SPAN"),  # a helper's helper
    ("SPAN = 3", "SPAN = 4"),  # a number they share
    ("[1.0, 2.0]", "[1.0, 2.5]"),
    ('"low": (1, 2)', '"low": (2, 2)'),
    ("values * 2\n", "values * 4\n"),  # a method of a class
    ("made(2)", "made(3)"),  # what a closure holds
    ("shift=1", "shift=2"),  # a default within it
]


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_whatever_changes_the_number_changes_the_code(old, new):
    assert BASE.count(old) == 1
    assert code_of(BASE) != code_of(BASE.replace(old, new))


@pytest.mark.parametrize("source", [BASE, "\n\n" + BASE, BASE + "\nUNUSED = 1\ndef other(): return 2\n"])
def test_whatever_does_not_leaves_it(source):
    assert code_of(source) == code_of(BASE)


def test_functions_that_call_each_other_come_to_an_end():
    source = "def even(n): return n == 0 or odd(n - 1)\ndef odd(n): return n != 0 and even(n - 1)\n"
    assert code_of(source, "even") != code_of(source.replace("n == 0", "n == 2"), "even")


def test_a_decorated_function_is_what_it_wraps():
    source = "import functools\n@functools.cache\ndef f(n): return n + 1\n"
    assert code_of(source, "f") != code_of(source.replace("n + 1", "n + 2"), "f")


def test_a_builtin_is_its_name():
    assert function_code(np.log) != function_code(np.exp)


PRINT_ALL = """
from lstm_backtrader.forecast.features import FEATURES, FeatureSpec, default_features
def kind(bars): return bars if bars in {"day", "week", "month"} else None
from lstm_backtrader.forecast.function_code import function_code
print(hash("x"), [spec.code().hex() for spec in default_features(("news",))], function_code(kind).hex())
"""


def test_another_process_finds_the_same_code():
    said = [
        subprocess.run(
            [sys.executable, "-c", PRINT_ALL],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout.split(" ", 1)
        for seed in ("1", "2")
    ]
    assert said[0][0] != said[1][0]
    assert said[0][1] == said[1][1]


def test_a_feature_is_told_apart_by_its_helper_and_by_its_short_way(monkeypatch):
    monkeypatch.setattr("lstm_backtrader.forecast.registry.FEATURES", dict(FEATURES))
    codes = []
    for factor, shift in ((1.0, 0.0), (2.0, 0.0), (1.0, 1.0)):

        def helper(values, factor=factor):
            return values * factor

        @feature(memory=lambda: 1, newest=lambda bars, shift=shift: float(bars["close"][-1]) + shift)
        def helped(bars, helper=helper):
            return helper(bars["close"])

        codes.append(FeatureSpec("helped").code())
    assert len(set(codes)) == 3


def test_the_volatility_is_part_of_every_feature_that_is_measured_in_it(monkeypatch):
    codes = [FeatureSpec(name, params).code() for name, params in (("log_return", {"span": 6}), ("bar_range", {}))]
    monkeypatch.setattr("lstm_backtrader.forecast.price_features.VOLATILITY_HALFLIFE", 48)
    monkeypatch.setattr("lstm_backtrader.forecast.price_features._VOLATILITY_WEIGHTS", np.ones(168) / 168)
    assert FeatureSpec("log_return", {"span": 6}).code() != codes[0]
    assert FeatureSpec("bar_range").code() != codes[1]
    assert FeatureSpec("close_location").code() == FeatureSpec("close_location").code()
