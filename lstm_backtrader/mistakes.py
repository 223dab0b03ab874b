"""A user's mistake is one line and exit code 1, whichever of our commands is run."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lstm_backtrader.errors import LbtError

INTERRUPTED = 130  # exit code of a command that Ctrl-C ended, which typer leaves with


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """End the program with the line of a mistake made within; warnings of the package reach the terminal."""
    try:
        with _warnings_shown():
            yield
    except LbtError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        print(f"Error: {where}{error.strerror or error}. Choose another path, or make room.", file=sys.stderr)
        sys.exit(1)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            print("Stopped; nothing half-written was left.", file=sys.stderr)
        raise


@contextmanager
def _warnings_shown() -> Iterator[None]:
    """Let the package's own warnings (a seam, a missing forecast, a refused order) reach the terminal."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter("Warning: %(message)s"))
    logger = logging.getLogger("lstm_backtrader")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
