"""The commands and the ledger: what is entered, under which key, and what manifests and reports take from it."""

import json

import backtrader as bt
import numpy as np
import pytest

import lstm_backtrader as lbt
from lstm_backtrader.backtesting import BacktestConfig, backtest
from lstm_backtrader.bookkeeping import record_training, record_walk_forward
from lstm_backtrader.forecast.ledger import Ledger
from lstm_backtrader.forecast.trials import Market
from lstm_backtrader.indicators.models import as_forecaster

TINY = (
    "--horizon",
    4,
    "--context",
    32,
    "--stride",
    8,
    "--hidden",
    6,
    "--seeds",
    1,
    "--steps",
    20,
    "--event",
    "news",
)


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    """A ledger of its own for one test."""
    monkeypatch.setenv("LBT_LEDGER", str(tmp_path / "ledger.jsonl"))
    return Ledger()


@pytest.fixture
def command(lbt, monkeypatch):
    """`command("ledger")` runs the command in this process, in a pipe of any width, and gives what it printed."""
    monkeypatch.delenv("COLUMNS")

    def run(*args):
        done = lbt(*args)
        assert done.code == 0, done.err
        return done.out

    return run


@pytest.fixture
def file(tiny_market, tmp_path):
    path = tmp_path / "TOY-1h.parquet"
    tiny_market.rename_axis("timestamp").reset_index().to_parquet(path)
    return path


# --- models -------------------------------------------------------------------------------------------------


def test_a_model_says_where_it_stands_in_the_ledger_and_is_otherwise_the_same(
    ledger, tiny_market, tiny_model, tiny_config, tmp_path
):
    # given
    before, market = tiny_model.manifest, Market.of(tiny_market, "TOY-1h")

    # when
    try:
        record_training(ledger, tiny_model, market, tiny_config, until=None)
        tiny_model.save(tmp_path / "model")
        after = tiny_model.manifest
    finally:
        tiny_model.manifest = before

    # then
    entry = lbt.load_model(tmp_path / "model").manifest.ledger
    assert entry == after.ledger
    assert entry.trials == 1
    assert entry.key == ledger.read().trials[0].key
    assert after.model_copy(update={"ledger": None}) == before
    assert after.inputs_sha256() == before.inputs_sha256()


def test_a_walk_forward_is_one_trial_and_its_manifest_differs_by_that_alone(
    ledger, tiny_market, tiny_schedule, tiny_plan
):
    before = tiny_schedule.manifest
    try:
        for _ in range(2):  # a run that goes on after a kill is the same trial
            record_walk_forward(ledger, tiny_schedule, Market.of(tiny_market, "TOY-1h"), tiny_plan)
        after = tiny_schedule.manifest
    finally:
        tiny_schedule.manifest = before
    (trial,) = ledger.read().trials
    assert (trial.kind, trial.figures["models"], after.ledger.trials) == ("walk-forward", 7, 1)
    assert {**after.model_dump(), "ledger": None} == before.model_dump()
    assert all(each.ledger is None for each in after.manifests())


# --- runs ---------------------------------------------------------------------------------------------------


def test_without_a_ledger_nothing_is_written_and_the_report_says_it_is_not_counted(
    ledger, candles, fixed_forecaster, tmp_path
):
    written = backtest(candles, fixed_forecaster(), tmp_path / "run")
    assert written.metrics["significance"]["tries"] is None
    assert not ledger.path.exists()


def test_each_config_is_a_try_and_a_repetition_is_none(ledger, candles_of, fixed_forecaster, tmp_path):
    # given
    candles, model = candles_of(24 * 40), fixed_forecaster()

    def tries(config=None, data=candles, **options):
        written = backtest(data, model, tmp_path / "run", config, symbol="TOY", ledger=ledger, **options)
        return written.metrics["significance"]["tries"]

    # when, then
    assert tries() == 1
    assert tries() == 1
    assert tries(BacktestConfig(leverage=2)) == 2
    assert tries(BacktestConfig(leverage=2), begin=candles.index[0]) == 2  # what it is without being said
    assert tries(BacktestConfig(leverage=2), begin=candles.index[48]) == 3
    assert tries(BacktestConfig(leverage=2), end=candles.index[-48]) == 4


def test_a_model_that_is_in_the_ledger_stays_the_same_try_when_the_data_grow(
    ledger, tiny_market, tiny_artefact, tiny_config, tmp_path
):
    # given a model that a command trained
    model = lbt.load_model(tiny_artefact)
    record_training(ledger, model, Market.of(tiny_market, "TOY-1h"), tiny_config, until=None)
    model.save(tmp_path / "model")

    # when it trades, then trades again on more data, then with other rules
    for bars, config in ((2500, None), (2600, None), (2600, BacktestConfig(leverage=2))):
        written = backtest(
            tiny_market.iloc[:bars], tmp_path / "model", tmp_path / "run", config, symbol="TOY-1h", ledger=ledger
        )

    # then
    training, first, second = ledger.read().trials
    assert first.model == second.model == training.key
    assert len(ledger.path.read_text().splitlines()) == 4
    assert first.market.data_sha256 == Market.of(tiny_market).data_sha256
    assert written.metrics["significance"]["tries"] == 2  # the training counts by what traded it
    assert second.figures["sharpe"] == pytest.approx(written.metrics["account"]["sharpe"])
    assert second.figures["days"] == len(second.returns.values)


