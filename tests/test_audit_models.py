"""The audit of models: label, split, forecasts, guard, training on shuffled labels, and `lbt audit` itself."""

import dataclasses
import re
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import lstm_backtrader as lbt
from lstm_backtrader.auditing.command import Targets, audit_steps, load_class
from lstm_backtrader.auditing.subjects import audit_guard, model_steps
from lstm_backtrader.candles import Bars
from lstm_backtrader.errors import ConfigError, DataError
from lstm_backtrader.forecast.audit import AuditPlan
from lstm_backtrader.forecast.audit_subjects import audit_forecaster, audit_label, chance_limit, shuffled_labels
from lstm_backtrader.forecast.labels import LABELS, scaled_return
from lstm_backtrader.forecast.protocol import ForecastPoint
from lstm_backtrader.forecast.shuffled import audit_training, config_of
from lstm_backtrader.indicators.lstm import LSTMSignal

QUICK = AuditPlan(cuts=6, tail=50)


# --- a whole model ------------------------------------------------------------------------------------------


def test_a_model_of_ours_is_clean_in_every_part(tiny_model, tiny_market):
    steps = model_steps(tiny_model, tiny_market, QUICK)
    assert [step.name for step in steps] == ["features", "label", "forecasts", "indicator", "in-sample guard"]
    report = lbt.audit(tiny_model, tiny_market, plan=QUICK)
    assert report.is_clean, report.lines()
    assert all(check.compared > 0 for check in report.checks)
    assert f"seam {tiny_model.seam:.2f} (1 is none)" in {check.note for check in report.checks}


def test_every_model_of_a_schedule_is_audited(tiny_market, tiny_config, tmp_path):
    # given
    plan = lbt.WalkForwardConfig(train_days=40, step_days=20, train=dataclasses.replace(tiny_config, seeds=1))
    model = lbt.walk_forward(tiny_market, plan)

    # when
    report = lbt.audit(model, tiny_market, plan=QUICK)

    # then
    assert report.is_clean, report.lines()
    assert len(model.models) > 1
    names = [check.name for check in report.checks]
    assert names.count("split") == len(model.models)
    assert "modes" in names
    model.save(tmp_path / "schedule")
    with pytest.raises(ConfigError, match=r"repeats one training, and .*schedule is none of `lbt train`"):
        audit_steps(Targets(tmp_path / "schedule", shuffled_labels=True), tiny_market, QUICK)


def test_an_audit_leaves_no_forecast_in_the_cache(tiny_artefact, tiny_market, tmp_path, monkeypatch):
    monkeypatch.setenv("LBT_CACHE", str(tmp_path / "cache"))
    lbt.audit(tiny_artefact, tiny_market.iloc[-600:], plan=AuditPlan(cuts=2))
    assert not (tmp_path / "cache").exists()


class Peeks:
    """A forecaster that knows the next close, at once; its stream cannot."""

    name = "Peeks"
    timeframe = pd.Timedelta("1h")
    warmup = 3

    def predict(self, candles):
        ahead = candles["close"].pct_change().shift(-1)
        return pd.DataFrame({"forecast": ahead, "prob_up": 0.5, "spread": 0.0})

    def stream(self):
        return self

    def update(self, tail):
        return ForecastPoint(0.0, 0.5, 0.0)


def test_a_forecaster_that_peeks_is_found_in_predict_and_against_its_stream(candles_of):
    report = audit_forecaster(Peeks(), candles_of(300), QUICK)
    assert {(finding.check, finding.name) for finding in report.findings} == {
        ("truncation", "forecast"),
        ("perturbation", "forecast"),
        ("start-up", "forecast"),
        ("stream", "forecast"),
    }


# --- label and split ----------------------------------------------------------------------------------------


def test_a_label_that_reaches_further_than_declared_is_found(tiny_model, tiny_market, monkeypatch):
    further = dataclasses.replace(
        LABELS["scaled_return"], function=lambda bars, horizon: scaled_return(bars, horizon + 3)
    )
    monkeypatch.setitem(LABELS, "scaled_return", further)
    report = audit_label(tiny_model.manifest, tiny_market, QUICK)
    assert [(finding.check, finding.name) for finding in report.findings] == [("label reach", "label")]


