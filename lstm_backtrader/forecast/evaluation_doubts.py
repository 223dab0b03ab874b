"""The figures of an evaluation that say how far to trust it: calibration, intervals, what it rests on, drift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm_backtrader.forecast.bands import Bands
from lstm_backtrader.forecast.calibration import brier, reliability
from lstm_backtrader.forecast.conformal import covered
from lstm_backtrader.forecast.drift import drift
from lstm_backtrader.forecast.evaluation_scene import Scene
from lstm_backtrader.forecast.features import make_features
from lstm_backtrader.forecast.importance import MOST_BARS, feature_names, importance
from lstm_backtrader.forecast.retraining import Retraining
from lstm_backtrader.forecast.rivals import Tick

Floats = NDArray[np.float64]


def calibration_figures(scene: Scene, bands: Sequence[Bands], raw: Floats) -> dict[str, Any]:
    """Reliability of the model's own probability and of the calibrated one, beside the base rate of validation."""
    judged = scene.judged
    is_up = scene.label.raw[judged] > 0
    calibrated = scene.spread([band.probability for band in bands])
    base = scene.spread([band.base for band in bands])
    return {
        "method": "Platt, fitted on validation",
        "fits": [
            {"validation_bars": band.bars, "offset": band.platt.offset, "slope": band.platt.slope} for band in bands
        ],
        "own": asdict(reliability(raw[judged], is_up, scene.horizon)),
        "calibrated": asdict(reliability(calibrated[judged], is_up, scene.horizon)),
        "base_rate_brier": brier(base[judged], is_up),
    }


def interval_figures(
    scene: Scene, bands: Sequence[Bands], nominal: float, rate: float, is_adaptive: bool
) -> dict[str, Any]:
    """Measured coverage of both kinds of interval; labels overlap, so its error is that of n / horizon bars."""
    static, adaptive = half_widths(scene, bands)
    judged = scene.judged
    kinds = {"split": static, "adaptive": adaptive}
    said, came = scene.main[judged], scene.label.raw[judged]
    return {
        "nominal": nominal,
        "coverage_se": float(np.sqrt(nominal * (1 - nominal) * scene.horizon / len(judged))),
        "lo_hi": "adaptive" if is_adaptive else "split",
        "rate": rate,
        **{
            name: {
                "coverage": covered(said, came, width[judged]),
                "mean_width": 2 * float(width[judged].mean()),
                "by_fold": [
                    covered(scene.main[rows], scene.label.raw[rows], width[rows]) for rows in scene.folds.rows
                ],
            }
            for name, width in kinds.items()
        },
    }


def half_widths(scene: Scene, bands: Sequence[Bands]) -> tuple[Floats, Floats]:
    """(T,) half widths of both kinds."""
    return scene.spread([band.width for band in bands]), scene.spread([band.adaptive for band in bands])


def importance_figures(scene: Scene, seed: int, tick: Tick | None) -> list[dict[str, Any]]:
    """Mean fall of the IC for each feature, over models and repeats, the largest first."""
    names = feature_names(scene.parts[0].model)
    most = MOST_BARS // len(scene.parts)
    falls = []
    for number, part in enumerate(scene.parts):
        if feature_names(part.model) == names:
            begin = max(part.begin, part.end - most)
            fall = importance(part.model, scene.bars, scene.label.raw, begin, part.end, seed=seed + number)
            falls += [] if fall is None else list(fall)
        if tick:
            tick("permuting features", number + 1, len(scene.parts))
    if not falls:
        return []
    found = np.array(falls)  # (models * repeats, F)
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    rows = zip(names, found.mean(axis=0).tolist(), error.tolist(), strict=True)
    ordered = sorted(rows, key=lambda row: -row[1])
    return [{"feature": name, "ic_lost": lost, "se": se} for name, lost, se in ordered]


def drift_figures(scene: Scene, retrainings: Sequence[Retraining]) -> list[dict[str, Any]]:
    """Of each feature the worst drift over the models, the worst first.

    A few days at the end are left out: on those the clock itself has drifted.
    """
    worst: dict[str, dict[str, Any]] = {}
    longest = max(part.end - part.begin for part in scene.parts)
    for part, retraining in zip(scene.parts, retrainings, strict=False):
        if 2 * (part.end - part.begin) < longest:
            continue
        model = part.model
        seen = scene.bars.part(max(0, part.begin - model.memory), part.end)
        X = model.scaler.transform(make_features(seen, model.specs))
        unseen: Floats = X[len(seen) - (part.end - part.begin) :].astype(np.float64)
        unseen = unseen[np.isfinite(unseen).all(axis=1)]
        if len(unseen) == 0:
            continue
        train = retraining.train_features().astype(np.float64)
        for column, name in enumerate(feature_names(model)):
            found = drift(train[:, column], unseen[:, column])
            if name not in worst or found.psi > worst[name]["psi"]:
                worst[name] = {"feature": name, **asdict(found), "word": found.word}
    return sorted(worst.values(), key=lambda row: -row["psi"])
