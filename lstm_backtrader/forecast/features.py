"""Features: numpy functions of candles, row t from bars up to t, each with a declared finite memory.

A feature reads its last `memory` bars and nothing else: sums and means are taken over that window itself, never
as running totals, so a history cut anywhere gives the same numbers (to 1e-9) once `memory` bars are there.
Live only the newest row is wanted; a feature may say a shorter way to it than the whole column.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from lstm_backtrader.candles import Bars
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.forecast.function_code import function_code

Floats = NDArray[np.float64]
Params = Mapping[str, int | str]

VOLATILITY_HALFLIFE = 24  # bars
VOLATILITY_MEMORY = 168  # returns; the weight left out is 0.5 ** 7
_VOLATILITY_WEIGHTS = 0.5 ** (np.arange(VOLATILITY_MEMORY)[::-1] / VOLATILITY_HALFLIFE)
_VOLATILITY_WEIGHTS /= _VOLATILITY_WEIGHTS.sum()
_DAY_NS = 86_400_000_000_000
_MONDAY_NS = 4 * _DAY_NS  # 1970-01-01 was a Thursday: four days to the first Monday


@dataclass(frozen=True)
class Feature:
    """A registered feature: the function and how many bars it reads, the current one included.

    `newest`: the last row alone, of `memory` bars or more; None takes the function over the last `memory` bars.
    """

    function: Callable[..., Floats]
    memory: Callable[..., int]
    newest: Callable[..., float] | None = None


FEATURES: dict[str, Feature] = {}


@dataclass(frozen=True)
class FeatureSpec:
    """A feature by name with its parameters, as kept in a model's manifest."""

    name: str
    params: Params = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in FEATURES:
            raise ConfigError(
                f"unknown feature '{self.name}'. Known: {', '.join(sorted(FEATURES))}. "
                f"If it is your own, import the module that registers it first."
            )
        signature = inspect.signature(FEATURES[self.name].memory)
        try:
            signature.bind(**self.params)
        except TypeError as error:
            raise ConfigError(
                f"feature '{self.name}' takes {', '.join(signature.parameters) or 'no parameter'}, "
                f"not {', '.join(self.params) or 'none'}."
            ) from error

    @cached_property
    def memory(self) -> int:
        """Bars the feature reads, the current one included."""
        return FEATURES[self.name].memory(**self.params)

    def code(self) -> bytes:
        """The compiled functions, so that what was computed with an older version of them is told apart."""
        registered = FEATURES[self.name]
        ways = [way for way in (registered.function, registered.newest) if way is not None]
        return b"".join(function_code(way) for way in ways)

    def compute(self, bars: Bars) -> Floats:
        """(T,) float64; the first `memory` - 1 rows are NaN."""
        if len(bars) < self.memory:
            return np.full(len(bars), np.nan)
        return FEATURES[self.name].function(bars, **self.params)

    def newest(self, bars: Bars) -> float:
        """The last row of `compute`, from the last `memory` bars alone."""
        if len(bars) < self.memory:
            return math.nan
        newest = FEATURES[self.name].newest
        if newest is None:
            return float(FEATURES[self.name].function(bars.last(self.memory), **self.params)[-1])
        return newest(bars, **self.params)


def feature(
    memory: Callable[..., int], newest: Callable[..., float] | None = None
) -> Callable[[Callable[..., Floats]], Callable[..., Floats]]:
    """Register a function `(bars, **params) -> (T,)` as a feature; `memory(**params)` gives the bars it reads.

    `newest(bars, **params)` may give the last row alone, of `memory` bars or more, for less; the same number to
    1e-9. A module that is run again, as a notebook's cells are, replaces its own; another's name is refused.
    """

    def register(function: Callable[..., Floats]) -> Callable[..., Floats]:
        name = function.__name__
        if name in FEATURES and FEATURES[name].function.__module__ != function.__module__:
            raise ConfigError(f"a feature '{name}' exists already. Choose another name.")
        FEATURES[name] = Feature(function, memory, newest)
        return function

    return register


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


def volatility(bars: Bars) -> Floats:
    """(T,) standard deviation of one bar's log return: exponentially weighted, cut after 168 returns.

    Needs 169 bars. Never zero: a market that did not move at all counts as 1e-8.
    """
    return bars.derived("volatility", _volatility)


def _volatility(bars: Bars) -> Floats:
    squares = np.diff(_log_close(bars)) ** 2
    out = np.full(len(bars), np.nan)
    if len(squares) >= VOLATILITY_MEMORY:
        variance = np.correlate(squares, _VOLATILITY_WEIGHTS, mode="valid")
        out[VOLATILITY_MEMORY:] = np.maximum(np.sqrt(variance), 1e-8)
    return out


def _newest_volatility(bars: Bars) -> float:
    return bars.derived("newest_volatility", _last_volatility)


def _last_volatility(bars: Bars) -> float:
    log_close = _log_close(bars)[-VOLATILITY_MEMORY - 1 :]
    steps = log_close[1:] - log_close[:-1]
    return max(math.sqrt((steps * steps) @ _VOLATILITY_WEIGHTS), 1e-8)


