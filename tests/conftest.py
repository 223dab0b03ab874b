"""What several tests share: a toy market, a forecaster without torch, small models, and the real data."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings

from lstm_backtrader.candles import COLUMNS, Bars
from lstm_backtrader.forecast.protocol import ForecastPoint

# a machine with other work to do is slow now and then, which is no failure of a law
settings.register_profile("house", deadline=None)
settings.load_profile("house")

HOUR = pd.Timedelta(hours=1)
TRAIN_BARS = 1800  # of `tiny_market`; the model of `tiny_model` has seen no bar from there on


def make_candles(n: int = 300, seed: int = 0, freq: str = "1h", start: str = "2024-01-01") -> pd.DataFrame:
    """A seeded random walk of `n` bars that meets the candle contract."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, n)))
    open_ = np.concatenate(([100.0], close[:-1]))
    return pd.DataFrame(
        {
            "open": open_,
            "high": np.maximum(open_, close) * np.exp(rng.uniform(0, 0.005, n)),
            "low": np.minimum(open_, close) * np.exp(-rng.uniform(0, 0.005, n)),
            "close": close,
            "volume": rng.lognormal(3, 0.5, n),
        },
        index=pd.date_range(start, periods=n, freq=freq, tz="UTC", name="open_time", unit="ns"),
    )


