"""How to train: every option of `lbt train`, with its default and its range."""

from __future__ import annotations

from dataclasses import dataclass

from lstm_backtrader.errors import ConfigError
from lstm_backtrader.forecast.context import StridedContext
from lstm_backtrader.forecast.features import DEFAULT, FeatureSpec, parse_features
from lstm_backtrader.forecast.labels import LabelSpec
from lstm_backtrader.forecast.manifest import Cell

EVALUATIONS = 20  # of the validation loss, evenly over the steps


@dataclass(frozen=True)
class TrainConfig:
    """How to train; every default is what `lbt train` uses."""

    horizon: int = 24  # k, bars the label looks ahead
    label: str = (
        "scaled_return"  # or three_classes, triple_barrier, your own; with parameters: "three_classes:fee_bps=4"
    )
    features: tuple[str, ...] = (DEFAULT,)  # say ("default", "rsi:span=14", "macd")
    context: int = 384  # L, bars every forecast has seen
    stride: int | None = None  # S, bars between two fresh starts; None: L / 4
    hidden: int = 16  # H
    layers: int = 1
    cell: Cell = "lstm"
    seeds: int = 3  # M, nets in the ensemble
    seed: int = 0  # of the first net; the others count on
    steps: int = 800  # optimiser steps, 32 crops each
    batch: int = 32  # B, crops a step
    learning_rate: float = 3e-3  # peak of the one-cycle schedule
    weight_decay: float = 1e-3
    dropout: float = 0.1  # before the head, in [0, 1)
    patience: int = 8  # evaluations (steps / 20 each) without a better validation loss before stopping
    event_weight: float = 0.0  # extra loss weight of `horizon` bars from a volume spike (z above 3.2) on
    uniqueness: bool = False  # whether a bar weighs by how much of the time of its label is its own
    events: tuple[str, ...] = ()  # event columns of the candles used as features
    val_fraction: float = 0.15  # last part of the data, for early stopping and the figures in the manifest
    embargo: int = 168  # bars left out between train and validation besides the horizon
    expires_days: int | None = None  # days after `trained_until` from which the model is too old

    def __post_init__(self) -> None:
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                default = getattr(type(self), name)
                raise ConfigError(f"{name} {value} is outside {low} to {high}. The default is {default}.")
        if self.cell not in ("lstm", "rnn"):
            raise ConfigError(f"cell '{self.cell}' is unknown. Use 'lstm', or 'rnn' for comparison.")
        self.strided_context()
        self.feature_specs()
        ahead = self.label_spec().horizon
        if ahead != self.horizon:
            raise ConfigError(
                f"label '{self.label}' looks {ahead} bars ahead, horizon is {self.horizon}. Set horizon to {ahead}."
            )

    def feature_specs(self) -> tuple[FeatureSpec, ...]:
        """What the net sees, in its order; the event columns come last."""
        return parse_features(self.features, self.events)

    def label_spec(self) -> LabelSpec:
        """What the net learns to forecast."""
        return LabelSpec.parse(self.label, self.horizon)

    def strided_context(self) -> StridedContext:
        """Context and stride together, checked."""
        return StridedContext(self.context, self.stride if self.stride is not None else max(1, self.context // 4))

    @property
    def all_seeds(self) -> range:
        """One for each net of the ensemble."""
        return range(self.seed, self.seed + self.seeds)


_RANGES = (
    ("horizon", 1, 10_000),
    ("hidden", 1, 1024),
    ("layers", 1, 8),
    ("seeds", 1, 64),
    ("seed", 0, 2**31),
    ("steps", 1, 1_000_000),
    ("batch", 1, 4096),
    ("learning_rate", 1e-6, 1.0),
    ("weight_decay", 0.0, 1.0),
    ("dropout", 0.0, 0.95),
    ("patience", 1, EVALUATIONS),
    ("event_weight", 0.0, 1e6),
    ("val_fraction", 0.01, 0.5),
    ("embargo", 0, 100_000),
    ("expires_days", 1, 36_500),
)
