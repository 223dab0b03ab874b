"""A file of the user's own is imported once, by its path, and hides nothing."""

import sys

import pytest

from lstm_backtrader.errors import ConfigError
from lstm_backtrader.own_module import import_file


@pytest.fixture
def write(tmp_path):
    """`write(name, text)` makes a Python file; what was imported of it is forgotten afterwards."""
    written = []

    def make(name, text):
        written.append(name.removesuffix(".py"))
        (tmp_path / name).write_text(text)
        return tmp_path / name

    yield make
    for stem in written:
        if getattr(sys.modules.get(stem), "__file__", "").startswith(str(tmp_path)):
            del sys.modules[stem]


def test_a_file_is_run_once_and_named_after_its_stem(write):
    path = write("some_ideas.py", "runs = []\nruns.append(__name__)\n")
    module = import_file(path)
    assert import_file(path) is module
    assert module.runs == ["some_ideas"]


def test_a_file_that_fails_can_be_mended_and_imported_again(write):
    with pytest.raises(ZeroDivisionError):
        import_file(write("broken_ideas.py", "1 / 0\n"))
    assert import_file(write("broken_ideas.py", "answer = 42\n")).answer == 42


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("answer = 42\ndef (\n", r"torn_ideas.py, line 2: invalid syntax. Mend it."),
        ("import nothing_of_that_name\n", r"torn_ideas.py cannot be imported: No module named 'nothing_of"),
    ],
)
def test_a_file_that_cannot_be_imported_is_a_line_that_says_why(write, text, said):
    with pytest.raises(ConfigError, match=said):
        import_file(write("torn_ideas.py", text))


def test_a_file_that_would_hide_a_module_is_refused(write):
    with pytest.raises(
        ConfigError, match=r"would hide the module 'json', which is in use. Give the file another name"
    ):
        import_file(write("json.py", ""))


@pytest.mark.parametrize("name", ["nowhere.py", "notes.txt"])
def test_what_is_no_python_file_is_refused(tmp_path, name):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ConfigError, match=rf"{name} is no Python file. Give the one that registers"):
        import_file(tmp_path / name)
