"""The audit of indicators and strategies: what they read, say, order and hold, and in which mode."""

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from leaks import LEAKS, Leak

import lstm_backtrader as lbt
from lstm_backtrader.auditing.runs import MODES, audit_indicator, audit_strategy, on_futures
from lstm_backtrader.auditing.timing import order_times, shifted
from lstm_backtrader.auditing.watching import Watch
from lstm_backtrader.auditing.witness import observe
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.forecast.audit import AuditPlan
from lstm_backtrader.forecast.features import FeatureSpec, default_features, event
from lstm_backtrader.forecast.flow_features import volume_z
from lstm_backtrader.strategies import (
    BuyAndHold,
    Capped,
    CappedKelly,
    ConsecutiveLosses,
    DailyLossLimit,
    LSTMFutures,
    MaxDrawdown,
    Momentum,
    RandomEntry,
    RiskPerTrade,
    SmaCross,
    StaleData,
    VolatilityTarget,
)
from lstm_backtrader.testing import assert_no_lookahead, sample_candles

QUICK = AuditPlan(cuts=8, tail=50)
FEW = AuditPlan(cuts=3, tail=50)


def line_of(text):
    """Number of the line of this file that holds `text`."""
    with open(__file__) as file:  # noqa: PTH123 - as short as it gets
        return next(number for number, line in enumerate(file, start=1) if text in line and "line_of" not in line)


class Reads(bt.Strategy):
    """Trades by a comparison of two reads; says nothing of when they are known."""

    def turn(self, is_long):
        if is_long and not self.position:
            self.buy()
        elif not is_long and self.position:
            self.close()


class ReadsTomorrow(Reads):
    def next(self):
        self.turn(self.data.close[1] > self.data.close[0])  # here: tomorrow


class ReadsTheEnd(Reads):
    def next(self):
        self.turn(self.data.close[-len(self)] > self.data.close[0])  # here: the end


class ReadsASlice(Reads):
    def next(self):
        self.turn(max(self.data.high.get(ago=2, size=3)) > 1.01 * self.data.close[0])


class ReadsAnAverageOfTomorrow(Reads):
    def __init__(self):
        self.mean = bt.ind.SMA(period=3)

    def next(self):
        if len(self) < self.data.buflen():
            self.turn(self.mean[1] > self.mean[0])


class DeclaresTomorrow(Reads):
    def __init__(self):
        self.rise = self.data.close(1) - self.data.close

    def next(self):
        self.turn(self.rise[0] > 0)


class Honest(Reads):
    def __init__(self):
        self.momentum = self.data.close - self.data.close(-3)

    def next(self):
        self.turn(self.momentum[0] > 0 and max(self.data.high.get(size=3)) > self.data.close[-1])


class PeekingIndicator(bt.Indicator):
    lines = ("ahead",)

    def next(self):
        self.l.ahead[0] = self.data.close[1]


def named(report, check):
    return [finding for finding in report.findings if finding.check == check]


# --- reads --------------------------------------------------------------------------------------------------


def test_a_strategy_that_reads_tomorrows_close_is_named_with_line_bar_and_amount(candles_of):
    candles = candles_of(300)
    report = audit_strategy(ReadsTomorrow, candles, plan=QUICK)
    (read,) = named(report, "reads")
    now, then = candles["close"].loc[read.time], candles["close"].shift(-1).loc[read.time]
    assert read.name == "close[1]"
    assert read.amount == pytest.approx(abs(then - now))
    assert f"1 bar before it is known, in test_audit_runs.py:{line_of('# here: tomorrow')}" in read.text
    assert f"{then:.6g}, where {now:.6g} is current" in read.text
    assert {finding.name for finding in named(report, "truncation")} >= {"order size"}
    assert {finding.name for finding in named(report, "perturbation")} >= {"order size"}
    assert any("IndexError" in finding.name for finding in named(report, "modes"))


def test_an_index_that_wraps_round_to_the_end_of_the_data_is_named(candles_of):
    candles = candles_of(300)
    report = audit_strategy(ReadsTheEnd, candles, plan=QUICK)
    (read,) = named(report, "reads")
    assert read.name.startswith("close[-")
    assert "counts back beyond the first bar" in read.text
    assert f"test_audit_runs.py:{line_of('# here: the end')}: {candles['close'].iloc[-1]:.6g}, where" in read.text
    assert named(report, "truncation")
    assert named(report, "modes")


