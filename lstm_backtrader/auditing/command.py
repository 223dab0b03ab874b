"""What `lbt audit` looks at: a model, and code of the user's own found by name or file."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import backtrader as bt
import pandas as pd

from lstm_backtrader.auditing.keeping import Step
from lstm_backtrader.auditing.subjects import model_steps, spec_of, steps_of, uncached, window_of
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.event_files import event_columns, read_events
from lstm_backtrader.events import join_events
from lstm_backtrader.forecast.audit import AuditPlan
from lstm_backtrader.forecast.audit_events import audit_events
from lstm_backtrader.forecast.audit_subjects import audit_features
from lstm_backtrader.forecast.description import DescribedModel
from lstm_backtrader.forecast.features import FEATURES, FeatureSpec, longest_memory
from lstm_backtrader.forecast.findings import AuditReport
from lstm_backtrader.indicators.models import as_forecaster
from lstm_backtrader.own_module import import_file


@dataclass(frozen=True)
class Targets:
    """What `lbt audit` is to look at: a model's directory and code of the user's own."""

    model: Path | None = None
    strategy: str | None = None  # module:Class
    indicator: str | None = None
    feature_module: Path | None = None
    shuffled_labels: bool = False

    def __post_init__(self) -> None:
        if not (self.model or self.strategy or self.indicator or self.feature_module):
            raise ConfigError("nothing to audit. Give --model, --strategy, --indicator or --feature-module.")
        if self.shuffled_labels and not self.model:
            raise ConfigError("--shuffled-labels trains as a model was trained. Give its --model.")


def audit_steps(targets: Targets, candles: pd.DataFrame, plan: AuditPlan) -> list[Step]:
    """The parts of the audit of all targets, in order; a strategy or indicator with a parameter `model` gets it."""
    steps: list[Step] = []
    own = load_features(targets.feature_module) if targets.feature_module else []  # a manifest may name them
    model = as_forecaster(targets.model) if targets.model else None
    window = window_of(candles, model.warmup if model else 0)
    if own:
        longest = window_of(candles, longest_memory(own))
        steps.append(Step("own features", lambda: audit_features(own, longest, plan), longest))
    if model:
        steps += model_steps(model, candles, plan)
    for place, kind in ((targets.indicator, bt.Indicator), (targets.strategy, bt.Strategy)):
        if place:
            given = load_class(place, kind)
            params = {"model": uncached(model)} if model and "model" in given.params._getkeys() else {}
            steps += steps_of(given, window, params, plan)
    if targets.shuffled_labels:
        if not isinstance(model, DescribedModel):
            raise ConfigError(
                f"--shuffled-labels repeats one training, and {targets.model} is none of `lbt train`. "
                "Audit a model of one training with it."
            )
        described = model

        def shuffled() -> AuditReport:
            from lstm_backtrader.forecast.shuffled import audit_training  # loads torch

            return audit_training(described, candles)

        steps.append(Step("shuffled labels", shuffled, candles, model))
    return steps


def with_events(candles: pd.DataFrame, path: Path | None, latency: str) -> tuple[pd.DataFrame, list[Step]]:
    """The candles with the events of a file, and the audit of when each stands there.

    Columns the candles have already are left as they are: how they were joined is what the audit is to find out.
    """
    if path is None:
        return candles, []
    events = read_events(path)
    columns = event_columns(events)
    fresh = [name for name in columns if name not in candles.columns]
    joined = join_events(candles, events, fresh, latency=latency) if fresh else candles
    return joined, [Step("events", lambda: audit_events(joined, events, columns, latency=latency), joined)]


def load_class(place: str, kind: type) -> Any:
    """The class at ``module:Class``, the working directory included; `ConfigError` where there is none."""
    module_name, _, name = place.partition(":")
    word = "strategy" if issubclass(kind, bt.Strategy) else "indicator"
    if not name:
        raise ConfigError(f"--{word} {place} names no class. Write module:Class, as in my_package.trend:Trend.")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = getattr(importlib.import_module(module_name), name, None)
    except ModuleNotFoundError as error:
        raise ConfigError(f"--{word} {place}: {error}. Run the command where it can be imported from.") from error
    if not (isinstance(found, type) and issubclass(found, kind)):
        what = f"a Backtrader {word}" if kind in (bt.Strategy, bt.Indicator) else f"made of {kind.__name__}"
        raise ConfigError(f"--{word} {place}: {module_name} has no class {name} that is {what}.")
    return found


def load_features(path: Path) -> list[FeatureSpec]:
    """The features that a Python file registers, with the defaults of their functions."""
    module = import_file(path)
    fresh = [name for name, each in FEATURES.items() if each.function.__module__ == module.__name__]
    if not fresh:
        raise ConfigError(f"{path} registers no feature. Decorate its functions with `feature`.")
    return [spec_of(name) for name in fresh]
