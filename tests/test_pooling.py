"""Training on several instruments: one set of weights, a scaler for each, no bar of one that tells of another."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import lstm_backtrader as lbt
from lstm_backtrader.cli import app
from lstm_backtrader.datafeeds.synthetic import MarketShape, synthetic_market
from lstm_backtrader.errors import ConfigError, DataError, TimeframeError
from lstm_backtrader.forecast.pool import PooledCrops, prepare_pool


@pytest.fixture(scope="module")
def markets(tiny_market):
    """AAA as it is; BBB another market in another unit of price, listed 600 hours later."""
    other = synthetic_market(2000, seed=8, start=str(tiny_market.index[600])).candles
    other[["open", "high", "low", "close"]] *= 1e-4
    return {"AAA": tiny_market, "BBB": other}


@pytest.fixture(scope="module")
def pooled(markets, tiny_config):
    return lbt.train_pooled(markets, tiny_config)


def weights(model):
    return [parameter.detach().numpy() for net in model.nets for parameter in net.parameters()]


def test_one_instrument_is_an_ordinary_training(tiny_market, tiny_model, tiny_config):
    model = lbt.train_pooled({"AAA": tiny_market.iloc[:1800]}, tiny_config)["AAA"]
    assert model.manifest.weights_sha256 == tiny_model.manifest.weights_sha256
    assert model.manifest.training == tiny_model.manifest.training
    assert model.manifest.validation == tiny_model.manifest.validation


def test_the_models_share_their_weights_and_scale_by_their_own_train_rows(pooled, markets, tiny_config):
    ours, theirs = pooled["AAA"], pooled["BBB"]
    for one, other in zip(weights(ours), weights(theirs), strict=True):
        np.testing.assert_array_equal(one, other)
    assert ours.manifest.scaler != theirs.manifest.scaler
    assert ours.manifest.label.mean != theirs.manifest.label.mean
    for name, model in pooled.items():
        material = prepare_pool(markets, tiny_config)[name]
        train = material.X[material.slots < material.split.train_end]
        assert np.abs(train.mean(axis=0)).max() < 0.05  # standardised, but for the clip
        assert model.manifest.training["pooled"] == ["AAA", "BBB"]


def test_all_are_split_at_one_time_and_guarded_by_the_last_bar_of_any(pooled, markets, tiny_config):
    # given AAA that ends three weeks before BBB
    earlier = {"AAA": markets["AAA"].iloc[:-500], "BBB": markets["BBB"]}

    # when
    models = lbt.train_pooled(earlier, replace(tiny_config, val_fraction=0.3))

    # then
    one, other = (models[name].manifest for name in earlier)
    assert one.validation_from == other.validation_from
    assert one.train_until == other.train_until < one.validation_from
    assert one.trained_until == other.trained_until > earlier["AAA"].index[-1]
    assert models["AAA"].valid_from == models["BBB"].valid_from


def test_no_train_bar_of_one_lies_in_the_validation_of_another(markets, tiny_config):
    pool = prepare_pool(markets, tiny_config)
    horizon, embargo = tiny_config.horizon, tiny_config.embargo
    last_train = max(int(each.crops.slots[-1]) for each in pool.values())
    first_judged = min(int(each.slots[each.slots >= each.split.val_begin][0]) for each in pool.values())
    assert first_judged - last_train > horizon + embargo


def test_each_instrument_comes_as_often_as_it_has_bars(markets, tiny_config):
    pool = prepare_pool(markets, tiny_config)
    crops = PooledCrops.of(list(pool.values()))
    rng = np.random.default_rng(0)
    drawn = sum(rng.multinomial(100, crops.shares)[0] for _ in range(100)) / 10_000
    bars = [len(each.crops.slots) for each in pool.values()]
    assert drawn == pytest.approx(bars[0] / sum(bars), abs=0.02)
    X, y, weight = crops.sample(rng, 16)
    assert X.shape[:2] == y.shape == weight.shape == (16, tiny_config.strided_context().span)


def test_classes_weigh_the_same_for_all(markets, tiny_config):
    classes = replace(tiny_config, label="three_classes:fee_bps=1:slippage_bps=0:funding_bps=0", steps=5, seeds=1)
    labels = {name: each.label for name, each in prepare_pool(markets, classes).items()}
    assert labels["AAA"].class_weights == labels["BBB"].class_weights
    assert {name: model.manifest.label for name, model in lbt.train_pooled(markets, classes).items()} == labels


def test_what_one_market_is_too_short_to_teach_is_learned_from_three():
    # given three short markets of one law, in which an event foretells three bars
    shape = MarketShape(horizon=3, gap=(1, 1), rest=(8, 24))
    short = {
        name: synthetic_market(1500, seed=seed, kappa=0.5, shape=shape).candles for seed, name in enumerate("ABC")
    }
    unseen = synthetic_market(8000, seed=9, kappa=0.5, shape=shape, start="2030-01-01")
    config = lbt.TrainConfig(
        horizon=3, context=16, stride=4, hidden=6, seeds=1, steps=250, learning_rate=1e-2, embargo=24,
        features=("close_location", "volume_z:span=48"), events=("news",),
    )  # fmt: skip

    def judged(model):
        said = model.predict(unseen.candles)["forecast"]
        return np.corrcoef(said[200:], unseen.oracle[200:])[0, 1]

    # then
    alone = np.mean([judged(lbt.train(candles, config)) for candles in short.values()])
    together = judged(lbt.train_pooled(short, config)["A"])
    assert together > max(alone + 0.05, 0.5)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda markets: {}, ConfigError, "there is no instrument to learn from"),
        (
            lambda markets: markets | {"BBB": lbt.datafeeds.resample_candles(markets["BBB"], "4h")},
            TimeframeError,
            "bars of one length, and have AAA 1h, BBB 4h",
        ),
        (
            lambda markets: markets | {"BBB": markets["BBB"].iloc[:150]},
            DataError,
            "BBB: 150 bars are too few for feat",
        ),
        (
            lambda markets: markets | {"BBB": markets["BBB"].drop(columns="news")},
            DataError,
            "BBB: column 'news' is nee",
        ),
        (lambda markets: markets | {"BBB": markets["BBB"].iloc[:700]}, DataError, "BBB: validation holds 0 bars"),
        (
            lambda markets: markets | {"BBB": markets["BBB"].iloc[-300:]},
            DataError,
            "BBB: validation .* leave no train bar",
        ),
    ],
)
def test_what_cannot_be_pooled_is_named(markets, tiny_config, change, error, said):
    with pytest.raises(error, match=said):
        lbt.train_pooled(change(markets), tiny_config)


# --- the command --------------------------------------------------------------------------------------------

OPTIONS = "--horizon 4 --context 32 --stride 8 --hidden 4 --seeds 1 --steps 5 --embargo 24 --batch 4"


@pytest.fixture
def files(markets, tmp_path):
    for name, table in markets.items():
        table.to_parquet(tmp_path / f"{name}.parquet")
        stamps = table.index[::8]
        pd.DataFrame({"timestamp": stamps, "funding_rate": 1e-4}).to_csv(
            tmp_path / f"{name}-funding.csv", index=False
        )
    return tmp_path


def train_by(files, *more):
    datas = [part for name in ("AAA", "BBB") for part in ("--data", str(files / f"{name}.parquet"))]
    return CliRunner().invoke(app, ["train", *datas, "--out", str(files / "models"), *OPTIONS.split(), *more])


def test_the_command_writes_a_model_for_each(files):
    rates = [part for name in ("AAA", "BBB") for part in ("--funding", str(files / f"{name}-funding.csv"))]
    run = train_by(files, *rates, "--features", "default,funding")
    assert run.exit_code == 0, run.output + str(run.exception)
    for name in ("AAA", "BBB"):
        model = lbt.load_model(files / "models" / name)
        assert model.manifest.training["pooled"] == ["AAA", "BBB"]
        assert "funding_rate" in model.columns
        assert model.manifest.ledger is not None


def test_one_data_writes_the_model_to_the_place_itself(files):
    command = ["train", "--data", str(files / "AAA.parquet"), "--out", str(files / "model"), *OPTIONS.split()]
    assert CliRunner().invoke(app, command).exit_code == 0
    assert "pooled" not in lbt.load_model(files / "model").manifest.training


def test_funding_that_does_not_go_with_the_data_is_refused(files):
    run = train_by(files, "--funding", str(files / "AAA-funding.csv"))
    assert isinstance(run.exception, ConfigError)
    assert "2 --data need 2 --funding, and 1 came. Give one for each, in the same order." in str(run.exception)


def test_two_files_of_one_name_are_refused(files):
    run = train_by(files, "--data", str(files / "elsewhere" / "AAA.parquet"))
    assert "two files are called AAA, which names the model of each" in str(run.exception)


def test_a_file_of_options_may_name_one_data_or_several(files):
    # given
    (files / "lbt.toml").write_text('[train]\ndata = ["AAA.parquet", "BBB.parquet"]\nsteps = 5\n')
    (files / "one.toml").write_text('data = "AAA.parquet"\nsteps = 5\n')
    (files / "walk.toml").write_text(
        'train-days = 40\nstep-days = 10\n[train]\ndata = ["AAA.parquet", "BBB.parquet"]\n'
    )
    few = OPTIONS.replace("--steps 5", "").split()

    # then
    for name, written in (("lbt", ("AAA", "BBB")), ("one", ("",))):
        command = ["train", "--config", str(files / f"{name}.toml"), "--out", str(files / name), *few]
        run = CliRunner().invoke(app, command)
        assert run.exit_code == 0, run.output + str(run.exception)
        assert all((files / name / folder / "manifest.json").exists() for folder in written)
    run = CliRunner().invoke(app, ["walk-forward", "--config", str(files / "walk.toml"), "--out", str(files / "w")])
    assert "data names 2 files and `lbt walk-forward` takes one" in str(run.exception)
