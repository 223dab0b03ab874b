"""An analyzer that keeps what a run did: the account bar by bar, its trades, the forecasts behind them."""

from __future__ import annotations

import math
from array import array
from datetime import UTC, datetime
from typing import Any, cast

import backtrader as bt
import pandas as pd

from lstm_backtrader.datafeeds.pace import late_s
from lstm_backtrader.errors import ReportError
from lstm_backtrader.futures import rules
from lstm_backtrader.reporting.metrics import AccountTotals, Figures
from lstm_backtrader.reporting.run_record import (
    EQUITY_COLUMNS,
    WIDTH,
    Halted,
    RunRecord,
    equity_frame,
    share_out,
    trades_frame,
)
from lstm_backtrader.reporting.tradebook import Fill, TradeBook

__all__ = ["EQUITY_COLUMNS", "Halted", "RunRecord", "RunRecorder", "run_record"]

_KINDS = {  # of an order whose script gives no reason
    bt.Order.Market: "market order",
    bt.Order.Close: "close order",
    bt.Order.Limit: "limit",
    bt.Order.Stop: "stop",
    bt.Order.StopLimit: "stop",
    bt.Order.StopTrail: "trailing",
    bt.Order.StopTrailLimit: "trailing",
    bt.Order.Historical: "order of a history",
}


class NeverTradedError(ReportError):
    """A run that never reached `next()`."""


