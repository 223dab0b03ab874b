"""A schedule of models as one forecaster: at each bar the newest model trained before it, as in live retraining."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lstm_backtrader.candles import Bars, bar_seconds, check_clock, format_timeframe
from lstm_backtrader.errors import TimeframeError
from lstm_backtrader.forecast.artefact import pack_schedule, save_artefact
from lstm_backtrader.forecast.history import HistoryRow, history_lines
from lstm_backtrader.forecast.network import RecurrentNet
from lstm_backtrader.forecast.protocol import FORECAST_COLUMNS, ForecastPoint, ForecastStream
from lstm_backtrader.forecast.schedule import DescribedSchedule, ScheduleManifest

if TYPE_CHECKING:
    from lstm_backtrader.forecast.inference import LSTMForecaster


class ScheduledForecaster(DescribedSchedule):
    """Models one after the other with the manifest that says when each is used; meets `Forecaster`."""

    def __init__(
        self,
        manifest: ScheduleManifest,
        models: Sequence[LSTMForecaster],
        name: str = "LSTM",
        history: Sequence[HistoryRow] = (),
    ) -> None:
        super().__init__(manifest, name)
        self.models = list(models)
        self.history = tuple(history)

    def __repr__(self) -> str:
        return f"ScheduledForecaster({self.name!r}, {len(self.models)} models from {self.valid_from:%Y-%m-%d})"

    def predict(self, candles: pd.DataFrame) -> pd.DataFrame:
        """See `Forecaster.predict`; bars before the first model begins are forecast by it, in-sample.

        The in-sample guard and the expiry are the indicator's, as with a single model.
        """
        bars = Bars.of(candles)
        if len(bars) > 1 and bar_seconds(bars.open_time) != self.manifest.models[0].manifest.timeframe_s:
            raise TimeframeError(
                f"the candles are {format_timeframe(bar_seconds(bars.open_time))} bars, the models were trained on "
                f"{format_timeframe(self.manifest.models[0].manifest.timeframe_s)}. "
                f"Give candles of the models' bar length."
            )
        check_clock(bars.open_time, self.manifest.models[0].manifest.timeframe_s)
        values = np.full((3, len(bars)), np.nan)
        for number, rows in self.stretches(bars.open_time):
            values[:, rows] = self.models[number].values(bars, rows.start, rows.stop)
        return pd.DataFrame(dict(zip(FORECAST_COLUMNS, values, strict=True)), index=candles.index)

    def stream(self) -> ScheduledStream:
        """A running forecast; equal to `predict` to 1e-6 on every closed bar."""
        return ScheduledStream(self)

    def save(self, directory: str | Path) -> None:
        """Write the artefact, whole or not at all."""
        weights, _ = pack_schedule(_nets(self.models), self.manifest.inputs_sha256())
        save_artefact(directory, self.manifest, weights, history_lines(self.history))


class ScheduledStream:
    """The stream of the model in charge; when another takes over, its own begins with the history it needs."""

    def __init__(self, schedule: ScheduledForecaster) -> None:
        self._schedule = schedule
        self._number = -1  # of the model whose stream it is
        self._stream: ForecastStream

    def update(self, tail: Callable[[int], Bars]) -> ForecastPoint:
        """See `ForecastStream.update`."""
        number = int(self._schedule.model_at(tail(1).open_time[-1:])[0])
        if number != self._number:
            self._number, self._stream = number, self._schedule.models[number].stream()
        return self._stream.update(tail)


def make_schedule(
    manifest: ScheduleManifest, models: Sequence[LSTMForecaster], name: str = "LSTM"
) -> ScheduledForecaster:
    """A new schedule: the manifest with the hash of its weights, the history with the model of each row."""
    _, weights_sha256 = pack_schedule(_nets(models), manifest.inputs_sha256())
    history = [
        replace(row, model=entry.begins.isoformat())
        for entry, model in zip(manifest.models, models, strict=True)
        for row in model.history
    ]
    manifest = manifest.model_copy(update={"weights_sha256": weights_sha256})
    return ScheduledForecaster(manifest, models, name, history)


def _nets(models: Sequence[LSTMForecaster]) -> list[dict[int, RecurrentNet]]:
    """Seed -> net of each model."""
    return [dict(zip(model.manifest.seeds, model.nets, strict=True)) for model in models]
