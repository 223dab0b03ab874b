"""What a user types: every parameter with unit, range and default, and an answer to each that is wrong."""

import math
import re
from datetime import UTC, datetime
from pathlib import Path

import backtrader as bt
import pandas as pd
import pytest
from trading import CALM, Wish, account, candles, run

from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.errors import ConfigError, LeverageError
from lstm_backtrader.strategies import lstm_futures, parameters, signal_futures
from lstm_backtrader.strategies.baselines import BuyAndHold
from lstm_backtrader.strategies.exits import StopLoss
from lstm_backtrader.strategies.lstm_futures import LSTMFutures
from lstm_backtrader.strategies.signal_futures import SignalFutures
from lstm_backtrader.strategies.sizing import FixedNotional

PAGE = Path(__file__).parents[1] / "docs" / "strategy.md"
ALL = LSTMFutures.parameters()
TABLE = candles([CALM] * 4, 1)


# ---- the table


def test_every_parameter_is_described_once_and_has_the_default_it_says():
    for strategy in (SignalFutures, LSTMFutures):
        known = dict(strategy.params._getitems())
        assert {each.name: each.default for each in strategy.parameters()} == known
        assert len(strategy.parameters()) == len(known)


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.name)
def test_a_default_is_allowed_and_everything_is_said(each):
    each.check(each.default)
    assert each.range
    assert each.meaning


@pytest.mark.parametrize("module", [signal_futures, lstm_futures])
def test_the_page_shows_the_table_that_the_code_has(module):
    assert parameters.table(module.PARAMETERS) in PAGE.read_text(encoding="utf-8")


# ---- a wrong value is answered with the range


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "fraction",
            0.0,
            r"fraction=0.0 must be in \(0, 1\]. It is the part of equity put to work. The default is 0.95",
        ),
        ("fraction", "all", r"fraction='all' must be in \(0, 1\]"),
        ("leverage", 0.5, "leverage=0.5 must be 1 or more"),
        ("stop_price_pct", 2, r"stop_price_pct=2 must be in \[0, 1\). It is a fraction of the price: 0.02 is 2 %"),
        ("stop_margin_pct", -0.1, r"stop_margin_pct=-0.1 must be in \[0, 1\). It is a fraction of the margin"),
        ("take_profit_margin_pct", math.inf, "take_profit_margin_pct=inf must be 0 or more"),
        ("trailing_price_pct", True, "trailing_price_pct=True must be"),
        ("atr_stop", -1, "atr_stop=-1 must be 0 or more. It is average true ranges of 14 bars"),
        ("time_limit_bars", 2.5, "time_limit_bars=2.5 must be a whole number, 0 or more. It is bars"),
        ("leave_on", "Flip", "leave_on='Flip' must be 'flat', 'flip' or 'never'"),
        ("reenter", 1, "reenter=1 must be True or False"),
        ("hours", (24,), r"hours=\(24,\) must be whole numbers from 0 to 23, as \(5, 6\)"),
        ("hours", 8, "hours=8 must be whole numbers from 0 to 23"),
        ("weekdays", "Mon", "weekdays='Mon' must be whole numbers from 0 to 6"),
        ("max_funding_rate", 1.0, r"max_funding_rate=1.0 must be in \(-1, 1\)"),
        ("entries", StopLoss(0.1), "entries=StopLoss.* must be a list of objects with `refusal`"),
        ("exits", [0.02], r"exits=\[0.02\] must be a list of objects with `orders` and `leaves`"),
        ("sizing", 2.0, "sizing=2.0 must be an object with `size`"),
        ("guards", [object()], "guards=.* must be a list of objects with `halt`"),
        ("volatility_target", 30, r"volatility_target=30 must be in \[0, 10\). It is a standard deviation"),
        ("trade_from", "yesterday", "trade_from='yesterday' is not a datetime. Pass"),
    ],
)
def test_a_wrong_value_is_answered_with_the_range(name, value, message):
    with pytest.raises(ConfigError, match=message):
        run(TABLE, **{name: value})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("threshold", -1.0, "threshold -1.0 is below 0|threshold=-1.0 must be 0 or more"),
        ("min_probability", 55, r"min_probability=55 must be in \[0, 1\). It is a probability: 0.55 is 55 %"),
        ("cost_multiple", -1, "cost_multiple=-1 must be 0 or more. It is round-trip costs"),
        ("max_spread", -1.0, "max_spread=-1.0 must be above 0"),
    ],
)
def test_a_wrong_value_of_the_forecast_is_answered_with_the_range(name, value, message, fixed_forecaster):
    with pytest.raises(ConfigError, match=message):
        run(TABLE, LSTMFutures, model=fixed_forecaster(), **{name: value})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"stop_price_pct": 0.01, "stop_margin_pct": 0.1}, "takes either stop_price_pct or stop_margin_pct"),
        ({"long_only": True, "short_only": True}, "long_only and short_only together leave nothing to trade"),
        ({"trailing_activation_price_pct": 0.1}, "is of a trailing stop. Give trailing_price_pct, too"),
        ({"sizing": FixedNotional(1.0), "risk_equity_pct": 0.01}, "sizing and risk_equity_pct both say how large"),
        ({"risk_equity_pct": 0.01}, "RiskPerTrade sizes a position by the distance of its stop, and there is none"),
    ],
)
def test_parameters_that_contradict_each_other_are_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        run(TABLE, **given)