class RunRecorder(bt.Analyzer):
    """Record equity, trades and forecasts; `record` holds them once the run is over.

    Works with any broker that notifies its orders. With a broker that keeps a `ledger` funding, liquidations
    and deposits come from there; with another `other_cash` is what the trades do not explain: deposits,
    credit interest of open positions (of closed ones Backtrader books it as commission), or a broker whose
    value does not follow its positions. data0 is the clock. Several strategies of one cerebro trade one
    account, so all their orders are kept in the first one's recorder, and every recorder gives the same
    record.

    Bars before the strategy's first `next()` and before `start` (UTC) are left out; a trade open by then is
    entered again at the last close before.
    """

    params = (("start", None),)

    def create_analysis(self) -> None:
        self.record: RunRecord | None = None
        self._rows = array("d")  # one after the other, the stamp before EQUITY_COLUMNS
        self._last_marks: tuple[dict[Any, float], dict[Any, int]] = ({}, {})
        self._known: dict[Any, float] = {}  # last close that is a number
        self._valued: tuple[float, float] = (0.0, 0.0)  # equity at the last bar with one, what explained it there
        self._totals_before: tuple[float, ...] = ()
        self._funding_seen = 0
        self._leader: RunRecorder = self

    def start(self) -> None:
        self._broker = self.strategy.broker
        self._ledger = getattr(self._broker, "ledger", None)
        self._book = TradeBook(profit=self._profit)
        self._first = -math.inf if self.p.start is None else bt.date2num(_naive_utc(self.p.start))
        self._forecasts = [i for i in self.strategy.getindicators() if hasattr(i.lines, "forecast")]
        lines = self._forecasts[0].lines if self._forecasts else None
        self._forecast, self._prob_up = getattr(lines, "forecast", None), getattr(lines, "prob_up", None)
        self._tells_margin = hasattr(self._broker, "margin_ratio")
        self._turnover = 0.0
        self._leader = self._find_leader()
        self._start_equity = float(self._broker.getvalue())
        self._totals_before = self._ledger_totals()
        self._valued = (self._start_equity, self._explained())

    def notify_order(self, order: Any) -> None:
        self._leader.book_order(order)

    def prenext(self) -> None:
        if self._leader is self:
            self._begin_here()

    def next(self) -> None:
        if self._leader is not self:
            self._leader.record_bar()
        elif self.data.datetime[0] < self._first:
            self._begin_here()
        else:
            self.record_bar()

    def stop(self) -> None:
        if self._leader is self:
            self._collect_funding()
            self.record = self._build() if self._rows else None
        else:
            self.record = self._leader.record
        # what is left must survive the way back from an optimisation's process
        del self._broker, self._ledger, self._book, self._forecasts, self._forecast, self._prob_up, self._leader
        self._rows, self._last_marks, self._known = array("d"), ({}, {}), {}

    def get_analysis(self) -> Figures:
        """The account's figures; empty where no bar was recorded."""
        return {} if self.record is None else self.record.metrics()

    def book_order(self, order: Any) -> None:
        """Book the fills of an order that this notification brings."""
        self._collect_funding()  # due at the bar's open, before its fills
        info = order.info
        is_liquidation = bool(info.get("liquidation", False))
        reason = str(info.get("reason") or ("liquidation" if is_liquidation else _KINDS[order.exectype]))
        for bit in order.executed.iterpending():
            self._turnover += self._worth(order.data, bit.size, bit.price)
            self._book.fill(
                Fill(
                    instrument=order.data,
                    tradeid=order.tradeid,
                    time=bit.dt - late_s(order.data) / 86_400,  # of a bar stamped late: its open
                    bar=len(order.data),
                    size=bit.size,
                    price=bit.price,
                    fee=bit.closedcomm + bit.openedcomm,
                    reason=reason,
                    is_liquidation=is_liquidation,
                )
            )

    def record_bar(self) -> None:
        """Write the account's row of data0's current bar, over an earlier one of the same bar."""
        self._collect_funding()
        broker, stamp = self._broker, self.data.datetime[0]
        self._last_marks = self._closes(), self._bars()  # at stop() a data may have moved on
        equity = self._equity()
        notional, margin = self._exposure()
        if self._book.has_open_trades():
            self._book.watch({data: (data.high[0], data.low[0]) for data in self.strategy.datas if len(data)})
        tells_margin = self._tells_margin and notional > 0
        if self._rows and self._rows[-WIDTH] == stamp:
            del self._rows[-WIDTH:]
        self._rows.extend(
            (
                stamp,
                equity,
                float(broker.getcash()),
                self.data.high[0],
                self.data.low[0],
                self.data.close[0],
                float(broker.getposition(self.data).size),
                notional,
                notional / equity if equity > 0 else (math.inf if notional else 0.0),
                margin,
                broker.margin_ratio() if tells_margin else math.nan,
                broker.liquidation_distance() if tells_margin else math.nan,
                self._book.fees,
                self._funding(),
                self._open_profit(),
                self._turnover,
                math.nan if self._forecast is None else self._forecast[0],
                math.nan if self._prob_up is None else self._prob_up[0],
            )
        )

    def _find_leader(self) -> RunRecorder:
        for strategy in self.strategy.cerebro.runningstrats:
            for analyzer in strategy.analyzers:
                if isinstance(analyzer, RunRecorder):
                    return analyzer
        return self

    def _begin_here(self) -> None:
        """Let statistics begin after this bar."""
        self._collect_funding()
        self._last_marks = self._closes(), self._bars()
        self._start_equity = self._equity()
        self._totals_before = self._ledger_totals()
        self._turnover = 0.0
        self._book.restart(*self._last_marks, self.data.datetime[0] if len(self.data) else 0.0)
        self._valued = (self._start_equity, self._explained())

    def _collect_funding(self) -> None:
        if self._ledger is None:
            return
        events = self._ledger.funding_events
        for _, data, tradeid, amount in events[self._funding_seen :]:
            self._book.fund(data, tradeid, amount)
        self._funding_seen = len(events)

    def _ledger_totals(self) -> tuple[float, ...]:
        ledger = self._ledger
        if ledger is None:
            return (0.0, 0.0, 0.0)
        return (float(ledger.funding), float(ledger.other_cash), float(ledger.liquidations))

    def _funding(self) -> float:
        return self._ledger_totals()[0] - self._totals_before[0]

    def _equity(self) -> float:
        """The broker's; where a price is missing, that of the bar before and what the books say of this one."""
        equity = float(self._broker.getvalue())
        if math.isnan(equity):
            before, explained = self._valued
            equity = before + self._explained() - explained
        self._valued = (equity, self._explained())
        return equity

    def _explained(self) -> float:
        """What the books say that the account made, open profit at the last prices known; any time's zero."""
        book, (funding, other_cash, _) = self._book, self._ledger_totals()
        return book.gross + self._open_profit() - book.fees + funding + other_cash

    def _exposure(self) -> tuple[float, float]:
        """Notional and margin of all positions, in settlement coin; margin NaN where the broker offers none."""
        broker = self._broker
        if hasattr(broker, "notional"):
            notional, margin = float(broker.notional()), float(broker.margin())
            if not math.isnan(notional):
                return notional, margin
        notional = 0.0
        for data in self.strategy.datas:
            size = broker.getposition(data).size
            if size:
                notional += self._worth(data, size, self._last_marks[0][data])
        return notional, math.nan

    def _worth(self, data: Any, size: float, price: float) -> float:
        """Of a size at a price, settlement coin, never negative."""
        if hasattr(self._broker, "contract"):
            return float(rules.notional(size, price, self._broker.contract(data).is_inverse))
        return abs(size) * price * float(self._broker.getcommissioninfo(data).p.mult)

    def _open_profit(self) -> float:
        """What the broker says if it says it (an isolated position loses no more than its margin)."""
        if hasattr(self._broker, "open_profit"):
            profit = float(self._broker.open_profit())
            if not math.isnan(profit):
                return profit
        return self._book.open_profit(self._last_marks[0]) if self._book.has_open_trades() else 0.0

    def _profit(self, instrument: Any, size: float, entry: float, exit_price: float) -> float:
        return float(self._broker.getcommissioninfo(instrument).profitandloss(size, entry, exit_price))

    def _closes(self) -> dict[Any, float]:
        """Of each data the last close that is a number."""
        for data in self.strategy.datas:
            if len(data) and (not math.isnan(close := data.close[0]) or data not in self._known):
                self._known[data] = close
        return dict(self._known)

    def _bars(self) -> dict[Any, int]:
        return {data: len(data) for data in self.strategy.datas}

    def _build(self) -> RunRecord:
        equity = equity_frame(self._rows)
        rows = self._book.rows(*self._last_marks, lambda data: _name(self.strategy, data))
        share_out(rows, float(equity["open_profit"].iloc[-1]))
        book, final = self._book, equity["equity"].iloc[-1]
        funding, other_cash, liquidations = (
            now - before for now, before in zip(self._ledger_totals(), self._totals_before, strict=True)
        )
        profit_open = float(equity["open_profit"].iloc[-1])
        if self._ledger is None:
            other_cash = final - self._start_equity - (book.gross + profit_open - book.fees)
        return RunRecord(
            equity=equity,
            trades=trades_frame(rows),
            totals=AccountTotals(
                start_equity=self._start_equity,
                gross_profit_closed=book.gross,
                profit_open=profit_open,
                fees=book.fees,
                funding=funding,
                liquidation_loss=float(sum(cast(float, row["liquidation_loss"]) for row in rows)),
                other_cash=float(other_cash),
                liquidations=int(liquidations),
                turnover=self._turnover,
            ),
            has_ledger=self._ledger is not None,
            simulation=self._broker.simulation(self.data) if hasattr(self._broker, "simulation") else None,
            forecast=self._forecast_summary(),
            strategy=" + ".join(type(each).__name__ for each in self.strategy.cerebro.runningstrats),
            params={name: str(value) for name, value in self.strategy.p._getkwargs().items()},
            symbol=_name(self.strategy, self.data),
            halts=_halts(self.strategy.cerebro.runningstrats),
        )

    def _forecast_summary(self) -> dict[str, Any] | None:
        for indicator in self._forecasts:
            summary = getattr(indicator, "forecast_summary", None)
            if summary is not None:
                return dict(summary() if self.p.start is None else summary(start=pd.Timestamp(self.p.start)))
        return None


