"""An ordinary Backtrader script, before: python examples/crossover.py out/candles.csv"""

import sys

import backtrader as bt
import pandas as pd


class MyStrategy(bt.Strategy):
    def __init__(self):
        fast, slow = bt.ind.SMA(period=24), bt.ind.SMA(period=168)
        self.signal = bt.ind.CrossOver(fast, slow)

    def next(self):
        if self.signal[0] > 0 and self.position.size <= 0:
            self.order_target_size(target=0.5)
        elif self.signal[0] < 0 and self.position.size >= 0:
            self.order_target_size(target=-0.5)


cerebro = bt.Cerebro()
frame = pd.read_csv(sys.argv[1], index_col=0, parse_dates=True)
cerebro.adddata(bt.feeds.PandasData(dataname=frame))
cerebro.broker.setcash(10_000)
cerebro.addstrategy(MyStrategy)
results = cerebro.run()
print(f"{cerebro.broker.getvalue():.2f}")
