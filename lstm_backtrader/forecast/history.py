"""How a training went: a row at each evaluation of a net, kept as JSON lines beside the weights."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lstm_backtrader.errors import ModelError

HISTORY = "history.jsonl"


@dataclass(frozen=True)
class HistoryRow:
    """One evaluation. Losses are Huber's, of labels in units of volatility; None where they are not finite.

    `train_loss`: mean over the steps since the row before. `model`: in a schedule, from when on the model
    is used (ISO 8601, UTC); None for a single model.
    """

    seed: int
    step: int
    learning_rate: float
    train_loss: float | None
    validation_loss: float | None
    is_best: bool
    model: str | None = None


def finite(value: float) -> float | None:
    """The value, or None where JSON has no word for it."""
    return value if math.isfinite(value) else None


def history_lines(rows: Sequence[HistoryRow]) -> str:
    """The rows as JSON lines; those of a single model without the key `model`."""
    plain = [
        {name: value for name, value in asdict(row).items() if (name, value) != ("model", None)} for row in rows
    ]
    return "".join(json.dumps(row) + "\n" for row in plain)


def read_history(folder: Path) -> tuple[HistoryRow, ...]:
    """The history beside a model; empty where there is none. Raises `ModelError` for a line that is no row."""
    path = folder / HISTORY
    if not path.is_file():
        return ()
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            rows.append(HistoryRow(**json.loads(line)))
        except (ValueError, TypeError) as error:
            raise ModelError(
                f"{path}: line {number} is no row of a training ({error}). Remove the file, or train again."
            ) from error
    return tuple(rows)
