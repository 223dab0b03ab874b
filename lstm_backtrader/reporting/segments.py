"""The parts of a run by what its model knew of them: trained on, validated on, never seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lstm_backtrader.reporting.metrics import Figures, daily_returns, return_metrics
from lstm_backtrader.reporting.significance import probabilistic_sharpe, track_of

OUT_OF_SAMPLE = "out of sample"


@dataclass(frozen=True)
class Segment:
    """Consecutive bars. `begin` and `last`: open of its first and last, UTC."""

    name: str
    begin: pd.Timestamp
    last: pd.Timestamp
    bars: int
    figures: Figures  # total_return, sharpe, sortino, max_drawdown, trades, psr

    @property
    def is_unseen(self) -> bool:
        """Whether the model had seen none of its bars."""
        return self.name.endswith(OUT_OF_SAMPLE)

    def document(self) -> dict[str, object]:
        """As `metrics.json` holds it."""
        return {
            "name": self.name,
            "begin": self.begin.isoformat(),
            "last": self.last.isoformat(),
            "bars": self.bars,
            **self.figures,
        }


def segments(
    equity: pd.Series,
    start_equity: float,
    trades: pd.DataFrame,
    spans: Sequence[tuple[str, pd.Timestamp, pd.Timestamp]],
) -> tuple[Segment, ...]:
    """The segments of `spans` (name, begin, end excluded; UTC) that hold bars of `equity` (T,), oldest first.

    A position held from one to the next is valued at the close between them. Trades count where they were entered.
    """
    found = []
    index = pd.DatetimeIndex(equity.index)
    for name, begin, end in sorted(spans, key=lambda span: span[1]):
        first, after = int(index.searchsorted(begin)), int(index.searchsorted(end))
        if after <= first:
            continue
        before = start_equity if first == 0 else float(equity.iloc[first - 1])
        if before > 0:
            part = equity.iloc[first:after]
            entered = ((trades["entry_time"] >= begin) & (trades["entry_time"] < end)).sum()
            found.append(
                Segment(name, index[first], index[after - 1], after - first, _figures(part, before, int(entered)))
            )
    return tuple(found)


def _figures(equity: pd.Series, before: float, trades: int) -> Figures:
    figures: Mapping[str, float | int | None] = return_metrics(equity, before)
    track = track_of(np.asarray(daily_returns(equity, before).to_numpy(), dtype=np.float64))
    kept = {name: figures[name] for name in ("total_return", "sharpe", "sortino", "max_drawdown")}
    return {**kept, "trades": trades, "psr": None if track is None else probabilistic_sharpe(track)}