def test_a_stop_in_margin_beyond_liquidation_is_refused():
    with pytest.raises(LeverageError, match=r"the stop 0\.\d+ of the price .* beyond liquidation"):
        run(TABLE, stop_margin_pct=0.99)


# ---- an unknown one with what was meant


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("stop_pct", "Did you mean stop_price_pct"),
        ("Leverage", "Did you mean leverage"),
        ("xyz", "It takes leverage, fraction"),
    ],
)
def test_an_unknown_parameter_is_answered_with_what_was_meant(name, meant, fixed_forecaster):
    with pytest.raises(ConfigError, match=f"LSTMFutures has no parameter '{name}'. {meant}"):
        run(TABLE, LSTMFutures, model=fixed_forecaster(), **{name: 1})


def test_a_strategy_without_an_init_takes_no_more_either():
    with pytest.raises(ConfigError, match=r"BuyAndHold has no parameter 'leverag'\. Did you mean leverage"):
        run(TABLE, BuyAndHold, account(leverage=1), leverag=1.0)


def test_a_strategy_may_take_arguments_of_its_own():
    class Mine(Wish):
        def __init__(self, number):
            super().__init__()
            self.number = number

    class Open(Wish):
        def __init__(self, **more):
            super().__init__()
            self.more = more

    assert run(TABLE, Mine, number=7).number == 7
    assert run(TABLE, Open, number=7).more == {"number": 7}
    with pytest.raises(ConfigError, match=r"Mine has no parameter 'nummer'\. It takes"):
        run(TABLE, Mine, nummer=7)


# ---- what the parameters do


@pytest.mark.parametrize(
    "moment", ["2025-01-01T02:00", "2025-01-01 04:00+02:00", datetime(2025, 1, 1, 2, tzinfo=UTC)]
)
def test_trade_from_may_be_written_out(moment):
    run_ = run(candles([CALM] * 6, 1), trade_from=moment)

    assert run_.desk.entry.created.dt == run_.data.datetime.array[2]


