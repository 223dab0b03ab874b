"""An analyzer that keeps what a run did: the account bar by bar, its trades, the forecasts behind them."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from datetime import UTC, datetime
from typing import Any, cast

import backtrader as bt
import pandas as pd

from lstm_backtrader.datafeeds.pace import late_s
from lstm_backtrader.errors import ReportError
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
from lstm_backtrader.reporting.standing import StandingStops
from lstm_backtrader.reporting.tradebook import Fill
from lstm_backtrader.reporting.valuation import Valuation

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


_WITHDRAWN = (bt.Order.Canceled, bt.Order.Expired, bt.Order.Margin, bt.Order.Rejected)


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
        self._leader: RunRecorder = self

    def start(self) -> None:
        broker = self.strategy.broker
        self._account = Valuation(broker, self.strategy.datas)
        self._stops = StandingStops()
        self._first = -math.inf if self.p.start is None else bt.date2num(_naive_utc(self.p.start))
        self._forecasts = [i for i in self.strategy.getindicators() if hasattr(i.lines, "forecast")]
        lines = self._forecasts[0].lines if self._forecasts else None
        self._forecast, self._prob_up = getattr(lines, "forecast", None), getattr(lines, "prob_up", None)
        self._tells_margin = hasattr(broker, "margin_ratio")
        self._leader = self._find_leader()

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
            self._account.collect_funding()
            self.record = self._build() if self._rows else None
        else:
            self.record = self._leader.record
        # what is left must survive the way back from an optimisation's process
        del self._account, self._stops, self._forecasts, self._forecast, self._prob_up, self._leader
        self._rows = array("d")

    def get_analysis(self) -> Figures:
        """The account's figures; empty where no bar was recorded."""
        return {} if self.record is None else self.record.metrics()

    def book_order(self, order: Any) -> None:
        """Book the fills of an order that this notification brings, and whether it protects a position."""
        account, data = self._account, order.data
        account.collect_funding()  # due at the bar's open, before its fills
        self._stops.notice(order)
        info, bar = order.info, len(data)
        is_liquidation = bool(info.get("liquidation", False))
        reason = str(info.get("reason") or ("liquidation" if is_liquidation else _KINDS[order.exectype]))
        for bit in order.executed.iterpending():
            account.turnover += account.worth(data, bit.size, bit.price)
            account.book.fill(
                Fill(
                    instrument=data,
                    tradeid=order.tradeid,
                    time=bit.dt - late_s(data) / 86_400,  # of a bar stamped late: its open
                    bar=bar,
                    size=bit.size,
                    price=bit.price,
                    fee=bit.closedcomm + bit.openedcomm,
                    reason=reason,
                    is_liquidation=is_liquidation,
                    slippage=getattr(bit, "slippage", 0.0),
                    order=order.ref,
                )
            )
        if order.status in _WITHDRAWN:
            account.book.withdraw(data, order.tradeid, bar, order.ref)
        account.book.protect(data, order.tradeid, bar, self._stops.of(data, order.tradeid))

    def record_bar(self) -> None:
        """Write the account's row of data0's current bar, over an earlier one of the same bar."""
        account, broker, stamp = self._account, self._account.broker, self.data.datetime[0]
        account.collect_funding()
        account.look()
        equity = account.equity()
        notional, margin = account.exposure()
        if account.book.has_open_trades():
            account.book.watch({data: (data.high[0], data.low[0]) for data in self.strategy.datas if len(data)})
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
                account.book.fees,
                account.ledger_totals()[0],
                account.open_profit(),
                account.turnover,
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
        self._account.begin(self.data.datetime[0] if len(self.data) else 0.0)

    def _build(self) -> RunRecord:
        account, book, broker = self._account, self._account.book, self._account.broker
        equity = equity_frame(self._rows)
        profit_open = float(equity["open_profit"].iloc[-1]) + book.open_slippage()
        gross = book.gross + book.slippage - book.open_slippage()
        rows = book.rows(account.closes, account.bars, lambda data: _name(self.strategy, data))
        share_out(rows, profit_open)
        funding, other_cash, liquidations = account.ledger_totals()
        has_ledger = account.ledger is not None
        if not has_ledger:
            made = equity["equity"].iloc[-1] - account.start_equity
            other_cash = float(made - (gross + profit_open - book.fees))
        return RunRecord(
            equity=equity,
            trades=trades_frame(rows, knows_slippage=has_ledger),
            totals=AccountTotals(
                start_equity=account.start_equity,
                gross_profit_closed=gross,
                profit_open=profit_open,
                fees=book.fees,
                slippage=book.slippage if has_ledger else None,
                funding=funding,
                liquidation_loss=float(sum(cast(float, row["liquidation_loss"]) for row in rows)),
                other_cash=other_cash,
                liquidations=int(liquidations),
                turnover=account.turnover,
            ),
            has_ledger=has_ledger,
            simulation=broker.simulation(self.data) if hasattr(broker, "simulation") else None,
            forecast=self._forecast_summary(),
            strategy=" + ".join(type(each).__name__ for each in self.strategy.cerebro.runningstrats),
            params={name: str(value) for name, value in self.strategy.p._getkwargs().items()},
            symbol=_name(self.strategy, self.data),
            halts=_halts(self.strategy.cerebro.runningstrats),
            kept_out=_kept_out(self.strategy.cerebro.runningstrats),
            cheats_on_close=bool(getattr(getattr(broker, "p", None), "coc", False)),
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


def _kept_out(strategies: list[Any]) -> Counter[str] | None:
    counts = [each for strategy in strategies if isinstance(each := getattr(strategy, "kept_out", None), Counter)]
    return sum(counts, Counter()) if counts else None


def _naive_utc(time: datetime) -> datetime:
    return time if time.tzinfo is None else time.astimezone(UTC).replace(tzinfo=None)


def _name(strategy: Any, data: Any) -> str:
    number = next(number for number, each in enumerate(strategy.datas) if each is data)  # feeds compare by price
    return str(data._name) or f"data{number}"
