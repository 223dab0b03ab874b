"""A file of what may vary: what is read from it, and how a mistake in it is answered."""

import dataclasses

import pytest

from lstm_backtrader.backtesting import BacktestConfig
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.forecast.train_config import TrainConfig
from lstm_backtrader.tuning.space import Choice, Range, Space
from lstm_backtrader.tuning.space_file import GIVEN, read_space


@pytest.fixture
def space(tmp_path):
    """`space(text)` reads a file of that text."""

    def read(text):
        (tmp_path / "space.toml").write_text(text)
        return read_space(tmp_path / "space.toml")

    return read


def test_lists_ranges_and_single_values(space):
    text = """
        [train]
        hidden = [8, 16]
        layers = {low = 1, high = 2}
        learning-rate = {low = 1e-3, high = 1e-2, log = true}
        cell = "lstm"
        dropout = [0, 0.1]
        features = {always = ["default"], any-of = ["macd", "rsi:span=14"]}
        [backtest]
        stop_loss = {low = 0, high = 0.1, step = 0.05}
        threshold-multiple = 1
    """
    assert space(text) == Space(
        train={
            "hidden": Choice((8, 16)),
            "layers": Range(1, 2),
            "learning_rate": Range(1e-3, 1e-2, log=True),
            "cell": Choice(("lstm",)),
            "dropout": Choice((0.0, 0.1)),
        },
        backtest={"stop_loss": Range(0.0, 0.1, 0.05), "threshold_multiple": Choice((1.0,))},
        always=("default",),
        any_of=("macd", "rsi:span=14"),
    )


def test_features_may_be_lists_to_choose_from(space):
    found = space('[train]\nfeatures = ["default", "default, macd"]\n')
    assert found == Space(train={"features": Choice(("default", "default, macd"))})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[train]\nhiden = [8, 16]", r"space.toml: \[train\] unknown key 'hiden'. Did you mean 'hidden'\?"),
        ("[backtest]\nstoploss = [0.1]", r"\[backtest\] unknown key 'stoploss'. Did you mean 'stop-loss'\?"),
        ("[trian]\nhidden = [8]", r"unknown key 'trian'. Did you mean 'train'\?"),
        ("hidden = [8, 16]", r"unknown key 'hidden'. Put options under \[train\] or \[backtest\]"),
        ("train = 3", "unknown key 'train'"),
        ("[backtest]\nfee-bps = [1, 5]", r"\[backtest\] fee-bps is given and not searched. Type --fee-bps"),
        ("[train]\nembargo = [1, 5]", r"\[train\] embargo is given and not searched"),
        ('[train]\nhidden = "big"', r"\[train\] hidden: 'big' is no whole number. Write \[8, 16, 32\], \{low = 8"),
        ("[train]\nhidden = [8, 1.5]", "hidden: 1.5 is no whole number"),
        ("[train]\nhidden = [8, true]", "hidden: True is no whole number"),
        ("[train]\ndropout = [nan]", "dropout: nan is no number"),
        ("[train]\nhidden = []", r"hidden: \[\] is empty or names a value twice"),
        ("[train]\nhidden = [8, 8]", r"hidden: \[8, 8\] is empty or names a value twice"),
        ("[train]\nhidden = {low = 8}", "hidden: 'high' is missing"),
        ("[train]\nhidden = {low = 8, high = 32, logg = true}", r"unknown key 'logg'. Did you mean 'log'\?"),
        ("[train]\nhidden = {low = 8.5, high = 32}", r"hidden.low: input should be a valid integer.*, not 8.5"),
        ("[train]\nhidden = {low = 32, high = 8}", "low 32 must be below high 8"),
        ("[train]\ndropout = {low = 0, high = 0.3, log = true}", "low 0.0 has no logarithm"),
        ("[train]\ndropout = {low = 0.1, high = 0.3, step = 0.5}", "step 0.5 must lie between 0 and high - low"),
        ("[train]\nhidden = {low = 8, high = 32, step = 7}", "steps of 7 do not lead from 8 to 32"),
        ("[train]\ncell = {low = 1, high = 2}", r'cell has no range. Write \["lstm", "rnn"\]'),
        ('[train]\nfeatures = {anyof = ["macd"]}', "unknown key 'anyof'. Did you mean 'any-of'"),
        ('[train]\nfeatures = {always = ["macd"]}', "features: 'any-of' is missing"),
        ("[train", "space.toml is no TOML"),
    ],
)
def test_a_mistake_is_answered_with_what_was_meant(space, text, message):
    with pytest.raises(ConfigError, match=message):
        space(text)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none.toml cannot be read .* Give a TOML file to --space"):
        read_space(tmp_path / "none.toml")


def test_what_is_given_are_options_of_the_configs():
    for name, config in (("train", TrainConfig), ("backtest", BacktestConfig)):
        assert set(GIVEN[name]) <= {each.name for each in dataclasses.fields(config)}
    shared = {each.name for each in dataclasses.fields(TrainConfig)} & {
        each.name for each in dataclasses.fields(BacktestConfig)
    }
    assert not shared, "a value of a trial must be of one of the two"
