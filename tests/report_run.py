"""A run with everything a report can tell of: a futures account, a model with its spans, stops, several tries."""

from functools import cache

import backtrader as bt
import numpy as np
import pandas as pd

from lstm_backtrader import session
from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.forecast.audit_record import AuditRecord, class_subject
from lstm_backtrader.forecast.trials import Tries
from lstm_backtrader.futures.broker import FuturesBroker
from lstm_backtrader.reporting.metrics import daily_returns
from lstm_backtrader.reporting.recorder import run_record
from lstm_backtrader.strategies.lstm_futures import LSTMFutures

BARS = 24 * 120
SYMBOL = "BTC/USDT"
SLIP = 0.0002  # of the price


def candles(n=BARS, seed=3):
    """Hours of a random walk with funding every eight, and mark prices on most of them."""
    rng = np.random.default_rng(seed)
    close = 30_000 * np.exp(np.cumsum(rng.normal(0, 0.008, n)))
    opened = np.concatenate([[30_000.0], close[:-1]])
    index = pd.date_range("2024-01-01", periods=n, freq="h", tz="UTC", name="open_time")
    top, bottom = np.maximum(opened, close), np.minimum(opened, close)
    frame = pd.DataFrame({"open": opened, "close": close, "volume": 1.0}, index=index)
    frame["high"] = top * np.exp(rng.uniform(0, 0.004, n))
    frame["low"] = bottom * np.exp(-rng.uniform(0, 0.004, n))
    frame["funding_rate"] = np.where(index.hour % 8 == 0, 0.0002, np.nan)
    return frame


class Sayer:
    """A forecaster without torch: a little of what comes, much noise, and what a model tells of itself."""

    name = "Sayer"
    warmup = 20
    threshold = 0.8
    horizon = 6
    seam = 1.1
    timeframe = pd.Timedelta("1h")

    def __init__(self, table):
        ahead = table["close"].shift(-self.horizon) / table["close"] - 1
        noise = np.random.default_rng(8).standard_normal(len(table))
        said = 4 * ahead.fillna(0.0) + np.convolve(noise, np.ones(12) / 3, "same")
        self._said = pd.DataFrame({"forecast": said, "prob_up": 1 / (1 + np.exp(-said)), "spread": 0.1})
        middle, late = table.index[len(table) // 4], table.index[len(table) // 3]
        self.valid_from = table.index[100]
        far = table.index[-1] + self.timeframe
        self.spans = [("validation", table.index[0], middle), ("out of sample", late, far)]
        self.training = {"features": ["close"], "label": "scaled_return", "weights_sha256": "ab" * 32}

    def predict(self, table):
        return self._said.loc[table.index]

    def stream(self):
        return self

    def update(self, tail):
        raise NotImplementedError("runs bar by bar are not asked for")


def audit_of_sayer():
    """The record of a clean one."""
    day = pd.Timestamp("2024-05-01", tz="UTC")
    return AuditRecord(
        kind="model",
        subject="report_run:Sayer",
        sha256=class_subject("model", Sayer).sha256,
        audited=day,
        version="0.1.0",
        data_sha256="cd" * 32,
        begin=day,
        last=day,
        bars=2000,
        checks=("truncation",),
        findings=0,
        orders=None,
    )


@cache
def full_run():
    """What `lbt.run` returned: 120 days at 20x on a sixth of the money, without a stop: some are liquidated."""
    table = candles()
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(table, name=SYMBOL))
    cerebro.setbroker(FuturesBroker(leverage=20, cash=10_000.0, taker_fee=0.0002))
    cerebro.addstrategy(LSTMFutures, model=Sayer(table), take_profit_price_pct=0.04, fraction=0.15)
    return session.run(cerebro)


@cache
def stopped_run():
    """60 days of the same with a stop at 2 % of the entry, and market orders and stops that slip by 2 bp."""
    table = candles(24 * 60)
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(table, name=SYMBOL))
    broker = FuturesBroker(leverage=20, cash=10_000.0, taker_fee=0.0002)
    broker.set_slippage_perc(SLIP)
    cerebro.setbroker(broker)
    cerebro.addstrategy(LSTMFutures, model=Sayer(table), stop_price_pct=0.02, fraction=0.15)
    return session.run(cerebro)


@cache
def tries():
    """Eleven of noise beside the run, on the same days."""
    record = run_record(full_run())
    own = daily_returns(record.equity["equity"], record.totals.start_equity)
    rng = np.random.default_rng(5)
    returns = {"own": own, **{f"{n}": own * 0 + rng.normal(0, own.std(), len(own)) for n in range(11)}}
    sharpes = np.array([each.mean() / each.std() for each in returns.values()])
    return Tries(14, SYMBOL, sharpes, np.full(len(sharpes), float(len(own))), returns)


def leaves(document, path=""):
    """Path -> value of everything in a JSON document; `[]` stands for a place in a list."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield from leaves(value, f"{path}.{key}" if path else key)
    elif isinstance(document, list):
        for value in document:
            yield from leaves(value, f"{path}[]")
    else:
        yield path, document
