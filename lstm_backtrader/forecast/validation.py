"""What nets are worth on their validation bars: the loss that ends a training, the figures of its manifest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lstm_backtrader.errors import DataError
from lstm_backtrader.forecast.conformal import FEWEST_ERRORS, half_width
from lstm_backtrader.forecast.context import StridedContext
from lstm_backtrader.forecast.manifest import Label, ScaledReturn, ThreeClasses, ValidationEntry
from lstm_backtrader.forecast.material import Material
from lstm_backtrader.forecast.network import RecurrentNet
from lstm_backtrader.forecast.objective import Objective, objective_of
from lstm_backtrader.forecast.quality import correlation, seam
from lstm_backtrader.forecast.strided import strided_forecast
from lstm_backtrader.forecast.train_config import TrainConfig


def validate(
    material: Material, config: TrainConfig, nets: list[RecurrentNet], best_steps: tuple[int, ...]
) -> ValidationEntry:
    """The ensemble's figures on validation."""
    context, objective = config.strided_context(), objective_of(material.label)
    said, rows = validation_forecast(material, context, objective, nets)
    forecast = objective.forecast(said)
    y, is_event, slots = material.y[rows], material.is_event[rows], material.slots[rows]
    known = np.isfinite(forecast) & np.isfinite(y)
    if known.sum() < 2:
        raise DataError(
            f"validation holds {int(known.sum())} bars with forecast and label; at least 2 are needed. "
            f"Give more data, or a larger val_fraction."
        )
    if y[known].std() == 0 and not isinstance(material.label, ThreeClasses):
        raise DataError(
            f"the label is {y[known][0]:g} on all {int(known.sum())} bars of validation, so nothing can be judged. "
            f"Do the prices of the candles move?"
        )
    errors = _errors(material.label, y[known], forecast[known])
    return ValidationEntry(
        bars=int(known.sum()),
        loss=objective.error(said, y, material.weight[rows]),
        ic=correlation(forecast, y),
        event_ic=correlation(forecast[is_event], y[is_event]),
        seam=seam(context, forecast, slots),
        residual_std=float((y[known] - forecast[known]).std()),
        forecast_std=float(forecast[known].std()),
        best_steps=best_steps,
        half_width=half_width(errors) if len(errors) >= FEWEST_ERRORS else None,
    )


def validation_loss(
    pool: Sequence[Material], context: StridedContext, objective: Objective, net: RecurrentNet, device: str
) -> float:
    """Mean over the instruments, each counting by its bars."""
    losses, bars = [], []
    for material in pool:
        said, rows = validation_forecast(material, context, objective, [net], device)
        losses.append(objective.error(said, material.y[rows], material.weight[rows]))
        bars.append(rows.stop - rows.start)
    return losses[0] if len(pool) == 1 else float(np.average(losses, weights=bars))


def validation_forecast(
    material: Material,
    context: StridedContext,
    objective: Objective,
    nets: list[RecurrentNet],
    device: str = "cpu",
) -> tuple[NDArray[np.float64], slice]:
    """What the ensemble says of the validation rows (their context reaches back into train), and those rows."""
    split = material.split
    rows = material.rows(split.val_begin, split.val_end)
    seen = material.rows(split.val_begin - context.span - context.stride, split.val_end)
    members = strided_forecast(nets, context, material.X[seen], material.slots[seen], device=device)
    return objective.together(members)[rows.start - seen.start :], rows


def _errors(label: Label, y: NDArray[np.float64], forecast: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the label was beyond its forecast, not demeaned; a class is no quantity and has none."""
    if isinstance(label, ThreeClasses):
        return np.empty(0)
    return y + (label.mean if isinstance(label, ScaledReturn) else 0.0) - forecast
