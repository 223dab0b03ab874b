"""Features: what they compute, how far back they look, and that they never look ahead."""

import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_backtrader.candles import Bars
from lstm_backtrader.errors import ConfigError, DataError
from lstm_backtrader.forecast.catalogue import known_features, known_labels
from lstm_backtrader.forecast.features import (
    FEATURES,
    FeatureSpec,
    default_features,
    feature,
    longest_memory,
    make_features,
    parse_features,
    volatility,
    volume_spikes,
    window_mean_std,
)
from lstm_backtrader.forecast.labels import LABELS, LabelSpec
from lstm_backtrader.forecast.targets import check_horizon
from lstm_backtrader.forecast.windows import decay_bars, decay_weights, known_mean_std, last_known

PRICES = ("open", "high", "low", "close", "mark_close")
SPECS = (
    *default_features(events=("news",)),
    *parse_features(
        [
            "volume_z:span=7, log_return:span=200, realised_volatility, volatility_ratio",
            "rsi, rsi:span=1, atr, atr:span=5, macd, macd:fast=3:slow=7:signal=2:span=5",
            "funding, funding:span=3, funding_z:span=90, basis:column=mark_close, open_interest_change:span=20",
            "event_last:column=news:span=24, event_age:column=news:span=24, event_sum:column=news:half_life=6",
            *(
                f"elliott_wave:line={line}:turn=2:span=5:context=48:stride=12"
                for line in (
                    "wave_3",
                    "confidence",
                    "invalidation",
                    "target",
                    "swing",
                    "age",
                    "retrace",
                    "hypotheses",
                )
            ),
        ]
    ),
)
each_feature = pytest.mark.parametrize("spec", SPECS, ids=str)
OF_MOTION = {  # nothing moves, nothing is traded: they are 0
    "log_return", "bar_range", "close_location", "volume_z", "volatility_ratio", "rsi", "atr", "macd"
}  # fmt: skip


@pytest.fixture(scope="module")
def bars(candles_of):
    rng = np.random.default_rng(5)
    candles = candles_of(420)
    return Bars.of(
        candles.assign(
            news=rng.choice([0.0, 1.0, -1.0, np.nan], 420, p=[0.9, 0.04, 0.04, 0.02]),
            funding_rate=np.where(np.arange(420) % 8 == 0, rng.normal(1e-4, 1e-4, 420), np.nan),
            mark_close=candles["close"] * rng.normal(1, 1e-4, 420),
            open_interest=np.where(rng.random(420) < 0.9, 1e6 * np.exp(rng.normal(0, 0.1, 420)), np.nan),
        )
    )


def cut(bars, rows):
    return Bars(bars.open_time[rows], {name: column[rows] for name, column in bars.columns.items()})


def changed(bars, **columns):
    return Bars(bars.open_time, {**bars.columns, **columns})


# --- laws ---------------------------------------------------------------------------------------------------


@each_feature
@given(row=st.integers(0, 419))
@settings(max_examples=25)
def test_a_row_is_a_function_of_its_last_memory_bars(bars, spec, row):
    full = spec.compute(bars)
    if row < spec.memory - 1:
        assert np.isnan(full[row])
    else:
        assert spec.compute(cut(bars, slice(row + 1 - spec.memory, row + 1)))[-1] == pytest.approx(
            full[row], rel=1e-9, abs=1e-9
        )


@each_feature
@given(begin=st.integers(0, 200), end=st.integers(210, 420))
@settings(max_examples=25)
def test_a_history_cut_anywhere_gives_the_same_rows(bars, spec, begin, end):
    rows = slice(begin + spec.memory - 1, end)
    part = spec.compute(cut(bars, slice(begin, end)))[spec.memory - 1 :]
    np.testing.assert_allclose(part, spec.compute(bars)[rows], rtol=1e-9, atol=1e-9)


@each_feature
@given(row=st.integers(0, 418), seed=st.integers(0, 9))
@settings(max_examples=25)
def test_later_bars_change_nothing(bars, spec, row, seed):
    rng = np.random.default_rng(seed)
    later = np.arange(420) > row
    noise = {
        name: np.where(later, column * rng.uniform(0.5, 2, 420), column) for name, column in bars.columns.items()
    }
    before, after = spec.compute(bars)[: row + 1], spec.compute(changed(bars, **noise))[: row + 1]
    np.testing.assert_array_equal(after, before)


