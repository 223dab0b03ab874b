"""The look-ahead audit of anything that computes columns from candles: cut the future off, disturb it, compare.

A `Compute` is given candles and gives a table on their index. Row t may depend on bars up to t only, so it must
be the same when the later bars are not there (`truncation`) and when they are others (`perturbation`), and, for
what declares a finite memory, when the bars before that memory are not there (`startup`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lstm_backtrader.candles import MARK_COLUMNS, PRICES
from lstm_backtrader.errors import ConfigError, DataError
from lstm_backtrader.forecast.findings import Check, Finding

Compute = Callable[[pd.DataFrame], pd.DataFrame]
Floats = NDArray[np.float64]

EXACT = 1e-9
MODEL = 1e-5  # a net computes in float32, and sums in another order where another number of rows is given


@dataclass(frozen=True)
class AuditPlan:
    """Where to look and how closely.

    `cuts`: bars after which the history is cut or disturbed. `tail`: rows compared before each cut; a line that
    repaints now and then, like a zigzag, is caught by 4 of 16 cuts only, hence so many. `tolerance`: relative
    to the values and to the spread of their column. `seed`: of cuts and noise.
    """

    cuts: int = 32
    tail: int = 64
    tolerance: float = EXACT
    seed: int = 0

    def __post_init__(self) -> None:
        if self.cuts < 1 or self.tail < 1:
            raise ConfigError(
                f"cuts {self.cuts} and tail {self.tail} must be 1 or more. The defaults are 32 and 64."
            )
        if not self.tolerance > 0:
            raise ConfigError(f"tolerance {self.tolerance} must be above 0. The default is {EXACT:g}.")

    def rows(self, bars: int, warmup: int) -> NDArray[np.int64]:
        """Rows t after which to cut: spread over the history behind the warm-up, off any regular grid."""
        low, high = warmup - 1 + self.tail // 2, bars - 1  # the last bar has no future to cut
        if high - low < self.cuts:
            raise DataError(
                f"{bars} bars are too few for an audit of {self.cuts} cuts behind a warm-up of {warmup}. "
                f"Give at least {warmup + self.tail // 2 + self.cuts}."
            )
        edges = np.linspace(low, high, self.cuts + 1).astype(np.int64)
        rng = np.random.default_rng(self.seed)
        return rng.integers(edges[:-1], np.maximum(edges[1:], edges[:-1] + 1))


def as_table(values: object, index: pd.Index, name: str) -> pd.DataFrame:
    """What a user's function gave, as a table of floats on `index`; raises `ConfigError` where it cannot be."""
    if isinstance(values, pd.DataFrame):
        table = values
    elif isinstance(values, pd.Series):
        table = values.to_frame(name)
    else:
        array = np.asarray(values, dtype=np.float64)
        names = [name] if array.ndim < 2 else [f"{name}[{column}]" for column in range(array.shape[-1])]
        table = pd.DataFrame(array.reshape(len(array), -1) if array.ndim else [], columns=names)
    if len(table) != len(index):
        raise ConfigError(
            f"{name} gave {len(table)} rows for {len(index)} candles. Return one for each, NaN where there is none."
        )
    return pd.DataFrame(table.to_numpy(np.float64), index=index, columns=[str(column) for column in table.columns])


def disturbed(candles: pd.DataFrame, row: int, rng: np.random.Generator) -> pd.DataFrame:
    """The candles with all bars after `row` made others: prices, shapes, volumes, events; still candles.

    Each price level is multiplied by noise, a bar's shape is one of another later bar, stretched. Other columns
    change places among themselves and are multiplied by noise of either sign, so that it also shows where
    something happens, and whether at all.
    """
    later = len(candles) - row - 1
    out = candles.copy()
    factor = np.exp(rng.normal(0, 0.05, later))
    where = candles.index[row + 1 :]
    for names in (PRICES, MARK_COLUMNS):
        if set(names) <= set(candles.columns):
            bars = candles.loc[where, list(names)].to_numpy(np.float64)
            out.loc[where, list(names)] = _reshaped(bars, factor, rng)
    for column in candles.columns.difference([*PRICES, *MARK_COLUMNS]):
        values = rng.permutation(candles.loc[where, column].to_numpy(np.float64))
        noise = np.exp(rng.normal(0, 0.5, later))
        sign = 1.0 if column in ("volume", "open_interest") else rng.choice([-1.0, 1.0], later)
        out.loc[where, column] = values * noise * sign
    return out