def test_slices_and_lines_of_indicators_are_watched_too(candles_of):
    candles = candles_of(200)
    assert [each.name for each in named(audit_strategy(ReadsASlice, candles, plan=QUICK), "reads")] == ["high[2]"]
    report = audit_strategy(ReadsAnAverageOfTomorrow, candles, plan=QUICK)
    assert [each.name for each in named(report, "reads")] == ["mean.sma[1]"]


def test_a_line_declared_ahead_is_named_by_its_attribute(candles_of):
    report = audit_strategy(DeclaresTomorrow, candles_of(200), plan=QUICK)
    assert "rise" in {finding.name for finding in named(report, "perturbation")}


def test_honest_reads_of_any_kind_are_left_alone(candles_of):
    watch = Watch()
    observe(on_futures, candles_of(120), Honest, {}, watch=watch)
    assert watch.reads == []
    assert watch.count > 600
    assert audit_strategy(Honest, candles_of(240), plan=QUICK).is_clean


def test_watching_changes_nothing_of_a_run(candles_of):
    plain = observe(on_futures, candles_of(240), SmaCross, {"fast": 5, "slow": 20})
    watched = observe(on_futures, candles_of(240), SmaCross, {"fast": 5, "slow": 20}, watch=Watch())
    pd.testing.assert_frame_equal(plain.everything, watched.everything)


# --- indicators ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LEAKS)
def test_each_planted_leak_is_caught_as_an_indicator(candles_of, name):
    report = audit_indicator(Leak, candles_of(320), {"function": LEAKS[name]}, AuditPlan())
    assert {(finding.check, finding.name) for finding in report.findings} >= {
        ("truncation", "Leak.leak"),
        ("perturbation", "Leak.leak"),
        ("modes", "Leak.leak"),
    }


def test_an_indicator_that_peeks_is_named_with_its_line(candles_of):
    report = audit_indicator(PeekingIndicator, candles_of(200), plan=QUICK)
    assert [finding.name for finding in named(report, "reads")] == ["close[1]"]
    assert {finding.name for finding in named(report, "truncation")} == {"PeekingIndicator.ahead"}


def test_the_line_of_ichimoku_that_is_drawn_back_is_found_and_no_other(candles_of):
    report = audit_indicator(bt.ind.Ichimoku, candles_of(300), plan=QUICK)
    assert {finding.name for finding in report.findings} == {"Ichimoku.chikou_span"}


@pytest.mark.parametrize("kind", [bt.ind.EMA, bt.ind.RSI, bt.ind.MACDHisto, bt.ind.BollingerBands, bt.ind.ATR])
def test_backtraders_own_indicators_are_clean_and_say_when_they_settle(candles_of, kind):
    report = audit_indicator(kind, candles_of(500), plan=QUICK)
    assert report.is_clean, report.lines()
    assert "settles in" in report.checks[1].note


@pytest.mark.parametrize("seed", range(20))
def test_our_indicator_is_clean(candles_of, untrained_model, seed):
    report = audit_indicator(
        lbt.LSTMSignal, candles_of(150, seed), {"model": untrained_model()}, AuditPlan(cuts=4, seed=seed)
    )
    assert report.is_clean, report.lines()


# --- strategies ---------------------------------------------------------------------------------------------

GUARDS = (DailyLossLimit(0.02), MaxDrawdown(0.08), ConsecutiveLosses(2, 5), StaleData())
EXITS = {"stop_price_pct": 0.02, "take_profit_price_pct": 0.03, "trailing_price_pct": 0.025}


@pytest.mark.parametrize("seed", range(20))
def test_our_strategies_are_clean(untrained_model, seed):
    candles = sample_candles(150, seed)
    plan = AuditPlan(cuts=4, seed=seed)
    for strategy, params in (
        (SmaCross, {"fast": 5, "slow": 20, **EXITS}),
        (BuyAndHold, {}),
        (LSTMFutures, {"model": untrained_model(), **EXITS}),
    ):
        report = audit_strategy(strategy, candles, params, plan)
        assert report.is_clean, report.lines()
        assert " orders" in report.checks[1].note


