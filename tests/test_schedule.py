"""A schedule of models: it says what each fold's own model says, in every mode, and is checked as one model is."""

import dataclasses
import json
import shutil

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from lstm_backtrader import CandleFeed, LSTMSignal
from lstm_backtrader.candles import Bars
from lstm_backtrader.errors import ModelError, TimeframeError
from lstm_backtrader.forecast.inference import load_model
from lstm_backtrader.forecast.manifest import MANIFEST, WEIGHTS
from lstm_backtrader.forecast.schedule import DescribedSchedule, read_any_manifest
from lstm_backtrader.forecast.scheduled import make_schedule
from lstm_backtrader.indicators.models import as_forecaster, predict

COLUMNS = ["forecast", "prob_up", "spread"]


def by_hand(schedule, models, candles):
    """What an owner gets who loads each fold's model and takes the newest that may forecast a bar."""
    said = pd.DataFrame(np.nan, index=candles.index, columns=COLUMNS)
    for model in models:  # oldest first: a newer one writes over
        mine = candles.index >= model.valid_from
        said[mine] = model.predict(candles)[mine]
    return said


@pytest.fixture(scope="module")
def alone(tiny_folds, tiny_schedule):
    """The models of the folds, loaded from where the walk-forward keeps them."""
    return [load_model(path) for path in sorted(tiny_folds.iterdir()) if path.name != ".lock"]


@pytest.fixture(scope="module")
def around_a_switch(tiny_market, tiny_schedule):
    """The bars from before the second model takes over until after the third does."""
    at = tiny_market.index.searchsorted(tiny_schedule.begins[1])
    return tiny_market.iloc[at - 230 : at + 260]


# --- forecasts ----------------------------------------------------------------------------------------------


def test_it_says_what_the_newest_model_trained_before_a_bar_says(tiny_market, tiny_schedule, alone):
    said = tiny_schedule.predict(tiny_market)[tiny_market.index >= tiny_schedule.valid_from]
    wanted = by_hand(tiny_schedule, alone, tiny_market).loc[said.index]
    assert wanted["forecast"].notna().all()
    np.testing.assert_allclose(said, wanted, atol=1e-6)
    assert len(alone) == 7


def test_models_differ_where_they_take_over_so_that_a_wrong_one_would_be_seen(tiny_market, alone):
    first, second = (model.predict(tiny_market)["forecast"] for model in alone[:2])
    assert (first - second).abs().median() > 1e-4


def test_every_model_begins_on_bars_it_has_not_seen(tiny_schedule, alone, tiny_plan):
    for begins, model in zip(tiny_schedule.begins, alone, strict=True):
        assert model.valid_from == begins
        unseen = begins - pd.Timestamp(model.manifest.trained_until)
        config = tiny_plan.train
        assert unseen == pd.Timedelta(hours=config.horizon + config.embargo + 1)


def test_stream_is_predict_across_the_switches(tiny_schedule, around_a_switch):
    stream, bars = tiny_schedule.stream(), Bars.of(around_a_switch)
    points = [stream.update(bars.part(0, t + 1).last) for t in range(len(bars))]
    warm = tiny_schedule.warmup - 1
    wanted = tiny_schedule.predict(around_a_switch)
    assert wanted["forecast"].iloc[warm:].notna().all()
    np.testing.assert_allclose(points[warm:], wanted.iloc[warm:], atol=1e-6)


def test_a_stream_that_goes_back_in_time_asks_the_older_model_again(tiny_schedule, around_a_switch):
    stream, bars = tiny_schedule.stream(), Bars.of(around_a_switch)
    once = [stream.update(bars.part(0, t).last) for t in (300, 480)]
    assert [stream.update(bars.part(0, t).last) for t in (300, 480)] == once


