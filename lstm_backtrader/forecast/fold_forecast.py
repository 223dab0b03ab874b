"""What a model trained on the past of a fold says of it, kept on disk: the same training is never done twice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock
from numpy.typing import NDArray

from lstm_backtrader.candles import Bars, candles_sha256
from lstm_backtrader.errors import DataError
from lstm_backtrader.forecast.array_files import read_array, write_array
from lstm_backtrader.forecast.folds import Fold, between
from lstm_backtrader.forecast.inference import LSTMForecaster
from lstm_backtrader.forecast.labels import scaled_return
from lstm_backtrader.forecast.manifest import ScaledReturn
from lstm_backtrader.forecast.material import prepare
from lstm_backtrader.forecast.net_threads import net_threads
from lstm_backtrader.forecast.rivals import usual
from lstm_backtrader.forecast.train_config import TrainConfig
from lstm_backtrader.forecast.training import FittedNet, Progress, assemble, fit_net, training_key
from lstm_backtrader.forecast.unseen import Part

Floats = NDArray[np.float64]

_ROWS = 6  # of the array on disk: forecast, prob_up, spread, about, surprise, threshold


@dataclass(frozen=True)
class FoldForecast:
    """Of the T bars of a fold, each known at its close; NaN where there is no forecast.

    `about`: the forecast about its mean on validation, in its deviation there. `surprise`: the label less its mean
    on train, NaN where it reaches beyond the fold. An IC is made of these two.
    """

    forecast: Floats  # (T,)
    prob_up: Floats  # (T,)
    spread: Floats  # (T,)
    about: Floats  # (T,)
    surprise: Floats  # (T,)
    threshold: float  # |forecast| from which the model itself would act


def fold_forecast(
    candles: pd.DataFrame,
    fold: Fold,
    config: TrainConfig,
    folder: Path,
    *,
    device: str = "cpu",
    threads: int = 1,
) -> FoldForecast:
    """Train on the bars before the fold and forecast it, or take what an earlier call has left in `folder`.

    No candle from `fold.end` on is read. Several processes may ask for the same at once: one trains, the others
    wait. `threads`: nets trained at a time. Raises `DataError` where the bars before are too few.
    """
    seen = between(candles, fold.train_begin, fold.end)
    key = training_key(
        config,
        device,
        data=candles_sha256(seen),
        begin=fold.begin.isoformat(),
        train_end=fold.train_end.isoformat(),
    )
    path = folder / f"{fold.begin:%Y-%m-%d-%H%M}-{key[:32]}.npy"
    shape = (_ROWS, len(between(candles, fold.begin, fold.end)))
    values = read_array(path, shape)
    if values is None:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            values = read_array(path, shape)
            if values is None:
                model = train_fold(seen, fold, config, device=device, threads=threads)
                values = _of_model(model, seen, fold)
                write_array(path, values)
    forecast, prob_up, spread, about, surprise, threshold = values
    return FoldForecast(forecast, prob_up, spread, about, surprise, float(threshold[0]))


def train_fold(
    candles: pd.DataFrame,
    fold: Fold,
    config: TrainConfig,
    *,
    device: str = "cpu",
    threads: int = 1,
    progress: Progress | None = None,
) -> LSTMForecaster:
    """The model of the fold, as a walk-forward trains it; `progress` is called from its `threads`."""
    try:
        material = prepare(fold.train_bars(candles), config)
    except DataError as error:
        raise DataError(f"the fold that begins at {fold.begin:%Y-%m-%d %H:%M} UTC: {error}") from error

    def fit(seed: int) -> FittedNet:
        return fit_net(material, config, seed, device, progress)

    with net_threads(max(1, min(threads, config.seeds))) as pool:
        fitted = list(pool.map(fit, config.all_seeds))
    return assemble(material, config, fitted, extra_purge=config.embargo)


def _of_model(model: LSTMForecaster, candles: pd.DataFrame, fold: Fold) -> Floats:
    """(6, T) as it is kept; `candles` end where the fold does."""
    bars = Bars.of(candles)
    begin = int(candles.index.searchsorted(fold.begin))
    validation = Part(model, begin, len(bars)).validation(candles.index) or slice(0, 0)
    centre, scale = usual(model.values(bars, validation.start, validation.stop)[0])
    said = model.values(bars, begin, len(bars))  # (3, T)
    if model.valid_until is not None:
        said[:, candles.index[begin:] >= model.valid_until] = np.nan
    label = scaled_return(bars, model.horizon)[begin:]
    target = model.manifest.label
    mean = target.mean if isinstance(target, ScaledReturn) else 0.0
    about, surprise = (said[0] - centre) / scale, label - mean
    return np.stack([*said, about, surprise, np.full(len(label), model.threshold)])
