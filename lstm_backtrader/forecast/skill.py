"""What a forecast is worth against what came: correlations fold by fold, hit rate, deciles; numbers from arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lstm_backtrader.candles import Bars, bar_seconds
from lstm_backtrader.forecast.quality import correlation

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

FLAT = 1e-12  # a deviation below this is none
FEWEST_ROWS = 3


@dataclass(frozen=True)
class Said:
    """A forecast (T,), with mean and deviation of what it said before anything it is judged on: `centre`, `scale`
    (T,) each.
    """

    raw: Floats
    centre: Floats
    scale: Floats

    @property
    def about(self) -> Floats:
        """(T,) deviations from the centre in its scale; zero for a forecast that never changes."""
        return (self.raw - self.centre) / self.scale


@dataclass(frozen=True)
class Mean:
    """A mean over folds and its standard error; None where it is undefined. `dof`: folds less one."""

    value: float | None
    error: float | None
    dof: int


@dataclass(frozen=True)
class Skill:
    """One forecast on the judged bars. Correlations are means over the folds that count.

    `ics`: IC of each fold, the short ones too (`fold_ics`). `money_ic`: correlation through the origin with the
    plain return, so that a bar weighs what it moves: what a position as large as the forecast earns, over its risk.
    `base_rate`: hit rate of whoever always says the commoner direction. `r2`: squared error saved against the last
    price.
    """

    ics: tuple[float | None, ...]
    mean_ic: Mean
    money_ic: Mean
    rank_ic: Mean
    hit_rate: float | None
    base_rate: float
    r2: float


@dataclass(frozen=True)
class Decile:
    """A tenth of the bars, by forecast within its fold; returns are simple, errors those of n / k bars."""

    bars: int
    forecast: float
    label: float
    label_error: float | None
    move: float


def forward_return(bars: Bars, horizon: int) -> Floats:
    """(T,) simple return from the next open to the close `horizon` bars on; NaN where one of them is missing."""
    out = np.full(len(bars), np.nan)
    if len(bars) > horizon:
        ahead = bars["close"][horizon:] / bars["open"][1 : len(bars) - horizon + 1] - 1
        elapsed = bars.open_time[horizon:] - bars.open_time[:-horizon]
        whole = elapsed == horizon * bar_seconds(bars.open_time) * 1_000_000_000
        out[:-horizon] = np.where(whole, ahead, np.nan)
    return out


def skill(
    said: Said,
    label: Said,
    move: Floats,
    folds: Sequence[Rows],
    counts: Sequence[bool],
    horizon: int,
) -> Skill:
    """The figures of a forecast against label and simple return (T,), on rows where all are known.

    `folds`: rows of each; `counts`: whether it is in the means. Labels of `horizon` bars overlap, so that n of them
    count as n / horizon.
    """
    forecast, came = said.raw, label.raw
    known = [rows[np.isfinite(forecast[rows]) & np.isfinite(came[rows])] for rows in folds]
    every = np.concatenate(known) if known else np.empty(0, np.int64)
    sizes = [len(rows) for rows in known]

    def mean(values: Sequence[float | None]) -> Mean:
        return mean_over_folds(values, sizes, counts, horizon)

    ics = fold_ics(said.about, label.about, known)
    ups = float((came[every] > 0).mean()) if len(every) else math.nan
    square = float((came[every] ** 2).sum())
    return Skill(
        ics=tuple(ics),
        mean_ic=mean(ics),
        money_ic=mean([cosine(forecast[rows], move[rows]) for rows in known]),
        rank_ic=mean([correlation(ranks(forecast[rows]), ranks(came[rows])) for rows in known]),
        hit_rate=hit_rate(forecast[every], came[every]),
        base_rate=max(ups, 1 - ups),
        r2=1 - float(((came - forecast)[every] ** 2).sum()) / square if square > 0 else math.nan,
    )


def fold_ics(about: Floats, surprise: Floats, folds: Sequence[Rows]) -> list[float | None]:
    """The IC of each fold: mean product of forecast and label (T,), over the root mean squares of all folds.

    Both are deviations from means known before. Deviations from the fold's own mean, and over its own size, would
    favour whoever forecasts a reversal: where a slow feature is high, the rest of the fold must be low. On random
    walks the last 168 bars turned round have an IC of 0.06 with the next 24 in folds of 1,460 bars, 1.6 standard
    errors of the mean over twelve of them, and 0.001 in this way. None where nothing changes or a fold holds fewer
    than three bars.
    """
    known = [rows[np.isfinite(about[rows]) & np.isfinite(surprise[rows])] for rows in folds]
    every = np.concatenate(known) if known else np.empty(0, np.int64)
    if len(every) < FEWEST_ROWS:
        return [None] * len(known)
    size = math.sqrt(float((about[every] ** 2).mean()) * float((surprise[every] ** 2).mean()))
    if size < FLAT:
        return [None] * len(known)
    return [
        float((about[rows] * surprise[rows]).mean()) / size if len(rows) >= FEWEST_ROWS else None for rows in known
    ]


def mean_over_folds(
    values: Sequence[float | None], sizes: Sequence[int], counts: Sequence[bool], horizon: int
) -> Mean:
    """Mean of the folds that count. Its error is the larger of two: what their spread says, and what n / horizon
    independent pairs allow, since a few folds may agree by chance.
    """
    kept = [
        (value, size)
        for value, size, is_kept in zip(values, sizes, counts, strict=True)
        if is_kept and value is not None
    ]
    if not kept:
        return Mean(None, None, 0)
    found = [value for value, _ in kept]
    allowed = [pair_error(value, size, horizon) for value, size in kept]
    if len(kept) < 2 or None in allowed:
        return Mean(float(np.mean(found)), None, 0)
    spread = float(np.std(found, ddof=1)) / math.sqrt(len(kept))
    sampling = math.sqrt(sum(error**2 for error in allowed if error is not None)) / len(kept)
    return Mean(float(np.mean(found)), max(spread, sampling), len(kept) - 1)


def pair_error(ic: float | None, pairs: int, horizon: int) -> float | None:
    """Standard error of a correlation of `pairs` overlapping pairs; None where fewer than three are independent."""
    independent = pairs / horizon
    return None if ic is None or independent < 3 else (1 - ic**2) / math.sqrt(independent - 1)


def cosine(forecast: Floats, move: Floats) -> float | None:
    """Correlation through the origin, of rows where both are known; None where one of the two is zero."""
    known = np.isfinite(forecast) & np.isfinite(move)
    x, y = forecast[known], move[known]
    size = math.sqrt(float((x**2).sum()) * float((y**2).sum()))
    return float((x * y).sum()) / size if size > FLAT else None


def hit_rate(forecast: Floats, label: Floats) -> float | None:
    """Share of bars whose direction was said, of those that have one and where one was said."""
    has = (forecast != 0) & (label != 0)
    return float((np.sign(forecast[has]) == np.sign(label[has])).mean()) if has.any() else None


def ranks(values: Floats) -> Floats:
    """(N,) place in increasing order, from 0; equal values share the mean of their places."""
    _, where, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return np.asarray((last - (count + 1) / 2)[where])


def deciles(
    forecast: Floats, label: Floats, move: Floats, folds: Sequence[Rows], horizon: int, parts: int = 10
) -> tuple[Decile, ...]:
    """What followed the lowest tenth of forecasts, the next, and so on; ranked within each fold.

    Ranks over a whole fold describe the past: nobody knew them then.
    """
    tenths: list[list[Rows]] = [[] for _ in range(parts)]
    for fold in folds:
        rows = fold[np.isfinite(forecast[fold]) & np.isfinite(label[fold])]
        place = np.floor(ranks(forecast[rows]) * parts / max(len(rows), 1)).astype(np.int64).clip(0, parts - 1)
        for number in range(parts):
            tenths[number].append(rows[place == number])
    found = []
    for part in tenths:
        rows = np.concatenate(part) if part else np.empty(0, np.int64)
        if len(rows) == 0:
            continue
        independent = len(rows) / horizon
        error = float(label[rows].std()) / math.sqrt(independent) if independent >= 2 else None
        said, came, moved = (float(np.nanmean(values[rows])) for values in (forecast, label, move))
        found.append(Decile(len(rows), said, came, error, moved))
    return tuple(found)
