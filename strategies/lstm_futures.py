"""The plugin's strategy: trade an LSTM's forecast on a futures account."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lstm_backtrader.indicators.lstm import LSTMSignal
from lstm_backtrader.strategies import parameters as p
from lstm_backtrader.strategies.entries import CostThreshold, IntervalClear, MaxSpread, MinProbability
from lstm_backtrader.strategies.rules import Entry
from lstm_backtrader.strategies.signal_futures import SignalFutures

_indicator: Any = LSTMSignal  # Backtrader's metaclass takes the parameters, which a type checker cannot see

PARAMETERS = (
    p.anything("model", None, "a path or a forecaster", "the directory of a model, or any object that forecasts"),
    p.number(
        "threshold",
        None,
        0,
        math.inf,
        "units of the forecast",
        "size of the forecast to act on; None: the model's own",
    ),
    p.number(
        "leave_threshold",
        None,
        -math.inf,
        math.inf,
        "units of the forecast",
        "a position is held while the forecast for its side is as large; None: `threshold`",
        "()",
    ),
    p.number("cost_multiple", 0.0, 0, math.inf, "round-trip costs", "the expected return to enter on; 0: any"),
    p.number("min_probability", 0.0, 0, 1, "a probability: 0.55 is 55 %", "that the side is right; 0: any"),
    p.number(
        "max_spread",
        None,
        0,
        math.inf,
        "units of the forecast",
        "between the nets of the ensemble; None: any",
        "()",
    ),
    p.switch("interval_clear", "enter only if the interval around the forecast does not hold zero"),
    p.switch("allow_insample", "forecast also bars the model was trained on, which says nothing about the future"),
)


class LSTMFutures(SignalFutures):
    """Follow the signal of `LSTMSignal`; all else is that of `SignalFutures`.

    `model`: path of an artefact, or any forecaster. With `leave_threshold` below `threshold` a position that was
    entered on a large forecast is held until the forecast is small (hysteresis). docs/strategy.md lists the rest.
    """

    params = tuple((each.name, each.default) for each in PARAMETERS)

    def __init__(self) -> None:
        self.forecast = _indicator(
            self.data, model=self.p.model, threshold=self.p.threshold, allow_insample=self.p.allow_insample
        )
        self.signal = self.forecast.signal

    @classmethod
    def parameters(cls) -> Sequence[p.Parameter]:
        return (*PARAMETERS, *super().parameters())

    def own_entries(self) -> list[Entry]:
        found = super().own_entries()
        if self.p.cost_multiple:
            found.append(CostThreshold(self.p.cost_multiple))
        if self.p.min_probability:
            found.append(MinProbability(self.p.min_probability))
        if self.p.max_spread is not None:
            found.append(MaxSpread(self.p.max_spread))
        if self.p.interval_clear:
            found.append(IntervalClear())
        return found

    def target(self) -> int:
        held = self.desk.held
        if (
            held
            and self.p.leave_threshold is not None
            and self.forecast.forecast[0] * held >= self.p.leave_threshold
        ):
            return held
        return super().target()
