"""The numbers of the venues: JSON files in `venues/`, each group of numbers with its source and its date.

A number is written only with a source; what an interface of the venue answered goes before what a page says. Where
the brackets above some notional are not known, `tiers` is "partial" and positions end there.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat

Date = Annotated[str, Field(pattern=r"^(\d{4}(-\d{2}){0,2}|undated)$")]  # undated: a stored copy bears no date
Text = Annotated[str, Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _Sourced(_Strict):
    source: Text
    as_of: Date
    note: str = ""


class LiquidationRules(_Sourced):
    """How the venue liquidates; the meaning of each is told in `Contract`."""

    maintenance_on: Literal["mark", "entry"]
    fee_in_maintenance: bool
    forfeits_margin: bool


class FundingGrid(_Sourced):
    """Hours between two stamps, and of the first one of a day, UTC."""

    hours: PositiveFloat
    offset_hours: NonNegativeFloat


class Steps(_Sourced):
    """Sizes: base coin of a linear contract, quote currency of an inverse one. Notional: settlement coin."""

    contract_size: PositiveFloat
    lot: PositiveFloat
    tick: PositiveFloat
    min_size: PositiveFloat
    min_notional: NonNegativeFloat


class Fees(_Sourced):
    """Fractions of notional without any discount."""

    maker: float
    taker: float


class LiquidationFee(_Sourced):
    """Fraction of notional."""

    rate: NonNegativeFloat


class MaxLeverage(_Sourced):
    """Of the market as a whole, where the brackets tell none."""

    value: PositiveFloat


class Brackets(_Sourced):
    """(floor, cap, maintenance, max leverage) by rising notional in the settlement coin; None: not told."""

    rows: Annotated[
        tuple[tuple[NonNegativeFloat, PositiveFloat, PositiveFloat, PositiveFloat | None], ...], Field(min_length=1)
    ]


class VenueMarket(_Strict):
    """One perpetual; `id` is the venue's own name of it."""

    symbol: Text
    id: Text
    kind: Literal["linear", "inverse"]
    settlement: Text
    contract: Steps
    fees: Fees
    liquidation_fee: LiquidationFee | None = None
    max_leverage: MaxLeverage | None = None
    tiers: Literal["complete", "partial"]
    brackets: Brackets


class UnsupportedMarket(_Strict):
    """A perpetual that there is no preset for, and why."""

    symbol: Text
    id: Text
    reason: Text


class Venue(_Strict):
    """One file: all of a venue, under its ccxt id."""

    schema_version: Literal[1]
    venue: Text
    name: Text
    as_of: Date
    rules: LiquidationRules
    funding: FundingGrid
    markets: tuple[VenueMarket, ...]
    unsupported: tuple[UnsupportedMarket, ...]


@cache
def venue_ids() -> tuple[str, ...]:
    """The ccxt ids of the venues there is a file for."""
    folder = resources.files("lstm_backtrader.futures") / "venues"
    names = (file.name for file in folder.iterdir())
    return tuple(sorted(name.removesuffix(".json") for name in names if name.endswith(".json")))


@cache
def read_venue(venue: str) -> Venue:
    """The file of one of `venue_ids()`."""
    file = resources.files("lstm_backtrader.futures") / "venues" / f"{venue}.json"
    return Venue.model_validate_json(file.read_text(encoding="utf-8"))
