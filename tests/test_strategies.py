"""Strategies that follow a signal: sizes, exits, what they refuse. No network, no torch."""

from datetime import UTC, datetime, timedelta, timezone

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from lstm_backtrader import strategies
from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.errors import ConfigError, LeverageError
from lstm_backtrader.forecast.protocol import ForecastPoint
from lstm_backtrader.futures.broker import FuturesBroker
from lstm_backtrader.futures.contract import Contract
from lstm_backtrader.strategies.baselines import BuyAndHold, SmaCross
from lstm_backtrader.strategies.signal_futures import SignalFutures
from lstm_backtrader.strategies.sizing import size_for

CALM = (100, 101, 99, 100)


class Wish(SignalFutures):
    """Trades the data's column `wish` and keeps its orders."""

    def __init__(self):
        self.signal = self.data.lines.wish

    def start(self):
        super().start()
        self.ended = []

    def notify_order(self, order):
        super().notify_order(order)
        if not order.alive():
            self.ended.append(order)

    def fills(self):
        """(reason, size, price) of each completed order."""
        done = [order for order in self.ended if order.status == order.Completed]
        return [(o.info.reason, o.executed.size, o.executed.price) for o in done]


def candles(bars, wish):
    index = pd.date_range("2025-01-01", periods=len(bars), freq="h", tz="UTC", name="open_time")
    table = pd.DataFrame(np.array(bars, float), index=index, columns=["open", "high", "low", "close"])
    return table.assign(volume=1.0, wish=np.array(wish, float))


def run(table, strategy=Wish, broker=None, **params):
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(table))
    cerebro.setbroker(broker or account())
    cerebro.addstrategy(strategy, **params)
    return cerebro.run()[0]


def account(**options):
    return FuturesBroker(**({"leverage": 3, "cash": 1_000.0, "taker_fee": 0.0, "maker_fee": 0.0} | options))


# ---- following the signal


def test_a_signal_trades_at_the_next_open_with_leverage_times_fraction_of_equity():
    run_ = run(candles([CALM, (102, 103, 101, 102), CALM], [1, 1, 1]), fraction=0.9)

    assert run_.fills() == [("signal", 27, 102)]


def test_a_turn_closes_and_enters_the_other_side_at_one_open():
    run_ = run(candles([CALM, CALM, (110, 110, 110, 110), CALM], [1, -1, -1, -1]), fraction=0.5)

    assert run_.fills() == [("signal", 15, 100), ("signal", -15, 110), ("signal", -15, 110)]


def test_signal_zero_leaves_the_position():
    run_ = run(candles([CALM] * 4, [-1, 0, 0, 0]), fraction=0.5)

    assert run_.fills() == [("signal", -15, 100), ("signal", 15, 100)]


