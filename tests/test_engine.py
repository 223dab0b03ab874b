"""How the forecasts of a history are computed changes none of them: segments, threads, device, numpy or torch."""

import multiprocessing
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_backtrader.candles import Bars
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.forecast import inference, strided
from lstm_backtrader.forecast.context import StridedContext
from lstm_backtrader.forecast.features import FEATURES, FeatureSpec, feature, make_features, newest_features
from lstm_backtrader.forecast.inference import find_device, load_model
from lstm_backtrader.forecast.network import RecurrentNet, whole_float32
from lstm_backtrader.forecast.step import EnsembleStep
from lstm_backtrader.forecast.strided import Crops, strided_forecast


@pytest.fixture
def nets():
    return [RecurrentNet(3, 5, 2, generator=torch.Generator().manual_seed(seed)).eval() for seed in range(2)]


@pytest.mark.parametrize("segment", [7, 40, 101])
def test_segments_of_a_history_are_joined_without_a_trace(
    untrained_model, candles_of, tiny_model, fresh_market, segment, monkeypatch
):
    # given
    model, candles = untrained_model(), candles_of(400).drop(candles_of(400).index[100:117])
    whole, whole_trained = model.predict(candles), tiny_model.predict(fresh_market)

    # when
    monkeypatch.setattr(inference, "_SEGMENT", segment)

    # then
    np.testing.assert_allclose(model.predict(candles), whole, atol=1e-7)
    np.testing.assert_allclose(tiny_model.predict(fresh_market), whole_trained, atol=1e-7)


def test_bars_without_features_do_not_show_where_segments_meet(untrained_model, candles_of, monkeypatch):
    # given
    @feature(memory=lambda column: 1)
    def hole(bars: Bars, column: str):
        return np.where(np.arange(len(bars)) < 0, 0.0, bars[column])

    try:
        model = untrained_model(specs=(FeatureSpec("close_location"), FeatureSpec("hole", {"column": "extra"})))
        extra = np.zeros(300)
        extra[120:128] = np.nan
        candles = candles_of(300).assign(extra=extra)
        whole = model.predict(candles)

        # when
        monkeypatch.setattr(inference, "_SEGMENT", 13)
        parts = model.predict(candles)
    finally:
        del FEATURES["hole"]

    # then
    assert whole["forecast"].iloc[120:128].isna().all()
    assert whole["forecast"].iloc[140:].notna().all()
    np.testing.assert_allclose(parts, whole, atol=1e-7)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_change_nothing(nets, threads, monkeypatch):
    # given
    monkeypatch.setattr(strided, "_CHUNK_BYTES", 5_000)
    rng = np.random.default_rng(0)
    X, slots = rng.normal(size=(500, 3)).astype(np.float32), np.arange(500) + 1000
    one = strided_forecast(nets, StridedContext(12, 4), X, slots, threads=1)

    # then
    assert np.array_equal(
        strided_forecast(nets, StridedContext(12, 4), X, slots, threads=threads), one, equal_nan=True
    )


class Noting(RecurrentNet):
    """Notes how torch multiplies while it runs."""

    def forward(self, x, state=None):
        self.noted.append([*precisions("cpu"), torch.backends.cudnn.enabled])
        return super().forward(x, state)


def precisions(device):
    backends = torch.backends
    switches = {
        "cpu": (backends.mkldnn.rnn, backends.mkldnn.matmul),
        "cuda": (backends.cudnn.rnn, backends.cuda.matmul),
    }
    return [switch.fp32_precision for switch in switches[device]]


def all_precisions():
    return [*precisions("cpu"), *precisions("cuda"), torch.get_float32_matmul_precision()]


@pytest.fixture(params=["none", "tf32", "bf16", "high"])
def wish(request):
    """What a program may have asked torch for, before it asks for a forecast."""
    if request.param == "high":
        torch.set_float32_matmul_precision("high")
    else:
        torch.backends.fp32_precision = request.param
    yield
    torch.backends.fp32_precision = "none"
    torch.set_float32_matmul_precision("highest")


def test_threads_multiply_whole_float32_and_leave_torch_as_it_was(monkeypatch, wish):
    # given
    monkeypatch.setattr(strided, "_CHUNK_BYTES", 500)
    net = Noting(3, 5, generator=torch.Generator().manual_seed(0)).eval()
    net.noted = []
    before = all_precisions()

    # when
    strided_forecast([net], StridedContext(12, 4), np.zeros((300, 3), np.float32), np.arange(300), threads=3)

    # then
    assert len(net.noted) > 10
    assert {tuple(noted) for noted in net.noted} == {("ieee", "ieee", True)}
    assert all_precisions() == before
    assert torch.backends.cudnn.enabled


def test_a_gpu_is_denied_tf32_and_keeps_its_fast_lstm(wish):
    before = all_precisions()
    with whole_float32("cuda"):
        assert precisions("cuda") == ["ieee", "ieee"]
        assert torch.backends.cudnn.enabled
    assert all_precisions() == before


def test_a_child_process_takes_one_thread(monkeypatch):
    monkeypatch.setattr(strided.multiprocessing, "parent_process", lambda: object())
    assert strided._threads(None, "cpu") == 1


