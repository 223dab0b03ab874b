"""The features a model sees: all that are registered, the default list, and their table, row t from bars up to t.

A feature of your own is a function under `feature`; `FeatureSpec` names one with its parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from lstm_backtrader.candles import Bars
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.forecast.elliott_features import elliott_features
from lstm_backtrader.forecast.flow_features import volume_spikes
from lstm_backtrader.forecast.indicator_features import average_true_range
from lstm_backtrader.forecast.price_features import VOLATILITY_MEMORY, volatility
from lstm_backtrader.forecast.registry import FEATURES, Feature, FeatureSpec, feature
from lstm_backtrader.forecast.talib_features import talib
from lstm_backtrader.forecast.time_features import event
from lstm_backtrader.forecast.windows import window_mean_std

__all__ = [
    "DEFAULT",
    "ELLIOTT",
    "FEATURES",
    "VOLATILITY_MEMORY",
    "Feature",
    "FeatureSpec",
    "average_true_range",
    "default_features",
    "elliott_features",
    "event",
    "feature",
    "longest_memory",
    "make_features",
    "newest_features",
    "parse_features",
    "talib",
    "volatility",
    "volume_spikes",
    "window_mean_std",
]

DEFAULT = "default"  # stands for the default list where features are chosen by text
ELLIOTT = "elliott"  # and this for all lines of a wave count


def default_features(events: Sequence[str] = ()) -> tuple[FeatureSpec, ...]:
    """Twelve stationary features of price, volume and the clock, and one for each event column."""
    return (
        *(FeatureSpec("log_return", {"span": span}) for span in (1, 6, 24, 72, 168)),
        FeatureSpec("bar_range"),
        FeatureSpec("close_location"),
        FeatureSpec("volume_z", {"span": 168}),
        *(
            FeatureSpec("clock", {"cycle": cycle, "wave": wave})
            for cycle in ("day", "week")
            for wave in ("sin", "cos")
        ),
        *(FeatureSpec("event", {"column": column}) for column in events),
    )


def parse_features(texts: Sequence[str], events: Sequence[str] = ()) -> tuple[FeatureSpec, ...]:
    """Features chosen by text, in their order, and one for each event column.

    ``["default", "rsi:span=14, macd"]`` is the default list, an RSI and a MACD; several may stand in one text,
    parted by commas. ``elliott`` is every line of `elliott_wave`. Raises `ConfigError`.
    """
    lists = {DEFAULT: default_features, ELLIOTT: elliott_features}
    specs: list[FeatureSpec] = []
    for text in (part.strip() for each in texts for part in each.split(",")):
        meant = get_close_matches(text, lists, n=1, cutoff=0.7)
        if meant and text not in lists and text not in FEATURES:
            raise ConfigError(
                f"unknown feature '{text}'. Did you mean {meant[0]}? It stands for a list of features."
            )
        specs += lists[text]() if text in lists else (FeatureSpec.parse(text),)
    specs += (FeatureSpec("event", {"column": column}) for column in events)
    twice = next((spec for number, spec in enumerate(specs) if spec in specs[:number]), None)
    if twice is not None:
        raise ConfigError(f"feature '{twice}' is chosen twice. Leave one of them out.")
    if not specs:
        raise ConfigError("no feature is chosen. Name one or more, as in default,rsi:span=14.")
    return tuple(specs)


def make_features(bars: Bars, specs: Sequence[FeatureSpec], precision: str = "float32") -> NDArray[np.float32]:
    """(T, F) of `precision`, one column a spec; rows before the longest memory are NaN."""
    X = np.empty((len(bars), len(specs)), dtype=precision)
    for column, spec in enumerate(specs):
        X[:, column] = spec.compute(bars)
    return X


def newest_features(bars: Bars, specs: Sequence[FeatureSpec], precision: str = "float32") -> NDArray[np.float32]:
    """(F,) of `precision`: the last row of `make_features`, each feature from its own memory of bars alone."""
    return np.array([spec.newest(bars) for spec in specs], dtype=precision)


def longest_memory(specs: Sequence[FeatureSpec]) -> int:
    """Bars that have to be there before every feature has a value."""
    return max(spec.memory for spec in specs)
