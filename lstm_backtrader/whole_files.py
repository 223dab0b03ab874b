"""Files that are either there whole or not at all: written beside their place, then moved into it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` to `path`, on the disk before this returns; after a crash or an error the old file stands.

    Raises `OSError` that names the path.
    """
    with placing(path) as temporary, temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def placing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it takes the place of `path` where the block ends without an error."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:  # a write that fails does not say where
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)
