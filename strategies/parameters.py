"""Parameters of a strategy that a user types: each with its unit, its range and its default."""

from __future__ import annotations

import ast
import inspect
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any

from backtrader.strategy import MetaStrategy, Strategy

from lstm_backtrader.errors import ConfigError

PRICE = "a fraction of the price: 0.02 is 2 %"
MARGIN = "a fraction of the margin: 0.2 is 20 %"
EQUITY = "a fraction of equity: 0.02 is 2 %"


@dataclass(frozen=True)
class Parameter:
    """One parameter. `unit` and `meaning` are for the reader, `range` says what `allows` lets through."""

    name: str
    default: object
    unit: str
    range: str
    meaning: str
    allows: Callable[[Any], bool]

    def check(self, value: object) -> None:
        """Raises `ConfigError` with the range where `value` is outside it."""
        if value is not None and not self.allows(value):
            hint = f" It is {self.unit}." if self.unit else ""
            raise ConfigError(f"{self.name}={value!r} must be {self.range}.{hint} The default is {self.default!r}.")


def number(
    name: str, default: float | None, low: float, high: float, unit: str, meaning: str, ends: str = "[)"
) -> Parameter:
    """A number from `low` to `high`; `ends` says which of them is allowed, as mathematicians write it."""
    shown = f"in {ends[0]}{low:g}, {high:g}{ends[1]}"
    if -low == high == math.inf:
        shown = "any number"
    elif high == math.inf:
        shown = f"{low:g} or more" if ends[0] == "[" else f"above {low:g}"

    def allows(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return False
        is_above = value >= low if ends[0] == "[" else value > low
        return bool(is_above and (value <= high if ends[1] == "]" else value < high))

    return Parameter(name, default, unit, shown, meaning, allows)


def whole(name: str, default: int | None, low: int, unit: str, meaning: str) -> Parameter:
    """A whole number, `low` or more."""

    def allows(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and value >= low

    return Parameter(name, default, unit, f"a whole number, {low} or more", meaning, allows)


def switch(name: str, meaning: str) -> Parameter:
    """True or False, which is the default."""
    return Parameter(name, False, "", "True or False", meaning, lambda value: isinstance(value, bool))


def choice(name: str, options: Sequence[str], meaning: str) -> Parameter:
    """One of several words, of which the first is the default."""
    shown = f"{', '.join(map(repr, options[:-1]))} or {options[-1]!r}"
    return Parameter(name, options[0], "", shown, meaning, lambda value: value in options)


def numbers_from_zero(name: str, most: int, unit: str, meaning: str) -> Parameter:
    """Several whole numbers from 0 to `most`, in a list, tuple or range; empty is the default."""

    def allows(value: Any) -> bool:
        return isinstance(value, list | tuple | range | set | frozenset) and all(
            isinstance(each, int) and each in range(most + 1) for each in value
        )

    return Parameter(name, (), unit, f"whole numbers from 0 to {most}, as (5, 6)", meaning, allows)


def anything(name: str, default: object, range_: str, meaning: str, unit: str = "") -> Parameter:
    """What is checked where it is used."""
    return Parameter(name, default, unit, range_, meaning, lambda value: True)


def rules(name: str, methods: Sequence[str], meaning: str) -> Parameter:
    """A list of rules, objects with these methods."""

    def allows(value: Any) -> bool:
        return isinstance(value, list | tuple) and all(
            hasattr(each, method) and not isinstance(each, type) for each in value for method in methods
        )

    shown = " and ".join(f"`{method}`" for method in methods)
    return Parameter(name, (), "", f"a list of objects with {shown}", meaning, allows)


def rule(name: str, method: str, meaning: str) -> Parameter:
    """One rule, an object with this method; None is the default."""

    def allows(value: Any) -> bool:
        return callable(getattr(value, method, None)) and not isinstance(value, type)

    return Parameter(name, None, "", f"an object with `{method}`", meaning, allows)


def table(parameters: Sequence[Parameter]) -> str:
    """The parameters as a table in Markdown, in their order."""
    rows = ["| parameter | default | range | unit | what it is |", "|---|---|---|---|---|"]
    for each in parameters:
        cells = (f"`{each.name}`", f"`{each.default!r}`", each.range, each.unit.partition(":")[0], each.meaning)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def typed(texts: Sequence[str]) -> dict[str, object]:
    """Parameters as they are typed at a command line, each value as Python writes it, or a word.

    >>> typed(["reenter=True", "hours=(8, 9)", "leave_on=flip"])
    {'reenter': True, 'hours': (8, 9), 'leave_on': 'flip'}
    """
    found: dict[str, object] = {}
    for text in texts:
        name, is_pair, value = text.partition("=")
        if not (is_pair and name.isidentifier()):
            raise ConfigError(f"{text!r} is no parameter. Write name=value, say reenter=True.")
        try:
            found[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[name] = value
    return found


class StrategyWithParameters(MetaStrategy):
    """Backtrader's class of strategies, with an answer to a parameter that there is not."""

    def doprenew(cls, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 - of a metaclass, whose self is a class
        known = list(cls.params._getkeys())
        unknown = [name for name in kwargs if name not in known and not _takes(cls, name)]
        if unknown:
            meant = get_close_matches(unknown[0], known, n=1)
            remedy = f"Did you mean {meant[0]}?" if meant else f"It takes {', '.join(known)}."
            raise ConfigError(f"{cls.__name__} has no parameter '{unknown[0]}'. {remedy}")
        return super().doprenew(*args, **kwargs)


def _takes(cls: type, name: str) -> bool:
    """Whether an `__init__` that the class has of its own takes an argument of that name."""
    begin = cls.__init__  # type: ignore[misc]  # of this very class
    if begin is Strategy.__init__:
        return False
    taken = inspect.signature(begin).parameters
    return name in taken or any(each.kind is inspect.Parameter.VAR_KEYWORD for each in taken.values())


def moment(name: str, value: object) -> datetime | None:
    """`value` as Backtrader's clock counts: UTC without a zone, which one without a zone is taken to be.

    Raises `ConfigError` for what is neither a datetime nor the text of one.
    """
    if value is None:
        return None
    if isinstance(value, str):
        with suppress(ValueError):  # said below
            value = datetime.fromisoformat(value)
    if not isinstance(value, datetime):
        raise ConfigError(
            f"{name}={value!r} is not a datetime. Pass datetime(2025, 1, 1, tzinfo=UTC) or '2025-01-01'."
        )
    return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
