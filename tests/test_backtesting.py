"""One call from candles to a report: which bars are traded, by which rules, beside which baselines."""

import math

import numpy as np
import pandas as pd
import pytest

from lstm_backtrader.backtesting import BacktestConfig, backtest
from lstm_backtrader.datafeeds.grouping import resample_candles
from lstm_backtrader.errors import ConfigError, DataError
from lstm_backtrader.forecast.trials import chosen
from lstm_backtrader.futures.contract import Contract
from lstm_backtrader.reporting.recorder import run_record
from lstm_backtrader.strategies import LSTMFutures
from lstm_backtrader.trading import RULES, Trading, check_sessions


def test_without_history_before_it_every_run_begins_after_the_warm_up(
    candles_of, fixed_forecaster, tmp_path, caplog
):
    # given
    candles = candles_of(400)

    # when
    written = backtest(candles, fixed_forecaster(warmup=200), tmp_path, begin=candles.index[10])

    # then
    assert written.equity.index[0] == candles.index[199]
    held = written.metrics["baselines"]["buy and hold 1x, after costs"]
    fill, last = candles["open"].iloc[200], candles["close"].iloc[-1]
    size = 0.95 * 10_000 / candles["close"].iloc[199]
    assert held["final_equity"] == pytest.approx(10_000 + size * (last - fill) - size * fill * 0.0005)
    assert f"trading begins at {candles.index[199]:%Y-%m-%d %H:%M} UTC, after a warm-up of 200 bars" in caplog.text


def test_history_before_the_first_bar_is_warm_up_and_nothing_is_said(
    candles_of, fixed_forecaster, tmp_path, caplog
):
    candles = candles_of(400)
    written = backtest(candles, fixed_forecaster(warmup=200), tmp_path, begin=candles.index[199])
    assert written.equity.index[0] == candles.index[199]
    assert "warm-up" not in caplog.text


def test_fewer_bars_than_the_warm_up_are_refused_with_both_figures(candles_of, fixed_forecaster, tmp_path):
    with pytest.raises(DataError, match=r"150 bars .* a warm-up of 200"):
        backtest(candles_of(150), fixed_forecaster(warmup=200), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_columns_that_nobody_reads_do_not_stand_in_the_way(candles_of, fixed_forecaster, tmp_path):
    candles = candles_of(300).assign(**{"quote volume": 1.0, "class": 2.0, "funding_rate": 0.0001})
    written = backtest(candles, fixed_forecaster(warmup=10), tmp_path)
    assert written.metrics["account"]["funding"] < 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cash": math.inf}, "cash inf must be above 0 and finite"),
        ({"cash": math.nan}, "cash nan must be above 0 and finite"),
        ({"leverage": 0.0}, "leverage 0 must be 1 or more"),
        ({"leverage": math.nan}, "leverage nan must be 1 or more"),
        ({"fraction": 1.5}, r"fraction 1.5 must be in \(0, 1\]"),
        ({"stop_loss": 2.0}, r"stop-loss 2 must be in \[0, 1\). It is a fraction of the price: 0.02 is 2 %"),
        ({"take_profit": -0.1}, "take-profit -0.1 must be in"),
        ({"trailing": math.nan}, "trailing nan must be in"),
        ({"break_even": 1.0}, r"break-even 1 must be in \[0, 1\)"),
        ({"trailing_activation": 0.02}, "trailing-activation is of a trailing stop. Give trailing, too"),
        ({"atr_stop": -1.0}, "atr-stop=-1.0 must be 0 or more. It is average true ranges"),
        ({"time_limit_bars": -1}, "time-limit-bars=-1 must be a whole number, 0 or more"),
        ({"cooldown_bars": 1.5}, "cooldown-bars=1.5 must be a whole number"),
        ({"leave_on": "turn"}, "leave-on='turn' must be 'flat', 'flip' or 'never'"),
        ({"min_probability": 55.0}, r"min-probability=55.0 must be in \[0, 1\). It is a probability: 0.55 is 55 %"),
        ({"cost_multiple": math.nan}, "cost-multiple=nan must be 0 or more"),
        ({"hours": "8-24"}, "hours '8-24' must be whole numbers from 0 to 23"),
        ({"weekdays": "mon-fri"}, "weekdays 'mon-fri' must be whole numbers from 0 to 6, where 0 is Monday"),
        ({"max_funding_rate": 5.0}, r"max-funding-rate=5.0 must be in \(-1, 1\). It is a fraction of the notional"),
        ({"sizing": "risk:2", "stop_loss": 0.02}, r"sizing 'risk:2': equity_pct=2.0 must be in \(0, 1\]"),
        (
            {"sizing": "risk:0.01"},
            "sizing risk:0.01 goes by the distance of a stop that is there from the entry on",
        ),
        ({"sizing": "risk", "trailing": 0.1, "trailing_activation": 0.1}, "trailing without an activation"),
        ({"daily_loss": 3.0}, r"daily-loss=3.0 must be in \[0, 1\). It is a fraction of equity: 0.02 is 2 %"),
        ({"max_drawdown": -0.2}, r"max-drawdown=-0.2 must be in \[0, 1\)"),
        ({"consecutive_losses": 1.5}, "consecutive-losses=1.5 must be a whole number, 0 or more"),
        ({"consecutive_losses": 3, "pause_bars": 0}, "pause-bars=0 must be a whole number, 1 or more"),
        ({"pause_bars": 48}, "pause-bars is of a pause after losses. Give consecutive-losses, too"),
        ({"long_only": True, "short_only": True}, "long-only and short-only together leave nothing to trade"),
        ({"fee_bps": -1.0}, "fee-bps -1 is outside 0 to 1000"),
        ({"slippage_bps": math.nan}, "slippage-bps nan is outside 0 to 1000. 2 is 0.02 % a fill"),
        ({"margin_mode": "portfolio"}, "margin-mode 'portfolio' is unknown. Use isolated or cross"),
        ({"intrabar": "random"}, "intrabar 'random' is unknown. Use pessimistic or optimistic"),
        ({"contract": "bitmexx:BTC/USD:BTC"}, "bitmex"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_under_the_name_it_was_typed(options, message):
    with pytest.raises(ConfigError, match=message):
        BacktestConfig(**options)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"trailing": 0.01, "trailing_activation": 0.002}, "trailing"),
        ({"break_even": 0.005}, "break_even"),
        ({"atr_stop": 1.0}, "atr_stop"),
        ({"time_limit_bars": 5}, "time_limit"),
        ({"before_funding": True}, "funding"),
    ],
)
def test_a_rule_of_the_config_ends_the_position(options, reason, candles_of, fixed_forecaster, tmp_path):
    candles = candles_of(300)
    candles = candles.assign(funding_rate=np.where(candles.index.hour % 8, np.nan, 0.001))

    written = backtest(candles, fixed_forecaster(warmup=10), tmp_path, BacktestConfig(**options))

    assert written.trades["exit_reason"].iloc[0] == reason


