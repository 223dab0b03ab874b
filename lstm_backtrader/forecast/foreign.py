"""Models trained elsewhere: a torch module, or the safetensors file of its weights, becomes a forecaster."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from lstm_backtrader.candles import Bars, candles_sha256
from lstm_backtrader.errors import ConfigError, DataError
from lstm_backtrader.forecast.artefact import pack_weights
from lstm_backtrader.forecast.conformal import half_width
from lstm_backtrader.forecast.context import StridedContext
from lstm_backtrader.forecast.dataset import Scaler
from lstm_backtrader.forecast.features import FeatureSpec, feature
from lstm_backtrader.forecast.foreign_net import build_net, check_same, read_tensors
from lstm_backtrader.forecast.inference import LSTMForecaster
from lstm_backtrader.forecast.labels import scaled_return
from lstm_backtrader.forecast.manifest import (
    FeatureEntry,
    Label,
    LogReturn,
    Manifest,
    NextClose,
    ScaledReturn,
    ScalerEntry,
    ValidationEntry,
)
from lstm_backtrader.forecast.quality import correlation

__all__ = ["FeatureSpec", "LogReturn", "NextClose", "ScaledReturn", "Scaler", "feature", "from_module"]

ENOUGH_BARS = 100  # to measure how far the forecasts miss


def from_module(
    module: nn.Module | str | Path,
    *,
    features: Sequence[FeatureSpec],
    scaler: Scaler,
    label: Label,
    context: int,
    timeframe: str | pd.Timedelta,
    trained_until: str | datetime,
    calibrate_on: pd.DataFrame | None = None,
    residual_std: float | None = None,
    threshold: float | None = None,
    name: str | None = None,
) -> LSTMForecaster:
    """A trained torch module as a forecaster with stride 1: a fresh window of `context` bars for each bar.

    Args:
        module: one `nn.LSTM` or `nn.RNN` of any number of layers, then one `nn.Linear` to one output on the last
            bar, taking (B, context, F); or the path of a safetensors file of its weights. A module is run on random
            input to see that the forecaster says the same; of a file only names and shapes can be checked, and its
            RNN is taken as tanh.
        features: what the module sees, in its order; your own function by the decorator
            `lstm_backtrader.forecast.features.feature`.
        scaler: how they were scaled, (x - mean) / scale. MinMax is `Scaler(mean=minimum, scale=maximum - minimum,
            clip=None)`, and `clip=None` leaves values outside of what was seen as they are.
        label: what the output means: `NextClose`, `LogReturn` or `ScaledReturn`.
        context: bars in a window.
        timeframe: bar length, "1h".
        trained_until: open of the last bar the training has seen, labels included; UTC. `LSTMSignal` gives no
            forecast up to there.
        calibrate_on: candles to measure `residual_std` and `threshold` on, best after `trained_until`. They count
            as seen from then on.
        residual_std: deviation of the scaled return from the forecast, which turns a forecast into `prob_up`.
        threshold: forecast from which the signal is +-1; by default the forecasts' deviation on `calibrate_on`.
        name: for the report; by default that of the class or file.

    `save(directory)` of the result writes an artefact for `LSTMSignal(model=directory)`; nothing is pickled and
    none of your code is imported when it is loaded, except that the module that registers your own features has
    to be imported before.

    Raises `ModelError` for a module that is or does something else, `ConfigError` for arguments that do not fit,
    `DataError` for too few candles to calibrate on.
    """
    specs = tuple(features)
    StridedContext(context, 1)
    _check_scaler(scaler, len(specs))
    if not isinstance(label, ScaledReturn | LogReturn | NextClose):
        raise ConfigError(f"label {label!r} is unknown. Give NextClose(), LogReturn() or ScaledReturn(horizon=24).")
    _check_calibration(calibrate_on, residual_std, threshold)
    if isinstance(module, nn.Module):
        net, shape = build_net(module.state_dict(), len(specs), type(module).__name__)
        check_same(module, net, context, len(specs))
    else:
        net, shape = build_net(read_tensors(Path(module)), len(specs), Path(module).name)
    until = _utc(trained_until)
    manifest = Manifest(
        schema_version=1,
        created=datetime.now(UTC).replace(microsecond=0),
        cell=shape.cell,
        hidden=shape.hidden,
        layers=shape.layers,
        context=context,
        stride=1,
        features=tuple(FeatureEntry.of(spec) for spec in specs),
        scaler=_scaler_entry(scaler),
        label=label,
        timeframe_s=_seconds(timeframe),
        train_from=None,
        train_until=until,
        validation_from=None,
        trained_until=until,
        purge_bars=label.horizon,
        expires=None,
        fill_rate=None,
        seeds=(0,),
        threshold=threshold or 0.0,
        validation=_measured(residual_std=residual_std or 1.0),
        training={"trained": "elsewhere"},
        data_sha256=None,
        weights_sha256="",
        versions={"numpy": np.__version__, "python": platform.python_version(), "torch": torch.__version__},
    )
    name = name or (type(module).__name__ if isinstance(module, nn.Module) else Path(module).stem)
    forecaster = LSTMForecaster(manifest, [net], name)
    if calibrate_on is not None:
        manifest = manifest.model_copy(update=_calibrate(forecaster, calibrate_on, residual_std, threshold))
    _, weights_sha256 = pack_weights({0: net}, manifest.inputs_sha256())
    return LSTMForecaster(manifest.model_copy(update={"weights_sha256": weights_sha256}), [net], name)


def _calibrate(
    model: LSTMForecaster, candles: pd.DataFrame, residual_std: float | None, threshold: float | None
) -> dict[str, object]:
    """What the candles tell of the model: how far it misses, how far its forecasts spread, and when they end."""
    bars = Bars.of(candles)
    forecast = model.predict(candles)["forecast"].to_numpy()
    y = scaled_return(bars, model.horizon)
    known = np.isfinite(forecast) & np.isfinite(y)
    if known.sum() < ENOUGH_BARS:
        raise DataError(
            f"calibrate_on holds {int(known.sum())} bars with forecast and label, {ENOUGH_BARS} are needed. "
            f"Give more candles (the warm-up takes {model.warmup}), or pass residual_std and threshold."
        )
    error = y[known] - forecast[known]
    spread = float(forecast[known].std())
    begin, end = (pd.Timestamp(int(bars.open_time[row]), tz="UTC") for row in np.flatnonzero(known)[[0, -1]])
    huber = np.where(np.abs(error) <= 1, 0.5 * error**2, np.abs(error) - 0.5)
    return {
        "validation_from": begin.to_pydatetime(),
        "trained_until": max(end.to_pydatetime(), model.manifest.trained_until),
        "data_sha256": candles_sha256(candles),
        "threshold": spread if threshold is None else threshold,
        "validation": _measured(
            bars=int(known.sum()),
            loss=float(huber.mean()),
            ic=correlation(forecast, y),
            forecast_std=spread,
            residual_std=float(error.std()) if residual_std is None else residual_std,
            width=half_width(error),
        ),
    }


def _measured(
    residual_std: float,
    bars: int = 0,
    loss: float | None = None,
    ic: float | None = None,
    forecast_std: float | None = None,
    width: float | None = None,
) -> ValidationEntry:
    return ValidationEntry(
        bars=bars,
        loss=loss,
        ic=ic,
        event_ic=None,
        seam=None,
        residual_std=residual_std,
        forecast_std=forecast_std,
        best_steps=(),
        half_width=width,
    )


def _check_scaler(scaler: Scaler, features: int) -> None:
    for part, numbers in (("mean", scaler.mean), ("scale", scaler.scale)):
        if len(numbers) != features:
            raise ConfigError(
                f"scaler.{part} has {len(numbers)} numbers for {features} features. Give one for each."
            )
    if not (np.isfinite(scaler.mean).all() and np.isfinite(scaler.scale).all() and np.all(scaler.scale)):
        raise ConfigError(
            f"{scaler} divides by zero or is not finite. Leave a feature that never varies at scale 1."
        )


def _check_calibration(
    calibrate_on: pd.DataFrame | None, residual_std: float | None, threshold: float | None
) -> None:
    if calibrate_on is None and (residual_std is None or threshold is None):
        raise ConfigError(
            "nothing says how far the forecasts miss. Pass calibrate_on=candles, or residual_std and threshold."
        )
    for name, value, rule, fits in (
        ("residual_std", residual_std, "above 0", residual_std is None or 0 < residual_std < np.inf),
        ("threshold", threshold, "0 or more", threshold is None or 0 <= threshold < np.inf),
    ):
        if not fits:
            raise ConfigError(f"{name} {value} must be {rule}, in units of the forecast.")


def _scaler_entry(scaler: Scaler) -> ScalerEntry:
    mean, scale = (tuple(map(float, numbers)) for numbers in (scaler.mean, scaler.scale))
    return ScalerEntry(mean=mean, scale=scale, clip=scaler.clip)


def _seconds(timeframe: str | pd.Timedelta) -> int:
    try:
        seconds = pd.Timedelta(timeframe).total_seconds()
    except ValueError as error:
        raise ConfigError(f"timeframe {timeframe!r} is no bar length. Use '1h', '15m' or '1D'.") from error
    if not (seconds > 0 and seconds == int(seconds)):
        raise ConfigError(f"timeframe {timeframe!r} is not a whole number of seconds above 0. Use '1h'.")
    return int(seconds)


def _utc(time: str | datetime) -> datetime:
    try:
        stamp = pd.Timestamp(time)
    except ValueError as error:
        raise ConfigError(
            f"trained_until {time!r} is no time. Use '2023-08-31 23:00', the open of a bar."
        ) from error
    return (stamp.tz_localize("UTC") if stamp.tz is None else stamp.tz_convert("UTC")).to_pydatetime()
