"""Blocks of options: one argument of a command's function, and an option each for who types them."""

import inspect
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, get_type_hints

import pytest
import typer
from typer.testing import CliRunner

from lstm_backtrader.backtesting import BacktestConfig
from lstm_backtrader.forecast.train_config import TrainConfig
from lstm_backtrader.option_blocks import Trading, Training, flat


@dataclass(frozen=True)
class Size:
    width: Annotated[int, typer.Option(help="In steps.")] = 2
    height: Annotated[float | None, typer.Option(help="In steps, too.")] = None


def shown(*typed):
    """What a command with a block in its middle is given."""
    app = typer.Typer()

    @app.command()
    @flat
    def draw(*, out: Path, size: Size, title: Annotated[str, typer.Option()] = "none") -> None:
        """Draw."""
        typer.echo(f"{out} {size} {title}")

    return CliRunner().invoke(app, typed)


def test_a_block_is_filled_from_what_is_typed_and_from_its_defaults():
    assert shown("here", "--width", "5", "--title", "x").output == "here Size(width=5, height=None) x\n"
    assert shown("--height", "0.5", "here").output == "here Size(width=2, height=0.5) none\n"


def test_options_of_a_block_stand_in_its_place_and_are_checked_as_any_other():
    help_ = shown("--help").output
    assert help_.index("--width") < help_.index("--height") < help_.index("--title")
    wrong = shown("here", "--width", "wide")
    assert wrong.exit_code == 2
    assert "--width" in wrong.output


def test_types_are_read_as_those_of_the_options():
    @flat
    def command(*, size: Size) -> None: ...

    assert get_type_hints(command) == {"width": int, "height": float | None}
    assert list(inspect.signature(command).parameters) == ["width", "height"]


@pytest.mark.parametrize(
    ("block", "config", "renamed"),
    [
        (Trading, BacktestConfig, {"allow_insample": None}),
        (Training, TrainConfig, {"events": "event", "expires_days": "expires", "features": None}),
    ],
)
def test_an_option_has_the_default_of_the_config_it_is_of(block, config, renamed):
    typed = {each.name: each.default for each in fields(block)}
    meant = {renamed.get(each.name, each.name): each.default for each in fields(config)}
    for name, default in meant.items():
        if name is not None and name != "event":
            assert typed[name] == default, name