def test_a_model_without_a_ledger_entry_is_known_by_its_weights(ledger, fresh_market, tiny_artefact, tmp_path):
    backtest(fresh_market, tiny_artefact, tmp_path / "run", ledger=ledger)
    (trial,) = ledger.read().trials
    assert trial.model is None
    assert trial.config["forecaster"] == as_forecaster(tiny_artefact).fingerprint


class Cross(bt.Strategy):
    params = (("bars", 5), ("note", None))

    def __init__(self):
        self.trend = self.data.close - self.data.close(-self.p.bars)

    def next(self):
        self.order_target_percent(target=0.9 if self.trend[0] > 0 else -0.9)


def test_tries_of_a_strategy_of_ones_own_are_counted_too(ledger, candles_of, tmp_path):
    # given the same strategy with three parameters, one of them twice
    for bars in (5, 10, 20, 20):
        cerebro = bt.Cerebro(stdstats=False)
        cerebro.adddata(lbt.CandleFeed(candles_of(24 * 40), name="TOY"))
        cerebro.addstrategy(Cross, bars=bars, note=object())  # an address is no choice
        results = lbt.run(cerebro)
        tries = lbt.count_trial(results)

    # when
    written = lbt.report(results, tmp_path / "run", tries=tries)

    # then
    assert tries.number == 3
    assert written.metrics["significance"]["tries"] == 3
    assert "With 3 tries on TOY" in written.metrics["significance"]["sentences"][2]
    assert ledger.read().trials[0].config["note"].startswith("<object object")


# --- commands -----------------------------------------------------------------------------------------------


def test_train_backtest_and_ledger_tell_the_same_story(ledger, command, file, tmp_path):
    # when
    train = ("train", "--data", file, "--until", "2020-03-20", *TINY)
    command(*train, "--out", tmp_path / "a")
    command(*train, "--out", tmp_path / "again")
    command(*train, "--dropout", 0.2, "--out", tmp_path / "b")
    shown = command(
        "backtest", "--data", file, "--model", tmp_path / "a", "--leverage", 2, "--out", tmp_path / "run"
    )
    listed = command("ledger")

    # then
    manifests = [json.loads((tmp_path / name / "manifest.json").read_text()) for name in ("a", "again", "b")]
    assert [manifest["ledger"]["trials"] for manifest in manifests] == [1, 1, 2]
    assert manifests[0]["ledger"]["key"] == manifests[1]["ledger"]["key"] != manifests[2]["ledger"]["key"]
    assert "With 2 tries on TOY-1h the best of luck would show" in shown
    assert "TOY-1h, bars of 1h: 2 tries" in listed
    assert f"backtest of {manifests[0]['ledger']['key'][:8]}" in listed
    assert "leverage=2 " in listed
    assert "dropout=0.2" in listed
    assert "until=2020-03-20" in listed
    assert f"ledger: {ledger.path}" in listed


def test_the_list_can_be_narrowed_and_says_what_is_damaged(ledger, command, candles, fixed_forecaster, tmp_path):
    for symbol in ("AAA", "BBB"):
        backtest(
            candles * (1 if symbol == "AAA" else 2), fixed_forecaster(), tmp_path, symbol=symbol, ledger=ledger
        )
    with ledger.path.open("a") as written:
        written.write('{"half')
    data = ledger.read().trials[0].market.data_sha256

    assert "BBB" not in command("ledger", "--symbol", "AAA")
    assert "BBB" not in command("ledger", "--data-hash", data[:6])
    assert "None of 2 trials is such a one" in command("ledger", "--symbol", "AA")
    everything = command("ledger")
    assert "AAA, bars of 1h: 1 try" in everything
    assert "line 3 is no trial and does not count" in everything


def test_an_empty_ledger_is_said_to_be_empty(ledger, command):
    assert "No trial." in command("ledger")


def test_the_forecast_of_an_unknown_model_is_what_it_said(ledger, candles_of, fixed_forecaster, tmp_path):
    for prob_up in (0.9, 0.2, 0.9):
        backtest(candles_of(200), fixed_forecaster(prob_up=prob_up), tmp_path, symbol="TOY", ledger=ledger)
    assert len(ledger.read().trials) == 2
    assert np.isfinite([each.figures["days"] for each in ledger.read().trials]).all()