def test_threads_are_one_a_core_otherwise_and_one_for_a_gpu():
    assert strided._threads(None, "cpu") >= 1
    assert strided._threads(3, "cpu") == 3
    assert strided._threads(None, "cuda") == 1


def test_no_rows_have_no_forecasts(nets):
    X, slots = np.empty((0, 3), np.float32), np.empty(0, np.int64)
    assert strided_forecast(nets, StridedContext(4, 2), X, slots).shape == (2, 0)


@given(rows=st.integers(1, 20), span=st.integers(1, 12), data=st.data())
def test_a_crop_is_a_slice_with_zeros_behind_the_end(rows, span, data):
    # given
    X = np.arange(rows * 2, dtype=np.float32).reshape(rows, 2) + 1
    first = np.array(sorted(data.draw(st.lists(st.integers(0, rows - 1), max_size=6))), dtype=np.int64)

    # when
    crops = Crops(X, span)[first]

    # then
    padded = np.concatenate([X, np.zeros((span, 2), np.float32)])
    assert crops.shape == (len(first), span, 2)
    for crop, row in zip(crops, first, strict=True):
        assert np.array_equal(crop, padded[row : row + span])


@pytest.mark.parametrize("cell", ["lstm", "rnn"])
@pytest.mark.parametrize("layers", [1, 3])
@settings(max_examples=15)
@given(seed=st.integers(0, 1000), running=st.integers(0, 4), scale=st.floats(0.1, 5))
def test_a_step_in_numpy_is_a_step_in_torch(cell, layers, seed, running, scale):
    # given
    generator = torch.Generator().manual_seed(seed)
    members = [RecurrentNet(4, 6, layers, cell, generator=generator).eval() for _ in range(3)]
    step = EnsembleStep([{n: p.numpy() for n, p in net.state_dict().items()} for net in members], cell, layers)
    parts = 2 if cell == "lstm" else 1
    rng = np.random.default_rng(seed)
    state = rng.normal(size=(parts, layers, 3, running, 6)).astype(np.float32)
    x = (scale * rng.normal(size=4)).astype(np.float32)

    # when
    forecasts, after = step.advance(x, state)

    # then
    assert forecasts.shape == (3, running)
    for member, net in enumerate(members if running else []):
        before = tuple(torch.from_numpy(part[:, member].copy()) for part in state)
        with torch.no_grad():
            y, expected = net(torch.from_numpy(x).expand(running, 1, -1), before)
        np.testing.assert_allclose(forecasts[member], y[:, 0].numpy(), atol=1e-6)
        for part, want in zip(after, expected, strict=True):
            np.testing.assert_allclose(part[:, member], want.numpy(), atol=1e-6)


def test_the_newest_row_of_features_is_the_last_of_all(tiny_model, fresh_market):
    bars = Bars.of(fresh_market)
    all_rows = make_features(bars, tiny_model.specs)
    np.testing.assert_allclose(newest_features(bars, tiny_model.specs), all_rows[-1], rtol=1e-6)


def test_features_of_too_few_bars_are_missing(tiny_model, fresh_market):
    assert np.isnan(newest_features(Bars.of(fresh_market).last(50), tiny_model.specs)).any()


_LOAD_AND_PREDICT_AFTER_A_FORK = """
import faulthandler, multiprocessing, sys
import pandas as pd
import torch
from lstm_backtrader.forecast.artefact import load_artefact
from lstm_backtrader.forecast.inference import LSTMForecaster

def predict():
    faulthandler.dump_traceback_later(60, exit=True)  # or a hanging child would outlive the test
    LSTMForecaster(*load_artefact(sys.argv[1])).predict(candles)

candles = pd.read_parquet(sys.argv[2])
torch.set_num_threads(2)
torch.linalg.qr(torch.randn(500, 500))  # the user's own torch has started its threads
child = multiprocessing.get_context("fork").Process(target=predict)
child.start()
child.join()
sys.exit(child.exitcode)
"""


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork")
def test_a_forked_child_loads_and_predicts_although_torch_had_threads(tiny_artefact, candles_of, tmp_path):
    """Backtrader's `optstrategy` forks; a child that enters torch's pool of threads hangs forever."""
    # given
    candles_of(3000).assign(news=0.0).to_parquet(tmp_path / "candles.parquet")

    # when
    arguments = [str(tiny_artefact), str(tmp_path / "candles.parquet")]
    result = subprocess.run(
        [sys.executable, "-c", _LOAD_AND_PREDICT_AFTER_A_FORK, *arguments], capture_output=True, text=True
    )

    # then
    assert result.returncode == 0, result.stderr


# --- device -------------------------------------------------------------------------------------------------


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_auto_is_the_cpu_and_cuda_is_refused(tiny_artefact):
    assert find_device("auto") == find_device("cpu") == "cpu"
    with pytest.raises(ConfigError, match="torch sees no GPU"):
        load_model(tiny_artefact, device="cuda")


def test_an_unknown_device_is_refused():
    with pytest.raises(ConfigError, match="'tpu' is unknown"):
        find_device("tpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_same_numbers_whatever_torch_is_allowed(tiny_artefact, fresh_market, wish):
    on_cpu = load_model(tiny_artefact, device="cpu").predict(fresh_market)
    on_gpu = load_model(tiny_artefact, device="cuda").predict(fresh_market)
    np.testing.assert_allclose(on_gpu, on_cpu, atol=1e-6)
