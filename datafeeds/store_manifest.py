"""What the store knows of a series besides its rows: a small JSON file, the truth about which rows there are.

A file of rows that the manifest does not name does not exist. So one move of the manifest into its place makes
rows, coverage and gaps new at once, and a process killed at any moment leaves the old ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import pandas as pd
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from lstm_backtrader.errors import DataError

from .series import Kind, Series
from .spans import Span, subtract, union

NAME = "manifest.json"

Stretch = tuple[AwareDatetime, AwareDatetime]


class Part(BaseModel):
    """The rows of one month, in one Parquet file that is named after its content."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    month: str  # "2024-01"
    file: str
    rows: int
    first: AwareDatetime
    last: AwareDatetime
    sha256: str  # of the file's bytes
    sources: tuple[str, ...]  # where its rows came from


class SeriesManifest(BaseModel):
    """One series: its parts in order, what was asked and answered, and what the venue is known not to have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    venue: str
    symbol: str
    kind: Kind
    timeframe: str | None
    parts: tuple[Part, ...] = ()
    covered: tuple[Stretch, ...] = ()  # [start, end), asked and answered, whether there were rows or not
    gaps: tuple[Stretch, ...] = ()  # [start, end), looked for twice and not there

    @classmethod
    def of(cls, series: Series) -> SeriesManifest:
        """Of a series nothing is known of yet."""
        return cls(venue=series.venue, symbol=series.symbol, kind=series.kind, timeframe=series.timeframe)

    @classmethod
    def from_bytes(cls, content: bytes, path: object, series: Series) -> SeriesManifest:
        """Read one; raises `DataError` where it is damaged or another series' own."""
        try:
            manifest = cls.model_validate_json(content)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "the file"
            raise DataError(
                f"{path}: the manifest is damaged ({place}: {first['msg']}). "
                f"`lbt data --verify --repair` makes it anew of the rows that are there."
            ) from error
        if manifest.series != series:
            raise DataError(
                f"{path}: the manifest is that of {manifest.series}, not of {series}. "
                f"`lbt data --verify --repair` makes it anew of the rows that are there."
            )
        return manifest

    def to_bytes(self) -> bytes:
        return self.model_dump_json(indent=1).encode() + b"\n"

    @property
    def series(self) -> Series:
        return Series(self.venue, self.symbol, self.kind, self.timeframe)

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(sorted({source for part in self.parts for source in part.sources}))

    def part(self, month: str) -> Part | None:
        return next((part for part in self.parts if part.month == month), None)

    def with_parts(self, fresh: Iterable[Part]) -> SeriesManifest:
        """With `fresh` in place of the parts of the same months."""
        parts = {part.month: part for part in (*self.parts, *fresh)}
        return self.model_copy(update={"parts": tuple(parts[month] for month in sorted(parts))})

    def without_parts(self, months: Iterable[str]) -> SeriesManifest:
        """Without these months: their rows are gone, and have not been asked for."""
        gone = set(months)
        lost = [month_span(month) for month in gone]
        return self.model_copy(
            update={
                "parts": tuple(part for part in self.parts if part.month not in gone),
                "covered": _stretches(subtract(self.spans(), lost)),
                "gaps": _stretches(subtract(self.gap_spans(), lost)),
            }
        )

    def spans(self) -> list[Span]:
        return _spans(self.covered)

    def gap_spans(self) -> list[Span]:
        return _spans(self.gaps)

    def covering(self, spans: Iterable[Span]) -> SeriesManifest:
        """With `spans` asked and answered, too."""
        return self.model_copy(update={"covered": _stretches(union([*self.spans(), *spans]))})

    def with_gaps(self, spans: Iterable[Span]) -> SeriesManifest:
        """With `spans` known to be empty, too."""
        return self.model_copy(update={"gaps": _stretches(union([*self.gap_spans(), *spans]))})

    def without_gaps_at(self, rows: Iterable[Span]) -> SeriesManifest:
        """Without gaps where there are rows now."""
        return self.model_copy(update={"gaps": _stretches(subtract(self.gap_spans(), rows))})


def month_span(month: str) -> Span:
    """All of a month "2024-01", UTC."""
    start = pd.Timestamp(f"{month}-01", tz="UTC")
    return start, start + pd.DateOffset(months=1)


def _spans(stretches: Iterable[Stretch]) -> list[Span]:
    return [(pd.Timestamp(start), pd.Timestamp(end)) for start, end in stretches]


def _stretches(spans: Iterable[Span]) -> tuple[Stretch, ...]:
    return tuple((start.to_pydatetime(), end.to_pydatetime()) for start, end in spans)
