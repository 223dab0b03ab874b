"""The plugin's strategy: trade an LSTM's forecast on a futures account."""

from __future__ import annotations

from typing import Any

from lstm_backtrader.indicators.lstm import LSTMSignal
from lstm_backtrader.strategies.signal_futures import SignalFutures

_indicator: Any = LSTMSignal  # Backtrader's metaclass takes the parameters, which a type checker cannot see


class LSTMFutures(SignalFutures):
    """Follow the signal of `LSTMSignal`; sizes and exits are those of `SignalFutures`.

    `model`: path of an artefact, or any forecaster. `threshold`, `allow_insample`: see `LSTMSignal`.
    """

    params = (("model", None), ("threshold", None), ("allow_insample", False))

    def __init__(self) -> None:
        self.forecast = _indicator(
            self.data, model=self.p.model, threshold=self.p.threshold, allow_insample=self.p.allow_insample
        )
        self.signal = self.forecast.signal
