"""Guards: when each stops trading and lets it go on, by hand and in the account. No network, no torch."""

import dataclasses
import logging
import math
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

import lstm_backtrader as lbt
from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.futures.broker import FuturesBroker
from lstm_backtrader.futures.contract import Contract
from lstm_backtrader.reporting.guard_section import MAX_HALTS, guards_section
from lstm_backtrader.reporting.recorder import Halted, run_record
from lstm_backtrader.strategies import LSTMFutures, SignalFutures
from lstm_backtrader.strategies.guards import ConsecutiveLosses, DailyLossLimit, MaxDrawdown, StaleData, StaleModel
from lstm_backtrader.strategies.situation import Situation

NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("guard", "told", "reason"),
    [
        (DailyLossLimit(0.03), {"day_equity": 1_000, "day_low_equity": 971, "equity": 971}, None),
        (
            DailyLossLimit(0.03),
            {"day_equity": 1_000, "day_low_equity": 970, "equity": 990},  # it has recovered since
            "equity fell to 970.00, 3.00% below the 1,000.00 that the UTC day began with",
        ),
        (
            DailyLossLimit(0.03),
            {"day_equity": 2, "day_low_equity": 1.9, "contract": Contract(kind="inverse", settlement="BTC")},
            "equity fell to 1.900000, 5.00% below the 2.000000 that the UTC day began with",
        ),
        (DailyLossLimit(0.03), {}, None),  # nothing is known
        (MaxDrawdown(0.2), {"deepest_drawdown": 0.1999, "peak_equity": 1_000}, None),
        (
            MaxDrawdown(0.2),
            {"deepest_drawdown": 0.2, "peak_equity": 1_000},
            "equity was 20.00% below its peak of 1,000.00",
        ),
        (ConsecutiveLosses(3, 10), {"losses_in_row": 2, "bars_since_loss": 0}, None),
        (
            ConsecutiveLosses(3, 10),
            {"losses_in_row": 3, "bars_since_loss": 9},
            "3 trades in a row lost; a pause of 10 bars",
        ),
        (ConsecutiveLosses(3, 10), {"losses_in_row": 3, "bars_since_loss": 10}, None),
        (
            ConsecutiveLosses(3, 10),
            {"losses_in_row": 4, "bars_since_loss": 0},
            "4 trades in a row lost; a pause of 10 bars",
        ),
        (StaleModel(), {"expires": NOON}, None),  # the bar that ends there is the last it forecast
        (
            StaleModel(),
            {"expires": NOON - timedelta(hours=1)},
            "the model expired at 2025-01-01 11:00 UTC",
        ),
        (StaleModel(7), {"trained_until": NOON - 7 * DAY}, None),
        (
            StaleModel(7),
            {"trained_until": NOON - 7.5 * DAY},
            "the model was trained until 2024-12-25 00:00 UTC, 7.5 days ago",
        ),
        (StaleModel(7), {"trained_until": NOON + DAY}, None),  # in sample, which is another matter
        (StaleModel(7), {"trained_until": NOON - DAY, "expires": NOON + DAY}, None),
        (StaleData(), {"bar_s": 3600, "gap_s": 0}, None),
        (StaleData(), {"bar_s": 3600, "gap_s": 3600}, "1 bar is missing before this one"),
        (StaleData(max_gap_bars=3), {"bar_s": 3600, "gap_s": 3 * 3600}, None),
        (StaleData(max_gap_bars=3), {"bar_s": 3600, "gap_s": 4 * 3600}, "4 bars are missing before this one"),
        (StaleData(), {"bar_s": 3600, "age_s": 3600}, None),
        (StaleData(), {"bar_s": 3600, "age_s": 3660}, "the bar came 3660 s after its end"),
        (StaleData(max_late_bars=0.1), {"bar_s": 3600, "age_s": 400}, "the bar came 400 s after its end"),
        (StaleData(), {"age_s": 5}, None),  # the length of a bar is not known
    ],
)
def test_when_a_guard_stops_trading(guard, told, reason):
    assert guard.halt(Situation(moment=NOON, **told)) == reason


@pytest.mark.parametrize("guard", [StaleModel(), StaleModel(30)])
def test_a_guard_that_can_never_act_is_refused(guard):
    with pytest.raises(ConfigError, match=r"does not learn how old the model is: .* expires_days=30"):
        guard.halt(Situation(moment=NOON))


