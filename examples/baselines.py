"""The LSTM beside its baselines on one futures account: python examples/baselines.py

BuyAndHold and SmaCross are what a forecast has to beat, after fees and funding, on bars it has not seen.
"""

import backtrader as bt

import lstm_backtrader as lbt
from lstm_backtrader.datafeeds import synthetic_market
from lstm_backtrader.strategies import BuyAndHold, LSTMFutures, SmaCross

past = synthetic_market(n_bars=200_000, seed=1).candles
future = synthetic_market(n_bars=9_000, seed=2, start="2060-01-01").candles.assign(funding_rate=float("nan"))
future.loc[future.index.hour % 8 == 0, "funding_rate"] = 0.0001  # every 8 hours longs pay 0.01 %

config = lbt.TrainConfig(horizon=12, steps=500, seeds=2, learning_rate=1e-2, event_weight=20, events=("news",))
model = lbt.train(past, config)
start = future.index[model.warmup].to_pydatetime()

for name, strategy, leverage, params in (
    ("LSTM 2x", LSTMFutures, 2, {"model": model, "threshold": 0.5}),
    ("SMA cross 2x", SmaCross, 2, {}),
    ("buy and hold 1x", BuyAndHold, 1, {}),
):
    cerebro = bt.Cerebro()
    cerebro.adddata(lbt.CandleFeed(future))
    cerebro.setbroker(lbt.FuturesBroker(leverage=leverage, cash=10_000))
    cerebro.addstrategy(strategy, trade_from=start, **params)
    (result,) = lbt.run(cerebro)
    figures = result.analyzers.runrecorder.record.metrics()
    print(
        f"{name:16} {figures['total_return']:+8.1%}  drawdown {figures['max_drawdown']:.1%}  "
        f"fees {figures['fees']:.0f}  funding {figures['funding']:+.0f}  liquidations {figures['liquidations']}"
    )