class FixedForecaster:
    """Says the same of every bar; meets `Forecaster` without torch."""

    name = "Fixed"

    def __init__(self, prob_up: float = 0.9, warmup: int = 1, timeframe: pd.Timedelta = HOUR) -> None:
        self.point = ForecastPoint(NormalDist().inv_cdf(prob_up), prob_up, 0.0)
        self.warmup = warmup
        self.timeframe = timeframe

    def predict(self, candles: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame([self.point] * len(candles), index=candles.index, columns=list(ForecastPoint._fields))

    def stream(self) -> FixedForecaster:
        return self

    def update(self, tail: Callable[[int], Bars]) -> ForecastPoint:
        return self.point


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Forecasts, trials and audits of the tests do not end up in the user's cache, ledger and records."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LBT_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("LBT_LEDGER", str(tmp_path_factory.mktemp("ledger") / "ledger.jsonl"))
        patch.setenv("LBT_AUDITS", str(tmp_path_factory.mktemp("audits")))
        yield


class Outcome(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        """The last line on stderr."""
        return "".join(self.err.strip().splitlines()[-1:])


@pytest.fixture
def ended(capsys) -> Callable[[Callable[[], object]], Outcome]:
    """`ended(main)` runs a command in this process."""

    def run(command: Callable[[], object]) -> Outcome:
        code = 0
        try:
            command()
        except SystemExit as stop:
            code = int(stop.code or 0)
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture
def lbt(monkeypatch, ended) -> Callable[..., Outcome]:
    """`lbt("train", "--data", path)` runs the command in this process, on a terminal of 200 columns."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*args: object) -> Outcome:
        from lstm_backtrader import cli

        monkeypatch.setattr(sys, "argv", ["lbt", *map(str, args)])
        return ended(cli.main)

    return run


@pytest.fixture
def candles() -> pd.DataFrame:
    """300 seeded hourly bars."""
    return make_candles()


@pytest.fixture(scope="session")
def candles_of() -> Callable[..., pd.DataFrame]:
    """`candles_of(n, seed, freq, start)`: as many seeded bars as wanted."""
    return make_candles


@pytest.fixture
def fixed_forecaster() -> type[FixedForecaster]:
    """`fixed_forecaster(prob_up=0.9, warmup=1)` makes a forecaster that never changes its mind."""
    return FixedForecaster


@pytest.fixture(scope="session")
def tiny_market() -> pd.DataFrame:
    """2,600 hourly bars of the synthetic market, with its event column `news`."""
    from lstm_backtrader.datafeeds.synthetic import synthetic_market

    return synthetic_market(2600, seed=3).candles


@pytest.fixture(scope="session")
def fresh_market(tiny_market) -> pd.DataFrame:
    """The bars of `tiny_market` that `tiny_model` has not seen."""
    return tiny_market.iloc[TRAIN_BARS:]


@pytest.fixture(scope="session")
def tiny_config():
    """Trains in a second or two: context 32, stride 8, two nets of six units."""
    from lstm_backtrader.forecast.train_config import TrainConfig

    return TrainConfig(
        horizon=4, context=32, stride=8, hidden=6, seeds=2, steps=40, batch=8, embargo=24, events=("news",)
    )


@pytest.fixture(scope="session")
def tiny_model(tiny_market, tiny_config):
    """An ensemble trained on the first 1,800 bars of `tiny_market`."""
    from lstm_backtrader.forecast.training import train

    return train(tiny_market.iloc[:TRAIN_BARS], tiny_config)


@pytest.fixture(scope="session")
def tiny_artefact(tiny_model, tmp_path_factory) -> Path:
    """`tiny_model` on disk."""
    directory = tmp_path_factory.mktemp("models") / "tiny"
    tiny_model.save(directory)
    return directory


@pytest.fixture(scope="session")
def tiny_plan(tiny_config):
    """Retrain every ten days on forty: seven models over `tiny_market`, the last of them for 200 bars."""
    from lstm_backtrader.forecast.folds import WalkForwardConfig

    return WalkForwardConfig(train_days=40, step_days=10, train=tiny_config)


@pytest.fixture(scope="session")
def tiny_folds(tmp_path_factory) -> Path:
    """Where the folds of `tiny_schedule` are kept."""
    return tmp_path_factory.mktemp("walk") / "folds"


@pytest.fixture(scope="session")
def tiny_schedule(tiny_market, tiny_plan, tiny_folds):
    """The models of `tiny_plan` as one forecaster."""
    from lstm_backtrader.forecast.walkforward import walk_forward

    return walk_forward(tiny_market, tiny_plan, folder=tiny_folds)


@pytest.fixture(scope="session")
def tiny_schedule_artefact(tiny_schedule, tmp_path_factory) -> Path:
    """`tiny_schedule` on disk."""
    directory = tmp_path_factory.mktemp("models") / "schedule"
    tiny_schedule.save(directory)
    return directory


@pytest.fixture(scope="session")
def untrained_model():
    """`untrained_model(context, stride, layers, cell, specs, seeds, label)`: random weights, bold forecasts."""
    return _untrained_model


def _untrained_model(context=12, stride=4, layers=1, cell="lstm", specs=None, seeds=2, label=None):
    import torch

    from lstm_backtrader.forecast.artefact import pack_weights
    from lstm_backtrader.forecast.features import FeatureSpec
    from lstm_backtrader.forecast.inference import LSTMForecaster
    from lstm_backtrader.forecast.manifest import (
        FeatureEntry,
        Manifest,
        ScaledReturn,
        ScalerEntry,
        ThreeClasses,
        ValidationEntry,
    )
    from lstm_backtrader.forecast.network import RecurrentNet

    # by default features of one bar, so that short series exercise the sequences and not the warm-up
    specs = specs or (
        FeatureSpec("close_location"),
        FeatureSpec("clock", {"cycle": "day", "wave": "sin"}),
        FeatureSpec("clock", {"cycle": "day", "wave": "cos"}),
    )
    nets = {}
    for seed in range(seeds):
        generator = torch.Generator().manual_seed(seed)
        outputs = 3 if isinstance(label, ThreeClasses) else 1
        net = RecurrentNet(
            len(specs), 5, layers, cell, memory=context + stride, generator=generator, outputs=outputs
        )
        nets[seed] = net.eval()
        with torch.no_grad():
            nets[seed].head.weight.mul_(30)
    then = datetime(2020, 1, 1, tzinfo=UTC)
    manifest = Manifest(
        schema_version=1,
        created=then,
        cell=cell,
        hidden=5,
        layers=layers,
        context=context,
        stride=stride,
        features=tuple(FeatureEntry.of(spec) for spec in specs),
        scaler=ScalerEntry(mean=(0.1,) * len(specs), scale=(0.8,) * len(specs)),
        label=label or ScaledReturn(horizon=4),
        timeframe_s=3600,
        train_from=then - timedelta(days=99),
        train_until=then - timedelta(days=9),
        validation_from=then - timedelta(days=8),
        trained_until=then,
        purge_bars=4,
        expires=None,
        fill_rate=1.0,
        seeds=tuple(nets),
        threshold=0.1,
        validation=ValidationEntry(
            bars=9,
            loss=0.5,
            ic=None,
            event_ic=None,
            seam=None,
            residual_std=1.0,
            forecast_std=0.1,
            best_steps=(1,) * seeds,
        ),
        training={},
        data_sha256="0" * 64,
        weights_sha256="",
        versions={},
    )
    _, weights_sha256 = pack_weights(nets, manifest.inputs_sha256())
    manifest = manifest.model_copy(update={"weights_sha256": weights_sha256})
    return LSTMForecaster(manifest, list(nets.values()))


@pytest.fixture(scope="session")
def numpy_net():
    """`numpy_net(net, x)`: what a `RecurrentNet` should say, (W, F) -> (W,) or (W, K), from the equations."""
    return _numpy_net


def _numpy_net(net, x):
    weights = {name: tensor.detach().numpy().astype(np.float64) for name, tensor in net.state_dict().items()}
    layers = sum(name.startswith("cell.weight_hh") for name in weights)
    sequence = np.asarray(x, dtype=np.float64)
    for layer in range(layers):
        W, U = weights[f"cell.weight_ih_l{layer}"], weights[f"cell.weight_hh_l{layer}"]
        b = weights[f"cell.bias_ih_l{layer}"] + weights[f"cell.bias_hh_l{layer}"]
        h, c, out = np.zeros(U.shape[1]), np.zeros(U.shape[1]), []
        for row in sequence:
            a = W @ row + U @ h + b
            if len(a) == len(h):  # a plain RNN
                h = np.tanh(a)
            else:
                i, f, g, o = np.split(a, 4)
                c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
                h = _sigmoid(o) * np.tanh(c)
            out.append(h)
        sequence = np.array(out)
    said = sequence @ weights["head.weight"].T + weights["head.bias"]
    return said[:, 0] if said.shape[1] == 1 else said


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.fixture(scope="session")
def bars_from():
    """`bars_from(candles)` gives the function `tail(n)` that a forecast stream asks for its bars."""

    def tail_of(candles: pd.DataFrame) -> Callable[[int], Bars]:
        bars = Bars.of(candles)
        return bars.last

    return tail_of


@pytest.fixture
def shared_data() -> Path:
    """The folder of real market data; tests that need it are skipped where it is missing."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real market data at {folder}")
    return folder


@pytest.fixture(scope="session")
def oracle() -> Callable[[str], list[dict[str, Any]]]:
    """`oracle(group)`: the cases of a group of figures that other projects' tests assert; skipped without them."""
    path = Path(__file__).resolve().parents[2] / "shared" / "oracles" / "peer_cases.json"

    def cases(group: str) -> list[dict[str, Any]]:
        if not path.is_file():
            pytest.skip(f"no table of other projects' cases at {path}")
        groups = json.loads(path.read_text())["groups"]
        return next(each["cases"] for each in groups if each["id"] == group)

    return cases


@pytest.fixture
def write_csv(tmp_path) -> Callable[..., Path]:
    """`write_csv(table, name)` writes candles (or any table) and gives the path."""

    def write(table: pd.DataFrame, name: str = "candles.csv") -> Path:
        path = tmp_path / name
        table.to_csv(path, index=set(COLUMNS) <= set(table.columns))
        return path

    return write