@pytest.mark.parametrize("seed", range(3))
def test_our_baselines_sizes_and_guards_are_clean(untrained_model, seed):
    candles = sample_candles(260, seed)
    plan = AuditPlan(cuts=4, seed=seed)
    cross = {"fast": 3, "slow": 9, "guards": GUARDS, **EXITS}
    for strategy, params in (
        (Momentum, {"lookback": 20, **EXITS}),
        (RandomEntry, {"holdings": (4, -9), "flat_bars": 20}),
        (SmaCross, {"sizing": Capped(RiskPerTrade(0.05), notional=4_000), **cross}),
        (SmaCross, {"sizing": VolatilityTarget(0.5), **cross}),
        (LSTMFutures, {"model": untrained_model(), "sizing": CappedKelly(most=0.9), **EXITS}),
    ):
        report = audit_strategy(strategy, candles, params, plan)
        assert report.is_clean, report.lines()
        assert " orders" in report.checks[1].note


def test_a_strategy_that_never_acts_is_said_to_prove_nothing(candles_of):
    class Idle(bt.Strategy):
        def next(self):
            pass

    report = audit_strategy(Idle, candles_of(170), plan=QUICK)
    assert "it placed no order, so nothing was decided" in " ".join(report.lines())


def test_forecasts_of_bars_that_were_learned_from_are_found(tiny_model, tiny_market):
    seen = tiny_market.iloc[1200:1700]
    report = audit_strategy(LSTMFutures, seen, {"model": tiny_model, "allow_insample": True}, QUICK)
    (finding,) = named(report, "in-sample")
    assert "bars that the model LSTM was trained on" in finding.text
    assert finding.amount == 500 - tiny_model.warmup + 1
    assert finding.time == seen.index[tiny_model.warmup - 1]
    assert not named(audit_strategy(LSTMFutures, seen, {"model": tiny_model}, QUICK), "in-sample")


def test_several_bar_lengths_make_no_false_alarm(untrained_model, candles_of):
    def setup(candles):
        cerebro = bt.Cerebro(stdstats=False)
        feed = lbt.CandleFeed(candles)
        cerebro.adddata(feed)
        lbt.resample(cerebro, feed, "1h")
        return cerebro

    class OfTheHour(bt.Strategy):
        def __init__(self):
            self.lstm = lbt.LSTMSignal(self.data1, model=untrained_model())

        def next(self):
            if self.lstm.signal[0] > 0 and not self.position:
                self.buy(self.data0)
            elif self.lstm.signal[0] < 0 and self.position:
                self.close(self.data0)

    report = audit_strategy(OfTheHour, candles_of(560, freq="5min"), None, AuditPlan(cuts=6), setup)
    assert report.is_clean, report.lines()


def test_only_resampled_bars_make_no_false_alarm_and_still_show_a_leak(candles_of):
    def setup(candles):
        cerebro = bt.Cerebro(stdstats=False)
        lbt.resample(cerebro, lbt.CandleFeed(candles), "1h")
        return cerebro

    candles = candles_of(120 * 12, freq="5min")
    report = audit_strategy(Honest, candles, None, QUICK, setup)
    assert report.is_clean, report.lines()
    assert named(audit_strategy(ReadsTomorrow, candles, None, QUICK, setup), "truncation")


# --- modes --------------------------------------------------------------------------------------------------


def test_a_strategy_that_reads_more_than_it_asked_for_differs_where_memory_is_short(candles_of):
    class Forgetful(Reads):
        def next(self):
            self.turn(sum(self.data.close.get(size=30)) > 30 * self.data.close[0])

    report = audit_strategy(Forgetful, candles_of(200), plan=QUICK)
    assert report.is_clean
    assert report.checks[3].note == "needs more memory than exactbars=1 keeps"


def test_every_mode_of_cerebro_is_run():
    assert [*MODES] == ["runonce=False", "preload=False", "exactbars=1", "exactbars=-1", "exactbars=-2"]


def test_a_run_that_breaks_is_a_finding(candles_of):
    class Breaks(bt.Strategy):
        def __init__(self):
            self.mean = bt.ind.SMA(period=3)

        def next(self):
            self.mean[1]

    report = audit_strategy(Breaks, candles_of(100), plan=QUICK)
    assert [finding.check for finding in report.findings] == ["reads", "run"]
    assert "A line is read behind the last bar" in report.findings[1].text


# --- fills --------------------------------------------------------------------------------------------------