def _reshaped(bars: Floats, factor: Floats, rng: np.random.Generator) -> Floats:
    """Open, high, low, close (n, 4): closes times `factor`, bodies and wicks of shuffled bars, stretched."""
    open_, high, low, close = np.log(bars).T
    order = rng.permutation(len(bars))
    stretch = np.exp(rng.normal(0, 0.5, (3, len(bars))))
    body = (close - open_)[order] * stretch[0]
    above = (high - np.maximum(open_, close))[order] * stretch[1]
    below = (np.minimum(open_, close) - low)[order] * stretch[2]
    to = close + np.log(factor)
    from_ = to - body
    shaped = [from_, np.maximum(from_, to) + above, np.minimum(from_, to) - below, to]
    return np.asarray(np.exp(np.stack(shaped, axis=1)))


def truncation(compute: Compute, candles: pd.DataFrame, subject: str, plan: AuditPlan, warmup: int = 1) -> Check:
    """Values at t from the full history must be those from the history that ends at t, over each cut's tail."""
    full = compute(candles)
    differences = _Differences("truncation", full, plan)
    for row in _cut_rows(plan, candles, full, warmup):
        try:
            part = compute(candles.iloc[: row + 1]).to_numpy()
        except (IndexError, KeyError) as error:
            differences.add_failure(candles.index[row], error)
            continue
        known = _known(len(part), row, candles, full)
        begin = max(0, known - plan.tail)
        differences.compare(part[begin:known], begin, candles.index[row])
    return differences.check(subject, "without the bars after {cut}")


