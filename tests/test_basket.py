"""Several instruments on one account: listed late, ended early, capped together, equal in every mode."""

import logging
import re
from pathlib import Path

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

import lstm_backtrader as lbt
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.reporting.recorder import run_record
from lstm_backtrader.strategies import (
    Capped,
    FractionOfEquity,
    LSTMBasket,
    MaxDrawdown,
    SignalBasket,
    SignalFutures,
    StopLoss,
    TimeLimit,
)

MODES = {
    "runonce": {},
    "next": {"runonce": False},
    "preload off": {"preload": False},
    "exactbars 1": {"exactbars": 1},
    "exactbars -1": {"exactbars": -1},
}
LOOKBACK = 12


class Momentum(SignalBasket):
    """Each instrument up or down over twelve bars."""

    def __init__(self):
        self.signals = [bt.Cmp(data.close, data.close(-LOOKBACK)) for data in self.datas]


class MomentumOfOne(SignalFutures):
    def __init__(self):
        self.signal = bt.Cmp(self.data.close, self.data.close(-LOOKBACK))


@pytest.fixture(scope="module")
def three(candles_of):
    """AAA from the first to the last bar, BBB listed at bar 200, CCC ended at bar 400, each with funding."""
    tables = {name: candles_of(600, seed=seed) for seed, name in enumerate(("AAA", "BBB", "CCC"))}
    for seed, (name, table) in enumerate(tables.items()):
        rate = np.where(table.index.hour % 8 == 0, np.random.default_rng(seed).normal(0, 1e-4, 600), np.nan)
        tables[name] = table.assign(funding_rate=rate)
    return {"CCC": tables["CCC"].iloc[:400], "AAA": tables["AAA"], "BBB": tables["BBB"].iloc[200:]}


def trade(candles, strategy=Momentum, leverage=2.0, mode=None, account=None, **params):
    cerebro = bt.Cerebro(stdstats=False)
    lbt.add_instruments(cerebro, candles, leverage=leverage, **(account or {}))
    cerebro.addstrategy(strategy, **params)
    return lbt.run(cerebro, **(mode or {}))


# --- one account --------------------------------------------------------------------------------------------


def test_the_books_of_all_add_up(three):
    record = run_record(trade(three))
    trades, totals = record.trades, record.totals
    made = trades["net_profit"].sum()
    assert set(trades["symbol"]) == {"AAA", "BBB", "CCC"}
    assert record.equity["equity"].iloc[-1] == pytest.approx(totals.start_equity + made, abs=1e-6)
    assert trades["funding"].sum() == pytest.approx(totals.funding)
    assert totals.funding != 0
    assert record.metrics()["trades"] == len(trades) > 100


@pytest.mark.parametrize("mode", list(MODES)[1:])
def test_every_mode_trades_the_same(three, mode):
    params = {"exits": [StopLoss(0.03)], "sizing": Capped(FractionOfEquity(0.5), open_multiple=1.5)}
    usual, other = (run_record(trade(three, mode=MODES[each], **params)) for each in ("runonce", mode))
    pd.testing.assert_frame_equal(other.equity, usual.equity, check_exact=True)
    pd.testing.assert_frame_equal(other.trades, usual.trades, check_exact=True)


def test_a_basket_of_one_is_a_strategy_of_one(three):
    # given
    exits = {"exits": [StopLoss(0.02), TimeLimit(30)]}
    one = {"AAA": three["AAA"]}

    # when
    basket = run_record(trade(one, Momentum, **exits))
    alone = run_record(trade(one, MomentumOfOne, **exits))

    # then
    pd.testing.assert_frame_equal(basket.trades, alone.trades)
    pd.testing.assert_frame_equal(basket.equity, alone.equity)


def test_the_future_of_no_instrument_changes_the_past_of_the_account(three):
    cut = pd.Timestamp("2024-01-16", tz="UTC")  # after BBB was listed, before CCC ends
    whole = {name: three[name] for name in ("AAA", "BBB", "CCC")}
    part = run_record(trade({name: table[table.index < cut] for name, table in whole.items()})).equity
    whole = run_record(trade(whole)).equity
    pd.testing.assert_frame_equal(part, whole[whole.index < cut], check_exact=True)


def test_a_leverage_and_a_fee_of_its_own(three):
    cerebro = bt.Cerebro(stdstats=False)
    leverage = {"AAA": 3.0, "BBB": 2.0, "CCC": 1.0}
    broker = lbt.add_instruments(cerebro, three, leverage=leverage, taker_fee=0.001, cash=500.0)
    assert [data._name for data in cerebro.datas] == ["AAA", "CCC", "BBB"]  # the clock first, then as given
    assert [broker.leverage(data) for data in cerebro.datas] == [3.0, 1.0, 2.0]
    assert {broker.contract(data).taker_fee for data in cerebro.datas} == {0.001}
    assert broker.getcash() == 500.0


# --- listed later, ended early ------------------------------------------------------------------------------