def _log_close(bars: Bars) -> Floats:
    return bars.derived("log_close", lambda bars: np.log(bars["close"]))


def _newest_log_return(bars: Bars, span: int) -> float:
    log_close = _log_close(bars)
    return float(log_close[-1] - log_close[-1 - span]) / (_newest_volatility(bars) * math.sqrt(span))


@feature(memory=lambda span: max(span, VOLATILITY_MEMORY) + 1, newest=_newest_log_return)
def log_return(bars: Bars, span: int) -> Floats:
    """Log return over `span` bars, in units of its standard deviation."""
    log_close = _log_close(bars)
    out = np.full(len(bars), np.nan)
    out[span:] = log_close[span:] - log_close[:-span]
    out /= volatility(bars) * math.sqrt(span)
    return out


def _newest_bar_range(bars: Bars) -> float:
    return float(np.log(bars["high"][-1] / bars["low"][-1])) / _newest_volatility(bars)


@feature(memory=lambda: VOLATILITY_MEMORY + 1, newest=_newest_bar_range)
def bar_range(bars: Bars) -> Floats:
    """Log of high over low, in units of one bar's standard deviation."""
    return np.divide(np.log(bars["high"] / bars["low"]), volatility(bars))


def _newest_close_location(bars: Bars) -> float:
    high, low = float(bars["high"][-1]), float(bars["low"][-1])
    return (2 * float(bars["close"][-1]) - high - low) / (high - low) if high > low else 0.0


@feature(memory=lambda: 1, newest=_newest_close_location)
def close_location(bars: Bars) -> Floats:
    """Where the close lies between low (-1) and high (+1); 0 for a bar without range."""
    width = bars["high"] - bars["low"]
    middle = 2 * bars["close"] - bars["high"] - bars["low"]
    return np.divide(middle, width, out=np.zeros(len(bars)), where=width > 0)


def _newest_volume_z(bars: Bars, span: int) -> float:
    root = np.cbrt(bars["volume"][-span:])
    mean = float(np.add.reduce(root)) / span
    away = root - mean
    std = math.sqrt(np.add.reduce(away * away) / span)
    if math.isnan(mean):
        return math.nan
    return float(away[-1]) / std if std > 1e-12 * abs(mean) else 0.0


@feature(memory=lambda span: span, newest=_newest_volume_z)
def volume_z(bars: Bars, span: int) -> Floats:
    """z-score of the cube root of volume over `span` bars; 0 where volume does not vary.

    The cube root makes volumes nearly normal (Wilson and Hilferty, PNAS 1931), takes zeros, and leaves the
    score free of the unit of volume.
    """
    root = np.cbrt(bars["volume"])
    mean, std = window_mean_std(root, span)
    return np.divide(root - mean, std, out=np.where(np.isnan(mean), np.nan, 0.0), where=std > 1e-12 * np.abs(mean))


def _newest_clock(bars: Bars, cycle: str, wave: str) -> float:
    length = _DAY_NS if cycle == "day" else 7 * _DAY_NS
    angle = 2 * math.pi * ((int(bars.open_time[-1]) - _MONDAY_NS) % length) / length
    return math.sin(angle) if wave == "sin" else math.cos(angle)


@feature(memory=lambda cycle, wave: 1, newest=_newest_clock)
def clock(bars: Bars, cycle: str, wave: str) -> Floats:
    """Sine or cosine of the open time within the `day` or the `week` (from Monday 00:00 UTC)."""
    length = _DAY_NS if cycle == "day" else 7 * _DAY_NS
    angle = 2 * np.pi * ((bars.open_time - _MONDAY_NS) % length) / length
    return np.sin(angle) if wave == "sin" else np.cos(angle)


@feature(memory=lambda column: 1)
def event(bars: Bars, column: str) -> Floats:
    """Value of an event column at its bar, 0 where nothing happened (NaN or 0)."""
    return np.nan_to_num(bars[column], nan=0.0)


def window_mean_std(values: Floats, span: int) -> tuple[Floats, Floats]:
    """Mean and standard deviation (ddof 0) of the last `span` values, two passes over each window: (T,), (T,)."""
    mean, std = np.full(len(values), np.nan), np.full(len(values), np.nan)
    if len(values) < span:
        return mean, std
    windows = sliding_window_view(values, span)  # (T - span + 1, span), a view
    chunk = max(1, 1_000_000 // span)
    for start in range(0, len(windows), chunk):
        part = windows[start : start + chunk]
        centre = np.add.reduce(part, axis=1) / span  # what mean() does, for a third of its overhead
        rows = slice(span - 1 + start, span - 1 + start + len(part))
        mean[rows] = centre
        std[rows] = np.sqrt(np.add.reduce((part - centre[:, None]) ** 2, axis=1) / span)
    return mean, std


def volume_spikes(bars: Bars, threshold: float = 3.2, span: int = 168) -> NDArray[np.bool_]:
    """(T,) True at event bars: volume `threshold` standard deviations above its last `span` bars."""
    z = FeatureSpec("volume_z", {"span": span}).compute(bars)
    return np.nan_to_num(z, nan=0.0) > threshold
