"""A model trained elsewhere says in every mode what its own module says, run by hand on each window."""

import copy

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from scipy.stats import norm
from torch import nn

import lstm_backtrader as lbt
from lstm_backtrader.candles import Bars
from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.errors import ConfigError, DataError, ModelError
from lstm_backtrader.forecast.dataset import Scaler
from lstm_backtrader.forecast.features import FEATURES, FeatureSpec, feature, volatility
from lstm_backtrader.forecast.foreign import from_module
from lstm_backtrader.forecast.labels import scaled_return
from lstm_backtrader.forecast.manifest import LogReturn, NextClose, ScaledReturn

CONTEXT = 60
LOW, WIDTH = 70.0, 60.0  # of the closes the tutorial's scaler has seen


class Tutorial(nn.Module):
    """The classic: one recurrent layer, a linear on its last output."""

    def __init__(self, features=1, hidden=8, layers=1, kind=nn.LSTM, dropout=0.0, **options):
        super().__init__()
        torch.manual_seed(3)
        self.lstm = kind(features, hidden, layers, batch_first=True, dropout=dropout, **options)
        self.fc = nn.Linear(hidden, 1)
        nn.init.constant_(self.fc.bias, 0.5)  # the middle of the scaled closes

    def forward(self, x):
        out, _ = self.lstm(x)
        return self.fc(out[:, -1, :])


@pytest.fixture(scope="module", autouse=True)
def my_close():
    """A feature of the user's own."""

    @feature(memory=lambda: 1)
    def my_close(bars):
        return bars["close"]

    yield
    del FEATURES["my_close"]


def brought(module, **changes):
    """`module` as the tutorial would bring it."""
    options = {
        "features": [FeatureSpec("my_close")],
        "scaler": Scaler((LOW,), (WIDTH,), clip=None),
        "label": NextClose(offset=LOW, scale=WIDTH),
        "context": CONTEXT,
        "timeframe": "1h",
        "trained_until": "2020-01-01",
        "residual_std": 1.0,
        "threshold": 0.1,
    }
    return from_module(module, **{**options, **changes})


def by_hand(module, candles):
    """The module on the last 60 scaled closes of each bar, one call a bar, in 64 bits -> log return in sigmas."""
    module, close = copy.deepcopy(module).double().eval(), candles["close"].to_numpy()
    scaled = (close - LOW) / WIDTH
    said = np.full(len(close), np.nan)
    with torch.no_grad():
        for t in range(CONTEXT - 1, len(close)):
            said[t] = module(torch.from_numpy(scaled[t - CONTEXT + 1 : t + 1])[None, :, None]).item()
    return np.log((LOW + WIDTH * said) / close) / volatility(Bars.of(candles))


def streamed(model, candles, begin):
    bars, stream = Bars.of(candles), model.stream()

    def until(row):
        return Bars(bars.open_time[:row], {name: column[:row] for name, column in bars.columns.items()}).last

    return np.array([stream.update(until(row + 1)).forecast for row in range(begin, len(bars))])


MODULES = [
    Tutorial(),
    Tutorial(layers=2, dropout=0.3),
    Tutorial(kind=nn.RNN),
    Tutorial(bias=False).double(),
    nn.Sequential(Tutorial(layers=3)),
]
each_module = pytest.mark.parametrize("module", MODULES, ids=["lstm", "two layers", "rnn", "no bias", "nested"])


@each_module
def test_predict_and_stream_say_what_the_module_says(module, candles):
    # given
    model, wanted = brought(module), by_hand(module, candles)

    # when
    predicted = model.predict(candles)["forecast"].to_numpy()

    # then
    first = 168 + CONTEXT - 1  # windows begin at the first bar with a volatility
    assert np.isnan(predicted[:first]).all()
    assert np.ptp(wanted[first:]) > 0.1
    np.testing.assert_allclose(predicted[first:], wanted[first:], rtol=0, atol=1e-6)
    late = len(candles) - 15
    np.testing.assert_allclose(streamed(model, candles, late), wanted[late:], rtol=0, atol=1e-6)