@pytest.mark.parametrize(
    ("options", "trades"),
    [({}, 1), ({"long_only": True}, 1), ({"short_only": True}, 0), ({"min_probability": 0.95}, 0)],
)
def test_a_rule_of_the_config_keeps_a_position_out(options, trades, candles_of, fixed_forecaster, tmp_path):
    model = fixed_forecaster(prob_up=0.9, warmup=10)

    written = backtest(candles_of(300), model, tmp_path, BacktestConfig(**options))

    assert len(written.trades) == trades


def traded(candles, **options):
    """The trades by a config, from the bar on that knows its volatility."""
    trading = Trading(candles, candles.index[200], BacktestConfig(**options))
    return run_record(trading.follow(Swinging(9))).trades


@pytest.mark.parametrize(
    ("before", "added"),
    [
        ({"time_limit_bars": 5}, {"reenter": True}),
        ({}, {"hours": "8-19"}),
        ({}, {"weekdays": "5,6"}),
        ({}, {"max_funding_rate": 0.0005}),
        ({}, {"sizing": "notional:2000"}),
        ({"stop_loss": 0.01}, {"sizing": "risk:0.005"}),
        ({}, {"sizing": "volatility:0.1"}),
        ({}, {"sizing": "kelly:0.1"}),
        ({}, {"daily_loss": 0.002}),
        ({}, {"max_drawdown": 0.01}),
        ({}, {"consecutive_losses": 1}),
        ({"consecutive_losses": 1}, {"pause_bars": 48}),
    ],
    ids=str,
)
def test_each_rule_of_a_config_makes_another_run(before, added, candles_of):
    candles = candles_of(500)
    candles = candles.assign(funding_rate=np.where(candles.index.hour % 8, np.nan, 0.001))

    before_it, with_it = (
        traded(candles, **options)[["entry_time", "exit_time", "size", "exit_reason"]]
        for options in (before, before | added)
    )

    assert len(before_it) > 5
    assert not before_it.equals(with_it)


def test_positions_are_entered_in_the_hours_and_on_the_days_of_the_config(candles_of):
    entries = traded(candles_of(900), hours="20-3", weekdays="5-6")["entry_time"]

    assert set(entries.dt.hour) <= {20, 21, 22, 23, 0, 1, 2, 3}
    assert set(entries.dt.day_of_week) == {5, 6}


def test_hours_at_which_no_bar_opens_are_refused(candles_of, fixed_forecaster, tmp_path):
    days = candles_of(400, freq="D")
    with pytest.raises(ConfigError, match=r"hours 8-19 leaves no bar to enter at: the bars open at 0 \(UTC\)"):
        backtest(days, fixed_forecaster(warmup=10), tmp_path, BacktestConfig(hours="8-19"))
    check_sessions(BacktestConfig(hours="20-3", weekdays="3-5"), days.index)


def test_a_guard_of_the_config_is_in_the_report(candles_of, tmp_path):
    config = BacktestConfig(leverage=3, max_drawdown=0.02)

    written = backtest(candles_of(500), Swinging(9), tmp_path, config)

    (halt,) = written.metrics["halts"]
    assert halt["guard"] == "max_drawdown"
    assert "max_drawdown" in set(written.trades["exit_reason"])


