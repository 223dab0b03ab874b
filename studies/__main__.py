"""The command: ``python -m studies BTCUSDT-1h.parquet ETHUSDT-1h.parquet --out study.md``."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from lstm_backtrader.candles import timeframe_seconds
from lstm_backtrader.errors import LbtError
from lstm_backtrader.reporting.writing import write_text, write_together

from .market import cells, plan, read_market
from .page import study_page
from .results import result_of


def main(arguments: list[str] | None = None) -> int:
    """Train, judge and trade every market at every timeframe, and write the page."""
    parser = argparse.ArgumentParser(
        prog="python -m studies", description="Walk forward over real candles, beside baselines and controls."
    )
    parser.add_argument("data", nargs="+", type=Path, help="candles; funding and mark price lie beside them")
    parser.add_argument("--timeframes", default="1h,4h,1D", help="lengths of bars, default 1h,4h,1D")
    parser.add_argument(
        "--begin", default="2022-03-01", help="first day to forecast, two years after the first bar"
    )
    parser.add_argument("--seeds", type=int, default=3, help="nets in each ensemble")
    parser.add_argument("--steps", type=int, default=800, help="optimiser steps a net")
    parser.add_argument("--work", type=Path, default=Path("runs/study"), help="folder for models and results")
    parser.add_argument("--out", type=Path, default=Path("study.md"), help="the page")
    given = parser.parse_args(arguments)
    try:
        begin = datetime.strptime(given.begin, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        parser.error(f"--begin {given.begin} is no day. Write it like 2022-03-01.")
    try:
        timeframes = given.timeframes.split(",")
        for timeframe in timeframes:
            timeframe_seconds(timeframe)
        results = [
            result_of(cell, plan(cell.timeframe, begin, given.seeds, given.steps), given.work, _say)
            for cell in cells([read_market(path) for path in given.data], timeframes)
        ]
        page = study_page(results)
        write_together({given.out: lambda path: write_text(path, page)})
    except LbtError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{given.out}: {len(results)} markets and lengths of bars")
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
