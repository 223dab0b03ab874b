"""The account against a second, plain implementation of a bar, and against laws no account may break."""

import math

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.futures.broker import FuturesBroker
from lstm_backtrader.strategies.signal_futures import SignalFutures

CASH = 10_000.0
FRACTION = 0.95
MAINTENANCE = 0.005
NAN = float("nan")


class Recorded(SignalFutures):
    """Trades the column `wish` and writes down equity at every bar and each closing fill."""

    def __init__(self):
        self.signal = self.data.lines.wish
        self.equity, self.fees, self.exits = [], [], []

    def notify_order(self, order):
        super().notify_order(order)
        if order.status == order.Completed and order.executed.pnl:
            self.exits.append((order.info.reason, order.executed.size, order.executed.price))

    def next(self):
        super().next()
        self.equity.append(self.broker.getvalue())
        self.fees.append(self.broker.ledger.fees)
        book = self.broker.ledger
        explained = book.gross_profit + self.broker.open_profit() - book.fees + book.funding + book.other_cash
        assert self.broker.getvalue() - CASH == pytest.approx(explained, abs=1e-8)


def market(seed, volatility, with_mark, mirrored=False):
    """60 bars with gaps, signals that last a few bars, funding every fourth bar."""
    random = np.random.default_rng(seed)
    steps = random.normal(0, volatility, (60, 4)) * [0.3, 1, 0.7, 0.7]
    opened = 100 * np.exp(np.cumsum(steps[:, 0] + np.concatenate([[0], steps[:-1, 1]])))
    close = opened * np.exp(steps[:, 1])
    high = np.maximum(opened, close) * np.exp(np.abs(steps[:, 2]))
    low = np.minimum(opened, close) * np.exp(-np.abs(steps[:, 3]))
    wish = np.repeat(random.integers(-1, 2, 60), random.integers(1, 6, 60))[:60]
    rate = np.where(np.arange(60) % 4 == 0, random.normal(0, 0.003, 60), NAN)
    index = pd.date_range("2025-01-01", periods=60, freq="h", tz="UTC", name="open_time")
    columns = {"open": opened, "high": high, "low": low, "close": close, "volume": 1.0}
    if with_mark:
        shift = np.exp(random.normal(0, volatility / 4, 60))
        known = random.random(60) < 0.9
        for name in ("open", "high", "low"):
            columns[f"mark_{name}"] = np.where(known, columns[name] * shift, NAN)
    return pd.DataFrame(columns | {"funding_rate": rate, "wish": wish}, index=index).astype(float)


def run(table, leverage, fee=0.0005, maker=0.0002, **params):
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(table))
    cerebro.setbroker(
        FuturesBroker(leverage=leverage, cash=CASH, taker_fee=fee, maker_fee=maker, maintenance=MAINTENANCE)
    )
    cerebro.addstrategy(Recorded, fraction=FRACTION, **params)
    return cerebro.run()[0]


def by_hand(table, leverage, fee, maker, stop, target, trail):
    """The same account as one loop over bars: equity at each close, and the closing fills."""
    cash, size, entry, margin = CASH, 0.0, 0.0, 0.0
    taken, plan, levels = 0, None, {}
    equity, exits = [], []

    def close_at(price, reason, rate):
        nonlocal cash, size, entry, margin, levels
        bankrupt = entry - margin / size
        price = max(price, bankrupt) if size > 0 else min(price, bankrupt)
        left = max(0.0, margin + size * (price - entry))
        cash += left - min(abs(size) * price * rate, left)
        exits.append((reason, -size, price))
        size, entry, margin, levels = 0.0, 0.0, 0.0, {}

    def liquidation():
        return (margin - size * entry) / (abs(size) * MAINTENANCE - size)

    previous_close = NAN
    for bar in table.itertuples():
        mark = {}
        for name in ("open", "high", "low"):
            value = getattr(bar, f"mark_{name}", NAN)
            mark[name] = getattr(bar, name) if math.isnan(value) else value

        leave, side, wanted = plan or (False, 0, 0.0)
        if wanted:  # would it have been affordable at the close it was made at?
            free = cash
            if leave:
                free += max(0.0, margin + size * (previous_close - entry) - abs(size) * previous_close * fee)
            if wanted * previous_close * (1 / leverage + fee) > free:
                wanted, taken = 0.0, 0

        if size and not math.isnan(bar.funding_rate):
            received = -size * mark["open"] * bar.funding_rate
            from_cash = max(received, -max(cash, 0.0))
            cash += from_cash
            margin += max(received - from_cash, -margin)

        s = math.copysign(1, size)
        if size and s * mark["open"] <= s * liquidation():
            close_at(mark["open"], "liquidation", fee)
            if wanted:
                taken = 0
            leave, wanted = False, 0.0

        if size and leave:
            close_at(bar.open, "signal", fee)
        elif size:
            s = math.copysign(1, size)
            gapped = [
                reason for reason in ("stop", "trailing") if s * bar.open <= s * levels.get(reason, -s * math.inf)
            ]
            if gapped:
                close_at(bar.open, gapped[0], fee)
            elif "take_profit" in levels and s * bar.open >= s * levels["take_profit"]:
                close_at(bar.open, "take_profit", maker)
        if wanted:
            if wanted * bar.open * (1 / leverage + fee) > cash:
                taken = 0
            else:
                size, entry, margin = side * wanted, bar.open, wanted * bar.open / leverage
                cash -= margin + wanted * bar.open * fee
                given_ = {"stop": stop, "trailing": trail}
                levels = {reason: entry * (1 - side * away) for reason, away in given_.items() if away}
                if target:
                    levels["take_profit"] = entry * (1 + side * target)

        if size:
            s = math.copysign(1, size)
            worst = bar.low if s > 0 else bar.high
            stops = sorted((-s * level, reason) for reason, level in levels.items() if reason != "take_profit")
            near = [reason for _, reason in stops if s * levels[reason] >= s * liquidation()]
            hit = [reason for reason in near if s * worst <= s * levels[reason]]
            if hit:
                close_at(levels[hit[0]], hit[0], fee)
        if size and s * mark["low" if s > 0 else "high"] <= s * liquidation():
            level = liquidation()
            close_at(s * min(s * level, s * mark["open"]), "liquidation", fee)
        if size:
            far = [
                reason for reason in ("stop", "trailing") if reason in levels and s * worst <= s * levels[reason]
            ]
            best = bar.high if s > 0 else bar.low
            if far:
                close_at(levels[far[0]], far[0], fee)
            elif "take_profit" in levels and s * best >= s * levels["take_profit"]:
                close_at(levels["take_profit"], "take_profit", maker)
        if "trailing" in levels:
            levels["trailing"] = s * max(s * levels["trailing"], s * bar.close * (1 - s * trail))

        equity.append(cash + margin + max(size * (bar.close - entry), -margin))
        plan = None
        if bar.wish != taken:
            taken = int(bar.wish)
            wanted = max(0.0, leverage * FRACTION * equity[-1] / bar.close) if taken else 0.0
            plan = (size != 0, taken, wanted)
            levels = {}
        previous_close = bar.close
    return equity, exits


