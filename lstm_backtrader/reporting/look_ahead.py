"""Whether models and code of a run were ever audited for look-ahead: what the report says, and what to type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lstm_backtrader.forecast.audit_record import AuditRecord, Subject, class_subject, find, model_subject
from lstm_backtrader.indicators.lstm import LSTMSignal
from lstm_backtrader.reporting.notes import Note


@dataclass(frozen=True)
class LookAhead:
    """A model, strategy or indicator of a run, and its newest audit; None without one."""

    subject: Subject
    record: AuditRecord | None

    @property
    def state(self) -> str:
        """`not run`, `found` or `clean`."""
        if self.record is None:
            return "not run"
        return "found" if self.record.findings else "clean"

    def document(self) -> dict[str, Any]:
        """As metrics.json has it."""
        told = {"kind": self.subject.kind, "name": self.subject.name, "state": self.state}
        record = self.record
        return told | {
            "code_sha256": self.subject.sha256,
            "audited": None if record is None else record.audited.isoformat(timespec="seconds"),
            "version": None if record is None else record.version,
            "findings": None if record is None else record.findings,
            "orders": None if record is None else record.orders,
            "checks": None if record is None else record.checks,
            "bars": None if record is None else record.bars,
            "span": None if record is None else [record.begin.isoformat(), record.last.isoformat()],
            "data_sha256": None if record is None else record.data_sha256,
        }

    def sentence(self) -> str:
        """When it was looked at, on which bars, and what was found."""
        record = self.record
        if record is None:
            return "not checked"
        found = "clean" if not record.findings else f"{record.findings} finding{'s' * (record.findings != 1)}"
        orders = "" if record.orders is None else f", {record.orders:,} orders"
        return (
            f"{found}, checked {record.audited:%Y-%m-%d %H:%M} UTC by {record.version} on {record.bars:,} bars, "
            f"{record.begin:%Y-%m-%d} to {record.last:%Y-%m-%d}{orders} (data {record.data_sha256})"
        )


def look_ahead_of(results: object) -> tuple[LookAhead, ...]:
    """Of every model, strategy class and indicator class in `results`, what this package ships left out.

    An indicator is named only where its own audit found something: that of its strategy covers it otherwise.
    """
    subjects: dict[Subject, None] = {}
    for strategy in results if isinstance(results, list) else [results]:
        subjects |= dict.fromkeys(_subjects(strategy))
    found = [LookAhead(subject, find(subject)) for subject in subjects]
    return tuple(each for each in found if each.subject.kind != "indicator" or each.state == "found")


def look_ahead_notes(found: Sequence[LookAhead]) -> tuple[Note, ...]:
    """Red where the newest audit found something; yellow where there is none, or one of a run without an order."""
    notes = []
    for each in found:
        if each.record is not None and each.record.findings:
            text = (
                f"LOOK-AHEAD: the audit of {_named(each.subject)} on {each.record.audited:%Y-%m-%d} was not clean, "
                f"so no figure here can be believed. {_remedy([each.subject])} shows where."
            )
            notes.append(Note("look-ahead found", text, "red"))
        elif each.record is not None and each.record.orders == 0:
            text = (
                f"The look-ahead check of {_named(each.subject)} saw no order, so it proves little: repeat it on "
                "bars on which the strategy trades."
            )
            notes.append(Note("look-ahead check saw no order", text))
    unknown = [each.subject for each in found if each.record is None]
    if unknown:
        text = (
            f"Not checked for look-ahead, or changed since: {', '.join(map(_named, unknown))}. {_remedy(unknown)} "
        )
        notes.append(Note("look-ahead check not run", f"{text}checks it."))
    return tuple(notes)


def look_ahead_rows(found: Sequence[LookAhead]) -> Mapping[str, str]:
    """For the table of where a report comes from."""
    return {f"{each.subject.kind} {each.subject.name}": each.sentence() for each in found}


def _named(subject: Subject) -> str:
    lies = "" if subject.sha256 else ", whose code is in no file (move it into a module)"
    return f"{subject.kind} {subject.name}{lies}"


def _remedy(subjects: Sequence[Subject]) -> str:
    """What to type: the command takes one subject of each kind, and no model that is in no directory."""
    commands: list[dict[str, str]] = []
    for subject in subjects:
        fitting = next((each for each in commands if subject.kind not in each), None)
        if fitting is None:
            commands.append(fitting := {})
        fitting[subject.kind] = subject.option
    lines = [" ".join(["lbt audit --data CANDLES", *(o for o in each.values() if o)]) for each in commands]
    lines = [f"`{line}`" for line, each in zip(lines, commands, strict=True) if any(each.values())]
    in_memory = any(not subject.option for subject in subjects)
    return " and ".join([*lines, *(["`lbt.audit(model, candles)`"] if in_memory else [])])


def _subjects(strategy: object) -> Iterator[Subject]:
    if not hasattr(strategy, "getindicators"):  # a bare record, or what an optimisation keeps of a run
        return
    own = class_subject("strategy", type(strategy))
    if own is not None:
        yield own
    yield from _below(strategy)


def _below(owner: Any) -> Iterator[Subject]:
    for child in owner.getindicators():
        model = model_subject(child.forecaster) if isinstance(child, LSTMSignal) else None
        kind = class_subject("indicator", type(child))
        yield from (each for each in (model, kind) if each is not None)
        if hasattr(child, "getindicators"):
            yield from _below(child)
