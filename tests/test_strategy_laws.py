"""Laws of the rules on random markets: no position beyond the leverage, no loss beyond the stop but by a gap."""

import backtrader as bt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trading import Wish, account

from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.futures import rules
from lstm_backtrader.reporting.recorder import RunRecorder, run_record
from lstm_backtrader.strategies.exits import BreakEven, StopLoss, TakeProfit, TrailingStop
from lstm_backtrader.strategies.line_exits import AtrStop
from lstm_backtrader.strategies.sizing import FractionOfEquity, RiskPerTrade
from lstm_backtrader.strategies.timed_exits import TimeLimit


class Counting(Wish):
    """Notes what every position is worth when it is entered, over the equity that the bar before closed with."""

    def __init__(self):
        super().__init__()
        self.multiples = []
        self._before = (0, 0.0)  # position and equity at the last close

    def next(self):
        super().next()
        self._before = (self.desk.held, self.broker.getvalue())

    def notify_order(self, order):
        super().notify_order(order)
        held, equity = self._before
        for bit in order.executed.exbits:
            if bit.opened and not held and not order.alive():
                inverse = self.broker.contract(self.data).is_inverse
                self.multiples.append(rules.notional(bit.opened, bit.price, inverse) / equity)


def traded(candles_of, seed, jump, kind, margin_mode, wish, **params):
    """A run on a random walk with gaps of `jump` between its bars."""
    table = candles_of(160, seed)
    gaps = np.exp(np.cumsum(np.random.default_rng(seed).normal(0, jump, len(table))))
    prices = ["open", "high", "low", "close"]
    table[prices] = table[prices].mul(gaps, axis=0)
    table["wish"] = np.repeat(wish, 10)[: len(table)]
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(table))
    cerebro.setbroker(account(kind, margin_mode=margin_mode, leverage=5))
    cerebro.addstrategy(Counting, **params)
    cerebro.addanalyzer(RunRecorder)
    results = cerebro.run()
    return table, results[0], run_record(results)


REASONS = {"signal", "stop", "trailing", "break_even", "atr_stop", "take_profit", "time_limit", "liquidation"}


def entries_of(run_):
    """Fills that entered, as ((reason, price), size): those by the signal that began from flat."""
    held, found = 0.0, []
    for fill, size in zip(run_.fills, run_.sizes, strict=True):
        if abs(held) <= 1e-9 * abs(size):
            found.append((fill, size))
            held = 0.0
        held += size
    return found


markets = {
    "seed": st.integers(0, 10_000),
    "jump": st.sampled_from([0.0, 0.003, 0.02]),
    "kind": st.sampled_from(["linear", "inverse"]),
    "margin_mode": st.sampled_from(["isolated", "cross"]),
    "wish": st.lists(st.sampled_from([-1, 0, 1]), min_size=16, max_size=16),
}


@settings(max_examples=40)
@given(
    **markets,
    sizing=st.sampled_from([FractionOfEquity(0.3), FractionOfEquity(1.0), RiskPerTrade(0.01), RiskPerTrade(0.5)]),
    trailing=st.booleans(),
    parts=st.booleans(),
)
def test_no_order_leaves_more_than_the_leverage_and_no_exit_turns_a_position(
    candles_of, seed, jump, kind, margin_mode, wish, sizing, trailing, parts
):
    exits = [StopLoss(0.02), TimeLimit(8), BreakEven(0.01)]
    exits += [TrailingStop(0.01, 0.02)] if trailing else [AtrStop(3.0, follows=True)]
    exits += [TakeProfit(0.01, share=0.5), TakeProfit(0.02, share=0.3)] if parts else []

    _, run_, record = traded(
        candles_of, seed, jump, kind, margin_mode, wish, exits=exits, sizing=sizing, reenter=True
    )

    assert all(multiple <= 5 * (1 + 1e-9) for multiple in run_.multiples)
    for trade in record.trades.itertuples():  # one from flat to flat: an exit beyond it would begin another
        assert trade.bars <= 9
        assert trade.is_open or trade.exit_reason in REASONS
    assert len(record.trades) == sum(reason == "signal" and size != 0 for (reason, _), size in entries_of(run_))
    if not run_.desk.held:
        assert [order for order in run_.broker.get_orders_open() if order.info.get("reduce_only")] == []


@settings(max_examples=40)
@given(**markets, stop=st.sampled_from([0.005, 0.02, 0.05]))
def test_no_position_loses_more_than_its_stop_allows_but_by_a_gap(
    candles_of, seed, jump, kind, margin_mode, wish, stop
):
    table, _, record = traded(
        candles_of, seed, jump, kind, margin_mode, wish, exits=[StopLoss(stop)], fraction=0.5, reenter=True
    )

    closed = record.trades[~record.trades["is_open"]]
    for trade in closed.itertuples():
        level = trade.entry_price * (1 - trade.side * stop)
        opened = table["open"][trade.exit_time]
        is_gap = trade.side * opened <= trade.side * level
        worst = opened if is_gap else level
        assert trade.side * trade.exit_price >= trade.side * worst * (1 - trade.side * 1e-12)
        if trade.exit_reason == "stop":
            assert trade.exit_price == pytest.approx(worst)


@settings(max_examples=25)
@given(**markets | {"jump": st.just(0.0), "margin_mode": st.just("isolated")}, risk=st.sampled_from([0.005, 0.02]))
def test_a_trade_sized_by_its_risk_loses_no_more_of_the_equity(
    candles_of, seed, jump, kind, margin_mode, wish, risk
):
    _, _, record = traded(
        candles_of,
        seed,
        jump,
        kind,
        margin_mode,
        wish,
        exits=[StopLoss(0.03)],
        sizing=RiskPerTrade(risk),
        reenter=True,
    )

    equity = record.equity["equity"]
    for trade in record.trades[~record.trades["is_open"]].itertuples():
        before = equity[: trade.entry_time].iloc[-2] if len(equity[: trade.entry_time]) > 1 else equity.iloc[0]
        assert trade.net_profit >= -risk * before * 1.001  # without gaps the open is the last close


def test_the_laws_are_about_something(candles_of):
    wish = [1, -1] * 8
    exits = [StopLoss(0.01), TrailingStop(0.005, 0.01), BreakEven(0.01), TakeProfit(0.015, share=0.5), TimeLimit(8)]
    reasons, gaps = set(), 0

    for seed in range(6):
        table, run_, record = traded(
            candles_of, seed, 0.02, "inverse", "isolated", wish, exits=exits, fraction=0.9, reenter=True
        )
        reasons |= {reason for reason, _ in run_.fills}
        stopped = record.trades[record.trades["exit_reason"] == "stop"]
        gaps += int((stopped["exit_price"].to_numpy() == table["open"][stopped["exit_time"]].to_numpy()).sum())
        assert len(run_.multiples) > 5

    assert reasons >= {"signal", "stop", "trailing", "break_even", "take_profit", "time_limit"}
    assert gaps > 10
