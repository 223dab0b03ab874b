"""LSTM forecasts, a crypto-futures account and an honest report for Backtrader.

Names are resolved on first use, so `import lstm_backtrader` loads neither torch nor backtrader.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lstm_backtrader import datafeeds, strategies
    from lstm_backtrader.auditing.subjects import audit
    from lstm_backtrader.bookkeeping import count_trial
    from lstm_backtrader.candle_files import read_candles
    from lstm_backtrader.datafeeds.ccxt_live import CCXTLive
    from lstm_backtrader.datafeeds.frames import CandleFeed
    from lstm_backtrader.datafeeds.resample import replay, resample
    from lstm_backtrader.datafeeds.store_feed import StoreFeed
    from lstm_backtrader.evaluating import evaluate
    from lstm_backtrader.event_files import read_events
    from lstm_backtrader.events import join_events
    from lstm_backtrader.forecast.audit_events import audit_events
    from lstm_backtrader.forecast.evaluation import EvaluateConfig
    from lstm_backtrader.forecast.folds import WalkForwardConfig
    from lstm_backtrader.forecast.foreign import from_module
    from lstm_backtrader.forecast.inference import load_model
    from lstm_backtrader.forecast.pooling import train_pooled
    from lstm_backtrader.forecast.train_config import TrainConfig
    from lstm_backtrader.forecast.training import train
    from lstm_backtrader.forecast.walkforward import walk_forward
    from lstm_backtrader.futures.broker import FuturesBroker
    from lstm_backtrader.futures.contract import Contract
    from lstm_backtrader.futures.venues import find_contract
    from lstm_backtrader.indicators.elliott import ElliottWaves
    from lstm_backtrader.indicators.lstm import LSTMSignal
    from lstm_backtrader.instruments import add_instruments
    from lstm_backtrader.reporting.report import report, report_from_equity
    from lstm_backtrader.session import instrument, run
    from lstm_backtrader.tuning.config import TuneConfig
    from lstm_backtrader.tuning.tune import tune

__version__ = "0.1.0"

_HOME = {
    "CCXTLive": "lstm_backtrader.datafeeds.ccxt_live",
    "CandleFeed": "lstm_backtrader.datafeeds.frames",
    "Contract": "lstm_backtrader.futures.contract",
    "ElliottWaves": "lstm_backtrader.indicators.elliott",
    "EvaluateConfig": "lstm_backtrader.forecast.evaluation",
    "FuturesBroker": "lstm_backtrader.futures.broker",
    "LSTMSignal": "lstm_backtrader.indicators.lstm",
    "StoreFeed": "lstm_backtrader.datafeeds.store_feed",
    "TrainConfig": "lstm_backtrader.forecast.train_config",
    "TuneConfig": "lstm_backtrader.tuning.config",
    "WalkForwardConfig": "lstm_backtrader.forecast.folds",
    "add_instruments": "lstm_backtrader.instruments",
    "audit": "lstm_backtrader.auditing.subjects",
    "audit_events": "lstm_backtrader.forecast.audit_events",
    "count_trial": "lstm_backtrader.bookkeeping",
    "evaluate": "lstm_backtrader.evaluating",
    "find_contract": "lstm_backtrader.futures.venues",
    "from_module": "lstm_backtrader.forecast.foreign",
    "instrument": "lstm_backtrader.session",
    "join_events": "lstm_backtrader.events",
    "load_model": "lstm_backtrader.forecast.inference",
    "read_candles": "lstm_backtrader.candle_files",
    "read_events": "lstm_backtrader.event_files",
    "replay": "lstm_backtrader.datafeeds.resample",
    "report": "lstm_backtrader.reporting.report",
    "report_from_equity": "lstm_backtrader.reporting.report",
    "resample": "lstm_backtrader.datafeeds.resample",
    "run": "lstm_backtrader.session",
    "train": "lstm_backtrader.forecast.training",
    "train_pooled": "lstm_backtrader.forecast.pooling",
    "tune": "lstm_backtrader.tuning.tune",
    "walk_forward": "lstm_backtrader.forecast.walkforward",
}
_SUBPACKAGES = ("datafeeds", "strategies")

__all__ = [
    "CCXTLive",
    "CandleFeed",
    "Contract",
    "ElliottWaves",
    "EvaluateConfig",
    "FuturesBroker",
    "LSTMSignal",
    "StoreFeed",
    "TrainConfig",
    "TuneConfig",
    "WalkForwardConfig",
    "add_instruments",
    "audit",
    "audit_events",
    "count_trial",
    "datafeeds",
    "evaluate",
    "find_contract",
    "from_module",
    "instrument",
    "join_events",
    "load_model",
    "read_candles",
    "read_events",
    "replay",
    "report",
    "report_from_equity",
    "resample",
    "run",
    "strategies",
    "train",
    "train_pooled",
    "tune",
    "walk_forward",
]


def __getattr__(name: str) -> object:
    if name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    elif name in _SUBPACKAGES:
        value = import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
