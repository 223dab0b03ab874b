"""Which bars a search may see, how it is cut into folds, and which bars are kept for the winner."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import pandas as pd

from lstm_backtrader.candles import bar_seconds, open_times
from lstm_backtrader.errors import DataError
from lstm_backtrader.forecast.folds import Fold, between
from lstm_backtrader.tuning.config import TuneConfig

DAY = pd.Timedelta(days=1)


@dataclass(frozen=True)
class Spans:
    """`inner`: the candles before the test span, all that a trial is given. `test_begin` is a midnight, UTC."""

    inner: pd.DataFrame
    folds: tuple[Fold, ...]  # oldest first, of whole days, one after the other up to `test_begin`
    test_begin: pd.Timestamp
    test_end: pd.Timestamp  # the end of the data

    @property
    def days(self) -> pd.DatetimeIndex:
        """The naive UTC days of all folds."""
        return pd.date_range(_naive(self.folds[0].begin), _naive(self.test_begin) - DAY, freq="D", unit="ns")

    def final(self) -> Fold:
        """What the winner learns from, all before the test span but for the embargo, and is then judged on."""
        last = self.folds[-1]
        return Fold(
            last.train_begin, self.test_begin - (last.begin - last.train_end), self.test_begin, self.test_end
        )


def make_spans(candles: pd.DataFrame, config: TuneConfig) -> Spans:
    """Keep the test span apart and cut the second half of what is before it into folds of whole days.

    Each fold learns from everything before it, but for an embargo. Raises `DataError` where a part is empty.
    """
    index = candles.index
    bar = pd.Timedelta(seconds=bar_seconds(open_times(index)))
    end = index[-1] + bar
    test_begin = _test_begin(index, config)
    days = (test_begin - index[0]) // DAY
    step = days // 2 // config.folds
    if test_begin > index[-1] or step < 1:
        raise DataError(
            f"a test span from {test_begin:%Y-%m-%d} on leaves {max(days, 0)} days before it and "
            f"{max((end - test_begin) // DAY, 0)} of test; the data cover {index[0]:%Y-%m-%d} to "
            f"{index[-1]:%Y-%m-%d}. {config.folds} inner folds need {2 * config.folds} days before it: choose "
            f"--test-from, --test-fraction or --folds anew."
        )
    inner = between(candles, index[0], test_begin)
    begins = [test_begin - (config.folds - number) * step * DAY for number in range(config.folds + 1)]
    embargo = config.train.embargo * bar
    folds = tuple(Fold(index[0], begin - embargo, begin, until) for begin, until in pairwise(begins))
    for fold in folds:
        if len(between(inner, fold.begin, fold.end)) < 2:
            raise DataError(
                f"the inner fold from {fold.begin:%Y-%m-%d} to {fold.end:%Y-%m-%d} holds no two bars. Fill the gap "
                f"at its source, or take fewer --folds."
            )
    return Spans(inner, folds, test_begin, end)


def _test_begin(index: pd.Index[pd.Timestamp], config: TuneConfig) -> pd.Timestamp:
    if config.test_from is None:
        return pd.Timestamp(index[round(len(index) * (1 - config.test_fraction))]).floor("D")
    return _utc(config.test_from).floor("D")


def _utc(time: datetime) -> pd.Timestamp:
    stamp = pd.Timestamp(time)
    return stamp.tz_localize("UTC") if stamp.tz is None else stamp.tz_convert("UTC")


def _naive(time: pd.Timestamp) -> pd.Timestamp:
    return time.tz_localize(None)
