"""Feeds that hand candles to Cerebro, and a synthetic market with a known oracle.

Names are resolved on first use, so the synthetic market can be had without loading backtrader.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lstm_backtrader.datafeeds.frames import CandleFeed
    from lstm_backtrader.datafeeds.grouping import resample_candles
    from lstm_backtrader.datafeeds.series import Series
    from lstm_backtrader.datafeeds.store import Store
    from lstm_backtrader.datafeeds.store_feed import StoreFeed
    from lstm_backtrader.datafeeds.synthetic import synthetic_market

_HOME = {
    "CandleFeed": "lstm_backtrader.datafeeds.frames",
    "Series": "lstm_backtrader.datafeeds.series",
    "Store": "lstm_backtrader.datafeeds.store",
    "StoreFeed": "lstm_backtrader.datafeeds.store_feed",
    "resample_candles": "lstm_backtrader.datafeeds.grouping",
    "synthetic_market": "lstm_backtrader.datafeeds.synthetic",
}

__all__ = [
    "CandleFeed",
    "Series",
    "Store",
    "StoreFeed",
    "resample_candles",
    "synthetic_market",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