@each_feature
@given(row=st.integers(200, 419), dead=st.sets(st.integers(0, 419), max_size=300), flat=st.booleans())
@settings(max_examples=40)
def test_the_short_way_to_the_newest_row_gives_the_number_of_the_long_one(bars, spec, row, dead, flat):
    # given bars of which some, or a whole stretch, have neither volume nor range
    still = np.isin(np.arange(420), [*dead, *range(200 if flat else 0)])
    quiet = {name: np.where(still, bars["close"][0], bars[name]) for name in ("open", "high", "low", "close")}
    market = changed(bars, **quiet, volume=np.where(still, 0.0, bars["volume"]))

    # when
    so_far = cut(market, slice(0, row + 1))
    newest = spec.newest(so_far)

    # then
    assert newest == pytest.approx(spec.compute(so_far)[-1], rel=1e-9, abs=1e-9)
    assert newest == pytest.approx(spec.newest(so_far.last(spec.memory)), rel=1e-12, abs=1e-12)


@each_feature
@given(
    row=st.integers(200, 419),
    ago=st.integers(0, 180),
    column=st.sampled_from(
        ["open", "high", "low", "close", "volume", "news", "funding_rate", "mark_close", "open_interest"]
    ),
    value=st.sampled_from([math.nan, 0.0, -1.0, math.inf]),
)
@settings(max_examples=60)
def test_the_short_way_gives_the_same_for_bars_no_venue_should_send(bars, spec, row, ago, column, value):
    values = bars[column].copy()
    values[row - ago] = value
    so_far = cut(changed(bars, **{column: values}), slice(0, row + 1))
    with np.errstate(all="ignore"):
        assert spec.newest(so_far) == pytest.approx(spec.compute(so_far)[-1], rel=1e-9, abs=1e-9, nan_ok=True)


def test_every_feature_there_is_was_held_to_these_laws():
    ours = {name for name, each in FEATURES.items() if each.function.__module__.startswith("lstm_backtrader.")}
    assert {spec.name for spec in SPECS} == ours - {"talib"}  # which has its own file of tests


@each_feature
@pytest.mark.parametrize("length", [0, 1, 167, 168])
def test_the_newest_row_of_too_few_bars_is_nan(bars, spec, length):
    assert math.isnan(spec.newest(cut(bars, slice(0, length)))) == (length < spec.memory)


@each_feature
@given(price=st.floats(1e-6, 1e6), volume=st.floats(1e-6, 1e6))
@settings(max_examples=25)
def test_units_of_price_and_volume_do_not_matter(bars, spec, price, volume):
    scaled = {name: bars[name] * price for name in PRICES}
    scaled |= {name: bars[name] * volume for name in ("volume", "open_interest")}
    other = changed(bars, **scaled)
    np.testing.assert_allclose(spec.compute(other), spec.compute(bars), rtol=1e-6, atol=1e-6)


@each_feature
def test_only_the_rows_before_the_memory_are_nan(bars, spec):
    assert np.flatnonzero(np.isnan(spec.compute(bars))).tolist() == list(range(spec.memory - 1))


@each_feature
@pytest.mark.parametrize("length", [0, 1, 2, 168])
def test_short_data_give_nan_and_no_error(bars, spec, length):
    values = spec.compute(cut(bars, slice(0, length)))
    assert len(values) == length
    assert np.isnan(values[: spec.memory - 1]).all()


@each_feature
def test_a_market_without_any_motion_gives_finite_numbers(bars, spec):
    flat = {name: np.full(420, 100.0) for name in ("open", "high", "low", "close")}
    values = spec.compute(changed(bars, **flat, volume=np.zeros(420)))
    assert np.isfinite(values[spec.memory - 1 :]).all()
    if spec.name in OF_MOTION:
        assert (values[spec.memory - 1 :] == 0).all()


def test_a_mirrored_market_mirrors_returns_and_nothing_else(bars):
    upside_down = changed(
        bars,
        open=1e4 / bars["open"],
        close=1e4 / bars["close"],
        high=1e4 / bars["low"],
        low=1e4 / bars["high"],
    )
    for spec in (*default_features(("news",)), *parse_features(["realised_volatility", "volatility_ratio"])):
        if spec.name == "close_location":
            continue  # linear in the price, so 1 / price mirrors it only nearly
        sign = -1 if spec.name == "log_return" else 1
        np.testing.assert_allclose(spec.compute(upside_down), sign * spec.compute(bars), rtol=1e-6, atol=1e-9)