class Hasty(bt.brokers.BackBroker):
    """Fills a market order at once, at the close it was decided on, and says nothing of it."""

    def submit(self, order, check=True):
        order = super().submit(order, check)
        if order.exectype == order.Market:
            self.check_submitted()
            self._execute(order, ago=0, price=order.data.close[0])
            self.pending.clear()
        return order


def on(broker, **cerebro_params):
    def setup(candles):
        cerebro = bt.Cerebro(stdstats=False, **cerebro_params)
        cerebro.adddata(lbt.CandleFeed(candles))
        cerebro.setbroker(broker())
        return cerebro

    return setup


def test_a_fill_at_the_bar_of_its_signal_is_found(candles_of):
    full = observe(on(Hasty), candles_of(200), Honest, {})
    check = order_times(full, "Honest")
    assert check.compared > 10
    assert "not later than the bar whose close it was decided on" in check.findings[0].text
    assert check.findings[0].time == full.wanted.index[full.actions["orders"].to_numpy().argmax()]


def test_cheating_on_close_is_allowed_where_it_is_declared(candles_of):
    def declared():
        broker = bt.brokers.BackBroker()
        broker.set_coc(True)
        return broker

    check = order_times(observe(on(declared), candles_of(200), Honest, {}), "Honest")
    assert check.is_clean
    assert check.note.endswith("on the signal's bar, declared by the broker")


def test_the_orders_of_a_stock_broker_are_seen_as_well(candles_of):
    assert audit_strategy(Honest, candles_of(240), None, QUICK, on(bt.brokers.BackBroker)).is_clean


# --- the shift test -----------------------------------------------------------------------------------------


def test_who_knows_the_next_bar_gains_by_nothing_but_being_in_time(candles_of):
    check = shifted(observe(on_futures, candles_of(400), ReadsTomorrow, {}, lookahead=1), "ReadsTomorrow")
    (finding,) = check.findings
    assert finding.amount > 0.7
    assert "they know the bar they trade on" in finding.text


def test_signals_prepared_from_the_whole_history_show_in_the_shift_test(candles_of):
    candles = candles_of(400)
    tomorrow = candles["close"].diff(-1).to_numpy() < 0

    class Prepared(Reads):
        def next(self):
            self.turn(bool(tomorrow[len(self) - 1]))

    report = audit_strategy(Prepared, candles, plan=QUICK)
    assert {finding.check for finding in report.findings} == {"shift"}


def test_momentum_would_gain_by_trading_earlier_and_is_no_finding(candles_of):
    check = shifted(observe(on_futures, candles_of(400), SmaCross, {"fast": 1, "slow": 2}), "SmaCross")
    assert check.is_clean
    early, late = (float(part.split()[0]) for part in check.note.split(", ")[1:])
    assert early > 0.5
    assert abs(late) < 0.2


# --- the helper ---------------------------------------------------------------------------------------------


def test_the_helper_takes_features_indicators_strategies_and_functions():
    assert_no_lookahead(bt.ind.SMA, params={"period": 20}, plan=FEW)
    assert_no_lookahead(Honest, plan=FEW)
    assert_no_lookahead(default_features(), plan=FEW)
    assert_no_lookahead(lambda candles: candles["close"].diff(), plan=FEW)
    assert_no_lookahead(volume_z, params={"span": 24}, plan=FEW)
    assert_no_lookahead(FeatureSpec("volume_z", {"span": 24}), plan=FEW)
    with pytest.raises(AssertionError, match=r"reads: close\[1\] at .* is read 1 bar before it is known"):
        assert_no_lookahead(ReadsTomorrow, plan=FEW)
    with pytest.raises(AssertionError, match="truncation: shift at"):
        assert_no_lookahead(LEAKS["shift"], plan=FEW)


def test_a_feature_whose_parameters_are_unknown_cannot_be_audited():
    with pytest.raises(ConfigError, match="feature 'event' cannot be audited without column"):
        assert_no_lookahead(event)


def test_sample_candles_have_every_column(candles_of):
    candles = sample_candles(100, seed=3)
    assert {"mark_close", "funding_rate", "open_interest", "news"} <= set(candles.columns)
    assert np.isfinite(candles["funding_rate"]).sum() == 13
    pd.testing.assert_frame_equal(candles, sample_candles(100, seed=3))
