"""Elliott counts: every rule of the book, made-up impulses found where they were put, and what chance shows."""

import math
from itertools import pairwise

import numpy as np
import pytest

from lstm_backtrader.candles import Bars
from lstm_backtrader.forecast.elliott import Count, WaveCounter, counts, is_impulse
from lstm_backtrader.forecast.elliott_null import RANDOM_WALK_SHARE, ImpulseShare, impulse_share
from lstm_backtrader.forecast.zigzag import Pivot, Swings

IMPULSE = (0.0, 0.10, 0.05, 0.21, 0.17, 0.27)  # start and ends of five waves that keep every rule
BROKEN = {  # one rule each
    "wave 2 goes beyond the start of wave 1": (0.0, 0.10, -0.01, 0.21, 0.17, 0.27),
    "wave 3 does not go beyond the end of wave 1": (0.0, 0.10, 0.05, 0.09, 0.07, 0.16),
    "wave 3 is the shortest": (0.0, 0.10, 0.03, 0.12, 0.11, 0.23),
    "wave 4 enters wave 1": (0.0, 0.10, 0.05, 0.21, 0.09, 0.27),
}
both_sides = pytest.mark.parametrize("side", [1, -1])


def pivots_at(prices, side=1):
    return [
        Pivot(10 * number, side * price, side * (-1) ** (number + 1), 10 * number + 3)
        for number, price in enumerate(prices)
    ]


def path(corners, side, seed, steps=24, noise=0.0012):
    """High, low, close (T,) of log prices along straight waves with some noise."""
    rng = np.random.default_rng(seed)
    close = np.concatenate([np.linspace(a, b, steps, endpoint=False) for a, b in pairwise(corners)])
    close = side * close + noise * rng.normal(size=len(close))
    before = np.concatenate([close[:1], close[:-1]])
    return (
        np.maximum(close, before) + noise * rng.random(len(close)),
        np.minimum(close, before) - noise * rng.random(len(close)),
        close,
    )


# --- rules --------------------------------------------------------------------------------------------------


@both_sides
def test_an_impulse_by_the_book_is_one(side):
    prices = [side * price for price in IMPULSE]
    assert is_impulse(prices, side)
    assert not is_impulse(prices, -side)


@both_sides
@pytest.mark.parametrize("broken", BROKEN)
def test_each_rule_that_is_broken_takes_the_count_away(broken, side):
    prices = BROKEN[broken]
    assert not is_impulse([side * price for price in prices], side)
    found = counts(pivots_at(prices, side))
    assert 6 * side not in [count.wave * count.side for count in found]


@both_sides
@pytest.mark.parametrize(
    ("known", "wave", "wrong_at", "target"),
    [
        (1, 1, IMPULSE[0], math.nan),
        (2, 2, IMPULSE[0], IMPULSE[1] - 0.618 * 0.10),
        (3, 3, IMPULSE[2], IMPULSE[2] + 1.618 * 0.10),
        (4, 4, IMPULSE[1], IMPULSE[3] - 0.382 * 0.16),
        (5, 5, IMPULSE[4], IMPULSE[4] + 0.10),
        (6, 6, IMPULSE[5], IMPULSE[4]),
    ],
)
def test_every_wave_has_a_price_at_which_it_is_wrong_and_one_it_heads_for(known, wave, wrong_at, target, side):
    found = {count.wave * count.side: count for count in counts(pivots_at(IMPULSE[:known], side))}
    count = found[wave * side]
    assert count.invalidation == pytest.approx(side * wrong_at)
    assert count.target == pytest.approx(side * target, nan_ok=True)


def test_the_confidence_is_the_nearness_to_fibonacci_ratios_by_hand():
    # given wave 2 a half of wave 1, wave 3 exactly 1.618 of it, wave 4 0.3 of wave 3, wave 5 as long as wave 1
    p = [0.0, 1.0, 0.5, 2.118, 2.118 - 0.3 * 1.618, 2.118 - 0.3 * 1.618 + 1.0]
    near = max(math.exp(-0.5 * (math.log(0.3 / level) / 0.2) ** 2) for level in (0.236, 0.382))

    # then
    assert counts(pivots_at(p))[0] == Count(6, 1, pytest.approx((3 + near) / 4), p[5], p[4], math.inf)
    assert counts(pivots_at(p[:4]))[0].confidence == pytest.approx(2 / 4)


def test_all_counts_the_rules_allow_are_kept():
    waves = [count.wave * count.side for count in counts(pivots_at(IMPULSE))]
    assert waves[0] == 6
    assert {6, -1, 2} <= set(waves)  # over; or the first wave down; or the second of a larger one up
    assert sorted(waves, key=abs) != waves


