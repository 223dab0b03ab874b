"""Backtrader strategies for futures, and the baselines every result is shown beside."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lstm_backtrader.strategies.baselines import BuyAndHold, Momentum, RandomEntry, SmaCross
    from lstm_backtrader.strategies.blackout import EventBlackout
    from lstm_backtrader.strategies.desk import Desk
    from lstm_backtrader.strategies.elliott_futures import ElliottFutures
    from lstm_backtrader.strategies.event_futures import EventFutures
    from lstm_backtrader.strategies.exits import StopLoss, TakeProfit, TrailingStop
    from lstm_backtrader.strategies.guards import (
        ConsecutiveLosses,
        DailyLossLimit,
        MaxDrawdown,
        StaleData,
        StaleModel,
    )
    from lstm_backtrader.strategies.limits import leverage_for
    from lstm_backtrader.strategies.lstm_futures import LSTMFutures
    from lstm_backtrader.strategies.signal_futures import SignalFutures
    from lstm_backtrader.strategies.situation import Situation
    from lstm_backtrader.strategies.sizing import (
        Capped,
        CappedKelly,
        FixedNotional,
        FractionOfEquity,
        RiskPerTrade,
        VolatilityTarget,
        size_for,
    )

_HOME = {
    "BuyAndHold": "baselines",
    "Capped": "sizing",
    "CappedKelly": "sizing",
    "ConsecutiveLosses": "guards",
    "DailyLossLimit": "guards",
    "Desk": "desk",
    "ElliottFutures": "elliott_futures",
    "EventBlackout": "blackout",
    "EventFutures": "event_futures",
    "FixedNotional": "sizing",
    "FractionOfEquity": "sizing",
    "LSTMFutures": "lstm_futures",
    "MaxDrawdown": "guards",
    "Momentum": "baselines",
    "RandomEntry": "baselines",
    "RiskPerTrade": "sizing",
    "SignalFutures": "signal_futures",
    "Situation": "situation",
    "SmaCross": "baselines",
    "StaleData": "guards",
    "StaleModel": "guards",
    "StopLoss": "exits",
    "TakeProfit": "exits",
    "TrailingStop": "exits",
    "VolatilityTarget": "sizing",
    "leverage_for": "limits",
    "size_for": "sizing",
}

__all__ = [
    "BuyAndHold",
    "Capped",
    "CappedKelly",
    "ConsecutiveLosses",
    "DailyLossLimit",
    "Desk",
    "ElliottFutures",
    "EventBlackout",
    "EventFutures",
    "FixedNotional",
    "FractionOfEquity",
    "LSTMFutures",
    "MaxDrawdown",
    "Momentum",
    "RandomEntry",
    "RiskPerTrade",
    "SignalFutures",
    "Situation",
    "SmaCross",
    "StaleData",
    "StaleModel",
    "StopLoss",
    "TakeProfit",
    "TrailingStop",
    "VolatilityTarget",
    "leverage_for",
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
