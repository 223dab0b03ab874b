"""From candles to what a net is trained on: features, labels, weights and crops, fitted on the train rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lstm_backtrader.candles import Bars, bar_seconds, candles_sha256, check_clock, show_time
from lstm_backtrader.errors import DataError
from lstm_backtrader.forecast.barriers import average_uniqueness
from lstm_backtrader.forecast.dataset import Crops, Scaler, Split, purged_split
from lstm_backtrader.forecast.features import FeatureSpec, make_features, volume_spikes
from lstm_backtrader.forecast.manifest import Label
from lstm_backtrader.forecast.targets import check_horizon, fit_target
from lstm_backtrader.forecast.train_config import TrainConfig

Relabel = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class Material:
    """Rows ready for training (N of them): scaled features, targets, loss weights, slots."""

    X: NDArray[np.float32]
    y: NDArray[np.float64]
    weight: NDArray[np.float64]
    slots: NDArray[np.int64]
    split: Split
    is_event: NDArray[np.bool_]
    crops: Crops  # of the train rows; all nets of an ensemble sample from them
    specs: tuple[FeatureSpec, ...]
    scaler: Scaler
    label: Label
    fill_rate: float
    step_s: int  # bar length
    data_sha256: str

    def rows(self, begin: int, end: int) -> slice:
        """The rows whose slots lie in [begin, end)."""
        return _rows(self.slots, begin, end)


def prepare(
    candles: pd.DataFrame, config: TrainConfig, relabel: Relabel | None = None, split: Split | None = None
) -> Material:
    """Features, labels and split; everything fitted is fitted on the train rows.

    `relabel` replaces the labels (T,) by others. `split`: that of several instruments together; None: the usual
    one of these candles. Raises `DataError`, and `TimeframeError` where bars stand off the
    clock.
    """
    bars = Bars.of(candles)
    specs = config.feature_specs()
    step_s = bar_seconds(bars.open_time)
    check_clock(bars.open_time, step_s)
    X = make_features(bars, specs)
    rows = np.flatnonzero(np.isfinite(X).all(axis=1))
    label_spec = config.label_spec()
    y = label_spec.compute(bars)
    if label_spec.is_own:
        check_horizon(label_spec, bars, y)
    if relabel is not None:
        y = relabel(y)
    labelled = rows[np.isfinite(y[rows])]
    context = config.strided_context()
    if len(labelled) < 2 * context.span + config.embargo:
        raise DataError(
            f"{len(bars)} bars leave {len(labelled)} with features and label; context {config.context} needs "
            f"{2 * context.span + config.embargo}. Give more data, a smaller --context or --horizon."
        )
    slots = bars.open_time // (step_s * 1_000_000_000)
    split = split or purged_split(slots[labelled], config.horizon, config.val_fraction, config.embargo)
    fill_rate = len(bars) / int(slots[-1] - slots[0] + 1)
    if fill_rate < 0.5:
        raise DataError(
            f"only {len(bars)} of the {slots[-1] - slots[0] + 1} bars between {show_time(bars.open_time[0])} and "
            f"{show_time(bars.open_time[-1])} are there ({fill_rate:.0%}, at least 50% is needed). "
            f"Fill the gaps from the venue, or train on a denser period."
        )
    in_train = rows[slots[rows] < split.train_end]
    if not np.isfinite(y[in_train]).any():
        raise DataError(
            f"validation ({config.val_fraction:.0%} of the data) and embargo ({config.embargo} bars) leave no "
            f"train bar. Give more data, or a smaller embargo."
        )
    scaler = Scaler.fit(X[in_train])
    label, y = fit_target(label_spec, y, y[in_train])
    is_event = volume_spikes(bars)[rows]
    X, y, slots = scaler.transform(X[rows]), y[rows], slots[rows]
    weight = (1.0 + config.event_weight * _recent(is_event, config.horizon)).astype(np.float64)
    train = _rows(slots, int(slots[0]), split.train_end)
    if config.uniqueness:
        is_used = np.isfinite(y) & ((slots < split.train_end) | (slots >= split.val_begin))
        known_at = np.full(len(bars), -1)
        known_at[rows[is_used]] = label_spec.known_at(bars)[rows[is_used]]
        weight *= _relative(average_uniqueness(known_at)[rows], train)
    return Material(
        X=X,
        y=y,
        weight=weight,
        slots=slots,
        split=split,
        is_event=is_event,
        crops=Crops(context, X[train], y[train], weight[train], slots[train]),
        specs=specs,
        scaler=scaler,
        label=label,
        fill_rate=fill_rate,
        step_s=step_s,
        data_sha256=candles_sha256(candles),
    )


def _rows(slots: NDArray[np.int64], begin: int, end: int) -> slice:
    first, last = np.searchsorted(slots, (begin, end))
    return slice(int(first), int(last))


def _relative(unique: NDArray[np.float64], train: slice) -> NDArray[np.float64]:
    """(N,) with a mean of 1 on train, so that the size of a step stays; 1 where there is no label."""
    return np.nan_to_num(unique / np.nanmean(unique[train]), nan=1.0)


def _recent(is_event: NDArray[np.bool_], bars: int) -> NDArray[np.bool_]:
    """(N,) True at an event and at the `bars` - 1 rows after it, whose labels it still reaches."""
    events = np.cumsum(is_event)
    before = np.concatenate([np.zeros(min(bars, len(events)), events.dtype), events[:-bars]])
    return np.asarray(events > before)
