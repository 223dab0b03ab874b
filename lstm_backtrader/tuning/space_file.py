"""A TOML file that says what a search may vary, checked before anything is tried.

Tables `[train]` and `[backtest]`, keys as in the house's file of options. A list is a choice, a table such as
`{low = 1e-3, high = 1e-2, log = true}` a range, a single value fixed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from lstm_backtrader.backtesting import BacktestConfig
from lstm_backtrader.config_file import option_name, read_toml
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.forecast.train_config import TrainConfig
from lstm_backtrader.tuning.space import MULTIPLE, Choice, Dimension, Range, Space, Value, is_multiple

# What is no matter of choice: how the test is made, and what the market costs.
GIVEN = {
    "train": ("seed", "val_fraction", "embargo", "events", "expires_days"),
    "backtest": ("contract", "cash", "margin_mode", "intrabar", "fee_bps", "slippage_bps", "allow_insample"),
}
_WORDS = {int: "whole number", float: "number", str: "text", bool: "true or false"}
_EXAMPLES = {
    int: "[8, 16, 32], {low = 8, high = 32} or 16",
    float: "[0.001, 0.01], {low = 0.001, high = 0.01, log = true} or 0.003",
    str: '["lstm", "rnn"] or "lstm"',
    bool: "[true, false] or true",
}


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class _Whole(_Table):
    low: int
    high: int
    step: int | None = None
    log: bool = False


class _Real(_Table):
    low: float
    high: float
    step: float | None = None
    log: bool = False


class _Subset(_Table):
    always: list[str] = []
    any_of: list[str]


def read_space(path: Path) -> Space:
    """The space of a file. Raises `ConfigError` with file, key and what was probably meant."""
    given = read_toml(path, "--space")
    try:
        return _space(given)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _space(given: Mapping[str, Any]) -> Space:
    kinds = {
        "train": _kinds(TrainConfig, "train"),
        "backtest": {**_kinds(BacktestConfig, "backtest"), MULTIPLE: float},
    }
    for name, table in given.items():
        if name not in kinds or not isinstance(table, dict):
            raise ConfigError(_unknown(name, kinds, "Put options under [train] or [backtest]."))
    found: dict[str, dict[str, Dimension]] = {"train": {}, "backtest": {}}
    always: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    for name, table in given.items():
        for key, value in table.items():
            parameter, place = key.replace("-", "_"), f"[{name}] {key}"
            if parameter in GIVEN[name]:
                raise ConfigError(
                    f"{place} is given and not searched. Type --{key}, or put it into a --config file."
                )
            if (name, key) == ("train", "features") and isinstance(value, dict):
                subset = _checked(place, _Subset, {part.replace("-", "_"): each for part, each in value.items()})
                always, any_of = tuple(subset.always), tuple(subset.any_of)
            elif parameter in kinds[name]:
                found[name][parameter] = _dimension(place, kinds[name][parameter], value)
            else:
                raise ConfigError(f"[{name}] {_unknown(key, map(option_name, kinds[name]))}")
    return Space(found["train"], found["backtest"], always, any_of)


def _kinds(config: type, table: str) -> dict[str, type]:
    """Field -> type of its values, of the fields that can be searched."""
    kinds: dict[str, type] = {"features": str} if table == "train" else {}
    for name, hint in get_type_hints(config).items():
        kind = hint
        if isinstance(hint, UnionType):
            kind = next(part for part in get_args(hint) if part is not type(None))
        if get_origin(kind) is Literal:
            kind = str
        if kind in _WORDS and name not in GIVEN[table]:
            kinds[name] = kind
    return kinds


def _dimension(place: str, kind: type, given: object) -> Dimension:
    if isinstance(given, dict):
        return _range(place, kind, given)
    values = given if isinstance(given, list) else [given]
    checked = tuple(_value(place, kind, each) for each in values)
    if not checked or len(set(checked)) < len(checked):
        raise ConfigError(f"{place}: {given!r} is empty or names a value twice. Write {_EXAMPLES[kind]}.")
    return Choice(checked)


def _value(place: str, kind: type, given: object) -> Value:
    try:
        value: Value = TypeAdapter(kind, config=ConfigDict(strict=True, allow_inf_nan=False)).validate_python(given)
    except ValidationError as error:
        raise ConfigError(f"{place}: {given!r} is no {_WORDS[kind]}. Write {_EXAMPLES[kind]}.") from error
    return value


def _range(place: str, kind: type, given: dict[str, Any]) -> Range:
    if kind not in (int, float):
        raise ConfigError(f"{place} has no range. Write {_EXAMPLES[kind]}.")
    table = _checked(place, _Whole if kind is int else _Real, given)
    if not table.low < table.high:
        raise ConfigError(f"{place}: low {table.low} must be below high {table.high}.")
    if table.log and not table.low > 0:
        raise ConfigError(f"{place}: low {table.low} has no logarithm. Leave log out, or begin above 0.")
    if table.step is not None and (table.log or not 0 < table.step <= table.high - table.low):
        raise ConfigError(f"{place}: step {table.step} must lie between 0 and high - low, and goes without log.")
    if table.step is not None and not is_multiple(table.high - table.low, table.step):
        raise ConfigError(f"{place}: steps of {table.step} do not lead from {table.low} to {table.high}.")
    return Range(table.low, table.high, table.step, table.log)


def _checked(place: str, model: type[_Table], given: dict[str, Any]) -> Any:
    """The table as a model, one of several that have different fields, hence Any."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
        key = option_name(str(first["loc"][0]))
        if first["type"] == "extra_forbidden":
            raise ConfigError(f"{place}: {_unknown(key, map(option_name, model.model_fields))}") from error
        if first["type"] == "missing":
            raise ConfigError(f"{place}: '{key}' is missing.") from error
        raise ConfigError(f"{place}.{key}: {first['msg'].lower()}, not {first['input']!r}.") from error


def _unknown(key: str, known: Iterable[str], otherwise: str = "") -> str:
    names = sorted(known)
    meant = get_close_matches(key, names, n=1)
    remedy = f"Did you mean '{meant[0]}'?" if meant else otherwise or f"Known are {', '.join(names)}."
    return f"unknown key '{key}'. {remedy}"
