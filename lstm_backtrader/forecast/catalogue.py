"""What features and labels there are, in words: what `lbt features` lists."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import NamedTuple

from lstm_backtrader.forecast.features import FEATURES, FeatureSpec, default_features
from lstm_backtrader.forecast.labels import LABELS, LabelSpec
from lstm_backtrader.forecast.named import show


class FeatureLine(NamedTuple):
    """A feature with its defaults: as it is written, whether it is seen by default, what it reads, what it is."""

    text: str
    is_default: bool
    memory: str
    columns: str
    description: str


class LabelLine(NamedTuple):
    """A label with its defaults: as it is written, how far it looks ahead, what it is."""

    text: str
    horizon: str
    description: str


def known_features() -> list[FeatureLine]:
    """Every registered feature by name; a parameter without default stands in capitals."""
    default = {spec.name for spec in default_features(("COLUMN",))}
    lines = []
    for name, registered in sorted(FEATURES.items()):
        params, open_ones = _defaults(registered.memory)
        memory, columns = "by parameters", " ".join(registered.columns)
        if not set(open_ones) - {"column"}:
            spec = FeatureSpec(name, params | {key: key.upper() for key in open_ones})
            memory, columns = str(spec.memory), " ".join(spec.columns)
        text = show(name, {key: key.upper() for key in open_ones} | params)
        lines.append(FeatureLine(text, name in default, memory, columns, registered.description))
    return lines


def known_labels() -> list[LabelLine]:
    """Every registered label by name; a parameter without default stands in capitals."""
    lines = []
    for name, registered in sorted(LABELS.items()):
        params, open_ones = _defaults(registered.horizon)
        horizon = "by parameters" if open_ones else str(LabelSpec(name, params).horizon)
        text = show(name, {key: key.upper() for key in open_ones} | params)
        lines.append(LabelLine(text, horizon, registered.description))
    return lines


def _defaults(declared: Callable[..., int]) -> tuple[dict[str, int | float | str], list[str]]:
    """Parameters with their defaults, and the names of those that have none."""
    params = inspect.signature(declared).parameters.values()
    named = [each for each in params if each.kind is not each.VAR_KEYWORD]
    given = {each.name: each.default for each in named if each.default not in (each.empty, None)}
    return given, [each.name for each in named if each.default is each.empty]
