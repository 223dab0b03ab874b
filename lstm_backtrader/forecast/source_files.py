"""A class of the user's own by its code: the Python files it is written in, and those these import."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

_SHIPPED = ("lstm_backtrader", "backtrader")
_INSTALLED = {"site-packages", "dist-packages"}
_STANDARD = Path(sysconfig.get_path("stdlib"))


def is_shipped(kind: type) -> bool:
    """Whether a class is this package's, Backtrader's or Python's own."""
    return kind.__module__.partition(".")[0] in (*_SHIPPED, *sys.stdlib_module_names)


def place_of(kind: type) -> str:
    """``module:Class``, as one types it; of a script its file's name stands for the module."""
    name = kind.__module__
    if name == "__main__":
        file = getattr(sys.modules.get(name), "__file__", None)
        name = name if file is None else Path(file).stem
    return f"{name}:{kind.__qualname__}"


def source_sha256(kind: type) -> str | None:
    """SHA-256 of the class's name and of the files its code is in; None where it is in none, as in a notebook.

    These are the files of the class and its bases, and whatever they import, installed packages left out. A script
    and the same file imported as a module count as one.
    """
    if _source(sys.modules.get(kind.__module__)) is None:
        return None
    own = kind.__module__.partition(".")[0]
    modules = [module for base in kind.__mro__ if (module := sys.modules.get(base.__module__))]
    found: dict[Path, bytes] = {}
    while modules:
        module = modules.pop()
        path = _source(module)
        if path is None or path in found or not _is_own(module, path, own):
            continue
        found[path] = path.read_bytes()
        modules.extend(_imported(module, found[path]))
    files = sorted(hashlib.sha256(content).hexdigest() for content in found.values())
    return hashlib.sha256(f"{kind.__qualname__} {files}".encode()).hexdigest()


def _source(module: ModuleType | None) -> Path | None:
    """The file of Python a module was made of, if it is still there."""
    file = getattr(module, "__file__", None)
    path = None if file is None else Path(file).resolve()
    return path if path is not None and path.suffix == ".py" and path.is_file() else None


def _is_own(module: ModuleType, path: Path, own: str) -> bool:
    """Whether a module is code of the user's: none of an installed package, but for the one the class is of."""
    top = module.__name__.partition(".")[0]
    if top in _SHIPPED:
        return False
    return top == own or not (_INSTALLED & {*path.parts} or path.is_relative_to(_STANDARD))


def _imported(module: ModuleType, content: bytes) -> Iterator[ModuleType]:
    """Every module that the code of `module` imports anywhere, as far as that has happened, and its package."""
    package = sys.modules.get(module.__name__.rpartition(".")[0])
    if package is not None:
        yield package
    try:
        tree = ast.parse(content)
    except SyntaxError:  # edited since it was imported
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, module)
            names = [] if base is None else [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        yield from (found for name in names if (found := sys.modules.get(name)))


def _absolute(node: ast.ImportFrom, module: ModuleType) -> str | None:
    """The full name of the module an import is from; None where there is no such package, as in a script."""
    relative = "." * node.level + (node.module or "")
    try:
        return importlib.util.resolve_name(relative, module.__package__)
    except ImportError:
        return None