def test_an_instrument_takes_part_from_its_own_first_bars(three):
    trades = run_record(trade(three)).trades
    first = trades.groupby("symbol")["entry_time"].min()
    assert first["AAA"] == three["AAA"].index[LOOKBACK + 1]
    assert first["BBB"] == three["BBB"].index[LOOKBACK + 1]


def test_one_that_ends_while_held_stays_at_its_last_price_and_is_told(three, caplog):
    with caplog.at_level(logging.WARNING):
        results = trade(three)
    strategy = results[0]
    ccc = strategy.getdatabyname("CCC")
    held = strategy.broker.getposition(ccc)
    assert held.size != 0
    assert "the data of CCC end at 2024-01-17 15:00 with a position of" in caplog.text
    assert "leave_at={'CCC': ...}" in caplog.text
    row = run_record(results).trades.query("symbol == 'CCC' and is_open").iloc[0]
    price = three["CCC"]["close"].iloc[-1]
    assert row["profit_open"] == pytest.approx(held.size * (price - held.price))


def test_one_whose_end_was_announced_is_left_in_time(three, caplog):
    with caplog.at_level(logging.WARNING):
        trades = run_record(trade(three, leave_at={"CCC": "2024-01-17T12:00"})).trades
    assert "the data of CCC" not in caplog.text
    ccc = trades[trades["symbol"] == "CCC"]
    assert not ccc["is_open"].any()
    assert ccc["exit_time"].max() <= pd.Timestamp("2024-01-17 13:00", tz="UTC")


def test_nothing_is_traded_before_it_may_be(three):
    record = run_record(trade(three, trade_from="2024-01-10"))
    assert record.equity.index[0] == pd.Timestamp("2024-01-10 00:00", tz="UTC")
    assert record.trades["entry_time"].min() == pd.Timestamp("2024-01-10 01:00", tz="UTC")


def test_the_report_says_whose_figures_are_whose(three, tmp_path):
    lbt.report(trade(three), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert (
        "3 instruments were traded: AAA, BBB, CCC. Price, position, forecast and buy and hold are those of AAA"
        in page
    )


# --- shared margin and caps ---------------------------------------------------------------------------------


@pytest.fixture
def all_long(candles_of, fixed_forecaster):
    """Three instruments that all turn long at the same close, run with `params`."""
    tables = {name: candles_of(40, seed=seed) for seed, name in enumerate(("AAA", "BBB", "CCC"))}
    return lambda **params: run_record(trade(tables, LSTMBasket, model=fixed_forecaster(0.9), **params))


def at_entry(record):
    """Notional of each position when it was entered, over the equity at the start."""
    trades = record.trades
    return (trades["size"].abs() * trades["entry_price"] / record.totals.start_equity).to_numpy()


def test_the_account_is_shared_evenly(all_long):
    assert at_entry(all_long()) == pytest.approx([2 * 0.95 / 3] * 3, rel=0.01)


def test_what_was_ordered_at_the_same_close_counts_towards_the_cap_on_notional(all_long):
    record = all_long(sizing=Capped(FractionOfEquity(0.3), open_multiple=1.0))  # 0.6 of equity each, at 2x
    assert at_entry(record)[:2] == pytest.approx([0.6, 0.4], rel=0.02)
    assert at_entry(record)[:2].sum() == pytest.approx(1.0, rel=0.02)


def test_what_was_ordered_at_the_same_close_counts_towards_the_cap_on_risk(all_long):
    record = all_long(
        sizing=Capped(FractionOfEquity(0.25), open_risk_pct=0.06), exits=[StopLoss(0.08)]
    )  # 0.5 of equity each, of which a stop loses 0.04 and some fees
    sizes = at_entry(record)
    assert sizes[0] == pytest.approx(0.5, rel=0.02)
    assert sizes[1] == pytest.approx(0.25, rel=0.05)


def test_what_was_ordered_at_the_same_close_takes_its_margin(all_long):
    record = all_long(
        sizing=FractionOfEquity(0.6)
    )  # 60 % of equity as margin each: there is room for one and a half
    assert at_entry(record)[:2] == pytest.approx([1.2, 0.78], rel=0.03)


def test_a_guard_stops_all_of_them_and_says_which(three):
    strategy = trade(three, guards=[MaxDrawdown(0.03)])[0]
    halts = strategy.halts
    assert [halt.guard for halt in halts] == [f"{name}: max_drawdown" for name in ("AAA", "CCC", "BBB")]
    assert [halt.moment for halt in halts] == sorted(halt.moment for halt in halts)
    late = [trade for trade in run_record([strategy]).trades["entry_time"] if trade > halts[-1].moment]
    assert late == []


# --- models -------------------------------------------------------------------------------------------------


def test_each_instrument_may_have_a_model_of_its_own(candles_of, fixed_forecaster):
    tables = {name: candles_of(40, seed=seed) for seed, name in enumerate(("AAA", "BBB"))}
    models = {"AAA": fixed_forecaster(0.9), "BBB": fixed_forecaster(0.1)}
    trades = run_record(trade(tables, LSTMBasket, model=models)).trades
    assert dict(zip(trades["symbol"], trades["side"], strict=True)) == {"AAA": 1, "BBB": -1}


# --- mistakes -----------------------------------------------------------------------------------------------


def usdt_and_btc(three):
    contracts = {name: lbt.Contract() for name in three} | {"BBB": lbt.Contract(settlement="BTC")}
    cerebro = bt.Cerebro(stdstats=False)
    lbt.add_instruments(cerebro, three, contracts)
    cerebro.addstrategy(Momentum)
    cerebro.run()


def ended_clock(three):
    cerebro = bt.Cerebro(stdstats=False)
    for name, table in three.items():  # CCC, which ends first, is the first
        cerebro.adddata(lbt.CandleFeed(table, name=name))
    cerebro.addstrategy(Momentum)
    cerebro.run()


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (usdt_and_btc, "an account settles in one coin, and AAA in USDT, CCC in USDT, BBB in BTC do not"),
        (ended_clock, "the first instrument, CCC, is the clock and ends before AAA. Add AAA first"),
        (
            lambda three: trade(three, leave_at={"DDD": "2024-01-01"}),
            "leave_at names 'DDD', and the instruments are AAA",
        ),
        (lambda three: trade(three, leave_at="2024-01-01"), "must map names to datetimes"),
        (lambda three: trade(three, leave_at={"AAA": 5}), r"leave_at\['AAA'\]=5 is not a datetime"),
        (lambda three: trade(three, fraction=1.5), r"fraction=1.5 must be in \(0, 1\]"),
        (lambda three: trade(three, fractoin=0.5), "has no parameter 'fractoin'. Did you mean fraction?"),
        (
            lambda three: trade(three, leverage={"AAA": 2.0, "CCC": 1.0}),
            "leverage has no entry for 'BBB'; it has AAA, CCC",
        ),
        (lambda three: trade({}), "there is no instrument"),
        (
            lambda three: trade(three, LSTMBasket, model={"AAAA": None}),
            "no model of instrument 'AAA'. Did you mean AAAA?",
        ),
    ],
)
def test_a_mistake_is_named(three, act, said):
    with pytest.raises(ConfigError, match=said):
        act(three)