def test_a_purge_shorter_than_the_label_and_a_validation_that_touches_train_are_found(tiny_model, tiny_market):
    manifest = tiny_model.manifest
    near = manifest.train_until + timedelta(hours=2)
    wrong = manifest.model_copy(update={"purge_bars": 1, "validation_from": near})
    findings = [each for each in audit_label(wrong, tiny_market, QUICK).findings if each.check == "split"]
    assert [finding.name for finding in findings] == ["purge_bars", "validation_from"]
    assert "is 1, but labels reach 4 bars ahead" in findings[0].text
    assert "lies 2 bars after the last train bar, whose label reaches 4 bars ahead" in findings[1].text
    assert audit_label(manifest, tiny_market, QUICK).is_clean


# --- the guard ----------------------------------------------------------------------------------------------


def test_the_guard_is_seen_at_work(tiny_model, tiny_market):
    (check,) = audit_guard(tiny_model, tiny_market).checks
    assert check.is_clean
    assert check.compared == 2 * (tiny_model.warmup + 100)


def test_a_guard_that_does_not_hold_is_found(tiny_model, tiny_market, monkeypatch):
    monkeypatch.setattr(LSTMSignal, "_is_suppressed", lambda self, times: np.zeros(len(times), dtype=bool))
    vectorised, step_by_step = audit_guard(tiny_model, tiny_market).findings
    assert vectorised.amount == step_by_step.amount == 101  # from the end of the warm-up to the first valid bar
    assert vectorised.time == tiny_model.valid_from - 101 * tiny_model.timeframe
    assert "is there for 101 bars outside" in vectorised.text


def test_what_cannot_be_guarded_is_said(tiny_model, fresh_market, fixed_forecaster, candles):
    (unguarded,) = audit_guard(fixed_forecaster(), candles).checks
    assert "has no `valid_from`, so nothing guards it" in unguarded.note
    (nothing,) = audit_guard(tiny_model, fresh_market.iloc[10:]).checks
    assert "are there to be suppressed" in nothing.note


# --- shuffled labels ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def labelled(tiny_market):
    """Labels (T,) over 4 bars, and which rows nobody may learn from."""
    labels = scaled_return(Bars.of(tiny_market), 4)
    return labels, np.arange(len(labels)) >= 1800


def test_training_that_learns_what_it_is_given_is_clean(labelled):
    labels, unseen = labelled
    given = []

    def pipeline(shuffled):
        given.append(shuffled)
        return np.random.default_rng(len(given)).normal(size=len(shuffled))

    check = shuffled_labels(pipeline, labels, unseen, horizon=4)
    assert check.is_clean
    assert check.compared == np.isfinite(labels[unseen]).sum()
    for each in given:
        assert np.isnan(each[unseen]).all()
        np.testing.assert_allclose(np.sort(each[~unseen]), np.sort(labels[~unseen]))
        assert abs(np.corrcoef(each[200:1800], labels[200:1800])[0, 1]) < 0.1


def test_training_that_is_stopped_by_the_labels_it_is_judged_by_is_found(labelled):
    labels, unseen = labelled
    rng = np.random.default_rng(0)

    def stopped_by_the_truth(shuffled):
        candidates = rng.normal(size=(1000, len(labels)))
        return max(candidates, key=lambda each: np.nansum(each[unseen] * labels[unseen]))

    check = shuffled_labels(stopped_by_the_truth, labels, unseen, horizon=4, draws=36)
    assert not check.is_clean
    assert "training sees what it is judged by" in check.findings[0].text


def test_one_lucky_draw_is_no_finding(labelled):
    labels, unseen = labelled
    rng = np.random.default_rng(1)
    lucky = iter([0.3, 0.0, 0.0])

    def pipeline(shuffled):
        return rng.normal(size=len(labels)) + next(lucky) * np.nan_to_num(labels)

    assert shuffled_labels(pipeline, labels, unseen, horizon=4).is_clean


