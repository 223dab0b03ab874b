"""Corners of the account, each on a few hand-made bars."""

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from tickets import Scripted, Terms, Ticket, play

from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.errors import ConfigError

NAN = float("nan")
CALM = (100, 101, 99, 100)
FREE = {"taker": 0.0, "maker": 0.0}


def candles(*bars, **extra):
    index = pd.date_range("2025-01-01", periods=len(bars), freq="h", tz="UTC", name="open_time")
    table = pd.DataFrame(np.array(bars, float), index=index, columns=["open", "high", "low", "close"])
    return table.assign(volume=1.0, **{name: np.array(column, float) for name, column in extra.items()})


def fills(run):
    return [(size, pytest.approx(price)) for _, _, _, size, price, _ in run.fills]


# ---- cross margin


def test_a_cross_inverse_position_can_be_turned():
    terms = Terms(cash=10.0, is_inverse=True, is_cross=True, **FREE)

    run = play(terms, [candles(CALM, CALM, (110, 111, 109, 110))], {0: [Ticket(1000)], 1: [Ticket(-3000)]})

    assert fills(run) == [(1000, 100), (-1000, 110), (-2000, 110)]
    assert run.equity[-1] == pytest.approx(10 + 1000 * (1 / 100 - 1 / 110))


@pytest.mark.parametrize("close", [100, 130])
def test_a_cross_order_is_judged_by_prices_that_were_known(close):
    # free: 1,000 - 500 of margin; a limit needs 600. The next bar's close knows of a profit, but too late
    terms = Terms(cash=1_000.0, is_cross=True, **FREE)
    script = {0: [Ticket(50)], 1: [Ticket(60, "limit", 100.0, tradeid=1)]}

    run = play(terms, [candles(CALM, CALM, (101, 131, 101, close), (100, 101, 99, 100))], script)

    assert [order.getstatusname() for order in run.orders] == ["Completed", "Margin"]


def test_funding_that_takes_more_than_the_wallet_never_leaves_a_debt():
    # wallet 1,000, open profit 1,500; the stamp takes 1,250, then all of the profit is gone at the next open
    terms = Terms(cash=1_000.0, is_cross=True, **FREE)
    bars = [CALM, CALM, (115, 116, 114, 115), (115, 116, 114, 115), (90, 91, 89, 90), CALM]
    table = candles(*bars, funding_rate=[NAN, NAN, NAN, 1250 / 11_500, NAN, NAN])

    run = play(terms, [table], {0: [Ticket(100)]})

    assert run.equity == pytest.approx([1_000, 1_000, 2_500, 1_250, 0, 0])
    assert run.broker.getcash() >= 0.0


def test_funding_is_limited_by_equity_at_the_price_of_its_stamp():
    # 2,500 at the last close, but 500 at the open where the stamp lies
    terms = Terms(cash=1_000.0, is_cross=True, tiers=((0.0, 0.0),), **FREE)
    table = candles(
        CALM, CALM, (115, 116, 114, 115), (95, 96, 95, 95), CALM, funding_rate=[NAN, NAN, NAN, 0.1, NAN]
    )

    run = play(terms, [table], {0: [Ticket(100)]})

    assert run.broker.ledger.funding == pytest.approx(-500)
    assert run.equity[3] == 0.0


def two_marked(first, second):
    """Two datas of four bars whose last mark prices, flat within the bar, are given; they trade at 100."""
    flat = [(100, 100, 100, 100)] * 4
    marks = (
        {f"mark_{name}": [100, 100, 100, mark] for name in ("open", "high", "low", "close")}
        for mark in (first, second)
    )
    return [candles(*flat, **mark) for mark in marks]


def test_a_cross_liquidation_closes_every_position_at_its_mark_price():
    # 100 long of each, 2,000 in the wallet: losses of 1,200 and 750 leave 50, less than the requirement of 90
    terms = Terms(cash=2_000.0, is_cross=True, **FREE)
    script = {0: [Ticket(100, data=0), Ticket(100, data=1)]}

    run = play(terms, two_marked(88, 92.5), script)

    assert sorted(price for _, _, _, size, price, _ in run.fills if size < 0) == pytest.approx([88, 92.5])
    assert run.equity[-1] == pytest.approx(50)


def test_a_gap_beyond_a_cross_account_shares_the_loss_and_leaves_nothing():
    # losses of 2,700 and 900 against 2,000 less the fees of 9
    terms = Terms(cash=2_000.0, is_cross=True)
    script = {0: [Ticket(90, data=0), Ticket(90, data=1)]}

    run = play(terms, two_marked(70, 90), script)

    share = 1_991 / 3_600
    closed = sorted(price for _, _, _, size, price, _ in run.fills if size < 0)
    assert closed == pytest.approx([100 - share * 30, 100 - share * 10])
    assert run.equity[-1] == pytest.approx(0.0, abs=1e-9)


def test_a_venue_that_keeps_the_rest_keeps_no_more_than_that():
    # a hedge and a loser: the gain is not kept before the loss is paid
    terms = Terms(cash=2_000.0, is_cross=True, forfeits=True, **FREE)
    script = {0: [Ticket(-10, data=0, tradeid=1), Ticket(-5, data=1, tradeid=1), Ticket(174, data=0)]}

    run = play(terms, two_marked(88, 92), script)

    assert len([fill for fill in run.fills if fill[-1] == "liquidation"]) == 3
    assert run.equity[-1] == 0.0
    assert run.broker.getcash() == 0.0


