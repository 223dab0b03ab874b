"""What a model's manifest says to those who use it: bar length, warm-up, columns, span of validity."""

from __future__ import annotations

from datetime import datetime

import pandas as pd

from lstm_backtrader.candles import COLUMNS
from lstm_backtrader.forecast.context import StridedContext
from lstm_backtrader.forecast.features import VOLATILITY_MEMORY, longest_memory
from lstm_backtrader.forecast.manifest import Manifest

FAR = pd.Timestamp("2200-01-01", tz="UTC")  # the end of what has none


class DescribedModel:
    """The part of `Forecaster` that needs the manifest alone."""

    def __init__(self, manifest: Manifest, name: str) -> None:
        self.manifest = manifest
        self.name = name
        self.specs = manifest.specs()
        self.memory = longest_memory(self.specs)
        if manifest.label.kind in ("log_return", "next_close"):  # what the net says is divided by the volatility
            self.memory = max(self.memory, VOLATILITY_MEMORY + 1)
        self.context = StridedContext(manifest.context, manifest.stride)

    @property
    def timeframe(self) -> pd.Timedelta:
        """Bar length the model was trained on."""
        return pd.Timedelta(seconds=self.manifest.timeframe_s)

    @property
    def warmup(self) -> int:
        """Bars needed before a forecast is certain: longest feature memory + L + S."""
        return self.memory + self.context.length + self.context.stride

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the candles the model reads."""
        more = [name for spec in self.specs for name in spec.columns if name not in COLUMNS]
        return (*COLUMNS, *dict.fromkeys(more))

    @property
    def threshold(self) -> float:
        """|forecast| from which the signal is +-1: the deviation of its forecasts on validation."""
        return self.manifest.threshold

    @property
    def half_width(self) -> float | None:
        """Of the interval around a forecast that held nine labels in ten on validation; None where unknown."""
        return self.manifest.validation.half_width

    @property
    def trained_until(self) -> pd.Timestamp:
        """Open of the last bar that a label of the training belongs to."""
        return pd.Timestamp(self.manifest.trained_until)

    @property
    def is_class(self) -> bool:
        """Whether it forecasts which of three classes comes, and no quantity."""
        return self.manifest.label.kind == "three_classes"

    @property
    def is_return(self) -> bool:
        """Whether it forecasts a return in units of its volatility, and no label of the user's own."""
        return self.manifest.label.kind in ("scaled_return", "log_return", "next_close")

    @property
    def valid_from(self) -> pd.Timestamp:
        """Open of the first bar that no train or validation label has seen."""
        return pd.Timestamp(self.manifest.trained_until) + (self.manifest.purge_bars + 1) * self.timeframe

    @property
    def valid_until(self) -> pd.Timestamp | None:
        """Open of the first bar the model is too old for; None if it never expires."""
        return pd.Timestamp(self.manifest.expires) if self.manifest.expires else None

    @property
    def horizon(self) -> int:
        """Bars ahead that are forecast."""
        return self.manifest.label.horizon

    @property
    def spans(self) -> list[tuple[str, pd.Timestamp, pd.Timestamp]]:
        """What the model knows of which bars: name, first open, open of the first bar after; UTC."""
        manifest, bar = self.manifest, self.timeframe
        first = pd.Timestamp(manifest.train_from or manifest.train_until)
        found = [("train", first, pd.Timestamp(manifest.train_until) + bar)]
        if manifest.validation_from is not None:
            begin, last = pd.Timestamp(manifest.validation_from), pd.Timestamp(manifest.trained_until)
            found.append(("validation", begin, last + bar))
        return [*found, ("out of sample", self.valid_from, self.valid_until or FAR)]

    @property
    def training(self) -> dict[str, object]:
        """Where the model comes from, in plain values, for a report."""
        manifest = self.manifest
        return {
            "features": [str(spec) for spec in self.specs],
            "label": manifest.label.kind,
            "horizon": self.horizon,
            "context": manifest.context,
            "stride": manifest.stride,
            "seeds": list(manifest.seeds),
            "train": [_day(manifest.train_from), _day(manifest.train_until)],
            "scaler_fitted_on": [_day(manifest.train_from), _day(manifest.train_until)],
            "validation": [_day(manifest.validation_from), _day(manifest.trained_until)],
            "validation_ic": manifest.validation.ic,
            "data_sha256": manifest.data_sha256,
            "weights_sha256": manifest.weights_sha256,
        }

    @property
    def seam(self) -> float | None:
        """Rms forecast change where the context restarts, over that elsewhere, on validation."""
        return self.manifest.validation.seam

    @property
    def fingerprint(self) -> str:
        """SHA-256 of weights, inputs and feature code: two models that share it forecast the same."""
        return self.manifest.fingerprint()


def _day(time: datetime | None) -> str | None:
    return None if time is None else f"{time:%Y-%m-%d %H:%M}"
