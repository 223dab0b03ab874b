"""Write the files of a report: all of them or none, and plain values as JSON has them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lstm_backtrader.errors import ReportError


def plain(value: Any) -> Any:
    """`value` as JSON has it: numpy numbers unwrapped, times as text, undefined numbers null."""
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def is_page(path: Path) -> bool:
    """Whether a report goes into one HTML file; else it is a folder."""
    return path.suffix.lower() == ".html"


def check_place(path: Path) -> None:
    """Raises ReportError where something else stands in the place of a report, before any work is done for it."""
    if is_page(path) and path.is_dir():
        raise ReportError(
            f"{path} is a directory. Name a page in it, {path / 'report.html'}, or another directory."
        )
    if not is_page(path) and path.is_file():
        raise ReportError(f"{path} is a file. Name a directory, or a page ending in .html.")


def write_text(file: Path, text: str) -> None:
    """As UTF-8."""
    file.write_text(text, encoding="utf-8")


def write_together(files: Mapping[Path, Callable[[Path], None]]) -> None:
    """Write every file beside its place first, then move all into place; on an error leave nothing new behind."""
    waiting = {path: path.with_name(f".{path.name}.{os.getpid()}.tmp") for path in files}
    try:
        for path, write in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            write(waiting[path])
        for path, temporary in waiting.items():
            temporary.replace(path)
    finally:
        for temporary in waiting.values():
            temporary.unlink(missing_ok=True)
