"""The artefact on disk: a round trip, and every way it can be damaged."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import lstm_backtrader
from lstm_backtrader.errors import ModelError
from lstm_backtrader.forecast.artefact import load_artefact, save_artefact
from lstm_backtrader.forecast.history import HISTORY
from lstm_backtrader.forecast.inference import load_model
from lstm_backtrader.forecast.manifest import MANIFEST, WEIGHTS, ThreeClasses


@pytest.fixture
def artefact(tiny_artefact, tmp_path):
    """A copy of the tiny artefact to damage."""
    return shutil.copytree(tiny_artefact, tmp_path / "tiny")


OTHER_INPUTS = "features, scaler, label, shape or dates are not those the weights were trained with"


def edit(artefact, **changes):
    manifest = json.loads((artefact / MANIFEST).read_text())
    (artefact / MANIFEST).write_text(json.dumps({**manifest, **changes}))


def read(artefact, name):
    return json.loads((artefact / MANIFEST).read_text())[name]


def test_a_model_comes_back_from_disk_as_it_was(tiny_model, tiny_artefact, fresh_market):
    manifest, nets = load_artefact(tiny_artefact)
    assert manifest == tiny_model.manifest
    for net, original in zip(nets, tiny_model.nets, strict=True):
        assert not net.training
        assert all(torch.equal(net.state_dict()[k], v) for k, v in original.state_dict().items())
    loaded = load_model(tiny_artefact).predict(fresh_market)
    np.testing.assert_array_equal(loaded, tiny_model.predict(fresh_market))


def test_an_artefact_is_three_files_a_person_can_look_into(tiny_artefact):
    assert sorted(path.name for path in tiny_artefact.iterdir()) == [HISTORY, MANIFEST, WEIGHTS]
    assert read(tiny_artefact, "schema_version") == 1


def test_a_loaded_model_is_named_after_its_directory(tiny_artefact):
    assert load_model(str(tiny_artefact)).name == "tiny"


def test_a_model_is_loaded_once_and_again_when_its_files_change(artefact):
    first = load_model(artefact)
    assert load_model(artefact) is first
    edit(artefact, threshold=0.5)
    assert load_model(artefact).threshold == 0.5


# --- damage -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 8, 300, -1])
def test_one_altered_byte_is_found(artefact, place):
    weights = bytearray((artefact / WEIGHTS).read_bytes())
    weights[place] ^= 1
    (artefact / WEIGHTS).write_bytes(weights)
    with pytest.raises(ModelError, match=r"SHA-256 [0-9a-f]{12}... is not [0-9a-f]{12}... of the manifest"):
        load_model(artefact)


def test_weights_of_another_model_are_refused(artefact, untrained_model, tmp_path):
    untrained_model().save(tmp_path / "other")
    shutil.copy(tmp_path / "other" / WEIGHTS, artefact / WEIGHTS)
    with pytest.raises(ModelError, match="belongs to another model"):
        load_model(artefact)


@pytest.mark.parametrize("name", [MANIFEST, WEIGHTS])
def test_a_missing_file_is_named(artefact, name):
    (artefact / name).unlink()
    with pytest.raises(ModelError, match=rf"{name} cannot be read \(No such file"):
        load_model(artefact)


def test_a_directory_that_is_none_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"nowhere.*cannot be read .*Give the directory that `lbt train --out`"):
        load_model(tmp_path / "nowhere")


def test_a_file_in_place_of_the_directory_is_refused(artefact):
    with pytest.raises(ModelError, match="cannot be read"):
        load_model(artefact / WEIGHTS)


@pytest.mark.parametrize("text", ["", "{", "not json"])
def test_a_manifest_that_is_no_json_is_refused(artefact, text):
    (artefact / MANIFEST).write_text(text)
    with pytest.raises(ModelError, match=r"manifest.json is no JSON"):
        load_model(artefact)


@pytest.mark.parametrize("text", ["[]", "1", "null"])
def test_a_manifest_that_is_no_object_is_refused(artefact, text):
    (artefact / MANIFEST).write_text(text)
    with pytest.raises(ModelError, match=r"manifest.json: the file: "):
        load_model(artefact)


def test_a_newer_schema_asks_for_an_upgrade(artefact):
    edit(artefact, schema_version=2)
    with pytest.raises(ModelError, match=r"has schema 2, this version reads up to 1. Upgrade lstm-backtrader"):
        load_model(artefact)


@pytest.mark.parametrize("version", [0, None, "1"])
def test_no_schema_at_all_is_refused(artefact, version):
    edit(artefact, schema_version=version)
    with pytest.raises(ModelError, match="schema_version: "):
        load_model(artefact)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("threshold", -0.1),
        ("threshold", float("nan")),
        ("fill_rate", float("inf")),
        ("purge_bars", -100),
        ("purge_bars", 10**12),
        ("trained_until", "2020-01-01T00:00:00"),
        ("trained_until", "9999-12-31T00:00:00Z"),
        ("expires", "2020-01-01"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(artefact, name, value):
    edit(artefact, **{name: value})
    with pytest.raises(ModelError, match=rf"manifest.json: {name}: .* Train the model again"):
        load_model(artefact)


def test_a_guard_longer_than_any_history_is_refused(artefact):
    edit(artefact, purge_bars=100_000, timeframe_s=86_400)
    with pytest.raises(ModelError, match="100000 purge_bars of 86400 s are more than fifty years"):
        load_model(artefact)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_a_residual_without_spread_is_refused(artefact, value):
    edit(artefact, validation={**read(artefact, "validation"), "residual_std": value})
    with pytest.raises(ModelError, match=r"validation.residual_std: "):
        load_model(artefact)


def test_an_unknown_key_is_refused_by_name(artefact):
    edit(artefact, colour="red")
    with pytest.raises(ModelError, match="colour: Extra inputs are not permitted"):
        load_model(artefact)


def test_a_missing_key_is_refused_by_name(artefact):
    manifest = json.loads((artefact / MANIFEST).read_text())
    del manifest["scaler"]
    (artefact / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match="scaler: Field required"):
        load_model(artefact)


def test_an_unknown_feature_is_refused_by_name(artefact):
    features = read(artefact, "features")
    features[3]["name"] = "vwap"
    edit(artefact, features=features)
    with pytest.raises(ModelError, match=r"manifest.json: unknown feature 'vwap'"):
        load_model(artefact)


def test_a_feature_that_reads_other_bars_than_at_training_is_refused(artefact):
    features = read(artefact, "features")
    features[0]["memory"] = 170
    edit(artefact, features=features)
    with pytest.raises(ModelError, match=r"'log_return:span=1' reads 169 bars, and read 170 when .* was trained"):
        load_model(artefact)


def test_an_artefact_from_before_memory_was_kept_is_read(artefact):
    features = [{"name": each["name"], "params": each["params"]} for each in read(artefact, "features")]
    edit(artefact, features=features)
    assert load_model(artefact).warmup == 169 + 32 + 8


def test_a_feature_of_ones_own_is_asked_for_by_its_module(artefact):
    features = read(artefact, "features")
    features[3] |= {"name": "skew", "module": "my_features"}
    edit(artefact, features=features)
    with pytest.raises(
        ModelError,
        match=r"'skew' is registered by the module 'my_features', which is not imported.*--feature-module",
    ):
        load_model(artefact)


def test_other_classes_than_were_trained_are_refused(untrained_model, tmp_path):
    classes = ThreeClasses(params={}, horizon=4, class_weights=(1.0, 2.0, 1.0))
    untrained_model(label=classes).save(tmp_path / "model")
    assert load_model(tmp_path / "model").manifest.label == classes
    label = {**read(tmp_path / "model", "label"), "class_weights": [1.0, 1.0, 1.0]}
    edit(tmp_path / "model", label=label)
    with pytest.raises(ModelError, match=OTHER_INPUTS):
        load_model(tmp_path / "model")


def test_a_feature_with_wrong_parameters_is_refused(artefact):
    features = read(artefact, "features")
    features[0]["params"] = {"window": 3}
    edit(artefact, features=features)
    with pytest.raises(ModelError, match="feature 'log_return' takes span, not window"):
        load_model(artefact)


def test_a_feature_taken_out_is_noticed(artefact):
    edit(artefact, features=read(artefact, "features")[1:])
    with pytest.raises(ModelError, match="features and scaler differ in length"):
        load_model(artefact)


def test_a_feature_taken_out_with_its_scale_is_noticed(artefact):
    scaler = read(artefact, "scaler")
    scaler = {**scaler, "mean": scaler["mean"][1:], "scale": scaler["scale"][1:]}
    edit(artefact, features=read(artefact, "features")[1:], scaler=scaler)
    with pytest.raises(ModelError, match=OTHER_INPUTS):
        load_model(artefact)


def test_features_in_another_order_are_refused(artefact):
    edit(artefact, features=read(artefact, "features")[::-1])
    with pytest.raises(ModelError, match=OTHER_INPUTS):
        load_model(artefact)


@pytest.mark.parametrize("change", [{"trained_until": "2019-01-01T00:00:00Z"}, {"purge_bars": 1}])
def test_the_in_sample_guard_is_not_edited_away(artefact, change):
    edit(artefact, **change)
    with pytest.raises(ModelError, match=OTHER_INPUTS):
        load_model(artefact)


@pytest.mark.parametrize(
    "change",
    [{"hidden": 7}, {"layers": 2}, {"cell": "rnn"}, {"seeds": [0, 1, 2]}, {"context": 40}, {"timeframe_s": 60}],
)
def test_a_manifest_of_another_net_is_refused(artefact, change):
    edit(artefact, **change)
    with pytest.raises(ModelError, match=OTHER_INPUTS):
        load_model(artefact)


@pytest.mark.parametrize(
    "change",
    [
        {"hidden": 0},
        {"layers": 0},
        {"context": 1},
        {"stride": 0},
        {"stride": 33},
        {"seeds": []},
        {"timeframe_s": 0},
    ],
)
def test_figures_no_model_can_have_are_refused(artefact, change):
    edit(artefact, **change)
    with pytest.raises(ModelError, match=f"manifest.json: .*{next(iter(change))}"):
        load_model(artefact)


# --- writing ------------------------------------------------------------------------------------------------


def test_an_artefact_is_replaced_by_a_new_one(artefact, untrained_model):
    untrained_model(context=9, stride=3).save(artefact)
    assert load_model(artefact).context.length == 9
    assert [path.name for path in artefact.parent.iterdir()] == ["tiny"]


def test_an_empty_directory_and_missing_parents_are_used(untrained_model, tmp_path):
    (tmp_path / "empty").mkdir()
    for directory in (tmp_path / "empty", tmp_path / "a" / "b" / "c"):
        untrained_model().save(directory)
        assert load_model(directory).context.length == 12


def test_a_directory_that_is_no_model_is_not_overwritten(untrained_model, tmp_path):
    (tmp_path / "diary.txt").write_text("precious")
    with pytest.raises(ModelError, match=r"exists and is no model. Choose another directory"):
        untrained_model().save(tmp_path)
    with pytest.raises(ModelError, match="exists and is no model"):
        untrained_model().save(tmp_path / "diary.txt")
    assert (tmp_path / "diary.txt").read_text() == "precious"


@pytest.mark.parametrize("failing", [1, 2])
def test_a_save_that_fails_leaves_the_old_model(artefact, untrained_model, monkeypatch, failing):
    calls, replace = [], Path.replace

    def fail(self, target):
        calls.append(target)
        if len(calls) == failing:
            raise OSError("the disk went away")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="the disk went away"):
        untrained_model(context=9, stride=3).save(artefact)
    monkeypatch.undo()
    assert load_model(artefact).context.length == 32
    assert [path.name for path in artefact.parent.iterdir()] == ["tiny"]


def test_a_write_that_fails_leaves_the_old_model(artefact, tiny_model, monkeypatch):
    monkeypatch.setattr(Path, "write_text", lambda *args, **options: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save_artefact(artefact, tiny_model.manifest, b"half a model")
    monkeypatch.undo()
    assert load_model(artefact).context.length == 32
    assert [path.name for path in artefact.parent.iterdir()] == ["tiny"]


def test_nothing_in_the_package_unpickles():
    for path in Path(lstm_backtrader.__file__).parent.rglob("*.py"):
        found = re.search(
            r"\b(pickle|torch\.load|joblib\.(load|dump)|cloudpickle|allow_pickle|read_pickle|dill)\b",
            path.read_text(),
        )
        assert found is None or "nothing is ever unpickled" in path.read_text(), f"{path}: {found}"
