"""Labels: what the network learns to forecast, known only `horizon` bars later.

A label of your own is a function under `label`; `LabelSpec` names one with its parameters.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lstm_backtrader.candles import Bars, bar_seconds
from lstm_backtrader.errors import ConfigError, DataError
from lstm_backtrader.forecast.barriers import Barriers, Outcomes, is_whole, outcomes
from lstm_backtrader.forecast.features import volatility
from lstm_backtrader.forecast.function_code import function_code
from lstm_backtrader.forecast.named import Params, check_name, complete, parse, show

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

LABEL_CLIP = 5.0
_FUNDING_S = 8 * 3600  # what funding is quoted for, whatever the venue's own interval
_BPS = 1e-4


@dataclass(frozen=True)
class LabelFunction:
    """A registered label: the function, how many bars ahead it looks, and whether it says -1, 0 or 1.

    `known_at(bars, **params)`: (T,) the row in which each label comes to be known; None: `horizon` bars on.
    """

    function: Callable[..., Floats]
    horizon: Callable[..., int]
    is_class: bool = False
    known_at: Callable[..., Rows] | None = None

    @property
    def description(self) -> str:
        """First line of the function's docstring."""
        return (self.function.__doc__ or "").strip().partition("\n")[0]


LABELS: dict[str, LabelFunction] = {}


@dataclass(frozen=True)
class LabelSpec:
    """A label by name with its parameters, defaults included."""

    name: str
    params: Params = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name("label", self.name, LABELS)
        object.__setattr__(self, "params", complete("label", self.name, self.params, LABELS[self.name].horizon))
        if self.horizon < 1:
            raise ConfigError(f"label '{self}' looks {self.horizon} bars ahead. Give one that looks 1 or more.")

    @classmethod
    def parse(cls, text: str, horizon: int) -> LabelSpec:
        """From text, ``three_classes:fee_bps=4``; `horizon` is its parameter of that name, if it has one and the
        text does not say it. Raises `ConfigError`.
        """
        name, params = parse(text)
        check_name("label", name, LABELS)
        if "horizon" in _parameters(name):
            params.setdefault("horizon", horizon)
        return cls(name, params)

    def __str__(self) -> str:
        return show(self.name, self.params)

    @cached_property
    def horizon(self) -> int:
        """Bars ahead it looks."""
        return LABELS[self.name].horizon(**self.params)

    @property
    def is_class(self) -> bool:
        """Whether it says -1, 0 or 1 (down, neither, up) instead of a quantity."""
        return LABELS[self.name].is_class

    @property
    def is_own(self) -> bool:
        """Whether it is a user's, and none of ours."""
        return not LABELS[self.name].function.__module__.startswith("lstm_backtrader.")

    def code(self) -> bytes:
        """The compiled function, so that what was trained with another version of it is told apart."""
        return function_code(LABELS[self.name].function)

    def known_at(self, bars: Bars) -> Rows:
        """(T,) the row in which each label comes to be known, -1 where it never does."""
        rows = np.arange(len(bars)) + self.horizon
        known_at = LABELS[self.name].known_at
        found = rows if known_at is None else known_at(bars, **self.params)
        return np.where(rows < len(bars), found, -1)

    def compute(self, bars: Bars) -> Floats:
        """(T,), NaN where unknown: in any case in the last `horizon` rows. Raises `DataError` for anything else."""
        y = np.asarray(LABELS[self.name].function(bars, **self.params), dtype=np.float64)
        if y.shape != (len(bars),):
            raise DataError(
                f"label '{self}' gave an array of shape {y.shape} for {len(bars)} bars. Give one a bar."
            )
        y = np.where(np.arange(len(bars)) < len(bars) - self.horizon, y, np.nan)
        if self.is_class and not np.isin(y[~np.isnan(y)], (-1, 0, 1)).all():
            raise DataError(
                f"label '{self}' has classes and said other than -1, 0 or 1. Say NaN where it is unknown."
            )
        return y


def label(
    horizon: Callable[..., int], is_class: bool = False, known_at: Callable[..., Rows] | None = None
) -> Callable[[Callable[..., Floats]], Callable[..., Floats]]:
    """Register a function `(bars, **params) -> (T,)` as a label; `horizon(**params)` gives the bars it looks ahead.

    The parameters and their defaults are those of `horizon`; one that is called horizon is the `horizon` of the
    training. The label of row t may read bars up to t + horizon and no later one: as many bars are kept between
    train and validation, and without forecast after the training. `is_class`: it says -1, 0 or 1.
    `known_at(bars, **params)` gives the row in which each label is known, where that may be sooner. A module that
    is run again replaces its own; another's name is refused.
    """

    def register(function: Callable[..., Floats]) -> Callable[..., Floats]:
        name = function.__name__
        if name in LABELS and LABELS[name].function.__module__ != function.__module__:
            raise ConfigError(f"a label '{name}' exists already. Choose another name.")
        LABELS[name] = LabelFunction(function, horizon, is_class, known_at)
        return function

    return register


def _parameters(name: str) -> tuple[str, ...]:
    return tuple(inspect.signature(LABELS[name].horizon).parameters)


def _return_ahead(bars: Bars, horizon: int) -> Floats:
    """(T,) log return from the open of the next bar to the close `horizon` bars on, whatever bars are missing."""
    out = np.full(len(bars), np.nan)
    if len(bars) > horizon:
        out[:-horizon] = np.log(bars["close"][horizon:] / bars["open"][1 : len(bars) - horizon + 1])
    return out