class Recorder(bt.Strategy):
    params = (("model", None), ("allow_insample", False), ("threshold", None))

    def __init__(self):
        self.indicator = LSTMSignal(
            self.data, model=self.p.model, allow_insample=self.p.allow_insample, threshold=self.p.threshold
        )
        self.rows = []

    def prenext(self):
        self.rows.append([getattr(self.indicator, name)[0] for name in ("signal", *COLUMNS)])

    nextstart = next = prenext


def run(candles, mode=None, **options):
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(candles))
    cerebro.addstrategy(Recorder, **options)
    strategy = cerebro.run(**(mode or {}))[0]
    return strategy, pd.DataFrame(strategy.rows, columns=["signal", *COLUMNS], index=candles.index)


@pytest.mark.parametrize(
    "mode", [{}, {"runonce": False}, {"runonce": False, "preload": False, "exactbars": 1}], ids=str
)
def test_the_indicator_says_it_in_every_mode_and_each_bar_has_its_own_threshold(
    tiny_schedule, tiny_schedule_artefact, around_a_switch, mode
):
    _, table = run(around_a_switch, mode, model=str(tiny_schedule_artefact))
    wanted = tiny_schedule.predict(around_a_switch)
    wanted.iloc[: tiny_schedule.warmup - 1] = np.nan
    np.testing.assert_allclose(table[COLUMNS], wanted, atol=1e-6)
    number = np.searchsorted(tiny_schedule.begins, around_a_switch.index, side="right") - 1
    own = np.array([model.threshold for model in tiny_schedule.models])[number]
    beyond = wanted["forecast"].abs() >= own
    np.testing.assert_array_equal(table["signal"], np.where(beyond, np.sign(wanted["forecast"]), 0.0))
    assert len(set(number)) == 3
    assert len(set(own)) == 3


def test_the_interval_of_a_bar_is_that_of_its_own_model(tiny_schedule, around_a_switch):
    class Widths(Recorder):
        def prenext(self):
            self.rows.append([self.indicator.lo[0], self.indicator.forecast[0], self.indicator.hi[0], 0.0])

        nextstart = next = prenext

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(around_a_switch))
    cerebro.addstrategy(Widths, model=tiny_schedule)
    lo, forecast, hi, _ = np.array(cerebro.run()[0].rows).T
    number = np.searchsorted(tiny_schedule.begins, around_a_switch.index, side="right") - 1
    own = np.array([model.half_width for model in tiny_schedule.models])[number]
    known = np.isfinite(forecast)
    assert len(set(own[known])) == 3
    np.testing.assert_allclose(hi[known] - forecast[known], own[known])
    np.testing.assert_allclose(forecast[known] - lo[known], own[known])


def test_a_threshold_given_is_that_of_every_bar(tiny_schedule, around_a_switch):
    _, table = run(around_a_switch, model=tiny_schedule, threshold=0.0)
    assert (table["signal"].iloc[tiny_schedule.warmup :] != 0).all()


def test_bars_before_the_first_model_begins_are_guarded(tiny_market, tiny_schedule):
    at = tiny_market.index.searchsorted(tiny_schedule.valid_from)
    candles = tiny_market.iloc[at - 300 : at + 20]
    strategy, table = run(candles, model=tiny_schedule)
    assert table["forecast"].iloc[:300].isna().all()
    assert table["forecast"].iloc[300:].notna().all()
    assert strategy.indicator.forecast_summary()["in_sample"] == 0
    strategy, table = run(candles, model=tiny_schedule, allow_insample=True)
    summary = strategy.indicator.forecast_summary()
    assert summary["in_sample"] == 300 - tiny_schedule.warmup + 1
    assert "threshold" not in summary
    assert "each model its own" in summary["thresholds"]


