"""A market's files as studies read them: daily candles of a random walk, and funding beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd


def days(n: int, seed: int = 0) -> pd.DataFrame:
    """`n` daily candles of a random walk, as a venue's file has them."""
    close = 100.0 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0.0, 0.02, n)))
    opens = np.concatenate([[100.0], close[:-1]])
    stamps = pd.date_range("2020-01-01", periods=n, freq="1D", tz="UTC")
    return pd.DataFrame(
        {
            "timestamp": stamps,
            "open": opens,
            "high": np.maximum(opens, close) * 1.005,
            "low": np.minimum(opens, close) * 0.995,
            "close": close,
            "volume": np.random.default_rng(seed + 1).uniform(1.0, 2.0, n),
        }
    )


def write_market(folder: Path, n: int = 1_100, name: str = "COINUSDT") -> Path:
    """Three years of daily candles by default, and funding beside them; the file of the candles."""
    candles = days(n)
    file = folder / f"{name}-1D.parquet"
    candles.to_parquet(file)
    funding = pd.DataFrame({"timestamp": candles["timestamp"], "funding_rate": 0.0001})
    funding.to_parquet(folder / f"{name}-8h-funding.parquet")
    return file
