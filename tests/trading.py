"""What tests of strategies share: a strategy that follows a column of wishes, tables of bars, and an account."""

import backtrader as bt
import numpy as np
import pandas as pd

from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.futures.broker import FuturesBroker
from lstm_backtrader.futures.contract import Contract
from lstm_backtrader.strategies.signal_futures import SignalFutures

CALM = (100, 101, 99, 100)


class Wish(SignalFutures):
    """Trades the data's column `wish`; `fills` holds (reason, price) of everything that filled."""

    def __init__(self):
        self.signal = self.data.lines.wish
        self.fills = []
        self.sizes = []
        self.ended = []

    def notify_order(self, order):
        super().notify_order(order)
        if order.alive():
            return
        self.ended.append((order.info.reason, order.getstatusname()))
        if order.executed.size:
            self.fills.append((order.info.reason, order.executed.price))
            self.sizes.append(order.executed.size)


def candles(bars, wish, **columns):
    """Hours from 2025 on; `wish`: the side of every bar, or a column of them."""
    index = pd.date_range("2025-01-01", periods=len(bars), freq="h", tz="UTC", name="open_time")
    table = pd.DataFrame(np.array(bars, float), index=index, columns=["open", "high", "low", "close"])
    return table.assign(volume=1.0, wish=np.broadcast_to(np.array(wish, float), len(bars)), **columns)


def account(kind="linear", **options):
    """Free of fees, at 3x, with what is worth 1,000 dollars at a price of 100."""
    contract = Contract(kind=kind, taker_fee=0.0, maker_fee=0.0, settlement="USDT" if kind == "linear" else "BTC")
    given = {"leverage": 3, "cash": 1_000.0 if kind == "linear" else 10.0} | options
    return FuturesBroker(given.pop("contract", contract), **given)


def run(table, strategy=Wish, broker=None, modes=None, **params):
    """The strategy after its run."""
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(table))
    cerebro.setbroker(broker or account())
    cerebro.addstrategy(strategy, **params)
    return cerebro.run(**(modes or {}))[0]
