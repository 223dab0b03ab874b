"""What the commands of walk-forward studies share: their options, and a page or one line that says why not."""

from __future__ import annotations

import argparse
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from lstm_backtrader.candles import timeframe_seconds
from lstm_backtrader.errors import LbtError
from lstm_backtrader.reporting.writing import write_text, write_together

MakePage = Callable[[Namespace], tuple[str, int]]  # the page, and of how many markets and lengths of bars it is


def parser_of(prog: str, description: str, *, timeframes: str, out: str) -> ArgumentParser:
    """With every option but what is studied."""
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument("--timeframes", default=timeframes, help=f"lengths of bars, default {timeframes}")
    parser.add_argument(
        "--begin", default="2022-03-01", help="first day to forecast, two years after the first bar"
    )
    parser.add_argument("--seeds", type=int, default=3, help="nets in each ensemble")
    parser.add_argument("--steps", type=int, default=800, help="optimiser steps a net")
    parser.add_argument("--work", type=Path, default=Path("runs/study"), help="folder for models and results")
    parser.add_argument("--out", type=Path, default=Path(out), help="the page")
    return parser


def run(parser: ArgumentParser, arguments: list[str] | None, make_page: MakePage) -> int:
    """Write the page; the exit code. `make_page` is given `begin` as a time and `timeframes` as a list."""
    given = parser.parse_args(arguments)
    try:
        given.begin = datetime.strptime(given.begin, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        parser.error(f"--begin {given.begin} is no day. Write it like 2022-03-01.")
    try:
        given.timeframes = given.timeframes.split(",")
        for timeframe in given.timeframes:
            timeframe_seconds(timeframe)
        page, number = make_page(given)
        write_together({given.out: lambda path: write_text(path, page)})
    except LbtError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{given.out}: {number} markets and lengths of bars")
    return 0


def say(line: str) -> None:
    """What goes on."""
    print(line, file=sys.stderr, flush=True)
