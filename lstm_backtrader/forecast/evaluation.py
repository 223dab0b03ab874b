"""How good a forecast is on bars its model has not seen: skill, doubts, what it rests on, and what it is beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lstm_backtrader.candles import Bars, bar_seconds, check_clock, format_timeframe
from lstm_backtrader.errors import ConfigError, DataError, TimeframeError
from lstm_backtrader.forecast.bands import Bands, bands_of
from lstm_backtrader.forecast.conformal import COVERAGE, RATE, check_coverage
from lstm_backtrader.forecast.evaluation_doubts import (
    calibration_figures,
    drift_figures,
    half_widths,
    importance_figures,
    interval_figures,
)
from lstm_backtrader.forecast.evaluation_scene import CONTROL, Scene
from lstm_backtrader.forecast.evaluation_skill import (
    decile_figures,
    fold_figures,
    forecaster_figures,
    horizon_figures,
    month_figures,
    span_figures,
    verdict_figures,
)
from lstm_backtrader.forecast.inference import LSTMForecaster, load_model
from lstm_backtrader.forecast.labels import scaled_return
from lstm_backtrader.forecast.manifest import OwnLabel, ScaledReturn, ThreeClasses
from lstm_backtrader.forecast.retraining import Retraining
from lstm_backtrader.forecast.rivals import HELD, Rivals, Tick, retrained, untrained, usual
from lstm_backtrader.forecast.scheduled import ScheduledForecaster
from lstm_backtrader.forecast.skill import Said, forward_return
from lstm_backtrader.forecast.unseen import Part, make_folds, unseen_parts

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class EvaluateConfig:
    """How to evaluate; every default is what `lbt evaluate` uses."""

    draws: int = 3  # nets trained on shuffled labels, for each model; 0: no control, and half a verdict
    with_rnn: bool = False  # also train a vanilla RNN
    coverage: float = COVERAGE  # of the interval lo to hi
    adaptive: bool = False  # adapt the interval to its misses (Gibbs and Candes)
    rate: float = RATE  # how fast it adapts
    seed: int = 0  # of shuffling and permuting
    jobs: int | None = None  # nets trained at a time; None: one a core

    def __post_init__(self) -> None:
        check_coverage(self.coverage)
        if self.draws != 0 and not 3 <= self.draws <= 100:
            raise ConfigError(
                f"draws {self.draws} prove nothing, since one net in ten scores by chance. Use 3 to 100, or 0 for "
                f"no control."
            )
        if not 0 <= self.rate < 1:
            raise ConfigError(f"rate {self.rate} is outside 0 to 1. The default is {RATE}.")


@dataclass(frozen=True)
class Evaluation:
    """`document`: all figures, as evaluation.json holds them (docs/evaluate.md). `table` (T, columns): every unseen
    bar with label, forecast, calibrated probability, `lo`, `hi` and the rivals' forecasts, known at its close.
    """

    document: dict[str, Any]  # Any as JSON is
    table: pd.DataFrame


def evaluate_forecast(
    candles: pd.DataFrame,
    model: str | Path | LSTMForecaster | ScheduledForecaster,
    config: EvaluateConfig | None = None,
    *,
    begin: pd.Timestamp | None = None,
    end: pd.Timestamp | None = None,
    tick: Tick | None = None,
) -> Evaluation:
    """Judge the forecasts of `model` on the candles from `begin` to before `end` that it has not seen.

    The candles hold its train span too, for whatever it is compared with learns from that. Raises `DataError` and
    `TimeframeError` for candles that do not fit, `ConfigError` for something that has no manifest.
    """
    config = config or EvaluateConfig()
    model = load_model(model) if isinstance(model, str | Path) else model
    if not isinstance(model, LSTMForecaster | ScheduledForecaster):
        raise ConfigError(
            f"model of type {type(model).__name__} keeps no record of its training to be judged by. Give a model "
            f"of `lbt train`, `lbt walk-forward` or `lbt.from_module`."
        )
    bars = Bars.of(candles)
    _check_bars(bars, model)
    parts = unseen_parts(model, candles, begin, end)
    horizon = model.horizon
    label = scaled_return(bars, horizon)
    own = np.full((3, len(bars)), np.nan)  # forecast, prob_up, spread
    centre, scale, drift = (np.full(len(bars), np.nan) for _ in range(3))  # of forecasts and label before
    for number, part in enumerate(parts):
        here, before = slice(part.begin, part.end), part.validation(candles.index)
        own[:, here] = part.model.values(bars, part.begin, part.end)
        said = np.empty(0) if before is None else part.model.values(bars, before.start, before.stop)[0]
        centre[here], scale[here] = usual(said)
        target = part.model.manifest.label
        drift[here] = target.mean if isinstance(target, ScaledReturn) else 0.0
        if tick:
            tick("forecasting", number + 1, len(parts))
    judged = np.isfinite(own[0]) & np.isfinite(label)
    folds = make_folds(parts, judged, horizon)
    if sum(map(len, folds.rows)) < 3 * horizon:
        raise DataError(
            f"{int(judged.sum())} unseen bars have forecast and label over {horizon} bars; {3 * horizon} are the "
            f"least. Give later data, or more history for the warm-up of {model.warmup}."
        )
    notes_on_label = _notes_on_label(parts)
    notes = [*notes_on_label]
    retrainings = _retrainings(parts, candles, notes)
    rivals = Rivals({}, ())
    if retrainings:
        rivals = retrained(
            parts,
            retrainings,
            candles.index,
            bars,
            draws=config.draws,
            with_rnn=config.with_rnn,
            seed=config.seed,
            jobs=config.jobs,
            tick=tick,
        )
    cell = "RNN" if _cell(model) == "rnn" else "LSTM"
    scene = Scene(
        index=candles.index,
        bars=bars,
        horizon=horizon,
        parts=parts,
        folds=folds,
        label=Said(label, drift, np.ones(len(bars))),
        move=forward_return(bars, horizon),
        forecasts={cell: Said(own[0], centre, scale), **rivals.named, **untrained(bars, horizon)},
        draws=rivals.draws,
    )
    bands = [bands_of(part, candles.index, bars, label, own[0], config.coverage, config.rate) for part in parts]
    if None in bands:
        notes.append(
            "No calibration and no interval: the candles do not hold the bars the model was validated on, or it "
            "keeps no record of them."
        )
    fitted = [band for band in bands if band is not None]
    has_bands = len(fitted) == len(parts)
    skills = {name: scene.skill(said) for name, said in scene.forecasts.items()}
    control = [scene.skill(draw) for draw in scene.draws]
    document = {
        "schema": 1,
        "model": {
            "name": model.name,
            "cell": cell,
            "models": len(parts),
            "horizon": horizon,
            "timeframe": format_timeframe(bar_seconds(bars.open_time)),
            "seam": model.seam,
        },
        "span": span_figures(scene),
        "verdict": verdict_figures(cell, scene, skills, control, notes),
        "forecasters": forecaster_figures(scene, skills, control, is_return=not notes_on_label),
        "folds": fold_figures(scene, skills, control),
        "months": month_figures(scene),
        "horizons": horizon_figures(scene),
        "deciles": decile_figures(scene),
        "calibration": calibration_figures(scene, fitted, own[1]) if has_bands else None,
        "conformal": interval_figures(scene, fitted, config.coverage, config.rate, config.adaptive)
        if has_bands
        else None,
        "importance": importance_figures(scene, config.seed, tick),
        "drift": drift_figures(scene, retrainings),
        "notes": notes,
    }
    return Evaluation(document, _table(scene, own, fitted if has_bands else [], config))


def _check_bars(bars: Bars, model: LSTMForecaster | ScheduledForecaster) -> None:
    step_s = bar_seconds(bars.open_time)
    if pd.Timedelta(seconds=step_s) != model.timeframe:
        raise TimeframeError(
            f"the candles are {format_timeframe(step_s)} bars, the model was trained on "
            f"{format_timeframe(int(model.timeframe.total_seconds()))}. Give candles of the model's bar length."
        )
    check_clock(bars.open_time, step_s)


def _notes_on_label(parts: Sequence[Part]) -> list[str]:
    """What is different where a forecast is no return."""
    target = parts[0].model.manifest.label
    if not isinstance(target, OwnLabel | ThreeClasses):
        return []
    return [
        f"The model was trained towards another label ({target.name}); it is judged by the scaled return over its "
        f"{target.horizon} bars. Its forecast is no return, so there is no R² and the interval is wide."
    ]


def _cell(model: LSTMForecaster | ScheduledForecaster) -> str:
    return model.manifest.cell if isinstance(model, LSTMForecaster) else model.models[0].manifest.cell


def _retrainings(parts: Sequence[Part], candles: pd.DataFrame, notes: list[str]) -> list[Retraining]:
    """Of each part; none, and a note, where a model was trained elsewhere."""
    if any(part.model.manifest.training.get("trained") == "elsewhere" for part in parts):
        notes.append("The model was trained elsewhere: no ridge and no control can be trained the same way.")
        return []
    found = [Retraining.of(part.model, candles) for part in parts]
    if not all(each.is_same_data for each in found):
        notes.append(
            "The bars the model was trained on are not, to the last bit, those of these candles (other columns, or "
            "another edition of the data); rivals and controls learned from the latter."
        )
    return found


def _table(scene: Scene, own: Floats, bands: Sequence[Bands], config: EvaluateConfig) -> pd.DataFrame:
    """Every unseen bar, whether its label is known yet or not."""
    columns: dict[str, Floats] = {
        "label": scene.label.raw,
        "return": scene.move,
        "forecast": own[0],
        "prob_up": own[1],
        "spread": own[2],
    }
    if bands:
        probability = scene.spread([band.probability for band in bands])
        width = half_widths(scene, bands)[int(config.adaptive)]
        columns |= {"prob_calibrated": probability, "lo": own[0] - width, "hi": own[0] + width}
    columns |= {name: said.raw for name, said in list(scene.forecasts.items())[1:] if name != HELD}
    columns |= {f"{CONTROL} {number}": draw.raw for number, draw in enumerate(scene.draws, start=1)}
    fold = np.full(len(own[0]), np.nan)
    for number, rows in enumerate(scene.folds.rows):
        fold[rows] = number
    table = pd.DataFrame({**columns, "fold": fold}, index=scene.index)
    keep = np.zeros(len(table), dtype=bool)
    for part in scene.parts:
        keep[part.begin : part.end] = True
    return table[keep]
