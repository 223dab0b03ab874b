"""A whole search: what its trials may see, what is counted, and how it goes on after a stop."""

import json
import logging
import sys
from dataclasses import replace

import pytest
from filelock import FileLock

import lstm_backtrader as lbt
from lstm_backtrader.backtesting import BacktestConfig
from lstm_backtrader.errors import ConfigError, ModelError, ReportError
from lstm_backtrader.forecast import fold_forecast
from lstm_backtrader.forecast.ledger import Ledger
from lstm_backtrader.forecast.train_config import TrainConfig
from lstm_backtrader.reporting import report
from lstm_backtrader.tuning import study
from lstm_backtrader.tuning.search import Search
from lstm_backtrader.tuning.section import sentences
from lstm_backtrader.tuning.space import Choice, Range, Space

TRAIN = TrainConfig(
    horizon=4,
    features=("log_return:span=6", "close_location"),
    context=16,
    stride=16,
    hidden=4,
    seeds=1,
    steps=6,
    batch=8,
    embargo=24,
)
CONFIG = lbt.TuneConfig(trials=6, folds=3, train=TRAIN)
SPACE = Space(
    train={"hidden": Choice((2, 4))},
    backtest={"stop_loss": Choice((0.0, 0.03, 0.06)), "threshold_multiple": Range(0.0, 2.0, step=0.25)},
)


@pytest.fixture(autouse=True)
def no_tearsheet(monkeypatch):
    """QuantStats draws for seconds what no test here looks at."""
    monkeypatch.setattr(report, "tearsheet_html", lambda *args, **options: "<html></html>")


@pytest.fixture(scope="module")
def market(candles_of):
    return candles_of(24 * 70, seed=5)


@pytest.fixture
def search(market, tmp_path):
    """`search(name, config, candles)` runs a search in a folder of that name, on a ledger of its own."""

    def run(name="out", config=CONFIG, candles=market, **options):
        ledger = Ledger(tmp_path / f"{name}.jsonl")
        options = {"space": SPACE, "symbol": "TOY", "ledger": ledger, **options}
        return lbt.tune(candles, tmp_path / name, config, **options)

    return run


def lines(folder, name="out"):
    return Ledger(folder / f"{name}.jsonl").read().trials


# --- what a trial sees --------------------------------------------------------------------------------------


def test_no_trial_sees_the_test_span(search, market):
    # given the same market, with another future from the test span on
    first = search("first")
    begin = first.document["test"]["begin"]
    changed = market.copy()
    prices = ["open", "high", "low", "close"]
    changed.loc[begin:, prices] = changed.loc[begin:, prices].to_numpy()[::-1].copy() * 7
    changed.loc[begin:, ["high", "low"]] = changed.loc[begin:, ["high", "low"]].to_numpy()
    changed.loc[begin:, "volume"] *= 100

    # when
    other = search("other", candles=changed)

    # then every figure of every trial, the winner and its weights are the same, and its test is another
    assert other.document["trials"] == first.document["trials"]
    assert other.document["winner"] == first.document["winner"]
    assert [each.returns for each in other.trials if each.returns.empty] == []
    for one, two in zip(first.trials, other.trials, strict=True):
        assert (one.returns == two.returns).all()
    weights = [lbt.load_model(each.model).manifest.weights_sha256 for each in (first, other)]
    assert weights[0] == weights[1]
    assert first.report.metrics["account"] != other.report.metrics["account"]


def test_a_bar_of_an_inner_fold_makes_a_difference(search, market):
    changed = market.copy()
    last = market.index.searchsorted(search("first").report.equity.index[0]) - 30
    changed.iloc[last:, :4] *= 1.05
    assert search("other", candles=changed).document["trials"] != search("again").document["trials"]


def test_a_trial_that_varies_only_the_account_takes_the_forecast_that_is_there(search, monkeypatch):
    # given
    trained = []
    train = fold_forecast.train_fold
    monkeypatch.setattr(
        fold_forecast, "train_fold", lambda *args, **kwargs: trained.append(args[1].begin) or train(*args, **kwargs)
    )

    # when
    found = search(config=replace(CONFIG, trials=12))

    # then two sizes were trained on three folds, whatever the twelve trials were
    assert len({each.values["hidden"] for each in found.trials}) == 2
    assert len(trained) == 6


# --- what is counted ----------------------------------------------------------------------------------------


