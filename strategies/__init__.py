"""Backtrader strategies for futures, and the baselines every result is shown beside."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lstm_backtrader.strategies.baselines import BuyAndHold, Momentum, RandomEntry, SmaCross
    from lstm_backtrader.strategies.desk import Desk
    from lstm_backtrader.strategies.elliott_futures import ElliottFutures
    from lstm_backtrader.strategies.exits import StopLoss, TakeProfit, TrailingStop
    from lstm_backtrader.strategies.lstm_futures import LSTMFutures
    from lstm_backtrader.strategies.signal_futures import SignalFutures
    from lstm_backtrader.strategies.situation import Situation
    from lstm_backtrader.strategies.sizing import size_for

_HOME = {
    "BuyAndHold": "baselines",
    "Desk": "desk",
    "ElliottFutures": "elliott_futures",
    "LSTMFutures": "lstm_futures",
    "Momentum": "baselines",
    "RandomEntry": "baselines",
    "SignalFutures": "signal_futures",
    "Situation": "situation",
    "SmaCross": "baselines",
    "StopLoss": "exits",
    "TakeProfit": "exits",
    "TrailingStop": "exits",
    "size_for": "sizing",
}

__all__ = [
    "BuyAndHold",
    "Desk",
    "ElliottFutures",
    "LSTMFutures",
    "Momentum",
    "RandomEntry",
    "SignalFutures",
    "Situation",
    "SmaCross",
    "StopLoss",
    "TakeProfit",
    "TrailingStop",
    "size_for",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
