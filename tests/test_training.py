"""Training: repeatable, fitted on nothing it may not see, and refusing what cannot be learned from."""

import dataclasses
import logging
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lstm_backtrader.candles import Bars
from lstm_backtrader.datafeeds.synthetic import synthetic_market
from lstm_backtrader.errors import ConfigError, DataError, TimeframeError
from lstm_backtrader.forecast import material, training
from lstm_backtrader.forecast.features import make_features
from lstm_backtrader.forecast.inference import load_model
from lstm_backtrader.forecast.labels import LABELS, LabelSpec, label, scaled_return
from lstm_backtrader.forecast.material import prepare
from lstm_backtrader.forecast.train_config import TrainConfig
from lstm_backtrader.forecast.training import train

HOUR = pd.Timedelta(hours=1)


@pytest.fixture(scope="module")
def seen(tiny_market):
    """The bars `tiny_model` was trained on."""
    return tiny_market.iloc[:1800]


@pytest.fixture
def short(tiny_config):
    """A few steps of one net: enough where only the frame around the training is looked at."""
    return dataclasses.replace(tiny_config, seeds=1, steps=2)


# --- repeatable ---------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_weights_bit_for_bit(tiny_model, seen, tiny_config):
    again = train(seen, tiny_config)
    assert again.manifest.weights_sha256 == tiny_model.manifest.weights_sha256
    assert again.manifest.validation == tiny_model.manifest.validation
    assert again.manifest.data_sha256 == tiny_model.manifest.data_sha256


def test_another_seed_gives_other_weights(seen, short):
    first, other = train(seen, short), train(seen, dataclasses.replace(short, seed=7))
    assert first.manifest.weights_sha256 != other.manifest.weights_sha256
    assert other.manifest.seeds == (7,)


def test_a_net_of_the_ensemble_is_the_net_of_its_seed(tiny_model, seen, tiny_config):
    alone = train(seen, dataclasses.replace(tiny_config, seeds=1, seed=1))
    for name, tensor in tiny_model.nets[1].state_dict().items():
        assert torch.equal(alone.nets[0].state_dict()[name], tensor)


def test_the_users_generators_and_threads_are_left_alone(seen, short):
    numpy_before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002 - the user's
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        train(seen, short)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002 - the user's
    assert torch.equal(torch.get_rng_state(), torch_before)


def test_the_device_may_be_named_and_one_that_is_not_there_is_refused(tiny_model, seen, tiny_config, monkeypatch):
    assert train(seen, tiny_config, device="cpu").manifest.weights_sha256 == tiny_model.manifest.weights_sha256
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"device 'cuda' was asked for and torch sees no GPU"):
        train(seen, tiny_config, device="cuda")


@pytest.mark.gpu
def test_a_gpu_learns_what_the_cpu_learns_and_twice_the_same(seen, tiny_config):
    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU")
    config = dataclasses.replace(tiny_config, steps=4)
    first, again, cpu = (train(seen, config, device=device) for device in ("cuda", "cuda", "cpu"))
    assert first.manifest.weights_sha256 == again.manifest.weights_sha256
    for net, other in zip(first.nets, cpu.nets, strict=True):
        for name, part in other.state_dict().items():
            torch.testing.assert_close(net.state_dict()[name], part, atol=1e-3, rtol=0)


def test_memory_grows_with_the_bars_and_not_with_the_context(candles_of, short):
    """Five million bars may take 3 GB, of which half a gigabyte is the program: 500 bytes a bar."""
    market = candles_of(120_000).assign(news=0.0)

    def peak(bars, **options):
        tracemalloc.start()
        try:
            train(market.iloc[:bars], dataclasses.replace(short, **options))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(2_000)  # what is loaded or compiled once
    few, many, wide = peak(60_000), peak(120_000), peak(120_000, context=384, stride=96)
    assert (many - few) / 60_000 < 500
    assert wide < 1.1 * many


# --- nothing from the future --------------------------------------------------------------------------------


def test_scaler_and_label_mean_are_those_of_the_train_rows(tiny_model, seen):
    manifest, bars = tiny_model.manifest, Bars.of(seen)
    train_rows = seen.index[168:] <= manifest.train_until
    X = make_features(bars, tiny_model.specs)[168:][train_rows]
    y = scaled_return(bars, 4)[168:][train_rows]
    assert np.asarray(manifest.scaler.mean) == pytest.approx(X.mean(axis=0, dtype=float))
    varied = X.std(axis=0, dtype=float) > 1e-12
    assert np.asarray(manifest.scaler.scale)[varied] == pytest.approx(X.std(axis=0, dtype=float)[varied])
    assert manifest.label.mean == pytest.approx(np.nanmean(y))


