"""How large a position is: rules on the situation, each usable alone, none beyond what the account bears."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from lstm_backtrader.errors import ConfigError
from lstm_backtrader.futures.rules import notional, round_to_lot, size_of, unit_value
from lstm_backtrader.strategies.limits import gain_of_move, size_within
from lstm_backtrader.strategies.rules import Sizing
from lstm_backtrader.strategies.situation import Situation

_YEAR_S = 365 * 86_400.0


@dataclass(frozen=True)
class FixedNotional:
    """A notional of `notional` in the settlement coin, whatever the equity; above 0."""

    notional: float

    def __post_init__(self) -> None:
        _check("notional", self.notional, 0.0, math.inf, "It is money in the settlement coin, say 1000.")

    def size(self, situation: Situation) -> float:
        """See `Sizing`."""
        return size_within(self.notional, situation)


@dataclass(frozen=True)
class FractionOfEquity:
    """A notional of leverage times `fraction` of equity.

    `fraction`: in (0, 1]; below 1 so that the next open may lie a little higher.
    """

    fraction: float = 0.95

    def __post_init__(self) -> None:
        _check("fraction", self.fraction, 0.0, 1.0, "It is the part of equity put to work.")

    def size(self, situation: Situation) -> float:
        """See `Sizing`."""
        return size_within(situation.leverage * self.fraction * situation.equity, situation)


@dataclass(frozen=True)
class RiskPerTrade:
    """As much as loses `equity_pct` of equity, fees and slippage included, where the nearest stop is met.

    `equity_pct`: fraction of equity in (0, 1]; 0.01 is 1 %. A gap beyond the stop loses more, and so does a fill
    away from the last close, by as much as the open lies away from it. Where the account cannot bear the
    position it is smaller, and loses less. Raises `ConfigError` where the strategy has no stop.
    """

    equity_pct: float = 0.01

    def __post_init__(self) -> None:
        _check("equity_pct", self.equity_pct, 0.0, 1.0, "It is a fraction of equity: 0.01 is 1 %.")

    def size(self, situation: Situation) -> float:
        """See `Sizing`."""
        if situation.stop_distance is None:
            raise ConfigError(
                "RiskPerTrade sizes a position by the distance of its stop, and there is none. Give the strategy "
                "one, exits=[StopLoss(0.02)] or stop_price_pct=0.02, or use another rule."
            )
        lost = -gain_of_move(situation, -situation.stop_distance)
        if not lost > 0.0:
            return 0.0
        worth = (
            self.equity_pct * situation.equity / lost * unit_value(situation.price, situation.contract.is_inverse)
        )
        return size_within(worth, situation)


@dataclass(frozen=True)
class VolatilityTarget:
    """A notional that moves equity by `yearly` in a year, one standard deviation, at the volatility of now.

    `yearly`: fraction of equity in (0, 10], over 365 days; 0.3 is 30 %. The volatility is that of the last 168 bars
    when the position is entered; before there are as many nothing is entered.
    """

    yearly: float = 0.3

    def __post_init__(self) -> None:
        _check("yearly", self.yearly, 0.0, 10.0, "It is a standard deviation in a year: 0.3 is 30 %.")

    def size(self, situation: Situation) -> float:
        """See `Sizing`."""
        yearly = situation.volatility * math.sqrt(_YEAR_S / situation.bar_s)
        return size_within(self.yearly * situation.equity / yearly, situation) if yearly > 0.0 else 0.0


@dataclass(frozen=True)
class CappedKelly:
    """A share of what Kelly would stake on the forecast's probability, after costs, up to a multiple of equity.

    The bet: with the probability that the forecast gives `situation.side` the price goes `payoff` times as far for
    the position as it goes against it otherwise. That distance is the nearest stop's, or without one a standard
    deviation over the forecast's horizon. With odds b, what is won over what is lost, fees and slippage of both
    fills included, Kelly risks p - (1 - p) / b of equity; without an edge nothing is entered. A probability that
    says too much stakes too much, hence the share. Source: Kelly, Bell System Technical Journal 1956.

    `kelly_share`: in (0, 1]. `most`: notional as a multiple of equity, above 0. `payoff`: take profit over stop
    distance, above 0. `calibrate`: the probability that is meant where this one is said; None: the same.
    Raises `ConfigError` where nothing gives a probability.
    """

    kelly_share: float = 0.25
    most: float = 1.0
    payoff: float = 1.0
    calibrate: Callable[[float], float] | None = None

    def __post_init__(self) -> None:
        _check("kelly_share", self.kelly_share, 0.0, 1.0, "A quarter of Kelly's stake is 0.25.")
        _check("most", self.most, 0.0, math.inf, "It is a notional as a multiple of equity.")
        _check("payoff", self.payoff, 0.0, math.inf, "It is the take profit over the stop distance.")

    def size(self, situation: Situation) -> float:
        """See `Sizing`."""
        distance = situation.stop_distance
        if distance is None:
            distance = situation.volatility * math.sqrt(situation.horizon or math.nan)
        probability = situation.prob_down if situation.side < 0 else situation.prob_up
        if probability != probability:
            raise ConfigError(
                "CappedKelly sizes a position by the probability of its side, and there is none. Use it where a "
                "model forecasts, as in LSTMFutures, or use another rule."
            )
        if self.calibrate is not None:
            probability = self.calibrate(probability)
        if not 0.0 < distance < 1.0:
            return 0.0
        won, lost = gain_of_move(situation, self.payoff * distance), -gain_of_move(situation, -distance)
        if not (won > 0.0 and lost > 0.0):
            return 0.0
        stake = probability - (1.0 - probability) * lost / won
        unit = unit_value(situation.price, situation.contract.is_inverse)
        worth = self.kelly_share * stake * situation.equity / lost * unit
        return size_within(min(worth, self.most * situation.equity), situation)


@dataclass(frozen=True)
class Capped:
    """The size of another rule, cut to what the caps leave; positions of all datas of the account count together.

    `notional`: of this position, settlement coin. `open_multiple`: notional of all positions, long and short
    alike, over equity. `open_risk_pct`: what all positions lose if each stop is met, as a fraction of equity;
    without a stop a position can lose its margin. Each above 0; None: no cap.
    """

    sizing: Sizing
    notional: float | None = None
    open_multiple: float | None = None
    open_risk_pct: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.sizing, type) or not callable(getattr(self.sizing, "size", None)):
            raise ConfigError(
                f"Capped({self.sizing!r}) cuts another rule. Give one: Capped(RiskPerTrade(0.01), ...)."
            )
        if self.notional is None and self.open_multiple is None and self.open_risk_pct is None:
            raise ConfigError("Capped without a cap cuts nothing. Give notional, open_multiple or open_risk_pct.")
        for name, hint in (
            ("notional", "It is money in the settlement coin, say 1000."),
            ("open_multiple", "It is a notional as a multiple of equity."),
            ("open_risk_pct", "It is a fraction of equity: 0.05 is 5 %."),
        ):
            value = getattr(self, name)
            if value is not None:
                _check(name, value, 0.0, math.inf, hint)

    def size(self, situation: Situation) -> float:
        """See `Sizing`."""
        inverse = situation.contract.is_inverse
        left = [notional(self.sizing.size(situation), situation.price, inverse)]
        if self.notional is not None:
            left.append(self.notional)
        if self.open_multiple is not None:
            others = situation.open_notional - notional(situation.size, situation.price, inverse)
            left.append(self.open_multiple * situation.equity - others)
        if self.open_risk_pct is not None:
            left.append(self._by_risk(self.open_risk_pct, situation))
        return size_within(min(left), situation)

    @staticmethod
    def _by_risk(open_risk_pct: float, situation: Situation) -> float:
        """Notional that the risk of the other positions leaves room for."""
        unit = unit_value(situation.price, situation.contract.is_inverse)
        lost = unit / situation.leverage
        if situation.stop_distance is not None:
            lost = -gain_of_move(situation, -situation.stop_distance)
        room = open_risk_pct * situation.equity - (situation.open_risk - situation.own_risk)
        if room <= 0.0:
            return 0.0
        return room / lost * unit if lost > 0.0 else math.inf  # a rebate may be worth more than a near stop


def size_for(
    equity: float,
    price: float,
    leverage: float = 1.0,
    fraction: float = 0.95,
    lot: float = 0.0,
    inverse: bool = False,
) -> float:
    """Size whose notional is ``leverage * fraction * equity``, cut down to a multiple of `lot`.

    `equity` is in the settlement coin; the size is in the base coin, of an `inverse` contract in the quote coin.
    `fraction` stays below 1 so that the next open may lie a little higher and the fee is still paid. Equity or a
    price of zero and below give 0.0. For a short pass the size to `sell`.

    >>> size_for(equity=10_000.0, price=100.0, leverage=3.0)
    285.0
    >>> size_for(equity=2.0, price=50_000.0, leverage=3.0, lot=100.0, inverse=True)
    285000.0
    """
    if equity <= 0.0 or price <= 0.0:
        return 0.0
    return round_to_lot(size_of(equity * leverage * fraction, price, inverse), lot)


def _check(name: str, value: float, above: float, most: float, hint: str) -> None:
    """Raises `ConfigError` where `value` is not in (above, most]; without an upper end it has to be finite."""
    if not (above < value <= most and math.isfinite(value)):
        bound = f"in ({above:g}, {most:g}]" if math.isfinite(most) else f"above {above:g} and finite"
        raise ConfigError(f"{name}={value} must be {bound}. {hint}")