def test_every_trial_is_in_the_ledger_and_deflates_the_winner(search, tmp_path):
    # when
    found = search()

    # then
    trials = [each for each in lines(tmp_path) if each.kind == "tune"]
    assert [each.key for each in trials] == [each.key for each in found.trials]
    assert len({each.key for each in trials}) == 6
    winner = trials[found.document["winner"]]
    assert winner.figures["mean_sharpe"] == max(each.objective for each in found.trials if not each.is_pruned)
    assert winner.config["test_from"] == found.document["test"]["begin"]
    assert (winner.config["seeds"], winner.config["embargo"], winner.config["folds"]) == (1, 24, 3)
    assert found.report.metrics["significance"]["tries"] == 6
    assert found.document["luck"]["tries"] == 6
    assert found.document["luck"]["sharpe"] == pytest.approx(winner.figures["sharpe"])
    manifest = json.loads((tmp_path / "out" / "model" / "manifest.json").read_text())
    assert manifest["ledger"] == {"key": winner.key, "trials": 6}
    assert lines(tmp_path)[-1].model == winner.key  # the winner on the test span, which counts in its place


def test_the_report_tells_how_the_configuration_was_found(search, tmp_path):
    found = search()
    page = (tmp_path / "out" / "report.html").read_text()
    assert "How the configuration was found" in page
    assert "6 trials on 3 inner folds" in page
    assert json.loads((tmp_path / "out" / "tune.json").read_text()) == found.document
    assert found.report.metrics["tuning"]["winner"] == found.document["winner"]
    assert found.report.metrics["span"]["start"][:10] == found.document["test"]["begin"]
    assert {"model_sha256", "manifest_sha256"} <= found.report.metrics["inputs"].keys()


def test_a_trial_that_is_given_up_counts_and_cannot_win(search, tmp_path):
    found = search(config=replace(CONFIG, trials=14, prune=True))
    pruned = [each for each in found.trials if each.is_pruned]
    assert pruned
    assert found.document["counts"]["pruned"] == len(pruned)
    assert all(each.trial.figures["folds"] < 3 for each in pruned)
    assert found.document["luck"]["tries"] == 14
    assert found.document["winner"] not in [each.number for each in pruned]


def test_no_configuration_is_tried_twice_and_a_small_space_ends_early(search):
    space = Space(backtest={"stop_loss": Choice((0.0, 0.05)), "take_profit": Choice((0.0, 0.05))})
    found = search(space=space, config=replace(CONFIG, trials=30))
    assert 3 <= len(found.trials) <= 4
    assert len({str(each.values) for each in found.trials}) == len(found.trials)


def test_what_cannot_be_is_told_and_is_no_try(search, tmp_path):
    # given a stop that lies beyond the liquidation price
    config = replace(CONFIG, account=BacktestConfig(leverage=20), trials=8)

    # when
    found = search(space=Space(backtest={"stop_loss": Choice((0.0, 0.01, 0.02, 0.6, 0.7))}), config=config)

    # then
    refused = [each for each in found.trials if each.refused]
    assert refused
    assert "liquidation" in refused[0].refused
    assert found.document["counts"]["refused"] == len(refused)
    assert found.document["luck"]["tries"] == len(found.trials) - len(refused)


def test_a_space_in_which_nothing_can_be_is_refused_with_the_reason(search):
    config = replace(CONFIG, account=BacktestConfig(leverage=20), trials=3)
    with pytest.raises(ConfigError, match=r"none of 3 configurations can be tried. The last one: .*liquidation"):
        search(space=Space(backtest={"stop_loss": Choice((0.5, 0.6, 0.7))}), config=config)


# --- stopping and going on ----------------------------------------------------------------------------------


def test_a_search_that_was_stopped_ends_as_one_that_was_not(search, tmp_path, monkeypatch):
    # given
    config = replace(CONFIG, trials=14, prune=True)
    whole = search("whole", config)
    go_on = Search._advance

    def stop_in_trial(number):
        def advance(self, run, future):
            if self._done == number and len(run.outcomes) == 1:
                raise KeyboardInterrupt
            go_on(self, run, future)

        return advance

    # when it is stopped amid its third trial and its twelfth, and once within a line of its file
    for number in (2, 11):
        with monkeypatch.context() as patch:
            patch.setattr(Search, "_advance", stop_in_trial(number))
            with pytest.raises(KeyboardInterrupt):
                search("stopped", config)
    with (tmp_path / "stopped" / study.JOURNAL).open("ab") as file:
        file.write(b'{"op_code": 5, "wor')
    found = search("stopped", config)

    # then
    def said(tuned):
        return [(each.values, each.objective, each.is_pruned, each.key) for each in tuned.trials]

    assert said(found) == said(whole)
    assert len(lines(tmp_path, "stopped")) == len(lines(tmp_path, "whole")) == 15
    assert found.report.metrics["account"] == whole.report.metrics["account"]


