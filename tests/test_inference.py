"""Forecasts: one pass over a history, a plain loop over its bars and a running stream give the same numbers."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lstm_backtrader.candles import Bars, bar_seconds, open_times
from lstm_backtrader.errors import TimeframeError
from lstm_backtrader.forecast import strided
from lstm_backtrader.forecast.features import make_features, parse_features
from lstm_backtrader.forecast.inference import load_model
from lstm_backtrader.forecast.manifest import ThreeClasses
from lstm_backtrader.forecast.network import one_thread
from lstm_backtrader.forecast.protocol import Forecaster

KINDS = {
    "window": {"context": 12, "stride": 1},
    "quarter": {"context": 12, "stride": 3},
    "uneven": {"context": 11, "stride": 4},
    "cheapest": {"context": 12, "stride": 12},
    "smallest": {"context": 2, "stride": 2},
    "two layers": {"context": 12, "stride": 5, "layers": 2},
    "rnn": {"context": 12, "stride": 5, "cell": "rnn"},
    "rnn, two layers": {"context": 12, "stride": 5, "cell": "rnn", "layers": 2},
    "one net": {"context": 12, "stride": 5, "seeds": 1},
    "three classes": {
        "context": 12,
        "stride": 5,
        "label": ThreeClasses(params={}, horizon=4, class_weights=(2.0, 0.5, 1.5)),
    },
}
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def models(untrained_model):
    return {name: untrained_model(**options) for name, options in KINDS.items()}


def loop_forecast(model, candles, run):
    """(T, M): for each bar the bars of its own context, one after the other; `run(net, x)` gives (W,)."""
    bars = Bars.of(candles)
    X = make_features(bars, model.specs)
    slots = (bars.open_time // model.step_ns).tolist()
    rows = [t for t in range(len(bars)) if np.isfinite(X[t]).all()]
    L, S = model.context.length, model.context.stride
    out = np.full((len(bars), len(model.nets)), np.nan)
    for t in rows:
        start = (slots[t] - L + 1) // S * S
        seen = [row for row in rows if start <= slots[row] <= slots[t]]
        if start >= slots[rows[0]] and 2 * len(seen) >= L:
            x = model.scaler.transform(X[seen])
            out[t] = [one_number(model, run(net, x)[-1]) for net in model.nets]
    return out


def one_number(model, said):
    """What a net said of a bar; of classes how much more probable up is than down, their weights taken back."""
    if model.manifest.outputs == 1:
        return said
    down, neither, up = np.exp(said) / np.array(model.manifest.label.class_weights)
    return (up - down) / (down + neither + up)


def torch_run(net, x):
    with one_thread(), torch.no_grad():
        return net(torch.from_numpy(x)[None])[0][0].numpy()


def stream_forecast(model, candles, begin=0):
    """Forecasts of a fresh stream that is started at bar `begin`, (T - begin, 3)."""
    stream, bars = model.stream(), Bars.of(candles)
    points = []
    for t in range(begin, len(bars)):
        until = Bars(bars.open_time[: t + 1], {name: column[: t + 1] for name, column in bars.columns.items()})
        points.append(stream.update(until.last))
    return np.array(points)


def without(candles, missing):
    return candles.drop(candles.index[[row for row in missing if row < len(candles)]])


gaps = st.one_of(
    st.sets(st.integers(0, 79), max_size=30),  # single bars here and there
    st.tuples(st.integers(5, 40), st.integers(1, 35)).map(lambda hole: set(range(hole[0], sum(hole)))),
)


# --- predict ------------------------------------------------------------------------------------------------


@every_kind
@given(missing=gaps, hour=st.integers(0, 23))
@settings(max_examples=12)
def test_predict_is_a_plain_loop_over_the_bars(models, candles_of, kind, missing, hour):
    model, candles = models[kind], without(candles_of(80, start=f"2024-01-01 {hour:02}:00"), missing)
    members = loop_forecast(model, candles, torch_run)
    predicted = model.predict(candles)
    np.testing.assert_allclose(predicted["forecast"], members.mean(axis=1), atol=1e-6)
    np.testing.assert_allclose(predicted["spread"], members.std(axis=1), atol=1e-6)


@every_kind
def test_predict_is_what_plain_numpy_computes(models, candles_of, numpy_net, kind):
    candles = candles_of(60)
    members = loop_forecast(models[kind], candles, numpy_net)
    assert np.isfinite(members).all(axis=1).sum() >= 37
    np.testing.assert_allclose(models[kind].predict(candles)["forecast"], members.mean(axis=1), atol=1e-6)


def test_predict_of_a_trained_model_is_a_plain_loop_too(tiny_model, fresh_market, numpy_net):
    candles = fresh_market.iloc[:260].drop(fresh_market.index[[215, 216, 230]])
    members = loop_forecast(tiny_model, candles, numpy_net)
    np.testing.assert_allclose(tiny_model.predict(candles)["forecast"], members.mean(axis=1), atol=1e-6)


def test_the_numbers_do_not_depend_on_the_chunks(models, candles_of, monkeypatch):
    whole = models["quarter"].predict(candles_of(300))
    monkeypatch.setattr(strided, "_CHUNK_BYTES", 1)
    np.testing.assert_allclose(models["quarter"].predict(candles_of(300)), whole, atol=1e-6)


def test_prob_up_is_the_normal_probability_of_the_forecast(models, candles_of):
    from statistics import NormalDist

    predicted = models["quarter"].predict(candles_of(60)).dropna()
    assert len(predicted) > 30
    for row in predicted.itertuples():
        assert row.prob_up == pytest.approx(NormalDist().cdf(row.forecast / 1.0))  # residual_std is 1


def test_prob_up_of_classes_is_the_mean_probability_of_up(models, candles_of, numpy_net):
    model, candles = models["three classes"], candles_of(60)
    said = numpy_net(model.nets[0], model.scaler.transform(make_features(Bars.of(candles), model.specs)))
    assert said.shape == (60, 3)
    predicted = model.predict(candles).dropna()
    # p(up) = (1 - p(neither) + forecast) / 2, so it lies between the forecast and half of one more
    assert (predicted["prob_up"] >= predicted["forecast"]).all()
    assert (predicted["prob_up"] <= (1 + predicted["forecast"]) / 2).all()
    assert predicted["prob_up"].between(0, 1).all()
    assert predicted["prob_up"].std() > 0.001


def test_predict_keeps_the_index_and_names_its_columns(models, candles_of):
    candles = candles_of(60)
    predicted = models["quarter"].predict(candles)
    assert predicted.index is candles.index or predicted.index.equals(candles.index)
    assert list(predicted.columns) == ["forecast", "prob_up", "spread"]


@every_kind
@given(missing=gaps, cut=st.integers(1, 40))
@settings(max_examples=12)
def test_a_history_cut_anywhere_gives_the_same_numbers_after_the_warm_up(models, candles_of, kind, missing, cut):
    model, candles = models[kind], without(candles_of(80), missing)
    assume(bar_seconds(open_times(candles.index[cut:])) == 3600)  # the length is measured: mostly gaps is no hours
    whole, part = model.predict(candles)["forecast"].iloc[cut:], model.predict(candles.iloc[cut:])["forecast"]
    known = part.notna()
    np.testing.assert_allclose(part[known], whole[known], atol=1e-6)
    np.testing.assert_allclose(part[model.warmup - 1 :], whole[model.warmup - 1 :], atol=1e-6)


def test_a_history_cut_anywhere_gives_the_same_numbers_of_a_trained_model(tiny_model, fresh_market):
    whole = tiny_model.predict(fresh_market)
    for cut in (1, 7, 100, 333):
        part = tiny_model.predict(fresh_market.iloc[cut:])
        np.testing.assert_allclose(
            part.iloc[tiny_model.warmup - 1 :], whole.iloc[cut + tiny_model.warmup - 1 :], atol=1e-6
        )
        assert part["forecast"].iloc[tiny_model.warmup - 1 :].notna().all()


@given(row=st.integers(20, 78), seed=st.integers(0, 9))
@settings(max_examples=20)
def test_later_bars_change_no_forecast(models, candles_of, row, seed):
    candles, other = candles_of(80), candles_of(80, seed=seed + 1)
    mixed = pd.concat([candles.iloc[: row + 1], other.iloc[row + 1 :]])
    for name in ("quarter", "window"):
        before, after = (models[name].predict(table).iloc[: row + 1] for table in (candles, mixed))
        np.testing.assert_allclose(after, before, atol=1e-6)


def test_a_forecast_needs_half_its_context(models, candles_of):
    model = models["cheapest"]  # context and stride 12: a sequence starts at 0:00 or 12:00, spans 23 bars
    candles = candles_of(72, start="2024-01-01 00:00")
    # of the 12 to 23 bars up to 2024-01-02 12:00 only the last five are there
    thin = candles.drop(candles.index[13:32])
    forecast = model.predict(thin)["forecast"]
    assert np.isnan(forecast.loc["2024-01-02 12:00"])  # bars 8 to 12 o'clock: five
    assert np.isfinite(forecast.loc["2024-01-02 13:00"])  # six of twelve


@pytest.mark.parametrize("bars", [0, 1, 2, 12])
def test_data_shorter_than_the_context_have_no_forecast(models, candles_of, bars):
    predicted = models["window"].predict(candles_of(40).iloc[: min(bars, 11)])
    assert predicted.isna().all().all()
    assert len(predicted) == min(bars, 11)


def test_data_shorter_than_the_feature_memory_have_no_forecast(tiny_model, fresh_market):
    assert tiny_model.predict(fresh_market.iloc[:168]).isna().all().all()


@pytest.mark.parametrize("freq", ["15min", "4h"])
def test_bars_of_another_length_are_refused(models, candles_of, freq):
    name = {"15min": "15m", "4h": "4h"}[freq]
    with pytest.raises(TimeframeError, match=rf"the candles are {name} bars, the model was trained on 1h"):
        models["quarter"].predict(candles_of(40, freq=freq))


def test_bars_off_the_clock_are_refused_as_the_indicator_refuses_them(models, candles_of):
    with pytest.raises(TimeframeError, match="opens at 2024-01-01 00:30 does not begin on a whole 1h of the day"):
        models["quarter"].predict(candles_of(40, start="2024-01-01 00:30"))


def test_predicting_leaves_the_thread_count_alone(models, candles_of):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        models["quarter"].predict(candles_of(60))
        stream_forecast(models["quarter"], candles_of(20))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


# --- stream -------------------------------------------------------------------------------------------------


@every_kind
@given(missing=gaps, hour=st.integers(0, 23))
@settings(max_examples=10)
def test_a_stream_says_what_predict_says(models, candles_of, kind, missing, hour):
    model, candles = models[kind], without(candles_of(80, start=f"2024-01-01 {hour:02}:00"), missing)
    np.testing.assert_allclose(stream_forecast(model, candles), model.predict(candles), atol=1e-6)


@every_kind
def test_a_stream_may_start_at_any_phase_of_a_stride(models, candles_of, kind):
    candles = candles_of(42)
    predicted = models[kind].predict(candles)
    for begin in range(24, 37):
        np.testing.assert_allclose(stream_forecast(models[kind], candles, begin), predicted.iloc[begin:], atol=1e-6)


def test_a_stream_of_a_trained_model_says_what_predict_says(tiny_model, fresh_market):
    candles = fresh_market.iloc[:330].drop(fresh_market.index[[180, 240, 241, 242]])
    streamed, predicted = stream_forecast(tiny_model, candles), tiny_model.predict(candles)
    assert predicted["forecast"].notna().sum() > 100
    np.testing.assert_allclose(streamed, predicted, atol=1e-6)


@pytest.mark.parametrize("kind", ["quarter", "window", "cheapest", "two layers"])
def test_a_restart_with_the_tail_alone_says_the_same(models, candles_of, kind):
    model, candles = models[kind], candles_of(120)
    predicted = model.predict(candles)
    for now in range(60, 73):
        tail = Bars.of(candles.iloc[now + 1 - model.warmup : now + 1])
        point = model.stream().update(tail.last)
        np.testing.assert_allclose(point, predicted.iloc[now], atol=1e-6)


@pytest.mark.parametrize("kind", ["quarter", "window", "cheapest"])
def test_a_forming_bar_may_change_a_hundred_times(models, candles_of, kind):
    model, candles = models[kind], candles_of(60)
    predicted = model.predict(candles)
    stream = model.stream()
    rng = np.random.default_rng(0)
    for t in range(30, 60):
        for _ in range(100 if t == 45 else 3):
            forming = candles.iloc[: t + 1].copy()
            low, high = forming.iloc[-1][["low", "high"]]
            forming.iloc[-1, forming.columns.get_loc("close")] = rng.uniform(low, high)
            point = stream.update(Bars.of(forming).last)
            assert point.forecast == pytest.approx(model.predict(forming)["forecast"].iloc[-1], abs=1e-6)
        point = stream.update(Bars.of(candles.iloc[: t + 1]).last)
        np.testing.assert_allclose(point, predicted.iloc[t], atol=1e-6)


def test_a_bar_mended_after_it_closed_is_seen(models, candles_of):
    model, candles = models["quarter"], candles_of(60)
    stream = model.stream()
    for t in range(30, 50):
        stream.update(Bars.of(candles.iloc[: t + 1]).last)
    mended = candles.copy()
    mended.iloc[49, mended.columns.get_loc("close")] = mended["low"].iloc[49]
    point = stream.update(Bars.of(mended.iloc[:51]).last)
    np.testing.assert_allclose(point, model.predict(mended).iloc[50], atol=1e-6)


@pytest.mark.parametrize("kind", ["quarter", "window"])
def test_a_stream_reads_its_history_only_where_it_has_to(models, candles_of, kind):
    model, candles = models[kind], candles_of(60)
    stream, asked = model.stream(), []

    def update(t):
        bars = Bars.of(candles.iloc[: t + 1])
        return stream.update(lambda n: asked.append(n) or bars.last(n))

    for t in (*range(30, 41), *range(45, 51)):  # begun at 30, four bars away at 45
        update(t)
        update(t)
    assert asked.count(model.warmup) == 2
    assert set(asked) == {2, model.warmup}


def test_a_stream_may_go_back_in_time(models, candles_of):
    model, candles = models["quarter"], candles_of(60)
    stream, predicted = model.stream(), model.predict(candles)
    for t in (40, 41, 42, 35, 36, 59, 40):
        point = stream.update(Bars.of(candles.iloc[: t + 1]).last)
        np.testing.assert_allclose(point, predicted.iloc[t], atol=1e-6)


def test_two_streams_of_one_model_do_not_meet(models, candles_of):
    model, one, other = models["quarter"], candles_of(60), candles_of(60, seed=8)
    streams = model.stream(), model.stream()
    for t in range(40, 60):
        for stream, candles in zip(streams, (one, other), strict=True):
            point = stream.update(Bars.of(candles.iloc[: t + 1]).last)
            assert point.forecast == pytest.approx(model.predict(candles)["forecast"].iloc[t], abs=1e-6)


def test_a_stream_goes_on_after_it_was_pickled(models, candles_of):
    model, candles = models["two layers"], candles_of(60)
    stream = model.stream()
    for t in range(40, 50):
        stream.update(Bars.of(candles.iloc[: t + 1]).last)
    point = pickle.loads(pickle.dumps(stream)).update(Bars.of(candles.iloc[:51]).last)
    np.testing.assert_allclose(point, model.predict(candles).iloc[50], atol=1e-6)


def test_a_stream_without_enough_bars_has_no_forecast(tiny_model, fresh_market):
    points = stream_forecast(tiny_model, fresh_market.iloc[:170])
    assert np.isnan(points).all()


def test_a_stream_keeps_only_the_sequences_it_needs(models, candles_of):
    model, candles = models["quarter"], candles_of(60)
    stream = model.stream()
    for t in range(60):
        stream.update(Bars.of(candles.iloc[: t + 1]).last)
        slot = int(open_times(candles.index)[t] // model.step_ns)
        assert set(stream._newest.starts) <= set(model.context.alive(slot))


def test_a_stream_says_the_same_of_every_kind_of_feature(untrained_model, candles_of):
    # given
    specs = parse_features(
        [
            "rsi, atr, macd, realised_volatility, volatility_ratio, funding, funding_z:span=90",
            "basis:column=mark_close, open_interest_change",
            "event_age:column=news:span=24, event_sum:column=news:half_life=5",
        ]
    )
    model, rng = untrained_model(context=12, stride=5, specs=specs), np.random.default_rng(0)
    candles = candles_of(230)
    candles = candles.assign(
        funding_rate=np.where(candles.index.hour % 8 == 0, rng.normal(0, 1, 230), np.nan),
        mark_close=candles["close"] * rng.normal(1, 0.3, 230) ** 2,
        open_interest=rng.lognormal(0, 1, 230),
        news=rng.choice([0.0, 1.0, -1.0], 230, p=[0.9, 0.05, 0.05]),
    )

    # when
    predicted, streamed = model.predict(candles), stream_forecast(model, candles, 150)

    # then
    assert model.warmup == 169 + 12 + 5
    assert predicted["forecast"].iloc[model.warmup - 1 :].notna().all()
    np.testing.assert_allclose(streamed, predicted.iloc[150:], atol=1e-6)


# --- the forecaster -----------------------------------------------------------------------------------------


def test_it_meets_the_protocol_with_all_its_options(tiny_model):
    assert isinstance(tiny_model, Forecaster)
    assert tiny_model.warmup == 169 + 32 + 8
    assert tiny_model.timeframe == pd.Timedelta("1h")
    assert tiny_model.columns == ("open", "high", "low", "close", "volume", "news")
    assert tiny_model.horizon == 4
    assert tiny_model.valid_until is None
    assert tiny_model.threshold == tiny_model.manifest.validation.forecast_std
    assert tiny_model.seam == tiny_model.manifest.validation.seam


def test_a_model_without_its_event_column_says_so(tiny_model, fresh_market):
    with pytest.raises(ValueError, match="column 'news' is needed and missing"):
        tiny_model.predict(fresh_market.drop(columns="news"))


def test_the_first_forecast_comes_no_later_than_the_warm_up(models, candles_of):
    for model in models.values():
        for hour in range(12):
            forecast = model.predict(candles_of(60, start=f"2024-01-01 {hour:02}:00"))["forecast"]
            assert forecast.iloc[model.warmup - 1 :].notna().all()


def test_loading_gives_the_numbers_of_the_model_that_was_saved(models, candles_of, tmp_path):
    models["two layers"].save(tmp_path / "model")
    loaded = load_model(tmp_path / "model").predict(candles_of(60))
    np.testing.assert_array_equal(loaded, models["two layers"].predict(candles_of(60)))
