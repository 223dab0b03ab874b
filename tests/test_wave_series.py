"""Readings of a history and of a stream: cut anywhere, scaled or turned over, they are the same, to the bit."""

import numpy as np
import pandas as pd
import pytest

from lstm_backtrader.candles import Bars
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.forecast.elliott import Reading
from lstm_backtrader.forecast.features import FeatureSpec, elliott_features, make_features, parse_features
from lstm_backtrader.forecast.wave_series import WaveRules, WaveStream, newest_reading, newest_view, wave_readings

RULES = WaveRules.of(turn=2.0, span=7, context=64, stride=16)
HOUR_NS = 3_600_000_000_000


def table(bars, rules=RULES):
    return pd.DataFrame(wave_readings(bars, rules))


@pytest.fixture(scope="module")
def holed(candles_of):
    """500 hours of which some are missing, one stretch longer than half a context."""
    candles = candles_of(500, seed=8)
    kept = np.random.default_rng(1).random(500) > 0.05
    kept[250:300] = False
    return candles[kept]


def test_every_cut_of_the_history_gives_the_same_rows(holed):
    whole = table(Bars.of(holed))
    assert whole["wave"].abs().max() == 6
    for begin, end in [(0, 200), (13, 300), (100, 410), (101, 411), (150, len(holed))]:
        part = table(Bars.of(holed.iloc[begin:end])).iloc[RULES.memory - 1 :]
        pd.testing.assert_frame_equal(
            part.reset_index(drop=True),
            whole.iloc[begin + RULES.memory - 1 : end].reset_index(drop=True),
            check_exact=True,
        )


def test_the_future_changes_nothing_at_every_seventh_bar(candles_of):
    # given
    candles = candles_of(400, seed=4)
    whole = table(Bars.of(candles))
    rng = np.random.default_rng(0)

    for row in range(RULES.memory, 400, 7):
        # when what comes after is cut off, or another
        noise = np.where(np.arange(400) > row, rng.uniform(0.5, 2.0, 400), 1.0)
        other = table(Bars.of(candles.mul(noise, axis=0)))

        # then
        pd.testing.assert_frame_equal(table(Bars.of(candles.iloc[: row + 1])), whole[: row + 1], check_exact=True)
        pd.testing.assert_frame_equal(other[: row + 1], whole[: row + 1], check_exact=True)


def test_the_newest_reading_is_the_last_row(holed):
    whole = table(Bars.of(holed))
    for row in range(0, len(holed), 11):
        newest = newest_reading(Bars.of(holed.iloc[: row + 1]), RULES)
        if newest is None:
            assert whole.iloc[row].isna().all()
        else:
            np.testing.assert_array_equal(np.array(newest, dtype=float), whole.iloc[row].to_numpy())


def test_a_stream_says_the_same_bar_by_bar_and_after_a_restart(holed):
    bars, whole = Bars.of(holed), table(Bars.of(holed))
    streams = {"from the start": WaveStream(RULES, HOUR_NS)}
    for row in range(RULES.memory - 1, len(bars)):
        if row == 230:
            streams["restarted"] = WaveStream(RULES, HOUR_NS)
        for stream in streams.values():
            said = stream.update(bars.part(0, row + 1).last)
            expected = whole.iloc[row]
            if said is None:
                assert expected.isna().all()
            else:
                np.testing.assert_array_equal(np.array(said, dtype=float), expected.to_numpy())


def test_a_forming_bar_is_read_as_it_is_now_and_leaves_no_trace(candles_of):
    # given a bar that first goes to half its price
    bars = Bars.of(candles_of(200, seed=6))
    so_far = bars.part(0, 150)
    wild = Bars(so_far.open_time, {k: np.append(v[:-1], v[-1] * 0.5) for k, v in so_far.columns.items()})
    stream, calm = WaveStream(RULES, HOUR_NS), WaveStream(RULES, HOUR_NS)

    # when
    stream.update(wild.last)
    for end in range(150, 200):
        said, expected = stream.update(bars.part(0, end).last), calm.update(bars.part(0, end).last)

        # then
        np.testing.assert_equal(said, expected)


def test_prices_in_another_unit_give_the_same_waves(candles_of):
    candles = candles_of(400, seed=2)
    here, there = (table(Bars.of(each)) for each in (candles, candles * 1.6e-7))
    np.testing.assert_array_equal(here["wave"], there["wave"])
    for name in ("confidence", "swing", "bars_since_pivot", "retrace", "n_hypotheses", "atr"):
        np.testing.assert_allclose(there[name], here[name], rtol=1e-7, atol=1e-7)
    for name in ("invalidation", "target"):
        np.testing.assert_allclose(there[name], here[name] + np.log(1.6e-7), rtol=0, atol=1e-9)


