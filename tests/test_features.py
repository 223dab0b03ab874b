"""Features: what they compute, how far back they look, and that they never look ahead."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_backtrader.candles import Bars
from lstm_backtrader.errors import ConfigError, DataError
from lstm_backtrader.forecast.features import (
    FEATURES,
    FeatureSpec,
    default_features,
    feature,
    longest_memory,
    make_features,
    volatility,
    volume_spikes,
    window_mean_std,
)

SPECS = (
    *default_features(events=("news",)),
    FeatureSpec("volume_z", {"span": 7}),
    FeatureSpec("log_return", {"span": 200}),
)
IDS = [f"{spec.name}-{'-'.join(map(str, spec.params.values()))}".rstrip("-") for spec in SPECS]
each_feature = pytest.mark.parametrize("spec", SPECS, ids=IDS)


@pytest.fixture(scope="module")
def bars(candles_of):
    rng = np.random.default_rng(5)
    return Bars.of(candles_of(420).assign(news=rng.choice([0.0, 1.0, -1.0, np.nan], 420)))


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
    column=st.sampled_from(["open", "high", "low", "close", "volume", "news"]),
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
    assert {spec.name for spec in SPECS} == set(FEATURES)


@each_feature
@pytest.mark.parametrize("length", [0, 1, 167, 168])
def test_the_newest_row_of_too_few_bars_is_nan(bars, spec, length):
    assert math.isnan(spec.newest(cut(bars, slice(0, length)))) == (length < spec.memory)


@each_feature
@given(price=st.floats(1e-6, 1e6), volume=st.floats(1e-6, 1e6))
@settings(max_examples=25)
def test_units_of_price_and_volume_do_not_matter(bars, spec, price, volume):
    scaled = {name: bars[name] * price for name in ("open", "high", "low", "close")}
    other = changed(bars, **scaled, volume=bars["volume"] * volume)
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
    if spec.name not in ("clock", "event"):
        assert (values[spec.memory - 1 :] == 0).all()


def test_a_mirrored_market_mirrors_returns_and_nothing_else(bars):
    upside_down = changed(
        bars,
        open=1e4 / bars["open"],
        close=1e4 / bars["close"],
        high=1e4 / bars["low"],
        low=1e4 / bars["high"],
    )
    for spec in SPECS:
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
    with pytest.raises(ConfigError, match=r"unknown feature 'rsi'. Known: bar_range, clock"):
        FeatureSpec("rsi")


@pytest.mark.parametrize("params", [{}, {"span": 3, "sigma": 1}, {"window": 3}])
def test_parameters_that_do_not_fit_the_feature_are_refused(params):
    with pytest.raises(ConfigError, match="feature 'log_return' takes span, not"):
        FeatureSpec("log_return", params)


def test_a_name_is_registered_once():
    with pytest.raises(ConfigError, match="a feature 'clock' exists already"):

        @feature(memory=lambda: 1)
        def clock(bars):
            return bars["close"]


def test_a_feature_of_ones_own_is_a_feature(bars, monkeypatch):
    monkeypatch.setattr("lstm_backtrader.forecast.features.FEATURES", dict(FEATURES))

    @feature(memory=lambda: 1)
    def last_close(bars):
        return bars["close"]

    assert FeatureSpec("last_close").compute(bars)[7] == bars["close"][7]
    assert FeatureSpec("last_close").newest(bars) == bars["close"][-1]
    assert "last_close" not in FEATURES


def test_a_feature_without_a_short_way_sees_its_own_memory_of_bars_and_no_more(bars, monkeypatch):
    monkeypatch.setattr("lstm_backtrader.forecast.features.FEATURES", dict(FEATURES))

    @feature(memory=lambda span: span)
    def bars_seen(bars, span):
        return np.full(len(bars), float(len(bars)))

    assert FeatureSpec("bars_seen", {"span": 9}).newest(bars) == 9


def test_a_feature_may_bring_a_short_way_of_its_own(bars, monkeypatch):
    monkeypatch.setattr("lstm_backtrader.forecast.features.FEATURES", dict(FEATURES))

    @feature(memory=lambda: 1, newest=lambda bars: float(bars["close"][-1]))
    def closing(bars):
        raise AssertionError("the short way was to be taken")

    assert FeatureSpec("closing").newest(bars) == bars["close"][-1]


def test_a_module_that_is_run_again_replaces_its_own_feature(bars, monkeypatch):
    monkeypatch.setattr("lstm_backtrader.forecast.features.FEATURES", dict(FEATURES))
    for factor in (2.0, 3.0):  # as the cell of a notebook

        @feature(memory=lambda: 1)
        def scaled_close(bars, factor=factor):
            return factor * bars["close"]

    assert FeatureSpec("scaled_close").compute(bars)[7] == 3.0 * bars["close"][7]
