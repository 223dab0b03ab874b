"""A TOML file of options for the command `lbt`, checked before it is used.

Keys are the names of options without their dashes. Those at the top are of the command that is run; a table
`[train]`, `[walk-forward]`, `[tune]` or `[backtest]` holds those of one command, so that a file can serve all four.
`walk-forward` and `tune`, which train and trade, also take what they know of `[train]` and `[backtest]`. Paths are
relative to the file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model

from lstm_backtrader.errors import ConfigError

OWN = ("out", "from_", "until", "model")  # never taken from another command's table
INHERITED = {"walk-forward": ("train", "backtest"), "tune": ("train", "backtest")}

Options = Mapping[str, Mapping[str, Any]]  # command -> parameter -> type, which is whatever a signature says


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def read_config(path: Path, command: str, options: Options) -> dict[str, object]:
    """The values the file gives for `command`, by parameter; what is typed goes before them.

    `options` names the parameters of every command and their types. Raises `ConfigError` for what is no TOML, an
    unknown key, or a value of the wrong type.
    """
    given = read_toml(path, "--config")
    tables = {name: given.pop(name) for name in options if isinstance(given.get(name), dict)}
    try:
        found = _checked(given, options[command])
        sections = {name: _checked(table, options[name], f"[{name}] ") for name, table in tables.items()}
    except _UnknownError as unknown:
        raise ConfigError(f"{path}: {unknown.explain(command, options)}") from None
    except _WrongError as wrong:
        raise ConfigError(f"{path}: {wrong}") from None
    for other in INHERITED.get(command, ()):
        shared = options[command].keys() - OWN
        found |= {name: value for name, value in sections.get(other, {}).items() if name in shared}
    found |= sections.get(command, {})
    return {
        name: _for_command_line(_one(name, value, options[command], command, path), path.parent)
        for name, value in found.items()
    }


def _one(name: str, value: object, types: Mapping[str, Any], command: str, path: Path) -> object:
    """A list of one as that one, where the command takes no more."""
    if not isinstance(value, list) or _is_list(types[name]):
        return value
    if len(value) > 1:
        raise ConfigError(
            f"{path}: {option_name(name)} names {len(value)} files and `lbt {command}` takes one. Put the others "
            f"under the command that takes them."
        )
    return value[0]


def read_toml(path: Path, option: str) -> dict[str, Any]:
    """The tables of a file, underscores in keys as dashes. `option`: where it was named. Raises `ConfigError`."""
    try:
        return _dashed(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}). Give a TOML file to {option}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no TOML ({error}). Write lines such as `horizon = 24`.") from error


def option_name(parameter: str) -> str:
    """The option of a parameter.

    >>> option_name("from_"), option_name("learning_rate")
    ('from', 'learning-rate')
    """
    return parameter.rstrip("_").replace("_", "-")


def _dashed(table: dict[str, Any]) -> dict[str, Any]:
    return {
        key.replace("_", "-"): _dashed(value) if isinstance(value, dict) else value for key, value in table.items()
    }


def _checked(table: dict[str, Any], types: Mapping[str, Any], place: str = "") -> dict[str, object]:
    """The values of a table by parameter, each of the type it must have."""
    fields: dict[str, Any] = {
        parameter: (_in_file(kind), Field(default=None, alias=option_name(parameter)))
        for parameter, kind in types.items()
    }
    try:
        checked = create_model("options", __base__=_Table, **fields).model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            raise _UnknownError(place, key, types) from error
        raise _WrongError(f"{place}{key}: {first['msg'].lower()}, not {first['input']!r}.") from error
    return {name: getattr(checked, name) for name in checked.model_fields_set}


def _in_file(kind: Any) -> Any:
    """The type a TOML value must have for a parameter of type `kind`."""
    kind = _plain(kind)
    if kind == list[Path]:  # a single one may stand alone
        return Annotated[list[Annotated[Path, Field(strict=False)]], BeforeValidator(_as_list)]
    if kind is datetime:
        return Annotated[date, Field(strict=False)]
    return Annotated[Path, Field(strict=False)] if kind is Path else kind


def _plain(kind: Any) -> Any:
    """The type of a parameter that may also be left out."""
    if isinstance(kind, UnionType):
        return next(part for part in get_args(kind) if part is not type(None))
    return kind


def _is_list(kind: Any) -> bool:
    return get_origin(_plain(kind)) is list


def _as_list(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _for_command_line(value: object, folder: Path) -> object:
    if isinstance(value, list):
        return [_for_command_line(each, folder) for each in value]
    if isinstance(value, Path):
        return str(folder / value)
    return value.isoformat() if isinstance(value, date) else value


class _WrongError(Exception):
    """A value of another type; becomes a `ConfigError` that names the file."""


class _UnknownError(Exception):
    """A key that is no option; becomes a `ConfigError` that names the file."""

    def __init__(self, place: str, key: str, types: Mapping[str, Any]) -> None:
        super().__init__(key)
        self.place = place
        self.key = key
        self.types = types

    def explain(self, command: str, options: Options) -> str:
        """What was meant, as far as one can tell."""
        known = [*map(option_name, self.types), *(() if self.place else options)]
        others = [name for name, types in options.items() if self.key in map(option_name, types)]
        if others:
            here = f"[{command}] " if not self.place else self.place
            return f"'{self.key}' is no option of {here.strip()}. Put it under [{others[0]}]."
        meant = get_close_matches(self.key, known, n=1)
        remedy = f"Did you mean '{meant[0]}'?" if meant else f"Known are {', '.join(sorted(known))}."
        return f"{self.place}unknown key '{self.key}'. {remedy}"