@pytest.mark.parametrize(
    ("guard", "params", "message"),
    [
        (DailyLossLimit, {"equity_pct": 3}, r"equity_pct=3 must be in \(0, 1\). .* 0.03 is 3 %"),
        (MaxDrawdown, {"equity_pct": 0}, r"equity_pct=0 must be in \(0, 1\)"),
        (ConsecutiveLosses, {"losses": 0}, "losses=0 must be a whole number, 1 or more"),
        (ConsecutiveLosses, {"pause_bars": 1.5}, "pause_bars=1.5 must be a whole number"),
        (StaleModel, {"max_age_days": 0}, "max_age_days=0 must be above 0"),
        (StaleData, {"max_gap_bars": -1}, "max_gap_bars=-1 must be a whole number, 0 or more"),
        (StaleData, {"max_late_bars": math.inf}, "max_late_bars=inf must be above 0 and finite"),
    ],
)
def test_a_parameter_outside_its_range_is_answered_with_the_range(guard, params, message):
    with pytest.raises(ConfigError, match=message):
        guard(**params)


# ---- in the account


class Wish(SignalFutures):
    """Trades the data's column `wish`, and keeps what filled."""

    def __init__(self):
        self.signal = self.data.lines.wish
        self.fills = []

    def notify_order(self, order):
        super().notify_order(order)
        if order.status == order.Completed:
            opened = bt.num2date(order.executed.dt)
            self.fills.append((order.info.reason, order.executed.size, f"{opened:%d %H}"))


def table(closes, wish, start="2025-01-01"):
    """Bars that open and close at one price each."""
    index = pd.date_range(start, periods=len(closes), freq="h", tz="UTC", name="open_time")
    frame = pd.DataFrame({name: np.array(closes, float) for name in ("open", "high", "low", "close")}, index=index)
    return frame.assign(volume=1.0, wish=np.array(wish, float))


def run(candles, strategy=Wish, **params):
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(candles))
    cerebro.setbroker(FuturesBroker(Contract(taker_fee=0.0, maker_fee=0.0), leverage=3, cash=1_000.0))
    cerebro.addstrategy(strategy, **{"fraction": 1 / 3, **params})
    return cerebro.run()[0]


def test_a_day_that_has_lost_enough_is_over_and_the_next_one_trades(caplog):
    closes = [100] * 20 + [100, 96, 100, 100] + [100] * 4  # the low is in the bar that opens at 21:00

    done = run(table(closes, [1] * 28), guards=[DailyLossLimit(0.03)])

    assert done.fills == [("signal", 10, "01 01"), ("daily_loss_limit", -10, "01 22"), ("signal", 10, "02 01")]
    assert [(halt.moment, halt.guard) for halt in done.halts] == [
        (datetime(2025, 1, 1, 22, tzinfo=UTC), "daily_loss_limit")
    ]
    assert "daily_loss_limit stops trading: equity fell to 960.00, 4.00% below" in caplog.text


def test_the_kill_switch_never_lets_trading_go_on():
    closes = [100, 100, 79, 79, 100, 150, 150, 150] + [150] * 40

    done = run(table(closes, [1, 1, 1, 1, -1, 1, -1, 1] + [1] * 40), guards=[MaxDrawdown(0.2)])

    assert [reason for reason, _, _ in done.fills] == ["signal", "max_drawdown"]
    assert len(done.halts) == 1


def test_losses_in_a_row_are_followed_by_a_pause():
    wish = [1, 0, 1, 0] + [1] * 8
    closes = [100, 100, 99, 99, 98] + [98] * 7  # bought at 100 and 99, sold at 99 and 98

    done = run(table(closes, wish), guards=[ConsecutiveLosses(losses=2, pause_bars=3)])

    entered = [when for reason, size, when in done.fills if size > 0]
    assert entered == ["01 01", "01 03", "01 08"]  # without the pause 05


def test_the_bar_after_a_gap_enters_nothing():
    candles = table([100] * 10, [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]).drop(
        index=pd.Timestamp("2025-01-01 04:00", tz="UTC")
    )

    done = run(candles, guards=[StaleData()])

    assert [halt.reason for halt in done.halts] == ["1 bar is missing before this one"]
    assert done.fills[0][2] == "01 07"  # of the bar at 05 that wanted it nothing came


