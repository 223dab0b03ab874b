"""What a venue says about one perpetual future: fees, steps, tiers, and when it liquidates."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

from lstm_backtrader.errors import ConfigError
from lstm_backtrader.futures import rules

if TYPE_CHECKING:
    from lstm_backtrader.futures.ccxt_markets import Market, Tiers

Kind = Literal["linear", "inverse"]
MaintenanceOn = Literal["mark", "entry"]


@dataclass(frozen=True)
class Tier:
    """A bracket of notional with its own limits.

    `floor`: notional at which it begins, settlement coin. `maintenance`: fraction of notional. `max_leverage`: the
    most the venue allows. `deduction`: what is taken off the requirement, so that it does not jump at the floor.
    """

    floor: float
    maintenance: float
    max_leverage: float
    deduction: float = 0.0


@dataclass(frozen=True)
class Contract:
    """One perpetual future, settled in one coin.

    A size counts the base coin of a linear contract and the quote coin of an inverse one; `lot` and `min_size` are
    in the same unit, notionals in the settlement coin. Fees, maintenance and steps are what a venue publishes; the
    defaults are those of a large USDT-margined one for its first tier.

    Raises `ConfigError` where a value cannot be.
    """

    symbol: str = ""
    kind: Kind = "linear"
    maker_fee: float = 0.0002  # fraction of notional; negative is a rebate
    taker_fee: float = 0.0005
    maintenance: float = 0.005  # fraction of notional below which the venue liquidates, in the first tier
    max_leverage: float = 125.0
    lot: float = 0.0  # smallest step of a size; 0: any fraction
    tick: float = 0.0  # smallest step of a price; 0: any price
    min_size: float = 0.0  # smallest order that opens a position
    min_notional: float = 0.0
    settlement: str = "USDT"
    venue: str = ""
    contract_size: float = 1.0  # size that one of the venue's own contracts stands for
    tiers: tuple[Tier, ...] = ()  # by rising floor; empty: `maintenance` and `max_leverage` at any notional
    notional_cap: float = math.inf  # above it the venue, or what is known of it, allows no position
    is_partial: bool = False  # whether the venue has tiers above `notional_cap` that are not known here
    maintenance_on: MaintenanceOn | None = None  # notional the requirement looks at; None: mark, inverse: entry
    fee_in_maintenance: bool = False  # whether the requirement holds the taker fee of closing
    liquidation_fee: float | None = None  # fraction of notional; None: the taker fee
    forfeits_margin: bool = False  # whether the venue keeps what a liquidation leaves of the margin
    funding_hours: float = 8.0  # between two funding stamps
    funding_offset_hours: float = 0.0  # of the first stamp of a day, UTC

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ConfigError(
                f"contract kind {self.kind!r} is unknown. Use kind='linear' or kind='inverse'; quanto contracts, "
                "settled in a third coin, are not supported."
            )
        if self.maintenance_on not in (None, *get_args(MaintenanceOn)):
            raise ConfigError(f"maintenance_on={self.maintenance_on!r} is unknown. Use 'mark', 'entry' or None.")
        for name in ("maker_fee", "taker_fee"):
            rate = getattr(self, name)
            if not -0.01 < rate < 0.1:
                raise ConfigError(
                    f"{name}={rate} must lie between -0.01 and 0.1. It is a fraction: 0.0005 is 0.05 %."
                )
        if self.liquidation_fee is not None and not 0.0 <= self.liquidation_fee < 1.0:
            raise ConfigError(
                f"liquidation_fee={self.liquidation_fee} must be in [0, 1). It is a fraction: 0.0125 is 1.25 %."
            )
        if not 0.0 <= self.maintenance < 1.0:
            raise ConfigError(
                f"maintenance={self.maintenance} must be in [0, 1). It is a fraction: 0.005 is 0.5 %."
            )
        if not (math.isfinite(self.max_leverage) and self.max_leverage >= 1.0):
            raise ConfigError(f"max_leverage={self.max_leverage} must be 1 or more.")
        for name in ("lot", "tick", "min_size", "min_notional"):
            step = getattr(self, name)
            if not (math.isfinite(step) and step >= 0.0):
                raise ConfigError(f"{name}={step} must be 0 or more; 0 switches it off.")
        for name in ("notional_cap", "contract_size", "funding_hours"):
            if not getattr(self, name) > 0.0:
                raise ConfigError(f"{name}={getattr(self, name)} must be above 0.")
        self._check_tiers()

    def _check_tiers(self) -> None:
        if not self.tiers:
            return
        first = self.tiers[0]
        if first.floor or first.deduction or first.maintenance != self.maintenance:
            raise ConfigError(
                f"the first tier {first} must begin at 0 without deduction, at maintenance={self.maintenance}. "
                "Build tiers with `tiers_of`."
            )
        for below, above in zip(self.tiers, self.tiers[1:], strict=False):
            due = rules.tier_deduction(above.floor, above.maintenance, below.maintenance, below.deduction)
            if not (above.floor > below.floor and below.maintenance <= above.maintenance < 1.0):
                raise ConfigError(f"tier {above} must begin above {below} and ask for no less maintenance.")
            if not math.isclose(above.deduction, due, rel_tol=1e-6, abs_tol=1e-6):
                raise ConfigError(
                    f"tier {above} deducts {above.deduction:g} where {due:g} keeps the requirement continuous. "
                    "Build tiers with `tiers_of`."
                )

    @classmethod
    def from_ccxt(cls, market: Market, tiers: Tiers | None = None, *, venue: str = "") -> Contract:
        """The contract of a ccxt market: `exchange.market(symbol)`, nothing is fetched.

        `tiers`: what `exchange.fetch_market_leverage_tiers(symbol)` or `fetch_leverage_tiers()` gave; only BitMEX's
        markets tell their first tier themselves. `venue`: the exchange's ccxt id; empty: told by `market["info"]`.
        Sizes become base coins (linear) or units of the quote currency (inverse), whatever a contract of the venue
        stands for. Deductions are computed so that the requirement is continuous.

        Raises `ConfigError` for spot, dated and quanto markets, and for what nothing tells.
        """
        from lstm_backtrader.futures.ccxt_markets import read_market

        fields, brackets = read_market(market, tiers, venue)
        made = tiers_of(brackets.rows)
        return cls(
            **fields,
            maintenance=made[0].maintenance,
            max_leverage=made[0].max_leverage,
            tiers=made,
            notional_cap=brackets.cap,
            is_partial=brackets.is_partial,
        )

    @property
    def is_inverse(self) -> bool:
        return self.kind == "inverse"

    @property
    def on_entry(self) -> bool:
        """Whether the requirement looks at the notional at the entry price instead of the mark price."""
        return self.maintenance_on == "entry" if self.maintenance_on else self.is_inverse

    @property
    def closing_fee(self) -> float:
        """Fee rate that the requirement holds."""
        return self.taker_fee if self.fee_in_maintenance else 0.0

    @property
    def money_digits(self) -> int:
        """Digits that a person wants to read behind the point of an amount in the settlement coin."""
        return 2 if self.settlement.startswith("USD") else 6

    def tier(self, notional: float) -> Tier:
        """The tier a position of `notional` is in."""
        found = self._first_tier()
        for tier in self.tiers:
            if tier.floor > notional:
                break
            found = tier
        return found

    def max_notional(self, leverage: float) -> float:
        """Largest position the venue allows at `leverage`; infinite where there is no limit."""
        for tier in self.tiers:
            if leverage > tier.max_leverage:
                return tier.floor
        return self.notional_cap

    def highest_leverage(self, margin: float) -> float:
        """The most leverage that `margin` may be used at, so that the position stays inside the tier's limit.

        Below 1 where not even the bare margin may be used whole.
        """
        if margin <= 0.0:
            return self._first_tier().max_leverage
        best = 0.0
        for tier, above in zip(self._all_tiers(), (*self.tiers[1:], None), strict=True):
            cap = self.notional_cap if above is None else above.floor
            fitting = min(tier.max_leverage, cap / margin)
            if fitting * margin >= tier.floor:
                best = max(best, fitting)
        return best

    def requirement(self, size: float, entry: float, mark: float) -> float:
        """Margin plus profit below which a position is liquidated, at the mark price, settlement coin."""
        held = rules.notional(size, entry if self.on_entry else mark, self.is_inverse)
        tier = self.tier(held)
        return held * (tier.maintenance + self.closing_fee) - tier.deduction

    def liquidation_price(self, size: float, entry: float, margin: float) -> float:
        """`rules.liquidation_price` in the tier that the position is in at that price, on the venue's tick.

        Maintenance rises from tier to tier and is continuous, so the requirement is the largest of all tiers'
        and the price that is reached first is the right one.
        """
        side = 1 if size > 0 else -1
        if self.on_entry:
            tiers: Iterable[Tier] = (self.tier(rules.notional(size, entry, self.is_inverse)),)
        else:
            tiers = self._all_tiers()
        nearest = side * max(
            side
            * rules.liquidation_price(
                size,
                entry,
                margin,
                tier.maintenance,
                tier.deduction,
                self.closing_fee,
                self.is_inverse,
                self.on_entry,
            )
            for tier in tiers
        )
        return rules.round_against(nearest, self.tick, side)

    def with_maintenance(self, maintenance: float) -> Contract:
        """The same at one rate for every notional."""
        return replace(self, maintenance=maintenance, tiers=(), notional_cap=math.inf, is_partial=False)

    def with_max_leverage(self, max_leverage: float) -> Contract:
        """The same with another limit of leverage in every tier."""
        tiers = tuple(replace(tier, max_leverage=max_leverage) for tier in self.tiers)
        return replace(self, max_leverage=max_leverage, tiers=tiers)

    def _first_tier(self) -> Tier:
        return self.tiers[0] if self.tiers else Tier(0.0, self.maintenance, self.max_leverage)

    def _all_tiers(self) -> tuple[Tier, ...]:
        return self.tiers or (self._first_tier(),)


def tiers_of(rows: Iterable[tuple[float, float, float]]) -> tuple[Tier, ...]:
    """Tiers from (floor, maintenance, max_leverage) rows, with the deductions that make them continuous.

    >>> rows = [(0, 0.004, 125), (50_000, 0.005, 100), (600_000, 0.0065, 75)]
    >>> [round(tier.deduction, 6) for tier in tiers_of(rows)]
    [0.0, 50.0, 950.0]
    """
    tiers: list[Tier] = []
    for floor, maintenance, max_leverage in rows:
        deduction = 0.0
        if tiers:
            last = tiers[-1]
            deduction = rules.tier_deduction(floor, maintenance, last.maintenance, last.deduction)
        tiers.append(Tier(float(floor), maintenance, float(max_leverage), deduction))
    return tuple(tiers)
