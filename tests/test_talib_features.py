"""TA-Lib's indicators as features: their numbers, the finite window, units, and what is refused."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_backtrader.candles import Bars
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.forecast import talib_features
from lstm_backtrader.forecast.features import FeatureSpec

library = pytest.importorskip("talib", reason="TA-Lib is not installed: pip install 'lstm-backtrader[talib]'")

TEXTS = (
    "talib:indicator=RSI",
    "talib:indicator=MACD:output=macdhist",
    "talib:indicator=ATR:timeperiod=5",
    "talib:indicator=BBANDS:output=lowerband:timeperiod=5:nbdevup=2",
    "talib:indicator=OBV:window=30",
    "talib:indicator=SAR:window=60",
    "talib:indicator=SMA:timeperiod=10",
    "talib:indicator=CDLENGULFING",
    "talib:indicator=MFI",
)
each_indicator = pytest.mark.parametrize("text", TEXTS)
FINITE = sorted({*talib_features._EXACT.split(), *library.get_function_groups()["Pattern Recognition"]})


@pytest.fixture(scope="module")
def bars(candles_of):
    return Bars.of(candles_of(700))


def changed(bars, **columns):
    return Bars(bars.open_time, {**bars.columns, **columns})


# --- laws ---------------------------------------------------------------------------------------------------


@each_indicator
@given(row=st.integers(400, 698), seed=st.integers(0, 9))
@settings(max_examples=10)
def test_later_bars_and_bars_before_the_window_change_nothing(bars, text, row, seed):
    spec, rng = FeatureSpec.parse(text), np.random.default_rng(seed)
    seen = np.arange(700)
    others = (seen > row) | (seen <= row - spec.memory)
    noise = {
        name: np.where(others, column * rng.uniform(0.5, 2, 700), column) for name, column in bars.columns.items()
    }
    assert spec.compute(changed(bars, **noise))[row] == spec.compute(bars)[row]


@each_indicator
@given(row=st.integers(400, 699))
@settings(max_examples=10)
def test_the_newest_row_is_that_of_the_column(bars, text, row):
    spec = FeatureSpec.parse(text)
    assert spec.newest(bars.part(0, row + 1)) == pytest.approx(spec.compute(bars)[row], rel=1e-9, abs=1e-9)


@each_indicator
def test_units_of_price_and_volume_do_not_matter(bars, text):
    spec = FeatureSpec.parse(text)
    prices = {name: bars[name] * 1e-5 for name in ("open", "high", "low", "close")}
    other = changed(bars, **prices, volume=bars["volume"] * 1e4)
    np.testing.assert_allclose(spec.compute(other), spec.compute(bars), rtol=1e-6, atol=1e-6)


@each_indicator
def test_only_the_rows_before_the_window_are_nan(bars, text):
    spec = FeatureSpec.parse(text)
    assert np.flatnonzero(np.isnan(spec.compute(bars))).tolist() == list(range(spec.memory - 1))


@pytest.mark.parametrize("length", [0, 1, 20])
def test_short_data_give_nan_and_no_error(bars, length):
    assert np.isnan(FeatureSpec("talib", {"indicator": "RSI"}).compute(bars.part(0, length))).all()


@each_indicator
def test_a_market_without_any_motion_gives_finite_numbers(bars, text):
    flat = {name: np.full(700, 100.0) for name in ("open", "high", "low", "close")}
    spec = FeatureSpec.parse(text)
    assert np.isfinite(spec.compute(changed(bars, **flat, volume=np.zeros(700)))[spec.memory - 1 :]).all()


def test_a_broken_bar_is_unknown_as_long_as_the_window_holds_it(bars):
    close = bars["close"].copy()
    close[500] = np.nan
    spec = FeatureSpec("talib", {"indicator": "SMA", "timeperiod": 10})
    values = spec.compute(changed(bars, close=close))
    assert np.flatnonzero(np.isnan(values[9:])).tolist() == [row - 9 for row in range(500, 510)]


# --- TA-Lib's own numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("indicator", FINITE)
def test_an_indicator_that_is_said_to_read_its_lookback_alone_does(bars, indicator):
    function = library.abstract.Function(indicator)
    scaled = {name: bars[name] / bars["close"][600] for name in ("open", "high", "low", "close")}
    scaled["volume"] = bars["volume"]
    said = function({name: column[:601] for name, column in scaled.items()})
    expected = (said[0] if isinstance(said, list) else said)[-1]
    assert FeatureSpec("talib", {"indicator": indicator}).compute(bars)[600] == pytest.approx(
        expected, rel=1e-6, abs=1e-9
    )


@pytest.mark.parametrize(
    ("text", "tolerance"),
    [("RSI", 0.02), ("ADX", 0.02), ("EMA:timeperiod=50", 1e-5), ("MACD", 1e-6), ("CMO", 0.02)],
)
def test_a_recursive_indicator_has_settled_in_its_window(bars, text, tolerance):
    name, _, params = text.partition(":")
    unit = bars["close"][650]
    columns = {each: bars[each] / unit for each in ("open", "high", "low", "close")}
    period = {"timeperiod": 50} if params else {}
    said = library.abstract.Function(name, **period)(columns)
    everything = (said[0] if isinstance(said, list) else said)[650]
    spec = FeatureSpec.parse(f"talib:indicator={text}")
    assert spec.compute(bars)[650] == pytest.approx(everything, abs=tolerance)


@pytest.mark.parametrize(
    ("ours", "theirs", "tolerance"),
    [
        ("rsi", lambda b: library.RSI(b["close"], 14) / 50 - 1, 1e-3),
        ("atr", lambda b: library.ATR(b["high"], b["low"], b["close"], 14) / b["close"], 1e-5),
        (
            "macd",
            lambda b: library.MACD(b["close"])[2] / library.ATR(b["high"], b["low"], b["close"], 14),
            3e-3,
        ),
    ],
)
def test_our_own_indicators_are_those_of_ta_lib(bars, ours, theirs, tolerance):
    np.testing.assert_allclose(FeatureSpec(ours).compute(bars)[500:], theirs(bars)[500:], atol=tolerance)


def test_volume_counts_in_means_of_the_window(bars):
    # on-balance volume begins with the first bar's volume and adds or takes off the others
    spec = FeatureSpec("talib", {"indicator": "OBV", "window": 3})
    close, volume = bars["close"][97:100], bars["volume"][97:100]
    expected = volume[0] + np.sign(close[1] - close[0]) * volume[1] + np.sign(close[2] - close[1]) * volume[2]
    assert spec.compute(bars)[99] == pytest.approx(expected / volume.mean())


# --- windows and refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "memory"), [("SMA:timeperiod=20", 20), ("RSI", 141), ("RSI:window=50", 50), ("OBV:window=9", 9)]
)
def test_the_window_is_the_one_asked_for_or_enough(text, memory):
    assert FeatureSpec.parse(f"talib:indicator={text}").memory == memory


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("RSJ", r"TA-Lib has no indicator 'RSJ'. Did you mean"),
        ("RSI:timperiod=3", r"RSI has no parameter 'timperiod'. Did you mean timeperiod\?"),
        ("RSI:timeperiod=1", r"TA-Lib's RSI refuses timeperiod 1. Its defaults are {'timeperiod': 14}"),
        ("RSI:timeperiod=x", r"TA-Lib's RSI: .*timeperiod \(expected int, got str\)"),
        ("MACD:output=histogram", r"MACD has no output 'histogram'. It has macd, macdsignal, macdhist"),
        ("RSI:window=14", r"window 14: TA-Lib's RSI needs 15 bars or more"),
        ("RSI:window=1.5", r"window 1.5: TA-Lib's RSI needs 15"),
        ("OBV", r"OBV depends on all bars since the first. .*talib:indicator=OBV:window=168"),
        ("MAVP", r"MAVP reads close, periods, and bars hold open"),
    ],
)
def test_what_ta_lib_does_not_have_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        FeatureSpec.parse(f"talib:indicator={text}")


def test_a_missing_ta_lib_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "talib", None)
    talib_features._find.cache_clear()
    with pytest.raises(ConfigError, match=r"pip install 'lstm-backtrader\[talib\]'"):
        FeatureSpec("talib", {"indicator": "RSI"})