@pytest.mark.parametrize(
    ("options", "label", "sides"),
    [
        ({}, "SMA cross 1x", {-1, 1}),
        ({"long_only": True}, "SMA cross 1x long only", {1}),
        ({"short_only": True}, "SMA cross 1x short only", {-1}),
    ],
)
def test_a_baseline_takes_the_sides_that_the_strategy_may(options, label, sides, candles_of, tmp_path, monkeypatch):
    seen = {}
    monkeypatch.setattr(
        "lstm_backtrader.backtesting.report", lambda results, out, baselines, **rest: seen.update(baselines)
    )

    candles = candles_of(900)
    backtest(candles, Swinging(9), tmp_path, BacktestConfig(**options), begin=candles.index[168])

    assert list(seen) == ["buy and hold 1x, after costs", label]
    assert set(run_record(seen[label]).trades["side"]) == sides


def test_the_rules_of_a_config_are_the_strategys_with_its_defaults():
    defaults = {each.name: each.default for each in LSTMFutures.parameters()}
    config = BacktestConfig()

    assert {parameter: getattr(config, name) for name, parameter in RULES.items()} == {
        parameter: defaults[parameter] for parameter in RULES.values()
    }


def test_rules_that_nobody_chose_do_not_make_a_try_another_one():
    assert chosen(BacktestConfig()) == {}
    assert chosen(BacktestConfig(leverage=2.0, atr_stop=3.0)) == {"leverage": 2.0, "atr_stop": 3.0}


def test_the_end_is_excluded_and_nothing_is_traded_before_the_begin(candles_of, fixed_forecaster, tmp_path):
    candles = candles_of(300)
    begin, end = pd.Timestamp("2024-01-05", tz="UTC"), pd.Timestamp("2024-01-08", tz="UTC")
    written = backtest(candles, fixed_forecaster(warmup=10), tmp_path, begin=begin, end=end)
    assert (written.equity.index[0], written.equity.index[-1]) == (begin, end - pd.Timedelta("1h"))
    assert written.trades["entry_time"].min() > begin


class Swinging:
    """Turns from +1 to -1 and back every `bars` bars."""

    name, warmup, timeframe = "Swinging", 1, pd.Timedelta("1h")

    def __init__(self, bars):
        self.bars = bars

    def predict(self, candles):
        hour = candles.index.as_unit("s").asi8 // 3600
        forecast = np.where(hour // self.bars % 2 == 0, 1.0, -1.0)
        return pd.DataFrame({"forecast": forecast, "prob_up": 0.5, "spread": 0.0}, index=candles.index)

    def stream(self):
        return self

    def update(self, tail):
        raise AssertionError("these runs are vectorised")


def test_ambiguity_runs_both_orders_and_reports_the_interval(candles_of, tmp_path):
    # given bars that reach stop and target alike
    config = BacktestConfig(stop_loss=0.004, take_profit=0.004, leverage=3)

    # when
    written = backtest(candles_of(400), Swinging(3), tmp_path, config, ambiguity=True)

    # then
    found = written.metrics["ambiguity"]
    account, other = written.metrics["account"], written.metrics["baselines"]["the same, optimistic inside bars"]
    assert found["bars"] == written.metrics["simulation"]["ambiguous_bars"] > 0
    assert found["final_equity"] == [account["final_equity"], other["final_equity"]]
    assert account["final_equity"] < other["final_equity"]
    assert any("taken worst and best" in note for note in written.metrics["notes"])


def test_an_inverse_contract_is_reported_in_its_coin(candles_of, fixed_forecaster, tmp_path):
    candles = candles_of(400)
    config = BacktestConfig(contract=Contract(kind="inverse", settlement="BTC", symbol="BTC/USD:BTC"))

    written = backtest(candles, fixed_forecaster(warmup=10), tmp_path, config)

    opened, last = written.equity["close"].iloc[0], written.equity["close"].iloc[-1]
    assert written.metrics["account"]["start_equity"] == 1.0
    assert written.metrics["benchmark"]["final_equity"] == pytest.approx(2.0 - opened / last)
    assert f"{written.equity['equity'].iloc[-1]:.6f}" in written.html.read_text(encoding="utf-8")


def test_shorter_candles_decide_what_longer_ones_leave_open(candles_of, tmp_path):
    # given hours made of five-minute bars that are too short to reach stop and target both
    shorter = candles_of(12 * 400, freq="5min")
    hours = resample_candles(shorter, "1h")
    config = BacktestConfig(stop_loss=0.02, take_profit=0.02)

    # when
    guessed = backtest(hours, Swinging(3), tmp_path / "a", config)
    known = backtest(hours, Swinging(3), tmp_path / "b", config, intrabar_candles=shorter)

    # then
    assert guessed.metrics["simulation"]["ambiguous_bars"] > known.metrics["simulation"]["ambiguous_bars"]
    assert known.metrics["simulation"]["intrabar"] == "intrabar_candles"
