"""What the traded forecasts were worth against what followed them, from the bars of a run alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lstm_backtrader.candles import bar_seconds, open_times
from lstm_backtrader.forecast.calibration import brier, reliability
from lstm_backtrader.forecast.quality import correlation
from lstm_backtrader.forecast.skill import hit_rate, pair_error, ranks

Floats = NDArray[np.float64]
Row = dict[str, Any]  # plain values, as JSON has them

PARTS = 10  # the forecasts are parted into, by size
FEWEST_BARS = 30
_HORIZONS = (0.25, 0.5, 1.0, 2.0, 4.0)  # times the model's own


def forecast_figures(bars: pd.DataFrame, horizon: int, threshold: float | None = None) -> dict[str, Any] | None:
    """Of the recorder's `bars` (T,): close, forecast and prob_up. None with fewer than `FEWEST_BARS` pairs.

    What followed a forecast is the simple return from its bar's close to the close `horizon` bars on, unknown where
    bars are missing between. Such returns overlap, so n of them count as n / horizon. `threshold`: |forecast| from
    which the signal is not 0.
    """
    forecast = bars["forecast"].to_numpy(dtype="float64")
    came = return_ahead(bars, horizon)
    known = np.isfinite(forecast) & np.isfinite(came)
    if known.sum() < FEWEST_BARS:
        return None
    said, moved = forecast[known], came[known]
    is_up = moved > 0
    independent = len(said) / horizon
    rank_ic = correlation(ranks(said), ranks(moved))
    return {
        "horizon": horizon,
        "bars": len(said),
        "independent": independent,
        "rank_ic": rank_ic,
        "rank_ic_se": pair_error(rank_ic, len(said), horizon),
        "hit_rate": hit_rate(said, moved),
        "hit_rate_se": 0.5 / math.sqrt(independent),
        "base_rate": max(float(is_up.mean()), 1 - float(is_up.mean())),
        "auc": area_under_curve(said, is_up),
        "shuffled_p": shifted_p(said, moved, horizon),
        "beside": _beside(bars, horizon, known, moved),
        "probability": _probability(bars["prob_up"].to_numpy(dtype="float64"), came, horizon),
        "confusion": None if threshold is None else _confusion(said, moved, threshold),
        "parts": _parts(said, moved, horizon),
        "months": _months(bars.index[known], said, moved, horizon),
        "horizons": _decay(bars, horizon),
    }


def return_ahead(bars: pd.DataFrame, horizon: int) -> Floats:
    """(T,) simple return from close to the close `horizon` bars on; NaN where bars are missing between."""
    close, times = bars["close"].to_numpy(dtype="float64"), open_times(bars.index)
    out = np.full(len(close), np.nan)
    if len(close) > horizon:
        is_whole = times[horizon:] - times[:-horizon] == horizon * bar_seconds(times) * 1_000_000_000
        out[:-horizon] = np.where(is_whole, close[horizon:] / close[:-horizon] - 1, np.nan)
    return out


def return_behind(bars: pd.DataFrame, length: int) -> Floats:
    """(T,) simple return from the close `length` bars ago to the bar's own; NaN where bars are missing between."""
    ahead = return_ahead(bars, length)
    return np.concatenate([np.full(min(length, len(ahead)), np.nan), ahead[: len(ahead) - length]])


def area_under_curve(said: Floats, is_up: NDArray[np.bool_]) -> float | None:
    """Chance that a bar before a rise was given a higher forecast than one before a fall; 0.5 is guessing."""
    ups, downs = int(is_up.sum()), int((~is_up).sum())
    if not ups or not downs:
        return None
    return float((ranks(said)[is_up].sum() - ups * (ups - 1) / 2) / (ups * downs))


def shifted_p(said: Floats, moved: Floats, horizon: int) -> float | None:
    """How often the forecasts, moved round in time, rank what followed as well as they did: a one-sided p-value.

    Every shift of `said` (N,) by `horizon` bars or more either way is one draw. It leaves the forecasts as smooth
    as they are and takes their timing away. None with fewer than `FEWEST_BARS` draws.
    """
    n = len(said)
    if n - 2 * horizon + 1 < FEWEST_BARS or not np.ptp(said) or not np.ptp(moved):
        return None
    x, y = (ranks(values) - (n - 1) / 2 for values in (said, moved))
    products = np.fft.irfft(np.conj(np.fft.rfft(x)) * np.fft.rfft(y), n)  # (N,) sum of x[t - shift] * y[t]
    drawn = products[horizon : n - horizon + 1]
    rounding = 1e-9 * float(np.abs(products).max())
    return float((1 + (drawn >= products[0] - rounding).sum()) / (1 + len(drawn)))


