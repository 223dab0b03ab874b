"""Exits that leave at the next open: a time limit, a signal that turned, funding that is about to be due."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from lstm_backtrader.errors import ConfigError
from lstm_backtrader.strategies.rules import ExitOrder
from lstm_backtrader.strategies.situation import Situation


class MarketExit:
    """An exit without orders of its own: it asks to leave, and the position is closed at the next open."""

    def orders(self, situation: Situation) -> Sequence[ExitOrder]:
        """None."""
        return ()


@dataclass(frozen=True)
class TimeLimit(MarketExit):
    """Leave at the open `time_limit_bars` bars after the one that entered: reason "time_limit"."""

    time_limit_bars: int

    def __post_init__(self) -> None:
        if not (isinstance(self.time_limit_bars, int) and self.time_limit_bars >= 1):
            raise ConfigError(f"time_limit_bars={self.time_limit_bars} must be a whole number of bars, 1 or more.")

    def leaves(self, situation: Situation) -> str | None:
        return "time_limit" if situation.bars_held >= self.time_limit_bars else None


@dataclass(frozen=True)
class SignalFlip(MarketExit):
    """Leave when the side wanted is the other one, or with `on_flat` no longer the own: reason "signal"."""

    on_flat: bool = False

    def leaves(self, situation: Situation) -> str | None:
        is_over = situation.side != situation.held if self.on_flat else situation.side == -situation.held
        return "signal" if is_over else None


@dataclass(frozen=True)
class BeforeFunding(MarketExit):
    """Leave before a funding stamp at which the position pays more than `max_funding_rate`: reason "funding".

    The rate is the last one settled, a fraction of the notional; where the data have none, nothing is left. An
    account settles what is held when the bar of the stamp begins, so this leaves a bar earlier.
    """

    max_funding_rate: float = 0.0

    def __post_init__(self) -> None:
        if not -1.0 < self.max_funding_rate < 1.0:
            raise ConfigError(
                f"max_funding_rate={self.max_funding_rate} must be in (-1, 1). It is a fraction of the notional: "
                "0.0001 is 1 bp."
            )

    def leaves(self, situation: Situation) -> str | None:
        if situation.next_funding is None or not situation.held * situation.funding_rate > self.max_funding_rate:
            return None
        bar = timedelta(seconds=situation.bar_s)
        interval = timedelta(hours=situation.contract.funding_hours)
        if bar >= interval:
            raise ConfigError(
                f"bars of {situation.bar_s:g} s hold a funding stamp each, so that nobody can leave before one. "
                "BeforeFunding needs bars shorter than the venue's interval."
            )
        stamp, next_open = situation.next_funding, situation.moment + bar
        while stamp < next_open:  # of the bar that opens now, whose stamp is due whatever is done
            stamp += interval
        return "funding" if stamp < next_open + bar else None
