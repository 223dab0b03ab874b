"""A venue on this machine, to try downloads and paper accounts without a network: python examples/loopback_venue.py

It serves a synthetic market, that of train_and_backtest.py, under the names of all venues until it is stopped, and
says what to type meanwhile. Its clock starts at --now and makes ten minutes a second; the market ends in 2022-09.
"""

import argparse
import threading

import pandas as pd

from lstm_backtrader.datafeeds import Faults, LoopbackVenue, ServedMarket, synthetic_market

MARKETS = {
    "binanceusdm": "BTC/USDT:USDT",
    "binancecoinm": "BTC/USD:BTC",
    "bybit": "BTC/USD:BTC",
    "bingx": "BTC/USDT:USDT",
    "bitget": "BTC/USDT:USDT",
    "bitmex": "BTC/USD:BTC",
}

options = argparse.ArgumentParser(description=__doc__)
options.add_argument("--faults", type=float, default=0.0, help="share of the answers that go wrong, say 0.2")
options.add_argument("--speed", type=float, default=600.0, help="how many times faster than ours its clock goes")
options.add_argument("--now", default="2022-03-01", help="where its clock starts, UTC")
options.add_argument("--port", type=int, default=0, help="where it listens; default a free one")
typed = options.parse_args()

candles = synthetic_market(24_000, seed=7).candles
mark = candles[["open", "high", "low", "close"]]
funding = candles[["close"]].iloc[::8].assign(funding_rate=0.0001)
interest = candles[["volume"]].set_axis(["open_interest"], axis=1)
markets = [ServedMarket(venue, symbol, candles, mark, funding, interest) for venue, symbol in MARKETS.items()]
now_ms = round(pd.Timestamp(typed.now, tz="UTC").timestamp() * 1000)

with LoopbackVenue(
    markets, now_ms=now_ms, speed=typed.speed, faults=Faults(typed.faults), port=typed.port
) as venue:
    for name, symbol in MARKETS.items():
        print(
            f"lbt download --venue {name} --symbol {symbol} --timeframe 1h --since 2020-01-01 "
            f"--with funding --store dry-run --via {venue.address}"
        )
    print(
        f"lbt paper --venue bybit --symbol {MARKETS['bybit']} --model out/model --out paper/try --bars 5 "
        f"--store dry-run --via {venue.address}",
        flush=True,
    )
    threading.Event().wait()
