"""Backtrader strategies for futures, and the baselines every result is shown beside."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lstm_backtrader.strategies.baselines import BuyAndHold, Momentum, RandomEntry, SmaCross
    from lstm_backtrader.strategies.blackout import EventBlackout
    from lstm_backtrader.strategies.confluence import Confluence, When
    from lstm_backtrader.strategies.desk import Desk
    from lstm_backtrader.strategies.elliott_futures import ElliottFutures
    from lstm_backtrader.strategies.entries import (
        Cooldown,
        CostThreshold,
        Hysteresis,
        IntervalClear,
        LongOnly,
        MaxFunding,
        MaxSpread,
        MinProbability,
        Sessions,
        ShortOnly,
    )
    from lstm_backtrader.strategies.event_futures import EventFutures
    from lstm_backtrader.strategies.exits import BreakEven, StopLoss, TakeProfit, TrailingStop
    from lstm_backtrader.strategies.guards import (
        ConsecutiveLosses,
        DailyLossLimit,
        MaxDrawdown,
        StaleData,
        StaleModel,
    )
    from lstm_backtrader.strategies.limits import leverage_for
    from lstm_backtrader.strategies.line_exits import AtrStop, LineStop
    from lstm_backtrader.strategies.lstm_basket import LSTMBasket
    from lstm_backtrader.strategies.lstm_futures import LSTMFutures
    from lstm_backtrader.strategies.rules import Entry, Exit, ExitOrder, Guard, Sizing
    from lstm_backtrader.strategies.signal_basket import SignalBasket
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
    from lstm_backtrader.strategies.timed_exits import BeforeFunding, SignalFlip, TimeLimit

_PACKAGE = "lstm_backtrader.strategies"  # whatever name `btrun` loads this file under

_HOME = {
    "AtrStop": "line_exits",
    "BeforeFunding": "timed_exits",
    "BreakEven": "exits",
    "BuyAndHold": "baselines",
    "Capped": "sizing",
    "CappedKelly": "sizing",
    "Confluence": "confluence",
    "ConsecutiveLosses": "guards",
    "Cooldown": "entries",
    "CostThreshold": "entries",
    "DailyLossLimit": "guards",
    "Desk": "desk",
    "ElliottFutures": "elliott_futures",
    "Entry": "rules",
    "EventBlackout": "blackout",
    "EventFutures": "event_futures",
    "Exit": "rules",
    "ExitOrder": "rules",
    "FixedNotional": "sizing",
    "FractionOfEquity": "sizing",
    "Guard": "rules",
    "Hysteresis": "entries",
    "IntervalClear": "entries",
    "LSTMBasket": "lstm_basket",
    "LSTMFutures": "lstm_futures",
    "LineStop": "line_exits",
    "LongOnly": "entries",
    "MaxDrawdown": "guards",
    "MaxFunding": "entries",
    "MaxSpread": "entries",
    "MinProbability": "entries",
    "Momentum": "baselines",
    "RandomEntry": "baselines",
    "RiskPerTrade": "sizing",
    "Sessions": "entries",
    "ShortOnly": "entries",
    "SignalFlip": "timed_exits",
    "SignalBasket": "signal_basket",
    "SignalFutures": "signal_futures",
    "Situation": "situation",
    "Sizing": "rules",
    "SmaCross": "baselines",
    "StaleData": "guards",
    "StaleModel": "guards",
    "StopLoss": "exits",
    "TakeProfit": "exits",
    "TimeLimit": "timed_exits",
    "TrailingStop": "exits",
    "VolatilityTarget": "sizing",
    "When": "confluence",
    "leverage_for": "limits",
    "size_for": "sizing",
}

__all__ = [
    "AtrStop",
    "BeforeFunding",
    "BreakEven",
    "BuyAndHold",
    "Capped",
    "CappedKelly",
    "Confluence",
    "ConsecutiveLosses",
    "Cooldown",
    "CostThreshold",
    "DailyLossLimit",
    "Desk",
    "ElliottFutures",
    "Entry",
    "EventBlackout",
    "EventFutures",
    "Exit",
    "ExitOrder",
    "FixedNotional",
    "FractionOfEquity",
    "Guard",
    "Hysteresis",
    "IntervalClear",
    "LSTMBasket",
    "LSTMFutures",
    "LineStop",
    "LongOnly",
    "MaxDrawdown",
    "MaxFunding",
    "MaxSpread",
    "MinProbability",
    "Momentum",
    "RandomEntry",
    "RiskPerTrade",
    "Sessions",
    "ShortOnly",
    "SignalBasket",
    "SignalFlip",
    "SignalFutures",
    "Situation",
    "Sizing",
    "SmaCross",
    "StaleData",
    "StaleModel",
    "StopLoss",
    "TakeProfit",
    "TimeLimit",
    "TrailingStop",
    "VolatilityTarget",
    "When",
    "leverage_for",
    "size_for",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{_PACKAGE}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
