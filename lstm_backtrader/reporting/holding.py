"""What the same money would have made by buying and holding, at 1x or on borrowed money."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lstm_backtrader.errors import ReportError
from lstm_backtrader.reporting.metrics import clean_equity

LIKE_ONE = 0.05  # a leverage this near to 1 is not told apart from it


def held_prices(prices: pd.Series, index: pd.Index[Any], start_equity: float) -> pd.Series:
    """`prices` bought with `start_equity` at the first of `index` (T,) and held, on that index."""
    if isinstance(prices, str):
        raise ReportError(
            f"a benchmark is a Series of prices or equity, not the ticker {prices!r}: nothing is downloaded here. "
            "Load its candles and pass their close."
        )
    clean = clean_equity(prices)
    times = pd.DatetimeIndex(index)
    naive = times if times.tz is None else times.tz_convert("UTC").tz_localize(None)
    if clean.index[0] > naive[-1] or clean.index[-1] < naive[0]:
        raise ReportError(
            f"the benchmark ({clean.index[0]} to {clean.index[-1]}) shares no time with the run "
            f"({naive[0]} to {naive[-1]}). Pass prices of the same span."
        )
    held = clean.reindex(naive, method="ffill").bfill().to_numpy()
    return pd.Series(held / held[0] * start_equity, index=index, name="benchmark")


def held_instrument(
    bars: pd.DataFrame, start_equity: float, leverage: float = 1.0, *, is_inverse: bool = False
) -> pd.Series:
    """(T,) equity of `leverage` times the money put into data0 at the first recorded close, without costs.

    A bar without a close has the worth of the one before; the money waits for the first close there is.
    Nothing is bought later: it is `start * (1 + leverage * g)`, g = close / first - 1, and of an inverse contract
    1 - first / close. It ends at 0 at the first bar whose lowest price takes all.
    """
    close = bars["close"].ffill().bfill().to_numpy(dtype="float64")
    low = bars["low"].to_numpy(dtype="float64")
    bought, first = close[0], int(np.argmax(bars["close"].notna()))
    gain, worst = ((1 - bought / price if is_inverse else price / bought - 1) for price in (close, low))
    worst[: first + 1] = 0.0  # it was bought at the close of that bar
    equity = start_equity * (1 + leverage * gain)
    gone = np.fmin(leverage * worst, leverage * gain) <= -1
    if gone.any():
        equity[int(np.argmax(gone)) :] = 0.0
    return pd.Series(equity, index=bars.index, name="benchmark")
