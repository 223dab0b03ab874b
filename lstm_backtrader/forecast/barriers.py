"""What a position gets that is forced at every bar and ends at its stop, its take profit, or in time.

The rules are those of `FuturesBroker` and its pessimistic order of prices inside a bar; a test holds both together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lstm_backtrader.candles import Bars, bar_seconds
from lstm_backtrader.errors import ConfigError

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Barriers:
    """Where a position ends, and what its orders cost. Fractions: 0.02 is 2 %.

    Distances are of the entry price, 0 is off. Raises `ConfigError` for one outside its range.
    """

    bars: int = 23  # held at most; then it is closed at the next open
    stop_price_pct: float = 0.02  # in [0, 1)
    take_profit_price_pct: float = 0.04  # in [0, 1)
    taker_fee: float = 0.0005  # of notional: entry, stop and the end of time
    maker_fee: float = 0.0002  # of notional: take profit

    def __post_init__(self) -> None:
        if self.bars < 1:
            raise ConfigError(f"a position held for {self.bars} bars is none. Let it be held for 1 or more.")
        for name in ("stop_price_pct", "take_profit_price_pct"):
            distance = getattr(self, name)
            if not 0.0 <= distance < 1.0:
                raise ConfigError(
                    f"{name}={distance} must be in [0, 1). It is a fraction of the entry price: 0.02 is 2 %."
                )
        for name in ("taker_fee", "maker_fee"):
            fee = getattr(self, name)
            if not -0.01 < fee < 0.1:
                raise ConfigError(
                    f"{name}={fee} must lie between -0.01 and 0.1. It is a fraction: 0.0005 is 0.05 %."
                )


class Outcomes(NamedTuple):
    """Of the position entered at the open after each bar, (T,) each; NaN and -1 where it is not known.

    `net_return`: profit after fees and funding, over the notional at the entry. `exit_row`: bar in which it ended.
    """

    net_return: Floats
    exit_price: Floats
    exit_row: Rows


def outcomes(bars: Bars, side: int, barriers: Barriers) -> Outcomes:
    """Force a linear position of `side` (+1 long, -1 short) at the open after every bar.

    Stop and take profit are orders from the entry on: met inside a bar they fill at their price, the stop first
    where both are, and past them at the open, there. Funding is that of the columns `funding_rate` and
    `mark_open`, where the bars have them. A position that would be held across a missing bar, or beyond the last
    one, is not known. It has no leverage: of a position that would be liquidated before its stop it says too much.
    """
    count, ahead = len(bars), barriers.bars + 1
    net, price, row = np.full(count, np.nan), np.full(count, np.nan), np.full(count, -1, dtype=np.int64)
    starts = np.flatnonzero(is_whole(bars, ahead))
    if not len(starts):
        return Outcomes(net, price, row)
    opened, worst, best = bars["open"], bars["low"], bars["high"]
    if side < 0:
        worst, best = best, worst
    entry = opened[starts + 1]
    stop, target = _levels(entry, side, barriers)
    due = _funding_due(bars)
    paid = np.zeros(len(starts))
    is_open = np.ones(len(starts), dtype=bool)
    left_at, left_row, is_maker = (
        np.empty(len(starts)),
        np.empty(len(starts), np.int64),
        np.zeros(len(starts), bool),
    )

    def leave(where: NDArray[np.bool_], at: Floats, rows: Rows, maker: bool = False) -> None:
        gone = is_open & where
        left_at[gone], left_row[gone], is_maker[gone] = at[gone], rows[gone], maker
        is_open[gone] = False

    for held in range(ahead):
        rows = starts + 1 + held
        at_open = opened[rows]
        if held:
            paid += np.where(is_open, -side * due[rows] / entry, 0.0)
        if held == barriers.bars:
            leave(is_open, at_open, rows)
            break
        if held:
            leave(side * at_open <= side * stop, at_open, rows)
            leave(side * at_open >= side * target, at_open, rows, maker=True)
        leave(side * worst[rows] <= side * stop, stop, rows)
        leave(side * best[rows] >= side * target, target, rows, maker=True)
    moved = left_at / entry
    fees = barriers.taker_fee + moved * np.where(is_maker, barriers.maker_fee, barriers.taker_fee)
    net[starts], price[starts], row[starts] = side * (moved - 1.0) - fees + paid, left_at, left_row
    return Outcomes(net, price, row)


def average_uniqueness(last_row: Rows) -> Floats:
    """(T,) How much of the time a label looks at is its own: the mean of 1 / (labels at work) over its bars.

    The label of row t is at work from t + 1 to `last_row[t]`; -1 is a row without one and gets NaN. Source: Lopez
    de Prado, Advances in Financial Machine Learning, ch. 4.

    >>> average_uniqueness(np.array([2, 2, 3, -1])).tolist()
    [0.75, 0.5, 1.0, nan]
    """
    first = np.arange(len(last_row)) + 1
    is_label = last_row >= first
    beyond = len(last_row) + 1
    steps = np.bincount(first[is_label], minlength=beyond) - np.bincount(last_row[is_label] + 1, minlength=beyond)
    at_work = np.cumsum(steps)[: len(last_row)]
    share = np.concatenate([[0.0], np.cumsum(np.where(at_work > 0, 1.0 / np.maximum(at_work, 1), 0.0))])
    unique = np.full(len(last_row), np.nan)
    begin, end = first[is_label], last_row[is_label] + 1
    unique[is_label] = (share[end] - share[begin]) / (end - begin)
    return unique


def _levels(entry: Floats, side: int, barriers: Barriers) -> tuple[Floats, Floats]:
    """Prices of stop and take profit; one that is off is never met."""
    never = np.full(len(entry), np.inf)
    stop, target = barriers.stop_price_pct, barriers.take_profit_price_pct
    return (
        entry * (1.0 - side * stop) if stop else -side * never,
        entry * (1.0 + side * target) if target else side * never,
    )


def _funding_due(bars: Bars) -> Floats:
    """(T,) What a long of one coin pays at the start of each bar, in the quote coin; 0 where nothing is due."""
    columns = bars.columns
    if "funding_rate" not in columns:
        return np.zeros(len(bars))
    mark = columns.get("mark_open", columns["open"])
    return np.nan_to_num(columns["funding_rate"] * np.where(np.isnan(mark), columns["open"], mark))


def is_whole(bars: Bars, ahead: int) -> NDArray[np.bool_]:
    """(T,) whether none of the next `ahead` bars is missing or yet to come."""
    whole = np.zeros(len(bars), dtype=bool)
    if len(bars) > ahead:
        step = bar_seconds(bars.open_time) * 1_000_000_000
        whole[:-ahead] = bars.open_time[ahead:] - bars.open_time[:-ahead] == ahead * step
    return whole
