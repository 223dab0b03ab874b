"""The files `lbt train` learns from: one instrument, or several with a model directory each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lstm_backtrader.errors import ConfigError


@dataclass(frozen=True)
class TrainFiles:
    """Of one instrument: its name, what is read, and where its model goes."""

    name: str
    data: Path
    funding: Path | None
    mark: Path | None
    out: Path


def train_files(
    data: Sequence[Path], funding: Sequence[Path] | None, mark: Sequence[Path] | None, out: Path
) -> tuple[TrainFiles, ...]:
    """One entry for each of `data`; a single one goes to `out` itself, several each to a folder of its name.

    Raises `ConfigError` where funding or mark prices do not go with the data one by one, or two share a name.
    """
    names = [market_name(path) for path in data]
    twice = next((name for number, name in enumerate(names) if name in names[:number]), None)
    if twice is not None:
        raise ConfigError(f"--data: two files are called {twice}, which names the model of each. Rename one.")
    fundings, marks = _beside("funding", funding, len(data)), _beside("mark", mark, len(data))
    return tuple(
        TrainFiles(name, path, rates, prices, out if len(data) == 1 else out / name.replace("/", "-"))
        for name, path, rates, prices in zip(names, data, fundings, marks, strict=True)
    )


def _beside(option: str, files: Sequence[Path] | None, count: int) -> list[Path | None]:
    """One of `files` for each of the data, or none."""
    if files and len(files) != count:
        raise ConfigError(
            f"{count} --data need {count} --{option}, and {len(files)} came. Give one for each, in the same order."
        )
    return list(files) if files else [None] * count


def market_name(data: Path) -> str:
    """What trials on these candles are filed under."""
    from lstm_backtrader.candle_files import names_series

    return str(data) if names_series(data) else data.stem
