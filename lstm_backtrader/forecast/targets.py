"""From a label to what a net is trained towards: demeaned, or weighed by class, by the train rows alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lstm_backtrader.candles import Bars, show_time
from lstm_backtrader.errors import DataError
from lstm_backtrader.forecast.labels import LABEL_CLIP, LabelSpec
from lstm_backtrader.forecast.manifest import Label, OwnLabel, ScaledReturn, ThreeClasses

Floats = NDArray[np.float64]
_CUTS = (0.5, 0.7, 0.9)  # of the history, where labels of one's own are held to their horizon


def fit_target(spec: LabelSpec, y: Floats, y_train: Floats) -> tuple[Label, Floats]:
    """What the manifest says of the label, and the targets of all rows, (N,) -> (N,).

    Scaled returns lose their mean on train. A label of one's own loses its mean, is divided by its deviation on
    train and clipped to +-5. Classes stay -1, 0 and 1, weighted by N / (3 N of the class) to count as much each.
    Raises `DataError` where the train rows leave nothing to learn.
    """
    known = y_train[np.isfinite(y_train)]
    if spec.is_class:
        counts = [int((known == each).sum()) for each in (-1, 0, 1)]
        if min(counts) == 0:
            raise DataError(
                f"label '{spec}' on the train bars: {counts[0]} down, {counts[1]} neither, {counts[2]} up, and "
                f"each must come. A longer horizon gives more that pay, a shorter one or higher costs give fewer."
            )
        down, neither, up = (len(known) / (3 * count) for count in counts)
        weights = (down, neither, up)
        params = dict(spec.params)
        return ThreeClasses(name=spec.name, params=params, horizon=spec.horizon, class_weights=weights), y
    mean = float(known.mean())
    if spec.name == "scaled_return":
        return ScaledReturn(horizon=spec.horizon, mean=mean), y - mean
    scale = float(known.std())
    if not scale > 0:
        raise DataError(f"label '{spec}' is {mean:g} on every train bar. Give one that varies.")
    entry = OwnLabel(name=spec.name, params=dict(spec.params), horizon=spec.horizon, mean=mean, scale=scale)
    return entry, np.clip((y - mean) / scale, -LABEL_CLIP, LABEL_CLIP)


def check_horizon(spec: LabelSpec, bars: Bars, y: Floats) -> None:
    """Raises `DataError` where a label (T,) of the bars changes with bars beyond the horizon it declares."""
    for cut in (int(part * len(bars)) for part in _CUTS):
        alone = spec.compute(bars.part(0, cut))
        settled = slice(0, max(cut - spec.horizon, 0))
        same = np.isclose(alone[settled], y[settled], rtol=1e-9, atol=1e-9, equal_nan=True)
        if not same.all():
            row = int(np.argmin(same))
            begin, end = (show_time(int(bars.open_time[at])) for at in (row, cut))
            raise DataError(
                f"label '{spec}' of the bar at {begin} is {y[row]:g}, and {alone[row]:g} without the bars from "
                f"{end} on, beyond its horizon of {spec.horizon}. Declare how far it looks: @label(horizon=...)."
            )
