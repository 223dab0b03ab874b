"""Rules of a strategy as a user writes them in one word: hours as 8-19, a size as risk:0.01."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from difflib import get_close_matches

from lstm_backtrader.errors import ConfigError
from lstm_backtrader.strategies.rules import Sizing
from lstm_backtrader.strategies.sizing import CappedKelly, FixedNotional, RiskPerTrade, VolatilityTarget

BY_FRACTION = "fraction"  # of leverage times equity, which is an option of its own
SIZINGS = {"notional": FixedNotional, "risk": RiskPerTrade, "volatility": VolatilityTarget, "kelly": CappedKelly}
_WRITTEN = "fraction, notional:5000, risk:0.01, volatility:0.3 or kelly:0.25"


def read_numbers(name: str, text: str, most: int, unit: str) -> tuple[int, ...]:
    """Whole numbers from 0 to `most`, in order: single ones and spans between commas, both ends included.

    A span may lead over the end. Empty text is none. Raises `ConfigError` under `name`.

    >>> read_numbers("hours", "8-10, 14", 23, "UTC"), read_numbers("hours", "22-1", 23, "UTC")
    ((8, 9, 10, 14), (0, 1, 22, 23))
    """
    parts = text.split(",") if text.strip() else []
    return tuple(sorted({number for part in parts for number in _span(name, part, most, unit)}))


def _span(name: str, part: str, most: int, unit: str) -> Iterator[int]:
    ends = [each.strip() for each in part.split("-")]
    if len(ends) > 2 or not all(each.isdecimal() and int(each) <= most for each in ends):
        raise ConfigError(
            f"{name} '{part.strip()}' must be whole numbers from 0 to {most}, {unit}. "
            "Write 1-5, or 1,3,5; both ends count."
        )
    first, last = int(ends[0]), int(ends[-1])
    for step in range((last - first) % (most + 1) + 1):
        yield (first + step) % (most + 1)


def read_sizing(text: str) -> Sizing | None:
    """The rule of a size; None for that by `fraction`.

    After the name comes its number, then others by name: ``kelly:0.25:most=2``. Raises `ConfigError`.
    """
    name, *values = (each.strip() for each in text.split(":"))
    if name == BY_FRACTION and not values:
        return None
    if name not in SIZINGS:
        meant = get_close_matches(name, SIZINGS, n=1)
        hint = f" Did you mean {meant[0]}?" if meant else " --fraction says which." if name == BY_FRACTION else ""
        raise ConfigError(f"sizing '{text}' is unknown.{hint} Write {_WRITTEN}.")
    rule = SIZINGS[name]
    known = [each.name for each in fields(rule) if each.name != "calibrate"]  # a function cannot be typed
    given: dict[str, float] = {}
    for value in values:
        key, equals, number = value.partition("=") if given or "=" in value else (known[0], "=", value)
        try:
            if not equals or key not in known or key in given:
                raise ValueError(key)
            given[key] = float(number)
        except ValueError as error:
            raise ConfigError(
                f"sizing '{text}': '{value}' is not understood. {name} takes {', '.join(known)}; "
                f"a number alone is the first of them. Write {_WRITTEN}."
            ) from error
    if name == "notional" and not given:
        raise ConfigError(f"sizing '{text}' does not say how much. Write notional:5000, in the settlement coin.")
    try:
        made: Sizing = rule(**given)
    except ConfigError as error:
        raise ConfigError(f"sizing '{text}': {error}") from error
    return made
