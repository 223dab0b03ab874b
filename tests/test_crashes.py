"""Crashes that happened, on real candles; skipped where these are not at hand."""

from dataclasses import replace

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from tickets import Scripted, Terms, Ticket, play

from lstm_backtrader.datafeeds.frames import CandleFeed

FREE = Terms(cash=1_000.0, taker=0.0, maker=0.0)
PRICES = ["open", "high", "low", "close"]


def candles(folder, name, begin, end):
    """Hours `begin` to `end`, both in it."""
    table = pd.read_parquet(folder / f"{name}.parquet").set_index("timestamp").rename_axis("open_time")
    return table.loc[begin:end]


def marked(folder, symbol, begin, end):
    """Candles with mark prices and funding rates."""
    table = candles(folder / "binance-um", f"{symbol}-1h", begin, end)
    mark = candles(folder / "binance-um", f"{symbol}-1h-mark", begin, end)
    rates = candles(folder / "binance-um", f"{symbol}-8h-funding", begin, end)
    table = table.join(mark[PRICES].add_prefix("mark_"))
    return table.assign(funding_rate=rates["funding_rate"].groupby(rates.index.floor("h")).last())


@pytest.mark.parametrize(
    ("leverage", "hour", "price"), [(10.0, "2020-03-12 10:00", 7250.23), (50.0, "2020-03-12 01:00", 7821.67)]
)
def test_march_2020_ends_a_long_on_bitmex(shared_data, leverage, hour, price):
    table = candles(shared_data / "bitmex", "XBTUSD-1h", "2020-03-11 23:00", "2020-03-13 05:00")
    terms = replace(FREE, cash=1.0, leverage=leverage, is_inverse=True, is_on_entry=True)

    run = play(terms, [table], {0: [Ticket(1_000.0)]})

    (event,) = run.broker.ledger.liquidation_events
    assert run.fills[0][4] == 7939.0
    assert bt.num2date(event.time) == pd.Timestamp(hour).to_pydatetime()
    assert event.price == pytest.approx(price, abs=0.005)
    assert run.equity[-1] > 0.0


@pytest.mark.parametrize("has_mark", [False, True])
def test_the_low_of_the_last_price_is_no_liquidation_on_the_mark(shared_data, has_mark):
    table = marked(shared_data, "BTCUSDT", "2020-03-12 06:00", "2020-03-13 12:00").drop(columns="funding_rate")
    if not has_mark:
        table = table[[*PRICES, "volume"]]

    run = play(replace(FREE, leverage=2.0), [table], {0: [Ticket(0.1)]})

    assert run.fills[0][4] == 7502.15
    assert table["low"].min() == 3621.81
    if has_mark:
        assert table["mark_low"].min() == pytest.approx(3801.83, abs=0.005)
        assert run.broker.ledger.liquidations == 0
        assert run.broker.liquidation_price(run.data) == pytest.approx(3769.92, abs=0.005)
        assert run.broker.ledger.coverage.bars_unmarked == 0
    else:
        (event,) = run.broker.ledger.liquidation_events
        assert event.price == pytest.approx(3769.92, abs=0.005)
        assert bt.num2date(event.time) == pd.Timestamp("2020-03-13 02:00").to_pydatetime()


class AlwaysIn(Scripted):
    """Turns between long and short where the close crosses its mean of 200 hours, at three times the equity."""

    def __init__(self):
        super().__init__()
        self.cross = bt.ind.CrossOver(self.data.close, bt.ind.SMA(period=200))

    def next(self):
        super().next()  # compares the book with the equity at every bar
        if self.cross[0]:
            self.order_target_percent(target=2.0 * self.cross[0])


@pytest.mark.parametrize("margin_mode", ["isolated", "cross"])
def test_five_years_with_mark_and_funding_add_up(shared_data, margin_mode):
    table = marked(shared_data, "BTCUSDT", "2020-01-01", "2024-08-31 23:00")
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(table, name="0"))
    cerebro.setbroker(Terms(leverage=3.0, is_cross=margin_mode == "cross").broker())
    cerebro.addstrategy(AlwaysIn)

    run = cerebro.run()[0]

    book = run.broker.ledger
    assert len(run.equity) > 40_000
    assert min(run.equity) >= 0.0
    stamps = int(table["funding_rate"].notna().sum())
    assert 0.95 * stamps < book.coverage.funding_real <= stamps
    assert book.coverage.funding_missing == 0
    assert book.coverage.bars_unmarked == 0
    assert len(book.funding_events) == book.coverage.funding_real
    assert book.funding == pytest.approx(sum(event.amount for event in book.funding_events))
    assert np.isfinite(run.equity).all()
