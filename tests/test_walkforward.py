"""Walk-forward: each fold is what a training by hand gives, and a run that was killed goes on where it was."""

import dataclasses
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock

import lstm_backtrader as lbt
from lstm_backtrader.candles import candles_sha256
from lstm_backtrader.errors import ConfigError, DataError
from lstm_backtrader.forecast import walkforward
from lstm_backtrader.forecast.folds import between, plan_folds
from lstm_backtrader.forecast.history import HISTORY
from lstm_backtrader.forecast.manifest import MANIFEST, WEIGHTS
from lstm_backtrader.forecast.net_threads import end_if_unwanted

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def short(tiny_plan):
    """Three folds of one net and two steps."""
    train = dataclasses.replace(tiny_plan.train, seeds=1, steps=2)
    return dataclasses.replace(tiny_plan, step_days=25, train=train)


def weights_of(model):
    return [entry.manifest.weights_sha256 for entry in model.manifest.models]


def stamps(folder):
    """When each fold was written."""
    return {path.name: (path / MANIFEST).stat().st_mtime_ns for path in folder.iterdir() if path.is_dir()}


# --- the models ---------------------------------------------------------------------------------------------


def test_a_fold_is_what_training_on_its_bars_gives(tiny_market, tiny_schedule, tiny_plan):
    fold = plan_folds(tiny_market, tiny_plan)[1]
    alone = lbt.train(fold.train_bars(tiny_market), tiny_plan.train)
    kept = tiny_schedule.models[1]
    for net, other in zip(kept.nets, alone.nets, strict=True):
        assert all((net.state_dict()[name] == part).all() for name, part in other.state_dict().items())
    same = {"scaler", "label", "threshold", "validation", "trained_until", "train_from", "data_sha256", "training"}
    for name in same:
        assert getattr(kept.manifest, name) == getattr(alone.manifest, name), name
    assert kept.manifest.purge_bars == alone.manifest.purge_bars + tiny_plan.train.embargo
    assert kept.valid_from == fold.begin


def test_an_embargo_of_a_week_of_minutes_is_none_too_long(candles_of):
    minutes = candles_of(26_000, freq="1min").assign(news=0.0)
    train = lbt.TrainConfig(horizon=4, context=32, stride=8, hidden=4, seeds=1, steps=2, batch=4, embargo=10_080)
    model = lbt.walk_forward(minutes, lbt.WalkForwardConfig(train_days=10, step_days=5, train=train))
    assert model.manifest.models[0].manifest.purge_bars == 10_084
    assert model.models[0].valid_from == model.begins[0]


def test_bars_after_the_embargo_begins_change_nothing_in_a_fold(tiny_market, tiny_schedule, short):
    fold = plan_folds(tiny_market, short)[0]
    later = tiny_market.index >= fold.train_end
    changed = tiny_market.copy()
    changed.loc[later, ["open", "high", "low", "close"]] *= 1.7
    first, other = (lbt.walk_forward(candles, short) for candles in (tiny_market, changed))
    assert weights_of(first)[0] == weights_of(other)[0]
    assert weights_of(first)[1] != weights_of(other)[1]


def test_an_expanding_walk_learns_from_all_bars_before(tiny_market, short):
    model = lbt.walk_forward(tiny_market, dataclasses.replace(short, expanding=True))
    first_rows = {entry.manifest.train_from for entry in model.manifest.models}
    assert first_rows == {tiny_market.index[168].to_pydatetime()}
    assert model.manifest.plan.expanding


def test_weights_do_not_depend_on_how_many_nets_are_trained_at_a_time(tiny_market, short):
    plan = dataclasses.replace(short, train=dataclasses.replace(short.train, seeds=3))
    models = [lbt.walk_forward(tiny_market, plan, jobs=jobs) for jobs in (1, 2, 5)]
    assert weights_of(models[0]) == weights_of(models[1]) == weights_of(models[2])
    assert models[0].history == models[1].history == models[2].history
    assert len(set(weights_of(models[0]))) == len(models[0].models) == 3


def test_the_manifest_says_how_it_came_about(tiny_schedule, tiny_market, tiny_plan):
    manifest = tiny_schedule.manifest
    folds = plan_folds(tiny_market, tiny_plan)
    assert (manifest.kind, manifest.plan.train_days, manifest.plan.step_days) == ("schedule", 40, 10)
    assert [entry.begins for entry in manifest.models] == [fold.begin for fold in folds]
    assert all(entry.manifest.created == entry.begins for entry in manifest.models)
    assert manifest.data_sha256 == candles_sha256(between(tiny_market, folds[0].train_begin, folds[-1].end))


