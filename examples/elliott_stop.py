"""Trade wave 3 with a stop where the count is wrong: python examples/elliott_stop.py [report.html]"""

import sys

import backtrader as bt

import lstm_backtrader as lbt
from lstm_backtrader.datafeeds import synthetic_market


class WaveThree(bt.Strategy):
    def __init__(self):
        self.waves = lbt.ElliottWaves(self.data)

    def next(self):
        side, stop, target = self.waves.wave[0] / 3, self.waves.invalidation[0], self.waves.target[0]
        if self.position or abs(side) != 1 or not min(stop, target) < self.data.close[0] < max(stop, target):
            return
        risk = abs(self.data.close[0] - stop)  # 1 % of equity is lost where the count is wrong
        size = min(0.01 * self.broker.getvalue() / risk, 0.9 * self.broker.getvalue() / self.data.close[0])
        bracket = self.buy_bracket if side > 0 else self.sell_bracket
        bracket(size=size, exectype=bt.Order.Market, stopprice=stop, limitprice=target)


cerebro = bt.Cerebro(stdstats=False)
cerebro.adddata(lbt.CandleFeed(synthetic_market(4000, seed=1).candles, name="SYNTHETIC"))
cerebro.setbroker(lbt.FuturesBroker(leverage=1, cash=10_000))
cerebro.addstrategy(WaveThree)
results = lbt.run(cerebro, report=sys.argv[1] if len(sys.argv) > 1 else "report.html")
print(f"{cerebro.broker.getvalue():.2f}")