@label(horizon=lambda horizon=24: horizon)
def scaled_return(bars: Bars, horizon: int) -> Floats:
    """Log return from the next open to the close `horizon` bars on, in units of its volatility, clipped to +-5.

    y[t] = log(close[t + k] / open[t + 1]) / (sigma[t] sqrt(k)): what a position gets that is entered on the
    forecast of bar t. NaN where sigma is unknown, where the future has not happened yet, and where one of the k
    bars is missing.
    """
    scaled = _return_ahead(bars, horizon) / (volatility(bars) * np.sqrt(horizon))
    return np.where(is_whole(bars, horizon), np.clip(scaled, -LABEL_CLIP, LABEL_CLIP), np.nan)


def _classes_horizon(
    horizon: int = 24, fee_bps: float = 5.0, slippage_bps: float = 1.0, funding_bps: float = 1.0
) -> int:
    for name, value in (("fee_bps", fee_bps), ("slippage_bps", slippage_bps), ("funding_bps", funding_bps)):
        if value < 0:
            raise ConfigError(f"label 'three_classes': {name} {value} is below 0. Costs are 0 or more.")
    return horizon


@label(horizon=_classes_horizon, is_class=True)
def three_classes(bars: Bars, horizon: int, fee_bps: float, slippage_bps: float, funding_bps: float) -> Floats:
    """1 or -1 where the return of `horizon` bars pays for a position that way and its costs, else 0.

    The scaled return against a dead zone of round-trip cost over sigma sqrt(k), which is the return itself against
    the cost: `fee_bps` and `slippage_bps` a side, in 0.01 %, and `funding_bps`, the size of the expected funding
    in 8 hours. NaN where the scaled return is.
    """
    y = scaled_return(bars, horizon)
    cost = 2 * (fee_bps + slippage_bps) * _BPS
    if len(bars) > 1:
        cost += funding_bps * _BPS * horizon * bar_seconds(bars.open_time) / _FUNDING_S
    ahead = _return_ahead(bars, horizon)
    return np.where(np.isnan(y), np.nan, np.sign(ahead) * (np.abs(ahead) > cost))


def _barriers_horizon(
    horizon: int = 24,
    stop_price_pct: float = 0.02,
    take_profit_price_pct: float = 0.04,
    fee_bps: float = 5.0,
    maker_fee_bps: float = 2.0,
) -> int:
    if horizon < 2:
        raise ConfigError(
            f"label 'triple_barrier': horizon {horizon} leaves no bar to hold a position, which is entered at the "
            "next open and left at the open of the bar `horizon` on. Give 2 or more."
        )
    for name, value in (("fee_bps", fee_bps), ("maker_fee_bps", maker_fee_bps)):
        if not 0 <= value < 1000:
            raise ConfigError(f"label 'triple_barrier': {name} {value} is outside 0 to 1000. 5 is 0.05 % a side.")
    _barriers(horizon, stop_price_pct, take_profit_price_pct, fee_bps, maker_fee_bps)  # raises for what cannot be
    return horizon


def _barriers(
    horizon: int, stop_price_pct: float, take_profit_price_pct: float, fee_bps: float, maker_fee_bps: float
) -> Barriers:
    return Barriers(horizon - 1, stop_price_pct, take_profit_price_pct, fee_bps * _BPS, maker_fee_bps * _BPS)


def _both_sides(bars: Bars, **params: Any) -> tuple[Outcomes, Outcomes]:
    barriers = _barriers(**params)
    return outcomes(bars, 1, barriers), outcomes(bars, -1, barriers)


def _both_over(bars: Bars, **params: Any) -> Rows:
    long, short = _both_sides(bars, **params)
    return np.maximum(long.exit_row, short.exit_row)


@label(horizon=_barriers_horizon, is_class=True, known_at=_both_over)
def triple_barrier(bars: Bars, **params: Any) -> Floats:
    """1 or -1 where a position that way, with stop, take profit and an end in time, leaves money, else 0.

    Entered at the open of t + 1; ended by the stop or the take profit, which are orders at their distance from the
    entry, or at the open of t + `horizon`. It is what the futures account gets of it, less `fee_bps` a side
    (`maker_fee_bps` for a take profit) and the funding that is in the candles; where both ways would leave money,
    the better one. NaN where a bar on the way is missing. Source: Lopez de Prado, Advances in Financial Machine
    Learning, ch. 3.
    """
    long, short = (side.net_return for side in _both_sides(bars, **params))
    won = np.where(long > short, 1.0, -1.0) * (np.maximum(long, short) > 0.0)
    return np.where(np.isnan(long) | np.isnan(short), np.nan, won)


def in_label_units(said: Floats, bars: Bars, horizon: int, kind: Literal["log_return", "next_close"]) -> Floats:
    """What M nets trained elsewhere said at the last N bars, log returns or closes, as scaled returns: (M, N).

    NaN where sigma is unknown (the first 168 bars), and where a forecast close is not above zero.
    """
    last = slice(len(bars) - said.shape[1], None)
    if kind == "next_close":
        said = np.log(np.where(said > 0, said, np.nan) / bars["close"][last])
    return np.asarray(said / (volatility(bars)[last] * np.sqrt(horizon)))
