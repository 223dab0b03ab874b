"""Train an LSTM on the past, backtest it on what came after: python examples/train_and_backtest.py out

Writes out/candles.csv, out/model and out/report. The market is synthetic, so this runs offline.
"""

import sys
from pathlib import Path

import lstm_backtrader as lbt
from lstm_backtrader.backtesting import BacktestConfig, backtest
from lstm_backtrader.datafeeds import synthetic_market

out = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
out.mkdir(parents=True, exist_ok=True)
candles = synthetic_market(n_bars=24_000, seed=7).candles.drop(columns="news")  # what any venue gives
candles.to_csv(out / "candles.csv")

candles = lbt.read_candles(out / "candles.csv")
past = candles.iloc[:18_000]
model = lbt.train(past, lbt.TrainConfig(horizon=12, steps=200, seeds=2))
model.save(out / "model")
print(f"trained until {model.manifest.trained_until:%Y-%m-%d}, first forecast {model.valid_from:%Y-%m-%d %H:%M}")

written = backtest(candles, out / "model", out / "report", BacktestConfig(leverage=2, stop_loss=0.05))
account, held = written.metrics["account"], written.metrics["benchmark"]
print(f"LSTM {account['total_return']:+.1%} after fees, price {held['total_return']:+.1%}")
print(f"This market hides its news, so there was nothing to know. The report: {written.html}")