def test_the_mirrored_market_has_the_mirrored_waves(candles_of):
    candles = candles_of(400, seed=2)
    mirrored = pd.DataFrame(
        {"open": 1 / candles["open"], "high": 1 / candles["low"], "low": 1 / candles["high"]}
        | {"close": 1 / candles["close"], "volume": candles["volume"]}
    )
    here, there = table(Bars.of(candles)), table(Bars.of(mirrored))
    for name in ("wave", "swing", "invalidation", "target"):
        np.testing.assert_allclose(there[name], -here[name], atol=1e-9)
    for name in ("confidence", "bars_since_pivot", "retrace", "n_hypotheses"):
        np.testing.assert_allclose(there[name], here[name], rtol=1e-7, atol=1e-9)


def test_the_count_does_not_jump_where_it_is_begun_anew(candles_of):
    """At its defaults: labels change at cuts no more often than elsewhere."""
    bars, rules = Bars.of(candles_of(6000, seed=3)), WaveRules.of()
    wave = wave_readings(bars, rules)["wave"]
    known = np.isfinite(wave[1:]) & np.isfinite(wave[:-1])
    changes = (wave[1:] != wave[:-1]) & known
    is_cut = rules.context.is_cut(bars.open_time // HOUR_NS)[1:]
    assert changes[is_cut & known].mean() < changes[~is_cut & known].mean() + 0.05


def test_the_view_is_what_the_newest_reading_rests_on(candles_of):
    bars = Bars.of(candles_of(300, seed=9))
    view, newest = newest_view(bars, RULES), newest_reading(bars, RULES)
    best = view.counts[0]
    assert (best.wave * best.side, len(view.counts)) == (newest.wave, newest.n_hypotheses)
    assert RULES.context.length <= len(view.bars) <= RULES.memory
    assert len(view.ended) == len(view.pivots) > 3
    assert newest.bars_since_pivot == len(view.bars) - 1 - view.pivots[-1].bar


# --- as features --------------------------------------------------------------------------------------------


def test_elliott_stands_for_every_line():
    specs = parse_features(["default, elliott"])
    assert specs[-len(elliott_features()) :] == elliott_features()
    assert len(elliott_features()) == 13


def test_the_lines_are_those_of_the_reading(candles_of):
    bars = Bars.of(candles_of(400, seed=2))
    reading = table(bars)
    lines = ("wave_3", "confidence", "invalidation", "swing", "hypotheses")
    text = [f"elliott_wave:line={line}:turn=2.0:span=7:context=64:stride=16" for line in lines]
    X = pd.DataFrame(make_features(bars, parse_features(text), "float64"), columns=lines)[RULES.memory - 1 :]
    reading = reading[RULES.memory - 1 :]
    assert (X["wave_3"] == np.where(reading["wave"].abs() == 3, np.sign(reading["wave"]), 0)).all()
    assert (X["confidence"].abs() == reading["confidence"]).all()
    assert (X["hypotheses"] == reading["n_hypotheses"] / 6).all()
    close = np.log(bars["close"][RULES.memory - 1 :])
    away = ((close - reading["invalidation"]) / reading["atr"]).clip(-20, 20).fillna(0)
    np.testing.assert_allclose(X["invalidation"], away, atol=1e-12)


def test_an_unknown_line_is_refused_with_those_there_are():
    with pytest.raises(ConfigError, match=r"has no line 'wav_3'\. It has wave_1, wave_2"):
        FeatureSpec("elliott_wave", {"line": "wav_3"})


@pytest.mark.parametrize(("typed", "meant"), [("eliott", "elliott"), ("elliot", "elliott"), ("defualt", "default")])
def test_a_mistyped_list_of_features_is_answered_with_what_was_meant(typed, meant):
    with pytest.raises(
        ConfigError, match=f"unknown feature '{typed}'. Did you mean {meant}[?] It stands for a list"
    ):
        parse_features([typed])


def test_a_reading_without_any_bar_says_nothing():
    empty = Bars(np.empty(0, dtype=np.int64), {name: np.empty(0) for name in ("high", "low", "close")})
    assert set(wave_readings(empty, RULES)) == set(Reading._fields)
    assert newest_reading(empty, RULES) is None


def test_a_model_of_waves_says_the_same_at_once_and_bar_by_bar(untrained_model, candles_of, bars_from):
    # given
    lines = ("wave_3", "confidence", "invalidation", "swing")
    specs = parse_features([f"elliott_wave:line={line}:turn=2:span=7:context=64:stride=16" for line in lines])
    model, candles = untrained_model(specs=specs), candles_of(160, seed=2)

    # when
    at_once, stream = model.predict(candles), model.stream()
    bar_by_bar = [stream.update(bars_from(candles[: row + 1])) for row in range(len(candles))]

    # then
    assert model.warmup == RULES.memory + 12 + 4
    assert at_once["forecast"].notna().sum() > 50
    np.testing.assert_allclose(np.array(bar_by_bar)[model.warmup :], at_once[model.warmup :], atol=1e-6)