def test_close_location_is_mirrored_where_prices_are(bars):
    upside_down = changed(bars, close=1e4 - bars["close"], high=1e4 - bars["low"], low=1e4 - bars["high"])
    spec = FeatureSpec("close_location")
    np.testing.assert_allclose(spec.compute(upside_down), -spec.compute(bars), atol=1e-7)


# --- closed forms -------------------------------------------------------------------------------------------


def test_volatility_is_the_weighted_mean_of_squared_returns(bars):
    returns = np.diff(np.log(bars["close"]))
    t = 300
    weights = [0.5 ** (age / 24) for age in range(168)]
    variance = sum(w * returns[t - 1 - age] ** 2 for age, w in enumerate(weights)) / sum(weights)
    assert volatility(bars)[t] == pytest.approx(math.sqrt(variance), rel=1e-12)
    assert np.isnan(volatility(bars)[:168]).all()
    assert np.isfinite(volatility(bars)[168:]).all()


def test_the_volatility_of_equal_moves_is_their_size(bars):
    zigzag = 100 * np.exp(0.01 * (np.arange(420) % 2))
    assert volatility(changed(bars, close=zigzag))[168:] == pytest.approx(0.01)


def test_a_steady_climb_is_root_span_volatilities(bars):
    climb = changed(bars, close=np.exp(0.01 * np.arange(420)))
    for span in (1, 24, 168):
        values = FeatureSpec("log_return", {"span": span}).compute(climb)
        assert values[-1] == pytest.approx(math.sqrt(span))


def test_bar_range_counts_volatilities(bars):
    zigzag = 100 * np.exp(0.01 * (np.arange(420) % 2))
    moved = changed(bars, close=zigzag, high=zigzag * math.exp(0.02), low=zigzag * math.exp(-0.01))
    assert FeatureSpec("bar_range").compute(moved)[200] == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("low", "high", "close", "expected"), [(90, 110, 110, 1), (90, 110, 90, -1), (90, 110, 105, 0.5), (7, 7, 7, 0)]
)
def test_close_location_by_hand(bars, low, high, close, expected):
    one = Bars(
        bars.open_time[:1], {k: np.array([float(v)]) for k, v in [("low", low), ("high", high), ("close", close)]}
    )
    assert FeatureSpec("close_location").compute(one).tolist() == [expected]


def test_volume_z_by_hand(bars):
    volumes = Bars(bars.open_time[:4], {"volume": np.array([1.0, 8.0, 27.0, 0.0])})  # cube roots 1 2 3 0
    values = FeatureSpec("volume_z", {"span": 3}).compute(volumes)
    assert values[2:] == pytest.approx([math.sqrt(1.5), -(5 / 3) / math.sqrt(14 / 9)])


def test_the_week_begins_on_monday(candles_of):
    monday = Bars.of(candles_of(169, start="2024-01-01"))  # a Monday
    sine = FeatureSpec("clock", {"cycle": "week", "wave": "sin"}).compute(monday)
    cosine = FeatureSpec("clock", {"cycle": "week", "wave": "cos"}).compute(monday)
    assert (sine[0], cosine[0]) == pytest.approx((0, 1))
    assert (sine[42], cosine[42]) == pytest.approx((1, 0))  # a quarter of 168 hours
    assert (sine[168], cosine[168]) == pytest.approx((0, 1))


def test_the_day_begins_at_midnight(candles_of):
    bars = Bars.of(candles_of(24))
    sine = FeatureSpec("clock", {"cycle": "day", "wave": "sin"}).compute(bars)
    assert sine[[0, 6, 12, 18]] == pytest.approx([0, 1, 0, -1], abs=1e-12)


def test_an_event_is_its_value_and_zero_elsewhere(bars):
    one = Bars(bars.open_time[:4], {"news": np.array([np.nan, 1.0, 0.0, -1.0])})
    assert FeatureSpec("event", {"column": "news"}).compute(one).tolist() == [0, 1, 0, -1]


def test_a_missing_event_column_is_named(bars):
    with pytest.raises(DataError, match="column 'halving' is needed and missing"):
        FeatureSpec("event", {"column": "halving"}).compute(bars)


