"""The recorder against the broker's own account, Backtrader's analyzers and the futures ledger."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.errors import ReportError
from lstm_backtrader.futures.broker import FuturesBroker
from lstm_backtrader.reporting.recorder import RunRecord, RunRecorder, run_record

MONEY = ("gross_profit_closed", "profit_open", "fees", "funding", "liquidation_loss")


def market(n: int = 300, seed: int = 0, sigma: float = 0.01, funding: float | None = None) -> pd.DataFrame:
    close = 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, sigma, n)))
    opens = np.r_[100.0, close[:-1]]
    index = pd.date_range("2024-01-01", periods=n, freq="h", tz="UTC", name="open_time")
    candles = pd.DataFrame({"open": opens, "close": close, "volume": 1.0}, index=index)
    candles["high"] = candles[["open", "close"]].max(axis=1) * 1.002
    candles["low"] = candles[["open", "close"]].min(axis=1) * 0.998
    if funding is not None:
        candles["funding_rate"] = np.where(index.hour % 8 == 0, funding, np.nan)
    return candles


class Plan(bt.Strategy):
    """Go to the target size named for a bar."""

    params = (("plan", {}), ("warmup", 1), ("tradeid", 0), ("reason", None))

    def __init__(self) -> None:
        bt.indicators.SimpleMovingAverage(self.data, period=self.p.warmup)
        self.profits: list[float] = []

    def next(self) -> None:
        target = self.p.plan.get(len(self))
        if target is not None:
            size = target - self.position.size
            more = {} if self.p.reason is None else {"reason": self.p.reason}
            (self.buy if size > 0 else self.sell)(size=abs(size), tradeid=self.p.tradeid, **more)

    def notify_trade(self, trade: bt.Trade) -> None:
        if trade.isclosed:
            self.profits.append(trade.pnlcomm)


def flips(n: int = 300, seed: int = 1, scale: float = 20.0) -> dict[int, float]:
    rng = np.random.default_rng(seed)
    return {int(bar): float(scale * rng.choice([-1, -0.5, 0, 0.5, 1])) for bar in range(3, n, 7)}


def run(
    candles: pd.DataFrame, plan: dict[int, float], broker=None, recorder=None, modes=None, **params
) -> RunRecord:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(candles, name="BTC"))
    if broker is not None:
        cerebro.setbroker(broker)
    else:
        cerebro.broker.setcommission(0.001)
    cerebro.addstrategy(Plan, plan=plan, **params)
    cerebro.addanalyzer(RunRecorder, **(recorder or {}))
    cerebro.addanalyzer(bt.analyzers.TradeAnalyzer, _name="trades")
    cerebro.addanalyzer(bt.analyzers.TimeReturn, timeframe=bt.TimeFrame.Days, _name="days")
    run.results = cerebro.run(**(modes or {}))
    return run_record(run.results)


def assert_books_add_up(record: RunRecord) -> None:
    for name in MONEY:
        assert record.trades[name].sum() == pytest.approx(getattr(record.totals, name), abs=1e-9), name
    totals = record.totals
    booked = totals.gross_profit_closed + totals.profit_open - totals.fees + totals.funding + totals.other_cash
    assert record.equity["equity"].iloc[-1] - totals.start_equity == pytest.approx(booked, abs=1e-9)


def test_trades_on_a_stock_broker_explain_its_equity_to_the_last_digit():
    record = run(market(), flips())
    strategy = run.results[0]
    assert_books_add_up(record)
    assert record.totals.other_cash == pytest.approx(0.0, abs=1e-8)
    closed = record.trades[~record.trades["is_open"]]
    assert closed["net_profit"].tolist() == pytest.approx(strategy.profits, abs=1e-9)
    assert len(record.trades) == strategy.analyzers.trades.get_analysis().total.total
    days = pd.Series(strategy.analyzers.days.get_analysis())
    assert record.equity["equity"].iloc[-1] == pytest.approx(10_000 * (1 + days).prod(), abs=1e-6)


def test_bar_equity_is_the_brokers_value_bar_by_bar():
    record = run(market(), flips())
    frame = record.equity
    assert (frame["equity"] - frame["cash"]).to_numpy() == pytest.approx(
        (frame["position"] * frame["close"]).to_numpy()
    )
    assert frame["leverage"].to_numpy() == pytest.approx((frame["notional"] / frame["equity"]).to_numpy())
    assert frame["margin"].isna().all()
    assert record.has_ledger is False


def test_the_index_is_the_bars_open_time_in_utc():
    candles = market()
    pd.testing.assert_index_equal(run(candles, {}).equity.index, candles.index, check_freq=False)


@pytest.mark.parametrize("modes", [{"runonce": False}, {"preload": False}, {"exactbars": 1}])
def test_every_way_of_running_gives_the_same_record(modes):
    expected, record = run(market(), flips()), run(market(), flips(), modes=modes)
    pd.testing.assert_frame_equal(record.equity, expected.equity)
    pd.testing.assert_frame_equal(record.trades, expected.trades)


def test_the_trade_still_open_is_a_row_valued_at_the_last_close():
    candles = market()
    record = run(candles, {10: 5.0})
    (trade,) = record.trades.to_dict("records")
    assert trade["is_open"]
    assert pd.isna(trade["exit_time"])
    assert trade["entry_time"] == candles.index[10]
    assert trade["entry_price"] == candles["open"].iloc[10]
    assert trade["profit_open"] == pytest.approx(5 * (candles["close"].iloc[-1] - candles["open"].iloc[10]))


def test_warm_up_bars_are_not_part_of_the_statistics():
    record = run(market(), {120: 5.0}, warmup=100)
    assert len(record.equity) == 201
    assert record.equity.index[0] == market().index[99]


def test_from_start_on_an_open_trade_is_entered_again_at_the_last_close_before():
    candles = market()
    record = run(candles, {10: 5.0, 50: 0.0, 90: -4.0}, recorder={"start": datetime(2024, 1, 5, tzinfo=UTC)})
    assert record.equity.index[0] == pd.Timestamp("2024-01-05", tz="UTC")
    (trade,) = record.trades.to_dict("records")
    assert (trade["side"], trade["fees"]) == (-1, 0.0)
    assert trade["entry_price"] == candles["close"].iloc[95]
    assert_books_add_up(record)


def test_a_deposit_is_other_cash_on_a_stock_broker():
    class Saver(Plan):
        def next(self) -> None:
            if len(self) == 20:
                self.broker.add_cash(500.0)

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(market(), name="BTC"))
    cerebro.addstrategy(Saver)
    cerebro.addanalyzer(RunRecorder)
    assert run_record(cerebro.run()).totals.other_cash == pytest.approx(500.0)


@pytest.mark.parametrize("seed", range(4))
def test_trades_on_a_futures_broker_sum_to_its_ledger(seed):
    broker = FuturesBroker(leverage=8, cash=1_000.0)
    record = run(market(seed=seed, sigma=0.03, funding=0.001), flips(seed=seed), broker)
    ledger = broker.ledger
    assert_books_add_up(record)
    assert record.totals.gross_profit_closed == pytest.approx(ledger.gross_profit, abs=1e-9)
    assert record.totals.fees == pytest.approx(ledger.fees, abs=1e-9)
    assert record.totals.funding == ledger.funding != 0.0
    assert record.totals.liquidation_loss == pytest.approx(ledger.liquidation_loss, abs=1e-9)
    assert record.trades["is_liquidation"].sum() == record.totals.liquidations == ledger.liquidations > 0
    assert set(record.trades.loc[record.trades["is_liquidation"], "exit_reason"]) == {"liquidation"}
    assert record.metrics()["liquidations"] == ledger.liquidations


def test_margin_funding_and_reasons_of_a_futures_account_are_recorded():
    record = run(market(funding=0.001), {3: 10.0, 40: 0.0}, FuturesBroker(leverage=2, cash=10_000), reason="signal")
    (trade,) = record.trades.to_dict("records")
    assert trade["exit_reason"] == "signal"
    assert trade["funding"] < 0
    assert record.equity["margin"].iloc[10] == pytest.approx(10 * trade["entry_price"] / 2)
    assert record.equity["funding"].iloc[-1] == pytest.approx(trade["funding"])
    assert record.exposure == pytest.approx(37 / 300)


def test_strategies_side_by_side_share_one_account_and_one_record():
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(market(), name="BTC"))
    cerebro.setbroker(FuturesBroker(leverage=2, cash=100_000.0))
    cerebro.addstrategy(Plan, plan={5: 10.0, 100: 0.0})
    cerebro.addstrategy(Plan, plan={8: 15.0, 150: 20.0}, tradeid=1)
    cerebro.addanalyzer(RunRecorder)
    first, second = cerebro.run()
    assert run_record(first) is run_record(second)
    assert run_record(first).strategy == "Plan + Plan"
    assert set(run_record(first).trades["tradeid"]) == {0, 1}
    assert_books_add_up(run_record(first))


class Oracle(bt.Indicator):
    lines = ("signal", "forecast")

    def next(self) -> None:
        self.lines.forecast[0] = self.data.close[0] / 100

    def forecast_summary(self) -> dict[str, object]:
        return {"first_forecast": "2024-01-01", "suppressed_bars": 3}


def test_forecasts_are_found_by_their_shape():
    class Believer(bt.Strategy):
        def __init__(self) -> None:
            self.oracle = Oracle(self.data)

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(market(), name="BTC"))
    cerebro.addstrategy(Believer)
    cerebro.addanalyzer(RunRecorder)
    record = run_record(cerebro.run())
    assert record.forecast == {"first_forecast": "2024-01-01", "suppressed_bars": 3}
    assert record.equity["forecast"].to_numpy() == pytest.approx(record.equity["close"].to_numpy() / 100)


def test_the_record_survives_the_processes_of_an_optimisation():
    cerebro = bt.Cerebro(stdstats=False, maxcpus=2)
    cerebro.adddata(CandleFeed(market(), name="BTC"))
    cerebro.optstrategy(Plan, plan=[{5: 1.0}, {5: 2.0}])
    cerebro.addanalyzer(RunRecorder)
    records = [run_record(results) for results in cerebro.run()]
    assert [record.equity["position"].iloc[-1] for record in records] == [1.0, 2.0]


def test_two_runs_of_one_cerebro_give_the_same_record():
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(market(), name="BTC"))
    cerebro.addstrategy(Plan, plan=flips())
    cerebro.addanalyzer(RunRecorder)
    for one, other in pairwise([run_record(cerebro.run()), run_record(cerebro.run())]):
        pd.testing.assert_frame_equal(one.trades, other.trades)


def test_a_run_without_recorder_or_next_is_refused():
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(market(), name="BTC"))
    cerebro.addstrategy(Plan)
    with pytest.raises(ReportError, match=r"not recorded. Run it by `lbt.run"):
        run_record(cerebro.run())
    with pytest.raises(ReportError, match="never reached next"):
        run(market(20), {}, warmup=100, modes={"runonce": False})
    with pytest.raises(ReportError, match="optimisation"):
        run_record([[run.results]])
