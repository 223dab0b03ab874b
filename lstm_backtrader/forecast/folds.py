"""The folds of a walk-forward: which bars each model learns from, and which bars it is then used for."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime

import pandas as pd

from lstm_backtrader.candles import bar_seconds, open_times
from lstm_backtrader.errors import ConfigError, DataError
from lstm_backtrader.forecast.train_config import TrainConfig


@dataclass(frozen=True)
class WalkForwardConfig:
    """Retrain every `step_days` on the `train_days` before, and forecast the bars that follow.

    Between the last bar a model has seen and the first it is used for lie `train.embargo` bars, the same as
    between train and validation; labels reach into neither.
    """

    train_days: float  # of data before the embargo
    step_days: float  # from one retraining to the next
    begin: datetime | None = None  # first bar to forecast, UTC; None: the first day with a full train span before
    end: datetime | None = None  # first bar that is not forecast any more; None: the end of the data
    expanding: bool = False  # learn from all data before, `train_days` at least, instead of sliding
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        for name in ("train_days", "step_days"):
            value = getattr(self, name)
            if not 0 < value <= 100_000:
                raise ConfigError(
                    f"{name.replace('_', '-')} {value:g} is not above 0 and at most 100000. Give days: 540 to "
                    f"learn from, 182 to the next retraining."
                )


@dataclass(frozen=True)
class Fold:
    """One retraining: learn from [train_begin, train_end), forecast [begin, end)."""

    train_begin: pd.Timestamp
    train_end: pd.Timestamp
    begin: pd.Timestamp
    end: pd.Timestamp

    def train_bars(self, candles: pd.DataFrame) -> pd.DataFrame:
        """The candles it learns from."""
        return between(candles, self.train_begin, self.train_end)


def between(candles: pd.DataFrame, begin: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    """The candles that open from `begin` to before `end`; a view."""
    return candles.iloc[int(candles.index.searchsorted(begin)) : int(candles.index.searchsorted(end))]


def plan_folds(candles: pd.DataFrame, config: WalkForwardConfig) -> tuple[Fold, ...]:
    """The folds of `candles`, oldest first; those without a bar to forecast, in a long gap, are left out.

    Raises `DataError` with the earliest possible begin where a fold lacks part of its train span.
    """
    index = candles.index
    bar = pd.Timedelta(seconds=bar_seconds(open_times(index)))
    train, step = _bars(config.train_days, bar, "train"), _bars(config.step_days, bar, "step")
    embargo = config.train.embargo * bar
    possible = index[0] + train + embargo
    earliest = possible.ceil("D")
    end = index[-1] + bar if config.end is None else _utc(config.end)
    begin = earliest if config.begin is None else _utc(config.begin)
    begin = index[0] + math.ceil((begin - index[0]) / bar) * bar  # on the grid of the bars
    if begin < possible or possible >= min(end, index[-1] + bar):
        raise DataError(_too_early(config, begin, earliest, index))
    if begin >= min(end, index[-1] + bar):
        raise DataError(
            f"no bar to forecast lies between {begin:%Y-%m-%d %H:%M} and {end:%Y-%m-%d %H:%M} UTC; the data end at "
            f"{index[-1]:%Y-%m-%d %H:%M}. Choose --from and --until inside."
        )
    folds = []
    while begin < end:
        train_end, last = begin - embargo, min(begin + step, end)
        if index.searchsorted(last) > index.searchsorted(begin):
            folds.append(Fold(index[0] if config.expanding else train_end - train, train_end, begin, last))
        begin += step
    return tuple(folds)


def _bars(days: float, bar: pd.Timedelta, name: str) -> pd.Timedelta:
    """The days as a whole number of bars."""
    bars = round(pd.Timedelta(days=days) / bar)
    if bars < 1:
        raise ConfigError(f"{name}-days {days} is less than one bar of {bar}. Give more days.")
    return bars * bar


def _too_early(
    config: WalkForwardConfig, begin: pd.Timestamp, earliest: pd.Timestamp, index: pd.Index[pd.Timestamp]
) -> str:
    need = f"{config.train_days:g} days to learn from and an embargo of {config.train.embargo} bars"
    if earliest > index[-1]:
        return (
            f"the data cover {index[0]:%Y-%m-%d %H:%M} to {index[-1]:%Y-%m-%d %H:%M} UTC, which leaves nothing to "
            f"forecast after {need}. Give more data, or fewer --train-days."
        )
    return (
        f"the fold that begins at {begin:%Y-%m-%d %H:%M} UTC needs {need} before it, and the data begin at "
        f"{index[0]:%Y-%m-%d %H:%M}. The earliest possible is --from {earliest:%Y-%m-%d}, or give fewer "
        f"--train-days."
    )


def _utc(time: datetime) -> pd.Timestamp:
    stamp = pd.Timestamp(time)
    return stamp.tz_localize("UTC") if stamp.tz is None else stamp.tz_convert("UTC")