@given(span=st.integers(1, 60), n=st.integers(0, 120), seed=st.integers(0, 99))
def test_window_moments_are_those_of_a_plain_loop(span, n, seed):
    values = np.random.default_rng(seed).normal(1e6, 1, n)
    mean, std = window_mean_std(values, span)
    for t in range(n):
        window = values[t + 1 - span : t + 1] if t + 1 >= span else [np.nan]
        assert mean[t] == pytest.approx(np.mean(window), nan_ok=True, rel=1e-12)
        assert std[t] == pytest.approx(np.std(window), nan_ok=True, rel=1e-6, abs=1e-9)


def test_the_triggers_of_the_synthetic_market_are_volume_spikes():
    from lstm_backtrader.datafeeds.synthetic import synthetic_market

    market = synthetic_market(20_000, seed=1)
    spikes = volume_spikes(Bars.of(market.candles))
    trigger = market.trigger.to_numpy()[168:]
    assert spikes[168:][trigger].mean() > 0.97
    assert spikes[168:][~trigger].mean() < 0.002


def decayed(keep, values):
    """Mean whose weights fall by `keep` a bar, as an exponential mean of pandas is on a window; oldest first."""
    return pd.Series(values).ewm(alpha=1 - keep, adjust=True).mean().iloc[-1]


def test_rsi_is_wilders_ratio_of_ups_and_downs(bars):
    moves = np.diff(bars["close"])[300 - 125 : 300]
    up, down = decayed(13 / 14, np.maximum(moves, 0)), decayed(13 / 14, np.maximum(-moves, 0))
    expected = (100 - 100 / (1 + up / down)) / 50 - 1
    assert FeatureSpec("rsi").compute(bars)[300] == pytest.approx(expected, rel=1e-9)


def test_atr_is_the_mean_true_range_over_the_close(bars):
    high, low, close = bars["high"], bars["low"], bars["close"]
    ranges = [
        max(high[t] - low[t], abs(high[t] - close[t - 1]), abs(low[t] - close[t - 1])) for t in range(176, 301)
    ]
    assert FeatureSpec("atr").compute(bars)[300] == pytest.approx(decayed(13 / 14, ranges) / close[300], rel=1e-9)


def test_macd_is_the_difference_of_two_means_less_its_own_in_true_ranges(bars):
    close = bars["close"]

    def difference(t):
        return decayed(11 / 13, close[t - 55 : t + 1]) - decayed(25 / 27, close[t - 119 : t + 1])

    macd = [difference(t) for t in range(300 - 41, 301)]
    histogram = macd[-1] - decayed(0.8, macd)
    size = FeatureSpec("atr").compute(bars)[300] * close[300]
    assert FeatureSpec("macd").compute(bars)[300] == pytest.approx(histogram / size, rel=1e-9)


@pytest.mark.parametrize(
    ("moves", "expected"), [([1, 1], 1), ([-1, -1], -1), ([0, 0], 0), ([3, -1], 0.2), ([-1, 3], 5 / 7)]
)
def test_rsi_of_two_bars_by_hand(bars, moves, expected):
    # a mean of 2 bars halves its weights: the newest move counts twice the one before, up - down over up + down
    closes = np.concatenate([np.full(13, 100.0), 100 + np.cumsum(moves)])
    one = Bars(bars.open_time[:15], {"close": closes})
    assert FeatureSpec("rsi", {"span": 2}).compute(one)[-1] == pytest.approx(expected)


def test_macd_of_one_jump_by_hand(bars):
    # means of 1 and 3 bars (the close itself, weights 1/2 1/4 ...), signal of 1: the histogram is 0 by definition
    flat = changed(bars, close=np.r_[np.full(400, 100.0), np.full(20, 108.0)])
    spec = FeatureSpec("macd", {"fast": 1, "slow": 3, "signal": 1, "span": 1})
    assert spec.compute(flat)[402] == pytest.approx(0, abs=1e-9)
    # a signal of 3: macd is 4 2 1 after a jump of 8, its mean 2 2 1.5; in true ranges of one bar
    spec = FeatureSpec("macd", {"fast": 1, "slow": 3, "signal": 3, "span": 1})
    size = FeatureSpec("atr", {"span": 1}).compute(flat) * flat["close"]
    np.testing.assert_allclose((spec.compute(flat) * size)[400:403], [2.0, 0.0, -0.5], atol=2e-3)