def test_progress_ends_with_every_step(tiny_market, short):
    seen = []
    lbt.walk_forward(tiny_market, short, jobs=2, progress=lambda *figures: seen.append(figures))
    assert seen[-1] == (6, 6)
    assert all(total == 6 for _, total in seen)


def test_one_warning_tells_the_worst_seam_of_all(tiny_market, short, caplog, monkeypatch):
    monkeypatch.setattr("lstm_backtrader.forecast.training.SEAM_LIMIT", 0.0)
    with caplog.at_level(logging.WARNING, "lstm_backtrader"):
        model = lbt.walk_forward(tiny_market, short)
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [f"seam {model.seam:.2f}"]


def test_a_fold_that_cannot_be_learned_from_is_named(tiny_market, short):
    hole = tiny_market.drop(tiny_market.index[700:1300])
    with pytest.raises(
        DataError, match=r"the fold that begins at 2020-03-\d\d 00:00 UTC: .*at least 50% is needed"
    ):
        lbt.walk_forward(hole, short, jobs=2)


def test_after_an_error_no_thread_goes_on(tiny_market, short, monkeypatch):
    running, both = [], threading.Barrier(2)

    def endless(material, config, seed, device, progress):
        running.append(seed)
        both.wait(timeout=20)
        try:
            while True:
                end_if_unwanted()
                progress(seed, 1, 2)
                time.sleep(0.01)
        finally:
            running.pop()

    def fail(*figures):
        raise ZeroDivisionError

    monkeypatch.setattr(walkforward, "fit_net", endless)
    with pytest.raises(ZeroDivisionError):
        lbt.walk_forward(tiny_market, short, jobs=2, progress=fail)
    assert not running


# --- going on -----------------------------------------------------------------------------------------------


def test_finished_folds_are_not_trained_again(tiny_market, tiny_plan, tiny_schedule, tiny_folds, monkeypatch):
    before = stamps(tiny_folds)
    monkeypatch.setattr(walkforward, "fit_net", None)  # any training would fail
    again = lbt.walk_forward(tiny_market, tiny_plan, folder=tiny_folds)
    assert stamps(tiny_folds) == before
    assert again.manifest.model_copy(update={"created": tiny_schedule.manifest.created}) == tiny_schedule.manifest
    assert again.history == tiny_schedule.history


def test_missing_folds_alone_are_trained(tiny_market, tiny_plan, tiny_schedule, tiny_folds, tmp_path):
    folder = shutil.copytree(tiny_folds, tmp_path / "folds")
    gone = sorted(stamps(folder))[2]
    shutil.rmtree(folder / gone)
    before = stamps(folder)
    again = lbt.walk_forward(tiny_market, tiny_plan, folder=folder)
    after = stamps(folder)
    assert {name: after[name] for name in before} == before
    assert set(after) == {*before, gone}
    assert weights_of(again) == weights_of(tiny_schedule)


@pytest.mark.parametrize(
    "change",
    [{"steps": 3}, {"seed": 1}, {"hidden": 5}, {"embargo": 25}, {"expires_days": 30}, {"events": ()}],
    ids=str,
)
def test_a_fold_of_another_config_is_never_taken(tiny_market, short, tmp_path, change):
    lbt.walk_forward(tiny_market, short, folder=tmp_path)
    before = set(stamps(tmp_path))
    other = dataclasses.replace(short, train=dataclasses.replace(short.train, **change))
    got = lbt.walk_forward(tiny_market, other, folder=tmp_path)
    fresh = set(stamps(tmp_path)) - before
    assert len(fresh) == len(got.models)
    assert weights_of(got) == weights_of(lbt.walk_forward(tiny_market, other))


def test_a_fold_of_other_data_is_never_taken(tiny_market, short, tmp_path):
    lbt.walk_forward(tiny_market, short, folder=tmp_path)
    before = set(stamps(tmp_path))
    changed = tiny_market.copy()
    at = changed.index.get_loc(plan_folds(tiny_market, short)[1].train_begin) + 200
    changed.iloc[at, changed.columns.get_loc("volume")] += 1e-9 * changed["volume"].iloc[at]
    lbt.walk_forward(changed, short, folder=tmp_path)
    fresh = set(stamps(tmp_path)) - before
    reached = [
        fold for fold in plan_folds(tiny_market, short) if changed.index[at] in fold.train_bars(tiny_market).index
    ]
    assert len(fresh) == len(reached) > 0


