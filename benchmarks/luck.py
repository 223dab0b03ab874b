"""Does tuning tell luck from skill? ``python -m benchmarks.luck [--runs 40] [--trials 50] [--memory 0.15]``.

Each run tunes a tiny LSTM on a market of its own, without costs, so that luck is not drowned in fees: a random
walk, where nothing can be known and a deflated Sharpe ratio above 95 % should come in one run of twenty at most;
or, with ``--memory``, a walk whose returns follow the last one, where a model that learned it is no luck.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from lstm_backtrader.backtesting import BacktestConfig
from lstm_backtrader.forecast.ledger import Ledger
from lstm_backtrader.forecast.train_config import TrainConfig
from lstm_backtrader.reporting.luck import CONFIDENCE
from lstm_backtrader.tuning.config import TuneConfig
from lstm_backtrader.tuning.space import Choice, Range, Space
from lstm_backtrader.tuning.tune import tune

BARS = 3 * 365 * 2  # two years of eight hours
SPACE = Space(
    train={"hidden": Choice((4, 8)), "learning_rate": Choice((3e-3, 1e-2))},
    backtest={
        "stop_loss": Choice((0.0, 0.02, 0.04)),
        "take_profit": Choice((0.0, 0.03, 0.06)),
        "trailing": Choice((0.0, 0.05)),
        "threshold_multiple": Range(0.0, 2.0, step=0.1),
    },
)
TRAIN = TrainConfig(
    horizon=1,
    features=("log_return:span=1", "log_return:span=6", "close_location"),
    context=16,
    stride=16,
    seeds=1,
    steps=60,
    batch=16,
    embargo=12,
)


def walk(seed: int, bars: int = BARS, memory: float = 0.0) -> pd.DataFrame:
    """Candles of eight hours whose log return is `memory` times the last one and noise of 1 %."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 0.01, bars)
    for bar in range(1, bars):
        noise[bar] += memory * noise[bar - 1]
    close = 100 * np.exp(np.cumsum(noise))
    opened = np.concatenate(([100.0], close[:-1]))
    return pd.DataFrame(
        {
            "open": opened,
            "high": np.maximum(opened, close) * np.exp(rng.uniform(0, 0.004, bars)),
            "low": np.minimum(opened, close) * np.exp(-rng.uniform(0, 0.004, bars)),
            "close": close,
            "volume": rng.lognormal(3, 0.5, bars),
        },
        index=pd.date_range("2022-01-01", periods=bars, freq="8h", tz="UTC", name="open_time", unit="ns"),
    )


def one(seed: int, trials: int, memory: float, bars: int = BARS, prune: bool = False) -> dict[str, float]:
    """Tune on the walk of that seed with a ledger of its own; confidences on inner folds and test span."""
    account = BacktestConfig(fee_bps=0.0)
    config = TuneConfig(trials=trials, folds=3, seed=seed, prune=prune, train=TRAIN, account=account)
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder) / "ledger.jsonl")
        found = tune(
            walk(seed, bars, memory), Path(folder) / "out", config, space=SPACE, symbol="walk", ledger=ledger
        )
    test = found.report.metrics["significance"]
    inner = found.document["luck"]
    names = ("sharpe", "psr", "dsr", "tries")
    return {
        **{f"inner_{name}": inner[name] for name in names},
        **{f"test_{name}": test[name] for name in names},
    }


def main() -> int:
    """Run, print a line a run and the counts; 1 where a random walk is called skill too often."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.luck", description=__doc__)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument(
        "--first", type=int, default=0, metavar="SEED", help="of the first run; the others count on"
    )
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--memory", type=float, default=0.0, help="0: a random walk")
    parser.add_argument("--prune", action="store_true", help="give trials up that are behind")
    parser.add_argument("--out", type=Path, default=None, metavar="FILE", help="JSON of all runs")
    given = parser.parse_args()
    os.environ["LBT_CACHE"] = "off"
    runs: list[dict[str, float]] = []
    for seed in range(given.first, given.first + given.runs):
        runs.append(one(seed, given.trials, given.memory, prune=given.prune))
        print(seed, *(f"{name} {value:.3g}" for name, value in runs[-1].items()), flush=True)
    for name in ("inner_psr", "inner_dsr", "test_psr", "test_dsr"):
        above = sum(run[name] > CONFIDENCE for run in runs)
        print(f"{name} above {CONFIDENCE:.0%}: {above} of {len(runs)}")
    if given.out is not None:
        given.out.write_text(json.dumps(runs, indent=2) + "\n", encoding="utf-8")
    called = max(sum(run[name] > CONFIDENCE for run in runs) for name in ("inner_dsr", "test_dsr"))
    return int(given.memory == 0 and called > (1 - CONFIDENCE) * len(runs))


if __name__ == "__main__":
    sys.exit(main())
