"""Live bars without a network, hours in moments: python examples/live_dry_run.py

A venue on this machine serves a synthetic market; its clock runs while the feed sleeps. For five hours it is away.
"""

from datetime import UTC, datetime, timedelta

import backtrader as bt

import lstm_backtrader as lbt
from lstm_backtrader.datafeeds import Faults, LoopbackVenue, ServedMarket, synthetic_market
from lstm_backtrader.datafeeds.live_market import Clock

CANDLES = synthetic_market(400, seed=7).candles
OUTAGE = range(220, 225)  # bars


class Cross(bt.Strategy):
    """A crossover on a futures account, as it would be live."""

    def __init__(self):
        self.signal = bt.ind.CrossOver(bt.ind.SMA(period=5), bt.ind.SMA(period=20))

    def notify_data(self, data, status, *args, **kwargs):
        print(f"after {len(data)} bars: {data._getstatusname(status)}")

    def next(self):
        if self.signal[0]:
            self.order_target_size(target=0.1 * self.signal[0])
        if len(self) == 300:
            self.env.runstop()


with LoopbackVenue([ServedMarket("bybit", "BTC/USDT:USDT", CANDLES)]) as venue:
    begin = CANDLES.index[0].to_pydatetime()

    def turn_to(hours: float) -> None:
        venue.now_ms = round((begin + timedelta(hours=hours)).timestamp() * 1000)
        venue.faults = Faults(rate=float(int(hours) in OUTAGE), kinds=("hang_up",))

    def now() -> float:
        return venue.now_ms / 1000

    def sleep(seconds: float) -> None:
        turn_to((datetime.fromtimestamp(now() + seconds, UTC) - begin).total_seconds() / 3600)

    turn_to(200.5)
    cerebro = bt.Cerebro(stdstats=False)
    clock = Clock(now, sleep, slice_s=3600)
    cerebro.adddata(lbt.CCXTLive("bybit", "BTC/USDT:USDT", "1h", backfill=200, via=venue.address, clock=clock))
    cerebro.setbroker(lbt.FuturesBroker("bybit:BTC/USDT:USDT", leverage=3, cash=10_000))
    cerebro.addstrategy(Cross)
    cerebro.run()
    print(f"equity {cerebro.broker.getvalue():,.2f}")