def test_wave_five_may_not_grow_longer_than_a_wave_three_shorter_than_wave_one():
    # given wave 3, 0.09, shorter than wave 1, 0.10
    count = next(count for count in counts(pivots_at([0.0, 0.10, 0.03, 0.12, 0.11])) if count.wave == 5)
    assert count.limit == pytest.approx(0.11 + 0.09)


# --- made-up impulses ---------------------------------------------------------------------------------------


@both_sides
@pytest.mark.parametrize("seed", range(20))
def test_a_made_up_impulse_is_found_where_it_was_put(seed, side):
    # given a fall, an impulse up with ratios by the book, and a fall (or all of it upside down)
    corners = (0.15, 0.0, 0.10, 0.05, 0.21, 0.17, 0.27, 0.15)
    high, low, close = path(corners, side, seed)

    # when
    counter, pivots, waves, wrong = WaveCounter(Swings()), [], [], []
    for bar in zip(high.tolist(), low.tolist(), close.tolist(), strict=True):
        if counter.advance(*bar):
            pivots.append(counter.zigzag.pivots[-1])
        waves.append(counter.reading().wave)
        wrong.append(counter.reading().invalidation)

    # then the pivots lie within two bars of the corners, and waves 3 and 5 are known in their middle
    corner_bars = [24 * number for number in range(1, 7)]
    assert [pivot.kind for pivot in pivots[-6:]] == [side * kind for kind in (-1, 1, -1, 1, -1, 1)]
    assert all(abs(pivot.bar - bar) <= 2 for pivot, bar in zip(pivots[-6:], corner_bars, strict=True))
    assert waves[24 * 3 + 12] == 3 * side
    assert wrong[24 * 3 + 12] == pivots[-4].price
    assert waves[24 * 5 + 12] == 5 * side
    assert wrong[24 * 5 + 12] == pivots[-2].price
    assert waves[-1] == 6 * side


@both_sides
def test_a_count_ends_with_the_bar_that_breaks_it(side):
    # given a wave 3 that turns back below the end of wave 2
    high, low, close = path((0.15, 0.0, 0.10, 0.05, 0.09, -0.2), side, seed=1)
    counter, held = WaveCounter(Swings()), []
    for bar in zip(high.tolist(), low.tolist(), close.tolist(), strict=True):
        counter.advance(*bar)
        held.append([count for count in counter.counts() if count.wave == 3 and count.side == side])

    # then
    last = max(row for row, each in enumerate(held) if each)
    wrong_at = side * held[last][0].invalidation
    worst = low if side > 0 else -high
    assert worst[last] > wrong_at
    assert worst[last + 1] <= wrong_at or not held[last + 1]
    assert not held[-1]


# --- chance -------------------------------------------------------------------------------------------------


def walk(bars, seed):
    rng = np.random.default_rng(seed)
    steps = np.cumsum(rng.normal(0, 0.01 / math.sqrt(12), bars * 12)).reshape(bars, 12)
    before = np.concatenate([[0.0], steps[:-1, -1]])
    columns = {
        "high": np.exp(np.maximum(steps.max(axis=1), before)),
        "low": np.exp(np.minimum(steps.min(axis=1), before)),
        "close": np.exp(steps[:, -1]),
    }
    return Bars(np.arange(bars) * 3_600_000_000_000, columns)


def test_a_random_walk_makes_valid_impulses_of_one_run_in_fourteen():
    found = impulse_share(walk(20_000, seed=0), draws=1)
    assert 1_000 < found.runs < 1_400
    assert 0.04 < found.share < 0.11
    assert 0.04 < found.shuffled[0] < 0.11
    assert abs(found.share - RANDOM_WALK_SHARE) < 0.015


def test_nearly_every_bar_of_a_random_walk_has_a_count():
    counter, waves = WaveCounter(Swings()), []
    bars = walk(20_000, seed=2)
    logs = [np.log(bars[name]).tolist() for name in ("high", "low", "close")]
    for bar in zip(*logs, strict=True):
        counter.advance(*bar)
        waves.append(abs(counter.reading().wave))
    share = np.bincount(waves, minlength=7) / len(waves)
    assert share[2:] == pytest.approx([0.26, 0.41, 0.065, 0.065, 0.07], abs=0.03)
    assert share[0] < 0.01


def test_the_sentence_puts_chance_beside_what_was_found():
    said = ImpulseShare(runs=1_000, valid=91, shuffled=(0.06, 0.08)).sentence()
    assert "91 of 1,000 runs of six pivots are valid impulses: 9.1%" in said
    assert "7.1% of a random walk's, and 6.0% to 8.0% of these bars shuffled" in said
    assert "too few" in ImpulseShare(0, 0).sentence()
