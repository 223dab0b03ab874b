"""Feeds that hand candles to Cerebro, and a synthetic market with a known oracle.

Names are resolved on first use, so the synthetic market can be had without loading backtrader.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lstm_backtrader.datafeeds.ccxt_client import connect
    from lstm_backtrader.datafeeds.ccxt_history import fetch_closed
    from lstm_backtrader.datafeeds.ccxt_live import CCXTLive
    from lstm_backtrader.datafeeds.downloading import download
    from lstm_backtrader.datafeeds.frames import CandleFeed
    from lstm_backtrader.datafeeds.grouping import resample_candles
    from lstm_backtrader.datafeeds.loopback.faults import Faults
    from lstm_backtrader.datafeeds.loopback.market import ServedMarket
    from lstm_backtrader.datafeeds.loopback.server import LoopbackVenue
    from lstm_backtrader.datafeeds.series import Series
    from lstm_backtrader.datafeeds.store import Store
    from lstm_backtrader.datafeeds.store_feed import StoreFeed
    from lstm_backtrader.datafeeds.synthetic import synthetic_market

_HOME = {
    "CCXTLive": "lstm_backtrader.datafeeds.ccxt_live",
    "CandleFeed": "lstm_backtrader.datafeeds.frames",
    "Faults": "lstm_backtrader.datafeeds.loopback.faults",
    "LoopbackVenue": "lstm_backtrader.datafeeds.loopback.server",
    "Series": "lstm_backtrader.datafeeds.series",
    "ServedMarket": "lstm_backtrader.datafeeds.loopback.market",
    "Store": "lstm_backtrader.datafeeds.store",
    "StoreFeed": "lstm_backtrader.datafeeds.store_feed",
    "connect": "lstm_backtrader.datafeeds.ccxt_client",
    "download": "lstm_backtrader.datafeeds.downloading",
    "fetch_closed": "lstm_backtrader.datafeeds.ccxt_history",
    "resample_candles": "lstm_backtrader.datafeeds.grouping",
    "synthetic_market": "lstm_backtrader.datafeeds.synthetic",
}

__all__ = [
    "CCXTLive",
    "CandleFeed",
    "Faults",
    "LoopbackVenue",
    "Series",
    "ServedMarket",
    "Store",
    "StoreFeed",
    "connect",
    "download",
    "fetch_closed",
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