def test_long_only_takes_a_short_signal_as_flat():
    run_ = run(candles([CALM] * 5, [-1, 1, -1, -1, -1]), long_only=True, fraction=0.5)

    assert [size for _, size, _ in run_.fills()] == [15, -15]


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2025, 1, 1, 2),  # noqa: DTZ001 - no zone is meant
        datetime(2025, 1, 1, 2, tzinfo=UTC),
        datetime(2025, 1, 1, 4, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_bars_before_trade_from_are_only_warm_up(moment):
    run_ = run(candles([CALM] * 6, [1] * 6), trade_from=moment)

    assert len(run_.fills()) == 1
    assert run_.ended[0].created.dt == run_.data.datetime.array[2]


def test_an_entry_the_account_cannot_pay_is_logged_and_tried_again(caplog):
    table = candles([CALM, (110, 110, 110, 110), (111, 111, 111, 111)], [-1, -1, -1])

    run_ = run(table)

    assert "ended as Margin" in caplog.text
    assert [size for _, size, _ in run_.fills()] == [pytest.approx(-3 * 0.95 * 1_000 / 110)]


def test_sizes_are_cut_to_the_contracts_lot():
    run_ = run(candles([CALM] * 3, [1] * 3), broker=account(contract=Contract(lot=0.4)))

    assert run_.position.size == pytest.approx(28.4)


def test_without_equity_nothing_is_sized():
    assert size_for(equity=0.0, price=100.0) == 0.0
    assert size_for(equity=-5.0, price=100.0) == 0.0


# ---- exits


def test_a_stop_lies_below_the_fill_and_protects_at_once():
    run_ = run(candles([CALM, (104, 105, 101, 103), CALM, CALM], [1] * 4), stop_price_pct=0.02, fraction=0.5)

    assert run_.fills() == [("signal", 15, 104), ("stop", -15, pytest.approx(101.92))]


def test_a_short_takes_its_profit_below_the_fill():
    run_ = run(
        candles([CALM, CALM, (98, 99, 94, 95), CALM], [-1] * 4), stop_price_pct=0.1, take_profit_price_pct=0.05
    )

    assert run_.fills()[-1] == ("take_profit", pytest.approx(28.5), 95)
    assert run_.position.size == 0


def test_a_trailing_stop_follows_the_high():
    bars = [CALM, CALM, (100, 121, 100, 120), (120, 121, 119, 120), (115, 115, 100, 101)]

    run_ = run(candles(bars, [1] * 5), trailing_price_pct=0.05)

    assert run_.fills()[-1][::2] == ("trailing", pytest.approx(114.95))


def test_a_stopped_position_is_entered_again_only_when_the_signal_changed():
    dip = (100, 100, 97, 98)

    same = run(candles([CALM, dip, CALM, CALM, CALM], [1] * 5), stop_price_pct=0.02)
    changed = run(candles([CALM, dip, CALM, CALM, CALM], [1, 1, 0, 1, 1]), stop_price_pct=0.02)

    assert len(same.fills()) == 2
    assert len(changed.fills()) == 3


def test_exits_are_cancelled_with_the_position():
    run_ = run(candles([CALM] * 5, [1, 0, 0, 0, 0]), stop_price_pct=0.05, take_profit_price_pct=0.05)

    assert run_.broker.get_orders_open() == []
    assert [order.info.reason for order in run_.ended if order.status == order.Canceled] == ["stop", "take_profit"]


def test_a_liquidated_position_leaves_no_orders():
    bars = [CALM, CALM, (60, 60, 60, 60), CALM]

    run_ = run(candles(bars, [1] * 4), stop_price_pct=0.1, take_profit_price_pct=0.05)

    assert run_.fills()[-1][0] == "liquidation"
    assert run_.broker.get_orders_open() == []


def test_exits_work_on_backtraders_own_broker():
    table = candles([CALM, CALM, (100, 100, 97, 98), CALM], [1] * 4)

    run_ = run(table, broker=bt.brokers.BackBroker(cash=1_000.0), stop_price_pct=0.02, take_profit_price_pct=0.1)

    assert run_.fills() == [("signal", 9.5, 100), ("stop", -9.5, 98)]


# ---- refusals


@pytest.mark.parametrize("name", ["stop_price_pct", "take_profit_price_pct", "trailing_price_pct"])
@pytest.mark.parametrize("value", [2.0, 1.0, -0.01])
def test_a_distance_that_is_no_fraction_is_refused(name, value):
    with pytest.raises(ConfigError, match=f"{name}={value} must be .* 0.02 is 2 %"):
        run(candles([CALM] * 3, [1] * 3), **{name: value})


@pytest.mark.parametrize(
    ("name", "told"), [("stop_price_pct", "the stop"), ("trailing_price_pct", "the trailing stop")]
)
def test_a_stop_beyond_liquidation_is_refused(name, told):
    table = candles([CALM] * 3, [1] * 3)

    with pytest.raises(LeverageError, match=rf"{told} 0.0948 of the price .* beyond liquidation, 0\.0945"):
        run(table, broker=account(leverage=10), **{name: 0.0948})
    run(table, broker=account(leverage=10), **{name: 0.0945})


def test_a_leverage_that_differs_from_the_brokers_is_refused():
    table = candles([CALM] * 3, [1] * 3)

    with pytest.raises(LeverageError, match=r"leverage 5 differs from the broker's 3. Leave it out"):
        run(table, leverage=5)
    with pytest.raises(LeverageError, match=r"leverage 5 exceeds the 1 of BackBroker. Use cerebro.setbroker"):
        run(table, leverage=5, broker=bt.brokers.BackBroker())


@pytest.mark.parametrize(
    ("params", "message"),
    [({"fraction": 1.5}, r"fraction=1.5 must be in \(0, 1\]"), ({"trade_from": "2025"}, "is not a datetime. Pass")],
)
def test_parameters_outside_their_range_are_refused(params, message):
    with pytest.raises(ConfigError, match=message):
        run(candles([CALM] * 3, [1] * 3), **params)


# ---- the plugin's strategy


class Oracle:
    """A forecaster that expects the move of the bar it just saw to go on."""

    timeframe = pd.Timedelta(hours=1)
    warmup = 2

    def predict(self, candles):
        last = (candles["close"] / candles["open"] - 1).to_numpy()
        return pd.DataFrame({"forecast": last, "prob_up": 0.5, "spread": 0.0}, index=candles.index)

    def stream(self):
        return self

    def update(self, tail):
        bar = tail(1)
        return ForecastPoint(bar.columns["close"][-1] / bar.columns["open"][-1] - 1, 0.5, 0.0)


@pytest.mark.parametrize("runonce", [True, False])
def test_lstm_futures_trades_the_models_signal(runonce):
    cerebro = bt.Cerebro(stdstats=False, runonce=runonce)
    up, down = (100, 103, 99, 102), (102, 103, 99, 100)
    cerebro.adddata(CandleFeed(candles([CALM, up, down, CALM], [0] * 4)))
    cerebro.setbroker(account())
    cerebro.addstrategy(strategies.LSTMFutures, model=Oracle(), threshold=0.01, fraction=0.5)

    run_ = cerebro.run()[0]

    assert run_.position.size == pytest.approx(-3 * 0.5 * run_.broker.startingcash * (1 - 0.03) / 100, rel=0.1)
    assert run_.broker.ledger.gross_profit == pytest.approx(-2 * 1_500 / 102)


# ---- baselines and names


def test_buy_and_hold_buys_once_without_leverage():
    table = candles([CALM, CALM, (100, 100, 50, 60), (60, 90, 60, 80)], [-1] * 4)

    held = run(table, BuyAndHold, account(leverage=1))

    assert held.position.size == 9.5
    assert held.broker.getvalue() == 1_000 - 9.5 * 20
    with pytest.raises(LeverageError, match=r"leverage 1.0 differs from the broker's 3"):
        run(table, BuyAndHold)


def test_the_average_cross_is_long_above_and_short_below():
    up, down = np.linspace(100, 110, 6), np.linspace(109, 95, 8)
    bars = [(price, price + 1, price - 1, price) for price in [*up, *down]]

    cross = run(candles(bars, [0] * 14), SmaCross, fast=2, slow=4)

    assert cross.position.size < 0
    with pytest.raises(ConfigError, match="fast=9 must be below slow=4"):
        run(candles(bars, [0] * 14), SmaCross, fast=9, slow=4)


def test_public_names_are_resolved_on_first_use():
    assert strategies.BuyAndHold is BuyAndHold
    assert set(strategies.__all__) <= set(dir(strategies))
    with pytest.raises(AttributeError, match="no attribute 'Martingale'"):
        strategies.Martingale  # noqa: B018 - the access is the test
