"""The ledger of all trials: one line of JSON each, only ever added to, so that nothing tried is forgotten.

It lies in `$LBT_LEDGER`, else in `$XDG_DATA_HOME/lstm_backtrader/ledger.jsonl` or
`~/.local/share/lstm_backtrader/ledger.jsonl`: one for all of a user's runs, because luck does not start afresh in
a new directory.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from pydantic import ValidationError

from lstm_backtrader.forecast.trials import Trial
from lstm_backtrader.own_files import own_path

logger = logging.getLogger(__name__)

_PATIENCE_S = 60.0  # another writer needs milliseconds


def ledger_path() -> Path:
    """Where the user's ledger lies."""
    return own_path("LBT_LEDGER", "ledger.jsonl")


@dataclass(frozen=True)
class Lines:
    """What a ledger holds: its trials, the newest line of each key, and what is wrong with the other lines."""

    trials: tuple[Trial, ...]
    damaged: tuple[str, ...] = ()


class Ledger:
    """The file of trials; several processes may write to it at once."""

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = ledger_path() if path is None else Path(path)

    def __repr__(self) -> str:
        return f"Ledger({str(self.path)!r})"

    def read(self) -> Lines:
        """All trials, in the order in which they were first tried; empty where there is no file yet.

        A line that a crash has torn, or that is no trial, is left out and named.
        """
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            return Lines(())
        trials: dict[str, Trial] = {}
        damaged = []
        for number, line in enumerate(text.split(b"\n"), start=1):
            if not line.strip():
                continue
            try:
                trial = Trial.model_validate_json(line)
            except ValidationError as error:
                damaged.append(f"{self.path}, line {number} is no trial and does not count: {_reason(error)}")
                continue
            trials[trial.key] = trial
        return Lines(tuple(trials.values()), tuple(damaged))

    def record(self, trial: Trial) -> tuple[Trial, ...]:
        """Add the trial, unless it is there already, and give all there are, this one included.

        Where the ledger cannot be written a warning says so and the work goes on; the trial is lost to later runs.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self.path.with_name(f"{self.path.name}.lock"), timeout=_PATIENCE_S):
                lines = self.read()
                known = next((each for each in lines.trials if each.key == trial.key), None)
                if known is None or not trial.says_the_same_as(known):
                    self._append(trial)
        except OSError as error:
            logger.warning(
                "this trial is not counted in later runs: %s cannot be written (%s). Set LBT_LEDGER to a file that "
                "can.",
                self.path,
                error.strerror or error,
            )
            lines = self.read() if os.access(self.path, os.R_OK) and self.path.is_file() else Lines(())
        for each in lines.damaged:
            logger.warning("%s", each)
        return tuple({**{each.key: each for each in lines.trials}, trial.key: trial}.values())

    def _append(self, trial: Trial) -> None:
        """One line by one write, on the disk before this returns; a torn line before it is ended first."""
        line = trial.model_dump_json().encode() + b"\n"
        with self.path.open("a+b", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            if end:
                file.seek(end - 1)
                if file.read(1) != b"\n":
                    line = b"\n" + line
            written = file.write(line)
            os.fsync(file.fileno())
        if written != len(line):
            raise OSError(None, f"only {written} of {len(line)} bytes were written", str(self.path))


def _reason(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else first["msg"]
