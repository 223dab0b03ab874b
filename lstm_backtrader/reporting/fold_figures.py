"""What each model of a schedule made of the bars it had not seen: IC and return, and the mean over the folds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lstm_backtrader.candles import Bars
from lstm_backtrader.forecast.labels import scaled_return
from lstm_backtrader.forecast.quality import correlation


@dataclass(frozen=True)
class FoldFigures:
    """One fold. `begin` and `last`: open of its first and last bar, UTC. Returns are net of fees and funding.

    `ic_se`: labels of `horizon` bars overlap, so that n of them count as n / horizon. A position held from one
    fold to the next is valued at the close between them.
    """

    begin: pd.Timestamp
    last: pd.Timestamp
    bars: int
    ic: float | None
    ic_se: float | None
    returns: Mapping[str, float]  # name of the account -> return over the fold
    counts: bool  # in the mean: False for a fold cut short to less than half of the longest


@dataclass(frozen=True)
class FoldTable:
    """All folds of a run, oldest first, and the mean IC over those that count, with its standard error."""

    folds: tuple[FoldFigures, ...]
    mean_ic: float | None
    mean_ic_se: float | None

    @property
    def mean_of(self) -> int:
        """Folds in the mean."""
        return sum(fold.counts and fold.ic is not None for fold in self.folds)

    def sentence(self) -> str:
        """The mean IC over the folds, in words."""
        if self.mean_ic is None:
            return "No fold has an IC."
        error = "" if self.mean_ic_se is None else f" \N{PLUS-MINUS SIGN} {self.mean_ic_se:.4f}"
        short = sum(not fold.counts for fold in self.folds)
        left_out = "" if not short else f"; {short} shorter than half of the longest, marked *, left out"
        return f"Mean IC {self.mean_ic:+.4f}{error} over {self.mean_of} fold{'s' * (self.mean_of != 1)}{left_out}."

    def document(self) -> dict[str, object]:
        """As `metrics.json` holds it."""
        folds = [
            {
                "begin": fold.begin.isoformat(),
                "last": fold.last.isoformat(),
                "bars": fold.bars,
                "ic": fold.ic,
                "ic_se": fold.ic_se,
                "returns": dict(fold.returns),
                "counts": fold.counts,
            }
            for fold in self.folds
        ]
        mean = {"mean_ic": self.mean_ic, "mean_ic_se": self.mean_ic_se, "mean_of": self.mean_of}
        return {"folds": folds, **mean, "mean": self.sentence()}


def fold_table(
    begins: pd.DatetimeIndex,
    horizon: int,
    candles: pd.DataFrame,
    forecast: pd.Series,
    equities: Mapping[str, tuple[float, pd.Series]],
) -> FoldTable | None:
    """The figures of a run, fold by fold; None where it lies before the first fold.

    `begins`: first bar of each model. `candles`: those of the run and before, on which the label is measured.
    `forecast` (T,): as it was traded. `equities`: account -> start equity, equity (T,) at each bar's close.
    """
    label = pd.Series(scaled_return(Bars.of(candles), horizon), index=candles.index)
    index = forecast.index
    edges = [*index.searchsorted(begins).tolist(), len(index)]
    spans = [slice(begin, end) for begin, end in pairwise(edges) if end > begin]
    if not spans:
        return None
    longest = max(span.stop - span.start for span in spans)
    folds = []
    for span in spans:
        bars = index[span]
        said = np.asarray(forecast.to_numpy()[span], dtype=np.float64)
        came = np.asarray(label.reindex(bars).to_numpy(), dtype=np.float64)
        ic = correlation(said, came)
        folds.append(
            FoldFigures(
                begin=bars[0],
                last=bars[-1],
                bars=len(bars),
                ic=ic,
                ic_se=_standard_error(ic, said, came, horizon),
                returns={name: _return(start, equity, span) for name, (start, equity) in equities.items()},
                counts=2 * len(bars) >= longest,
            )
        )
    ics = [fold.ic for fold in folds if fold.counts and fold.ic is not None]
    return FoldTable(
        folds=tuple(folds),
        mean_ic=float(np.mean(ics)) if ics else None,
        mean_ic_se=float(np.std(ics, ddof=1) / math.sqrt(len(ics))) if len(ics) > 1 else None,
    )


def _standard_error(
    ic: float | None, said: NDArray[np.float64], came: NDArray[np.float64], horizon: int
) -> float | None:
    """Of a correlation of n / horizon independent pairs; None where fewer than three are left."""
    independent = int((np.isfinite(said) & np.isfinite(came)).sum()) / horizon
    return None if ic is None or independent < 3 else (1 - ic**2) / math.sqrt(independent - 1)


def _return(start: float, equity: pd.Series, span: slice) -> float:
    before = start if span.start == 0 else float(equity.iloc[span.start - 1])
    return float(equity.iloc[span.stop - 1]) / before - 1 if before > 0 else 0.0