@pytest.mark.parametrize("mode", [{}, {"runonce": False}, {"preload": False, "exactbars": 1}])
def test_the_indicator_says_what_the_module_says_loaded_from_disk(mode, candles, tmp_path):
    # given
    module = Tutorial()
    brought(module).save(tmp_path / "tutorial")
    wanted = by_hand(module, candles)

    class Listening(bt.Strategy):
        def __init__(self):
            self.heard = []
            self.lstm = lbt.LSTMSignal(self.data, model=str(tmp_path / "tutorial"))

        def next(self):
            self.heard.append((self.lstm.forecast[0], self.lstm.signal[0]))

    # when
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(candles))
    cerebro.addstrategy(Listening)
    forecast, signal = np.array(cerebro.run(**mode)[0].heard).T

    # then
    wanted = wanted[-len(forecast) :]
    assert len(forecast) == len(candles) - (169 + CONTEXT + 1) + 1
    np.testing.assert_allclose(forecast, wanted, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(signal, np.where(abs(wanted) >= 0.1, np.sign(wanted), 0))


@settings(max_examples=25)
@given(st.integers(0, 2**31), st.sampled_from([None, 2.0, 5.0]))
def test_features_scaler_and_label_are_applied_as_described(seed, clip):
    # given two features, an LSTM that says a log return in percent
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 240)))
    table = dict.fromkeys(("open", "high", "low", "close"), close) | {"volume": rng.lognormal(0, 1, 240)}
    candles = pd.DataFrame(table, index=pd.date_range("2024-01-01", periods=240, freq="1h", tz="UTC"))
    module = Tutorial(features=2).double()
    specs = [FeatureSpec("volume_z", {"span": 24}), FeatureSpec("my_close")]
    scaler = Scaler((0.0, 100.0), (0.2, 9.0), clip)
    label = LogReturn(horizon=4, offset=-0.001, scale=0.01)
    model = brought(module, features=specs, scaler=scaler, label=label)

    # when
    last = model.predict(candles)["forecast"].iloc[-1]

    # then
    bars = Bars.of(candles)
    x = np.stack([specs[0].compute(bars) / 0.2, (close - 100) / 9], axis=1)[-CONTEXT:]
    x = x if clip is None else np.clip(x, -clip, clip)
    with torch.no_grad():
        said = -0.001 + 0.01 * module(torch.from_numpy(x)[None]).item()
    assert last == pytest.approx(said / (volatility(bars)[-1] * 2), abs=1e-5)


def test_a_model_of_scaled_returns_is_taken_at_its_word(candles):
    specs, scaler = [FeatureSpec("close_location")], Scaler((0.0,), (1.0,))
    model = brought(Tutorial(), features=specs, scaler=scaler, label=ScaledReturn(horizon=24))
    x = FeatureSpec("close_location").compute(Bars.of(candles))[-CONTEXT:].astype(np.float32)
    with torch.no_grad():
        assert model.predict(candles)["forecast"].iloc[-1] == pytest.approx(
            Tutorial()(torch.from_numpy(x)[None, :, None]).item(), abs=1e-6
        )
    assert model.warmup == 1 + CONTEXT + 1


def test_a_close_forecast_at_zero_or_below_gives_no_forecast(candles):
    model = brought(Tutorial(), label=NextClose(offset=-1e6, scale=1.0))
    assert model.predict(candles)["forecast"].isna().all()


# --- files --------------------------------------------------------------------------------------------------


def test_the_weights_file_gives_the_same_model_as_the_module(candles, tmp_path):
    save_file(Tutorial(layers=2).state_dict(), tmp_path / "mine.safetensors")
    model = brought(tmp_path / "mine.safetensors")
    assert model.name == "mine"
    pd.testing.assert_frame_equal(model.predict(candles), brought(Tutorial(layers=2)).predict(candles))


def test_saved_and_loaded_it_is_the_same_to_the_last_bit(candles, tmp_path):
    model = brought(Tutorial())
    model.save(tmp_path / "mine")
    loaded = lbt.load_model(tmp_path / "mine")
    pd.testing.assert_frame_equal(loaded.predict(candles), model.predict(candles))
    assert loaded.manifest == model.manifest


def test_a_feature_nobody_registered_is_asked_for(tmp_path):
    brought(Tutorial()).save(tmp_path / "mine")
    own = FEATURES.pop("my_close")
    try:
        with pytest.raises(
            ModelError, match=r"feature 'my_close' is registered by the module 'test_foreign', which is not"
        ):
            lbt.load_model(tmp_path / "mine")
    finally:
        FEATURES["my_close"] = own


