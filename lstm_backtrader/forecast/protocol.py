"""What the indicator asks of a forecaster; anything that meets it can be plugged in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from numbers import Integral
from typing import NamedTuple, Protocol, cast, runtime_checkable

import pandas as pd

from lstm_backtrader.candles import Bars
from lstm_backtrader.errors import ConfigError

FORECAST_COLUMNS = ("forecast", "prob_up", "spread")


class ForecastPoint(NamedTuple):
    """The forecast known at the close of one bar; NaN where there is none.

    `forecast`: expected return over the horizon in units of its volatility. `prob_up`: probability in [0, 1]
    that it is positive. `spread`: standard deviation over the ensemble, in units of `forecast`. A model of three
    classes says p(up) - p(down) and p(up), a rise that pays for its costs.
    """

    forecast: float
    prob_up: float
    spread: float


NO_FORECAST = ForecastPoint(float("nan"), float("nan"), float("nan"))


class ForecastStream(Protocol):
    """A running forecast, one bar after the other."""

    def update(self, tail: Callable[[int], Bars]) -> ForecastPoint:
        """The forecast of the newest bar. `tail(n)` gives the last n bars (fewer where there are fewer).

        Called again for a bar that is still forming, it forecasts the bar as it is now and forgets the
        earlier version.
        """
        ...


@runtime_checkable
class Forecaster(Protocol):
    """Candles to forecast, at once or bar by bar, with the same numbers.

    Optional attributes: `columns` (columns of the candles it reads, default open high low close volume),
    `threshold` (|forecast| from which the signal is +-1, default 0), `valid_from` and `valid_until` (bars
    before and from then on get no forecast), `horizon` (bars ahead it forecasts, to measure it by), `half_width`
    (of the interval `lo` to `hi` around the forecast), `is_class` (whether `forecast` is p(up) - p(down) and no
    quantity), `is_return` (whether it is a return in units of its volatility, as without one), `trained_until`,
    `seam`, `name` and `history` (for the report). Where they change from bar to bar, as in a schedule of models,
    `threshold_at(times)`, `half_width_at(times)` and `expired_at(times)` (ns since 1970, (T,)) take the place of
    `threshold`, `half_width` and `valid_until`.
    """

    @property
    def timeframe(self) -> pd.Timedelta:
        """Bar length of the candles it understands."""
        ...

    @property
    def warmup(self) -> int:
        """Bars that must be there before the first forecast."""
        ...

    def predict(self, candles: pd.DataFrame) -> pd.DataFrame:
        """Columns `forecast`, `prob_up`, `spread` on the candles' index; row t known at the close of bar t."""
        ...

    def stream(self) -> ForecastStream:
        """A fresh stream."""
        ...


_MEMBERS = ("timeframe", "warmup", "predict", "stream")


def check_forecaster(model: object) -> Forecaster:
    """`model`, if it meets the protocol; `ConfigError` with every member that is missing or wrong."""
    if isinstance(model, type):
        raise ConfigError(f"model is the class {model.__name__}. Give an instance: model={model.__name__}(...).")
    missing = [name for name in _MEMBERS if not hasattr(model, name)]
    if len(missing) == len(_MEMBERS):
        brought = " A torch module becomes one by `lbt.from_module`." if hasattr(model, "state_dict") else ""
        raise ConfigError(
            f"model of type {type(model).__name__} is neither a path nor a forecaster. Give the directory "
            f"`lbt train` wrote, or an object with {', '.join(_MEMBERS[:-1])} and {_MEMBERS[-1]}.{brought}"
        )
    wrong = [f"it has no `{name}`" for name in missing]
    wrong += [fault for name in _MEMBERS if name not in missing and (fault := _fault(name, getattr(model, name)))]
    columns = getattr(model, "columns", ())
    if isinstance(columns, str) or not all(isinstance(name, str) for name in columns):
        wrong.append(f"`columns` {columns!r} is no sequence of names")
    if wrong:
        raise ConfigError(
            f"{type(model).__name__} is no forecaster yet: {'; '.join(wrong)}. See docs/own-model.md."
        )
    return cast(Forecaster, model)


def _fault(name: str, member: object) -> str:
    """What is wrong with a member of a forecaster; empty if nothing."""
    if name in ("predict", "stream"):
        if not callable(member):
            return f"`{name}` is no method but {member!r}"
        stream = member() if name == "stream" else None
        return (
            ""
            if stream is None or callable(getattr(stream, "update", None))
            else (f"`stream()` gives a {type(stream).__name__} without the method `update`")
        )
    if name == "warmup":
        is_count = isinstance(member, Integral) and not isinstance(member, bool) and int(member) >= 1
        return "" if is_count else f"`warmup` {member!r} is no whole number of bars, 1 or more"
    try:
        is_length = isinstance(member, str | timedelta) and pd.Timedelta(member) > pd.Timedelta(0)
    except ValueError:
        is_length = False
    return "" if is_length else f"`timeframe` {member!r} is no pd.Timedelta above 0, such as pd.Timedelta('1h')"


def check_forecast(forecast: object, candles: pd.DataFrame, forecaster: Forecaster) -> pd.DataFrame:
    """What `predict` gave, if it has the columns and rows it must have; else `ConfigError`."""
    name = type(forecaster).__name__
    if not isinstance(forecast, pd.DataFrame):
        raise ConfigError(
            f"{name}.predict gave a {type(forecast).__name__}. Return a DataFrame on the candles' index."
        )
    lacking = [column for column in FORECAST_COLUMNS if column not in forecast.columns]
    if lacking:
        raise ConfigError(
            f"{name}.predict gave no column {', '.join(lacking)}. Fill what you do not know with NaN."
        )
    if len(forecast) != len(candles):
        raise ConfigError(
            f"{name}.predict gave {len(forecast)} rows for {len(candles)} candles. Return one for each, NaN where "
            f"there is no forecast."
        )
    return forecast
