"""The trained LSTM as a forecaster: `predict` for a whole history, `stream` for one bar after the other."""

from __future__ import annotations

import copy
import math
import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from lstm_backtrader.candles import Bars, bar_seconds, check_clock, format_timeframe
from lstm_backtrader.errors import ConfigError, TimeframeError
from lstm_backtrader.forecast.artefact import load_artefact, load_schedule, pack_weights, save_artefact
from lstm_backtrader.forecast.classes import probabilities
from lstm_backtrader.forecast.dataset import Scaler
from lstm_backtrader.forecast.description import DescribedModel
from lstm_backtrader.forecast.features import make_features, newest_features
from lstm_backtrader.forecast.history import HistoryRow, history_lines, read_history
from lstm_backtrader.forecast.labels import in_label_units
from lstm_backtrader.forecast.manifest import Manifest, file_stamps
from lstm_backtrader.forecast.network import RecurrentNet, one_thread, whole_float32
from lstm_backtrader.forecast.protocol import FORECAST_COLUMNS, NO_FORECAST, ForecastPoint
from lstm_backtrader.forecast.schedule import read_any_manifest
from lstm_backtrader.forecast.scheduled import ScheduledForecaster
from lstm_backtrader.forecast.step import EnsembleStep
from lstm_backtrader.forecast.strided import strided_forecast

_NS = 1_000_000_000
_SEGMENT = 500_000  # bars forecast at a time, so that memory stays flat

Device = Literal["auto", "cpu", "cuda"]


