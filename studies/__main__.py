"""The command: ``python -m studies BTCUSDT-1h.parquet ETHUSDT-1h.parquet --out study.md``."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from .command import parser_of, run, say
from .market import cells, plan, read_market
from .page import study_page
from .results import result_of


def main(arguments: list[str] | None = None) -> int:
    """Train, judge and trade every market at every timeframe, and write the page."""
    said = "Walk forward over real candles, beside baselines and controls."
    parser = parser_of("python -m studies", said, timeframes="1h,4h,1D", out="study.md")
    parser.add_argument("data", nargs="+", type=Path, help="candles; funding and mark price lie beside them")
    return run(parser, arguments, _page)


def _page(given: Namespace) -> tuple[str, int]:
    results = [
        result_of(cell, plan(cell.timeframe, given.begin, given.seeds, given.steps), given.work, say)
        for cell in cells([read_market(path) for path in given.data], given.timeframes)
    ]
    return study_page(results), len(results)


if __name__ == "__main__":
    raise SystemExit(main())