def test_shuffling_the_future_changes_neither_scaler_nor_label_mean(seen, short):
    honest = train(seen, short).manifest
    # the label of the last train bar reads `horizon` bars on
    begin = seen.index.searchsorted(honest.train_until) + short.horizon + 1
    later = np.random.default_rng(0).permutation(np.arange(begin, len(seen)))
    shuffled = seen.iloc[[*range(begin), *later]].set_axis(seen.index)
    other = train(shuffled, short).manifest
    assert other.data_sha256 != honest.data_sha256
    assert other.train_until == honest.train_until
    assert other.scaler == honest.scaler
    assert other.label == honest.label


def test_the_dates_of_the_manifest_fit_together(tiny_model, seen, tiny_config):
    manifest = tiny_model.manifest
    gap = (manifest.validation_from - manifest.train_until) / HOUR
    assert gap == 1 + tiny_config.horizon + tiny_config.embargo
    assert manifest.train_from == seen.index[168]
    assert manifest.trained_until == seen.index[-1 - tiny_config.horizon]
    assert tiny_model.valid_from == seen.index[-1] + HOUR
    assert manifest.expires is None
    assert manifest.fill_rate == 1.0


def test_a_model_expires_days_after_its_last_label(seen, short):
    model = train(seen, dataclasses.replace(short, expires_days=30))
    assert model.valid_until == model.manifest.trained_until + pd.Timedelta(days=30)


def test_the_manifest_says_how_it_was_trained(tiny_model, tiny_config):
    manifest = tiny_model.manifest
    assert manifest.training == {**dataclasses.asdict(tiny_config), "events": ["news"], "features": ["default"]}
    assert [entry.name for entry in manifest.features][-1] == "event"
    assert (manifest.context, manifest.stride, manifest.cell, manifest.hidden) == (32, 8, "lstm", 6)
    assert set(manifest.versions) == {"lstm_backtrader", "numpy", "python", "torch"}
    assert len(manifest.validation.best_steps) == 2
    assert manifest.validation.bars > 200
    assert manifest.validation.residual_std > 0


# --- learning -----------------------------------------------------------------------------------------------


def test_training_learns_what_can_be_learned(tiny_config):
    """Drift follows the news at once, without the long silence; the trained net beats the untrained one by far."""
    from lstm_backtrader.datafeeds.synthetic import MarketShape

    shape = MarketShape(horizon=4, gap=(1, 4), rest=(1, 4))
    market = synthetic_market(4000, seed=1, kappa=1.5, shape=shape)
    config = dataclasses.replace(tiny_config, seeds=1, steps=120, batch=16, hidden=8, learning_rate=2e-2)
    learned, begun = train(market.candles, config), train(market.candles, dataclasses.replace(config, steps=1))
    assert learned.manifest.validation.ic > 0.4
    assert learned.manifest.validation.loss < 0.9 * begun.manifest.validation.loss


@given(events=st.lists(st.booleans(), max_size=30), reach=st.integers(1, 40))
def test_the_event_weight_reaches_the_bars_from_the_event_on(events, reach):
    wanted = [any(events[max(0, t + 1 - reach) : t + 1]) for t in range(len(events))]
    assert material._recent(np.array(events, dtype=bool), reach).tolist() == wanted


def test_the_event_weight_changes_what_is_learned(seen, short):
    config = dataclasses.replace(short, batch=128)  # enough crops that some hold an event
    plain, weighted = train(seen, config), train(seen, dataclasses.replace(config, event_weight=50.0))
    assert plain.manifest.weights_sha256 != weighted.manifest.weights_sha256
    assert plain.manifest.scaler == weighted.manifest.scaler


def test_patience_stops_a_net_that_learns_no_more(seen, tiny_config):
    steps = []
    config = dataclasses.replace(tiny_config, seeds=1, steps=200, patience=1, learning_rate=0.5)
    model = train(seen, config, progress=lambda seed, step, of: steps.append((seed, step, of)))
    assert model.manifest.validation.best_steps[0] < 200
    assert steps[-1] == (0, 200, 200)  # the bar is full however it ended
    assert len(steps) < 20


