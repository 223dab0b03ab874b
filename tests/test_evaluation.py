"""An evaluation as a whole: what it judges, what it is beside, and that it says luck where there is luck."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import lstm_backtrader as lbt
from lstm_backtrader.candles import Bars
from lstm_backtrader.datafeeds.synthetic import synthetic_market
from lstm_backtrader.errors import ConfigError, DataError, ReportError, TimeframeError
from lstm_backtrader.forecast.evaluation import EvaluateConfig, evaluate_forecast
from lstm_backtrader.forecast.foreign import LogReturn, Scaler, from_module
from lstm_backtrader.forecast.importance import block_length, importance
from lstm_backtrader.forecast.labels import scaled_return
from lstm_backtrader.forecast.retraining import Retraining
from lstm_backtrader.forecast.training import train
from lstm_backtrader.forecast.unseen import make_folds, unseen_parts

HEADINGS = ("The forecast and what it is beside", "IC by fold", "IC by month", "Does the probability mean")


@pytest.fixture(scope="module")
def found(tiny_model, tiny_market):
    """The tiny model on the bars it has not seen, beside everything."""
    return evaluate_forecast(tiny_market, tiny_model, EvaluateConfig(with_rnn=True, seed=5))


@pytest.fixture(scope="module")
def walked(tiny_schedule, tiny_market):
    """The tiny schedule, with its controls."""
    return evaluate_forecast(tiny_market, tiny_schedule)


# --- what is judged -----------------------------------------------------------------------------------------


def test_only_bars_the_model_has_not_seen_are_judged(found, tiny_model, tiny_market):
    assert found.table.index[0] == tiny_model.valid_from
    assert found.table.index[-1] == tiny_market.index[-1]
    assert pd.Timestamp(found.document["span"]["begin"]) >= tiny_model.valid_from


def test_a_begin_before_the_first_unseen_bar_shows_no_seen_one(tiny_model, tiny_market):
    config = EvaluateConfig(draws=0)
    early = evaluate_forecast(tiny_market, tiny_model, config, begin=tiny_market.index[0])
    late = evaluate_forecast(tiny_market, tiny_model, config, begin=tiny_market.index[2000])
    assert early.table.index[0] == tiny_model.valid_from
    assert late.table.index[0] == tiny_market.index[2000]
    cut = evaluate_forecast(tiny_market, tiny_model, config, end=tiny_market.index[2400])
    assert cut.table.index[-1] == tiny_market.index[2399]


def test_a_schedule_is_judged_model_by_model(walked, tiny_schedule, tiny_market):
    folds = walked.document["folds"]
    assert [fold["begin"][:13] for fold in folds] == [f"{begin:%Y-%m-%dT%H}" for begin in tiny_schedule.begins]
    assert "each the unseen bars of one model" in walked.document["span"]["folds"]
    assert walked.document["model"]["models"] == len(folds) == 7
    forecast = tiny_schedule.predict(tiny_market)["forecast"]
    np.testing.assert_allclose(walked.table["forecast"], forecast[walked.table.index], atol=1e-6)


def test_blocks_are_contiguous_and_hold_every_judged_bar(tiny_model, tiny_market):
    parts = unseen_parts(tiny_model, tiny_market)
    judged = np.zeros(len(tiny_market), bool)
    judged[1900:2500] = True
    folds = make_folds(parts, judged, 4)
    assert "contiguous blocks of the unseen bars, because one model has no folds" in folds.how
    assert np.concatenate(folds.rows).tolist() == list(range(1900, 2500))
    assert len(folds.rows) == 5


def test_a_fold_cut_short_is_left_out_of_the_means(tiny_schedule, tiny_market):
    parts = unseen_parts(tiny_schedule, tiny_market, end=tiny_schedule.begins[3] + pd.Timedelta(hours=60))
    folds = make_folds(parts, np.ones(len(tiny_market), bool), 4)
    assert folds.counts == (True, True, True, False)
    assert "1 shorter than half of the longest, left out of the means" in folds.how


def test_a_model_that_expires_is_not_judged_afterwards(tiny_model, tiny_market):
    expires = (tiny_model.valid_from + pd.Timedelta(hours=200)).to_pydatetime()
    manifest = tiny_model.manifest.model_copy(update={"expires": expires})
    part = unseen_parts(type(tiny_model)(manifest, tiny_model.nets), tiny_market)[0]
    assert tiny_market.index[part.end] == expires


# --- the figures --------------------------------------------------------------------------------------------


def test_the_ic_of_a_fold_is_the_correlation_of_forecast_and_label(found, tiny_model, tiny_market):
    """About the forecast's mean on validation and the label's on train, over the size of all folds."""
    label = pd.Series(scaled_return(Bars.of(tiny_market), 4), index=tiny_market.index)
    manifest = tiny_model.manifest
    seen = tiny_model.predict(tiny_market)["forecast"]
    usual = seen[manifest.validation_from : manifest.trained_until].mean()
    table = found.table[found.table["fold"].notna()]
    said, came = table["forecast"] - usual, label[table.index] - manifest.label.mean
    fold = table["fold"] == 2
    wanted = (said * came)[fold].mean() / np.sqrt((said**2).mean() * (came**2).mean())
    assert found.document["folds"][2]["ic"]["LSTM"] == pytest.approx(wanted, abs=1e-6)


def test_everything_promised_is_beside_the_forecast(found):
    names = {"LSTM", "ridge", "momentum", "last value", "buy and hold", "shuffled labels", "vanilla RNN"}
    assert set(found.document["forecasters"]) == names
    control = found.document["forecasters"]["shuffled labels"]
    assert len(set(control["draws"])) == 3
    assert control["mean_ic"] == pytest.approx(np.mean(control["draws"]))
    assert found.document["forecasters"]["buy and hold"]["mean_ic"] is None


def test_horizons_and_months_cover_what_they_say(found):
    assert [each["horizon"] for each in found.document["horizons"]] == [1, 2, 4, 8, 16]
    own = next(each for each in found.document["horizons"] if each["horizon"] == 4)
    assert own["ic"]["LSTM"] == pytest.approx(found.document["forecasters"]["LSTM"]["mean_ic"])
    assert sum(each["bars"] for each in found.document["months"]) == found.document["span"]["bars"]
    assert sum(each["bars"] for each in found.document["deciles"]) == found.document["span"]["bars"]


def test_the_interval_of_the_table_is_the_one_the_artefact_keeps(found, tiny_model):
    assert found.document["conformal"]["lo_hi"] == "split"
    width = (found.table["hi"] - found.table["lo"]).dropna()
    assert width.to_numpy() == pytest.approx(np.full(len(width), 2 * tiny_model.half_width), rel=1e-6)


def test_the_adaptive_interval_is_an_option(tiny_model, tiny_market):
    found = evaluate_forecast(tiny_market, tiny_model, EvaluateConfig(draws=0, adaptive=True, rate=0.05))
    assert (found.table["hi"] - found.table["lo"]).dropna().nunique() > 5


def test_what_is_fitted_sees_no_unseen_bar(found, tiny_model, tiny_market):
    """Other prices in the second half of the unseen bars change nothing said in the first."""
    other = tiny_market.copy()
    changed = other.index >= tiny_market.index[2300]
    other.loc[changed, ["open", "high", "low", "close"]] *= np.linspace(1, 3, changed.sum())[:, None]
    again = evaluate_forecast(other, tiny_model, EvaluateConfig(with_rnn=True, seed=5))
    columns = [name for name in found.table if name not in ("label", "return", "fold")]
    before = found.table.index < tiny_market.index[2300]
    pd.testing.assert_frame_equal(found.table.loc[before, columns], again.table.loc[before, columns])
    assert again.document["calibration"]["fits"] == found.document["calibration"]["fits"]


def test_the_same_seed_gives_the_same_evaluation(found, tiny_model, tiny_market):
    again = evaluate_forecast(tiny_market, tiny_model, EvaluateConfig(with_rnn=True, seed=5, jobs=1))
    assert again.document == found.document


# --- training the same way ----------------------------------------------------------------------------------


def test_the_material_of_a_training_is_found_again_to_the_last_bit(tiny_model, tiny_market):
    again = Retraining.of(tiny_model, tiny_market)
    assert again.is_same_data
    assert again.material.scaler.mean == tiny_model.manifest.scaler.mean
    assert again.material.label == tiny_model.manifest.label


def test_each_model_of_a_schedule_is_found_again(tiny_schedule, tiny_market):
    assert all(Retraining.of(model, tiny_market).is_same_data for model in tiny_schedule.models)


def test_a_net_of_the_same_cell_is_the_models_own_first_net(tiny_model, tiny_market, tiny_config):
    alone = train(tiny_market.iloc[:1800], dataclasses.replace(tiny_config, seeds=1))
    again = Retraining.of(tiny_model, tiny_market).of_cell("lstm")
    assert again.manifest.weights_sha256 == alone.manifest.weights_sha256


def test_shuffling_takes_train_and_validation_and_keeps_every_label(tiny_model, tiny_market, monkeypatch):
    kept = []
    monkeypatch.setattr(Retraining, "_fit", lambda self, material, **_: kept.append(material))
    before = Retraining.of(tiny_model, tiny_market)
    before.shuffled(1)
    was, now = before.material.y, kept[0].y
    known = np.isfinite(was)
    np.testing.assert_array_equal(known, np.isfinite(now))
    assert abs(np.corrcoef(was[known], now[known])[0, 1]) < 0.1
    np.testing.assert_array_equal(np.sort(now[known]), np.sort(was[known]))
    validation = before.material.rows(before.material.split.val_begin, before.material.split.val_end)
    assert not np.allclose(np.sort(now[validation]), np.sort(was[validation]))


def test_other_data_than_those_of_the_training_are_said(tiny_model, tiny_market):
    other = tiny_market.copy()
    other.iloc[500, other.columns.get_loc("volume")] *= 2
    found = evaluate_forecast(other, tiny_model, EvaluateConfig(draws=0))
    assert any("are not, to the last bit, those of these candles" in note for note in found.document["notes"])


def test_candles_without_the_train_span_are_refused(tiny_model, tiny_market):
    with pytest.raises(DataError, match="Rivals and controls have to learn from the same bars: give those too"):
        evaluate_forecast(tiny_market.iloc[1000:], tiny_model)


def test_a_feature_that_matters_is_told_from_one_that_does_not(tiny_model, tiny_market):
    """A label made of the forecast itself: what the net reads is what permuting costs."""
    forecast = tiny_model.predict(tiny_market)["forecast"].to_numpy()
    fall = importance(tiny_model, Bars.of(tiny_market), forecast, 1900, 2600)
    assert fall.shape == (2, 13)
    assert fall.mean(axis=0).max() > 0.02
    assert importance(tiny_model, Bars.of(tiny_market), forecast, 2500, 2600) is None


def test_a_block_elsewhere_is_at_another_hour_of_the_day_and_of_the_week():
    for context in (24, 168, 384):
        moves = np.arange(1, 24) * block_length(context)
        assert (moves % 24 != 0).all()
        assert (moves % 168 != 0).all()
        assert context <= block_length(context) <= context + 10


def test_drift_is_not_measured_on_the_few_days_of_a_fold_cut_short(tiny_schedule, tiny_market):
    config = EvaluateConfig(draws=0)
    end = tiny_schedule.begins[5]
    whole = evaluate_forecast(tiny_market, tiny_schedule, config, end=end)
    longer = evaluate_forecast(tiny_market, tiny_schedule, config, end=end + pd.Timedelta(hours=20))
    assert longer.document["drift"] == whole.document["drift"]
    assert len(whole.document["drift"]) == 13


# --- refusals and other models ------------------------------------------------------------------------------


def test_a_model_trained_elsewhere_is_judged_without_what_cannot_be_trained(tiny_market):
    import torch
    from torch import nn

    from lstm_backtrader.forecast.features import FeatureSpec

    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(1, 3, batch_first=True)
            self.head = nn.Linear(3, 1)

        def forward(self, x):
            return self.head(self.lstm(x)[0][:, -1])

    torch.manual_seed(0)
    model = from_module(
        Small(),
        features=[FeatureSpec("log_return", {"span": 6})],
        scaler=Scaler((0.0,), (1.0,)),
        label=LogReturn(horizon=4, scale=0.01),
        context=24,
        timeframe="1h",
        trained_until=tiny_market.index[900],
        calibrate_on=tiny_market.iloc[700:1500],
    )
    found = evaluate_forecast(tiny_market, model)
    assert "The model was trained elsewhere" in found.document["notes"][0]
    assert set(found.document["forecasters"]) == {"LSTM", "momentum", "last value", "buy and hold"}
    assert found.document["verdict"]["against_control"] is None
    assert found.document["conformal"]["split"]["coverage"] > 0.8
    assert found.document["importance"][0]["feature"] == "log_return 6"


def test_a_model_of_three_classes_is_judged_by_the_return_and_its_control_learns_classes(tiny_market, tiny_config):
    model = train(tiny_market.iloc[:1800], dataclasses.replace(tiny_config, label="three_classes:fee_bps=4"))
    found = evaluate_forecast(tiny_market, model)
    assert any("trained towards another label (three_classes)" in note for note in found.document["notes"])
    assert len(found.document["forecasters"]["shuffled labels"]["draws"]) == 3
    assert found.document["forecasters"]["LSTM"]["mean_ic"] is not None
    assert {each["r2"] for each in found.document["forecasters"].values()} == {None}


def test_data_that_end_before_the_first_unseen_bar_are_refused(tiny_model, tiny_market):
    with pytest.raises(DataError, match="no bar to judge LSTM by: it may be used from 2020-03-16"):
        evaluate_forecast(tiny_market.iloc[:1700], tiny_model)


def test_a_handful_of_unseen_bars_is_refused(tiny_model, tiny_market):
    with pytest.raises(DataError, match="unseen bars have forecast and label over 4 bars; 12 are the least"):
        evaluate_forecast(tiny_market.iloc[:1812], tiny_model)


def test_bars_of_another_length_are_refused(tiny_model, candles_of):
    with pytest.raises(TimeframeError, match="the candles are 15m bars, the model was trained on 1h"):
        evaluate_forecast(candles_of(500, freq="15min"), tiny_model)


def test_a_forecaster_without_a_manifest_is_refused(fixed_forecaster, candles):
    with pytest.raises(ConfigError, match="FixedForecaster keeps no record of its training"):
        evaluate_forecast(candles, fixed_forecaster())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"draws": 2}, r"draws 2 prove nothing.*Use 3 to 100, or 0 for no control"),
        ({"coverage": 1.0}, r"coverage 1\.0 is outside 0 to 1"),
        ({"rate": -0.1}, r"rate -0\.1 is outside 0 to 1"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        EvaluateConfig(**options)


# --- what is written ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def written(tiny_artefact, tiny_market, tmp_path_factory):
    """The folder `lbt.evaluate` wrote, and what it gave back."""
    folder = tmp_path_factory.mktemp("evaluation") / "out"
    return folder, lbt.evaluate(tiny_market, tiny_artefact, folder, inputs={"data_sha256": "abc"})


def test_the_json_is_the_document_and_finite(written):
    folder, found = written
    assert json.loads((folder / "evaluation.json").read_text()) == found.document
    assert found.document["schema"] == 1
    assert found.document["inputs"]["data_sha256"] == "abc"


def test_the_table_comes_back_from_disk(written):
    folder, found = written
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "forecasts.parquet"), found.table, check_freq=False)


def test_the_page_loads_nothing_and_begins_with_tables(written):
    folder, found = written
    page = (folder / "report.html").read_text()
    assert all(heading in page for heading in HEADINGS)
    assert page.index("<table") < page.index("<svg")
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//|<script|@import""", page)
    assert found.document["verdict"]["words"] in page
    assert page.count("<svg") == page.count("</svg>") == 3