def test_what_is_no_safetensors_file_is_refused(tmp_path):
    (tmp_path / "model.pt").write_bytes(b"PK\x03\x04 pickled")
    for path in (tmp_path / "model.pt", tmp_path / "nowhere"):
        with pytest.raises(ModelError, match=rf"{path.name} is no safetensors file .* Write one by"):
            brought(path)


# --- modules that are something else ------------------------------------------------------------------------


class Changed(Tutorial):
    def __init__(self, change):
        super().__init__()
        self.change = change

    def forward(self, x):
        return self.change(self, x)


def mean_of_outputs(self, x):
    return self.fc(self.lstm(x)[0].mean(dim=1))


def clipped(self, x):
    return Tutorial.forward(self, x).clamp(0.3, 0.7)


def residual(self, x):
    return Tutorial.forward(self, x) + x[:, -1, :1]


@pytest.mark.parametrize("change", [mean_of_outputs, clipped, residual])
def test_a_module_that_computes_something_else_is_refused_with_the_difference(change):
    with pytest.raises(
        ModelError, match=r"differ by up to [\d.]+e?-?\d*, 1e-06 is allowed. Supported is one nn.LSTM"
    ):
        brought(Changed(change))


def test_a_module_that_keeps_its_state_is_refused():
    class Stateful(Tutorial):
        state = None

        def forward(self, x):
            out, self.state = self.lstm(x, self.state)
            return self.fc(out[:, -1])

    with pytest.raises(ModelError, match="says something else when asked again: it keeps a state"):
        brought(Stateful(), context=5)  # after 60 bars this one has forgotten it
    used = Stateful()
    used(torch.zeros(1, CONTEXT, 1))
    with pytest.raises(ModelError, match=r"cannot be copied .* Keep no tensor you computed in it"):
        brought(used)


def test_a_module_for_other_input_is_refused_with_its_own_words():
    with pytest.raises(ModelError, match=r"fails on an input of shape \(64, 60, 1\): .*size"):
        brought(Changed(lambda self, x: self.fc(self.lstm(x.view(64, 30, 1))[0][:, -1])))
    with pytest.raises(ModelError, match=r"gives \(64, 60, 8\) for an input of shape \(64, 60, 1\)"):
        brought(Changed(lambda self, x: self.lstm(x)[0]))


def test_outputs_of_every_bar_and_a_state_beside_them_are_understood(candles):
    every_bar = Changed(lambda self, x: (self.fc(self.lstm(x)[0]), None))
    pd.testing.assert_frame_equal(brought(every_bar).predict(candles), brought(Tutorial()).predict(candles))


def test_dropout_in_train_mode_is_no_obstacle_and_the_module_stays_as_it_is():
    module = Tutorial(layers=2, dropout=0.5).train()
    brought(module)
    assert module.training
    assert next(module.parameters()).dtype == torch.float32


def two_lstms(module):
    module.second = nn.LSTM(8, 8)
    return module


def hidden_head(module):
    module.fc = nn.Sequential(nn.Linear(8, 16), nn.Linear(16, 1))
    return module


def two_outputs(module):
    module.fc = nn.Linear(8, 2)
    return module


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (two_lstms(Tutorial()), r"has 2 recurrent layers by name \(lstm., second.\)"),
        (nn.Linear(3, 1), "has 0 recurrent layers by name"),
        (hidden_head(Tutorial()), r"has fc.0.weight \(16, 8\), .* and not just the weight \(1, 8\)"),
        (two_outputs(Tutorial()), r"has fc.weight \(2, 8\), fc.bias \(2,\) besides"),
        (nn.LSTM(1, 8), "has nothing besides its recurrent layer"),
        (Tutorial(kind=nn.GRU), "has a cell of 3 gates, as a GRU has"),
        (Tutorial(bidirectional=True), "lstm.weight_ih_l0_reverse"),
        (Tutorial(features=2), "sees 2 features, 1 are given"),
        (Tutorial(kind=nn.RNN, nonlinearity="relu"), "differ by up to"),
    ],
)
def test_a_module_of_another_shape_is_refused_by_what_it_has(module, message):
    with pytest.raises(ModelError, match=message):
        brought(module)