def test_too_few_draws_or_rows_are_refused(labelled):
    labels, unseen = labelled
    with pytest.raises(ConfigError, match="draws 2 prove nothing"):
        shuffled_labels(lambda y: y, labels, unseen, horizon=4, draws=2)
    with pytest.raises(DataError, match=r"40 bars that training has not seen .* Give at least 865"):
        chance_limit(40, 24, 3)
    chance_limit(865, 24, 3)


@pytest.mark.slow
def test_our_own_training_learns_nothing_from_shuffled_labels(tiny_model, tiny_market):
    report = audit_training(tiny_model, tiny_market)
    assert report.is_clean, report.lines()
    unseen, validation = report.checks
    assert unseen.note.startswith("unseen bars: ")
    assert validation.note.startswith("validation: ")
    assert unseen.compared == len(tiny_market) - 1800 - 4


def test_a_training_that_somebody_has_written_into_the_manifest_is_named(tiny_model):
    training = {**tiny_model.manifest.training, "steps": "many"}
    with pytest.raises(ConfigError, match=r"training cannot be repeated: steps 'many': .*valid integer.*Restore"):
        config_of(tiny_model.manifest.model_copy(update={"training": training}))


def test_a_model_whose_training_is_unknown_or_whose_bars_are_missing_cannot_be_trained_again(
    tiny_model, fresh_market, untrained_model, candles
):
    with pytest.raises(ConfigError, match="was not trained by this version of `lbt train`"):
        audit_training(untrained_model(), candles)
    with pytest.raises(DataError, match=r"the candles begin at 2020-03-16, the model was trained from 2020-01-08"):
        audit_training(tiny_model, fresh_market.iloc[10:])


# --- what the command looks at ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("my_package.trend", "--strategy my_package.trend names no class. Write module:Class"),
        ("no_such_module:Trend", "No module named 'no_such_module'. Run the command where it can be imported"),
        ("lstm_backtrader.strategies:StopLoss", "has no class StopLoss that is a Backtrader strategy"),
        ("lstm_backtrader.strategies:size_for", "has no class size_for that is a Backtrader strategy"),
    ],
)
def test_a_strategy_that_cannot_be_found_is_refused(place, message):
    import backtrader as bt

    with pytest.raises(ConfigError, match=message):
        load_class(place, bt.Strategy)


def test_there_must_be_something_to_audit(tiny_artefact):
    with pytest.raises(ConfigError, match=r"nothing to audit\. Give --model"):
        Targets()
    with pytest.raises(ConfigError, match="--shuffled-labels trains as a model was trained"):
        Targets(strategy="a:B", shuffled_labels=True)
    assert dataclasses.replace(Targets(model=tiny_artefact), shuffled_labels=True).shuffled_labels


def test_a_strategy_with_a_model_gets_the_one_that_is_given(tiny_artefact, tiny_market):
    targets = Targets(model=tiny_artefact, strategy="lstm_backtrader.strategies:LSTMFutures")
    step = audit_steps(targets, tiny_market, AuditPlan(cuts=2))[-1]
    report = step.look()
    assert step.name == "LSTMFutures"
    assert report.is_clean, report.lines()
    assert report.checks[-1].compared > 100  # forecasts, none in sample


def test_a_file_without_features_is_refused(tmp_path, candles):
    (tmp_path / "empty.py").write_text("x = 1\n")
    for path, message in (
        (tmp_path / "empty.py", "registers no feature"),
        (tmp_path / "no.py", "is no Python file"),
    ):
        with pytest.raises(ConfigError, match=message):
            audit_steps(Targets(feature_module=path), candles, QUICK)


# --- docs ---------------------------------------------------------------------------------------------------


def test_the_example_of_the_docs_runs():
    import backtrader as bt

    page = (Path(__file__).parents[1] / "docs" / "audit.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    scope = {"Trend": bt.ind.EMA}
    exec(example, scope)
    scope["test_my_trend_does_not_look_ahead"]()
