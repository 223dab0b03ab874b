"""`lbt.tune`: search on inner folds, train the winner on all before the test span, judge it there once."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from lstm_backtrader.backtesting import backtest, file_sha256
from lstm_backtrader.candles import candles_sha256
from lstm_backtrader.config_file import option_name
from lstm_backtrader.errors import ConfigError, ReportError
from lstm_backtrader.forecast.artefact import check_target
from lstm_backtrader.forecast.fold_forecast import train_fold
from lstm_backtrader.forecast.inference import Device, LSTMForecaster, find_device
from lstm_backtrader.forecast.ledger import Ledger
from lstm_backtrader.forecast.manifest import MANIFEST, WEIGHTS, LedgerEntry
from lstm_backtrader.forecast.training import training_entry, warn_of_seam
from lstm_backtrader.forecast.trials import Market, Trial, Tries, chosen, new_trial
from lstm_backtrader.reporting.luck import Luck, luck_of
from lstm_backtrader.reporting.report import RunReport
from lstm_backtrader.reporting.writing import plain, write_text, write_together
from lstm_backtrader.tuning.config import TuneConfig
from lstm_backtrader.tuning.score import Score
from lstm_backtrader.tuning.search import Search, Tick
from lstm_backtrader.tuning.section import tuning_section
from lstm_backtrader.tuning.space import Candidate, Space, default_space
from lstm_backtrader.tuning.space_file import read_space
from lstm_backtrader.tuning.spans import DAY, Spans, make_spans
from lstm_backtrader.tuning.stage import Stage
from lstm_backtrader.tuning.study import Study, Tried, opened
from lstm_backtrader.tuning.workers import running

SCHEMA = 1  # of tune.json; raised when a key changes its meaning


@dataclass(frozen=True)
class Tuned:
    """What was found: the winner, every trial, and the report of the winner on the test span."""

    candidate: Candidate
    trials: tuple[Tried, ...]  # in the order of trying
    model: Path  # the winner, trained on all before the test span
    report: RunReport
    luck: Luck  # of the winner's inner folds, which it was chosen by
    document: dict[str, Any]  # the content of tune.json; Any as JSON is


def tune(
    candles: pd.DataFrame,
    out: str | Path,
    config: TuneConfig | None = None,
    *,
    space: Space | str | Path | None = None,
    symbol: str = "",
    device: Device = "auto",
    ledger: Ledger | None = None,
    own_module: str | Path | None = None,
    inputs: Mapping[str, str] | None = None,
    tick: Tick | None = None,
) -> Tuned:
    """Search for the best configuration and write the winner's model and report to `out`.

    No trial is given a candle of the test span; the winner is judged there once. `space`: what may vary, or the
    TOML file that says so; None: `default_space`. Every trial is entered in `ledger`, by default the user's own. A
    search that was stopped goes on from its last trial when it is started again with the same `out`. `own_module`:
    a Python file that registers features and labels, for workers to import. `tick` is called while it goes on.
    Raises `ConfigError` and `DataError` for options and data that cannot be.
    """
    config, folder = config or TuneConfig(), Path(out)
    if folder.is_file():
        raise ReportError(f"{folder} is a file. Name a directory for the search.")
    check_target(folder / "model")
    place = find_device(device)
    found = _space(space, config, candles)
    spans = make_spans(candles, config)
    stage = Stage(spans.inner, spans.folds, folder / "forecasts", symbol, place)
    book = _Book(ledger or Ledger(), Market.of(candles, symbol), spans, config)
    module = None if own_module is None else Path(own_module)
    with opened(folder, _identity(spans, found, config)) as study:
        study.begin(found, config.seed, found.values_of(config.train, config.account))
        book.catch_up(study)
        with running(stage, config.workers, module) as submit:
            Search(study, found, config, len(spans.folds), submit, book.record, tick).run()
        return _finish(candles, folder, found, study, book, place, inputs or {}, tick)


def best_of(trials: tuple[Tried, ...]) -> Tried:
    """The one with the highest objective of those that ran every fold, the earliest of equals."""
    whole = [each for each in trials if each.trial is not None and not each.is_pruned]
    if not whole:
        reasons = [each.refused for each in trials if each.refused is not None]
        raise ConfigError(f"none of {len(trials)} configurations can be tried. The last one: {reasons[-1]}")
    return max(whole, key=lambda each: (each.objective or 0.0, -each.number))


@dataclass(frozen=True)
class _Book:
    """What the search writes into the ledger."""

    ledger: Ledger
    market: Market
    spans: Spans
    config: TuneConfig

    def record(self, candidate: Candidate, found: Score) -> Trial:
        """Enter a trial. Its key is made of everything that decides its figures."""
        choices: dict[str, Any] = {
            "test_from": f"{self.spans.test_begin:%Y-%m-%d}",
            "folds": self.config.folds,
            **chosen(candidate.train),
            **chosen(candidate.account),
        }
        if candidate.threshold_multiple is not None:
            choices["threshold_multiple"] = candidate.threshold_multiple
        trial = new_trial("tune", self.market, choices, found.figures, found.returns)
        self.ledger.record(trial)
        return trial

    def catch_up(self, study: Study) -> None:
        """Enter what an earlier run has tried and this ledger does not have."""
        known = {each.key for each in self.ledger.read().trials}
        for each in study.tried():
            if each.trial is not None and each.trial.key not in known:
                self.ledger.record(each.trial)

    def tries(self, trials: tuple[Tried, ...]) -> Tries:
        """All on this market: those of the ledger, and these, should it not have been writable."""
        own = [each.trial for each in trials if each.trial is not None]
        return Tries.on(self.market, [*self.ledger.read().trials, *own])


def _space(given: Space | str | Path | None, config: TuneConfig, candles: pd.DataFrame) -> Space:
    """The space that is meant, checked."""
    is_traded = config.objective != "ic"
    if given is None:
        space = default_space(config.train, config.account, tuple(candles.columns), is_traded)
    else:
        space = given if isinstance(given, Space) else read_space(Path(given))
    if space.backtest and not is_traded:
        raise ConfigError(
            f"the IC does not depend on {option_name(next(iter(space.backtest)))} or anything of [backtest]. Leave "
            f"that out of the space, or take the objective sharpe."
        )
    space.check(config.train, config.account)
    return space


def _identity(spans: Spans, space: Space, config: TuneConfig) -> dict[str, str]:
    """What decides the figures of a trial, by the name a user knows it by."""
    folds = [(fold.train_begin, fold.train_end, fold.begin, fold.end) for fold in spans.folds]
    parts: dict[str, object] = {
        "data before the test span": candles_sha256(spans.inner),
        "test span or folds": folds,
        "space": space.document(),
        "objective": config.objective,
        "training": training_entry(config.train),
        "account": chosen(config.account),
    }
    return {
        name: hashlib.sha256(json.dumps(part, sort_keys=True, default=str).encode()).hexdigest()
        for name, part in parts.items()
    }


def _finish(
    candles: pd.DataFrame,
    folder: Path,
    space: Space,
    study: Study,
    book: _Book,
    device: str,
    inputs: Mapping[str, str],
    tick: Tick | None,
) -> Tuned:
    """Train the winner, judge it on the test span and write everything."""
    trials, spans, config = study.tried(), book.spans, book.config
    best = best_of(trials)
    tries = book.tries(trials)
    luck = luck_of(best.returns, tries)
    candidate = space.candidate(best.values, config.train, config.account)
    model = _train(candles, spans, candidate, device, tick)
    entry = LedgerEntry(key=best.key, trials=tries.number)
    model.manifest = model.manifest.model_copy(update={"ledger": entry})
    model.save(folder / "model")
    document = _document(best, trials, luck, space, book, looks=study.look(best.key))
    files = {"model_sha256": folder / "model" / WEIGHTS, "manifest_sha256": folder / "model" / MANIFEST}
    report = backtest(
        candles,
        folder / "model",
        folder,
        candidate.account_of(model.threshold),
        begin=spans.test_begin,
        symbol=book.market.symbol,
        title=f"The winner of {len(trials)} trials on {book.market.symbol or 'the test span'}",
        inputs={**inputs, **{name: file_sha256(file) for name, file in files.items()}},
        tick=tick,
        ledger=book.ledger,
        sections=[tuning_section(document)],
        details={"tuning": {name: value for name, value in document.items() if name != "trials"}},
    )
    text = json.dumps(document, indent=2, allow_nan=False) + "\n"
    write_together({folder / "tune.json": lambda file: write_text(file, text)})
    return Tuned(candidate, trials, folder / "model", report, luck, document)


def _train(
    candles: pd.DataFrame, spans: Spans, candidate: Candidate, device: str, tick: Tick | None
) -> LSTMForecaster:
    """The winner on everything before the test span."""
    config = candidate.train
    done: dict[int, int] = {}

    def progress(seed: int, step: int, steps: int) -> None:
        done[seed] = step
        if tick is not None:
            tick("training the winner", sum(list(done.values())), steps * config.seeds)

    model = train_fold(
        candles, spans.final(), config, device=device, threads=os.cpu_count() or 1, progress=progress
    )
    warn_of_seam(model.seam, config)
    return model


def _document(
    best: Tried, trials: tuple[Tried, ...], luck: Luck, space: Space, book: _Book, looks: int
) -> dict[str, Any]:
    """As tune.json holds it."""
    spans = book.spans
    document: dict[str, Any] = plain(
        {
            "schema": SCHEMA,
            "objective": book.config.objective,
            "winner": best.number,
            "value": best.objective,
            "counts": {
                "trials": len(trials),
                "pruned": sum(each.is_pruned and each.refused is None for each in trials),
                "refused": sum(each.refused is not None for each in trials),
                "tries": luck.tries,
            },
            "inner": {
                "begin": f"{spans.folds[0].begin:%Y-%m-%d}",
                "end": f"{spans.test_begin - DAY:%Y-%m-%d}",
                "folds": [f"{fold.begin:%Y-%m-%d}" for fold in spans.folds],
            },
            "test": {
                "begin": f"{spans.test_begin:%Y-%m-%d}",
                "end": f"{spans.test_end - pd.Timedelta(1):%Y-%m-%d}",
                "looks": looks,
            },
            "luck": luck.document(),
            "space": space.document(),
            "trials": [each.document() for each in trials],
        }
    )
    return document