def test_names_are_escaped_on_the_page(tiny_model, tiny_market, tmp_path):
    lbt.evaluate(tiny_market, tiny_model, tmp_path, EvaluateConfig(draws=0), title="<b>mine</b>")
    page = (tmp_path / "report.html").read_text()
    assert "&lt;b&gt;mine" in page
    assert "<b>mine" not in page


def test_a_file_in_the_place_of_the_folder_is_refused(tiny_model, tiny_market, tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(ReportError, match=r"is a file\. Name a directory for the evaluation"):
        lbt.evaluate(tiny_market, tiny_model, tmp_path / "x")


# --- the synthetic market -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_on_the_synthetic_market_the_lstm_is_significant_and_the_rnn_is_not():
    # given
    from lstm_backtrader.demo import CONFIG

    market = synthetic_market(280_000, seed=7, start="1990-01-01").candles
    config = dataclasses.replace(CONFIG, seeds=1)
    lstm = train(market.iloc[:220_000], config)
    rnn = train(market.iloc[:220_000], dataclasses.replace(config, cell="rnn"))

    # when
    told = evaluate_forecast(market, lstm).document
    of_rnn = evaluate_forecast(market, rnn).document

    # then
    assert told["verdict"]["words"].startswith("LSTM: significant")
    assert of_rnn["verdict"]["words"].startswith("RNN: not significant. Against zero: ")
    for document in (told, of_rnn):
        assert abs(document["forecasters"]["shuffled labels"]["mean_ic"]) < 0.03
        for kind in ("split", "adaptive"):
            assert document["conformal"][kind]["coverage"] == pytest.approx(0.9, abs=0.02)
    assert told["importance"][0]["feature"] == "event news"
    assert told["calibration"]["calibrated"]["ece"] <= told["calibration"]["own"]["ece"]


@pytest.mark.slow
def test_where_there_is_nothing_to_know_luck_is_called_luck(tiny_config):
    """Twenty markets without drift, by the rule one in forty is called significant against zero alone."""
    called = []
    for seed in range(20):
        market = synthetic_market(6000, seed=500 + seed, kappa=0.0).candles
        model = train(market.iloc[:4000], dataclasses.replace(tiny_config, seed=10 * seed, steps=120))
        verdict = evaluate_forecast(market, model, EvaluateConfig(seed=seed)).document["verdict"]
        called.append((verdict["against_zero"]["is_significant"], verdict["is_significant"]))
    zero, both = np.sum(called, axis=0)
    assert both <= 1
    assert zero <= 3


# --- docs ---------------------------------------------------------------------------------------------------


def test_the_document_is_described_key_by_key(found):
    page = (Path(__file__).parents[1] / "docs" / "evaluate.md").read_text(encoding="utf-8")
    described = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert described == {*found.document, "inputs"}
    assert all(f"`{name}`" in page for name in ("lo", "hi", "prob_calibrated", "label", "fold"))
