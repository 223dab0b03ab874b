"""The label: by hand, at gaps, and at the end of the data."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_backtrader.candles import Bars
from lstm_backtrader.errors import ConfigError, DataError
from lstm_backtrader.forecast.barriers import Barriers, outcomes
from lstm_backtrader.forecast.catalogue import known_labels
from lstm_backtrader.forecast.features import volatility
from lstm_backtrader.forecast.labels import LABEL_CLIP, LABELS, LabelSpec, label, scaled_return


@pytest.fixture(scope="module")
def zigzag(candles_of):
    """Closes that go one per cent up and down by turns, so that volatility is 0.01; opens of their own."""
    candles = candles_of(240)
    candles["close"] = 100 * np.exp(0.01 * (np.arange(240) % 2))
    candles["open"] = 99.0
    return candles


def test_the_label_by_hand(zigzag):
    y = scaled_return(Bars.of(zigzag), 4)
    # entered at the open of 201, 99, left at the close of 204, 100
    assert y[200] == pytest.approx(math.log(100 / 99) / (0.01 * 2))
    # left at the close of 205, 101.005
    assert y[201] == pytest.approx((math.log(100 / 99) + 0.01) / (0.01 * 2))


def test_a_horizon_of_one_is_the_next_bar(zigzag):
    y = scaled_return(Bars.of(zigzag), 1)
    assert y[200] == pytest.approx((math.log(100 / 99) + 0.01) / 0.01)


@pytest.mark.parametrize("horizon", [1, 4, 24])
def test_only_bars_with_volatility_and_a_future_have_a_label(candles_of, horizon):
    y = scaled_return(Bars.of(candles_of(300)), horizon)
    assert np.flatnonzero(np.isfinite(y)).tolist() == list(range(168, 300 - horizon))


@pytest.mark.parametrize("horizon", [299, 300, 301, 5000])
def test_a_horizon_beyond_the_data_gives_no_label(candles_of, horizon):
    y = scaled_return(Bars.of(candles_of(300)), horizon)
    assert y.shape == (300,)
    assert np.isnan(y).all()


def test_labels_across_a_gap_are_nan(candles_of):
    candles = candles_of(300)
    y = scaled_return(Bars.of(candles.drop(candles.index[250])), 4)
    # bars 246 to 249 wait for bar 250; the row after it is bar 251
    assert np.flatnonzero(np.isnan(y[168:-4])).tolist() == [246 - 168, 247 - 168, 248 - 168, 249 - 168]


def test_a_jump_is_clipped(candles_of):
    candles = candles_of(300)
    candles.iloc[250:, :4] *= 10
    y = scaled_return(Bars.of(candles), 4)
    assert y[247] == LABEL_CLIP
    candles.iloc[250:, :4] /= 100
    assert scaled_return(Bars.of(candles), 4)[247] == -LABEL_CLIP


@given(row=st.integers(168, 290), horizon=st.integers(1, 9))
@settings(max_examples=30)
def test_a_label_reads_its_future_and_nothing_after_it(candles_of, row, horizon):
    bars = Bars.of(candles_of(300))
    later = np.arange(300) > row + horizon
    noise = {name: np.where(later, column * 3, column) for name, column in bars.columns.items()}
    np.testing.assert_array_equal(
        scaled_return(Bars(bars.open_time, noise), horizon)[: row + 1], scaled_return(bars, horizon)[: row + 1]
    )


def test_the_label_is_a_plain_formula_on_any_market(candles_of):
    bars = Bars.of(candles_of(300, seed=9))
    y, sigma = scaled_return(bars, 6), volatility(bars)
    for t in range(168, 294):
        move = math.log(bars["close"][t + 6] / bars["open"][t + 1]) / (sigma[t] * math.sqrt(6))
        assert y[t] == pytest.approx(min(5, max(-5, move)))


# --- three classes ------------------------------------------------------------------------------------------


def classes(bars, text="three_classes"):
    return LabelSpec.parse(text, 4).compute(bars)


def test_three_classes_by_hand(zigzag):
    # a round trip costs 2 x (5 + 1) bps and 4 hours of funding, 0.5 bps: 0.00125
    candles = zigzag.assign(open=zigzag["close"].shift(1, fill_value=100.0))
    for factor, expected in ((1.002, 1.0), (1.001, 0.0), (0.999, 0.0), (0.998, -1.0)):
        candles.iloc[204, candles.columns.get_loc("close")] = candles["open"].iloc[201] * factor
        assert classes(Bars.of(candles))[200] == expected


@given(cost=st.floats(0, 200), seed=st.integers(0, 20))
@settings(max_examples=25)
def test_the_dead_zone_is_the_cost_over_the_volatility(candles_of, cost, seed):
    bars = Bars.of(candles_of(260, seed=seed))
    y = classes(bars, f"three_classes:fee_bps={cost}:slippage_bps=0:funding_bps=0")
    scaled = scaled_return(bars, 4)
    zone = 2 * cost * 1e-4 / (volatility(bars) * 2)
    inside = np.abs(scaled) < LABEL_CLIP
    expected = np.where(np.abs(scaled) > zone, np.sign(scaled), 0.0)
    np.testing.assert_array_equal(y[inside], expected[inside])
    np.testing.assert_array_equal(np.isnan(y), np.isnan(scaled))


@given(low=st.floats(0, 100), more=st.floats(0, 100))
@settings(max_examples=25)
def test_a_higher_cost_never_makes_a_class_of_none(candles_of, low, more):
    bars = Bars.of(candles_of(260))
    cheap, dear = (classes(bars, f"three_classes:fee_bps={fee}") for fee in (low, low + more))
    known = np.isfinite(cheap)
    assert np.isin(dear[known], (-1, 0, 1)).all()
    assert (np.abs(dear[known]) <= np.abs(cheap[known])).all()
    assert (dear[known] * cheap[known] >= 0).all()


def test_funding_is_paid_for_the_time_a_position_is_held(candles_of):
    # 4 bars of a day are twelve times 8 hours
    for freq, hours in (("1h", 4), ("1D", 96)):
        bars = Bars.of(candles_of(260, freq=freq))
        by_funding = classes(bars, "three_classes:fee_bps=0:slippage_bps=0:funding_bps=16")
        by_fee = classes(bars, f"three_classes:fee_bps={16 * hours / 8 / 2}:slippage_bps=0:funding_bps=0")
        np.testing.assert_array_equal(by_funding, by_fee)


def test_the_mirrored_market_has_the_mirrored_classes(candles_of):
    bars = Bars.of(candles_of(260))
    names = {"open": "open", "high": "low", "low": "high", "close": "close"}
    mirrored = {name: 1e4 / bars[other] for name, other in names.items()} | {"volume": bars["volume"]}
    known = slice(168, 256)
    np.testing.assert_array_equal(classes(Bars(bars.open_time, mirrored))[known], -classes(bars)[known])


# --- by name ------------------------------------------------------------------------------------------------


@pytest.fixture
def registry(monkeypatch):
    monkeypatch.setattr("lstm_backtrader.forecast.labels.LABELS", dict(LABELS))


def barred(candles):
    """The label, and the outcomes of both sides it is made of."""
    spec = LabelSpec.parse("triple_barrier:stop_price_pct=0.01:take_profit_price_pct=0.02", 6)
    bars = Bars.of(candles)
    return spec, spec.compute(bars), [outcomes(bars, side, Barriers(5, 0.01, 0.02)) for side in (1, -1)]


def test_the_triple_barrier_is_the_side_whose_position_leaves_money(candles_of):
    _, y, (long, short) = barred(candles_of(400))

    known = np.isfinite(y)
    assert known.tolist() == [True] * 394 + [False] * 6
    assert {-1, 0, 1} == set(y[known])
    assert (long.net_return[y == 1] > 0).all()
    assert (short.net_return[y == -1] > 0).all()
    assert np.maximum(long.net_return, short.net_return)[y == 0].max() <= 0


def test_where_both_sides_leave_money_the_better_one_is_the_label(candles_of):
    candles = candles_of(400)
    spec = LabelSpec.parse("triple_barrier:stop_price_pct=0.0:take_profit_price_pct=0.004", 9)
    bars = Bars.of(candles)
    long, short = (outcomes(bars, side, Barriers(8, 0.0, 0.004)).net_return for side in (1, -1))

    both = np.flatnonzero((long > 0) & (short > 0))
    assert len(both) > 20
    assert (spec.compute(bars)[both] == np.where(long > short, 1, -1)[both]).all()


def test_the_triple_barrier_is_known_when_both_positions_are_over(candles_of):
    spec, y, (long, short) = barred(candles_of(400))

    rows = spec.known_at(Bars.of(candles_of(400)))

    known = np.isfinite(y)
    assert (rows[known] == np.maximum(long.exit_row, short.exit_row)[known]).all()
    assert (rows - np.arange(400))[known].max() == spec.horizon
    assert (rows[~known] == -1).all()


def test_any_other_label_is_known_when_its_horizon_is_over(candles_of):
    assert LabelSpec.parse("scaled_return", 3).known_at(Bars.of(candles_of(6))).tolist() == [3, 4, 5, -1, -1, -1]


@given(row=st.integers(1, 90))
@settings(max_examples=30)
def test_the_triple_barrier_reads_its_horizon_and_no_bar_after_it(candles_of, row):
    candles = candles_of(110)
    spec = LabelSpec.parse("triple_barrier", 6)
    y, rows = spec.compute(Bars.of(candles)), spec.known_at(Bars.of(candles))

    candles.iloc[row + spec.horizon + 1 :, :4] *= 3

    assert spec.compute(Bars.of(candles))[row] == y[row]
    assert spec.known_at(Bars.of(candles))[row] == rows[row]


def test_a_label_takes_the_horizon_of_the_training_unless_it_says_its_own():
    assert LabelSpec.parse("scaled_return", 7).horizon == 7
    assert LabelSpec.parse("scaled_return:horizon=3", 7).horizon == 3
    assert str(LabelSpec.parse("three_classes:fee_bps=2.5", 7)) == (
        "three_classes:horizon=7:fee_bps=2.5:slippage_bps=1.0:funding_bps=1.0"
    )


def test_a_label_of_ones_own_is_a_label(registry, candles_of):
    @label(horizon=lambda hold=5: hold)
    def range_ahead(bars, hold):
        return np.array(
            [bars["high"][t + 1 : t + 1 + hold].max() / bars["close"][t] for t in range(len(bars) - 1)] + [9]
        )

    spec, bars = LabelSpec.parse("range_ahead", 24), Bars.of(candles_of(50))
    assert (spec.horizon, spec.is_class) == (5, False)
    y = spec.compute(bars)
    assert y[10] == bars["high"][11:16].max() / bars["close"][10]
    assert (
        np.isnan(y).tolist() == [False] * 45 + [True] * 5
    )  # what has not happened yet is unknown whatever it says


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (lambda bars: bars["close"][1:], r"gave an array of shape \(49,\) for 50 bars. Give one a bar"),
        (lambda bars: 2 * np.ones(50), r"has classes and said other than -1, 0 or 1. Say NaN where"),
    ],
)
def test_a_label_that_says_what_it_may_not_is_refused(registry, candles_of, said, message):
    @label(horizon=lambda: 1, is_class=True)
    def odd(bars):
        return said(bars)

    with pytest.raises(DataError, match=message):
        LabelSpec("odd").compute(Bars.of(candles_of(50)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("three_clases", r"unknown label 'three_clases'. Did you mean three_classes\?"),
        ("three_classes:fee=3", "label 'three_classes' takes horizon, fee_bps, slippage_bps, funding_bps, not"),
        ("three_classes:fee_bps=-1", "label 'three_classes': fee_bps -1 is below 0. Costs are 0 or more"),
        ("three_classes:fee_bps=much", "fee_bps 'much' is not a number"),
        ("triple_barrier:horizon=1", "horizon 1 leaves no bar to hold a position, .* Give 2 or more"),
        ("triple_barrier:fee_bps=-1", "'triple_barrier': fee_bps -1 is outside 0 to 1000. 5 is 0.05 % a side"),
        ("triple_barrier:stop_price_pct=2", r"stop_price_pct=2 must be in \[0, 1\)"),
        ("scaled_return:horizon=0", "horizon 0 is not a whole number, 1 or more"),
    ],
)
def test_a_text_that_names_no_label_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        LabelSpec.parse(text, 4)


def test_a_label_that_looks_back_is_refused(registry):
    @label(horizon=lambda: 0)
    def now(bars):
        return bars["close"]

    with pytest.raises(ConfigError, match="label 'now' looks 0 bars ahead"):
        LabelSpec("now")


def test_the_name_of_another_modules_label_is_taken():
    with pytest.raises(ConfigError, match="a label 'scaled_return' exists already"):

        @label(horizon=lambda: 1)
        def scaled_return(bars):
            return bars["close"]


def test_the_catalogue_lists_every_label():
    lines = {line.text.partition(":")[0]: line for line in known_labels()}
    assert {"scaled_return", "three_classes", "triple_barrier"} <= lines.keys()
    assert lines["scaled_return"].horizon == "24"