@pytest.mark.parametrize("mode", [{}, {"runonce": False}], ids=str)
def test_a_model_that_has_expired_is_silent_until_the_next_begins(tiny_schedule, around_a_switch, mode):
    begins = tiny_schedule.begins
    entries = [
        entry.model_copy(
            update={"manifest": entry.manifest.model_copy(update={"expires": entry.begins + pd.Timedelta(days=9)})}
        )
        for entry in tiny_schedule.manifest.models
    ]
    manifest = tiny_schedule.manifest.model_copy(update={"models": tuple(entries)})
    _, table = run(around_a_switch, mode, model=make_schedule(manifest, tiny_schedule.models))
    times = around_a_switch.index[tiny_schedule.warmup :]
    silent = table["forecast"].loc[times].isna()
    expired = [(time >= begins[1] - pd.Timedelta(days=1)) & (time < begins[1]) for time in times]
    expired |= (times >= begins[2] - pd.Timedelta(days=1)) & (times < begins[2])
    assert (silent == expired).all()
    assert 24 <= silent.sum() < len(silent)


def test_bars_of_another_length_are_refused(tiny_schedule, candles_of):
    with pytest.raises(TimeframeError, match=r"the candles are 15m bars, the models were trained on 1h"):
        tiny_schedule.predict(candles_of(300, freq="15min").assign(news=0.0))


def test_of_several_models_the_most_demanding_tells_the_warm_up_and_the_worst_the_seam(tiny_schedule):
    assert tiny_schedule.warmup == max(model.warmup for model in tiny_schedule.models)
    assert tiny_schedule.seam == max(model.seam for model in tiny_schedule.models)
    assert tiny_schedule.valid_from == tiny_schedule.begins[0]
    assert tiny_schedule.valid_until is None
    assert tiny_schedule.threshold == tiny_schedule.models[-1].threshold
    assert tiny_schedule.columns == tiny_schedule.models[0].columns
    assert (tiny_schedule.horizon, tiny_schedule.timeframe) == (4, pd.Timedelta(hours=1))


# --- the artefact -------------------------------------------------------------------------------------------


@pytest.fixture
def artefact(tiny_schedule_artefact, tmp_path):
    """A copy to damage."""
    return shutil.copytree(tiny_schedule_artefact, tmp_path / "schedule")


def edit(artefact, change):
    manifest = json.loads((artefact / MANIFEST).read_text())
    change(manifest)
    (artefact / MANIFEST).write_text(json.dumps(manifest))


def refuses(artefact, match):
    for read in (load_model, as_forecaster):
        with pytest.raises(ModelError, match=match):
            read(artefact)


def test_a_schedule_comes_back_from_disk_as_it_was(tiny_schedule, tiny_schedule_artefact, tiny_market):
    loaded = load_model(tiny_schedule_artefact)
    assert loaded.manifest == tiny_schedule.manifest
    assert loaded.history == tiny_schedule.history
    np.testing.assert_array_equal(loaded.predict(tiny_market), tiny_schedule.predict(tiny_market))


def test_a_path_says_what_the_loaded_schedule_says(tiny_schedule, tiny_schedule_artefact, around_a_switch):
    found = as_forecaster(tiny_schedule_artefact)
    for name in ("timeframe", "warmup", "columns", "threshold", "valid_from", "valid_until", "horizon", "seam"):
        assert getattr(found, name) == getattr(tiny_schedule, name), name
    assert found.fingerprint == tiny_schedule.fingerprint
    assert found.history == tiny_schedule.history
    np.testing.assert_array_equal(found.predict(around_a_switch), tiny_schedule.predict(around_a_switch))


def test_a_cached_forecast_is_not_taken_for_that_of_another_schedule(tiny_schedule, around_a_switch):
    predict(tiny_schedule, around_a_switch)
    later = [
        entry.model_copy(update={"begins": entry.begins + pd.Timedelta(days=3)})
        for entry in tiny_schedule.manifest.models
    ]
    manifest = tiny_schedule.manifest.model_copy(update={"models": tuple(later)})
    other = make_schedule(manifest, tiny_schedule.models)
    assert other.fingerprint != tiny_schedule.fingerprint
    difference = (predict(other, around_a_switch) - predict(tiny_schedule, around_a_switch))["forecast"].abs()
    assert difference.max() > 1e-4


