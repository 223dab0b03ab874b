"""What a trial is worth: the objective of the search and the figures of the ledger, from the folds it has run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lstm_backtrader.forecast.skill import fold_ics
from lstm_backtrader.forecast.trials import Figure
from lstm_backtrader.reporting.metrics import DAYS_PER_YEAR
from lstm_backtrader.reporting.significance import track_of
from lstm_backtrader.tuning.config import Objective
from lstm_backtrader.tuning.stage import FoldOutcome

_YEAR = math.sqrt(DAYS_PER_YEAR)


@dataclass(frozen=True)
class Score:
    """Over the folds run so far. `figures`: `sharpe` of all days, `mean_sharpe` and `ic` means over the folds."""

    objective: float
    figures: dict[str, Figure]
    returns: pd.Series  # daily


def score(outcomes: Sequence[FoldOutcome], objective: Objective) -> Score:
    """Judge the folds, each traded by a fresh account; returns are chained over them.

    A Sharpe ratio that is undefined, because nothing was traded, counts as 0, and so does such an IC.
    """
    returns = pd.concat([each.returns for each in outcomes])
    sharpes = [_sharpe(each.returns) or 0.0 for each in outcomes]
    ics = [0.0 if ic is None else ic for ic in _ics(outcomes)]
    equity = np.cumprod(1.0 + returns.to_numpy())
    peak = np.maximum(np.maximum.accumulate(equity), 1.0)
    figures: dict[str, Figure] = {
        "days": len(returns),
        "sharpe": _sharpe(returns),
        "mean_sharpe": float(np.mean(sharpes)),
        "ic": float(np.mean(ics)),
        "total_return": float(equity[-1]) - 1.0,
        "max_drawdown": float((equity / peak).min()) - 1.0,
        "trades": sum(each.trades for each in outcomes),
        "folds": len(outcomes),
    }
    return Score(float(np.mean(sharpes if objective == "sharpe" else ics)), figures, returns)


def _sharpe(returns: pd.Series) -> float | None:
    """Annualised by 365 days; None where the returns do not vary."""
    track = track_of(returns.to_numpy(dtype=np.float64))
    return None if track is None else track.sharpe * _YEAR


def _ics(outcomes: Sequence[FoldOutcome]) -> list[float | None]:
    ends = np.cumsum([len(each.about) for each in outcomes])
    rows: list[NDArray[np.int64]] = [
        np.arange(end - len(each.about), end) for each, end in zip(outcomes, ends, strict=True)
    ]
    about = np.concatenate([each.about for each in outcomes])
    surprise = np.concatenate([each.surprise for each in outcomes])
    return fold_ics(about, surprise, rows)