def test_realised_volatility_by_hand(bars):
    returns = [0.03, -0.04, 0.0]
    few = Bars(bars.open_time[:4], {"close": np.exp(np.cumsum([0.0, *returns]))})
    assert FeatureSpec("realised_volatility", {"span": 2}).compute(few)[2] == pytest.approx(math.log(0.05 / 2**0.5))
    ratio = FeatureSpec("volatility_ratio", {"short": 1, "long": 3}).compute(few.part(0, 4))[3]
    assert ratio == pytest.approx(math.log(1e-8 / (0.05 / 3**0.5)))
    assert FeatureSpec("volatility_ratio", {"short": 1, "long": 2}).compute(few)[2] == pytest.approx(
        math.log(0.04 / (0.05 / 2**0.5))
    )


def test_funding_is_held_until_it_is_too_old(bars):
    nan = np.nan
    few = Bars(bars.open_time[:8], {"funding_rate": np.array([3e-4, nan, nan, 1e-4, nan, nan, nan, nan])})
    values = FeatureSpec("funding", {"span": 3}).compute(few)
    np.testing.assert_array_equal(values, [nan, nan, 3e-4, 1e-4, 1e-4, 1e-4, 0, 0])


def test_funding_z_is_among_the_rates_settled_in_the_window(bars):
    nan = np.nan
    few = Bars(bars.open_time[:6], {"funding_rate": np.array([9.0, 1.0, nan, 3.0, nan, 3.0])})
    values = FeatureSpec("funding_z", {"span": 4}).compute(few)
    # 9 1 3; 1 3; 3 3 in windows of four bars
    mean, std = 13 / 3, np.std([9, 1, 3])
    np.testing.assert_allclose(values, [nan, nan, nan, (3 - mean) / std, 1, 0][:6])


def test_basis_is_the_close_over_its_reference(bars):
    few = Bars(
        bars.open_time[:3], {"close": np.array([101.0] * 3), "index_close": np.array([100.0, np.nan, 101.0])}
    )
    values = FeatureSpec("basis", {"column": "index_close"}).compute(few)
    assert values == pytest.approx([math.log(1.01), 0, 0])


def test_open_interest_change_takes_the_last_word_of_a_venue_that_is_slow(bars):
    told = np.array([100.0, np.nan, np.nan, 121.0, np.nan, np.nan, np.nan])
    values = FeatureSpec("open_interest_change", {"span": 2}).compute(
        Bars(bars.open_time[:7], {"open_interest": told})
    )
    # at row 3: 121 against the 100 of two bars before, one bar old; at row 4 the 100 is too old to count
    np.testing.assert_allclose(values, [np.nan] * 3 + [math.log(1.21), 0, 0, 0])


def test_the_age_of_an_event_counts_bars(bars):
    few = Bars(bars.open_time[:7], {"news": np.array([0.0, 0, 1, 0, np.nan, 0, 0])})
    values = FeatureSpec("event_age", {"column": "news", "span": 4}).compute(few)
    np.testing.assert_array_equal(values, [np.nan, np.nan, np.nan, 0.25, 0.5, 0.75, 1.0])


def test_a_decayed_sum_halves_every_half_life(bars):
    news = np.zeros(420)
    news[[300, 306]] = 1, -2
    values = FeatureSpec("event_sum", {"column": "news", "half_life": 3}).compute(changed(bars, news=news))
    assert values[[299, 300, 303, 306, 309]] == pytest.approx([0, 1, 0.5, 0.25 - 2, 0.125 - 1], abs=1e-9)


@given(known=st.lists(st.one_of(st.none(), st.integers(-9, 9)), max_size=60), span=st.integers(1, 20))
def test_moments_and_last_values_of_what_is_known_are_those_of_a_plain_loop(known, span):
    values = np.array([np.nan if each is None else float(each) for each in known])
    mean, std = known_mean_std(values, span)
    held = last_known(values, span)
    for t in range(len(values)):
        window = values[max(0, t + 1 - span) : t + 1]
        there = window[~np.isnan(window)]
        assert held[t] == pytest.approx(there[-1] if len(there) else np.nan, nan_ok=True)
        if t < span - 1 or len(there) == 0:
            assert np.isnan([mean[t], std[t]]).all()
        else:
            assert (mean[t], std[t]) == pytest.approx((there.mean(), there.std()), abs=1e-12)


