"""What may be given as `model`."""

import shutil

import pytest

from lstm_backtrader.errors import ConfigError, ModelError
from lstm_backtrader.forecast.manifest import WEIGHTS
from lstm_backtrader.indicators.models import as_forecaster, predict


def test_a_path_is_read_once_a_process(tiny_artefact):
    assert as_forecaster(tiny_artefact) is as_forecaster(str(tiny_artefact))


def test_a_path_says_what_the_loaded_model_says(tiny_artefact, tiny_model):
    found = as_forecaster(tiny_artefact)
    for name in ("timeframe", "warmup", "columns", "threshold", "valid_from", "valid_until", "horizon", "seam"):
        assert getattr(found, name) == getattr(tiny_model, name), name
    assert found.fingerprint == tiny_model.fingerprint


def test_altered_weights_are_refused_before_anything_is_computed(tiny_artefact, tmp_path):
    # given
    copy = shutil.copytree(tiny_artefact, tmp_path / "copy")
    packed = bytearray((copy / WEIGHTS).read_bytes())
    packed[-1] ^= 1
    (copy / WEIGHTS).write_bytes(packed)

    # then
    with pytest.raises(ModelError, match="SHA-256"):
        as_forecaster(copy)


def test_a_forecaster_is_taken_as_it_is(fixed_forecaster, candles):
    forecaster = fixed_forecaster(prob_up=0.7)
    assert as_forecaster(forecaster) is forecaster
    assert (predict(forecaster, candles)["prob_up"] == 0.7).all()


def test_a_forecaster_without_fingerprint_is_asked_every_time(fixed_forecaster, candles):
    forecaster = fixed_forecaster(prob_up=0.7)
    predict(forecaster, candles)
    forecaster.point = forecaster.point._replace(prob_up=0.2)
    assert (predict(forecaster, candles)["prob_up"] == 0.2).all()


@pytest.mark.parametrize("model", [None, 3, ["a"], object()])
def test_anything_else_is_refused(model):
    with pytest.raises(ConfigError, match="neither a path nor a forecaster"):
        as_forecaster(model)