def test_a_journal_that_somebody_has_written_to_is_named(search, tmp_path):
    search(config=replace(CONFIG, trials=2))
    journal = tmp_path / "out" / study.JOURNAL
    journal.write_bytes(journal.read_bytes() + b"a note\n")
    lines_there = len(journal.read_text().splitlines())
    with pytest.raises(ConfigError, match=rf"study.journal, line {lines_there} is no line of a study. Restore"):
        search()


def test_more_trials_go_on_where_fewer_ended(search, tmp_path):
    search(config=replace(CONFIG, trials=4))
    found = search()
    assert len(found.trials) == 6
    assert len([each for each in lines(tmp_path) if each.kind == "tune"]) == 6


def test_a_ledger_that_is_another_gets_what_was_tried_before(search, tmp_path):
    search(config=replace(CONFIG, trials=4))
    (tmp_path / "out.jsonl").unlink()
    assert search().document["luck"]["tries"] == 6


def test_a_second_winner_on_the_test_span_is_said_to_be_no_blind_look(search):
    first = search()
    assert first.document["test"]["looks"] == 1
    assert search().document["test"]["looks"] == 1
    document = {**first.document, "test": {**first.document["test"], "looks": 2}}
    assert "2 winners have been judged there by now" in sentences(document)[-1]


def test_why_a_trial_cannot_be_is_said(search):
    document = search().document
    assert not any("Trial 7 cannot be" in said for said in sentences(document))
    refused = {**document["trials"][0], "number": 7, "refused": "645 bars leave 0 with features and label."}
    said = sentences({**document, "trials": [*document["trials"], refused]})
    assert "Trial 7 cannot be: 645 bars leave 0 with features and label." in said


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"config": replace(CONFIG, folds=2)}, "another test span or folds"),
        ({"config": replace(CONFIG, train=replace(TRAIN, steps=7))}, "another training"),
        ({"config": replace(CONFIG, account=BacktestConfig(fee_bps=1))}, "another account"),
        ({"space": Space(train={"hidden": Choice((2, 5))})}, "another space"),
    ],
)
def test_a_study_of_something_else_is_not_gone_on_with(search, changed, what):
    small = replace(CONFIG, trials=1)
    search(config=small)
    with pytest.raises(ConfigError, match=f"holds a study with {what}. Choose another directory"):
        search(**{"config": small, **changed})


def test_two_searches_in_one_folder_are_refused(search, tmp_path):
    (tmp_path / "out").mkdir()
    with (
        FileLock(tmp_path / "out" / ".tune.lock"),
        pytest.raises(ConfigError, match=r"another search is writing to .*out. Wait for it"),
    ):
        search()


@pytest.mark.slow
def test_several_processes_find_what_one_finds(search, tmp_path):
    # given random trials, which do not depend on what came of the others
    config = replace(CONFIG, trials=8)
    alone = search("alone", config)

    # when
    together = search("together", replace(config, workers=2))

    # then
    def said(tuned):
        return sorted((str(each.values), each.objective, each.key) for each in tuned.trials)

    assert said(together) == said(alone)
    assert len(lines(tmp_path, "together")) == 9


# --- objectives and mistakes --------------------------------------------------------------------------------


def test_the_ic_is_searched_without_the_account(search):
    found = search(space=None, config=replace(CONFIG, objective="ic", trials=2))
    assert found.document["space"]["backtest"] == {}
    assert found.trials[0].objective == found.trials[0].trial.figures["ic"]
    assert found.trials[0].values["hidden"] == 4  # what would be trained without a search comes first
    with pytest.raises(ConfigError, match=r"the IC does not depend on stop-loss or anything of \[backtest\]"):
        search("other", config=replace(CONFIG, objective="ic"))


def test_without_optuna_the_extra_is_named(search, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r"pip install 'lstm-backtrader\[tune\]'"):
        search()


def test_a_file_or_a_folder_of_something_else_is_refused_before_the_search(search, tmp_path):
    (tmp_path / "out").write_text("x")
    with pytest.raises(ReportError, match=r"out is a file. Name a directory"):
        search()
    (tmp_path / "other" / "model").mkdir(parents=True)
    (tmp_path / "other" / "model" / "notes.txt").write_text("mine")
    with pytest.raises(ModelError, match="model exists and is no model"):
        search("other")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["model"]


def test_the_space_may_be_a_file(search, tmp_path):
    (tmp_path / "space.toml").write_text("[train]\nhidden = [2, 4]\n[backtest]\nstop-loss = [0, 0.05]\n")
    found = search(space=tmp_path / "space.toml", config=replace(CONFIG, trials=2))
    assert found.trials[0].values == {"hidden": 4, "stop_loss": 0.0}


def test_the_logger_is_as_it_was(search):
    before = logging.getLogger("lstm_backtrader").level
    search(config=replace(CONFIG, trials=1))
    assert logging.getLogger("lstm_backtrader").level == before