def test_a_guard_that_flattens_nothing_leaves_the_position_alone():
    done = run(table([100, 100, 70, 70, 70], [1] * 5), guards=[MaxDrawdown(0.2, flattens=False)])

    assert done.position.size == 10
    assert len(done.halts) == 1


def test_an_expired_model_is_said_to_be_and_left(tiny_model, fresh_market, caplog):
    expires = fresh_market.index[400].to_pydatetime()
    model = type(tiny_model)(tiny_model.manifest.model_copy(update={"expires": expires}), tiny_model.nets)
    caplog.set_level(logging.INFO)

    done = run(fresh_market, LSTMFutures, model=model, threshold=0.0, guards=[StaleModel()])

    (halt,) = done.halts
    assert halt.guard == "stale_model"
    assert halt.moment == expires + timedelta(hours=1)
    assert not done.position


def test_a_model_too_old_by_days_is_left(tiny_model, fresh_market):
    days = 20
    done = run(fresh_market, LSTMFutures, model=tiny_model, threshold=0.0, guards=[StaleModel(days)])

    (halt,) = done.halts
    assert halt.moment - tiny_model.manifest.trained_until == timedelta(days=days, hours=1)
    assert not done.position


def test_the_record_of_a_run_tells_when_which_guard_acted_and_why():
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(table([100] * 4 + [79] * 4, [1] * 8)))
    cerebro.setbroker(FuturesBroker(leverage=3))
    cerebro.addstrategy(Wish, guards=[MaxDrawdown(0.2), DailyLossLimit(0.03)])

    record = run_record(lbt.run(cerebro))

    assert [(f"{halt.time:%d %H:%M}", halt.guard) for halt in record.halts] == [
        ("01 05:00", "max_drawdown"),
        ("01 05:00", "daily_loss_limit"),
    ]
    assert "below its peak" in record.halts[0].reason
    assert record.trades["exit_reason"].tolist() == ["max_drawdown"]


def test_the_report_says_when_and_why_guards_acted(tmp_path):
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(table([100] * 40 + [79] * 40, [1] * 80)))
    cerebro.setbroker(FuturesBroker(leverage=3))
    cerebro.addstrategy(Wish, guards=[MaxDrawdown(0.2)])

    written = lbt.report(lbt.run(cerebro), tmp_path / "run")

    (halt,) = written.metrics["halts"]
    assert (halt["time"], halt["guard"]) == ("2025-01-02 17:00:00+00:00", "max_drawdown")
    assert "Guards stopped trading 1 time: max_drawdown." in written.metrics["notes"]
    page = written.html.read_text(encoding="utf-8")
    assert "Guards that stopped trading" in page
    assert halt["reason"] in page


def test_a_long_list_of_halts_is_cut():
    halts = [Halted(pd.Timestamp(NOON) + n * DAY, "mine", f"<reason {n}>") for n in range(MAX_HALTS + 5)]

    section = guards_section(halts)

    assert f"The last {MAX_HALTS} of 205 times, oldest first; mine 205." in section
    assert "&lt;reason 5&gt;" in section
    assert "reason 4&" not in section
    assert guards_section([]) == ""


def test_the_page_on_guards_prints_what_it_says(capsys):
    page = (Path(__file__).resolve().parents[1] / "docs" / "guards.md").read_text(encoding="utf-8")
    named = {"__name__": "page"}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(block, named)

    assert f"prints\n\n```\n{capsys.readouterr().out}```" in page
    assert named["NoWeekends"]().halt(Situation(moment=NOON)) is None


@pytest.mark.parametrize("guards", [[MaxDrawdown], MaxDrawdown()])
def test_guards_are_a_list_of_objects(guards):
    with pytest.raises(ConfigError, match="must be a list of objects with `halt`"):
        run(table([100] * 3, [1] * 3), guards=guards)


def test_guards_may_be_used_in_one_run_after_the_other():
    guards = [MaxDrawdown(0.2), DailyLossLimit(0.03), ConsecutiveLosses()]
    candles = table([100, 100, 79, 79, 100], [1] * 5)

    first, again = (run(candles, guards=guards) for _ in range(2))

    assert first.fills == again.fills
    assert first.halts == again.halts
    assert {halt.guard for halt in first.halts} == {"max_drawdown", "daily_loss_limit"}
    assert all(dataclasses.is_dataclass(guard) for guard in guards)