def test_weights_that_do_not_fit_each_other_are_refused(tmp_path):
    weights = Tutorial(layers=2).state_dict()
    for name, tensor in (("lstm.weight_hh_l1", None), ("lstm.weight_ih_l1", torch.zeros(32, 9))):
        changed = {key: value for key, value in weights.items() if key != name}
        save_file(changed if tensor is None else {**changed, name: tensor}, tmp_path / "mine.safetensors")
        with pytest.raises(ModelError, match=f"{name.removeprefix('lstm.')} do not fit the other tensors"):
            brought(tmp_path / "mine.safetensors")


# --- calibration --------------------------------------------------------------------------------------------


def test_calibration_measures_how_far_it_misses(candles_of):
    # given
    candles = candles_of(600)
    half = candles.iloc[:450]

    # when
    model = brought(Tutorial(), calibrate_on=half, residual_std=None, threshold=None)

    # then
    forecast, y = by_hand(Tutorial(), half), scaled_return(Bars.of(half), 1)
    forecast[: 168 + CONTEXT - 1] = np.nan
    known = np.isfinite(forecast) & np.isfinite(y)
    validation = model.manifest.validation
    assert validation.residual_std == pytest.approx((y - forecast)[known].std(), abs=1e-6)
    assert model.threshold == validation.forecast_std == pytest.approx(forecast[known].std(), abs=1e-6)
    assert validation.bars == known.sum()
    last = model.predict(candles).iloc[-1]
    assert last["prob_up"] == pytest.approx(norm.cdf(last["forecast"] / validation.residual_std), abs=1e-9)
    assert model.valid_from == half.index[-1] + pd.Timedelta("1h")  # the last label is of the bar before


def test_what_is_given_is_not_measured(candles_of):
    model = brought(Tutorial(), calibrate_on=candles_of(400), residual_std=0.7, threshold=0.3)
    assert (model.manifest.validation.residual_std, model.threshold) == (0.7, 0.3)
    assert model.manifest.validation.ic is not None


def test_a_calibrated_model_comes_back_from_disk(candles_of, tmp_path):
    # given
    model = brought(Tutorial(), calibrate_on=candles_of(400), residual_std=None, threshold=None)

    # when
    model.save(tmp_path / "model")

    # then
    assert lbt.load_model(tmp_path / "model").manifest == model.manifest


@pytest.mark.parametrize("until", ["2023-08-31 23:00", pd.Timestamp("2023-09-01 08:00", tz="Asia/Tokyo")])
def test_no_forecast_is_given_of_what_it_was_trained_on(until):
    model = brought(Tutorial(), trained_until=until, label=NextClose(horizon=3))
    assert model.valid_from == pd.Timestamp("2023-09-01 03:00", tz="UTC")


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"residual_std": None}, ConfigError, "Pass calibrate_on=candles, or residual_std and threshold"),
        ({"threshold": None}, ConfigError, "Pass calibrate_on=candles, or residual_std and threshold"),
        ({"residual_std": 0.0}, ConfigError, "residual_std 0.0 must be above 0"),
        ({"threshold": -1.0}, ConfigError, "threshold -1.0 must be 0 or more"),
        ({"scaler": Scaler((0.0, 1.0), (1.0,))}, ConfigError, r"scaler.mean has 2 numbers for 1 features"),
        ({"scaler": Scaler((0.0,), (0.0,))}, ConfigError, "divides by zero or is not finite"),
        ({"label": "next_close"}, ConfigError, r"label 'next_close' is unknown. Give NextClose\(\)"),
        ({"timeframe": "hourly"}, ConfigError, "timeframe 'hourly' is no bar length"),
        ({"timeframe": "0s"}, ConfigError, "not a whole number of seconds above 0"),
        ({"trained_until": "soon"}, ConfigError, "trained_until 'soon' is no time"),
        ({"context": 1}, ConfigError, "context 1 is too short"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        brought(Tutorial(), **changes)


def test_too_few_candles_to_calibrate_on_are_refused(candles):
    with pytest.raises(DataError, match=r"calibrate_on holds 12 bars with forecast and label, 100 are needed"):
        brought(Tutorial(), calibrate_on=candles.iloc[:240])
