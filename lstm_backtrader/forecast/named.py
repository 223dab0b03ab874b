"""Features and labels by name with parameters: checked against their function, read from and written as text."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import Any

from lstm_backtrader.errors import ConfigError

Params = Mapping[str, int | float | str]


def check_name(kind: str, name: str, known: Collection[str]) -> None:
    """Raises `ConfigError` where there is no feature or label (`kind`) of that name."""
    if name not in known:
        meant = get_close_matches(name, known, n=1)
        hint = f" Did you mean {meant[0]}?" if meant else ""
        raise ConfigError(
            f"unknown {kind} '{name}'.{hint} Known: {', '.join(sorted(known))}. "
            f"If it is your own, import the module that registers it first."
        )


def complete(kind: str, name: str, params: Params, declared: Callable[..., int]) -> Params:
    """All parameters of a feature or label, defaults but None included, so that a later default changes no model.

    `declared` gives memory or horizon of the parameters, and says by its signature which there are. Whole numbers
    count bars and are 1 or more. Raises `ConfigError`.
    """
    signature = inspect.signature(declared)
    try:
        bound = signature.bind(**params)
    except TypeError as error:
        raise ConfigError(
            f"{kind} '{name}' takes {', '.join(signature.parameters) or 'no parameter'}, "
            f"not {', '.join(params) or 'none'}."
        ) from error
    bound.apply_defaults()
    values: dict[str, Any] = dict(bound.arguments)
    for parameter in signature.parameters.values():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            values |= values.pop(parameter.name)
        else:
            _check_type(kind, name, parameter, values[parameter.name])
    return {key: value for key, value in values.items() if value is not None}


def _check_type(kind: str, name: str, parameter: inspect.Parameter, value: object) -> None:
    """A value must be of its annotation, or where there is none, of the type of its default."""
    given = parameter.annotation
    if given is parameter.empty and parameter.default is not parameter.empty:
        given = type(parameter.default)
    wanted = str(getattr(given, "__name__", given))
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    rule = {
        "int": ("a whole number, 1 or more", isinstance(value, int) and is_number and value >= 1),
        "float": ("a number", is_number),
        "str": ("a word", isinstance(value, str)),
    }.get(wanted)
    if rule is not None and not rule[1]:
        raise ConfigError(f"{kind} '{name}': {parameter.name} {value!r} is not {rule[0]}.")


def parse(text: str) -> tuple[str, dict[str, int | float | str]]:
    """A name and its parameters from text.

    >>> parse("rsi:span=14")
    ('rsi', {'span': 14})
    >>> parse("clock:cycle=day:wave=sin")
    ('clock', {'cycle': 'day', 'wave': 'sin'})
    """
    name, *pairs = (part.strip() for part in text.split(":"))
    params = {}
    for pair in pairs:
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not (key and equals and value):
            raise ConfigError(f"'{text}': '{pair}' is no parameter. Write name:key=value, say log_return:span=24.")
        if key in params:
            raise ConfigError(f"'{text}' says {key} twice. Say it once.")
        params[key] = _number_or_word(value)
    return name, params


def show(name: str, params: Params) -> str:
    """As `parse` reads it: ``log_return:span=24``."""
    return ":".join([name, *(f"{key}={value}" for key, value in params.items())])


def _number_or_word(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
