"""Time, memory and size of a report of many bars: ``python -m benchmarks.report [525600] [min]``."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Outcome, Plan, check
from benchmarks.peak import peak_bytes

if TYPE_CHECKING:
    import pandas as pd

    from lstm_backtrader.reporting.recorder import RunRecord

ROOT = Path(__file__).resolve().parents[1]
YEAR_OF_MINUTES = 525_600
_BARS_A_TRADE = 600
_FEWEST = 17_520


def seconds(plan: Plan) -> Outcome:
    """CPU seconds of the report of a year of minutes, with the import of QuantStats."""
    found = _measured(plan.bars(YEAR_OF_MINUTES, at_least=_FEWEST))
    return Outcome((found["seconds"],), check(found["bars"] == found["reported"], "all bars are reported"))


def gigabytes(plan: Plan) -> Outcome:
    """The most memory the process took."""
    found = _measured(plan.bars(YEAR_OF_MINUTES, at_least=_FEWEST))
    return Outcome((found["peak"] / 1e9,), check(found["bars"] == found["reported"], "all bars are reported"))


def megabytes(bars: int, plan: Plan) -> Outcome:
    """Of the page."""
    freq = "min" if bars > YEAR_OF_MINUTES else "h"
    found = _measured(plan.bars(bars, at_least=_FEWEST), freq)
    return Outcome((found["size"] / 1e6,), check(found["bars"] == found["reported"], "all bars are reported"))


@cache
def _measured(bars: int, freq: str = "min") -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.report", str(bars), freq],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def record_of(bars: int, freq: str) -> RunRecord:
    """A run on a random walk, long or short some hundred bars each, with a forecast a bar; its books add up."""
    import numpy as np
    import pandas as pd

    from lstm_backtrader.reporting.metrics import AccountTotals
    from lstm_backtrader.reporting.recorder import EQUITY_COLUMNS, RunRecord

    rng = np.random.default_rng(0)
    index = pd.date_range("2023-01-01", periods=bars, freq=freq, tz="UTC", name="open_time")
    close = 30_000 * np.exp(np.cumsum(rng.standard_normal(bars) * 5e-4))
    edges = np.arange(0, bars - 1, _BARS_A_TRADE)
    ends = np.append(edges[1:], bars - 1)
    sides = rng.choice([-1, 1], len(edges))
    size = 0.1
    gross = sides * size * (close[ends] - close[edges])
    fees = 5e-4 * size * (close[ends] + close[edges])
    position = np.zeros(bars)
    for begin, end, side in zip(edges, ends, sides, strict=True):
        position[begin:end] = side * size
    paid = np.zeros(bars)
    np.add.at(paid, ends, fees)
    made = np.concatenate([[0.0], np.diff(close) * position[:-1]]) - paid
    equity = 100_000 + np.cumsum(made)
    notional = np.abs(position) * close
    columns = {
        "equity": equity,
        "cash": equity,
        "high": close * 1.0004,
        "low": close * 0.9996,
        "close": close,
        "position": position,
        "notional": notional,
        "leverage": notional / equity,
        "margin": notional / 3,
        "margin_ratio": np.where(position != 0, 0.02, np.nan),
        "liquidation_distance": np.where(position != 0, 0.3 + rng.uniform(0, 0.05, bars), np.nan),
        "fees": np.cumsum(paid),
        "funding": np.zeros(bars),
        "open_profit": np.zeros(bars),
        "turnover": np.cumsum(paid) / 5e-4,
        "forecast": rng.standard_normal(bars),
        "prob_up": rng.uniform(0.3, 0.7, bars),
    }
    trades = pd.DataFrame(
        {
            "symbol": "BTC/USDT",
            "side": sides.astype(np.int64),
            "tradeid": 0,
            "entry_time": index[edges],
            "exit_time": index[ends],
            "entry_price": close[edges],
            "exit_price": close[ends],
            "size": size,
            "gross_profit_closed": gross,
            "profit_open": 0.0,
            "fees": fees,
            "slippage": 0.0,
            "funding": 0.0,
            "liquidation_loss": 0.0,
            "net_profit": gross - fees,
            "mae": -0.01,
            "mfe": 0.01,
            "initial_stop": close[edges] * (1 - 0.01 * sides),
            "r_multiple": (gross - fees) / (0.01 * size * close[edges]),
            "bars": ends - edges,
            "is_open": False,
            "exit_reason": "signal",
            "is_liquidation": False,
        }
    )
    totals = AccountTotals(
        100_000, float(gross.sum()), 0.0, float(fees.sum()), 0.0, 0.0, 0.0, 0, columns["turnover"][-1]
    )
    frame: pd.DataFrame = pd.DataFrame(columns, index=index)[EQUITY_COLUMNS]
    forecast = {"model": "noise", "bars": bars, "horizon": 60, "threshold": 1.0}
    return RunRecord(frame, trades, totals, True, None, forecast, "Noise", {}, "BTC/USDT")


def main(bars: int, freq: str) -> None:
    """Print seconds, peak bytes and size of the page as JSON."""
    record = record_of(bars, freq)
    began = time.process_time()
    from lstm_backtrader.reporting.report import report

    with tempfile.TemporaryDirectory() as folder:
        found = report(record, Path(folder) / "out")
        size = found.html.stat().st_size
    measured = {
        "seconds": time.process_time() - began,
        "peak": peak_bytes(),
        "size": size,
        "bars": bars,
        "reported": found.metrics["span"]["bars"],
    }
    print(json.dumps(measured))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("bars", type=int, nargs="?", default=525_600, help="bars of the report")
    parser.add_argument("freq", nargs="?", default="min", help="their length as pandas writes it")
    given = parser.parse_args()
    main(given.bars, given.freq)
