"""A venue on this machine, to try a download without a network: python examples/loopback_venue.py [share of faults]

It serves a synthetic market under the names of all venues until it is stopped, and says what to type meanwhile.
"""

import sys
import threading

from lstm_backtrader.datafeeds import Faults, LoopbackVenue, ServedMarket, synthetic_market

MARKETS = {
    "binanceusdm": "BTC/USDT:USDT",
    "binancecoinm": "BTC/USD:BTC",
    "bybit": "BTC/USD:BTC",
    "bingx": "BTC/USDT:USDT",
    "bitget": "BTC/USDT:USDT",
    "bitmex": "BTC/USD:BTC",
}

rate = float(sys.argv[1]) if len(sys.argv) > 1 else 0.0
candles = synthetic_market(20_000, seed=7).candles
mark = candles[["open", "high", "low", "close"]]
funding = candles[["close"]].iloc[::8].assign(funding_rate=0.0001)
markets = [ServedMarket(venue, symbol, candles, mark, funding) for venue, symbol in MARKETS.items()]
now_ms = int(candles.index[-1].timestamp() * 1000)

with LoopbackVenue(markets, now_ms=now_ms, faults=Faults(rate)) as venue:
    since = f"{candles.index[0]:%Y-%m-%d}"
    for name, symbol in MARKETS.items():
        print(
            f"lbt download --venue {name} --symbol {symbol} --timeframe 1h --since {since} "
            f"--with funding --store dry-run --via {venue.address}",
            flush=True,
        )
    threading.Event().wait()
