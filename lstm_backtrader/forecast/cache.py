"""Forecasts kept by content: one computation for each model and history, in this process and on disk.

The key is a SHA-256 of the model's fingerprint and the candles it reads, so nothing is ever out of date. Files
lie in `$LBT_CACHE`, else in `$XDG_CACHE_HOME/lstm_backtrader` or `~/.cache/lstm_backtrader`; `LBT_CACHE=off` keeps
everything in memory. The oldest files go when there is more than a gigabyte.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock
from numpy.typing import NDArray

from lstm_backtrader.candles import candles_sha256
from lstm_backtrader.forecast.array_files import read_array, write_array
from lstm_backtrader.forecast.protocol import FORECAST_COLUMNS

logger = logging.getLogger(__name__)

MAX_BYTES = 1_000_000_000
_IN_MEMORY = 16  # forecasts

Values = NDArray[np.float64]

_recent: OrderedDict[str, Values] = OrderedDict()


def cached_forecast(
    fingerprint: str,
    columns: Sequence[str],
    candles: pd.DataFrame,
    compute: Callable[[pd.DataFrame], pd.DataFrame],
) -> pd.DataFrame:
    """`compute(candles)`, or what it gave before for the same fingerprint and the same values of `columns`.

    Columns `forecast`, `prob_up`, `spread` (T,) on the candles' index. Of several processes that ask at once one
    computes and the others wait for it.
    """
    read = candles[list(columns)]
    key = hashlib.sha256(f"{fingerprint}{candles_sha256(read)}".encode()).hexdigest()
    values = _recent.get(key)
    if values is None:
        values = _from_disk(key, read, compute)
        _recent[key] = values
        if len(_recent) > _IN_MEMORY:
            _recent.popitem(last=False)
    return pd.DataFrame(values.copy(), index=candles.index, columns=list(FORECAST_COLUMNS))


def cache_directory() -> Path | None:
    """Where forecasts are kept; None if nowhere."""
    chosen = os.environ.get("LBT_CACHE")
    if chosen == "off":
        return None
    if chosen:
        return Path(chosen)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "lstm_backtrader"


def _from_disk(key: str, candles: pd.DataFrame, compute: Callable[[pd.DataFrame], pd.DataFrame]) -> Values:
    def fresh() -> Values:
        return compute(candles)[list(FORECAST_COLUMNS)].to_numpy(np.float64)

    directory = cache_directory()
    if directory is None:
        return fresh()
    path = directory / f"{key}.npy"
    values = _read(path, len(candles))
    if values is not None:
        return values
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = FileLock(directory / f"{key}.lock")
        with lock:
            values = _read(path, len(candles))
            if values is None:
                values = fresh()
                write_array(path, values)
                _prune(directory)
    except OSError as error:
        logger.warning("forecasts are not kept: %s cannot be written (%s)", directory, error.strerror)
        return fresh() if values is None else values
    return values


def _read(path: Path, rows: int) -> Values | None:
    """What is kept there; reading makes it young again."""
    values = read_array(path, (rows, len(FORECAST_COLUMNS)))
    if values is not None:
        with suppress(OSError):  # gone meanwhile, or somebody else's
            os.utime(path)
    return values


def _prune(directory: Path) -> None:
    """Remove the files longest unread until the rest fits."""
    kept = []
    for path in directory.glob("*.npy"):
        try:
            kept.append((path.stat().st_mtime, path.stat().st_size, path))
        except FileNotFoundError:  # another process was faster
            continue
    size = sum(entry[1] for entry in kept)
    for _, bytes_, path in sorted(kept):
        if size <= MAX_BYTES:
            break
        path.unlink(missing_ok=True)
        path.with_suffix(".lock").unlink(missing_ok=True)
        size -= bytes_
