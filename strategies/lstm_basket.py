"""The forecasts of one model, or of one each, traded on several instruments and one account."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from lstm_backtrader.errors import ConfigError
from lstm_backtrader.indicators.lstm import LSTMSignal
from lstm_backtrader.strategies import parameters as p
from lstm_backtrader.strategies.signal_basket import SignalBasket

_indicator: Any = LSTMSignal  # Backtrader's metaclass takes the parameters, which a type checker cannot see

PARAMETERS = (
    p.anything("model", None, "a path or a forecaster, or several by name", "one for all, or one for each data"),
    p.number(
        "threshold", None, 0, math.inf, "units of the forecast", "|forecast| to act on; None: the models' own"
    ),
    p.switch("allow_insample", "forecast also bars a model was trained on, which says nothing about the future"),
)


class LSTMBasket(SignalBasket):
    """Follow the signal of an `LSTMSignal` on each data; all else is that of `SignalBasket`.

    `model`: a path or forecaster that all share, or a mapping of the datas' names to one each, such as
    `lstm_backtrader.train_pooled` makes.
    """

    params = tuple((each.name, each.default) for each in PARAMETERS)

    def __init__(self) -> None:
        self.forecasts = [
            _indicator(
                data,
                model=self._model_of(data._name),
                threshold=self.p.threshold,
                allow_insample=self.p.allow_insample,
            )
            for data in self.datas
        ]
        self.signals = [each.signal for each in self.forecasts]

    @classmethod
    def parameters(cls) -> Sequence[p.Parameter]:
        return (*PARAMETERS, *super().parameters())

    def _model_of(self, name: str) -> object:
        model = self.p.model
        if not isinstance(model, Mapping):
            return model
        if name not in model:
            meant = get_close_matches(name, model, n=1)
            hint = f"Did you mean {meant[0]}?" if meant else f"There are models of {', '.join(map(str, model))}."
            raise ConfigError(f"there is no model of instrument '{name}'. {hint}")
        return model[name]