@pytest.mark.parametrize("keep", [0.0, 0.5, 13 / 14, 25 / 27])
def test_an_exponential_mean_leaves_out_less_than_a_ten_thousandth(keep):
    bars = decay_bars(keep)
    assert keep**bars < 1e-4
    assert bars == 1 or keep ** (bars - 1) >= 1e-4
    assert decay_weights(keep).sum() == pytest.approx(1)


# --- the registry -------------------------------------------------------------------------------------------


def test_the_matrix_has_a_column_a_spec_in_their_order(bars):
    X = make_features(bars, SPECS)
    assert (X.shape, X.dtype) == ((420, len(SPECS)), np.float32)
    for column, spec in enumerate(SPECS):
        np.testing.assert_array_equal(X[:, column], spec.compute(bars).astype(np.float32))


def test_the_longest_memory_is_that_of_the_week():
    assert longest_memory(default_features()) == 169
    assert longest_memory((FeatureSpec("close_location"),)) == 1


def test_the_default_features_are_twelve_and_one_an_event():
    assert len(default_features()) == 12
    assert [spec.params for spec in default_features(("news", "fork"))[12:]] == [
        {"column": "news"},
        {"column": "fork"},
    ]


def test_an_unknown_feature_is_refused_with_the_known():
    with pytest.raises(
        ConfigError, match=r"unknown feature 'log_returns'. Did you mean log_return\? Known: atr, bar"
    ):
        FeatureSpec("log_returns")


@pytest.mark.parametrize("params", [{"span": 3, "sigma": 1}, {"window": 3}])
def test_parameters_that_do_not_fit_the_feature_are_refused(params):
    with pytest.raises(ConfigError, match="feature 'log_return' takes span, not"):
        FeatureSpec("log_return", params)


def test_a_name_is_registered_once():
    with pytest.raises(ConfigError, match="a feature 'clock' exists already"):

        @feature(memory=lambda: 1)
        def clock(bars):
            return bars["close"]


def test_a_feature_of_ones_own_is_a_feature(bars, monkeypatch):
    monkeypatch.setattr("lstm_backtrader.forecast.registry.FEATURES", dict(FEATURES))

    @feature(memory=lambda: 1)
    def last_close(bars):
        return bars["close"]

    assert FeatureSpec("last_close").compute(bars)[7] == bars["close"][7]
    assert FeatureSpec("last_close").newest(bars) == bars["close"][-1]
    assert "last_close" not in FEATURES


def test_a_feature_without_a_short_way_sees_its_own_memory_of_bars_and_no_more(bars, monkeypatch):
    monkeypatch.setattr("lstm_backtrader.forecast.registry.FEATURES", dict(FEATURES))

    @feature(memory=lambda span: span)
    def bars_seen(bars, span):
        return np.full(len(bars), float(len(bars)))

    assert FeatureSpec("bars_seen", {"span": 9}).newest(bars) == 9


def test_a_feature_may_bring_a_short_way_of_its_own(bars, monkeypatch):
    monkeypatch.setattr("lstm_backtrader.forecast.registry.FEATURES", dict(FEATURES))

    @feature(memory=lambda: 1, newest=lambda bars: float(bars["close"][-1]))
    def closing(bars):
        raise AssertionError("the short way was to be taken")

    assert FeatureSpec("closing").newest(bars) == bars["close"][-1]


def test_a_module_that_is_run_again_replaces_its_own_feature(bars, monkeypatch):
    monkeypatch.setattr("lstm_backtrader.forecast.registry.FEATURES", dict(FEATURES))
    for factor in (2.0, 3.0):  # as the cell of a notebook

        @feature(memory=lambda: 1)
        def scaled_close(bars, factor=factor):
            return factor * bars["close"]

    assert FeatureSpec("scaled_close").compute(bars)[7] == 3.0 * bars["close"][7]


# --- chosen by text -----------------------------------------------------------------------------------------


def test_features_are_chosen_by_text_in_their_order():
    specs = parse_features(["rsi:span=7, default", "macd"], events=("news",))
    assert [str(spec) for spec in specs][:2] == ["rsi:span=7", "log_return:span=1"]
    assert [str(spec) for spec in specs][-2:] == ["macd:fast=12:slow=26:signal=9:span=14", "event:column=news"]
    assert parse_features(["default"], ("news",)) == default_features(("news",))


