"""Where a report comes from: versions, machine, command and commit, and how whole the data were."""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lstm_backtrader.candles import bar_seconds, format_timeframe, open_times
from lstm_backtrader.reporting.tables import cell, row, table

PACKAGES = ("lstm-backtrader", "backtrader", "quantstats", "plotly", "pandas", "numpy")
_GIT_S = 5


def provenance() -> dict[str, object]:
    """Versions, Python, the command that was typed, and the commit of the working directory if it is under git."""
    return {
        "versions": {name: version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "commit": _commit(),
    }


def span_of(index: pd.Index[pd.Timestamp]) -> dict[str, Any]:
    """First and last open, bars, their measured length, and how many are missing between them."""
    times = open_times(pd.DatetimeIndex(index))
    first, last = pd.Timestamp(index[0]), pd.Timestamp(index[-1])
    step_s = bar_seconds(times) if len(times) > 1 else None
    missing = 0
    if step_s is not None:
        steps = np.diff(times) / (step_s * 1e9)
        missing = int(np.maximum(np.rint(steps) - 1, 0).sum())
    return {
        "start": _stamp(first),
        "end": _stamp(last),
        "bars": len(index),
        "bar": None if step_s is None else format_timeframe(step_s),
        "missing_bars": missing,
    }


def provenance_section(parts: Mapping[str, Mapping[str, object]], inputs: Mapping[str, object]) -> str:
    """What was run, `parts` by their heading, and the inputs, folded away."""
    versions = inputs.get("versions")
    flat = {name: value for name, value in inputs.items() if name not in ("versions", "parameters")}
    origin = {**flat, **(versions if isinstance(versions, Mapping) else {})}
    shown = "".join(
        f"<h3>{heading}</h3>{_table(values)}"
        for heading, values in {**parts, "Where it comes from": origin}.items()
        if any(v is not None for v in values.values())
    )
    return f"<details><summary>Parameters, model and versions</summary>{shown}</details>" if shown else ""


def _table(values: Mapping[str, object]) -> str:
    rows = [row(str(name), [cell(_said(value), "text")]) for name, value in values.items() if value is not None]
    return table("parameters", rows)


def _said(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str) or not isinstance(value, Sequence):
        return str(value)
    return ", ".join(map(str, value)) or "none"


def _stamp(time: pd.Timestamp) -> str:
    return (time.tz_localize("UTC") if time.tz is None else time.tz_convert("UTC")).isoformat()


def _commit() -> str | None:
    """Of the working directory; with a plus where something was changed since."""
    try:
        head, changed = (
            subprocess.run(
                ["git", *command], capture_output=True, text=True, timeout=_GIT_S, check=True
            ).stdout.strip()
            for command in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.SubprocessError):  # no git, or no repository
        return None
    return f"{head}{'+' if changed else ''}"
