"""Technical analysis as an entry filter: any Backtrader indicator or lines expression, in one line."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

from lstm_backtrader.strategies.line_exits import Line, made_on
from lstm_backtrader.strategies.situation import Situation


@dataclass(frozen=True, eq=False)  # lines compare as lines
class Confluence:
    """Enter long only where a line is above zero, short only where it is below.

    `line`: a line, or a function that makes one of a data::

        entries=[Confluence(lambda data: data.close - bt.ind.SMA(data, period=200))]

    NaN lets nothing in.
    """

    line: Line  # or a function of a data that makes one
    name: str = "confluence"

    def bind(self, data: Any) -> Self:
        """With its line made on `data`."""
        return replace(self, line=made_on(self.line, data))

    def refusal(self, situation: Situation) -> str | None:
        value = float(self.line[0])
        return None if situation.side * value > 0.0 else f"{self.name} is {value:g}"


@dataclass(frozen=True, eq=False)  # lines compare as lines
class When:
    """Enter, either way, only where a line is true: ``When(lambda data: bt.ind.ADX(data) > 25)``; NaN is not."""

    line: Line  # or a function of a data that makes one
    name: str = "when"

    def bind(self, data: Any) -> Self:
        """With its line made on `data`."""
        return replace(self, line=made_on(self.line, data))

    def refusal(self, situation: Situation) -> str | None:
        value = float(self.line[0])
        return None if value == value and value != 0.0 else f"{self.name} is {value:g}"
