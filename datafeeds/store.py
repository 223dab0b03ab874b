"""The store: candles, mark prices, funding and open interest of all markets on disk, safe to write to at any time.

::

    <root>/<venue>/<symbol>/<kind>[-<timeframe>]/manifest.json
                                                 2024-01.1f3a09c2.parquet     a month, named after its content

Rows are written beside what there is, and one move of the manifest makes them count, together with the time that
has been asked for. A process that is killed at any moment leaves the store as it was; two may write at once.
"""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, unquote

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from lstm_backtrader.candles import open_times
from lstm_backtrader.errors import ConfigError, DataError
from lstm_backtrader.own_files import own_path
from lstm_backtrader.whole_files import write_whole

from .series import Series, checked_rows, empty_rows
from .spans import Moment, Span, moment, runs, subtract
from .store_manifest import NAME, Part, SeriesManifest

logger = logging.getLogger(__name__)

_PATIENCE_S = 60.0  # another writer needs a part of a second
_INSTANT = pd.Timedelta(microseconds=1)  # a row without a length


def store_path() -> Path:
    """Where the user's store lies: `$LBT_STORE`, else in the user's own data folder."""
    return own_path("LBT_STORE", "data")


class Store:
    """Market data by series; all times are UTC, all spans [start, end)."""

    def __init__(self, root: str | Path | None = None) -> None:
        self.root = store_path() if root is None else Path(root)
        if self.root.exists() and not self.root.is_dir():
            raise ConfigError(f"the store {self.root} is a file. Give a directory.")

    def __repr__(self) -> str:
        return f"Store({str(self.root)!r})"

    # ---- reading

    def series(self) -> list[Series]:
        """All series there are, by name."""
        found = (self._series_of(path.parent) for path in sorted(self.root.glob(f"*/*/*/{NAME}")))
        return [series for series in found if series is not None]

    def read(self, series: Series, since: Moment | None = None, until: Moment | None = None) -> pd.DataFrame:
        """The rows from `since` to before `until`: index `time`, UTC, increasing; `series.columns`, float64.

        Reads the files of these months alone; no row is no error. Raises `DataError` where a file is damaged.
        """
        return pd.concat([empty_rows(series), *self.scan(series, since, until)])

    def scan(
        self, series: Series, since: Moment | None = None, until: Moment | None = None
    ) -> Iterator[pd.DataFrame]:
        """As `read`, month by month, so that memory holds one month at a time."""
        begin = None if since is None else moment(since, "since")
        end = None if until is None else moment(until, "until")
        if begin is not None and end is not None and begin > end:
            raise ConfigError(f"since {begin:%Y-%m-%d %H:%M} is after until {end:%Y-%m-%d %H:%M}. Swap them.")
        for part in self.manifest(series).parts:
            if (begin is not None and part.last < begin) or (end is not None and part.first >= end):
                continue
            rows = self._rows(series, part)
            inside = slice(begin and rows.index.searchsorted(begin), end and rows.index.searchsorted(end))
            yield rows.iloc[inside]

    def spans(self, series: Series) -> list[Span]:
        """The time that has been asked for and answered, whether there were rows or not."""
        return self.manifest(series).spans()

    def missing(self, series: Series, since: Moment, until: Moment) -> list[Span]:
        """What has not been asked for yet of the time from `since` to before `until`."""
        return subtract([(moment(since, "since"), moment(until, "until"))], self.spans(series))

    def gaps(self, series: Series) -> list[Span]:
        """Where the venue is known to have no rows."""
        return self.manifest(series).gap_spans()

    def manifest(self, series: Series) -> SeriesManifest:
        """What is known of a series; nothing, if it is not there. Raises `DataError` where it is damaged."""
        path = self.folder(series) / NAME
        try:
            content = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return SeriesManifest.of(series)
        return SeriesManifest.from_bytes(content, path, series)

    def folder(self, series: Series) -> Path:
        """Where a series lies."""
        name = series.kind if series.timeframe is None else f"{series.kind}-{series.timeframe}"
        return self.root / series.venue / quote(series.symbol, safe="") / name

    # ---- writing

    def append(self, series: Series, frame: pd.DataFrame, source: str, *, covered: Iterable[Span] = ()) -> None:
        """Add rows, all or none of them; rows for times there are already take the place of the old ones.

        `frame`: rows with the columns of the series, their times in the index or a column, in any order. `source`:
        where they come from, "bybit". `covered`: spans that they answer for, which count as asked for from the
        same instant as the rows are there; an empty frame with them says that there is nothing.

        Raises `DataError` for rows that are none of such a series, or where what is stored is damaged; `OSError`
        where it cannot be written. Either way everything stays as it was.
        """
        rows = checked_rows(series, frame, f"{series} from {source}")
        with self._changing(series) as old:
            fresh = [self._merged(series, old.part(month), part, source) for month, part in _by_month(rows)]
            new = old.with_parts(fresh).covering(covered)
            if old.gaps:
                new = new.without_gaps_at(runs(rows.index, series.step or _INSTANT))
            self._commit(series, new)

    def mark_covered(self, series: Series, start: Moment, end: Moment) -> None:
        """Note that the time from `start` to before `end` has been asked for and answered; after its rows."""
        with self._changing(series) as old:
            self._commit(series, old.covering([(moment(start, "start"), moment(end, "end"))]))

    def note_gaps(self, series: Series, gaps: Iterable[Span]) -> None:
        """Note where the venue has no rows, so that nobody looks for them again."""
        with self._changing(series) as old:
            self._commit(series, old.with_gaps((moment(start), moment(end)) for start, end in gaps))

    def forget(self, series: Series, months: Iterable[str]) -> None:
        """Drop the rows of these months, "2024-01", and that they were asked for: the next download brings them."""
        with self._changing(series) as old:
            self._commit(series, old.without_parts(months))

    def rebuild(self, series: Series) -> int:
        """Make a damaged manifest anew of the files of rows there are, and give the number of rows found.

        What was covered is taken to be the bars themselves; of funding, nothing.
        """
        folder = self.folder(series)
        with self._locked(series):
            found = []
            for path in sorted(folder.glob("*.parquet"), key=lambda path: path.stat().st_mtime):
                try:
                    found.append(rows_of_bytes(path.read_bytes()))
                except (pa.ArrowException, KeyError) as error:  # cut off, or somebody else's
                    logger.warning("%s is damaged and left out (%s)", path, str(error).splitlines()[0])
            rows = checked_rows(series, pd.concat([empty_rows(series), *found]), str(folder))
            parts = [self._merged(series, None, part, "rebuilt") for _, part in _by_month(rows)]
            spans = runs(rows.index, series.step) if series.step else []
            self._commit(series, SeriesManifest.of(series).with_parts(parts).covering(spans))
        return len(rows)

    # ---- files

    def _series_of(self, folder: Path) -> Series | None:
        """The series a folder holds by its name; None for a folder of something else."""
        kind, _, timeframe = folder.name.partition("-")
        try:
            return Series(folder.parent.parent.name, unquote(folder.parent.name), kind, timeframe or None)  # type: ignore[arg-type]  # checked there
        except ConfigError:
            return None

    def _rows(self, series: Series, part: Part) -> pd.DataFrame:
        """The rows of a part; of the one in its place, where a writer has replaced it meanwhile."""
        path = self.folder(series) / part.file
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            now = self.manifest(series).part(part.month)
            if now is not None and now.file != part.file:
                return self._rows(series, now)
            raise DataError(f"{path} is missing. {_REPAIR}") from None
        if hashlib.sha256(content).hexdigest() != part.sha256:
            raise DataError(f"{path} is damaged: its SHA-256 is not the manifest's. {_REPAIR}")
        return rows_of_bytes(content)

    def _merged(self, series: Series, old: Part | None, fresh: pd.DataFrame, source: str) -> Part:
        """The part of a month with `fresh` rows in it, written."""
        rows, sources = fresh, {source}
        if old is not None:
            before = self._rows(series, old)
            _tell_of_changes(series, before, fresh)
            rows = pd.concat([before[~before.index.isin(fresh.index)], fresh]).sort_index()
            sources |= set(old.sources)
        content = _to_parquet(rows)
        digest = hashlib.sha256(content).hexdigest()
        month = f"{rows.index[0]:%Y-%m}"
        path = self.folder(series) / f"{month}.{digest[:8]}.parquet"
        if old is None or old.sha256 != digest:
            write_whole(path, content)
        return Part(
            month=month,
            file=path.name,
            rows=len(rows),
            first=rows.index[0].to_pydatetime(),
            last=rows.index[-1].to_pydatetime(),
            sha256=digest,
            sources=tuple(sorted(sources)),
        )

    def _commit(self, series: Series, manifest: SeriesManifest) -> None:
        """Make `manifest` the truth, and sweep away what it does not name; under the lock."""
        folder = self.folder(series)
        write_whole(folder / NAME, manifest.to_bytes())
        kept = {part.file for part in manifest.parts}
        for path in (*folder.glob("*.parquet"), *folder.glob(".*.tmp")):
            if path.name not in kept:
                path.unlink(missing_ok=True)

    @contextmanager
    def _changing(self, series: Series) -> Iterator[SeriesManifest]:
        with self._locked(series):
            yield self.manifest(series)

    @contextmanager
    def _locked(self, series: Series) -> Iterator[None]:
        folder = self.folder(series)
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=_PATIENCE_S)
        try:
            lock.acquire()
        except Timeout as error:
            raise DataError(
                f"another process has been writing to {series} for {_PATIENCE_S:.0f} s. Wait for it, or end it."
            ) from error
        try:
            yield
        finally:
            lock.release()


