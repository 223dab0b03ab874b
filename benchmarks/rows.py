"""Every comparison, its target, and how it is written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from benchmarks import backtests, fresh, inference, memory, peers, report, training
from benchmarks.measure import Outcome, Plan
from benchmarks.models import Shape
from benchmarks.strategy import pandas_feed
from lstm_backtrader.datafeeds.frames import CandleFeed

Bound = Literal["at least", "at most", "reported"]


@dataclass(frozen=True)
class Row:
    """One line of the table: what is measured, what it should be, and whether both sides compute the same."""

    name: str
    measure: Callable[[Plan], Outcome]
    bound: Bound = "reported"
    target: float | None = None
    compares: str = "same result"
    unit: str = "x"
    on_gpu: bool = False  # has a GPU variant

    def is_met(self, ratio: float) -> bool:
        """Whether the median keeps the bound."""
        if self.target is None:
            return True
        return ratio >= self.target if self.bound == "at least" else ratio <= self.target

    def entry(self, outcome: Outcome) -> dict[str, object]:
        """As it stands in `bench.json`; `ratio` is in `unit`, and `spread` its smallest and largest."""
        return {
            "name": self.name,
            "ratio": outcome.ratio,
            "target": self.target,
            "spread": list(outcome.spread),
            "bound": self.bound,
            "unit": self.unit,
            "compares": self.compares,
            "checked": outcome.checked,
            "repeats": len(outcome.figures),
            "gpu": outcome.gpu,
        }


def _reported(measure: Callable[[Plan], Outcome]) -> Callable[[Plan], Outcome]:
    """A row without a target takes fewer backtests."""
    return lambda plan: measure(replace(plan, pairs=min(plan.pairs, plan.repeats)))


_OTHER = "other function"
_DEEP, _LONG = Shape(64, 64, 64, 2, 1), Shape(192, 192, 64, 1, 1)

ROWS = (
    Row(
        "nn.LSTM called a bar over the engine (L=64 H=64 2 layers, S=L)",
        partial(inference.against_a_call_a_bar, _DEEP),
        "at least",
        150,
        on_gpu=True,
    ),
    Row(
        "nn.LSTM called a bar over the engine (L=192 H=64 1 layer, S=L)",
        partial(inference.against_a_call_a_bar, _LONG),
        "at least",
        300,
        on_gpu=True,
    ),
    Row(
        "batches of windows over the engine (L=64 H=64 2 layers, S=L)",
        partial(inference.against_windows, _DEEP),
        "at least",
        25,
        _OTHER,
        on_gpu=True,
    ),
    Row(
        "batches of windows over the engine (L=64 H=64 2 layers, S=L/4)",
        partial(inference.against_windows, replace(_DEEP, stride=16)),
        "at least",
        10,
        _OTHER,
        on_gpu=True,
    ),
    Row(
        "onnxruntime on windows over the engine (L=64 H=64 2 layers, S=L)",
        partial(inference.against_onnxruntime, _DEEP),
        compares=_OTHER,
    ),
    Row(
        "context anew over a new bar, features in both (L=192 H=64 1 layer, S=L/4)",
        partial(inference.new_bar, replace(_LONG, stride=48)),
        "at least",
        5,
    ),
    Row(
        "context anew over a new bar, features in both (default model)",
        partial(inference.new_bar, Shape()),
    ),
    Row("backtest with LSTMSignal over a ready column", backtests.against_ready_column, "at most", 1.10),
    Row(
        "the same without Backtrader's observers",
        _reported(partial(backtests.against_ready_column, observers=False)),
    ),
    Row("backtest from the cache over a ready column", fresh.against_ready_column, "at most", 1.05),
    Row("tutorial in next() over ours (L=64 H=64 1 layer, S=L/4)", backtests.against_tutorial, "at least", 7),
    Row(
        "PandasData with SMA cross over CandleFeed with LSTMSignal",
        backtests.against_sma_cross,
        "at least",
        1,
        _OTHER,
    ),
    Row(
        "BackBroker over FuturesBroker, SMA cross on PandasData",
        partial(backtests.account_against_stock, pandas_feed),
        "at least",
        0.8,
    ),
    Row(
        "BackBroker over FuturesBroker, SMA cross on CandleFeed",
        partial(backtests.account_against_stock, CandleFeed),
        "at least",
        0.65,
    ),
    Row("Backtrader, PandasData, signals ready, over ours", _reported(backtests.against_plain_backtrader)),
    Row("backtesting.py, signals ready, over ours", _reported(peers.against_backtesting_py)),
    Row("vectorbt, signals ready, over ours", _reported(peers.against_vectorbt)),
    Row(
        "Dataset and DataLoader over training by crops (L=64 H=64 1 layer)",
        partial(training.against_windows, 64, 64, 1),
        "at least",
        25,
        _OTHER,
    ),
    Row(
        "Dataset and DataLoader over training by crops (L=64 H=64 2 layers)",
        partial(training.against_windows, 64, 64, 2),
        "at least",
        25,
        _OTHER,
    ),
    Row("training to 0.95 of the oracle's event IC", training.seconds_to_oracle, unit="s", compares="-"),
    Row(
        "memory of 5,000,000 bars (F=12, H=64)",
        memory.peak_gigabytes,
        "at most",
        1.5,
        compares="-",
        unit="GB",
    ),
    Row("report of a year of minutes", report.seconds, "at most", 15, compares="-", unit="s"),
    Row("memory of that report", report.gigabytes, "at most", 1.5, compares="-", unit="GB"),
    Row("its page of 17,520 hours", partial(report.megabytes, 17_520), "at most", 8, compares="-", unit="MB"),
    Row(
        "its page of 1,000,000 minutes",
        partial(report.megabytes, 1_000_000),
        "at most",
        15,
        compares="-",
        unit="MB",
    ),
)