# --- on real candles ----------------------------------------------------------------------------------------


def test_three_perpetuals_of_four_years_on_one_account(shared_data):
    # given bitcoin, ether and cardano, 2021 to 2024, the last of them a year later, at twelve hours a bar
    candles = {}
    for name in ("BTCUSDT", "ETHUSDT", "ADAUSDT"):
        path = shared_data / "binance-um" / name
        hours = lbt.read_candles(f"{path}-1h.parquet", f"{path}-8h-funding.parquet", f"{path}-1h-mark.parquet")
        candles[name] = lbt.datafeeds.resample_candles(hours["2021":], "12h")
    candles["ADAUSDT"] = candles["ADAUSDT"]["2022":]
    contracts = {name: f"binanceusdm:{name[:3]}/USDT:USDT" for name in ("BTCUSDT", "ETHUSDT")}
    contracts["ADAUSDT"] = lbt.Contract(symbol="ADA/USDT:USDT")

    def run(**mode):
        cerebro = bt.Cerebro(stdstats=False)
        lbt.add_instruments(cerebro, candles, contracts, leverage=2.0)
        sizing = Capped(FractionOfEquity(0.3), open_multiple=1.2, open_risk_pct=0.08)
        cerebro.addstrategy(Momentum, sizing=sizing, exits=[StopLoss(0.06)])
        return run_record(lbt.run(cerebro, **mode))

    # when
    usual, *others = (run(**mode) for mode in MODES.values())

    # then
    assert usual.metrics()["trades"] > 300
    assert set(usual.trades["symbol"]) == set(candles)
    assert usual.simulation["settlement"] == "USDT"
    assert usual.totals.start_equity + usual.trades["net_profit"].sum() == pytest.approx(
        usual.equity["equity"].iloc[-1], abs=0.01
    )
    for other in others:
        pd.testing.assert_frame_equal(other.equity, usual.equity, check_exact=True)
        pd.testing.assert_frame_equal(other.trades, usual.trades, check_exact=True)


def test_the_code_of_the_document_runs(candles_of, fixed_forecaster, tmp_path, monkeypatch):
    # given
    monkeypatch.chdir(tmp_path)
    tables = {name: candles_of(120, seed=seed) for seed, name in enumerate(("btc", "eth", "ada"))}
    page = (Path(__file__).parents[1] / "docs" / "several-instruments.md").read_text(encoding="utf-8")
    scope = {**tables, "models": fixed_forecaster(0.9)}

    # when
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(block, scope)

    # then
    assert set(run_record(scope["results"]).trades["symbol"]) == {"BTCUSDT", "ETHUSDT", "ADAUSDT"}
    assert len(run_record(trade(tables, scope["Crossovers"])).trades) > 3
