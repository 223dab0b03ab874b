"""From what a user gives as `model` to a forecaster: a path, or anything that meets the protocol."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from lstm_backtrader.candles import COLUMNS, Bars
from lstm_backtrader.forecast.cache import cached_forecast
from lstm_backtrader.forecast.description import DescribedModel
from lstm_backtrader.forecast.manifest import Manifest, file_stamps, read_manifest, read_weights
from lstm_backtrader.forecast.protocol import Forecaster, ForecastPoint, ForecastStream, check_forecaster

if TYPE_CHECKING:
    from lstm_backtrader.forecast.inference import LSTMForecaster


class ModelFile(DescribedModel):
    """A model on disk. Its manifest and hashes are checked at once; torch loads when something is computed."""

    def __init__(self, manifest: Manifest, folder: Path) -> None:
        super().__init__(manifest, folder.name)
        self.folder = folder

    def __repr__(self) -> str:
        return f"ModelFile({str(self.folder)!r})"

    def predict(self, candles: pd.DataFrame) -> pd.DataFrame:
        """See `Forecaster.predict`."""
        return self._loaded().predict(candles)

    def stream(self) -> ForecastStream:
        """See `Forecaster.stream`."""
        return _LateStream(self._loaded)

    def _loaded(self) -> LSTMForecaster:
        from lstm_backtrader.forecast.inference import load_model  # here, so that torch loads only when needed

        return load_model(self.folder)


class _LateStream:
    """A stream that is made at its first bar."""

    def __init__(self, loaded: Callable[[], LSTMForecaster]) -> None:
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
def _model_file(folder: Path, stamps: tuple[tuple[int, int], ...]) -> ModelFile:
    manifest = read_manifest(folder)
    read_weights(folder, manifest)
    return ModelFile(manifest, folder)
