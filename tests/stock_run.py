"""Backtrader's own sample strategy on its own broker, in every mode; `python stock_run.py [import | session]`.

Prints the figures as JSON: of a Backtrader alone, of one beside which all of the package is imported, or of one
that is run by `lbt.run`. SMA of 15 days crossed by the close: buy one, close it when it is crossed back.
"""

import importlib
import json
import pkgutil
import sys
from itertools import product
from pathlib import Path

import backtrader as bt
import pandas as pd

GOLDEN = Path(__file__).parent / "golden" / "stoxx-2006.txt"


def days():
    rows = [line.split() for line in GOLDEN.read_text().splitlines() if not line.startswith("#")]
    index = pd.DatetimeIndex([f"2006-{day}" for day, _, _ in rows])
    table = pd.DataFrame([[float(opened), float(close)] for _, opened, close in rows], index, ["open", "close"])
    return table.assign(high=table.max(axis=1), low=table.min(axis=1), volume=0.0)


class Cross(bt.Strategy):
    params = (("period", 15), ("only_first", False))  # the published sweep never sends a second order

    def __init__(self):
        self.cross = bt.ind.CrossOver(self.data.close, bt.ind.SMA(period=self.p.period))
        self.order = None
        self.fills = {"buycreate": [], "sellcreate": [], "buyexec": [], "sellexec": []}

    def notify_order(self, order):
        if order.status == order.Completed:
            self.fills["buyexec" if order.isbuy() else "sellexec"].append(order.executed.price)
        if not order.alive() and not self.p.only_first:
            self.order = None

    def next(self):
        if self.order:
            return
        if not self.position and self.cross > 0:
            self.order = self.buy()
            self.fills["buycreate"].append(self.data.close[0])
        elif self.position and self.cross < 0:
            self.order = self.close()
            self.fills["sellcreate"].append(self.data.close[0])

    def stop(self):
        self.ended = [self.broker.getvalue(), self.broker.getcash()]


def prepared(is_stock, periods=None):
    cerebro = bt.Cerebro()
    cerebro.adddata(bt.feeds.PandasData(dataname=days()))
    if not is_stock:
        cerebro.broker.setcommission(commission=2.0, mult=10.0, margin=1000.0)
    cerebro.addanalyzer(bt.analyzers.SQN, _name="sqn")
    cerebro.addanalyzer(bt.analyzers.TimeReturn, timeframe=bt.TimeFrame.Years, _name="year")
    if periods is None:
        cerebro.addstrategy(Cross)
    else:
        cerebro.optstrategy(Cross, period=periods, only_first=True)
    return cerebro


def modes():
    for runonce, preload, exactbars in product((True, False), (True, False), (0, -1, -2, 1)):
        yield {"runonce": runonce, "preload": preload, "exactbars": exactbars}


def figures(run):
    """What every mode gives, under the names of the published cases."""
    found = []
    for mode in modes():
        stock = run(prepared(is_stock=True), **mode)[0]
        future = run(prepared(is_stock=False), **mode)[0]
        found.append(
            {
                "fills": stock.fills,
                "stock": stock.ended,
                "futures_like": future.ended,
                "sqn": future.analyzers.sqn.get_analysis()["sqn"],
                "year": list(future.analyzers.year.get_analysis().values()),
            }
        )
    sweep = run(prepared(is_stock=False, periods=range(5, 45)), maxcpus=1, optreturn=False)
    return {"modes": found, "sweep": [strategy.ended for (strategy,) in sweep]}


def import_all():
    import lstm_backtrader

    for module in pkgutil.walk_packages(lstm_backtrader.__path__, "lstm_backtrader."):
        importlib.import_module(module.name)


def main(how=""):
    run = bt.Cerebro.run
    if how:
        import_all()
    if how == "session":
        from lstm_backtrader import run
    sys.stdout.write(json.dumps(figures(run)))


if __name__ == "__main__":
    main(*sys.argv[1:])
