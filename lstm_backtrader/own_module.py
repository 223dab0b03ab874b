"""A Python file of the user's own, imported by its path so that the features and labels in it are registered."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from lstm_backtrader.errors import ConfigError


def import_file(path: Path) -> ModuleType:
    """The module of a file, under its stem as name; imported once. Raises `ConfigError` where that cannot be."""
    file = path.resolve()
    loaded = sys.modules.get(file.stem)
    if loaded is not None:
        if getattr(loaded, "__file__", None) == str(file):
            return loaded
        raise ConfigError(
            f"{path} would hide the module '{file.stem}', which is in use. Give the file another name."
        )
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None or not file.is_file():
        raise ConfigError(f"{path} is no Python file. Give the one that registers your features and labels.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    is_whole = False
    try:
        spec.loader.exec_module(module)
        is_whole = True
    except SyntaxError as error:
        raise ConfigError(f"{error.filename}, line {error.lineno}: {error.msg}. Mend it.") from error
    except ImportError as error:
        raise ConfigError(
            f"{path} cannot be imported: {error}. Install what it needs, or mend the line."
        ) from error
    finally:
        if not is_whole:
            del sys.modules[file.stem]
    return module