distances = st.sampled_from([0.0, 0.01, 0.02, 0.03])
trails = st.sampled_from([0.0, 0.012, 0.025])  # never equal to a stop: two orders at one price have no order
markets = {
    "seed": st.integers(0, 10**6),
    "volatility": st.sampled_from([0.005, 0.02, 0.05]),
    "leverage": st.sampled_from([1.0, 3.0, 10.0, 25.0]),
}


@settings(max_examples=150, deadline=None)
@given(**markets, with_mark=st.booleans(), stop=distances, target=distances, trail=trails)
def test_the_account_equals_a_plain_loop_over_the_bars(seed, volatility, leverage, with_mark, stop, target, trail):
    table = market(seed, volatility, with_mark)

    account = run(table, leverage, stop_price_pct=stop, take_profit_price_pct=target, trailing_price_pct=trail)

    equity, exits = by_hand(table, leverage, 0.0005, 0.0002, stop, target, trail)
    assert [reason for reason, _, _ in account.exits] == [reason for reason, _, _ in exits]
    assert [fill[1:] for fill in account.exits] == [pytest.approx(fill[1:], rel=1e-9) for fill in exits]
    assert account.equity == pytest.approx(equity, rel=1e-9, abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(**markets, with_mark=st.booleans())
def test_equity_is_never_negative(seed, volatility, leverage, with_mark):
    account = run(market(seed, 2 * volatility, with_mark), leverage)

    assert min(account.equity) >= 0.0
    assert account.broker.getcash() >= 0.0


def test_the_random_markets_contain_what_the_laws_are_about():
    accounts = [
        run(
            market(seed, 0.02, True), 25.0, stop_price_pct=0.02, take_profit_price_pct=0.03, trailing_price_pct=0.03
        )
        for seed in range(10)
    ]
    accounts += [run(market(seed, 0.03, False), 25.0) for seed in range(10)]

    reasons = {reason for account in accounts for reason, _, _ in account.exits}
    assert reasons == {"signal", "stop", "take_profit", "trailing", "liquidation"}
    assert any(account.broker.ledger.funding_events for account in accounts)


@settings(max_examples=30, deadline=None)
@given(**markets)
def test_a_higher_fee_never_leaves_more_money_for_the_same_fills(seed, volatility, leverage):
    table = market(seed, volatility, with_mark=False)
    sizes = np.where(table["wish"] > 0, 10.0, -10.0)

    cheap, dear = (follow(table, sizes, leverage, fee) for fee in (0.0002, 0.002))

    assert dear.fills == cheap.fills
    assert all(d <= c for d, c in zip(dear.equity, cheap.equity, strict=True))


@settings(max_examples=30, deadline=None)
@given(seed=markets["seed"], volatility=markets["volatility"], leverage=st.sampled_from([1.0, 3.0]))
def test_without_funding_a_long_and_a_short_of_one_size_cancel(seed, volatility, leverage):
    table = market(seed, volatility / 10, with_mark=False).drop(columns="funding_rate")
    sizes = np.where(table["wish"] > 0, 10.0, -10.0)

    there, back = follow(table, sizes, leverage, 0.0), follow(table, -sizes, leverage, 0.0)

    assert np.add(there.equity, back.equity) == pytest.approx(2e6 * np.ones(60), rel=1e-9)


class Follow(bt.Strategy):
    """Holds `sizes[n]` after bar n, whatever it costs."""

    params = (("sizes", None),)

    def __init__(self):
        self.equity, self.fills = [], []

    def notify_order(self, order):
        if order.status == order.Completed:
            self.fills.append((order.executed.size, order.executed.price))

    def next(self):
        self.equity.append(self.broker.getvalue())
        self.order_target_size(target=self.p.sizes[len(self) - 1])


def follow(table, sizes, leverage, fee):
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(table))
    cerebro.setbroker(FuturesBroker(leverage=leverage, cash=1e6, taker_fee=fee, maintenance=MAINTENANCE))
    cerebro.addstrategy(Follow, sizes=sizes)
    return cerebro.run()[0]