def _cut_rows(plan: AuditPlan, candles: pd.DataFrame, full: pd.DataFrame, warmup: int) -> list[int]:
    """Candles to cut after; where a row of the table takes several candles, its warm-up does too."""
    ratio = -(-len(candles) // max(len(full), 1))
    return [int(row) for row in plan.rows(len(candles), warmup * ratio)]


def _known(rows: int, row: int, candles: pd.DataFrame, full: pd.DataFrame) -> int:
    """Rows of a table of `candles[: row + 1]` that are certain, of `rows`.

    With resampled bars the last one may be there before its time, as the data end: it does not count.
    """
    return row + 1 if len(full) == len(candles) else max(rows - 1, 0)


def perturbation(
    compute: Compute, candles: pd.DataFrame, subject: str, plan: AuditPlan, warmup: int = 1, reach: int = 0
) -> Check:
    """With other bars after t, all values up to t - `reach` must stay (`reach`: 0; bars a label looks ahead)."""
    full = compute(candles)
    rng = np.random.default_rng(plan.seed)
    differences = _Differences("perturbation" if reach == 0 else "label reach", full, plan)
    for row in _cut_rows(plan, candles, full, warmup + reach):
        try:
            other = compute(disturbed(candles, row, rng)).to_numpy()
            rows = row + 1 if len(full) == len(candles) else len(compute(candles.iloc[: row + 1]))
        except (IndexError, KeyError) as error:
            differences.add_failure(candles.index[row], error)
            continue
        differences.compare(other[: _known(rows, row, candles, full) - reach], 0, candles.index[row])
    return differences.check(subject, "with other bars after {cut}")


def startup(compute: Compute, candles: pd.DataFrame, subject: str, plan: AuditPlan, declared: int) -> Check:
    """The last `declared` bars alone must give what the full history gives; if not, says how many would."""
    full = compute(candles)
    differences = _Differences("start-up", full, plan)
    rows = plan.rows(len(full), declared)
    lacking = False
    for row in rows:
        part = compute(candles.iloc[row + 1 - declared : row + 1]).to_numpy()[-1:]
        lacking |= differences.compare(part, int(row), candles.index[row])
    if not lacking:
        return differences.check(subject, "")
    needed = settled(compute, candles, plan, declared)
    would = (
        f"needs {needed}" if needed else f"needs more than the {int(rows.min()) + 1} before a cut, or later ones"
    )
    return differences.check(subject, f"from the {declared} bars it declares; it {would}")


def settled(compute: Compute, candles: pd.DataFrame, plan: AuditPlan, least: int = 1) -> int | None:
    """Bars after which values no longer depend on where the history begins; None where these are too few to tell.

    Looked for by halving between `least` and the bars there are before the first of a few late cuts.
    """
    full = compute(candles)
    if len(full) != len(candles):
        return None  # rows of several candles each
    rows = np.unique(np.linspace(3 * len(full) // 4, len(full) - 1, 4).astype(np.int64))

    def is_enough(bars: int) -> bool:
        differences = _Differences("start-up", full, plan)
        return not any(
            differences.compare(
                compute(candles.iloc[row + 1 - bars : row + 1]).to_numpy()[-1:], int(row), candles.index[row]
            )
            for row in rows
        )

    low, high = least - 1, int(rows[0])
    if high <= low or not is_enough(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def same(check: str, subject: str, wanted: pd.DataFrame, got: pd.DataFrame, plan: AuditPlan, where: str) -> Check:
    """Two tables of the same rows must be equal; `where` says what the second one comes from."""
    differences = _Differences(check, wanted, plan)
    values = np.full(wanted.shape, np.nan)
    rows = min(len(wanted), len(got))
    values[:rows] = got[wanted.columns].to_numpy()[:rows]
    differences.compare(values, 0)
    return differences.check(subject, where)


class _Differences:
    """Compares parts of a table with the full one and keeps the largest difference of each column."""

    def __init__(self, check: str, full: pd.DataFrame, plan: AuditPlan) -> None:
        self.name = check
        self.full = full
        self.values = full.to_numpy(np.float64)  # (T, N)
        self.tolerance = plan.tolerance
        known = np.where(np.isfinite(self.values), self.values, np.nan)
        some = np.isfinite(self.values).any(axis=0)
        self.spread = np.zeros(self.values.shape[1])
        self.spread[some] = np.nanstd(known[:, some], axis=0)
        self.compared = 0
        self.cuts = 0
        self.worst: dict[int, tuple[float, int, float, object]] = {}  # column: amount, row, other value, cut
        self.hits: dict[int, int] = {}
        self.failures: list[tuple[pd.Timestamp, Exception]] = []

    def compare(self, part: Floats, begin: int, cut: object = None) -> bool:
        """Rows `part` (n, N) against those of the full table from `begin` on; whether they differ anywhere.

        `cut`: open of the last bar both have seen alike, for the words of a finding.
        """
        wanted = self.values[begin : begin + len(part)]
        size = np.fmax(np.abs(wanted), np.abs(part))
        with np.errstate(invalid="ignore"):
            near = np.abs(wanted - part) <= self.tolerance * (size + self.spread)
        differ = ~(near | (wanted == part) | (np.isnan(wanted) & np.isnan(part)))
        self.compared += part.size
        self.cuts += 1
        for column in np.flatnonzero(differ.any(axis=0)).tolist():
            self.hits[column] = self.hits.get(column, 0) + 1
            with np.errstate(invalid="ignore"):
                amount = np.abs(wanted[:, column] - part[:, column])
            amount = np.where(np.isnan(amount), size[:, column], amount)  # known on one side only
            row = int(np.argmax(np.where(differ[:, column], amount, -1.0)))
            if column not in self.worst or amount[row] > self.worst[column][0]:
                self.worst[column] = (float(amount[row]), begin + row, float(part[row, column]), cut)
        return bool(differ.any())

    def add_failure(self, time: pd.Timestamp, error: Exception) -> None:
        """The computation failed where the future was changed, and not before."""
        self.cuts += 1
        self.failures.append((time, error))

    def check(self, subject: str, where: str) -> Check:
        """The findings so far; `where` says what the other values come from and may name {cut}."""
        return Check(self.name, subject, self.compared, tuple(self._findings(where)))

    def _findings(self, where: str) -> Iterable[Finding]:
        for column, (amount, row, other, cut) in sorted(self.worst.items()):
            origin = where.format(cut=_show(cut))
            share = f" ({self.hits[column]} of {self.cuts} times)" if self.cuts > 1 else ""
            yield Finding(
                self.name,
                str(self.full.columns[column]),
                self.full.index[row],
                amount,
                f"is {_number(self.values[row, column])}, but {_number(other)} {origin}: off by {amount:.4g}"
                f"{share}.",
            )
        for time, error in self.failures[:1]:
            yield Finding(
                self.name,
                type(error).__name__,
                time,
                float("nan"),
                f"is raised where the history ends, and not where it goes on ({error}; {len(self.failures)} of "
                f"{self.cuts} times): something is read that is not there yet.",
            )


def _number(value: float) -> str:
    return "not there" if np.isnan(value) else f"{value:.6g}"


def _show(time: object) -> str:
    return f"{time:%Y-%m-%d %H:%M}" if isinstance(time, pd.Timestamp) else str(time)