@each_feature
def test_a_feature_comes_back_from_its_text(spec):
    assert FeatureSpec.parse(str(spec)) == spec


def test_what_is_left_out_is_filled_in_by_the_default():
    assert FeatureSpec("rsi").params == {"span": 14}
    assert FeatureSpec("rsi") == FeatureSpec("rsi", {"span": 14})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rsi:span", r"'rsi:span': 'span' is no parameter. Write name:key=value"),
        ("rsi:=3", "is no parameter"),
        ("rsi:span=3:span=4", "says span twice"),
        ("rsi:span=0", "feature 'rsi': span 0 is not a whole number, 1 or more"),
        ("rsi:span=1.5", "span 1.5 is not a whole number"),
        ("rsi:span=week", "span 'week' is not a whole number"),
        ("clock:cycle=month", "cycle 'month' is unknown. Use day or week"),
        ("clock:wave=tan", "wave 'tan' is unknown. Use sin or cos"),
        ("macd:fast=26:slow=12", "fast 26 is not below slow 12"),
        ("", "unknown feature ''"),
        ("rsi,rsi:span=14", "feature 'rsi:span=14' is chosen twice"),
        ("event", "feature 'event' takes column, not none"),
    ],
)
def test_a_text_that_names_no_feature_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_features([text])


def test_a_list_without_features_is_refused():
    with pytest.raises(ConfigError, match="no feature is chosen"):
        parse_features([])


def test_a_feature_that_reads_no_bar_is_refused(monkeypatch):
    monkeypatch.setattr("lstm_backtrader.forecast.registry.FEATURES", dict(FEATURES))

    @feature(memory=lambda: 0)
    def nothing(bars):
        return bars["close"]

    with pytest.raises(ConfigError, match="feature 'nothing' reads 0 bars"):
        FeatureSpec("nothing")


def test_the_columns_of_a_feature_are_those_it_declares_and_names():
    assert FeatureSpec("funding").columns == ("funding_rate",)
    assert FeatureSpec("event", {"column": "news"}).columns == ("news",)
    assert FeatureSpec("rsi").columns == ()


def test_the_document_has_every_feature_and_label_with_its_defaults_and_the_bars_it_reads():
    text = (Path(__file__).parent.parent / "docs" / "features.md").read_text(encoding="utf-8")
    table = dict(re.findall(r"^\| `([^`]+)` \| ([^|]+?) \|", text, re.MULTILINE))
    ours = {name for name, each in FEATURES.items() if each.function.__module__.startswith("lstm_backtrader.")}
    listed = {line.text: line.memory for line in known_features() if line.text.partition(":")[0] in ours}
    assert listed.items() <= table.items()
    assert {line.text for line in known_labels() if "best_of" not in line.text} <= table.keys()


def test_the_code_of_the_document_runs(bars, monkeypatch):
    monkeypatch.setattr("lstm_backtrader.forecast.registry.FEATURES", dict(FEATURES))
    monkeypatch.setattr("lstm_backtrader.forecast.labels.LABELS", dict(LABELS))
    text = (Path(__file__).parent.parent / "docs" / "features.md").read_text(encoding="utf-8")
    own = [code for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "@" in code]
    assert len(own) == 2
    exec("\n".join(own), {"__name__": "somebodys"})
    spec, ahead = FeatureSpec("drawdown"), LabelSpec.parse("best_of", 5)
    values = spec.compute(bars)
    assert values[300] == math.log(bars["close"][300] / bars["high"][277:301].max())
    assert np.isnan(values).sum() == 23
    assert spec.newest(bars) == values[-1]
    assert ahead.compute(bars)[10] == math.log(bars["high"][11:16].max() / bars["open"][11])
    check_horizon(ahead, bars, ahead.compute(bars))


def test_the_catalogue_lists_every_feature_with_its_defaults():
    lines = {line.text: line for line in known_features()}
    assert lines["rsi:span=14"].memory == "126"
    assert lines["funding_z:span=720"].columns == "funding_rate"
    assert lines["event:column=COLUMN"].is_default
    assert len(lines) == len(FEATURES)
    assert all(line.description.endswith(".") for line in lines.values() if not line.text.startswith("my_"))
