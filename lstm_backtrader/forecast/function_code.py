"""What a function computes, as bytes: its code, and the functions and values of its own package it uses.

So that a number computed by an older version is told apart, whichever line of it has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import CodeType, FunctionType

import numpy as np


def function_code(function: Callable[..., object]) -> bytes:
    """Equal in every process where the function, its helpers and the constants they read are the same.

    Other packages count by the names used of them, an object that is no plain value by its type.
    """
    return b"\x00".join(_of(function, str(function.__module__).partition(".")[0], set()))


def _of(value: object, package: str, seen: set[int]) -> Iterator[bytes]:
    """The parts of any value a function of `package` can reach; what was `seen` is not entered twice."""
    value = getattr(value, "__wrapped__", value)
    if isinstance(value, FunctionType | type) and str(value.__module__).partition(".")[0] == package:
        yield value.__qualname__.encode()
        if id(value) in seen:
            return
        seen.add(id(value))
        if isinstance(value, FunctionType):
            yield from _of_function(value, package, seen)
        else:
            for name, member in sorted(vars(value).items()):
                if isinstance(member, FunctionType):
                    yield name.encode()
                    yield from _of_function(member, package, seen)
    elif isinstance(value, CodeType):
        yield value.co_code + repr((value.co_names, value.co_varnames, value.co_freevars)).encode()
        yield from _of(value.co_consts, package, seen)
    elif isinstance(value, np.ndarray):
        yield repr((value.dtype.str, value.shape)).encode() + value.tobytes()
    elif isinstance(value, tuple | list | dict):
        yield f"{type(value).__name__} {len(value)}".encode()
        for part in value.items() if isinstance(value, dict) else value:
            yield from _of(part, package, seen)
    elif isinstance(value, set | frozenset):  # whose order changes with the process
        yield repr(sorted(map(repr, value))).encode()
    elif value is None or isinstance(value, bool | int | float | complex | str | bytes):
        yield repr(value).encode()
    else:
        yield str(getattr(value, "__name__", type(value).__qualname__)).encode()


def _of_function(function: FunctionType, package: str, seen: set[int]) -> Iterator[bytes]:
    yield from _of(function.__code__, package, seen)
    yield from _of((function.__defaults__, function.__kwdefaults__), package, seen)
    for cell in function.__closure__ or ():
        yield from _of(cell.cell_contents, package, seen)
    for name in sorted(_names(function.__code__) & function.__globals__.keys()):
        yield from _of(function.__globals__[name], package, seen)


def _names(code: CodeType) -> set[str]:
    """Globals (and attributes) a function names, in comprehensions and functions within it too."""
    return set(code.co_names).union(*(_names(part) for part in code.co_consts if isinstance(part, CodeType)))
