"""Orders as data, so that the broker and the plain account can be given the same ones, and the strategy that
sends them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import backtrader as bt
import pytest

from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.futures.broker import FuturesBroker
from lstm_backtrader.futures.contract import Contract, tiers_of

Order = bt.Order
CANCEL = "cancel"  # in a script: end all older orders

_EXECTYPES = {
    "market": Order.Market,
    "limit": Order.Limit,
    "stop": Order.Stop,
    "trail": Order.StopTrail,
    "stop_limit": Order.StopLimit,
    "trail_limit": Order.StopTrailLimit,
}


@dataclass(frozen=True)
class Terms:
    """What an account trades on, the same for every data."""

    cash: float = 10_000.0
    leverage: float = 10.0
    is_inverse: bool = False
    is_cross: bool = False
    is_pessimistic: bool = True
    taker: float = 0.0005
    maker: float = 0.0002
    tiers: tuple[tuple[float, float], ...] = (
        (0.0, 0.005),
    )  # notional where it begins, maintenance of what is above
    is_on_entry: bool = False  # whether the requirement looks at the notional at the entry
    holds_fee: bool = False  # whether it holds the fee of closing
    liquidation_fee: float | None = None
    forfeits: bool = False

    def contract(self):
        return Contract(
            kind="inverse" if self.is_inverse else "linear",
            maker_fee=self.maker,
            taker_fee=self.taker,
            maintenance=self.tiers[0][1],
            tiers=tiers_of([(*tier, 125.0) for tier in self.tiers]) if len(self.tiers) > 1 else (),
            maintenance_on="entry" if self.is_on_entry else "mark",
            fee_in_maintenance=self.holds_fee,
            liquidation_fee=self.liquidation_fee,
            forfeits_margin=self.forfeits,
        )

    def broker(self, **options):
        given = {
            "leverage": self.leverage,
            "cash": self.cash,
            "margin_mode": "cross" if self.is_cross else "isolated",
            "intrabar": "pessimistic" if self.is_pessimistic else "optimistic",
        }
        return FuturesBroker(self.contract(), **given | options)


@dataclass(frozen=True, eq=False)
class Ticket:
    """An order. `price`: of a limit or a stop, or where a trailing stop starts from."""

    size: float  # signed
    kind: str = "market"
    price: float = math.nan
    limit: float = math.nan  # of a stop-limit
    trail: float = 0.0  # share of the price
    data: int = 0
    tradeid: int = 0
    reduce_only: bool = False
    from_fill: float | None = None
    wakes_from_fill: float | None = None
    is_partial: bool = False
    reason: str = ""
    children: tuple[Ticket, ...] = ()
    rival: Ticket | None = None  # an earlier one: of the two, who fills cancels the other


class Scripted(bt.Strategy):
    """Sends `script[n]` after bar n, counted from 0, and writes down equity and every fill.

    `every`: a script counts bars of so many of the data's. At each bar the book explains the equity.
    """

    params = (("script", {}), ("every", 1))

    def __init__(self):
        self.equity = []
        self.fills = []  # (bar, data, tradeid, size, price, reason), a reversal is two
        self.orders = []
        self.trade_profit = 0.0
        self._counted = {}
        self._sent = {}

    def notify_order(self, order):
        if order.status in (Order.Submitted, Order.Accepted):  # all notices of an order share its fills
            return
        bits = list(order.executed.exbits)
        for bit in bits[self._counted.get(order.ref, 0) :]:
            number = int(order.data._name)
            for part in (bit.closed, bit.opened):
                if part:
                    self.fills.append((len(self) - 1, number, order.tradeid, part, bit.price, order.info.reason))
        self._counted[order.ref] = len(bits)

    def notify_trade(self, trade):
        if trade.isclosed:
            self.trade_profit += trade.pnl

    def next(self):
        self.equity.append(self.broker.getvalue())
        book = self.broker.ledger
        explained = book.gross_profit + self.broker.open_profit() - book.fees + book.funding + book.other_cash
        gained = self.broker.getvalue() - self.broker.startingcash
        assert gained == pytest.approx(explained, abs=1e-9 * self.broker.startingcash)
        number, rest = divmod(len(self), self.p.every)
        for ticket in () if rest else self.p.script.get(number - 1, ()):
            if ticket == CANCEL:
                for order in self.orders:
                    if order.alive():
                        self.cancel(order)
            else:
                self._send(ticket)

    def _send(self, ticket):
        parent = self._order(ticket, transmit=not ticket.children)
        for number, child in enumerate(ticket.children, start=1):
            self._order(child, parent=parent, transmit=number == len(ticket.children))

    def _order(self, ticket, **links):
        given = {
            "price": None if math.isnan(ticket.price) else ticket.price,
            "plimit": None if math.isnan(ticket.limit) else ticket.limit,
            "trailpercent": ticket.trail or None,
            "oco": self._sent.get(ticket.rival),
        }
        given = {name: value for name, value in given.items() if value is not None}
        if ticket.from_fill is not None:
            given["from_fill"] = ticket.from_fill
        if ticket.wakes_from_fill is not None:
            given["wakes_from_fill"] = ticket.wakes_from_fill
        if ticket.is_partial:
            given["partial"] = True
        order = (self.buy if ticket.size > 0 else self.sell)(
            data=self.datas[ticket.data],
            size=abs(ticket.size),
            exectype=_EXECTYPES[ticket.kind],
            tradeid=ticket.tradeid,
            reduce_only=ticket.reduce_only,
            reason=ticket.reason,
            **given,
            **links,
        )
        self._sent[ticket] = order
        self.orders.append(order)
        return order


def play(terms, tables, script, *, broker=None, every=1, **modes):
    """The strategy after a run of `script` over the tables, one data each."""
    cerebro = bt.Cerebro(stdstats=False)
    for number, table in enumerate(tables):
        cerebro.adddata(CandleFeed(table, name=str(number)))
    cerebro.setbroker(terms.broker() if broker is None else broker)
    cerebro.addstrategy(Scripted, script=script, every=every)
    return cerebro.run(**modes)[0]