class LSTMForecaster(DescribedModel):
    """An ensemble of M trained nets with the manifest that says how to feed them; meets `Forecaster`."""

    def __init__(
        self,
        manifest: Manifest,
        nets: Sequence[RecurrentNet],
        name: str = "LSTM",
        device: Device = "cpu",
        history: Sequence[HistoryRow] = (),
    ) -> None:
        super().__init__(manifest, name)
        self.history = tuple(history)
        self.nets = [net.to(getattr(torch, manifest.precision)) for net in nets]
        self.device = find_device(device)
        weights = [{name: part.numpy() for name, part in net.state_dict().items()} for net in self.nets]
        self.step = EnsembleStep(weights, manifest.cell, manifest.layers)
        self.scaler = Scaler(manifest.scaler.mean, manifest.scaler.scale, manifest.scaler.clip)
        self.step_ns = manifest.timeframe_s * _NS
        self._tail = () if manifest.outputs == 1 else (manifest.outputs,)  # of what the nets say of a bar

    def __repr__(self) -> str:
        return f"LSTMForecaster({self.name!r}, weights {self.manifest.weights_sha256[:12]})"

    def predict(self, candles: pd.DataFrame) -> pd.DataFrame:
        """Columns `forecast`, `prob_up`, `spread` (T,) on the candles' index; row t known at the close of bar t.

        The in-sample guard is the indicator's: bars the model was trained on get a forecast here.
        """
        bars = Bars.of(candles)
        if len(bars) > 1 and bar_seconds(bars.open_time) != self.manifest.timeframe_s:
            raise TimeframeError(
                f"the candles are {format_timeframe(bar_seconds(bars.open_time))} bars, the model was trained on "
                f"{format_timeframe(self.manifest.timeframe_s)}. Give candles of the model's bar length."
            )
        check_clock(bars.open_time, self.manifest.timeframe_s)
        values = self.values(bars, 0, len(bars))
        return pd.DataFrame(dict(zip(FORECAST_COLUMNS, values, strict=True)), index=candles.index)

    def values(self, bars: Bars, begin: int, end: int) -> NDArray[np.float64]:
        """The three columns of the rows from `begin` to before `end`, (3, end - begin); older bars are context."""
        out = np.full((3, end - begin), np.nan)
        nets = [copy.deepcopy(net).to(self.device) for net in self.nets] if self.device != "cpu" else self.nets
        for at in range(begin, end, _SEGMENT):
            until = min(at + _SEGMENT, end)
            first = max(0, at - self.memory - self.context.span)  # what the forecast of row `at` depends on
            part = bars.part(first, until)
            rows, X, slots = self._inputs(part)
            members = np.full((len(nets), len(part), *self._tail), np.nan, dtype=X.dtype)  # (M, rows of the part)
            begun = self._begun(part)
            members[:, rows] = strided_forecast(nets, self.context, X, slots, begun=begun, device=self.device)
            said = self._in_label_units(members[:, at - first :], part)
            out[:, at - begin : until - begin] = self._combine(said)
        return out

    def of_inputs(
        self, X: NDArray[np.float32], rows: NDArray[np.int64], slots: NDArray[np.int64], bars: Bars
    ) -> NDArray[np.float64]:
        """Forecast (T,) of the bars from scaled features (N, F) at their `rows` (N,), whose slots are (N,)."""
        members = np.full((len(self.nets), len(bars), *self._tail), np.nan, dtype=X.dtype)
        members[:, rows] = strided_forecast(self.nets, self.context, X, slots)
        return self._combine(self._in_label_units(members, bars))[0]

    def stream(self) -> LSTMStream:
        """A running forecast; equal to `predict` to 1e-6 on every closed bar."""
        return LSTMStream(self)

    def save(self, directory: str | Path) -> None:
        """Write the artefact, whole or not at all."""
        nets = dict(zip(self.manifest.seeds, self.nets, strict=True))
        weights, _ = pack_weights(nets, self.manifest.inputs_sha256())
        save_artefact(directory, self.manifest, weights, history_lines(self.history))

    def _inputs(self, bars: Bars) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
        """Rows with all features (N,), their scaled features (N, F) and slots (N,)."""
        X = make_features(bars, self.specs, self.manifest.precision)
        rows = np.flatnonzero(np.isfinite(X).all(axis=1))
        return rows, self.scaler.transform(X[rows]), bars.open_time[rows] // self.step_ns

    def _in_label_units(self, members: NDArray[np.float32], bars: Bars) -> NDArray[np.float64]:
        """What the nets said at the last N of the bars, (M, N) or (M, N, 3), in units of the label."""
        label, said = self.manifest.label, members.astype(np.float64)
        if label.kind in ("log_return", "next_close"):
            return in_label_units(label.offset + label.scale * said, bars, label.horizon, label.kind)
        return said

    def _point(self, members: NDArray[np.float64]) -> ForecastPoint:
        """`_combine` for one bar (M,) or (M, 3), without its overhead."""
        if self.manifest.label.kind == "three_classes":
            return ForecastPoint(*(float(column[0]) for column in self._combine(members[:, None])))
        values = [float(value) for value in members]
        mean = math.fsum(values) / len(values)
        spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
        z = mean / self.manifest.validation.residual_std
        return ForecastPoint(mean, 0.5 * math.erfc(-z / math.sqrt(2)), spread)

    def _begun(self, bars: Bars) -> int | None:
        """The first slot that could have features."""
        return int(bars.open_time[self.memory - 1]) // self.step_ns if len(bars) >= self.memory else None

    def _combine(self, members: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
        """(M, T) -> mean, probability of a positive label, standard deviation over members: (T,) each.

        Of classes, (M, T, 3), the forecast is how much more probable up is than down.
        """
        label = self.manifest.label
        if label.kind == "three_classes":
            chances = probabilities(members, label.class_weights)
            said = chances[..., 2] - chances[..., 0]
            return said.mean(axis=0), chances[..., 2].mean(axis=0), said.std(axis=0)
        mean = members.mean(axis=0)
        z = torch.from_numpy(mean / self.manifest.validation.residual_std)
        with one_thread():
            prob_up = torch.special.ndtr(z).numpy()
        return mean, prob_up, members.std(axis=0)


class LSTMStream:
    """The running sequences as one small batch, advanced a step a bar.

    State is keyed by bar time. `_committed` holds the sequences up to the bar before the newest one; the newest
    is computed on top of it and committed when its successor arrives, so a forming bar may come many times.
    Wherever the newest bar does not follow the one before (first call, restart, replay), the sequences are
    rebuilt from `warmup` bars of history.
    """

    def __init__(self, model: LSTMForecaster) -> None:
        self._model = model
        self._committed = _Sequences.none(model)
        self._newest = self._committed
        self._time = -1  # open of the newest bar seen
        self._values = b""  # what it held
        self._columns = model.columns
        self._format = f"{len(self._columns)}d"  # bytes, because NaN equals itself there

    def update(self, tail: Callable[[int], Bars]) -> ForecastPoint:
        """See `ForecastStream.update`."""
        model = self._model
        recent = tail(max(model.memory, 2))  # the newest bar, and the one before to know it by
        time = int(recent.open_time[-1])
        if time != self._time:
            follows = len(recent) > 1 and int(recent.open_time[-2]) == self._time
            if follows and self._pack(recent, -2) == self._values:
                self._committed = self._newest
            else:
                self._committed = self._rebuild(tail(model.warmup))
            self._time = time
        self._values = self._pack(recent, -1)
        row = newest_features(recent, model.specs, model.manifest.precision)
        if not np.isfinite(row).all():  # a bar without features is skipped
            self._newest = self._committed
            return NO_FORECAST
        x = model.scaler.transform(row[None])[0]
        self._newest, members = self._committed.advance(x, time // model.step_ns)
        return model._point(model._in_label_units(members[:, None], recent)[:, 0])

    def _pack(self, bars: Bars, row: int) -> bytes:
        return struct.pack(self._format, *(bars[name][row] for name in self._columns))

    def _rebuild(self, bars: Bars) -> _Sequences:
        """The sequences as they stood after the bar before the last of `bars`."""
        model = self._model
        before = bars.part(0, len(bars) - 1)
        _, X, slots = model._inputs(before)
        return _Sequences.of_history(model, X, slots, model._begun(before))


class _Sequences:
    """The sequences alive after a bar: where each started, bars it has seen, and the ensemble's state in it."""

    def __init__(
        self,
        model: LSTMForecaster,
        begun: int | None,
        starts: list[int],
        seen: list[int],
        state: NDArray[np.float32],
    ) -> None:
        self.model = model
        self.begun = begun  # first slot that could have features; what starts before it is incomplete
        self.starts = starts
        self.seen = seen
        self.state = state  # (parts, layers, M, n, H)

    @classmethod
    def none(cls, model: LSTMForecaster) -> _Sequences:
        return cls(model, None, [], [], model.step.empty())

    @classmethod
    def of_history(
        cls, model: LSTMForecaster, X: NDArray[np.float32], slots: NDArray[np.int64], begun: int | None
    ) -> _Sequences:
        """Run every sequence alive at the last slot over its rows of X (N, F)."""
        if len(slots) == 0 or begun is None:
            return cls(model, begun, [], [], model.step.empty())
        starts = [start for start in model.context.alive(int(slots[-1])) if start >= begun]
        firsts = [int(np.searchsorted(slots, start)) for start in starts]
        states = [model.step.empty()]
        with one_thread(), whole_float32(), torch.inference_mode():
            for first in firsts:
                x = torch.from_numpy(X[first:])[None]  # (1, n, F)
                parts = [net(x)[1] for net in model.nets]  # M times (h, c), each (layers, 1, H)
                stacked = [torch.stack(part, dim=1) for part in zip(*parts, strict=True)]  # (layers, M, 1, H)
                states.append(torch.stack(stacked).numpy())
        return cls(model, begun, starts, [len(slots) - first for first in firsts], np.concatenate(states, axis=3))

    def advance(self, x: NDArray[np.float32], slot: int) -> tuple[_Sequences, NDArray[np.float32]]:
        """One bar on: features (F,) at `slot` -> the sequences after it, what the nets say: (M,) or (M, K)."""
        model = self.model
        begun = slot if self.begun is None else self.begun
        alive = model.context.alive(slot)
        dropped = sum(start < alive[0] for start in self.starts)
        kept = self.starts[dropped:]
        latest = kept[-1] if kept else begun - 1
        fresh = [start for start in alive if start > latest and start >= begun]
        state = self.state[:, :, :, dropped:]
        if fresh:
            zeros = np.zeros((*state.shape[:3], len(fresh), state.shape[4]), state.dtype)
            state = np.concatenate([state, zeros], axis=3)
        starts = kept + fresh
        seen = [n + 1 for n in self.seen[dropped:]] + [1] * len(fresh)
        forecasts, state = model.step.advance(x, state)
        is_whole = bool(starts) and starts[0] == alive[0] and 2 * seen[0] >= model.context.length
        first = forecasts[:, 0] if is_whole else np.full((len(model.nets), *model._tail), np.nan, dtype=x.dtype)
        return _Sequences(model, begun, starts, seen, state), first


def find_device(device: Device) -> str:
    """ "cpu" or "cuda"; "auto" takes a GPU where there is one. Raises `ConfigError` where there is none."""
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"device {device!r} is unknown. Use 'auto', 'cpu' or 'cuda'.")
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device 'cuda' was asked for and torch sees no GPU. Use 'auto' or 'cpu'.")
    return "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"


def load_model(directory: str | Path, device: Device = "auto") -> LSTMForecaster | ScheduledForecaster:
    """The model of an artefact directory, or the schedule of models that `walk_forward` makes.

    Read and checked once a process as long as its files do not change. `device`: where `predict` computes; a
    stream is always on the CPU, which is faster for one bar. Raises `ModelError` for anything that is not a
    whole artefact of this schema.
    """
    folder = Path(directory).resolve()
    return _load(folder, device, file_stamps(folder))


@lru_cache(maxsize=16)
def _load(
    folder: Path, device: Device, stamps: tuple[tuple[int, int], ...]
) -> LSTMForecaster | ScheduledForecaster:
    manifest = read_any_manifest(folder)
    if isinstance(manifest, Manifest):
        return LSTMForecaster(manifest, load_artefact(folder)[1], folder.name, device, read_history(folder))
    models = [
        LSTMForecaster(each, nets, folder.name, device)
        for each, nets in zip(manifest.manifests(), load_schedule(folder, manifest), strict=True)
    ]
    return ScheduledForecaster(manifest, models, folder.name, read_history(folder))
