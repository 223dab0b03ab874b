"""The features there are: functions of candles registered by name, each with the bars it reads.

A feature reads its last `memory` bars and nothing else: sums and means are taken over that window itself, never
as running totals, so a history cut anywhere gives the same numbers (to 1e-9) once `memory` bars are there.
Live only the newest row is wanted; a feature may say a shorter way to it than the whole column.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lstm_backtrader.candles import Bars
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.forecast.function_code import function_code
from lstm_backtrader.forecast.named import Params, check_name, complete, parse, show

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Feature:
    """A registered feature: the function and how many bars it reads, the current one included.

    `newest`: the last row alone, of `memory` bars or more; None takes the function over the last `memory` bars.
    `columns`: what it reads besides open, high, low, close, volume and a column its parameters name.
    """

    function: Callable[..., Floats]
    memory: Callable[..., int]
    newest: Callable[..., float] | None = None
    columns: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """First line of the function's docstring."""
        return (self.function.__doc__ or "").strip().partition("\n")[0]


FEATURES: dict[str, Feature] = {}


@dataclass(frozen=True)
class FeatureSpec:
    """A feature by name with its parameters, as kept in a model's manifest.

    Parameters that are left out get their defaults at once, so that a manifest says all of them.
    """

    name: str
    params: Params = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name("feature", self.name, FEATURES)
        params = complete("feature", self.name, self.params, FEATURES[self.name].memory)
        object.__setattr__(self, "params", params)
        if self.memory < 1:
            raise ConfigError(
                f"feature '{self}' reads {self.memory} bars. Give parameters by which it reads 1 or more."
            )

    @classmethod
    def parse(cls, text: str) -> FeatureSpec:
        """From text: ``log_return:span=24``. Raises `ConfigError`."""
        return cls(*parse(text))

    def __str__(self) -> str:
        return show(self.name, self.params)

    @cached_property
    def memory(self) -> int:
        """Bars the feature reads, the current one included."""
        return FEATURES[self.name].memory(**self.params)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns it reads besides open, high, low, close and volume."""
        named = (str(self.params["column"]),) if "column" in self.params else ()
        return (*FEATURES[self.name].columns, *named)

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
    memory: Callable[..., int], newest: Callable[..., float] | None = None, columns: tuple[str, ...] = ()
) -> Callable[[Callable[..., Floats]], Callable[..., Floats]]:
    """Register a function `(bars, **params) -> (T,)` as a feature; `memory(**params)` gives the bars it reads.

    The parameters and their defaults are those of `memory`. `columns`: what it reads besides open, high, low,
    close and volume; a parameter named `column` counts by itself. `newest(bars, **params)` may give the last row
    alone, of `memory` bars or more, for less; the same number to 1e-9. A module that is run again, as a notebook's
    cells are, replaces its own; another's name is refused.
    """

    def register(function: Callable[..., Floats]) -> Callable[..., Floats]:
        name = function.__name__
        if name in FEATURES and FEATURES[name].function.__module__ != function.__module__:
            raise ConfigError(f"a feature '{name}' exists already. Choose another name.")
        FEATURES[name] = Feature(function, memory, newest, columns)
        return function

    return register
