"""What is kept of an audit: a small file for each model and class, found again as long as its code is the same.

The files lie in `$LBT_AUDITS`, else in `$XDG_DATA_HOME/lstm_backtrader/audits` or
`~/.local/share/lstm_backtrader/audits`, each named after the hash of what was audited; `LBT_AUDITS=off` keeps none.
The newest audit of the same code stands, for better or worse.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from lstm_backtrader.forecast.source_files import is_shipped, place_of, source_sha256
from lstm_backtrader.own_files import own_path
from lstm_backtrader.whole_files import write_whole

logger = logging.getLogger(__name__)

Kind = Literal["model", "strategy", "indicator"]


@dataclass(frozen=True)
class Subject:
    """What can be audited and found again."""

    kind: Kind
    name: str  # module:Class, or of a model its directory
    sha256: str | None  # of its code, and of a model its weights; None of a class that is in no file
    option: str = ""  # of `lbt audit`, to have it audited; none for a model that is in no directory


class AuditRecord(BaseModel):
    """One audit that came to its end."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    kind: Kind
    subject: str
    sha256: str
    audited: AwareDatetime
    version: str  # of this package
    data_sha256: str  # of the candles it looked at, their numbers
    begin: AwareDatetime
    last: AwareDatetime
    bars: int
    checks: tuple[str, ...]
    findings: int
    orders: int | None  # that a strategy placed meanwhile


def class_subject(kind: Kind, given: type) -> Subject | None:
    """A class of the user's own; None for one that is shipped."""
    if is_shipped(given):
        return None
    place = place_of(given)
    option = "" if kind == "model" else f"--{kind} {shlex.quote(place)}"
    return Subject(kind, place, source_sha256(given), option)


def model_subject(model: object) -> Subject | None:
    """A forecaster: by its fingerprint where it has one, else by its class; None for one that is shipped."""
    fingerprint, folder = getattr(model, "fingerprint", None), getattr(model, "folder", None)
    if fingerprint is None:
        return class_subject("model", type(model))
    sha256 = hashlib.sha256(f"model {fingerprint}".encode()).hexdigest()
    if folder is None:
        return Subject("model", str(getattr(model, "name", type(model).__name__)), sha256)
    here = Path.cwd()
    place = str(folder.relative_to(here) if folder.is_relative_to(here) else folder)
    return Subject("model", place, sha256, f"--model {shlex.quote(place)}")


def audits_directory() -> Path | None:
    """Where the user's audits are kept; None if nowhere."""
    return None if os.environ.get("LBT_AUDITS") == "off" else own_path("LBT_AUDITS", "audits")


def keep(record: AuditRecord) -> Path | None:
    """Write the record, in place of an older one of the same code; its path, None where it cannot be kept.

    A folder that cannot be written to is a warning: the audit was not in vain.
    """
    folder = audits_directory()
    if folder is None:
        return None
    path = folder / f"{record.sha256}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, record.model_dump_json(indent=1).encode() + b"\n")
    except OSError as error:
        logger.warning(
            "reports will not know of this audit: %s cannot be written (%s). Set LBT_AUDITS to a folder that can.",
            folder,
            error.strerror or error,
        )
        return None
    return path


def find(subject: Subject) -> AuditRecord | None:
    """The newest audit of exactly this code; None without one. A damaged record is none, and a warning."""
    folder = audits_directory()
    if folder is None or subject.sha256 is None:
        return None
    path = folder / f"{subject.sha256}.json"
    try:
        return AuditRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        logger.warning("%s cannot be read (%s), so the audit does not count", path, error.strerror or error)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        logger.warning("%s is damaged (%s: %s) and does not count. Run the audit again.", path, place, first["msg"])
    return None
