"""Arrays of float64 kept in files, for what can be computed again: a damaged file is a warning and no array."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lstm_backtrader.whole_files import placing

logger = logging.getLogger(__name__)


def read_array(path: Path, shape: tuple[int, ...]) -> NDArray[np.float64] | None:
    """The array of that shape; None where there is no such file, or no such array in it."""
    try:
        values = np.load(path)
    except FileNotFoundError:
        return None
    except (ValueError, EOFError, OSError) as error:
        logger.warning("%s is damaged (%s) and is computed again", path, error)
        return None
    is_whole = isinstance(values, np.ndarray) and values.dtype == np.float64 and values.shape == shape
    return values if is_whole else None


def write_array(path: Path, values: NDArray[np.float64]) -> None:
    """Put it in its place whole."""
    with placing(path) as temporary, temporary.open("wb") as file:
        np.save(file, values)
