"""From what a user gives as `model` to a forecaster: a path, or anything that meets the protocol."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from lstm_backtrader.candles import COLUMNS, Bars
from lstm_backtrader.forecast.cache import cached_forecast
from lstm_backtrader.forecast.description import DescribedModel
from lstm_backtrader.forecast.history import HistoryRow, read_history
from lstm_backtrader.forecast.manifest import Manifest, file_stamps, read_weights
from lstm_backtrader.forecast.protocol import Forecaster, ForecastPoint, ForecastStream, check_forecaster
from lstm_backtrader.forecast.schedule import DescribedSchedule, ScheduleManifest, read_any_manifest

if TYPE_CHECKING:
    from lstm_backtrader.forecast.inference import LSTMForecaster
    from lstm_backtrader.forecast.scheduled import ScheduledForecaster


class _OnDisk:
    """What is computed by a model on disk: torch loads when something is."""

    folder: Path

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.folder)!r})"

    @cached_property
    def history(self) -> tuple[HistoryRow, ...]:
        """How its training went, if that was kept."""
        return read_history(self.folder)

    def predict(self, candles: pd.DataFrame) -> pd.DataFrame:
        """See `Forecaster.predict`."""
        return self._loaded().predict(candles)

    def stream(self) -> ForecastStream:
        """See `Forecaster.stream`."""
        return _LateStream(self._loaded)

    def _loaded(self) -> LSTMForecaster | ScheduledForecaster:
        from lstm_backtrader.forecast.inference import load_model  # here, so that torch loads only when needed

        return load_model(self.folder)


class ModelFile(_OnDisk, DescribedModel):
    """A model on disk. Its manifest and hashes are checked at once."""

    def __init__(self, manifest: Manifest, folder: Path) -> None:
        super().__init__(manifest, folder.name)
        self.folder = folder


class ScheduleFile(_OnDisk, DescribedSchedule):
    """A schedule of models on disk, checked as a single one is."""

    def __init__(self, manifest: ScheduleManifest, folder: Path) -> None:
        super().__init__(manifest, folder.name)
        self.folder = folder


class _LateStream:
    """A stream that is made at its first bar."""

    def __init__(self, loaded: Callable[[], LSTMForecaster | ScheduledForecaster]) -> None:
        self._loaded = loaded
        self._stream: ForecastStream | None = None

    def update(self, tail: Callable[[int], Bars]) -> ForecastPoint:
        if self._stream is None:
            self._stream = self._loaded().stream()
        return self._stream.update(tail)


def as_forecaster(model: object) -> Forecaster:
    """The model of a path, or the object itself if it meets the protocol.

    Raises `ConfigError` for anything else, `ModelError` for a path that is no whole artefact.
    """
    if isinstance(model, str | Path):
        folder = Path(model).resolve()
        return _model_file(folder, file_stamps(folder))
    return check_forecaster(model)


def predict(forecaster: Forecaster, candles: pd.DataFrame) -> pd.DataFrame:
    """`forecaster.predict(candles)`, once for each history where the forecaster has a `fingerprint`."""
    fingerprint = getattr(forecaster, "fingerprint", None)
    if fingerprint is None:
        return forecaster.predict(candles)
    columns = tuple(getattr(forecaster, "columns", COLUMNS))
    return cached_forecast(str(fingerprint), columns, candles, forecaster.predict)


@lru_cache(maxsize=16)
def _model_file(folder: Path, stamps: tuple[tuple[int, int], ...]) -> ModelFile | ScheduleFile:
    manifest = read_any_manifest(folder)
    read_weights(folder, manifest)
    return ModelFile(manifest, folder) if isinstance(manifest, Manifest) else ScheduleFile(manifest, folder)