def test_progress_is_told_for_every_seed(seen, tiny_config):
    told = []
    train(seen, dataclasses.replace(tiny_config, steps=3), progress=lambda *step: told.append(step))
    assert {seed for seed, _, _ in told} == {0, 1}
    assert all(1 <= step <= of == 3 for _, step, of in told)


@pytest.mark.parametrize(
    "options", [{"layers": 2}, {"cell": "rnn"}, {"stride": 1}, {"stride": 32}, {"dropout": 0.0}]
)
def test_every_kind_of_net_trains(seen, short, options):
    model = train(seen, dataclasses.replace(short, **options))
    assert np.isfinite(model.manifest.validation.loss)


def test_data_with_gaps_train(seen, short):
    gappy = seen.drop(seen.index[[300, 301, 302, 700, 1700]])
    model = train(gappy, short)
    assert model.manifest.fill_rate == pytest.approx(1795 / 1800)
    assert np.isfinite(model.predict(gappy)["forecast"].iloc[-1])


def test_a_visible_seam_is_warned_about_with_a_shorter_stride(seen, short, caplog, monkeypatch):
    monkeypatch.setattr(training, "SEAM_LIMIT", 0.0)
    with caplog.at_level(logging.WARNING, "lstm_backtrader"):
        model = train(seen, short)
    stride = short.stride
    assert f"seam {model.seam:.2f}: every {stride} bars, where its context restarts" in caplog.text
    assert f"A --stride of {stride // 4} steps less and forecasts more slowly" in caplog.text


def test_prices_that_never_move_are_refused(seen, short):
    still = seen.assign(open=100.0, high=100.0, low=100.0, close=100.0)
    with pytest.raises(DataError, match=r"the label is 0 on all \d+ bars of validation.* prices .* move"):
        train(still, short)


def test_a_seam_within_the_limit_is_not_warned_about(seen, short, caplog, monkeypatch):
    monkeypatch.setattr(training, "SEAM_LIMIT", 1e9)
    with caplog.at_level(logging.WARNING, "lstm_backtrader"):
        train(seen, short)
    assert caplog.text == ""


# --- features and labels of one's choice --------------------------------------------------------------------


def test_the_features_chosen_are_what_the_net_sees_and_the_manifest_keeps(seen, short):
    config = dataclasses.replace(short, features=("rsi:span=7, atr", "volatility_ratio"))
    manifest = train(seen, config).manifest
    assert [entry.name for entry in manifest.features] == ["rsi", "atr", "volatility_ratio", "event"]
    assert [entry.memory for entry in manifest.features] == [61, 126, 169, 1]
    assert manifest.features[0].params == {"span": 7}
    assert manifest.training["features"] == ["rsi:span=7, atr", "volatility_ratio"]


def test_a_model_reads_the_columns_its_features_read(seen, short, tmp_path):
    # given
    candles = seen.assign(funding_rate=np.where(seen.index.hour % 8 == 0, 1e-4, np.nan), mark_close=seen["close"])
    config = dataclasses.replace(short, features=("default", "funding, funding_z:span=90, basis:column=mark_close"))

    # when
    train(candles, config).save(tmp_path / "model")
    model = load_model(tmp_path / "model")

    # then
    assert model.columns == ("open", "high", "low", "close", "volume", "funding_rate", "mark_close", "news")
    assert model.predict(candles)["forecast"].notna().any()
    with pytest.raises(DataError, match="column 'funding_rate' is needed and missing"):
        model.predict(candles.drop(columns="funding_rate"))


