"""A strategy that trades any line of signals: +1 long, -1 short, 0 flat."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

import backtrader as bt

from lstm_backtrader.errors import ConfigError, LeverageError
from lstm_backtrader.futures.broker import FuturesBroker
from lstm_backtrader.strategies import parameters as p
from lstm_backtrader.strategies.desk import Desk, Halt
from lstm_backtrader.strategies.entries import Cooldown, MaxFunding, Sessions
from lstm_backtrader.strategies.exits import BreakEven, StopLoss, TakeProfit, TrailingStop
from lstm_backtrader.strategies.guards import ConsecutiveLosses, DailyLossLimit, MaxDrawdown
from lstm_backtrader.strategies.line_exits import AtrStop
from lstm_backtrader.strategies.rules import Entry, Exit, Guard, OnLines, Sizing
from lstm_backtrader.strategies.signal_parameters import PARAMETERS
from lstm_backtrader.strategies.sizing import FractionOfEquity, RiskPerTrade, VolatilityTarget
from lstm_backtrader.strategies.timed_exits import BeforeFunding, TimeLimit

logger = logging.getLogger(__name__)


class SignalFutures(bt.Strategy, metaclass=p.StrategyWithParameters):
    """Follow ``self.signal``, a line a subclass sets in its ``__init__``.

    A signal known at the close of a bar trades at the next open. The size follows from equity when a position is
    entered or turned, then stays. Stops and targets are orders at the broker; a position they (or the venue) closed
    is entered again only when the signal has changed, or with `reenter` as soon as the entries let it.
    `order.info.reason` tells why an order was made: "signal", "stop", "take_profit", "trailing", "break_even",
    "atr_stop", "time_limit", "funding", the name of a guard or of a rule of yours, "liquidation".

    docs/strategy.md lists the parameters (`PARAMETERS`). `entries`, `exits`, `sizing` and `guards` take rules, see
    `lstm_backtrader.strategies.rules`.

    Raises at the start of a run:
        ConfigError: a parameter outside its range, or one that there is not.
        LeverageError: a leverage the broker does not have, or a stop at or beyond liquidation.
    """

    params: Any = tuple((each.name, each.default) for each in PARAMETERS)  # Backtrader makes a class of it

    signal: Any  # a Backtrader line
    forecast: Any = None  # an `LSTMSignal`, for the rules that want to know its lines

    def _start(self) -> None:
        """Backtrader's start; the rules get their lines before it counts the bars they need."""
        for each in self.parameters():
            each.check(getattr(self.p, each.name))
        if self.p.long_only and self.p.short_only:
            raise ConfigError("long_only and short_only together leave nothing to trade. Give one of them.")
        if self.p.trailing_activation_price_pct and not self.p.trailing_price_pct:
            raise ConfigError("trailing_activation_price_pct is of a trailing stop. Give trailing_price_pct, too.")
        self._rules: dict[str, list[Any]] = {
            "entries": self._bound([*self.own_entries(), *self.p.entries]),
            "exits": self._bound([*self.own_exits(), *self.p.exits]),
        }
        super()._start()

    @classmethod
    def parameters(cls) -> Sequence[p.Parameter]:
        """What is known of the parameters; a subclass adds its own."""
        return PARAMETERS

    def _bound(self, rules: Sequence[Any]) -> list[Any]:
        return [rule.bind(self.data) if isinstance(rule, OnLines) else rule for rule in rules]

    def own_entries(self) -> list[Entry]:
        """The rules that the parameters ask for."""
        found: list[Entry] = []
        if self.p.cooldown_bars:
            found.append(Cooldown(self.p.cooldown_bars))
        if self.p.hours or self.p.weekdays:
            found.append(Sessions(tuple(self.p.hours), tuple(self.p.weekdays)))
        if self.p.max_funding_rate is not None:
            found.append(MaxFunding(self.p.max_funding_rate))
        return found

    def own_exits(self) -> list[Exit]:
        """The rules that the parameters ask for."""
        given = self.p
        found: list[Exit] = []
        if given.stop_price_pct or given.stop_margin_pct:
            found.append(StopLoss(given.stop_price_pct, given.stop_margin_pct))
        if given.trailing_price_pct:
            found.append(TrailingStop(given.trailing_price_pct, given.trailing_activation_price_pct))
        if given.break_even_price_pct:
            found.append(BreakEven(given.break_even_price_pct))
        if given.atr_stop:
            found.append(AtrStop(given.atr_stop))
        if given.take_profit_price_pct or given.take_profit_margin_pct:
            found.append(TakeProfit(given.take_profit_price_pct, given.take_profit_margin_pct))
        if given.time_limit_bars:
            found.append(TimeLimit(given.time_limit_bars))
        if given.before_funding:
            found.append(BeforeFunding())
        return found

    def own_guards(self) -> list[Guard]:
        """The rules that the parameters ask for."""
        found: list[Guard] = []
        if self.p.daily_loss_equity_pct:
            found.append(DailyLossLimit(self.p.daily_loss_equity_pct))
        if self.p.max_drawdown_equity_pct:
            found.append(MaxDrawdown(self.p.max_drawdown_equity_pct))
        if self.p.consecutive_losses:
            found.append(ConsecutiveLosses(self.p.consecutive_losses, self.p.pause_bars))
        return found

    def _rule_of_size(self) -> Sizing:
        names = ("sizing", "risk_equity_pct", "volatility_target")
        given = [name for name in names if getattr(self.p, name)]
        if len(given) > 1:
            raise ConfigError(f"{' and '.join(given)} both say how large a position is. Give one of them.")
        if self.p.risk_equity_pct:
            return RiskPerTrade(self.p.risk_equity_pct)
        if self.p.volatility_target:
            return VolatilityTarget(self.p.volatility_target)
        sizing: Sizing = self.p.sizing or FractionOfEquity(self.p.fraction)
        return sizing

    def start(self) -> None:
        self._check_leverage()
        self._trade_from = p.moment("trade_from", self.p.trade_from)
        self._side = 0  # the side last taken, held or closed by an exit since
        self.desk = Desk(
            self,
            sizing=self._rule_of_size(),
            entries=self._rules["entries"],
            exits=self._rules["exits"],
            guards=[*self.own_guards(), *self.p.guards],
            forecast=self.forecast,
        )

    def stop(self) -> None:
        if self.desk.refusals:
            counts = ", ".join(f"{name} on {count} bars" for name, count in self.desk.refusals.most_common())
            logger.info("positions were refused by %s", counts)

    @property
    def halts(self) -> Sequence[Halt]:
        """When guards stopped trading, and why."""
        return self.desk.halts

    @property
    def kept_out(self) -> Counter[str]:
        """Bars on which a position was wanted and not entered, by what kept it out."""
        return self.desk.kept_out()

    def _check_leverage(self) -> None:
        """Raises where an explicit leverage disagrees with the broker's."""
        wanted = self.p.leverage
        if wanted is None:
            return
        if isinstance(self.broker, FuturesBroker):
            given = self.broker.leverage(self.data)
            if wanted != given:
                raise LeverageError(
                    f"the strategy's leverage {wanted} differs from the broker's {given:g}. "
                    f"Leave it out, or give this strategy a FuturesBroker(leverage={wanted})."
                )
            return
        given = float(self.broker.getcommissioninfo(self.data).get_leverage())
        if wanted > given:
            raise LeverageError(
                f"leverage {wanted} exceeds the {given:g} of {type(self.broker).__name__}. "
                f"Use cerebro.setbroker(FuturesBroker(leverage={wanted}))."
            )

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
        if self.p.long_only:
            side = max(side, 0)
        return min(side, 0) if self.p.short_only else side

    def trade_towards(self, side: int) -> None:
        """Leave what is held for another side or because a rule says so, and enter `side` where it is a new one."""
        flattens, halted = self.desk.guarded(side)
        held = self.desk.held
        over = self._is_over(side, held)
        reason = self._reason_to_leave(side, held, over, halted if flattens else "")
        if reason:
            self.desk.leave(reason)
        if halted:
            self._side = 0 if reason else held  # what a guard ended or kept out may begin anew
        elif held and not reason:
            self._side = held
        elif side == 0:
            self._side = 0
        elif over or side != self._side or (self.p.reenter and not reason):
            self._side = side if self.desk.enter(side) is not None else 0

    def _is_over(self, side: int, held: int) -> bool:
        """Whether the signal ends what is held; a subclass that sets `_side` to 0 wants a position of its own."""
        if not held:
            return False
        wish = {"flat": side != held, "flip": side == -held, "never": False}[self.p.leave_on]
        return wish or self._side != held

    def _reason_to_leave(self, side: int, held: int, over: bool, guard: str) -> str | None:
        if not held:
            return None
        return guard or ("signal" if over else self.desk.reason_to_leave(side))

    def notify_order(self, order: Any) -> None:
        if order.status not in (order.Margin, order.Rejected, order.Canceled, order.Expired):
            return
        if self.desk.note_order(order):
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
