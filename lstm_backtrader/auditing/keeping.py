"""The parts of an audit, and what is kept of them for the reports of the same code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import backtrader as bt
import pandas as pd

from lstm_backtrader.candles import candles_sha256
from lstm_backtrader.forecast.audit_record import AuditRecord, Subject, class_subject, keep, model_subject
from lstm_backtrader.forecast.findings import AuditReport, merged


@dataclass(frozen=True)
class Step:
    """One part: `look` does it. `subject`: the class or forecaster it is of, None if of data or columns."""

    name: str
    look: Callable[[], AuditReport]
    candles: pd.DataFrame  # that it looks at
    subject: object = None


def keep_audits(steps: Sequence[Step], reports: Sequence[AuditReport]) -> list[Path]:
    """Keep a record of every subject of `steps`, whose `reports` are all there; gives the files written.

    What was found of no subject counts for each.
    """
    subjects = {id(step.subject): step.subject for step in steps if step.subject is not None}
    found = []
    for subject in subjects.values():
        known = _subject(subject)
        if known is None or known.sha256 is None:
            continue
        parts = zip(steps, reports, strict=True)
        of_it = [report for step, report in parts if step.subject is None or step.subject is subject]
        candles = next(step.candles for step in steps if step.subject is subject)
        path = keep(_record(known, known.sha256, merged(of_it), candles))
        found += [] if path is None else [path]
    return found


def _subject(subject: object) -> Subject | None:
    if not isinstance(subject, type):
        return model_subject(subject)
    return class_subject("strategy" if issubclass(subject, bt.Strategy) else "indicator", subject)


def _record(subject: Subject, sha256: str, report: AuditReport, candles: pd.DataFrame) -> AuditRecord:
    return AuditRecord(
        kind=subject.kind,
        subject=subject.name,
        sha256=sha256,
        audited=datetime.now(UTC),
        version=version("lstm-backtrader"),
        data_sha256=candles_sha256(candles),
        begin=candles.index[0],
        last=candles.index[-1],
        bars=len(candles),
        checks=tuple(dict.fromkeys(check.name for check in report.checks)),
        findings=len(report.findings),
        orders=report.orders,
    )
