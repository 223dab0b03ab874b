"""What `lbt data` does with the store: list it, check and repair it, and move files in and out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lstm_backtrader.datafeeds.series import Series, parse_series
from lstm_backtrader.datafeeds.store import Store
from lstm_backtrader.datafeeds.store_check import repair, verify
from lstm_backtrader.datafeeds.store_files import candle_files, export, freqtrade_series, import_file
from lstm_backtrader.errors import ConfigError


@dataclass(frozen=True)
class DataRequest:
    """The options of `lbt data`; one thing at a time. Raises `ConfigError` for options that do not go together."""

    verify: bool = False
    repair: bool = False
    export: str | None = None  # a series
    out: Path | None = None
    since: datetime | None = None
    until: datetime | None = None
    import_: Path | None = None
    as_: str | None = None
    venue: str | None = None

    def __post_init__(self) -> None:
        asked = [self.verify or self.repair, self.export is not None, self.import_ is not None]
        if sum(asked) > 1:
            raise ConfigError("--verify, --export and --import are three commands. Give one of them.")
        if self.export is not None and self.out is None:
            raise ConfigError("--export needs a file to write. Add --out candles.parquet.")
        if self.export is None and (self.out or self.since or self.until):
            raise ConfigError("--out, --since and --until belong to --export. Add --export venue:symbol:timeframe.")
        if self.import_ is None and (self.as_ or self.venue):
            raise ConfigError("--as and --venue belong to --import. Add --import FILE.")
        if self.as_ is not None and self.venue is not None:
            raise ConfigError(
                "--as names one file's series, --venue the venue of freqtrade's files. Give one of them."
            )
        if self.import_ is not None and self.as_ is None and self.venue is None:
            raise ConfigError(
                "--import needs to know whose the rows are. Add --as bybit:BTC/USD:BTC:1h for a file, or "
                "--venue bybit for files named as freqtrade does."
            )


def check(store: Store, mend: bool) -> Iterator[str]:
    """A line for each damage; with `mend`, what was done about it, too."""
    for series in store.series():
        for damage in verify(store, series):
            yield f"{damage}\n  {repair(store, damage)}" if mend else str(damage)


def export_series(store: Store, request: DataRequest) -> str:
    """Write the series asked for, and say what was written."""
    series = parse_series(request.export or "")
    out = request.out or Path()
    rows = export(store, series, out, request.since, request.until)
    return f"{rows:,} rows of {series} written to {out}"


def import_files(store: Store, request: DataRequest) -> Iterator[str]:
    """Read the files asked for into the store, and say of each what it was."""
    path = request.import_ or Path()
    if request.as_ is not None:
        yield _imported(store, path, parse_series(request.as_))
        return
    found = [(file, freqtrade_series(file, request.venue or "")) for file in candle_files(path)]
    if not any(series for _, series in found):
        raise ConfigError(
            f"{path}: no name is one that freqtrade gives to candles, mark prices or funding. Say what a file is: "
            f"--as {request.venue}:BTC/USD:BTC:1h."
        )
    for file, series in found:
        if series is None:
            yield f"{file}: left out, its name is none that freqtrade gives to candles, mark prices or funding"
        else:
            yield _imported(store, file, series)


def _imported(store: Store, path: Path, series: Series) -> str:
    return f"{path}: {import_file(store, path, series):,} rows into {series}"