def test_three_classes_are_learned_from_end_to_end(tmp_path):
    # given a market whose drift follows the news at once
    from lstm_backtrader.datafeeds.synthetic import MarketShape

    shape = MarketShape(horizon=4, gap=(1, 4), rest=(1, 4))
    market = synthetic_market(6000, seed=1, kappa=1.5, shape=shape)
    config = TrainConfig(
        horizon=4, context=32, stride=8, hidden=8, seeds=2, steps=120, batch=16, learning_rate=2e-2, embargo=24,
        events=("news",), label="three_classes:fee_bps=20",
    )  # fmt: skip
    past, unseen = market.candles.iloc[:4000], market.candles.iloc[4000:]

    # when
    train(past, config).save(tmp_path / "model")
    model = load_model(tmp_path / "model")
    forecast = model.predict(unseen)

    # then
    y = LabelSpec.parse(config.label, 4).compute(Bars.of(unseen))
    known = forecast["forecast"].notna().to_numpy() & np.isfinite(y)
    assert np.corrcoef(forecast["forecast"][known], y[known])[0, 1] > 0.4
    assert forecast["prob_up"][known & (y == 1)].mean() > forecast["prob_up"][known & (y == -1)].mean() + 0.15
    assert forecast["prob_up"][known].mean() == pytest.approx((y[known] == 1).mean(), abs=0.08)
    label = model.manifest.label
    assert (label.kind, label.params["fee_bps"], label.horizon) == ("three_classes", 20, 4)
    assert model.manifest.purge_bars == 4
    # the class weights are those of the train rows alone
    y_train = LabelSpec.parse(config.label, 4).compute(Bars.of(past))[168:][
        past.index[168:] <= model.manifest.train_until
    ]
    shares = [np.mean(y_train == each) for each in (-1, 0, 1)]
    assert label.class_weights == pytest.approx([1 / (3 * share) for share in shares])


def test_bars_weigh_by_the_uniqueness_of_their_label(seen, short):
    config = dataclasses.replace(short, label="triple_barrier:stop_price_pct=0.01:take_profit_price_pct=0.01")

    plain = prepare(seen, config)
    weighted = prepare(seen, dataclasses.replace(config, uniqueness=True))

    train = slice(0, int(np.searchsorted(plain.slots, plain.split.train_end)))
    known = LabelSpec.parse(config.label, short.horizon).known_at(Bars.of(seen))[-len(plain.y) :]
    lasts = known - (len(seen) - len(plain.y)) - np.arange(len(known))
    assert (plain.weight == 1).all()
    assert weighted.weight[train].mean() == pytest.approx(1)
    # a label that is soon known shares its time with fewer others
    soon, late = (weighted.weight[train][lasts[train] == bars].mean() for bars in (1, short.horizon))
    assert soon > late


def test_labels_of_one_length_are_equally_unique(seen, short):
    weight = prepare(seen, dataclasses.replace(short, uniqueness=True)).weight

    assert np.median(weight) == pytest.approx(1, abs=0.01)
    assert (np.abs(weight - 1) < 0.01).mean() > 0.95  # but for the ends


def test_uniqueness_on_train_knows_nothing_of_validation(seen, short):
    config = dataclasses.replace(short, label="triple_barrier", uniqueness=True)
    honest = prepare(seen, config)
    begin = seen.index.searchsorted(pd.Timestamp(honest.split.train_end * 3600, unit="s", tz="UTC"))
    later = seen.copy()
    later.iloc[begin + short.horizon :, :4] *= 2

    other = prepare(later, config)

    train = honest.rows(0, honest.split.train_end)
    assert np.array_equal(honest.weight[train], other.weight[train])


def test_the_triple_barrier_is_learned_from_end_to_end(seen, short, tmp_path):
    config = dataclasses.replace(short, label="triple_barrier:take_profit_price_pct=0.02", uniqueness=True)
    train(seen, config).save(tmp_path / "model")

    model = load_model(tmp_path / "model")

    label = model.manifest.label
    assert (label.kind, label.name, label.horizon) == ("three_classes", "triple_barrier", short.horizon)
    assert label.params["take_profit_price_pct"] == 0.02
    assert model.manifest.purge_bars == short.horizon
    assert model.manifest.training["uniqueness"] is True
    assert model.predict(seen)["prob_up"].dropna().between(0, 1).all()


def test_shuffling_the_future_changes_no_class_weight(seen, short):
    config = dataclasses.replace(short, label="three_classes:fee_bps=20")
    honest = train(seen, config).manifest
    begin = seen.index.searchsorted(honest.train_until) + short.horizon + 1
    later = np.random.default_rng(0).permutation(np.arange(begin, len(seen)))
    other = train(seen.iloc[[*range(begin), *later]].set_axis(seen.index), config).manifest
    assert other.label == honest.label


@pytest.fixture
def own_label(monkeypatch):
    monkeypatch.setattr("lstm_backtrader.forecast.labels.LABELS", dict(LABELS))

    @label(horizon=lambda ahead=4: ahead)
    def money(bars, ahead):
        close = bars["close"]
        return np.append(close[ahead:] - close[:-ahead], np.full(ahead, np.nan))


