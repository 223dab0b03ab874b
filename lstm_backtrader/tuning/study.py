"""The study of a search on disk, by Optuna: what was tried, what came of it, and what to try next."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from lstm_backtrader.errors import ConfigError
from lstm_backtrader.forecast.trials import Trial
from lstm_backtrader.tuning.space import Choice, Dimension, Space, Value

if TYPE_CHECKING:
    import optuna

logger = logging.getLogger(__name__)

JOURNAL = "study.journal"
_NAME = "lbt tune"
_STARTUP = 10  # trials at random before the search learns from them
_ATTEMPTS = 20  # to find a configuration that was not tried yet, the second half of them at random
_COMPARED = 5  # trials with as many folds, before one is given up for being behind
_REPEATED = "repeated"


@dataclass(frozen=True)
class Tried:
    """One trial of a study. `trial` is its line in the ledger; `refused` says why a configuration cannot be."""

    number: int
    values: dict[str, Value]
    objective: float | None  # of the folds that were run
    is_pruned: bool  # given up before its last fold
    trial: Trial | None
    refused: str | None

    @property
    def key(self) -> str:
        """Of its line in the ledger; empty where there is none."""
        return "" if self.trial is None else self.trial.key

    @property
    def returns(self) -> pd.Series:
        """Daily, of the folds that were run."""
        if self.trial is None or self.trial.returns is None:
            return pd.Series(dtype="float64")
        return self.trial.returns.series()

    def document(self) -> dict[str, object]:
        """As tune.json holds it."""
        return {
            "number": self.number,
            "values": self.values,
            "objective": self.objective,
            "pruned": self.is_pruned and self.refused is None,
            "refused": self.refused,
            "key": self.key or None,
            "figures": None if self.trial is None else self.trial.figures,
        }


@contextmanager
def opened(folder: Path, identity: Mapping[str, str]) -> Iterator[Study]:
    """The study in `folder`, new or gone on with, for this process alone.

    `identity`: what decides the figures of a trial; raises `ConfigError` where the study there has another, or
    another process has it open.
    """
    try:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
    except ImportError as error:
        raise ConfigError("tuning needs the package optuna. Run: pip install 'lstm-backtrader[tune]'") from error
    folder.mkdir(parents=True, exist_ok=True)
    journal = folder / JOURNAL
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with FileLock(folder / ".tune.lock", timeout=0):
            journal.with_name(f"{JOURNAL}.lock").unlink(missing_ok=True)  # Optuna's own, left by a kill
            _end_at_whole_line(journal)
            backend = JournalFileBackend(str(journal), JournalFileOpenLock(str(journal)))
            found = optuna.create_study(
                storage=JournalStorage(backend), study_name=_NAME, direction="maximize", load_if_exists=True
            )
            study = Study(found, folder)
            study.check(identity)
            yield study
    except Timeout as error:
        raise ConfigError(
            f"another search is writing to {folder}. Wait for it, or choose another directory."
        ) from error
    finally:
        optuna.logging.set_verbosity(before)


class Study:
    """What a search asks of Optuna. The values of a trial follow from seed and the trials before it alone."""

    def __init__(self, study: optuna.Study, folder: Path) -> None:
        self._study = study
        self._folder = folder

    def check(self, identity: Mapping[str, str]) -> None:
        """Keep the identity of a new study; raises `ConfigError` where an old one has another."""
        known = self._study.user_attrs.get("identity")
        if known is None:
            self._study.set_user_attr("identity", dict(identity))
            return
        others = [name for name, value in identity.items() if known.get(name) != value]
        if others:
            raise ConfigError(
                f"{self._folder} holds a study with another {' and another '.join(others)}. Choose another "
                f"directory, or give what it was begun with."
            )

    def begin(self, space: Space, seed: int, first: Mapping[str, Value] | None) -> None:
        """Get ready to ask: what a kill left unfinished is to be tried first, and `first` before anything else."""
        import optuna

        self._distributions = {name: _distribution(each) for name, each in space.dimensions().items()}
        self._seed = seed
        if first is not None and not self._study.get_trials(deepcopy=False):
            self._study.enqueue_trial(dict(first))
        for left in self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
            self._study.tell(left.number, state=optuna.trial.TrialState.FAIL)
            self._study.enqueue_trial(left.params)

    def ask(self) -> optuna.Trial | None:
        """The next configuration to run, one that was not tried yet; None where none is to be found."""
        import optuna

        states = optuna.trial.TrialState
        for attempt in range(_ATTEMPTS):
            trials = self._study.get_trials(deepcopy=False)
            killed = sum(each.state == states.FAIL and _REPEATED not in each.user_attrs for each in trials)
            seed = int(np.random.SeedSequence([self._seed, len(trials) - killed]).generate_state(1)[0])
            self._study.sampler = (
                optuna.samplers.TPESampler(n_startup_trials=_STARTUP, multivariate=True, seed=seed)
                if attempt < _ATTEMPTS // 2
                else optuna.samplers.RandomSampler(seed=seed)
            )
            trial = self._study.ask(self._distributions)
            others = (each for each in trials if each.number != trial.number and each.state != states.FAIL)
            if all(each.params != trial.params for each in others):
                return trial
            trial.set_user_attr(_REPEATED, True)
            self._study.tell(trial, state=states.FAIL)
        return None

    def is_behind(self, trial: optuna.Trial, objective: float, folds: int) -> bool:
        """Note the objective after so many folds; whether it is below the median of five trials or more by then.

        Optuna's own median rule takes the best value a trial ever had, which of a running mean is that of the
        luckiest first fold.
        """
        import optuna

        others = [
            value
            for each in self._study.get_trials(deepcopy=False)
            if each.state != optuna.trial.TrialState.FAIL
            and (value := each.intermediate_values.get(folds)) is not None
        ]
        trial.report(objective, folds)
        return len(others) >= _COMPARED and objective < float(np.median(others))

    def finish(self, trial: optuna.Trial, objective: float, record: Trial, is_pruned: bool) -> None:
        """Keep what came of a trial; one that is pruned has run some folds only."""
        import optuna

        trial.set_user_attr("objective", objective)
        trial.set_user_attr("trial", record.model_dump_json())
        if is_pruned:
            self._study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            self._study.tell(trial, objective)

    def refuse(self, trial: optuna.Trial, reason: str) -> None:
        """Keep that a configuration cannot be."""
        import optuna

        trial.set_user_attr("refused", reason)
        self._study.tell(trial, state=optuna.trial.TrialState.PRUNED)

    def tried(self) -> tuple[Tried, ...]:
        """All that is finished, in the order of trying."""
        import optuna

        states = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
        return tuple(_tried(each) for each in self._study.get_trials(deepcopy=False, states=states))

    def look(self, key: str) -> int:
        """Note that the winner of that key is judged on the test span; gives how many winners were by now."""
        looks = list(self._study.user_attrs.get("looks", []))
        if key not in looks:
            looks.append(key)
            self._study.set_user_attr("looks", looks)
        return len(looks)


def _tried(trial: optuna.trial.FrozenTrial) -> Tried:
    text = trial.user_attrs.get("trial")
    return Tried(
        number=trial.number,
        values=dict(trial.params),
        objective=trial.user_attrs.get("objective"),
        is_pruned=trial.state.name == "PRUNED",  # Optuna gives these a value, too
        trial=None if text is None else Trial.model_validate_json(text),
        refused=trial.user_attrs.get("refused"),
    )


def _distribution(dimension: Dimension) -> Any:
    """As Optuna has it; its classes have no common name that is public, hence Any."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(dimension, Choice):
        return CategoricalDistribution(dimension.values)
    if dimension.is_whole:
        return IntDistribution(int(dimension.low), int(dimension.high), dimension.log, int(dimension.step or 1))
    return FloatDistribution(dimension.low, dimension.high, dimension.log, dimension.step)


def _end_at_whole_line(path: Path) -> None:
    """Cut off a last line that a kill has torn, which Optuna refuses. Raises `ConfigError` for other damage."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        data = file.read()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            logger.warning("%s ended within a line; the trial it belonged to is tried again", path)
            file.truncate(whole)
            os.fsync(file.fileno())
    for number, line in enumerate(data[:whole].splitlines(), start=1):
        try:
            json.loads(line)
        except ValueError as error:
            raise ConfigError(
                f"{path}, line {number} is no line of a study. Restore the file, or choose another directory."
            ) from error