def _beside(bars: pd.DataFrame, horizon: int, known: NDArray[np.bool_], moved: Floats) -> list[Row]:
    """What needs no model, judged on the same bars: always long, and the sign of what has just been."""
    found: list[Row] = [{"name": "always long", "hit_rate": hit_rate(np.ones(len(moved)), moved), "rank_ic": None}]
    for length in sorted({1, horizon}):
        said = return_behind(bars, length)[known]
        there = np.isfinite(said)
        name = "the last bar's sign" if length == 1 else f"the sign of the last {length} bars"
        found.append(
            {
                "name": name,
                "hit_rate": hit_rate(said[there], moved[there]),
                "rank_ic": correlation(ranks(said[there]), ranks(moved[there])),
            }
        )
    return found


def _probability(prob_up: Floats, came: Floats, horizon: int) -> dict[str, Any] | None:
    """Brier score and reliability of the forecast's own probability of a rise."""
    known = np.isfinite(prob_up) & np.isfinite(came)
    if known.sum() < FEWEST_BARS:
        return None
    is_up = came[known] > 0
    found = reliability(prob_up[known], is_up, horizon)
    return {
        "brier": found.brier,
        "brier_of_base_rate": brier(float(is_up.mean()), is_up),
        "ece": found.ece,
        "ece_by_chance": found.ece_by_chance,
        "bins": [{"bars": each.bars, "said": each.said, "came": each.came} for each in found.bins],
    }


def _confusion(said: Floats, moved: Floats, threshold: float) -> dict[str, dict[str, int]]:
    """Signal -> what followed -> bars."""
    signal = np.where(np.abs(said) >= threshold, np.sign(said), 0.0)
    return {
        name: {"rise": int((moved[signal == side] > 0).sum()), "fall": int((moved[signal == side] <= 0).sum())}
        for name, side in (("long", 1), ("none", 0), ("short", -1))
    }


def _parts(said: Floats, moved: Floats, horizon: int) -> list[Row]:
    """Mean return after the lowest tenth of the forecasts, the next, and so on."""
    place = np.floor(ranks(said) * PARTS / len(said)).astype(np.int64).clip(0, PARTS - 1)
    found = []
    for part in range(PARTS):
        inside = moved[place == part]
        if len(inside):
            independent = len(inside) / horizon
            error = float(inside.std()) / math.sqrt(independent) if independent >= 2 else None
            found.append(
                {
                    "bars": len(inside),
                    "forecast": float(said[place == part].mean()),
                    "return": float(inside.mean()),
                    "return_se": error,
                }
            )
    return found


def _months(index: pd.Index[pd.Timestamp], said: Floats, moved: Floats, horizon: int) -> list[Row]:
    months = pd.DatetimeIndex(index).strftime("%Y-%m").to_numpy()
    found = []
    for month in np.unique(months):
        inside = months == month
        ic = correlation(ranks(said[inside]), ranks(moved[inside]))
        error = pair_error(ic, int(inside.sum()), horizon)
        found.append({"month": str(month), "bars": int(inside.sum()), "rank_ic": ic, "rank_ic_se": error})
    return found


def _decay(bars: pd.DataFrame, horizon: int) -> list[Row]:
    """Rank IC of the same forecast with returns over shorter and longer horizons."""
    forecast = bars["forecast"].to_numpy(dtype="float64")
    found = []
    for ahead in sorted({max(1, round(horizon * share)) for share in _HORIZONS}):
        came = return_ahead(bars, ahead)
        known = np.isfinite(forecast) & np.isfinite(came)
        ic = correlation(ranks(forecast[known]), ranks(came[known])) if known.sum() >= FEWEST_BARS else None
        found.append({"horizon": ahead, "rank_ic": ic, "rank_ic_se": pair_error(ic, int(known.sum()), ahead)})
    return found
