"""The same script, three lines later: python examples/crossover_lstm.py out/candles.csv out/model"""

import sys

import backtrader as bt
import pandas as pd

import lstm_backtrader as lbt


class MyStrategy(bt.Strategy):
    def __init__(self):
        self.signal = lbt.LSTMSignal(self.data, model=sys.argv[2]).signal  # -1, 0, +1

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
results = lbt.run(cerebro, report="report.html")
print(f"{cerebro.broker.getvalue():.2f}")