@pytest.mark.parametrize("place", [0, 8, 300, -1])
def test_one_altered_byte_is_found(artefact, place):
    weights = bytearray((artefact / WEIGHTS).read_bytes())
    weights[place] ^= 1
    (artefact / WEIGHTS).write_bytes(weights)
    refuses(artefact, r"SHA-256 [0-9a-f]{12}... is not [0-9a-f]{12}... of the manifest")


def test_a_newer_schema_asks_for_an_upgrade(artefact):
    edit(artefact, lambda manifest: manifest.update(schema_version=2))
    refuses(artefact, r"has schema 2, this version reads up to 1. Upgrade lstm-backtrader")


def reorder(manifest):
    manifest["models"][2]["manifest"]["features"].reverse()


def begin_later(manifest):
    manifest["models"][0]["begins"] = "2020-02-12T00:00:00Z"


def forget_the_past(manifest):
    manifest["models"][3]["manifest"]["trained_until"] = "2019-01-01T00:00:00Z"


def other_weights(manifest):
    manifest["models"][1]["manifest"]["weights_sha256"] = "0" * 64


def swap_models(manifest):
    first, second = manifest["models"][:2]
    first["manifest"], second["manifest"] = second["manifest"], first["manifest"]


def other_length(manifest):
    for model in manifest["models"]:
        model["manifest"]["timeframe_s"] = 1800


@pytest.mark.parametrize("change", [reorder, begin_later, forget_the_past, other_weights])
def test_what_the_weights_were_not_trained_with_is_refused(artefact, change):
    edit(artefact, change)
    refuses(artefact, "features, scaler, label, shape or dates are not those the weights were trained with")


def test_another_bar_length_is_refused(artefact):
    edit(artefact, other_length)
    refuses(artefact, "features, scaler, label, shape or dates are not those the weights were trained with")


def test_a_model_used_on_what_it_was_trained_on_is_refused_with_its_first_unseen_bar(artefact):
    edit(artefact, swap_models)
    refuses(
        artefact,
        "model 0 begins at 2020-02-11 00:00, inside what it was trained on; its first unseen bar is 2020-02-21",
    )


def test_models_in_no_order_are_refused(artefact):
    edit(artefact, lambda manifest: manifest["models"].insert(1, manifest["models"][0]))
    refuses(artefact, "model 1 does not begin after the one before it")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m["models"][1]["manifest"].update(timeframe_s=60), "model 1 has another timeframe_s"),
        (lambda m: m["models"][1]["manifest"]["label"].update(horizon=9), "model 1 has another label"),
        (lambda m: m.update(models=[]), "models: "),
        (lambda m: m.update(kind="orchestra"), "kind: "),
        (lambda m: m.update(colour="red"), "colour: Extra inputs are not permitted"),
        (lambda m: m["models"][0]["manifest"].update(hidden=0), "models.0.manifest.hidden: "),
        (lambda m: m["models"][0]["manifest"]["features"].pop(), "features and scaler differ in length"),
        (lambda m: m["models"][0]["manifest"]["features"][0].update(name="rsx"), "unknown feature 'rsx'"),
        (lambda m: m["models"][0]["manifest"].update(stride=99), "stride 99 is outside 1 to context 32"),
    ],
)
def test_what_no_schedule_can_be_is_refused_by_name(artefact, change, message):
    edit(artefact, change)
    refuses(artefact, message)


def test_a_single_model_is_still_read_as_one(tiny_artefact, tiny_model):
    assert read_any_manifest(tiny_artefact) == tiny_model.manifest


def test_a_schedule_is_described_without_torch(tiny_schedule_artefact, tiny_schedule):
    described = DescribedSchedule(read_any_manifest(tiny_schedule_artefact), "x")
    assert described.fingerprint == tiny_schedule.fingerprint
    assert dataclasses.is_dataclass(tiny_schedule.history[0])
    assert {row.model for row in tiny_schedule.history} == {begins.isoformat() for begins in described.begins}