def test_an_entry_that_the_mark_price_does_not_bear_is_liquidated_at_once():
    # sold at 95 where the mark stands at 105; at the end of the way it would be sound again
    flat = {
        f"mark_{name}": [100, price, 100]
        for name, price in zip(("open", "high", "low", "close"), (108, 108, 90, 90), strict=True)
    }
    table = candles(CALM, (98, 98, 80, 80), CALM, **flat)
    terms = Terms(cash=1_000.0, leverage=10.0, is_cross=True, **FREE)

    run = play(terms, [table], {0: [Ticket(-95, "stop", 95.0)]})

    assert run.broker.ledger.liquidations == 1


class Deposit(Scripted):
    """Moves money after the second bar."""

    params = (("amount", 0.0),)

    def next(self):
        super().next()
        if len(self) == 2:
            self.broker.add_cash(self.p.amount)


def with_money_moved(amount, *bars, is_cross):
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(candles(*bars), name="0"))
    cerebro.setbroker(Terms(cash=1_000.0, is_cross=is_cross, **FREE).broker())
    cerebro.addstrategy(Deposit, script={0: [Ticket(50)]}, amount=amount)
    return cerebro.run()[0]


def test_money_put_into_a_cross_account_backs_what_is_held_from_the_next_bar_on():
    run = with_money_moved(500.0, CALM, CALM, (100, 101, 75, 90), CALM, is_cross=True)

    assert run.broker.ledger.liquidations == 0
    assert run.equity == pytest.approx([1_000, 1_000, 1_000, 1_500])
    assert run.broker.ledger.other_cash == 500


def test_money_taken_out_of_a_cross_account_no_longer_backs_it():
    run = with_money_moved(-400.0, CALM, CALM, (100, 101, 87, 100), is_cross=True)

    assert run.broker.ledger.liquidations == 1
    assert 0.0 < run.equity[-1] < 100.0


@pytest.mark.parametrize("is_cross", [False, True])
def test_no_more_than_the_free_balance_can_be_taken_out(is_cross):
    with pytest.raises(ConfigError, match="takes out more than the free balance of 500 USDT"):
        with_money_moved(-600.0, CALM, CALM, CALM, is_cross=is_cross)


# ---- maker and taker


def fee_rate(run, number):
    bit = run.orders[number].executed
    return bit.comm / (abs(bit.size) * bit.price)


def test_a_stop_limit_that_fills_as_it_is_triggered_takes():
    script = {0: [Ticket(10, "stop_limit", 102.0, 103.0)]}

    run = play(Terms(), [candles(CALM, (100, 104, 100, 104))], script)

    assert fills(run) == [(10, 102)]
    assert fee_rate(run, 0) == pytest.approx(0.0005)


def test_a_stop_limit_that_waits_for_its_price_makes():
    script = {0: [Ticket(10, "stop_limit", 102.0, 101.0)]}

    run = play(Terms(), [candles(CALM, (100, 104, 100, 100))], script)

    assert fills(run) == [(10, 101)]
    assert fee_rate(run, 0) == pytest.approx(0.0002)


@pytest.mark.parametrize(("target", "price", "rate"), [(99.0, 99, 0.0002), (97.0, 98, 0.0005)])
def test_a_target_placed_inside_the_bar_takes_only_where_it_is_beyond_the_market(target, price, rate):
    child = Ticket(-10, "limit", target, reduce_only=True)
    script = {0: [Ticket(10, "limit", 98.0, children=(child,))]}

    run = play(Terms(), [candles(CALM, (100, 101, 97.5, 100))], script)

    assert fills(run) == [(10, 98), (-10, price)]
    assert fee_rate(run, 1) == pytest.approx(rate)


# ---- candles that are not as they should be


@pytest.mark.parametrize(("opened", "stop"), [(97.0, 98.0), (103.0, 102.0)])
def test_a_stop_beyond_an_open_outside_the_candle_fills_there(opened, stop):
    # BitMEX opens a candle with the close of the one before; the stop becomes active at that very price
    side = 1 if stop > opened else -1
    child = Ticket(-side * 10, "stop", stop, reduce_only=True)

    run = play(Terms(**FREE), [candles(CALM, (opened, 101, 99, 100))], {0: [Ticket(side * 10, children=(child,))]})

    assert fills(run) == [(side * 10, opened), (-side * 10, opened)]


def test_a_known_mark_at_the_close_counts_where_the_low_is_unknown():
    table = candles(CALM, CALM, (100, 101, 99, 100), mark_close=[100, 100, 85])

    run = play(Terms(cash=1_000.0, **FREE), [table], {0: [Ticket(50)]})

    assert run.broker.ledger.liquidations == 1


# ---- funding


def test_what_is_received_pays_for_what_is_due_at_the_same_stamp():
    # all cash is in margins; the short receives what the long of another tradeid has to pay
    terms = Terms(cash=2_000.0, **FREE)
    script = {0: [Ticket(100), Ticket(-100, tradeid=1)]}

    run = play(terms, [candles(CALM, CALM, CALM, funding_rate=[NAN, NAN, 0.01])], script)

    assert run.broker.margin() == 2_000
    assert run.broker.ledger.funding == pytest.approx(0.0)
