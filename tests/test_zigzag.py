"""The zigzag: pivots where a person would put them, known when they are known, the same upside down."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_backtrader.errors import ConfigError
from lstm_backtrader.forecast.zigzag import Swings, ZigZag


def legs(*corners, steps=20, noise=0.0, seed=0):
    """High, low, close (T,) of log prices that go straight from corner to corner, `steps` bars each."""
    rng = np.random.default_rng(seed)
    path = np.concatenate([np.linspace(a, b, steps, endpoint=False) for a, b in pairwise(corners)])
    path = path + noise * rng.normal(size=len(path))
    before = np.concatenate([path[:1], path[:-1]])
    return np.maximum(path, before), np.minimum(path, before), path


def pivots(high, low, close, rules=None):
    zigzag, found = ZigZag(rules or Swings()), []
    for bar in zip(high.tolist(), low.tolist(), close.tolist(), strict=True):
        if zigzag.advance(*bar):
            found.append(zigzag.pivots[-1])
    return found


def walk(bars=2000, seed=0, step=0.01, inside=12):
    """A random walk of log prices, each bar of `inside` steps."""
    rng = np.random.default_rng(seed)
    path = np.cumsum(rng.normal(0, step / math.sqrt(inside), bars * inside)).reshape(bars, inside)
    open_ = np.concatenate([[0.0], path[:-1, -1]])
    return np.maximum(path.max(axis=1), open_), np.minimum(path.min(axis=1), open_), path[:, -1]


def test_a_turn_is_a_pivot_and_known_at_the_bar_that_makes_it():
    # given bars of one range, 0.01, that rise for twenty, fall for twenty and rise again
    found = pivots(*legs(0.0, 0.2, 0.0, 0.2), Swings(turn=2.5, span=5))

    # then the third bar after each corner has come back by two and a half ranges
    assert [pivot.kind for pivot in found] == [-1, 1, -1]
    assert [pivot.bar for pivot in found] == [0, 20, 40]
    assert [pivot.confirmed_at for pivot in found[1:]] == [23, 43]
    assert [pivot.price for pivot in found] == pytest.approx([0.0, 0.2, 0.0])


def test_the_pivots_of_a_random_walk_alternate_and_are_the_extremes_between_their_neighbours():
    high, low, close = walk()
    found = pivots(high, low, close)
    assert len(found) > 80
    for before, pivot in pairwise(found):
        between = slice(before.bar + 1, pivot.bar + 1)
        assert pivot.kind == -before.kind
        assert pivot.price == (high[between].max() if pivot.kind > 0 else low[between].min())
        assert before.bar < pivot.bar <= pivot.confirmed_at


def test_a_pivot_is_confirmed_six_bars_late_on_a_random_walk():
    found = pivots(*walk(20_000, seed=1))
    assert np.mean([pivot.confirmed_at - pivot.bar for pivot in found]) == pytest.approx(5.9, abs=0.6)


@given(seed=st.integers(0, 50), turn=st.sampled_from([1.0, 2.5, 4.0]))
def test_the_mirrored_market_has_the_mirrored_pivots(seed, turn):
    high, low, close = walk(300, seed)
    mirrored = [
        pivot._replace(price=-pivot.price, kind=-pivot.kind) for pivot in pivots(-low, -high, -close, Swings(turn))
    ]
    assert mirrored == pivots(high, low, close, Swings(turn))


def test_a_pivot_never_changes_once_it_is_confirmed():
    high, low, close = walk(400, seed=3)
    all_of_them = pivots(high, low, close)
    for end in range(50, 400, 7):
        known = [pivot for pivot in all_of_them if pivot.confirmed_at < end]
        assert pivots(high[:end], low[:end], close[:end]) == known


def test_a_bar_that_goes_further_turns_by_its_close_alone():
    # given a quiet market and one wide bar, whose low may have come before its high
    quiet = [(0.001, -0.001, 0.0)] * 20
    wide_up = (0.10, -0.10, 0.09)

    # when
    zigzag = ZigZag(Swings(turn=3.0, span=5))
    turns = [zigzag.advance(*bar) for bar in [*quiet, wide_up]]

    # then the low below counts as a turn of the falling leg, the high as none: its close has not come back
    assert turns[-1]
    assert zigzag.pivots[-1].kind == -1


def test_a_market_that_never_moves_has_no_pivot():
    zigzag = ZigZag(Swings())
    assert not any(zigzag.advance(1.0, 1.0, 1.0) for _ in range(12_000))
    assert zigzag.swing == 0


def test_a_bar_without_a_price_is_passed_over():
    high, low, close = (column.copy() for column in walk(300, seed=5))
    whole = pivots(high, low, close)
    holed = [np.insert(column, 100, np.nan) for column in (high, low, close)]
    assert [pivot.price for pivot in pivots(*holed)] == [pivot.price for pivot in whole]


def test_a_copy_goes_its_own_way():
    high, low, close = walk(200, seed=2)
    zigzag = ZigZag(Swings())
    for bar in zip(high[:100], low[:100], close[:100], strict=True):
        zigzag.advance(*bar)
    copy, before = zigzag.copy(), (zigzag.pivots, zigzag.atr, zigzag.bars)
    for bar in zip(high[100:], low[100:], close[100:], strict=True):
        copy.advance(*bar)
    assert (zigzag.pivots, zigzag.atr, zigzag.bars) == before
    assert copy.pivots != zigzag.pivots


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"turn": 0.0}, r"turn 0.0 must be above 0, in average true ranges. The default is 3"),
        ({"turn": math.nan}, "turn nan must be above 0"),
        ({"span": 0}, "span 0 must be a whole number of bars, 1 or more"),
        ({"span": 2.5}, "span 2.5 must be a whole number"),
    ],
)
def test_a_wrong_rule_is_refused(given_, said):
    with pytest.raises(ConfigError, match=said):
        Swings(**given_)
