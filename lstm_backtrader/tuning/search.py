"""The search itself: ask for a configuration, run it fold by fold, give it up or finish it, ask for the next."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lstm_backtrader.errors import ConfigError, LbtError
from lstm_backtrader.forecast.trials import Trial
from lstm_backtrader.tuning.config import TuneConfig
from lstm_backtrader.tuning.score import Score, score
from lstm_backtrader.tuning.space import Candidate, Space
from lstm_backtrader.tuning.stage import FoldOutcome
from lstm_backtrader.tuning.study import Study
from lstm_backtrader.tuning.workers import Submit

if TYPE_CHECKING:
    import optuna

Record = Callable[[Candidate, Score], Trial]  # enters a trial in the ledger
Tick = Callable[[str, int, int], None]  # what goes on, folds done, folds in all


@dataclass
class _Run:
    """A trial on its way through the folds."""

    trial: optuna.Trial
    candidate: Candidate
    outcomes: list[FoldOutcome] = field(default_factory=list)


@dataclass
class Search:
    """One search. A trial is in the ledger before the study knows that it is over."""

    study: Study
    space: Space
    config: TuneConfig
    folds: int
    submit: Submit
    record: Record
    tick: Tick | None = None

    def run(self) -> None:
        """Try until as many configurations as wanted are done, or the space holds no other; none is tried twice.

        Those the study holds already count.
        """
        self._done = len(self.study.tried())
        self._runs: dict[Future[FoldOutcome], _Run] = {}
        self._is_exhausted = False
        self._tell()
        while True:
            while len(self._runs) < self.config.workers and self._has_next():
                self._begin()
            if not self._runs:
                return
            for future in wait(self._runs, return_when=FIRST_COMPLETED).done:
                self._advance(self._runs.pop(future), future)

    def _has_next(self) -> bool:
        return not self._is_exhausted and self._done + len(self._runs) < self.config.trials

    def _begin(self) -> None:
        trial = self.study.ask()
        if trial is None:
            self._is_exhausted = True
            return
        try:
            candidate = self.space.candidate(trial.params, self.config.train, self.config.account)
        except LbtError as error:
            self._refuse(trial, error)
            return
        self._runs[self.submit(candidate, 0)] = _Run(trial, candidate)

    def _advance(self, run: _Run, future: Future[FoldOutcome]) -> None:
        """Take the outcome of a fold; then the next fold, or the end of the trial."""
        try:
            run.outcomes.append(future.result())
        except LbtError as error:
            self._refuse(run.trial, error)
            return
        except BrokenProcessPool as error:
            raise ConfigError(
                "a worker has died, most likely for want of memory. Take fewer --workers; started again the search "
                "goes on where it was. A script that calls lbt.tune with workers does so under "
                "`if __name__ == '__main__':`."
            ) from error
        found, done = score(run.outcomes, self.config.objective), len(run.outcomes)
        is_behind = self.study.is_behind(run.trial, found.objective, done)
        is_pruned = is_behind and self.config.prune and self.folds // 2 <= done < self.folds
        if done < self.folds and not is_pruned:
            self._runs[self.submit(run.candidate, done)] = run
        else:
            self.study.finish(run.trial, found.objective, self.record(run.candidate, found), is_pruned)
            self._done += 1
        self._tell()

    def _refuse(self, trial: optuna.Trial, error: LbtError) -> None:
        self.study.refuse(trial, str(error))
        self._done += 1
        self._tell()

    def _tell(self) -> None:
        if self.tick is not None:
            done = self._done * self.folds + sum(len(run.outcomes) for run in self._runs.values())
            self.tick(f"{self.config.trials} trials, fold by fold", done, self.config.trials * self.folds)
