"""What an audit says: findings, the checks they come from, and the report that holds both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from lstm_backtrader.errors import LookAheadError


@dataclass(frozen=True)
class Finding:
    """One thing that should not be: which check found it, in which line, at which bar, and by how much."""

    check: str
    name: str  # the line, feature or column
    time: pd.Timestamp | None  # open of the bar, UTC; None where it concerns no single bar
    amount: float  # in units of the line
    text: str  # what is wrong, in a sentence that goes on after the name

    def __str__(self) -> str:
        at = "" if self.time is None else f" at {self.time:%Y-%m-%d %H:%M}"
        return f"{self.check}: {self.name}{at} {self.text}"


@dataclass(frozen=True)
class Check:
    """One check of one subject: how many values it compared, what it found, and what else is worth knowing."""

    name: str
    subject: str
    compared: int
    findings: tuple[Finding, ...] = ()
    note: str = ""
    orders: int | None = None  # placed by a strategy meanwhile

    @property
    def is_clean(self) -> bool:
        return not self.findings


@dataclass(frozen=True)
class AuditReport:
    """All checks of an audit; reports add up with ``+``."""

    checks: tuple[Check, ...] = ()

    def __add__(self, other: AuditReport) -> AuditReport:
        return AuditReport(self.checks + other.checks)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Those of all checks."""
        return tuple(finding for check in self.checks for finding in check.findings)

    @property
    def orders(self) -> int | None:
        """How many a strategy placed; None where none was audited."""
        known = [check.orders for check in self.checks if check.orders is not None]
        return sum(known) if known else None

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def lines(self) -> list[str]:
        """The report as text: a line a check, then a line a finding."""
        rows = [
            f"{'clean' if check.is_clean else 'DIRTY'}  {check.name} of {check.subject}: "
            f"{check.compared} compared, {len(check.findings)} found{f'; {check.note}' if check.note else ''}"
            for check in self.checks
        ]
        return [*rows, *map(str, self.findings)]

    def raise_if_dirty(self) -> None:
        """Raise `LookAheadError` that names every finding, if there is one."""
        if self.findings:
            raise LookAheadError("\n".join(("the audit is not clean:", *map(str, self.findings))))


def merged(reports: Iterable[AuditReport]) -> AuditReport:
    """One report of many."""
    return AuditReport(tuple(check for report in reports for check in report.checks))
