"""The command: ``python -m benchmarks [--only NAME] [--quick] [--out bench.json]``."""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from benchmarks.fresh import CACHE
from benchmarks.measure import CheckError, Outcome, Plan
from benchmarks.rows import ROWS, Row

_LINE = "{:<74} {:>10} {:>17} {:>14}  {:<7} {:<14} {}"
_NO_GPU = "no CUDA device"


def main() -> int:
    """Measure, print and write; 1 where results that must be equal are not, whatever the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the plugin against rivals.")
    parser.add_argument("--only", metavar="NAME", default="", help="rows whose name holds NAME")
    parser.add_argument("--quick", action="store_true", help="three repeats of everything")
    parser.add_argument("--out", type=Path, default=Path("bench.json"), metavar="FILE")
    given = parser.parse_args()
    rows = [row for row in ROWS if given.only.lower() in row.name.lower()]
    if not rows:
        parser.error(f"no row is called '{given.only}'. There are: {'; '.join(row.name for row in ROWS)}.")
    plan = Plan(repeats=3, pairs=3) if given.quick else Plan()
    print(f"Python {platform.python_version()}, torch {torch.__version__}, {os.cpu_count()} cores.")
    print(
        "CPU time, one torch thread, imports outside the clock. A over B: time of A by time of B, median of pairs."
    )
    print(_LINE.format("", "median", "from - to", "target", "", "on a GPU", "compares"))
    entries: list[dict[str, object]] = []
    is_sound = True
    with _undisturbed():
        for row in rows:
            try:
                outcome = row.measure(plan)
            except CheckError as error:
                is_sound = False
                print(f"{row.name}: {error}", flush=True)
            except ModuleNotFoundError as error:
                print(f"{row.name}: {error}. Install the rivals with pip install -e '.[bench]'.", flush=True)
            else:
                print(line(row, outcome), flush=True)
                entries.append(row.entry(outcome))
            given.out.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
    return 0 if is_sound else 1


@contextmanager
def _undisturbed() -> Iterator[None]:
    """One torch thread, an empty cache and no warnings, as before afterwards."""
    threads, cache = torch.get_num_threads(), os.environ.get(CACHE)
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)  # models this small and untrained have much to be warned about
    try:
        with tempfile.TemporaryDirectory() as empty:
            os.environ[CACHE] = empty  # forecasts of an earlier run must not help
            yield
    finally:
        torch.set_num_threads(threads)
        logging.disable(logging.NOTSET)
        if cache is None:
            os.environ.pop(CACHE, None)
        else:
            os.environ[CACHE] = cache


def line(row: Row, outcome: Outcome) -> str:
    """One line of the table."""
    low, high = outcome.spread
    met = "" if row.target is None else "ok" if row.is_met(outcome.ratio) else "MISSED"
    target = "reported" if row.target is None else f"{row.bound} {row.target:g}"
    gpu = "" if not row.on_gpu else _NO_GPU if outcome.gpu is None else f"{outcome.gpu:.1f} x"
    figure = f"{outcome.ratio:.2f} {row.unit}"
    return _LINE.format(row.name, figure, f"{low:.2f} - {high:.2f}", target, met, gpu, row.compares).rstrip()


if __name__ == "__main__":
    sys.exit(main())