_REPAIR = (
    "`lbt data --verify` lists all that is; with --repair it forgets these months, and `lbt download` fetches them "
    "again."
)


def _by_month(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each month, "2024-01", that has any."""
    months = pd.DatetimeIndex(rows.index).strftime("%Y-%m")
    return [(str(month), part) for month, part in rows.groupby(months)]


def _tell_of_changes(series: Series, before: pd.DataFrame, fresh: pd.DataFrame) -> None:
    both = before.index.intersection(fresh.index)
    changed = (before.loc[both] != fresh.loc[both]).any(axis=1)
    if changed.any():
        logger.warning(
            "%s: %d rows differ from those stored, first at %s; the new ones are kept",
            series,
            int(changed.sum()),
            f"{both[changed.to_numpy()][0]:%Y-%m-%d %H:%M}",
        )


def _to_parquet(rows: pd.DataFrame) -> bytes:
    """The same bytes for the same rows, in whatever steps they came."""
    times = pa.array(open_times(rows.index) // 1000).cast(pa.timestamp("us", tz="UTC"))
    columns = {name: pa.array(rows[name].to_numpy()) for name in rows.columns}
    buffer = io.BytesIO()
    pq.write_table(pa.table({"time": times, **columns}), buffer, compression="zstd", row_group_size=1 << 20)
    return buffer.getvalue()


def rows_of_bytes(content: bytes) -> pd.DataFrame:
    table = pq.read_table(io.BytesIO(content))
    index = pd.DatetimeIndex(
        pd.to_datetime(table["time"].cast(pa.int64()).to_numpy(), unit="us", utc=True)
    ).as_unit("ns")
    columns = {name: table[name].to_numpy() for name in table.column_names if name != "time"}
    return pd.DataFrame(columns, index=index.rename("time"))
