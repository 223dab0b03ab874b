"""What validation tells of a model's doubts: calibrated probabilities and the width of its intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lstm_backtrader.candles import Bars
from lstm_backtrader.forecast.calibration import Platt
from lstm_backtrader.forecast.conformal import adaptive_half_widths, half_width
from lstm_backtrader.forecast.unseen import Part

Floats = NDArray[np.float64]

FEWEST_BARS = 30  # of validation with forecast and label


@dataclass(frozen=True)
class Bands:
    """One part, fitted on the validation of its model alone: `probability` of a rise (n,), and the chance of one on
    validation, `base`; half widths of the interval, one for all bars and adapted from bar to bar (n,).
    """

    bars: int  # of validation
    platt: Platt
    base: float
    probability: Floats
    width: float
    adaptive: Floats


def bands_of(
    part: Part,
    index: pd.Index[pd.Timestamp],
    bars: Bars,
    label: Floats,
    forecast: Floats,
    coverage: float,
    rate: float,
) -> Bands | None:
    """Of one part; `label` and `forecast` (T,) are those of all bars.

    None where the candles do not hold the validation of its model, or it keeps none.
    """
    rows = part.validation(index)
    if rows is None:
        return None
    said, came = part.model.values(bars, rows.start, rows.stop)[0], label[rows]
    known = np.isfinite(said) & np.isfinite(came)
    if known.sum() < FEWEST_BARS:
        return None
    said, came = said[known], came[known]
    scale = part.model.manifest.validation.residual_std
    platt = Platt.fit(said / scale, came > 0)
    here, there = forecast[part.begin : part.end], label[part.begin : part.end]
    errors = came - said
    return Bands(
        bars=int(known.sum()),
        platt=platt,
        base=float((came > 0).mean()),
        probability=platt.probability(here / scale),
        width=half_width(errors, coverage),
        adaptive=adaptive_half_widths(errors, there - here, part.model.horizon, coverage, rate),
    )