def test_a_label_of_ones_own_is_trained_on_and_needed_no_more_afterwards(
    seen, short, own_label, tmp_path, monkeypatch
):
    # when
    model = train(seen, dataclasses.replace(short, label="money"))
    model.save(tmp_path / "model")
    monkeypatch.undo()  # the label is registered nowhere

    # then
    loaded = load_model(tmp_path / "model")
    entry = loaded.manifest.label
    assert (entry.kind, entry.name, entry.params, entry.horizon) == ("own", "money", {"ahead": 4}, 4)
    pd.testing.assert_frame_equal(loaded.predict(seen), model.predict(seen))


def test_a_label_of_another_horizon_than_the_training_is_refused(short, own_label):
    with pytest.raises(
        ConfigError, match=r"label 'money:ahead=9' looks 9 bars ahead, horizon is 4. Set horizon to 9"
    ):
        dataclasses.replace(short, label="money:ahead=9")


def test_a_label_that_sees_more_than_it_says_is_refused_before_training(seen, short, own_label):
    @label(horizon=lambda: 4)
    def prophet(bars):
        return np.append(bars["close"][48:], np.full(48, np.nan)) - bars["close"]

    with pytest.raises(DataError, match=r"label 'prophet' of the bar at .* beyond its horizon of 4"):
        train(seen, dataclasses.replace(short, label="prophet"))


# --- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bars", [2, 100, 260])
def test_too_few_bars_are_refused_with_both_figures(seen, short, bars):
    left = max(0, bars - 168 - short.horizon)
    with pytest.raises(DataError, match=rf"{bars} bars leave {left} with features and label; context 32 needs 102"):
        train(seen.iloc[:bars], short)


def test_data_less_than_half_there_are_refused_with_both_figures(seen, short):
    holed = seen.set_axis(seen.index[:900].append(seen.index[900:] + 2000 * HOUR))
    with pytest.raises(
        DataError, match=r"only 1800 of the 3800 bars between .* are there \(47%, at least 50% is needed"
    ):
        train(holed, short)


def test_bars_off_the_clock_are_refused_before_they_are_learnt_from(candles_of, short):
    shifted = candles_of(400, freq="4h", start="2024-01-01 01:00")
    with pytest.raises(
        TimeframeError, match=r"opens at 2024-01-01 01:00 does not begin on a whole 4h of the day .*convert"
    ):
        train(shifted, short)


def test_an_embargo_that_eats_the_train_bars_is_refused(seen, short):
    with pytest.raises(
        DataError, match=r"validation \(50% of the data\) and embargo \(900 bars\) leave no train bar"
    ):
        train(seen, dataclasses.replace(short, embargo=900, val_fraction=0.5))


def test_too_few_train_bars_for_a_crop_are_refused(seen, short):
    with pytest.raises(DataError, match=r"usable train bars do not hold one crop of 39 bars"):
        train(seen, dataclasses.replace(short, embargo=785, val_fraction=0.5))


def test_a_missing_event_column_is_named(seen, short):
    with pytest.raises(DataError, match="column 'news' is needed and missing"):
        train(seen.drop(columns="news"), short)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("horizon", 0),
        ("hidden", 0),
        ("layers", 9),
        ("seeds", 0),
        ("seed", -1),
        ("steps", 0),
        ("batch", 0),
        ("learning_rate", 0.0),
        ("weight_decay", -0.1),
        ("dropout", 1.0),
        ("dropout", float("nan")),
        ("patience", 0),
        ("event_weight", -1.0),
        ("val_fraction", 0.0),
        ("val_fraction", 0.6),
        ("embargo", -1),
        ("expires_days", 0),
    ],
)
def test_a_value_outside_its_range_is_refused_with_the_range(name, value):
    with pytest.raises(ConfigError, match=rf"{name} {value} is outside .* to .*\. The default is "):
        TrainConfig(**{name: value})


def test_context_and_stride_are_checked_with_the_config():
    with pytest.raises(ConfigError, match="stride 64 is outside 1 to context 32"):
        TrainConfig(context=32, stride=64)
    with pytest.raises(ConfigError, match="context 1 is too short"):
        TrainConfig(context=1)


def test_an_unknown_cell_is_refused():
    with pytest.raises(ConfigError, match=r"cell 'gru' is unknown. Use 'lstm'"):
        TrainConfig(cell="gru")


def test_the_default_stride_is_a_quarter_of_the_context():
    assert TrainConfig().strided_context().stride == 96
    assert TrainConfig(context=3).strided_context().stride == 1
