"""One backtest in a process of its own, as a second run of a script is: ``python -m benchmarks.fresh``."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.measure import Outcome, Plan, check

ROOT = Path(__file__).resolve().parents[1]
CACHE = "LBT_CACHE"  # the variable that names the directory of the forecast cache


@dataclass(frozen=True)
class FreshRun:
    """What the process said of itself."""

    seconds: float  # CPU, from Cerebro to the last bar; imports and reading the candles are outside
    trades: tuple[tuple[float, float, float], ...]
    value: float
    loaded_torch: bool


def against_ready_column(plan: Plan) -> Outcome:
    """A backtest whose forecast is in the disk cache, over the same with the forecast as a column of the data."""
    from benchmarks.backtests import BARS, signals  # here, so that the fresh process loads no torch
    from benchmarks.models import Shape, candles, random_model
    from benchmarks.strategy import Result

    market = candles(plan.bars(BARS, at_least=1_200))
    model = random_model(Shape(), market)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model.save(folder / "model")
        market.assign(ready=signals(model, market)).to_parquet(folder / "candles.parquet")
        first = _start(folder, "model")  # fills the cache
        ratios = []
        for pair in range(plan.pairs):
            sources = ("model", "ready") if pair % 2 == 0 else ("ready", "model")
            runs = {source: _start(folder, source) for source in sources}
            ratios.append(runs["model"].seconds / runs["ready"].seconds)
    column = Result(runs["ready"].trades, runs["ready"].value)
    for one in (first, runs["model"]):
        check(column.agrees(Result(one.trades, one.value)), "trades and final value are equal")
    check(not runs["model"].loaded_torch, "the repeated run does not import torch")
    return Outcome(tuple(ratios), "trades and final value are equal, and torch is not imported")


def _start(folder: Path, source: str) -> FreshRun:
    command = [sys.executable, "-m", "benchmarks.fresh", str(folder), source]
    environment = {**os.environ, CACHE: str(folder / "cache")}
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    told = json.loads(done.stdout)
    return FreshRun(told["seconds"], tuple(map(tuple, told["trades"])), told["value"], told["loaded_torch"])


def main() -> None:
    """Run the backtest of a folder with `candles.parquet` and `model/`, and tell about it in JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("source", choices=("model", "ready"))
    given = parser.parse_args()

    import pandas as pd

    from benchmarks.strategy import Timed, lstm_signal, ready_column, run
    from lstm_backtrader.candles import COLUMNS
    from lstm_backtrader.datafeeds.frames import CandleFeed

    table = pd.read_parquet(given.folder / "candles.parquet")
    market = table[list(COLUMNS)]
    if given.source == "model":
        timed = Timed(lambda: run(CandleFeed(market), lstm_signal(given.folder / "model")))
    else:
        timed = Timed(lambda: run(CandleFeed(table), ready_column))
    told = asdict(timed.result) | {"seconds": timed.seconds, "loaded_torch": "torch" in sys.modules}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
