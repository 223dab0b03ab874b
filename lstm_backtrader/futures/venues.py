"""Contracts by name: `find_contract("bitmex:BTC/USD:BTC")`, and the list of all there are."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from lstm_backtrader.errors import ConfigError
from lstm_backtrader.futures.ccxt_markets import rows_of
from lstm_backtrader.futures.contract import Contract, tiers_of
from lstm_backtrader.futures.venue_files import Venue, VenueMarket, read_venue, venue_ids


@dataclass(frozen=True)
class ListedMarket:
    """One line of `lbt venues`: a contract, or the reason why there is none.

    `id`: the venue's own name. `as_of`: when the tiers held. `name` is what `find_contract` takes.
    """

    venue: str
    symbol: str
    id: str
    contract: Contract | None
    as_of: str
    reason: str = ""

    @property
    def name(self) -> str:
        return f"{self.venue}:{self.symbol}"


def known_markets() -> tuple[ListedMarket, ...]:
    """Every market that a venue's file names, in its order; those without a contract last."""
    listed: list[ListedMarket] = []
    for venue in map(read_venue, venue_ids()):
        for market in venue.markets:
            contract = _contract(venue, market)
            listed.append(ListedMarket(venue.venue, market.symbol, market.id, contract, market.brackets.as_of))
        for left in venue.unsupported:
            listed.append(ListedMarket(venue.venue, left.symbol, left.id, None, venue.as_of, left.reason))
    return tuple(sorted(listed, key=lambda market: market.contract is None))


def known_contracts() -> dict[str, Contract]:
    """Name -> contract, of every preset."""
    return {market.name: market.contract for market in known_markets() if market.contract is not None}


def find_contract(name: str) -> Contract:
    """The preset of a market: ccxt id of the venue, a colon, ccxt's symbol or the venue's own id.

    Raises `ConfigError` for a name that is unknown, with the nearest known ones, and for a market that is known but
    has no contract, with the reason.

    >>> find_contract("bitmex:XBTUSD").settlement
    'BTC'
    """
    venue, _, symbol = name.partition(":")
    if venue not in venue_ids():
        raise ConfigError(f"there is no venue {venue!r} in {name!r}. {_choose(venue, venue_ids())}")
    markets = [market for market in known_markets() if market.venue == venue]
    for market in markets:
        if symbol in (market.symbol, market.id):
            if market.contract is None:
                raise ConfigError(f"{name} has no preset: {market.reason}")
            return market.contract
    raise ConfigError(f"{venue} has no preset of {symbol!r}. {_choose(name, [market.name for market in markets])}")


def _contract(venue: Venue, market: VenueMarket) -> Contract:
    limit = None if market.max_leverage is None else market.max_leverage.value
    tiers = tiers_of(rows_of(market.brackets.rows, limit))
    return Contract(
        symbol=market.symbol,
        venue=venue.venue,
        kind=market.kind,
        settlement=market.settlement,
        maker_fee=market.fees.maker,
        taker_fee=market.fees.taker,
        maintenance=tiers[0].maintenance,
        max_leverage=tiers[0].max_leverage,
        lot=market.contract.lot,
        tick=market.contract.tick,
        min_size=market.contract.min_size,
        min_notional=market.contract.min_notional,
        contract_size=market.contract.contract_size,
        tiers=tiers,
        notional_cap=market.brackets.rows[-1][1],
        is_partial=market.tiers == "partial",
        maintenance_on=venue.rules.maintenance_on,
        fee_in_maintenance=venue.rules.fee_in_maintenance,
        liquidation_fee=None if market.liquidation_fee is None else market.liquidation_fee.rate,
        forfeits_margin=venue.rules.forfeits_margin,
        funding_hours=venue.funding.hours,
        funding_offset_hours=venue.funding.offset_hours,
    )


def _choose(given: str, known: Iterable[str]) -> str:
    names = list(known)
    begun = [name for name in names if given and name.startswith(given)]
    near = begun if len(begun) == 1 else difflib.get_close_matches(given, names, n=1, cutoff=0.5)
    return (f"Did you mean {near[0]!r}? " if near else "") + f"Choose from {', '.join(names)}."
