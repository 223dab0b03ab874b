"""What an entry has to get past: costs, doubts about the forecast, the clock, and funding."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from lstm_backtrader.errors import ConfigError
from lstm_backtrader.strategies.situation import Situation
from lstm_backtrader.strategies.timed_exits import MarketExit

_UNKNOWN = "the forecast does not say"


def round_trip_cost(situation: Situation) -> float:
    """What a position of the wanted side costs over the forecast's horizon, as a fraction of its notional.

    Two taker fees, slippage twice, and for each funding stamp within the horizon the last rate, which a side may
    also receive; a rate nobody knows counts as none.
    """
    cost = 2.0 * (situation.contract.taker_fee + situation.slippage)
    if situation.funding_rate == situation.funding_rate and situation.horizon and situation.next_funding:
        wait_s = (situation.next_funding - situation.moment).total_seconds()
        beyond_s = situation.horizon * situation.bar_s - wait_s
        stamps = max(0, math.floor(beyond_s / (situation.contract.funding_hours * 3600.0)) + 1)
        cost += situation.side * situation.funding_rate * stamps
    return cost


@dataclass(frozen=True)
class CostThreshold:
    """Enter only if the expected return is at least `cost_multiple` times what the position will cost.

    The expected return is ``forecast * volatility * sqrt(horizon)``; a model that forecasts no return (three
    classes) has none, and nothing is entered.
    """

    cost_multiple: float = 1.0

    def __post_init__(self) -> None:
        if not (self.cost_multiple > 0.0 and math.isfinite(self.cost_multiple)):
            raise ConfigError(f"cost_multiple={self.cost_multiple} must be above 0. 1.0 asks for the bare costs.")

    def refusal(self, situation: Situation) -> str | None:
        expected = situation.side * situation.expected_return
        if expected != expected:
            return "the expected return is not known"
        cost = round_trip_cost(situation)
        if expected >= self.cost_multiple * cost and expected > 0.0:
            return None
        return f"an expected {expected:.3%} is less than {self.cost_multiple:g} times the cost of {cost:.3%}"


@dataclass(frozen=True)
class MinProbability:
    """Enter only if the model gives the wanted side a probability of `min_probability` or more."""

    min_probability: float

    def __post_init__(self) -> None:
        if not 0.0 < self.min_probability < 1.0:
            raise ConfigError(f"min_probability={self.min_probability} must be in (0, 1). 0.55 is 55 %.")

    def refusal(self, situation: Situation) -> str | None:
        chance = situation.prob_up if situation.side > 0 else situation.prob_down
        if chance != chance:
            return _UNKNOWN
        if chance >= self.min_probability:
            return None
        return f"a probability of {chance:.3f} is below {self.min_probability:g}"


@dataclass(frozen=True)
class MaxSpread:
    """Enter only if the nets of the ensemble differ by no more than `max_spread`, in units of the forecast."""

    max_spread: float

    def __post_init__(self) -> None:
        if not self.max_spread > 0.0:
            raise ConfigError(f"max_spread={self.max_spread} must be above 0, in units of the forecast.")

    def refusal(self, situation: Situation) -> str | None:
        if situation.spread != situation.spread:
            return _UNKNOWN
        if situation.spread <= self.max_spread:
            return None
        return f"the nets differ by {situation.spread:.3g}, more than {self.max_spread:g}"


@dataclass(frozen=True)
class IntervalClear:
    """Enter only if the interval around the forecast, `lo` to `hi`, lies wholly on the wanted side of zero."""

    def refusal(self, situation: Situation) -> str | None:
        nearest = situation.lo if situation.side > 0 else -situation.hi
        if nearest != nearest:
            return "the model knows no interval"
        return None if nearest > 0.0 else f"the interval {situation.lo:.3g} to {situation.hi:.3g} holds zero"


@dataclass(frozen=True)
class Hysteresis(MarketExit):
    """Enter at a forecast of `enter` or more for the side, leave when it is below `leave`: reason "faded".

    Both in units of the forecast. It is entry and exit at once: ``entries=[rule], exits=[rule], leave_on="never"``.
    """

    enter: float
    leave: float

    def __post_init__(self) -> None:
        if not self.enter >= self.leave:
            raise ConfigError(f"leave={self.leave} must not be above enter={self.enter}, in units of the forecast.")

    def refusal(self, situation: Situation) -> str | None:
        said = situation.side * situation.forecast
        if said != said:
            return _UNKNOWN
        return None if said >= self.enter else f"a forecast of {said:.3g} for the side is below {self.enter:g}"

    def leaves(self, situation: Situation) -> str | None:
        return "faded" if situation.held * situation.forecast < self.leave else None


@dataclass(frozen=True)
class Cooldown:
    """Enter only `cooldown_bars` bars after the last position ended, `after_loss` bars after one that lost."""

    cooldown_bars: int = 0
    after_loss: int = 0

    def __post_init__(self) -> None:
        for name in ("cooldown_bars", "after_loss"):
            bars = getattr(self, name)
            if not (isinstance(bars, int) and bars >= 0):
                raise ConfigError(f"{name}={bars} must be a whole number of bars, 0 or more.")

    def refusal(self, situation: Situation) -> str | None:
        for since, wanted, what in (
            (situation.bars_since_exit, self.cooldown_bars, "the last exit"),
            (situation.bars_since_loss, self.after_loss, "the last loss"),
        ):
            if since < wanted:
                return f"{what} was {since:g} bars ago, fewer than {wanted}"
        return None


@dataclass(frozen=True)
class Sessions:
    """Enter only at opens in these `hours` (UTC, 0 to 23) and on these `weekdays` (0 is Monday); empty: at any."""

    hours: Collection[int] = ()
    weekdays: Collection[int] = ()

    def __post_init__(self) -> None:
        for name, most in (("hours", 23), ("weekdays", 6)):
            wrong = [each for each in getattr(self, name) if each not in range(most + 1)]
            if wrong:
                raise ConfigError(f"{name} holds {wrong[0]!r}. Use whole numbers from 0 to {most}, UTC.")

    def refusal(self, situation: Situation) -> str | None:
        moment = situation.moment
        if self.hours and moment.hour not in self.hours:
            return f"{moment:%H:%M} UTC is outside the hours"
        if self.weekdays and moment.weekday() not in self.weekdays:
            return f"{moment:%A} is outside the weekdays"
        return None


@dataclass(frozen=True)
class LongOnly:
    """Enter no short."""

    def refusal(self, situation: Situation) -> str | None:
        return None if situation.side > 0 else "long only"


@dataclass(frozen=True)
class ShortOnly:
    """Enter no long."""

    def refusal(self, situation: Situation) -> str | None:
        return None if situation.side < 0 else "short only"


@dataclass(frozen=True)
class MaxFunding:
    """Enter only if the wanted side pays at most `max_funding_rate` at a stamp, judged by the last one settled.

    A fraction of the notional: 0.0001 is 1 bp. Below zero it has to receive. A rate nobody knows lets it in.
    """

    max_funding_rate: float

    def __post_init__(self) -> None:
        if not -1.0 < self.max_funding_rate < 1.0:
            raise ConfigError(
                f"max_funding_rate={self.max_funding_rate} must be in (-1, 1). It is a fraction of the notional: "
                "0.0001 is 1 bp."
            )

    def refusal(self, situation: Situation) -> str | None:
        pays = situation.side * situation.funding_rate
        return (
            f"it pays {pays:.4%} a stamp, above {self.max_funding_rate:.4%}"
            if pays > self.max_funding_rate
            else None
        )