def test_a_fold_under_anothers_name_is_trained_again(tiny_market, short, tmp_path, caplog):
    right = weights_of(lbt.walk_forward(tiny_market, short, folder=tmp_path))
    first, second, _ = sorted(stamps(tmp_path))
    shutil.rmtree(tmp_path / first)
    shutil.copytree(tmp_path / second, tmp_path / first)
    assert weights_of(lbt.walk_forward(tiny_market, short, folder=tmp_path)) == right
    assert "holds a model of other data or another config; the fold is trained again" in caplog.text


@pytest.mark.parametrize("name", [WEIGHTS, MANIFEST, HISTORY])
def test_a_damaged_fold_is_trained_again_and_said_so(tiny_market, short, tmp_path, caplog, name):
    right = weights_of(lbt.walk_forward(tiny_market, short, folder=tmp_path))
    damaged = tmp_path / min(stamps(tmp_path)) / name
    damaged.write_bytes(damaged.read_bytes()[:-9])
    assert weights_of(lbt.walk_forward(tiny_market, short, folder=tmp_path)) == right
    assert "the fold is trained again: " in caplog.text
    assert name in caplog.text


def test_what_a_kill_left_half_written_is_removed(tiny_market, short, tmp_path):
    half = tmp_path / ".2020-02-11-0000-0123456789abcdef-x1y2"
    half.mkdir()
    (half / WEIGHTS).write_bytes(b"half")
    lbt.walk_forward(tiny_market, short, folder=tmp_path)
    assert not half.exists()


def test_two_runs_do_not_write_to_one_folder(tiny_market, short, tmp_path):
    with (
        FileLock(tmp_path / ".lock"),
        pytest.raises(ConfigError, match=r"another walk-forward is writing to .*Wait"),
    ):
        lbt.walk_forward(tiny_market, short, folder=tmp_path)


# --- killed -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_killed_at_any_moment_and_started_again_it_gives_the_same(tiny_market, tmp_path):
    # given
    data = tmp_path / "candles.parquet"
    tiny_market.rename_axis("timestamp").reset_index().to_parquet(data)
    options = "--train-days 40 --step-days 10 --horizon 4 --context 32 --stride 8 --hidden 6 --seeds 2 --steps 200 "
    options += "--batch 8 --embargo 24 --event news --patience 20"

    def start(out):
        command = [sys.executable, "-m", "lstm_backtrader", "walk-forward", "--data", data, "--out", out]
        return subprocess.Popen(
            [*map(str, command), *options.split()],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    # when
    whole = start(tmp_path / "whole")
    _, complaints = whole.communicate()
    assert whole.returncode == 0, complaints
    killed, folds = tmp_path / "killed", tmp_path / "killed" / "folds"
    for at_least in (1, 3):
        run = start(killed)
        while run.poll() is None and not (folds.exists() and len(stamps_now(folds)) >= at_least):
            time.sleep(0.01)
        run.send_signal(signal.SIGKILL)
        run.communicate()
        assert run.returncode == -signal.SIGKILL
    survived = stamps_now(folds)
    assert not (killed / "model").exists()
    resumed = start(killed)
    _, complaints = resumed.communicate()

    # then
    assert resumed.returncode == 0, complaints
    first, second = (json.loads((out / "model" / MANIFEST).read_text()) for out in (tmp_path / "whole", killed))
    assert len(first["models"]) == 7
    assert [m["manifest"]["weights_sha256"] for m in first["models"]] == [
        m["manifest"]["weights_sha256"] for m in second["models"]
    ]
    assert {**first, "created": None} == {**second, "created": None}
    for name in (WEIGHTS, HISTORY):
        assert (tmp_path / "whole" / "model" / name).read_bytes() == (killed / "model" / name).read_bytes()
    assert 3 <= len(survived) < 7
    after = stamps_now(folds)
    assert {name: after[name] for name in survived} == survived
    equities = [pd.read_parquet(out / "equity.parquet") for out in (tmp_path / "whole", killed)]
    np.testing.assert_array_equal(equities[0].to_numpy(), equities[1].to_numpy())


def stamps_now(folder):
    """Finished folds, while somebody may be writing another."""
    found = {}
    for path in folder.glob("20*"):
        manifest = path / MANIFEST
        if manifest.exists():
            found[path.name] = manifest.stat().st_mtime_ns
    return found
