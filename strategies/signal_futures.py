"""A strategy that trades any line of signals: +1 long, -1 short, 0 flat."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

import backtrader as bt

from lstm_backtrader.errors import ConfigError, LeverageError
from lstm_backtrader.futures.broker import FuturesBroker
from lstm_backtrader.futures.contract import Contract
from lstm_backtrader.strategies.exits import Exits
from lstm_backtrader.strategies.sizing import size_for

logger = logging.getLogger(__name__)

_STOCK = Contract()  # any fraction of the base coin


class SignalFutures(bt.Strategy):
    """Follow ``self.signal``, a line a subclass sets in its ``__init__``.

    A signal known at the close of a bar trades at the next open. The size follows from equity when a position is
    entered or turned, then stays. Stop, take profit and trailing stop are orders at the broker; a position they
    (or the venue) closed is entered again only when the signal has changed. `order.info.reason` of a closing order
    tells why: "signal", "stop", "take_profit", "trailing" or "liquidation".

    Raises at the start of a run:
        ConfigError: a parameter outside its range.
        LeverageError: a leverage the broker does not have, or a stop at or beyond liquidation.
    """

    params: Any = (  # Backtrader makes a class of it
        ("leverage", None),  # notional / margin; None: the broker's
        ("fraction", 0.95),  # of equity put to work: notional = leverage * fraction * equity
        ("stop_price_pct", 0.0),  # distance from the entry price, 0.02 = 2 %; 0: no stop
        ("take_profit_price_pct", 0.0),
        ("trailing_price_pct", 0.0),
        ("long_only", False),
        ("trade_from", None),  # datetime, UTC; bars that open before it are only warm-up
    )

    signal: Any  # a Backtrader line

    def start(self) -> None:
        if not 0.0 < self.p.fraction <= 1.0:
            raise ConfigError(
                f"fraction={self.p.fraction} must be in (0, 1]. It is the part of equity put to work."
            )
        self._leverage = self._find_leverage()
        self._exits = Exits(self.p.stop_price_pct, self.p.take_profit_price_pct, self.p.trailing_price_pct)
        if isinstance(self.broker, FuturesBroker) and self.broker.margin_mode == "isolated":
            self._exits.check_liquidation(self._leverage, self.broker.contract(self.data))
        self._trade_from = _naive_utc(self.p.trade_from)
        self._side = 0  # the side last taken, held or closed by an exit since
        self._entry: Any = None
        self._children: list[Any] = []

    def _find_leverage(self) -> float:
        """The broker's leverage; raises where an explicit one disagrees with it."""
        wanted = self.p.leverage
        if isinstance(self.broker, FuturesBroker):
            given = self.broker.leverage(self.data)
            if wanted is not None and wanted != given:
                raise LeverageError(
                    f"the strategy's leverage {wanted} differs from the broker's {given:g}. "
                    f"Leave it out, or give this strategy a FuturesBroker(leverage={wanted})."
                )
            return given
        given = float(self.broker.getcommissioninfo(self.data).get_leverage())
        if wanted is not None and not 0.0 < wanted <= given:
            raise LeverageError(
                f"leverage {wanted} exceeds the {given:g} of {type(self.broker).__name__}. "
                f"Use cerebro.setbroker(FuturesBroker(leverage={wanted}))."
            )
        return given if wanted is None else float(wanted)

    def next(self) -> None:
        if self._trade_from is None or self.data.datetime.datetime() >= self._trade_from:
            self.trade_towards(self.target())

    def target(self) -> int:
        """The side wanted now: +1, -1 or 0."""
        value = self.signal[0]
        side = int(value > 0.0) - int(value < 0.0)
        return max(side, 0) if self.p.long_only else side

    def trade_towards(self, side: int) -> None:
        """Leave what is held for another side and enter `side`, where it is not the side taken last."""
        if side == self._side:
            return
        for order in self._children:
            if order.alive():
                self.cancel(order)
        self._children = []
        self._side = side
        if self.position:
            self.close(reason="signal", reduce_only=True)
        if side:
            self._enter(side)

    def _enter(self, side: int) -> None:
        price = self.data.close[0]
        contract = self.broker.contract(self.data) if isinstance(self.broker, FuturesBroker) else _STOCK
        equity = self.broker.getvalue()
        size = size_for(equity, price, self._leverage, self.p.fraction, contract.lot, contract.is_inverse)
        if not size:
            logger.info("no entry: equity %s is too small at price %s", equity, price)
            return
        enter, leave = (self.buy, self.sell) if side > 0 else (self.sell, self.buy)
        exits = self._exits.orders(side, price)
        self._entry = enter(size=size, transmit=not exits, reason="signal")
        self._children = [
            leave(size=size, parent=self._entry, transmit=number == len(exits), reduce_only=True, **kwargs)
            for number, kwargs in enumerate(exits, start=1)
        ]

    def notify_order(self, order: Any) -> None:
        if order.status not in (order.Margin, order.Rejected, order.Canceled, order.Expired):
            return
        if self._entry is not None and order.ref == self._entry.ref:
            self._side = 0  # nothing was entered: try again at the next bar
        if order.status in (order.Margin, order.Rejected):
            logger.warning(
                "%s: order of %s at %s ended as %s; %s",
                self.data.datetime.datetime(),
                order.size,
                order.created.price,
                order.getstatusname(),
                order.info.get("refusal") or f"free balance {self.broker.getcash()}",
            )


def _naive_utc(moment: datetime | None) -> datetime | None:
    """Backtrader's clock: UTC without a zone; a moment without one is taken as UTC."""
    if moment is None:
        return None
    if not isinstance(moment, datetime):
        raise ConfigError(f"trade_from={moment!r} is not a datetime. Pass datetime(2025, 1, 1, tzinfo=UTC).")
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
