"""Where the files lie that are the user's own and not those of one project: ledger, store, audits."""

from __future__ import annotations

import os
from pathlib import Path


def own_path(variable: str, name: str) -> Path:
    """`$variable`; without it `name` in `$XDG_DATA_HOME/lstm_backtrader` or `~/.local/share/lstm_backtrader`."""
    chosen = os.environ.get(variable)
    if chosen:
        return Path(chosen)
    home = os.environ.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / "lstm_backtrader" / name
