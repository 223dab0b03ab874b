"""Guards: what stops trading whatever the signal says.

A guard is asked when a bar closes, and acts at the next open: within a bar a position may lose more than it allows,
which a stop limits. It remembers nothing, what it has to know is in the situation, so one object serves many runs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

from lstm_backtrader.errors import ConfigError
from lstm_backtrader.strategies.situation import Situation


@dataclass(frozen=True)
class DailyLossLimit:
    """No trading for the rest of a UTC day on which equity was `equity_pct` below what the day began with.

    `equity_pct`: fraction of equity in (0, 1), seen at a close; 0.03 is 3 %. `flattens`: leave an open position.
    """

    equity_pct: float = 0.03
    flattens: bool = True

    def __post_init__(self) -> None:
        _check_fraction("equity_pct", self.equity_pct)

    def halt(self, situation: Situation) -> str | None:
        """See `Guard`."""
        began, low = situation.day_equity, situation.day_low_equity
        if not low <= began * (1.0 - self.equity_pct):
            return None
        lost = 1.0 - low / began if began > 0.0 else math.nan
        money = f",.{situation.contract.money_digits}f"
        return f"equity fell to {low:{money}}, {lost:.2%} below the {began:{money}} that the UTC day began with"


@dataclass(frozen=True)
class MaxDrawdown:
    """No trading ever again once equity was `equity_pct` below its peak.

    `equity_pct`: fraction of the peak in (0, 1), seen at a close; 0.2 is 20 %. `flattens`: leave an open position.
    """

    equity_pct: float = 0.2
    flattens: bool = True

    def __post_init__(self) -> None:
        _check_fraction("equity_pct", self.equity_pct)

    def halt(self, situation: Situation) -> str | None:
        """See `Guard`."""
        if not situation.deepest_drawdown >= self.equity_pct:
            return None
        peak = f"{situation.peak_equity:,.{situation.contract.money_digits}f}"
        return f"equity was {situation.deepest_drawdown:.2%} below its peak of {peak}"


@dataclass(frozen=True)
class ConsecutiveLosses:
    """A pause of `pause_bars` after `losses` trades in a row that lost; one more loss after it is a pause again.

    Both are whole numbers, 1 or more. The pause begins with the bar in which the last of them was closed.
    """

    losses: int = 4
    pause_bars: int = 24
    flattens: bool = False

    def __post_init__(self) -> None:
        for name in ("losses", "pause_bars"):
            value = getattr(self, name)
            if not (isinstance(value, int) and value >= 1):
                raise ConfigError(f"{name}={value!r} must be a whole number, 1 or more.")

    def halt(self, situation: Situation) -> str | None:
        """See `Guard`."""
        if situation.losses_in_row < self.losses or situation.bars_since_loss >= self.pause_bars:
            return None
        return f"{situation.losses_in_row} trades in a row lost; a pause of {self.pause_bars} bars"


@dataclass(frozen=True)
class StaleModel:
    """No trading by a model that has expired, or was trained longer than `max_age_days` ago.

    `max_age_days`: days since the last bar it learned from, above 0; None: its own `expires` alone. Raises
    `ConfigError` where the forecaster tells neither, since the guard could never act.
    """

    max_age_days: float | None = None
    flattens: bool = True

    def __post_init__(self) -> None:
        if self.max_age_days is not None and not 0.0 < self.max_age_days < math.inf:
            raise ConfigError(f"max_age_days={self.max_age_days} must be above 0 and finite. It is an age in days.")

    def halt(self, situation: Situation) -> str | None:
        """See `Guard`."""
        trained, expires = situation.trained_until, situation.expires
        if expires is None and (trained is None or self.max_age_days is None):
            raise ConfigError(
                f"StaleModel(max_age_days={self.max_age_days}) does not learn how old the model is: it was trained "
                f"until {trained or 'an unknown time'} and never expires. Train it with expires_days=30, or give "
                "max_age_days and a forecaster with `trained_until`."
            )
        if expires is not None and situation.moment > expires:
            return f"the model expired at {expires:%Y-%m-%d %H:%M} UTC"
        if self.max_age_days is None or trained is None:
            return None
        age = situation.moment - trained
        if age <= timedelta(days=self.max_age_days):
            return None
        return f"the model was trained until {trained:%Y-%m-%d %H:%M} UTC, {age / timedelta(days=1):.1f} days ago"


@dataclass(frozen=True)
class StaleData:
    """No trading on a bar that follows a gap, or comes too late by the clock.

    `max_gap_bars`: bars that may be missing before it, 0 or more. `max_late_bars`: bar lengths between its end and
    now that are allowed, above 0; only live data are late.
    """

    max_gap_bars: int = 0
    max_late_bars: float = 1.0
    flattens: bool = False

    def __post_init__(self) -> None:
        if not (isinstance(self.max_gap_bars, int) and self.max_gap_bars >= 0):
            raise ConfigError(f"max_gap_bars={self.max_gap_bars!r} must be a whole number, 0 or more.")
        if not 0.0 < self.max_late_bars < math.inf:
            raise ConfigError(
                f"max_late_bars={self.max_late_bars} must be above 0 and finite. It counts bar lengths."
            )

    def halt(self, situation: Situation) -> str | None:
        """See `Guard`."""
        bar_s = situation.bar_s
        if situation.gap_s > (self.max_gap_bars + 0.5) * bar_s:  # half a bar: stamps are rounded
            missing = round(situation.gap_s / bar_s)
            return f"{missing} bar{' is' if missing == 1 else 's are'} missing before this one"
        if situation.age_s > self.max_late_bars * bar_s:
            return f"the bar came {situation.age_s:.0f} s after its end"
        return None


def _check_fraction(name: str, value: float) -> None:
    if not 0.0 < value < 1.0:
        raise ConfigError(f"{name}={value} must be in (0, 1). It is a fraction of equity: 0.03 is 3 %.")
