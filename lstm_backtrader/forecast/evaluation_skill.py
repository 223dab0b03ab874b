"""The figures of an evaluation that say how much the forecast knew: verdict, rivals, folds, months, horizons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from lstm_backtrader.forecast.evaluation_scene import CONTROL, UNSCALED, Scene
from lstm_backtrader.forecast.labels import scaled_return
from lstm_backtrader.forecast.rivals import HELD
from lstm_backtrader.forecast.skill import Mean, Skill, deciles, fold_ics, mean_over_folds, pair_error
from lstm_backtrader.forecast.verdict import RULE, Call, call, draws_error


def span_figures(scene: Scene) -> dict[str, Any]:
    """Which bars were judged; `independent` counts overlapping labels once a horizon."""
    judged = scene.judged
    return {
        "begin": scene.index[judged[0]].isoformat(),
        "last": scene.index[judged[-1]].isoformat(),
        "bars": len(judged),
        "independent": len(judged) / scene.horizon,
        "folds": scene.folds.how,
    }


def verdict_figures(
    name: str, scene: Scene, skills: dict[str, Skill], control: Sequence[Skill], notes: list[str]
) -> dict[str, Any]:
    """The call in words, against zero and against the shuffled control."""
    against_zero = call(skills[name].mean_ic)
    against_control = None
    if control:
        ours, theirs = skills[name].ics, _fold_means(control)
        gap = [None if ic is None else ic - other for ic, other in zip(ours, theirs, strict=True)]
        mean = _mean(scene, gap)
        against_control = call(mean, draws_error([each.mean_ic.value or 0.0 for each in control]))
    else:
        notes.append("Without a shuffled control the call is against zero alone.")
    is_significant = against_zero.is_significant and (against_control is None or against_control.is_significant)
    words = (
        f"{name}: {'significant' if is_significant else 'not significant'}. Against {_said('zero', against_zero)}"
    )
    if against_control is not None:
        words += f"; against {_said('its shuffled control', against_control)}"
    return {
        "is_significant": is_significant,
        "words": f"{words}.",
        "rule": RULE,
        "against_zero": _call(against_zero),
        "against_control": None if against_control is None else _call(against_control),
    }


def _said(other: str, found: Call) -> str:
    if found.p is None:
        return f"{other}: not, too few folds to tell"
    return f"{other}: {found.word} ({found.difference:+.4f} ± {found.error:.4f}, p {found.p:.3f})"


def _call(found: Call) -> dict[str, Any]:
    return {**asdict(found), "is_significant": found.is_significant}


def _fold_means(control: Sequence[Skill]) -> list[float]:
    """IC of each fold, mean of the draws; a forecast that never changes has none, and counts as 0."""
    return [float(np.mean([ic or 0.0 for ic in ics])) for ics in zip(*(each.ics for each in control), strict=True)]


def _mean(scene: Scene, values: Sequence[float | None]) -> Mean:
    return mean_over_folds(values, scene.sizes, scene.folds.counts, scene.horizon)


def forecaster_figures(
    scene: Scene, skills: dict[str, Skill], control: Sequence[Skill], is_return: bool
) -> dict[str, dict[str, Any]]:
    """Name -> figures; the control's are means over its draws. `is_return`: what was trained says returns."""
    found = {name: _figures(each, is_return and name not in UNSCALED) for name, each in skills.items()}
    if control:
        draws = [_figures(each, is_return) for each in control]
        mean = _mean(scene, _fold_means(control))
        shown = {
            key: _mean_of_known([each[key] for each in draws])
            for key in ("money_ic", "rank_ic", "hit_rate", "base_rate", "r2")
        }
        spread = draws_error([each.mean_ic.value or 0.0 for each in control])
        found[CONTROL] = {
            "mean_ic": mean.value,
            "mean_ic_se": mean.error,
            **shown,
            "call": call(mean, spread).word,
            "draws": [each["mean_ic"] for each in draws],
        }
    return found


def _mean_of_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _figures(each: Skill, is_scaled: bool) -> dict[str, Any]:
    return {
        "mean_ic": each.mean_ic.value,
        "mean_ic_se": each.mean_ic.error,
        "money_ic": each.money_ic.value,
        "money_ic_se": each.money_ic.error,
        "rank_ic": each.rank_ic.value,
        "rank_ic_se": each.rank_ic.error,
        "hit_rate": each.hit_rate,
        "base_rate": each.base_rate,
        "r2": each.r2 if is_scaled else None,
        "call": call(each.mean_ic).word if each.mean_ic.value is not None else None,
    }


def fold_figures(scene: Scene, skills: dict[str, Skill], control: Sequence[Skill]) -> list[dict[str, Any]]:
    """The IC of each fold, of everything but buy and hold, which never changes."""
    means = _fold_means(control)
    found = []
    for number, rows in enumerate(scene.folds.rows):
        ics = {name: each.ics[number] for name, each in skills.items() if name != HELD}
        if control:
            ics[CONTROL] = means[number]
        found.append(
            {
                "begin": scene.index[rows[0]].isoformat(),
                "last": scene.index[rows[-1]].isoformat(),
                "bars": len(rows),
                "counts": scene.folds.counts[number],
                "ic": ics,
                "ic_se": pair_error(next(iter(ics.values())), len(rows), scene.horizon),
            }
        )
    return found


def month_figures(scene: Scene) -> list[dict[str, Any]]:
    """The IC of each calendar month, of the model and of ridge."""
    judged = scene.judged
    months = pd.DatetimeIndex(scene.index[judged]).strftime("%Y-%m").to_numpy()
    named = [str(month) for month in np.unique(months)]
    rows_of = [judged[months == month] for month in named]
    ics_of = {name: fold_ics(scene.forecasts[name].about, scene.label.about, rows_of) for name in scene.trained}
    found = []
    for number, (month, rows) in enumerate(zip(named, rows_of, strict=True)):
        ics = {name: each[number] for name, each in ics_of.items()}
        error = pair_error(next(iter(ics.values())), len(rows), scene.horizon)
        found.append({"month": month, "bars": len(rows), "ic": ics, "ic_se": error})
    return found


def horizon_figures(scene: Scene) -> list[dict[str, Any]]:
    """Mean fold IC of the same forecasts with the returns over other horizons."""
    k = scene.horizon
    found = []
    for horizon in sorted({1, *(max(1, k // part) for part in (4, 2)), k, 2 * k, 4 * k}):
        # a drift of so much over k bars is that much over others, in units of their volatility
        surprise = scaled_return(scene.bars, horizon) - scene.label.centre * np.sqrt(horizon / k)
        means = {}
        for name in scene.trained:
            ics = fold_ics(scene.forecasts[name].about, surprise, scene.folds.rows)
            means[name] = mean_over_folds(ics, scene.sizes, scene.folds.counts, horizon)
        first = next(iter(means.values()))
        ics_of = {name: mean.value for name, mean in means.items()}
        found.append({"horizon": horizon, "ic": ics_of, "ic_se": first.error})
    return found


def decile_figures(scene: Scene) -> list[dict[str, Any]]:
    """What followed each tenth of the forecasts."""
    found = deciles(scene.main, scene.label.raw, scene.move, scene.folds.rows, scene.horizon)
    return [asdict(each) for each in found]
