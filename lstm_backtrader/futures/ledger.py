"""The account's book: every change of equity, under the reason that caused it, and how well it was founded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple


class FundingEvent(NamedTuple):
    """One funding payment of one position."""

    time: float  # open time of the bar the stamp lies in, as Backtrader's float datetime
    data: Any  # a Backtrader feed; the library ships no types
    tradeid: int
    amount: float  # received; negative is paid


class LiquidationEvent(NamedTuple):
    """One position the venue closed."""

    time: float
    data: Any
    tradeid: int
    size: float  # what was held; positive is long
    price: float
    profit: float  # before the fee; its loss is at most the margin


class CashEvent(NamedTuple):
    """Money put in or taken out with `add_cash`."""

    time: float
    amount: float


class AmbiguousBar(NamedTuple):
    """A bar that could have met two of a position's ends, of which the order is not known."""

    time: float
    data: Any
    ends: tuple[str, ...]  # of "stop", "target", "liquidation", and "waking" of a stop that slept


@dataclass
class Coverage:
    """How much of what positions met was in the data: counted while something is held."""

    funding_real: int = 0  # stamps whose rate the data have
    funding_missing: int = 0  # stamps of the venue's grid without a rate: nothing was paid
    funding_mark_imputed: int = 0  # of the real ones, settled at the traded price because no mark price is known
    bars_marked: int = 0  # bars whose liquidations were tried on the mark price
    bars_unmarked: int = 0  # and on the traded price in its place


@dataclass
class Ledger:
    """Running totals in the settlement coin, with the events behind them.

    At every bar: equity - start cash == gross_profit + open profit - fees + funding + other_cash.
    """

    gross_profit: float = 0.0  # realised, before fees and funding
    fees: float = 0.0  # a cost, >= 0 (rebates count against it)
    slippage: float = 0.0  # a cost, >= 0, within gross_profit and open profit: what fills were worse by
    funding: float = 0.0  # received; negative is paid
    liquidation_loss: float = 0.0  # <= 0, the part of gross_profit lost in liquidations
    other_cash: float = 0.0  # put in or taken out
    liquidations: int = 0
    coverage: Coverage = field(default_factory=Coverage)
    funding_events: list[FundingEvent] = field(default_factory=list)
    liquidation_events: list[LiquidationEvent] = field(default_factory=list)
    cash_events: list[CashEvent] = field(default_factory=list)
    ambiguous_bars: list[AmbiguousBar] = field(default_factory=list)

    def book_fill(self, profit: float, fee: float) -> None:
        """Realised profit and the fee of one fill."""
        self.gross_profit += profit
        self.fees += fee

    def book_slippage(self, amount: float) -> None:
        """Only counts: the price of the fill holds it."""
        self.slippage += amount

    def book_funding(self, event: FundingEvent) -> None:
        self.funding += event.amount
        self.funding_events.append(event)

    def book_liquidation(self, event: LiquidationEvent) -> None:
        """Only counts: profit and fee of the fill come through `book_fill`."""
        self.liquidations += 1
        self.liquidation_loss += min(0.0, event.profit)
        self.liquidation_events.append(event)

    def book_cash(self, event: CashEvent) -> None:
        self.other_cash += event.amount
        self.cash_events.append(event)