def test_short_only_takes_a_long_signal_as_flat():
    run_ = run(candles([CALM] * 5, [1, -1, 1, 1, 1]), short_only=True)

    assert [size < 0 for size in run_.sizes] == [True, False]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"stop_price_pct": 0.05}, "stop"),
        ({"stop_margin_pct": 0.15}, "stop"),
        ({"take_profit_price_pct": 0.05}, "take_profit"),
        ({"take_profit_margin_pct": 0.15}, "take_profit"),
        ({"trailing_price_pct": 0.05}, "trailing"),
        ({"trailing_price_pct": 0.01, "trailing_activation_price_pct": 0.05}, "trailing"),
        ({"break_even_price_pct": 0.05}, "break_even"),
        ({"atr_stop": 2.0}, "atr_stop"),
        ({"time_limit_bars": 5}, "time_limit"),
        ({"before_funding": True}, "funding"),
        ({"daily_loss_equity_pct": 0.001}, "daily_loss_limit"),
        ({"max_drawdown_equity_pct": 0.001}, "max_drawdown"),
    ],
)
def test_each_parameter_ends_a_position_as_its_rule_does(given, reason):
    bars = [CALM] * 20 + [(100, 106, 99.9, 103)] + [(103, 103, 94, 94)] * 9
    rates = [float("nan")] * 30
    rates[16] = rates[24] = 0.001

    run_ = run(candles(bars, [0] * 18 + [1] * 12, funding_rate=rates), **given)

    assert [each for each, _ in run_.fills][:2] == ["signal", reason]


def test_size_follows_from_risk_or_volatility_where_asked(candles_of):
    risk = run(TABLE, risk_equity_pct=0.01, stop_price_pct=0.02)
    calm = run(candles_of(300).assign(wish=1.0), volatility_target=0.1)

    assert risk.sizes == [pytest.approx(1_000 * 0.01 / 2)]
    assert len(calm.sizes) == 1
    assert calm.broker.notional() < 200  # bars of 1 % are some 90 % a year


def test_a_position_is_held_while_the_forecast_is_above_leave_threshold():
    said = {0: 0.6, 1: 0.3, 2: 0.2, 3: 0.05, 4: -0.7, 5: -0.2, 6: 0.4}

    class Saying:
        timeframe = pd.Timedelta(hours=1)
        warmup = 1

        def predict(self, candles):
            values = [said[hour] for hour in candles.index.hour]
            return pd.DataFrame({"forecast": values, "prob_up": 0.5, "spread": 0.0}, index=candles.index)

        def stream(self):
            return self

        def update(self, tail):
            raise NotImplementedError

    bars = [(100 + n,) * 4 for n in range(7)]
    closed = []

    class Noting(LSTMFutures):
        def notify_order(self, order):
            super().notify_order(order)
            if order.status == order.Completed:
                closed.append((order.executed.price, order.isbuy()))

    run(candles(bars, 0), Noting, account(), model=Saying(), threshold=0.5, leave_threshold=0.1)

    # long at 101 on 0.6, out at 104 on 0.05; short at 105 on -0.7 and held on -0.2, out on 0.4 beyond the data
    assert closed == [(101, True), (104, False), (105, False)]


def test_refusals_are_counted_and_said_at_the_end(caplog, fixed_forecaster):
    caplog.set_level("INFO")

    run(TABLE, LSTMFutures, model=fixed_forecaster(prob_up=0.6), min_probability=0.7, max_spread=1.0)

    assert "no entry, by min_probability: a probability of 0.600 is below 0.7" in caplog.text
    assert "positions were refused by min_probability on 4 bars" in caplog.text
    assert caplog.text.count("no entry") == 1  # the first of a row


def test_a_cerebro_may_optimise_the_parameters():
    cerebro = bt.Cerebro(maxcpus=1)
    cerebro.adddata(CandleFeed(candles([CALM] * 6, 1)))
    cerebro.setbroker(account())
    cerebro.optstrategy(Wish, time_limit_bars=[1, 2], leave_on=["flat", "never"])

    assert len(cerebro.run()) == 4


# ---- the page


def test_the_code_of_the_page_runs():
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    scope = {}
    for block in blocks:
        exec(block, scope)
    assert "confluence" in scope["strategy"].desk.refusals
    assert "quiet_only" in scope["quiet"].desk.refusals

    cerebro = bt.Cerebro()
    cerebro.adddata(CandleFeed(scope["synthetic_market"](n_bars=1_000, seed=1).candles))
    cerebro.setbroker(account())
    cerebro.addstrategy(scope["Reversal"])
    (reversal,) = cerebro.run()
    assert len(reversal._trades[reversal.data][0]) > 3