def run_record(results: object) -> RunRecord:
    """The record of a finished run: `results` is what `cerebro.run()` returned, a strategy of it, or a record.

    Raises ReportError without one, NeverTradedError where no bar was recorded.
    """
    if isinstance(results, RunRecord):
        results.check_prices()
        return results
    strategies = results if isinstance(results, list) else [results]
    if strategies and isinstance(strategies[0], list):
        raise ReportError(
            "these are the results of an optimisation, a report is of one run. Pass one: `report(results[0], ...)`."
        )
    for strategy in strategies:
        for analyzer in getattr(strategy, "analyzers", ()):
            if isinstance(analyzer, RunRecorder):
                if analyzer.record is None:
                    raise NeverTradedError(
                        "the strategy never reached next(), so there is nothing to report: its indicators need "
                        "more bars than the data have. Load more history, or lower the longest period."
                    )
                analyzer.record.check_prices()
                return analyzer.record
    raise ReportError(
        "the run was not recorded. Run it by `lbt.run(cerebro)`, or call `lbt.instrument(cerebro)` before."
    )


def _halts(strategies: list[Any]) -> tuple[Halted, ...]:
    halts = [halt for strategy in strategies for halt in getattr(strategy, "halts", ())]
    return tuple(
        Halted(pd.Timestamp(halt.moment), halt.guard, halt.reason)
        for halt in sorted(halts, key=lambda halt: halt.moment)
    )


def _naive_utc(time: datetime) -> datetime:
    return time if time.tzinfo is None else time.astimezone(UTC).replace(tzinfo=None)


def _name(strategy: Any, data: Any) -> str:
    number = next(number for number, each in enumerate(strategy.datas) if each is data)  # feeds compare by price
    return str(data._name) or f"data{number}"
