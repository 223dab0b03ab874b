"""The two tables of `lbt venues`: one that fits 80 columns, and a wide one with every step and date."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from lstm_backtrader.futures.contract import Contract
    from lstm_backtrader.futures.venues import ListedMarket

LEGEND = """\
max: leverage. MMR: maintenance margin of the first tier; +: and the taker fee.
tiers: known up to this notional; partial: the venue has more above.
fees: maker/taker. --wide adds contract sizes, steps, funding and dates."""


def short_table(markets: Iterable[ListedMarket]) -> Table:
    """Name, kind, first tier, where the tiers end, fees: what a choice needs, in 80 columns."""
    table = _table("contract", "kind", "max", "MMR %", "tiers", "fees %")
    for market in markets:
        contract = market.contract
        if contract is not None:
            table.add_row(
                market.name,
                contract.kind,
                f"{contract.max_leverage:g}x",
                _percent(contract.maintenance) + ("+" if contract.fee_in_maintenance else " "),
                f"{_state(contract)} {_rounded(contract.notional_cap)} {contract.settlement}",
                f"{_percent(contract.maker_fee)}/{_percent(contract.taker_fee)}",
            )
    return table


def wide_table(markets: Iterable[ListedMarket]) -> Table:
    """All of a preset that is one number; sizes in the coin that an order counts."""
    table = _table(
        "contract",
        "kind",
        "settled in",
        "contract size",
        "lot",
        "tick",
        "max leverage",
        "maintenance",
        "tiers",
        "maker",
        "taker",
        "funding, UTC",
        "as of",
    )
    for market in markets:
        contract = market.contract
        if contract is None:
            continue
        unit = contract.symbol.split("/")[1].split(":")[0] if contract.is_inverse else contract.symbol.split("/")[0]
        first, every = contract.funding_offset_hours, contract.funding_hours
        table.add_row(
            market.name,
            contract.kind,
            contract.settlement,
            f"{_plain(contract.contract_size)} {unit}",
            _plain(contract.lot),
            _plain(contract.tick),
            f"{contract.max_leverage:g}x",
            f"{contract.maintenance:.2%}" + (" + fee" if contract.fee_in_maintenance else ""),
            f"{_state(contract)}, to {contract.notional_cap:,.0f} {contract.settlement}",
            f"{contract.maker_fee:.3%}",
            f"{contract.taker_fee:.3%}",
            f"{first:02.0f}:00, every {every:g} h",
            market.as_of,
        )
    return table


def _table(*headings: str) -> Table:
    """Nothing is cut: where a terminal is narrower than the table, its lines are longer than the terminal's."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="left" if number == 0 else "right", no_wrap=True)
    return table


def _state(contract: Contract) -> str:
    return "partial" if contract.is_partial else "complete"


def _percent(fraction: float) -> str:
    return f"{100.0 * fraction:.4g}"


def _plain(number: float) -> str:
    """0.000001 rather than 1e-06."""
    return f"{number:f}".rstrip("0").rstrip(".")


def _rounded(amount: float) -> str:
    """900k, 24m, 1.8bn; below ten thousand every digit."""
    for unit, name in ((1e9, "bn"), (1e6, "m"), (1e3, "k")):
        if amount >= max(unit, 1e4):
            return f"{amount / unit:.4g}{name}"
    return f"{amount:,.10g}"
