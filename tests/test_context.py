"""Strided context against brute force: every small L and S, with and without gaps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_backtrader.errors import ConfigError
from lstm_backtrader.forecast.context import StridedContext, sequences

SMALL = [StridedContext(length, stride) for length in range(2, 13) for stride in range(1, length + 1)]
SLOTS = np.arange(1_000_000, 1_000_100)
small_contexts = st.sampled_from(SMALL)
slots_with_gaps = st.sets(st.integers(500, 560), min_size=1).map(lambda found: np.array(sorted(found)))


def test_every_forecast_has_seen_l_to_l_plus_s_minus_1_bars():
    for context in SMALL:
        seen = SLOTS - context.start(SLOTS) + 1
        assert (seen.min(), seen.max()) == (context.length, context.span)


def test_every_sequence_starts_at_an_absolute_multiple_of_the_stride():
    for context in SMALL:
        assert (context.start(SLOTS) % context.stride == 0).all()


def test_a_stride_of_one_is_a_fixed_window():
    context = StridedContext(24, 1)
    assert (SLOTS - context.start(SLOTS) + 1 == 24).all()
    assert context.is_cut(SLOTS).all()


def test_cuts_are_a_stride_apart():
    for context in SMALL:
        cuts = SLOTS[context.is_cut(SLOTS)]
        assert set(np.diff(cuts)) == {context.stride}


def test_the_sequences_alive_are_those_still_needed():
    for context in SMALL:
        for slot in SLOTS[:30].tolist():
            needed = {int(start) for start in context.start(np.arange(slot, slot + context.span)) if start <= slot}
            assert sorted(needed) == list(context.alive(slot))


def test_at_most_ceil_l_over_s_and_one_sequences_are_alive():
    for context in SMALL:
        alive = [len(context.alive(slot)) for slot in SLOTS.tolist()]
        assert max(alive) <= -(-context.length // context.stride) + 1
        assert all(context.alive(slot)[0] == context.start(np.array([slot]))[0] for slot in SLOTS.tolist())


@pytest.mark.parametrize(("length", "stride"), [(1, 1), (0, 1), (-5, 1)])
def test_a_context_of_one_bar_is_refused(length, stride):
    with pytest.raises(ConfigError, match=f"context {length} is too short"):
        StridedContext(length, stride)


@pytest.mark.parametrize("stride", [0, -1, 25])
def test_a_stride_outside_the_context_is_refused_with_a_proposal(stride):
    with pytest.raises(ConfigError, match=f"stride {stride} is outside 1 to context 24. Try 6"):
        StridedContext(24, stride)


@given(context=small_contexts, slots=slots_with_gaps)
def test_the_layout_over_gaps_is_that_of_a_plain_loop(context, slots):
    plan = sequences(context, slots, int(slots[0]))
    for row, slot in enumerate(slots.tolist()):
        start = (slot - context.length + 1) // context.stride * context.stride
        inside = [r for r, s in enumerate(slots.tolist()) if start <= s <= slot]
        known = start >= slots[0] and 2 * len(inside) >= context.length
        assert plan.seen[row] == known
        if known:
            assert plan.first[plan.of_row[row]] == inside[0]
            assert plan.step[row] == len(inside) - 1


@given(context=small_contexts, slots=slots_with_gaps, cut=st.integers(0, 60))
def test_a_history_cut_anywhere_has_the_same_layout_where_it_has_one(context, slots, cut):
    kept = slots[slots >= 500 + cut]
    whole, part = sequences(context, slots, int(slots[0])), sequences(context, kept, max(500 + cut, int(slots[0])))
    offset = len(slots) - len(kept)
    for row in np.flatnonzero(part.seen):
        assert whole.seen[row + offset]
        assert whole.step[row + offset] == part.step[row]
        assert whole.first[whole.of_row[row + offset]] == part.first[part.of_row[row]] + offset


def test_no_rows_have_no_sequences():
    plan = sequences(StridedContext(4, 2), np.empty(0, np.int64), 0)
    assert len(plan.first) == len(plan.of_row) == len(plan.step) == len(plan.seen) == 0
