"""Labels: what the network learns to forecast, known only `horizon` bars later."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lstm_backtrader.candles import Bars, bar_seconds
from lstm_backtrader.forecast.features import volatility

LABEL_CLIP = 5.0


def scaled_return(bars: Bars, horizon: int) -> NDArray[np.float64]:
    """(T,) log return from the next open to the close `horizon` bars on, in units of its volatility.

    y[t] = log(close[t + k] / open[t + 1]) / (sigma[t] sqrt(k)), clipped to +-5: what a position gets that is
    entered on the forecast of bar t. NaN where sigma is unknown, where the future has not happened yet, and
    where one of the k bars is missing.
    """
    out = np.full(len(bars), np.nan)
    if len(bars) <= horizon:
        return out
    ahead = np.log(bars["close"][horizon:] / bars["open"][1 : len(bars) - horizon + 1])  # (T - k,)
    step = bar_seconds(bars.open_time) * 1_000_000_000
    elapsed = bars.open_time[horizon:] - bars.open_time[:-horizon]
    scaled = ahead / (volatility(bars)[:-horizon] * np.sqrt(horizon))
    out[:-horizon] = np.where(elapsed == horizon * step, np.clip(scaled, -LABEL_CLIP, LABEL_CLIP), np.nan)
    return out


def in_label_units(
    said: NDArray[np.float64], bars: Bars, horizon: int, kind: Literal["log_return", "next_close"]
) -> NDArray[np.float64]:
    """What M nets trained elsewhere said at the last N bars, log returns or closes, as scaled returns: (M, N).

    NaN where sigma is unknown (the first 168 bars), and where a forecast close is not above zero.
    """
    last = slice(len(bars) - said.shape[1], None)
    if kind == "next_close":
        said = np.log(np.where(said > 0, said, np.nan) / bars["close"][last])
    return np.asarray(said / (volatility(bars)[last] * np.sqrt(horizon)))
