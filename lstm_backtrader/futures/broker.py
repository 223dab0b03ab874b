"""A Backtrader broker for perpetual futures: it plays a bar with funding, orders and liquidations."""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Mapping
from typing import get_args

import backtrader as bt
import pandas as pd

from lstm_backtrader.errors import ConfigError
from lstm_backtrader.futures import rules
from lstm_backtrader.futures.account import MarginMode
from lstm_backtrader.futures.bar import BarReader, Intrabar, Prices
from lstm_backtrader.futures.contract import Contract
from lstm_backtrader.futures.coverage import StampCount
from lstm_backtrader.futures.finer import FinerCandles
from lstm_backtrader.futures.ledger import FundingEvent
from lstm_backtrader.futures.leg import Leg
from lstm_backtrader.futures.playing import BarPlayer
from lstm_backtrader.futures.terms import Feed

Order = bt.Order


class FuturesBroker(BarPlayer):
    """Perpetual futures on isolated or cross margin: ``cerebro.setbroker(FuturesBroker(leverage=3))``.

    Linear and inverse contracts, as many datas as share a settlement coin, one position for each (data, tradeid).
    A bar is played in this order: funding of what is held at its start; liquidations by a gap; all that fills at
    the open (market orders, gapped stops and limits); then along the bar's prices to one extreme, the other and the
    close, each order and liquidation where its price is met. Which extreme comes first is not in the candle:
    "pessimistic" takes the worse side of the position first, and for an order that opens one inside the bar the
    side that leaves it the worse rest; "optimistic" the other. `intrabar_candles` replace the guess by shorter
    bars. Bars that could have met two ends of a position are counted in `ledger.ambiguous_bars`.

    Liquidation looks at the data's `mark_*` lines where they are there and known, else at its prices. Funding
    needs a `funding_rate` line and is paid at `mark_open`, else at the open. On orders, `order.info.liquidation`
    is True for a liquidation, `order.info.maker` where the maker fee was paid, and `order.info.refusal` says why
    one was rejected. `buy` and `sell` take ``reduce_only=True`` for an order that never opens. A bracket's child
    takes ``from_fill=-0.02``, 2 % below its parent's fill; ``wakes_from_fill=0.03``, at work only once the price
    has been 3 % above it; ``partial=True``, which leaves its siblings at work for what it does not close.

    Args:
        contract: what is traded: a `Contract`, or a preset's name such as "bybit:BTC/USD:BTC" (`lbt venues` lists
            them). Without one, fees and maintenance of a large venue's first tier.
        leverage: notional / margin of every position, 1 up to the contract's limit.
        margin_mode: "isolated", or "cross": all of the account stands behind every position.
        intrabar: "pessimistic" or "optimistic", see above.
        intrabar_candles: candles of shorter bars, a table for the one data or a mapping of the datas' names to
            tables; with their own `mark_*` and `funding_rate` columns they settle funding at its own stamps.
        taker_fee, maker_fee, maintenance, max_leverage: replace those of `contract`, as fractions, in every tier.
        cash: start equity in the settlement coin; it and every other parameter of `bt.brokers.BackBroker`
            (slippage, filler, ...) go by keyword.

    Raises:
        ConfigError: an argument that is not one of the above.
        LeverageError: a leverage outside the contract's limits.
    """

    def __init__(
        self,
        contract: Contract | str | None = None,
        *,
        leverage: float = 1.0,
        cash: float = 10_000.0,  # arrives as Backtrader's parameter of that name; here for the reader
        margin_mode: MarginMode = "isolated",
        intrabar: Intrabar = "pessimistic",
        intrabar_candles: pd.DataFrame | Mapping[str, pd.DataFrame] | None = None,
        taker_fee: float | None = None,
        maker_fee: float | None = None,
        maintenance: float | None = None,
        max_leverage: float | None = None,
    ) -> None:
        if intrabar not in get_args(Intrabar):
            raise ConfigError(f"intrabar={intrabar!r} is unknown. Use 'pessimistic' or 'optimistic'.")
        super().__init__(margin_mode=margin_mode)
        self.intrabar = intrabar
        self._finer = FinerCandles(intrabar_candles)
        contract = as_contract(contract)
        contract = dataclasses.replace(
            contract,
            taker_fee=contract.taker_fee if taker_fee is None else taker_fee,
            maker_fee=contract.maker_fee if maker_fee is None else maker_fee,
        )
        if maintenance is not None:
            contract = contract.with_maintenance(maintenance)
        if max_leverage is not None:
            contract = contract.with_max_leverage(max_leverage)
        self.set_contract(contract, leverage=leverage)

    def init(self) -> None:
        super().init()
        self._seen: dict[Feed, float] = {}  # stamp of the last bar played
        self._readers: dict[Feed, BarReader] = {}
        self._stamps: dict[Feed, StampCount] = {}

    def start(self) -> None:
        super().start()
        coins = {data._name: self.contract(data).settlement for data in self.cerebro.datas}
        if len(set(coins.values())) > 1:
            told = ", ".join(f"{name} in {coin}" for name, coin in coins.items())
            raise ConfigError(
                f"an account settles in one coin, and {told} do not. Give each coin a run of its own."
            )

    def simulation(self, data: Feed = None) -> dict[str, object]:
        """What the account rests on, in plain values: its contract and rules, and the coverage of the data."""
        contract = self.contract(data)
        return {
            "contract": f"{contract.venue}:{contract.symbol}" if contract.venue else contract.symbol or "generic",
            "kind": contract.kind,
            "settlement": contract.settlement,
            "money_digits": contract.money_digits,
            "leverage": self.leverage(data),
            "margin_mode": self.margin_mode,
            "maker_fee": contract.maker_fee,
            "taker_fee": contract.taker_fee,
            "maintenance": contract.maintenance,
            "tiers": [
                {"floor": tier.floor, "maintenance": tier.maintenance, "max_leverage": tier.max_leverage}
                for tier in contract.tiers
            ],
            "intrabar": "intrabar_candles" if self._finer else self.intrabar,
            "ambiguous_bars": len(self.ledger.ambiguous_bars),
            **dataclasses.asdict(self.ledger.coverage),
        }

    # ---- one bar

    def next(self) -> None:
        while self._toactivate:
            self._toactivate.popleft().activate()
        self._book_cash()
        if self.p.checksubmit:
            self.check_submitted()
        self._process_order_history()
        if self.pending:
            self._expire()
        if self._legs or self.pending or self.p.coo:
            bars = self._new_bars()
            if bars:
                self._play(bars)
        self._get_value()

    def _new_bars(self) -> dict[Feed, Prices]:
        """Bars of the datas with something held or ordered; a step may bring a new bar of another data only."""
        bars = {}
        if self.p.coo:  # an order made before its data's next bar would meet one that is over
            for data in self.cerebro.datas:
                if data not in self._legs and all(order.data is not data for order in self.pending) and len(data):
                    self._seen[data] = data.datetime[0]
        for data in dict.fromkeys([*self._legs, *(order.data for order in self.pending)]):
            if len(data) and self._seen.get(data) != data.datetime[0]:
                self._seen[data] = data.datetime[0]
                if data not in self._readers:
                    self._readers[data] = BarReader(data)
                    self._stamps[data] = StampCount(data, self.contract(data))
                bars[data] = self._readers[data].read()
        return bars

    def _play(self, bars: dict[Feed, Prices]) -> None:
        self._begin()
        for step in self._finer.steps(bars) if self._finer else (bars,):
            self._open_step(step)
            if self.pending:
                self._fill_past_sessions()
            self._pay_funding()
            self._play_step()
        self._finish()
        if self.pending:
            self.pending = deque(sorted(self.pending, key=lambda order: order.ref))

    def _expire(self) -> None:
        for order in list(self.pending):
            if order.alive() and order.expire():
                self.pending.remove(order)
                self._drop(order)

    def _pay_funding(self) -> None:
        """Book the rate for each position: out of free cash, then isolated out of the position's own margin.

        All are due at one moment: what is received comes first, and small payments before large ones.
        """
        due: list[tuple[float, Feed, int, Leg]] = []
        for data, prices in self._bars.items():
            if data not in self._legs:
                continue
            self._stamps[data].count(prices, self.ledger.coverage)
            if math.isnan(prices.rate):
                continue
            for _, tradeid, leg in self.legs(data):
                amount = rules.funding_payment(leg.size, prices.mark.open, prices.rate, leg.contract.is_inverse)
                due.append((amount, data, tradeid, leg))
        due.sort(key=lambda payment: -payment[0])
        for amount, data, tradeid, leg in due:
            if self._is_cross:
                paid = max(amount, -max(0.0, self._equity_now()))
                self.cash += paid
            else:
                from_cash = max(amount, -max(self.cash, 0.0))
                from_margin = max(amount - from_cash, -leg.margin)
                paid = from_cash + from_margin
                self.cash += from_cash
                if from_margin:
                    leg.add_margin(from_margin)
            self.ledger.book_funding(FundingEvent(data.datetime[0], data, tradeid, paid))


def as_contract(given: Contract | str | None) -> Contract:
    """The contract itself, the preset of that name, or for None one without a venue."""
    if given is None:
        return Contract()
    if isinstance(given, str):
        from lstm_backtrader.futures.venues import find_contract

        return find_contract(given)
    if not isinstance(given, Contract):
        raise ConfigError(
            f"contract={given!r} is not a Contract. Pass Contract(symbol=..., ...) or a preset's name."
        )
    return given
