"""A strategy that trades any line of signals: +1 long, -1 short, 0 flat."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import backtrader as bt

from lstm_backtrader.errors import ConfigError, LeverageError
from lstm_backtrader.futures.broker import FuturesBroker
from lstm_backtrader.futures.rules import liquidation_distance
from lstm_backtrader.strategies.desk import Desk, Halt
from lstm_backtrader.strategies.exits import StopLoss, TakeProfit, TrailingStop
from lstm_backtrader.strategies.rules import Exit
from lstm_backtrader.strategies.situation import Situation
from lstm_backtrader.strategies.sizing import size_for

logger = logging.getLogger(__name__)

_PRICE_EXITS: dict[str, Callable[[float], Exit]] = {
    "stop_price_pct": StopLoss,
    "trailing_price_pct": TrailingStop,
    "take_profit_price_pct": TakeProfit,
}


class SignalFutures(bt.Strategy):
    """Follow ``self.signal``, a line a subclass sets in its ``__init__``.

    A signal known at the close of a bar trades at the next open. The size follows from equity when a position is
    entered or turned, then stays. Stop, take profit and trailing stop are orders at the broker; a position they
    (or the venue) closed is entered again only when the signal has changed. `order.info.reason` of a closing order
    tells why: "signal", "stop", "take_profit", "trailing" or "liquidation".

    `entries`, `exits`, `sizing` and `guards` take rules, see `lstm_backtrader.strategies.rules`.

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
        ("entries", ()),  # each must let a position in
        ("exits", ()),
        ("sizing", None),  # None: `fraction`
        ("guards", ()),
    )

    signal: Any  # a Backtrader line
    forecast: Any = None  # an `LSTMSignal`, for the rules that want to know its lines

    def start(self) -> None:
        if not 0.0 < self.p.fraction <= 1.0:
            raise ConfigError(
                f"fraction={self.p.fraction} must be in (0, 1]. It is the part of equity put to work."
            )
        self._leverage = self._find_leverage()
        self._trade_from = _naive_utc(self.p.trade_from)
        self._side = 0  # the side last taken, held or closed by an exit since
        self.desk = Desk(
            self,
            sizing=self.p.sizing or _Fraction(self.p.fraction),
            entries=self.p.entries,
            exits=[*self._price_exits(), *self.p.exits],
            guards=self.p.guards,
            forecast=self.forecast,
        )

    @property
    def halts(self) -> Sequence[Halt]:
        """When guards stopped trading, and why."""
        return self.desk.halts

    def _price_exits(self) -> list[Exit]:
        found: list[Exit] = []
        for name, kind in _PRICE_EXITS.items():
            distance = getattr(self.p, name)
            if not 0.0 <= distance < 1.0:
                raise ConfigError(
                    f"{name}={distance} must be in [0, 1). It is a fraction of the price: 0.02 is 2 %."
                )
            if not distance:
                continue
            if kind is not TakeProfit:
                self._check_liquidation(name, distance)
            found.append(kind(distance))
        return found

    def _check_liquidation(self, name: str, distance: float) -> None:
        """Refuse a stop that the venue's liquidation of an isolated position would forestall, on either side."""
        if not isinstance(self.broker, FuturesBroker) or self.broker.margin_mode != "isolated":
            return
        contract = self.broker.contract(self.data)
        terms = (contract.maintenance, contract.closing_fee, contract.is_inverse, contract.on_entry)
        liquidation = min(liquidation_distance(side, self._leverage, *terms) for side in (1, -1))
        if distance >= liquidation:
            raise LeverageError(
                f"{name}={distance} lies at or beyond liquidation, {liquidation:.4f} from the entry at "
                f"leverage {self._leverage:g}. Use a nearer stop or less leverage."
            )

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

    def prenext(self) -> None:
        self.desk.observe()

    def next(self) -> None:
        self.desk.observe()
        if self._trade_from is None or self.data.datetime.datetime() >= self._trade_from:
            self.trade_towards(self.target())

    def target(self) -> int:
        """The side wanted now: +1, -1 or 0."""
        value = self.signal[0]
        side = int(value > 0.0) - int(value < 0.0)
        return max(side, 0) if self.p.long_only else side

    def trade_towards(self, side: int) -> None:
        """Leave what is held for another side or because a rule says so, and enter `side` if it is a new one."""
        flattens, halted = self.desk.guarded(side)
        if flattens and self.desk.held:
            self.desk.leave(halted)
            self._side = 0
        if side == self._side:
            reason = self.desk.reason_to_leave(side) if self.desk.held else None
            if reason is not None:
                self.desk.leave(reason)
            return
        self.desk.leave("signal")
        self._side = 0
        if side and not halted and self.desk.enter(side) is not None:
            self._side = side

    def notify_order(self, order: Any) -> None:
        if order.status not in (order.Margin, order.Rejected, order.Canceled, order.Expired):
            return
        entry = self.desk.entry
        if entry is not None and order.ref == entry.ref:
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


@dataclass(frozen=True)
class _Fraction:
    """A notional of leverage times a fraction of equity."""

    fraction: float

    def size(self, situation: Situation) -> float:
        contract = situation.contract
        return size_for(
            situation.equity,
            situation.price,
            situation.leverage,
            self.fraction,
            contract.lot,
            contract.is_inverse,
        )


def _naive_utc(moment: datetime | None) -> datetime | None:
    """Backtrader's clock: UTC without a zone; a moment without one is taken as UTC."""
    if moment is None:
        return None
    if not isinstance(moment, datetime):
        raise ConfigError(f"trade_from={moment!r} is not a datetime. Pass datetime(2025, 1, 1, tzinfo=UTC).")
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
