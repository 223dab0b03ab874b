"""The command `lbt`: what a user types. Everything heavy loads inside the command that needs it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import typer

from lstm_backtrader.commands.judging import audit, evaluate, features, ledger
from lstm_backtrader.commands.market_data import download_data, list_data, venues
from lstm_backtrader.commands.reports import compare, report, show_run
from lstm_backtrader.commands.trading import backtest, paper
from lstm_backtrader.commands.training import demo, train, tune, walk_forward
from lstm_backtrader.mistakes import told_in_one_line

app = typer.Typer(
    help="LSTM forecasts, a crypto-futures account and an honest report for Backtrader.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

COMMANDS: dict[str, Callable[..., None]] = {  # in the order of the help
    "demo": demo,
    "train": train,
    "walk-forward": walk_forward,
    "backtest": backtest,
    "tune": tune,
    "evaluate": evaluate,
    "report": report,
    "show": show_run,
    "compare": compare,
    "ledger": ledger,
    "features": features,
    "venues": venues,
    "download": download_data,
    "paper": paper,
    "data": list_data,
    "audit": audit,
}
for _name, _command in COMMANDS.items():
    app.command(_name)(_command)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def btrun(context: typer.Context) -> None:
    """Backtrader's btrun, with classes by name: --strategy lstm_backtrader.strategies:LSTMFutures:model='...'."""
    from lstm_backtrader.btrun import run_btrun

    run_btrun(context.args)


def main() -> None:
    """Run `lbt`; a user's mistake is one line and exit code 1, one of typing included."""
    from lstm_backtrader.errors import ConfigError

    usage_error: Any = typer.BadParameter.__mro__[1]  # of the click that this typer comes with
    with told_in_one_line():
        try:
            sys.exit(app(prog_name="lbt", standalone_mode=False))
        except usage_error as error:
            said = error.format_message().replace("Value error, ", "").replace("%Y-%m-%d", "YYYY-MM-DD")
            if not said:  # nothing was typed, and the help has been shown
                sys.exit(error.exit_code)
            end = "" if said[-1] in ".?" else "."
            raise ConfigError(f"{said}{end} `{error.ctx.command_path} -h` tells what it takes.") from error
