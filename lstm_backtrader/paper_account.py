"""What a paper account is on disk: what it was opened with, its bars, and its figures at the last of them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from filelock import FileLock, Timeout
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from lstm_backtrader.datafeeds.journal import Journal
from lstm_backtrader.errors import ConfigError, DataError
from lstm_backtrader.whole_files import write_whole

PLAN, STATE, BARS = "paper.json", "account.json", "bars.jsonl"
Document = TypeVar("Document", bound=BaseModel)


class PaperTerms(BaseModel):
    """What is traded, and how: the same for as long as the account lives."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    series: str
    model: str
    model_sha256: dict[str, str]
    account: dict[str, Any]  # the options that are no defaults
    strategy: str = "LSTMFutures"
    parameters: dict[str, Any] = {}  # of the strategy, besides those the options stand for


class PaperPlan(BaseModel):
    """What a paper account was opened with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = 1
    since: AwareDatetime  # first bar of the warm-up
    start: AwareDatetime  # first bar that may be traded
    terms: PaperTerms


class AccountState(BaseModel):
    """The account at the close of a bar."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bar: AwareDatetime  # its open
    close: float
    signal: float
    position: float
    cash: float
    equity: float
    fees: float
    funding: float

    def __str__(self) -> str:
        return (
            f"{self.bar:%Y-%m-%d %H:%M}  close {self.close:,.8g}  signal {self.signal:+.0f}  "
            f"position {self.position:+g}  equity {self.equity:,.8g}"
        )

    def differs_from(self, other: AccountState) -> str:
        """The first figure that is another in `other`, in words; empty if none is."""
        for name in ("position", "cash", "equity", "fees", "funding"):
            here, there = getattr(self, name), getattr(other, name)
            if not math.isclose(here, there, rel_tol=1e-9, abs_tol=1e-9):
                return f"{name} {here:g} instead of {there:g}"
        return ""


class PaperFolder:
    """The folder of one paper account."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.journal = Journal(self.path / BARS)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes out meanwhile. Raises `ConfigError` where one is in already."""
        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / ".lock", timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise ConfigError(
                f"another process is running the account in {self.path}. Stop it, or give another folder."
            ) from error
        try:
            yield
        finally:
            lock.release()

    def plan(self) -> PaperPlan | None:
        """What the account was opened with; None for a new one, or one that was refused before it saw a bar."""
        return _read(self.path / PLAN, PaperPlan) if self.journal.path.exists() else None

    def open(self, plan: PaperPlan) -> PaperPlan:
        """Begin a new account."""
        _write(self.path / PLAN, plan)
        return plan

    def state(self) -> AccountState | None:
        """The account at the last bar; None before the first."""
        return _read(self.path / STATE, AccountState)

    def save(self, state: AccountState) -> None:
        """Keep the account of a bar."""
        _write(self.path / STATE, state)

    def check(self, terms: PaperTerms) -> None:
        """Raises `ConfigError` for other terms than the account's own, `DataError` where bars are lost."""
        plan, state = self.plan(), self.state()
        if plan is not None:
            # as JSON has them: what was typed may be a tuple, or a contract
            before, now = (json.loads(each.model_dump_json()) for each in (plan.terms, terms))
            _check_same(before, now, self.path)
        if state is not None:
            seen = self.journal.read()
            if seen.empty or seen.index[-1] < pd.Timestamp(state.bar):
                raise DataError(
                    f"{self.journal.path} ends before {state.bar:%Y-%m-%d %H:%M}, the bar that was saved last. "
                    f"Restore the file, or begin a new account in another folder."
                )

    def check_replay(self, state: AccountState, saved: AccountState) -> None:
        """Raises `DataError` where the bars of the journal lead to another account than was saved."""
        difference = state.differs_from(saved)
        if difference:
            raise DataError(
                f"{self.path}: the bars of the journal lead to {difference} at {state.bar:%Y-%m-%d %H:%M}. The "
                f"code of the strategy, its features or this package has changed since. Begin a new account in "
                f"another folder."
            )


def _check_same(kept: Mapping[str, Any], typed: Mapping[str, Any], folder: Path) -> None:
    """Refuse an option that is not the account's own."""
    for name in sorted({*kept, *typed}):
        before, now = kept.get(name), typed.get(name)
        if isinstance(before, dict) and isinstance(now, dict):
            _check_same(before, now, folder)
        elif before != now:
            option = name.replace("_", "-")
            was, given = ("its default" if each is None else each for each in (before, now))
            raise ConfigError(
                f"the account in {folder} was opened with {option} {was}, not {given}. Give the same again, or "
                f"another folder for another account."
            )


def _write(path: Path, document: BaseModel) -> None:
    write_whole(path, document.model_dump_json(indent=1).encode() + b"\n")


def _read(path: Path, kind: type[Document]) -> Document | None:
    """What a file of the account says; None where there is none yet."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise DataError(
            f"{path} is damaged ({place}: {first['msg']}). Restore it, or begin a new account in another folder."
        ) from error
