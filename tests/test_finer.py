"""Shorter candles that say what happened inside the bars of the account."""

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.futures.broker import FuturesBroker
from lstm_backtrader.reporting.notes import simulation_notes

CALM = (100, 101, 99, 100)


def candles(*bars, freq="h", **extra):
    index = pd.date_range("2025-01-01", periods=len(bars), freq=freq, tz="UTC", name="open_time")
    table = pd.DataFrame(np.array(bars, float), index=index, columns=["open", "high", "low", "close"])
    return table.assign(volume=1.0, **extra)


class BuyAtOnce(bt.Strategy):
    params = (("stop", None), ("target", None))

    def __init__(self):
        self.fills = []

    def notify_order(self, order):
        if order.status == order.Completed:
            self.fills.append((order.executed.size, order.executed.price))

    def next(self):
        if len(self) == 1:
            exits = {"stopprice": self.p.stop, "limitprice": self.p.target}
            self.buy_bracket(size=50, exectype=bt.Order.Market, **exits)


def run(feeds, finer, **params):
    cerebro = bt.Cerebro(stdstats=False)
    for number, feed in enumerate(feeds):
        cerebro.adddata(feed, name=str(number))
    cerebro.setbroker(FuturesBroker(leverage=10, cash=1_000, taker_fee=0, maker_fee=0, intrabar_candles=finer))
    cerebro.addstrategy(BuyAtOnce, **params)
    return cerebro.run()[0]


HOURS = (CALM, CALM, (100, 106, 94, 100), CALM)
UP_FIRST = (
    [CALM] * 8 + [(100, 106, 100, 105), (105, 105, 95, 95), (95, 96, 94, 95), (95, 100, 95, 100)] + [CALM] * 4
)


def test_the_order_of_the_shorter_bars_decides_between_stop_and_target():
    hours, quarters = candles(*HOURS), candles(*UP_FIRST, freq="15min")

    guessed = run([CandleFeed(hours)], None, stop=95, target=105)
    known = run([CandleFeed(hours)], quarters, stop=95, target=105)

    assert guessed.fills == [(50, 100), (-50, 95)]
    assert len(guessed.broker.ledger.ambiguous_bars) == 1
    assert known.fills == [(50, 100), (-50, 105)]
    assert not known.broker.ledger.ambiguous_bars


def test_unknown_mark_prices_of_shorter_bars_stay_within_that_of_the_longer_bar():
    # given traded prices that fall through the liquidation price of 90.45, and a mark price that does not
    falls = [CALM] * 8 + [(100, 100, 85, 90), (90, 95, 90, 95), (95, 96, 94, 95), (95, 100, 95, 100)] + [CALM] * 4
    hours = candles(CALM, CALM, (100, 100, 85, 100), CALM)
    marked = hours.assign(mark_open=100.0, mark_high=101.0, mark_low=[99, 99, 91, 99], mark_close=100.0)

    unmarked_run = run([CandleFeed(hours)], candles(*falls, freq="15min"), stop=50, target=150)
    marked_run = run([CandleFeed(marked)], candles(*falls, freq="15min"), stop=50, target=150)

    assert unmarked_run.broker.ledger.liquidations == 1
    assert marked_run.broker.ledger.liquidations == 0
    assert marked_run.broker.ledger.coverage.bars_unmarked == 0


@pytest.mark.parametrize(("per_hour", "told"), [(4, ", shorter ones counted each:"), (0, ":")])
def test_bars_without_a_mark_price_are_counted_as_what_the_note_calls_them(per_hour, told):
    finer = candles(*[CALM] * 6 * per_hour, freq="15min") if per_hour else None

    played = run([CandleFeed(candles(*[CALM] * 6))], finer, stop=50, target=150)

    simulation = played.broker.simulation()
    held = simulation["bars_unmarked"]
    assert (held > 6) == (per_hour > 0)
    (note,) = (note for note in simulation_notes(simulation) if note.flag == "no mark price")
    assert note.text.startswith(f"No mark price on {held} of {held} bars held{told} liquidation looked at traded")


def test_each_stamp_inside_a_day_is_settled_at_its_own_mark_price():
    days = candles(*[CALM] * 3, freq="D", funding_rate=0.003)
    marks = np.full(9, 100.0)
    marks[3:6] = [100, 110, 120]  # of the second day, in which it is bought; the third day pays
    marks[6:] = [95, 92, 105]
    thirds = candles(*[CALM] * 9, freq="8h", funding_rate=0.001).assign(
        mark_open=marks, mark_high=marks, mark_low=marks, mark_close=marks
    )

    paid = [
        event.amount for event in run([CandleFeed(days)], thirds, stop=50, target=150).broker.ledger.funding_events
    ]

    # bought at the open of the second day, after its first stamp
    assert paid == pytest.approx([-0.05 * price for price in (110, 120, 95, 92, 105)])


@pytest.mark.parametrize(
    ("feeds", "finer", "message"),
    [
        ([candles(*HOURS)], candles(*HOURS), r"intrabar_candles of 1h are not shorter than the bars of 1h"),
        ([candles(*HOURS)] * 2, candles(*UP_FIRST, freq="15min"), "the run has several datas. Give a mapping"),
    ],
)
def test_candles_that_cannot_explain_the_bars_are_refused(feeds, finer, message):
    with pytest.raises(ConfigError, match=message):
        run([CandleFeed(table) for table in feeds], finer, stop=95, target=105)


def test_bars_of_unmeasured_length_are_refused():
    feed = bt.feeds.PandasData(dataname=candles(*HOURS).tz_localize(None))
    with pytest.raises(ConfigError, match="Use CandleFeed without replay"):
        run([feed], candles(*UP_FIRST, freq="15min"), stop=95, target=105)
