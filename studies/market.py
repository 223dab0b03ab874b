"""A market of the study: its candles at one timeframe, and how a model is trained on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd

from lstm_backtrader.candle_files import read_candles
from lstm_backtrader.candles import bar_seconds, open_times, timeframe_seconds
from lstm_backtrader.datafeeds.grouping import resample_candles
from lstm_backtrader.errors import DataError
from lstm_backtrader.forecast.folds import WalkForwardConfig
from lstm_backtrader.forecast.train_config import TrainConfig

_DAY_S = 86_400
_CONTEXTS = {3600: 384, 4 * 3600: 192, _DAY_S: 96}  # bars: 16, 32 and 96 days


@dataclass(frozen=True)
class Cell:
    """One market at one timeframe. `name`: the file's, without the timeframe."""

    name: str
    timeframe: str
    candles: pd.DataFrame  # (T,) with `funding_rate` and `mark_*` where there are files of them

    @property
    def title(self) -> str:
        """As headings and file names have it."""
        return f"{self.name} {self.timeframe}"


def read_market(path: Path) -> tuple[str, pd.DataFrame]:
    """Name and candles of `BTCUSDT-1h.parquet`, with `BTCUSDT-*-funding.parquet` and `BTCUSDT-1h-mark.parquet`.

    Both are looked for in the same folder; without funding there is no honest account, so it is asked for.
    """
    name = path.stem.rpartition("-")[0] or path.stem
    funding = sorted(path.parent.glob(f"{name}-*-funding{path.suffix}"))
    if not funding:
        raise DataError(
            f"{path}: no {name}-8h-funding{path.suffix} beside it, and without funding the account would flatter. "
            f"Put the file there; `lbt download --with funding` fetches it."
        )
    mark = path.with_name(f"{path.stem}-mark{path.suffix}")
    return name, read_candles(path, funding=funding[0], mark=mark if mark.exists() else None)


def cells(markets: Sequence[tuple[str, pd.DataFrame]], timeframes: Sequence[str]) -> list[Cell]:
    """Every market at every timeframe; bars that are longer than the candles are made of them."""
    found = []
    for name, candles in markets:
        step_s = bar_seconds(open_times(candles.index))
        for timeframe in timeframes:
            same = timeframe_seconds(timeframe) == step_s
            found.append(Cell(name, timeframe, candles if same else resample_candles(candles, timeframe)))
    return found


def plan(timeframe: str, begin: datetime, seeds: int, steps: int) -> WalkForwardConfig:
    """Learn from all candles before, two years at least; retrain twice a year; forecast one day ahead.

    Between train, validation and forecast lies a week besides the horizon. The context grows in days as bars do.
    """
    step_s = timeframe_seconds(timeframe)
    train = TrainConfig(
        horizon=max(1, _DAY_S // step_s),
        context=_CONTEXTS.get(step_s, 192),
        embargo=max(1, 7 * _DAY_S // step_s),
        seeds=seeds,
        steps=steps,
    )
    return WalkForwardConfig(730, 182, begin=begin, expanding=True, train=train)
