"""A file of options: what is taken from it, and how a mistake in it is answered."""

from datetime import datetime
from pathlib import Path

import pytest

from lstm_backtrader.config_file import option_name, read_config
from lstm_backtrader.errors import ConfigError

TRAIN = {
    "data": Path,
    "out": Path,
    "until": datetime | None,
    "horizon": int,
    "learning_rate": float,
    "event": list[str] | None,
}
ACCOUNT = {"leverage": float, "allow_insample": bool, "threshold": float | None}
OPTIONS = {
    "train": TRAIN,
    "walk-forward": {**TRAIN, **ACCOUNT, "train_days": float, "from_": datetime | None},
    "backtest": {
        "data": Path,
        "out": Path,
        "model": Path,
        "from_": datetime | None,
        "until": datetime | None,
        **ACCOUNT,
    },
}


@pytest.fixture
def config(tmp_path):
    """`config(text, command)` reads a file of that text."""

    def read(text, command="train"):
        (tmp_path / "lbt.toml").write_text(text)
        return read_config(tmp_path / "lbt.toml", command, OPTIONS)

    return read


def test_keys_at_the_top_are_of_the_command_that_is_run(config, tmp_path):
    text = 'data = "candles.csv"\nout = "/models/a"\nuntil = 2023-08-31\nhorizon = 12\nlearning-rate = 1\n'
    text += 'event = ["news"]'
    assert config(text) == {
        "data": str(tmp_path / "candles.csv"),
        "out": "/models/a",
        "until": "2023-08-31",
        "horizon": 12,
        "learning_rate": 1.0,
        "event": ["news"],
    }


def test_underscores_are_dashes(config):
    assert config("learning_rate = 0.5") == config("learning-rate = 0.5") == {"learning_rate": 0.5}
    assert config("[walk_forward]\ntrain_days = 5", "walk-forward") == {"train_days": 5.0}


def test_a_table_is_of_its_command_and_goes_before_the_top(config):
    text = "leverage = 2\n[backtest]\nleverage = 3\nallow-insample = true\n[train]\nhorizon = 9\n"
    assert config(text, "backtest") == {"leverage": 3.0, "allow_insample": True}


def test_walk_forward_takes_what_it_knows_of_training_and_account(config):
    text = """
        [train]
        horizon = 9
        learning-rate = 0.1
        until = 2020-01-01
        out = "elsewhere"
        [backtest]
        leverage = 3
        allow-insample = true
        model = "m"
        from = 2021-01-01
        [walk-forward]
        train-days = 540
        learning-rate = 0.2
    """
    assert config(text, "walk-forward") == {
        "horizon": 9,
        "learning_rate": 0.2,
        "leverage": 3.0,
        "allow_insample": True,
        "train_days": 540.0,
    }
    assert config(text)["out"].endswith("elsewhere")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("horizn = 3", r"lbt.toml: unknown key 'horizn'. Did you mean 'horizon'\?"),
        ("[train]\nlerning-rate = 3", r"\[train\] unknown key 'lerning-rate'. Did you mean 'learning-rate'\?"),
        ("[backtest]\nlevrage = 3", r"\[backtest\] unknown key 'levrage'. Did you mean 'leverage'\?"),
        ("[trian]\nhorizon = 3", r"unknown key 'trian'. Did you mean 'train'\?"),
        (
            "zzz = 3",
            r"unknown key 'zzz'. Known are backtest, data, event, horizon, learning-rate, out, train, until",
        ),
        ("leverage = 3", r"'leverage' is no option of \[train\]. Put it under \[walk-forward\]"),
        ("[backtest]\nhorizon = 3", r"'horizon' is no option of \[backtest\]. Put it under \[train\]"),
        ('horizon = "many"', r"horizon: input should be a valid integer, not 'many'"),
        ("horizon = 3.5", r"horizon: input should be a valid integer.*, not 3.5"),
        ("horizon = true", r"horizon: input should be a valid integer, not True"),
        ("learning-rate = nan", r"learning-rate: input should be a finite number, not nan"),
        ("event = [3]", r"event: input should be a valid string, not 3"),
        ('event = "news"', r"event: input should be a valid list, not 'news'"),
        ("until = 2020-01-01T05:00:00", r"until: .*zero time.*, not"),
        ("[walk-forward]\nfrom = 3", r"\[walk-forward\] from: "),
        ("horizon = ", r"lbt.toml is no TOML \(.*\). Write lines such as"),
    ],
)
def test_a_mistake_is_answered_with_what_was_meant(config, text, message):
    with pytest.raises(ConfigError, match=message):
        config(text)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none.toml cannot be read \(No such file.*Give a TOML file to --config"):
        read_config(tmp_path / "none.toml", "train", OPTIONS)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is no TOML"):
        read_config(tmp_path / "x.toml", "train", OPTIONS)


def test_an_option_is_named_as_it_is_typed():
    assert [option_name(name) for name in ("from_", "learning_rate", "data")] == ["from", "learning-rate", "data"]
