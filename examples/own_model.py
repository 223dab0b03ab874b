"""Bring a torch model of your own into Backtrader, and look at it closely: python examples/own_model.py out"""

import sys
from pathlib import Path
from time import process_time

import backtrader as bt
import torch
from tutorial_lstm import train, windows

import lstm_backtrader as lbt
from lstm_backtrader.datafeeds import synthetic_market
from lstm_backtrader.forecast.foreign import FeatureSpec, NextClose, Scaler, feature
from lstm_backtrader.strategies import LSTMFutures


@feature(memory=lambda: 1)  # what your model sees; import this before the model is loaded elsewhere
def close(bars):
    return bars["close"]


torch.set_num_threads(1)  # a net this small is slower on more
candles = synthetic_market(n_bars=10_000, seed=7).candles.drop(columns="news")
past, held_out, future = candles[:7000], candles[7000:8000], candles[8000:]
low, width = past["close"].min(), past["close"].max() - past["close"].min()  # of `past` alone
net = train(past["close"], low, width)

model = lbt.from_module(
    net,
    features=[FeatureSpec("close")],
    scaler=Scaler(mean=(low,), scale=(width,), clip=None),
    label=NextClose(offset=low, scale=width),
    context=60,
    timeframe="1h",
    trained_until=past.index[-1],
    calibrate_on=held_out,
)
folder = Path(sys.argv[1] if len(sys.argv) > 1 else "out") / "tutorial"
model.save(folder)

cerebro = bt.Cerebro()
cerebro.adddata(lbt.CandleFeed(candles[7500:]))
cerebro.setbroker(lbt.FuturesBroker(cash=10_000))
cerebro.addstrategy(LSTMFutures, model=str(folder))
figures = lbt.run(cerebro)[0].analyzers.runrecorder.get_analysis()

x, y = windows(future["close"], low, width)
with torch.no_grad():
    began = process_time()
    said = torch.cat([net(window[None]) for window in x])  # a call a bar, as tutorials do in next()
    called = process_time() - began
for name, guess in (("the model", said), ("the last close", x[:, -1])):
    r2 = 1 - ((y - guess) ** 2).mean() / y.var()
    print(f"{name:14}  R2 {r2:.3f}, misses by {width * abs(y - guess).mean():.1f} of {future['close'].mean():.0f}")
print(f"{'direction':14}  right on {((said > x[:, -1]) == (y > x[:, -1])).double().mean():.1%} of bars")
print(f"{'account':14}  {figures['total_return']:+.1%} in {figures['trades']} trades, fees {figures['fees']:.0f}")
began = process_time()
model.predict(future)
print(f"{'a call a bar':14}  {called / (process_time() - began):.0f} times the time of predict")
