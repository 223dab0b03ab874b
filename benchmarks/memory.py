"""Peak memory of a forecast over five million bars, in a process of its own: ``python -m benchmarks.memory``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.measure import Outcome, Plan, check
from benchmarks.peak import peak_bytes

ROOT = Path(__file__).resolve().parents[1]
BARS = 5_000_000
HIDDEN = 64


def peak_gigabytes(plan: Plan) -> Outcome:
    """Gigabytes a process takes at most that makes `plan.bars(BARS)` candles and forecasts them."""
    bars = plan.bars(BARS, at_least=1_200)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory", str(bars)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    peak, known = done.stdout.split()
    return Outcome((int(peak) / 1e9,), check(int(known) > bars // 2, "most bars have a forecast"))


def main(bars: int) -> None:
    """Print the peak in bytes, and the number of forecasts."""
    from dataclasses import replace

    import numpy as np
    import pandas as pd

    from benchmarks.models import Shape, candles, random_model
    from lstm_backtrader.candles import PRICES
    from lstm_backtrader.forecast.inference import LSTMForecaster

    hourly = random_model(replace(Shape(), hidden=HIDDEN, seeds=1), candles(2_000))
    # five million hours are 570 years
    model = LSTMForecaster(hourly.manifest.model_copy(update={"timeframe_s": 60}), hourly.nets)
    # the synthetic market would take more memory to make than to forecast
    index = pd.date_range("2010-01-01", periods=bars, freq="min", tz="UTC", name="open_time", unit="ns")
    close = np.random.default_rng(0).standard_normal(bars)
    np.exp(np.cumsum(close, out=close) * 1e-3, out=close)
    table = pd.DataFrame(dict.fromkeys(PRICES, close), index=index)
    known = model.predict(table.assign(volume=1.0))["forecast"].count()
    print(peak_bytes(), known)


if __name__ == "__main__":
    main(int(sys.argv[1]))
