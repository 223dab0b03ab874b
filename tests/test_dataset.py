"""Training material: the purge, the scaler, and the shape of the crops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_backtrader.errors import DataError
from lstm_backtrader.forecast.context import StridedContext
from lstm_backtrader.forecast.dataset import Crops, Scaler, purged_split


def crops_of(context, slots, y=None, weight=None):
    """Crops whose single feature is the row's own number, so that one sees which rows a crop holds."""
    n = len(slots)
    return Crops(
        context,
        np.arange(n, dtype=np.float32)[:, None],
        np.arange(n, dtype=float) if y is None else y,
        np.ones(n) if weight is None else weight,
        slots,
    )


# --- split --------------------------------------------------------------------------------------------------


@given(
    n=st.integers(50, 400),
    horizon=st.integers(1, 30),
    fraction=st.floats(0.01, 0.5),
    embargo=st.integers(0, 30),
    missing=st.sets(st.integers(1, 48)),
)
def test_no_train_label_reaches_validation(n, horizon, fraction, embargo, missing):
    slots = np.array([slot for slot in range(1000, 1000 + n) if slot - 1000 not in missing])
    split = purged_split(slots, horizon, fraction, embargo)
    last_train = split.train_end - 1
    assert last_train + horizon + embargo < split.val_begin  # the label of bar t reads bars up to t + horizon
    assert split.val_begin - (last_train + horizon + embargo) == 1  # and not a bar more is given away
    assert (split.train_begin, split.val_end) == (slots[0], slots[-1] + 1)


def test_validation_is_the_last_part_of_the_time():
    split = purged_split(np.arange(100, 1100), horizon=10, val_fraction=0.2, embargo=5)
    assert (split.train_end, split.val_begin, split.val_end) == (885, 900, 1100)


# --- scaler -------------------------------------------------------------------------------------------------


def test_the_scaler_standardises_the_rows_it_was_fitted_on():
    X = np.random.default_rng(0).normal(7, 3, (500, 2)).astype(np.float32)
    Z = Scaler.fit(X).transform(X)
    assert Z.dtype == np.float32
    assert Z.mean(axis=0) == pytest.approx([0, 0], abs=1e-5)
    assert Z.std(axis=0) == pytest.approx([1, 1], abs=1e-5)


def test_the_scaler_by_hand():
    scaler = Scaler.fit(np.array([[1.0, 5.0], [3.0, 5.0]], dtype=np.float32))
    assert scaler == Scaler(mean=(2.0, 5.0), scale=(1.0, 1.0))  # a feature that never varied keeps scale 1
    assert scaler.transform(np.array([[2.5, 6.0], [99.0, -99.0]], dtype=np.float32)).tolist() == [[0.5, 1], [5, -5]]


# --- crops --------------------------------------------------------------------------------------------------


@given(
    length=st.integers(2, 10),
    stride=st.integers(1, 10),
    missing=st.sets(st.integers(1, 78), max_size=40),
    unlabelled=st.sets(st.integers(0, 79), max_size=20),
    seed=st.integers(0, 99),
)
@settings(max_examples=80)
def test_crops_are_those_of_a_plain_loop(length, stride, missing, unlabelled, seed):
    context = StridedContext(length, min(stride, length))
    slots = np.array([1000 + i for i in range(80) if i not in missing])
    rng = np.random.default_rng(seed)
    y = np.array([np.nan if slot - 1000 in unlabelled else rng.normal() for slot in slots])
    weight = rng.uniform(1, 5, len(slots))
    if len(slots) < context.span:
        return
    crops = crops_of(context, slots, y, weight)

    X, labels, weights = crops.sample(np.random.default_rng(seed), 16)

    assert X.shape == (16, context.span, 1)
    starts = np.random.default_rng(seed).integers(slots[0], slots[-1] - context.span + 2, size=16)
    for crop, start in enumerate(starts):
        rows = [r for r, slot in enumerate(slots) if start <= slot < start + context.span]
        assert X[crop, : len(rows), 0].tolist() == rows
        wanted = np.zeros(context.span)
        for place, row in enumerate(rows):
            in_loss = slots[row] - start >= length - 1 and 2 * (place + 1) >= length and np.isfinite(y[row])
            wanted[place] = weight[row] if in_loss else 0
            if in_loss:
                assert labels[crop, place] == np.float32(y[row])
        np.testing.assert_array_equal(weights[crop], wanted.astype(np.float32))


def test_a_crop_without_gaps_has_its_loss_on_the_last_stride_bars():
    context = StridedContext(6, 3)
    _, _, weights = crops_of(context, np.arange(100, 140)).sample(np.random.default_rng(0), 5)
    assert (weights == [0, 0, 0, 0, 0, 1, 1, 1]).all()


def test_crops_reach_the_first_and_the_last_row():
    X, _, _ = crops_of(StridedContext(6, 3), np.arange(100, 120)).sample(np.random.default_rng(0), 300)
    assert X[:, 0].min() == 0
    assert X[:, -1].max() == 19


def test_labels_and_features_in_a_crop_are_always_finite():
    y = np.where(np.arange(40) % 3 == 0, np.nan, 1.0)
    X, labels, weights = crops_of(StridedContext(6, 3), np.arange(100, 140), y).sample(np.random.default_rng(0), 50)
    assert np.isfinite(X).all()
    assert np.isfinite(labels).all()
    assert np.isfinite(weights).all()


def test_crops_repeat_for_the_same_generator():
    crops = crops_of(StridedContext(6, 3), np.arange(100, 140))
    first, again = (crops.sample(np.random.default_rng(4), 8)[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_too_few_rows_for_a_crop_are_refused():
    with pytest.raises(
        DataError, match=r"7 usable train bars do not hold one crop of 8 bars \(context 6 \+ stride 3\)"
    ):
        crops_of(StridedContext(6, 3), np.arange(100, 107))
