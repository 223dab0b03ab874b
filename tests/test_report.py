"""What a report writes, from a run and from bare equity, and that it writes all of it or nothing."""

from __future__ import annotations

import json
import math
from pathlib import Path

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from lstm_backtrader import session
from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.errors import DataError, ReportError
from lstm_backtrader.futures.broker import FuturesBroker
from lstm_backtrader.reporting import report as report_module
from lstm_backtrader.reporting.notes import account_notes, forecast_notes, verdict
from lstm_backtrader.reporting.recorder import run_record
from lstm_backtrader.reporting.report import RunReport, read_equity, report, report_from_equity
from lstm_backtrader.reporting.writing import plain

HOURS = pd.date_range("2024-01-01", periods=24 * 40, freq="h")
CLOSE = 100 * np.exp(np.cumsum(np.random.default_rng(4).normal(0, 0.01, len(HOURS))))
EQUITY = pd.Series(CLOSE * 10, index=HOURS, name="equity")


class Flip(bt.Strategy):
    params = (("every", 50),)

    def next(self) -> None:
        if len(self) % self.p.every == 0:
            self.order_target_size(target=-5.0 if self.position.size > 0 else 5.0)


def run_of(bars: int = len(HOURS), broker: bt.brokers.BackBroker | None = None) -> list[bt.Strategy]:
    prices = dict.fromkeys(("open", "high", "low", "close", "volume"), CLOSE[:bars])
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(bt.feeds.PandasData(dataname=pd.DataFrame(prices, index=HOURS[:bars]), name="BTC/USDT"))
    if broker is not None:
        cerebro.setbroker(broker)
    cerebro.addstrategy(Flip)
    results: list[bt.Strategy] = session.run(cerebro)
    return results


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run") / "deep" / "out"


@pytest.fixture(scope="module")
def written(folder: Path) -> RunReport:
    return report(
        run_of(broker=FuturesBroker(leverage=2, cash=10_000.0)),
        folder,
        title="Flip",
        baselines={"As equity": EQUITY, "As run": run_of()},
        inputs={"data": "abc"},
    )


def test_a_directory_holds_page_figures_and_tables(written, folder):
    assert {file.name for file in folder.iterdir()} == {
        "report.html",
        "metrics.json",
        "equity.parquet",
        "trades.parquet",
    }
    assert written.html == folder / "report.html"
    assert "Key Performance Metrics" in written.html.read_text(encoding="utf-8")


def test_metrics_json_is_what_the_report_returns_and_holds_no_nan(written, folder):
    text = (folder / "metrics.json").read_text(encoding="utf-8")
    document = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in metrics.json"))
    assert document == written.metrics
    assert document["schema"] == 3
    assert set(document["baselines"]) == {"As equity", "As run"}
    assert document["span"] == {
        "start": "2024-01-01T00:00:00+00:00",
        "end": "2024-02-09T23:00:00+00:00",
        "bars": 960,
        "bar": "1h",
        "missing_bars": 0,
    }
    assert document["inputs"]["data"] == "abc"
    assert document["inputs"]["futures"] is True
    assert document["inputs"]["parameters"] == {"every": "50"}


def test_the_benchmark_is_data0_held_from_the_first_bar_with_the_same_money(written):
    benchmark = written.metrics["benchmark"]
    assert benchmark["start_equity"] == written.metrics["account"]["start_equity"] == 10_000.0
    assert benchmark["total_return"] == pytest.approx(CLOSE[-1] / CLOSE[0] - 1)
    assert written.equity["benchmark"].iloc[-1] == pytest.approx(benchmark["final_equity"])


def test_tables_come_back_from_parquet_as_they_went(written, folder):
    equity = pd.read_parquet(folder / "equity.parquet")
    pd.testing.assert_frame_equal(equity, written.equity)
    assert equity.index.name == "open_time"
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "trades.parquet"), written.trades)


def test_the_books_of_the_table_make_the_account(written):
    account, trades = written.metrics["account"], written.trades
    net = account["final_equity"] - account["start_equity"] - account["other_cash"]
    assert trades["net_profit"].sum() == pytest.approx(net, abs=1e-6)


def test_a_written_equity_can_be_reported_again(written, folder, tmp_path):
    again = report_from_equity(read_equity(folder / "equity.parquet"), tmp_path / "again")
    for name in ("total_return", "sharpe", "max_drawdown", "cagr"):
        assert again.metrics["account"][name] == pytest.approx(written.metrics["account"][name])
        assert again.metrics["benchmark"][name] == pytest.approx(written.metrics["benchmark"][name])


def test_a_stock_broker_is_told_of(tmp_path):
    done = report(run_of(20), tmp_path / "page.html")
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]
    assert done.metrics["notes"][1] == "A stock broker: no funding, no liquidation simulated."
    assert "no funding, no liquidation simulated" in done.html.read_text(encoding="utf-8")


@pytest.mark.parametrize("broker", [bt.brokers.BackBroker, FuturesBroker])
def test_a_broker_that_fills_at_the_close_of_the_decision_is_told_of(broker):
    cheating, plain_run = (run_record(run_of(200, each)) for each in (broker(coc=True), broker()))
    told = {note.flag: note.text for note in account_notes(cheating, cheating.metrics())}
    assert told["cheat on close"].startswith("Cheat-on-close: market orders fill at the close they were decided on")
    assert "cheat on close" not in {note.flag for note in account_notes(plain_run, plain_run.metrics())}


def test_returns_of_a_time_return_analyzer_are_taken_as_they_are(tmp_path):
    returns = {day.to_pydatetime(): 0.01 for day in HOURS[:3]}
    done = report_from_equity(returns=returns, path=tmp_path / "page.html")
    assert done.metrics["account"]["total_return"] == pytest.approx(1.01**3 - 1)


@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo"])
def test_equity_may_be_naive_or_of_any_zone(tmp_path, zone):
    short = EQUITY.iloc[:10] if zone is None else EQUITY.iloc[:10].tz_localize("UTC").tz_convert(zone)
    done = report_from_equity(short, tmp_path / "page.html", benchmark=EQUITY)
    assert done.metrics["span"]["start"] == "2024-01-01T00:00:00+00:00"
    assert done.metrics["benchmark"]["total_return"] == pytest.approx(done.metrics["account"]["total_return"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "either `equity` or `returns`"),
        ({"equity": EQUITY, "returns": EQUITY}, "either `equity` or `returns`"),
        ({"equity": pd.DataFrame({"a": EQUITY, "b": EQUITY})}, "no column `equity`, only a, b"),
        ({"equity": [1.0, 2.0]}, "not list"),
        ({"equity": EQUITY, "benchmark": "BTC-USD"}, "not the ticker 'BTC-USD'"),
        ({"equity": EQUITY, "benchmark": EQUITY.set_axis(HOURS + pd.Timedelta(days=999))}, "shares no time"),
        ({"returns": {}}, "no number at all"),
    ],
)
def test_what_cannot_be_reported_is_refused_and_nothing_is_written(tmp_path, given, message):
    with pytest.raises(ReportError, match=message):
        report_from_equity(path=tmp_path / "out", **given)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_not_overwritten_by_a_directory(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ReportError, match="is a file"):
        report_from_equity(EQUITY.iloc[:5], tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


def test_an_error_while_writing_leaves_the_old_files_and_no_rest(tmp_path, monkeypatch):
    old = tmp_path / "report.html"
    old.write_text("old")

    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", fail)
    with pytest.raises(OSError, match="disk full"):
        report_from_equity(EQUITY.iloc[:5], tmp_path)
    assert old.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_json_has_null_for_what_is_undefined():
    found = plain({"a": math.nan, "b": np.float64(math.inf), "c": np.int64(3), "d": HOURS[0], "e": (1,)})
    assert found == {"a": None, "b": None, "c": 3, "d": "2024-01-01 00:00:00", "e": [1]}


def test_equity_is_read_from_csv_with_times_in_the_first_column(tmp_path):
    EQUITY.rename_axis("when").to_csv(tmp_path / "equity.csv")
    frame = read_equity(tmp_path / "equity.csv")
    assert str(frame.index.tz) == "UTC"
    assert frame["equity"].to_numpy() == pytest.approx(EQUITY.to_numpy())


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("equity.csv", "time,value\n2024-01-01,1\n", "no column `equity`, only value"),
        ("equity.csv", "time,equity\n2024-01-01,abc\n", "holds text"),
        ("equity.csv", "time,equity\n1704067200000,1\n", "are numbers, e.g. 1704067200000"),
        ("equity.csv", "time,equity\nsoon,1\n", "a time of .* cannot be read"),
        ("equity.csv", "time,equity,benchmark\n2024-01-01,1,high\n", "column `benchmark` of .* holds text"),
        ("equity.csv", "time,equity\n2024-01-30,1\n31.01.2024,1\n", r"a time of .* cannot be read: [^\n]*$"),
        (
            "equity.csv",
            "time,equity\n01.02.2024,1\n02.02.2024,1\n",
            r"a time of .*equity.csv cannot be read: Time data 01\.02\.2024 is not ISO8601 format\. Use 2024-01-31",
        ),
        ("equity.csv", "", "cannot be read as csv"),
        ("equity.csv", "time,equity\n", "has no rows"),
        ("equity.parquet", "no parquet", "cannot be read as parquet"),
        ("equity.xlsx", "x", r"neither .parquet nor .csv"),
    ],
)
def test_a_file_that_holds_no_equity_is_refused_by_name(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_equity(tmp_path / name)
    assert name in str(caught.value)


def test_a_folder_in_place_of_a_file_is_answered_with_the_file_in_it(tmp_path):
    with pytest.raises(DataError, match=r"is a folder\. Name a file in it, say .*equity\.parquet"):
        read_equity(tmp_path)


def test_a_missing_file_is_named():
    with pytest.raises(DataError, match=r"there is no file nowhere\.csv"):
        read_equity("nowhere.csv")


def test_forecast_notes_say_what_the_indicator_says():
    notes = forecast_notes({"first_forecast": "2024-02-01", "suppressed_bars": 1200, "in_sample": 7, "seam": 1.5})
    assert [(note.flag, note.level) for note in notes] == [
        ("suppressed bars", "plain"),
        ("in-sample", "red"),
        ("seam", "yellow"),
    ]
    assert "1,200 bars" in notes[0].text
    assert [note.text for note in forecast_notes({"first_forecast": None})] == [
        "The model gave no forecast on these bars."
    ]
    assert forecast_notes(None) == ()


class Analyzed(bt.Strategy):
    def next(self) -> None:
        if not self.position:
            self.buy(size=5.0)


@pytest.fixture(scope="module")
def analyzed() -> bt.Strategy:
    prices = dict.fromkeys(("open", "high", "low", "close", "volume"), CLOSE)
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(bt.feeds.PandasData(dataname=pd.DataFrame(prices, index=HOURS)))
    cerebro.addstrategy(Analyzed)
    cerebro.addanalyzer(bt.analyzers.TimeReturn, timeframe=bt.TimeFrame.Days, _name="days")
    cerebro.addanalyzer(bt.analyzers.TimeReturn, timeframe=bt.TimeFrame.Minutes, compression=60, _name="hours")
    cerebro.addanalyzer(bt.analyzers.PyFolio, _name="pyfolio")
    cerebro.addanalyzer(bt.analyzers.SQN, _name="sqn")
    found: bt.Strategy = cerebro.run()[0]
    return found


@pytest.fixture
def no_tearsheet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without QuantStats' part, which takes seconds."""
    monkeypatch.setattr(report_module, "tearsheet_html", lambda *_, **__: "<body></body>")


@pytest.mark.parametrize("name", ["days", "hours", "pyfolio"])
def test_an_analyzer_of_returns_says_what_the_account_made(analyzed, name, tmp_path, no_tearsheet):
    done = report_from_equity(getattr(analyzed.analyzers, name), tmp_path / "page.html")
    made = analyzed.broker.getvalue() / 10_000 - 1
    assert done.metrics["account"]["total_return"] == pytest.approx(made, abs=1e-9)
    assert done.metrics["account"]["sharpe"] is not None


def test_an_analyzer_without_returns_is_refused(analyzed, tmp_path):
    with pytest.raises(ReportError, match="analyzer SQN keeps no returns by time"):
        report_from_equity(analyzed.analyzers.sqn, tmp_path / "page.html")


def test_a_file_is_read_like_its_table(tmp_path, no_tearsheet):
    EQUITY.to_csv(tmp_path / "equity.csv")
    done = report_from_equity(tmp_path / "equity.csv", tmp_path / "page.html")
    assert done.metrics["account"]["total_return"] == pytest.approx(EQUITY.iloc[-1] / EQUITY.iloc[0] - 1)


class TradesOnce(bt.Strategy):
    """Holds from one bar to another, and nothing after it."""

    params = (("leaves", 10),)

    def next(self) -> None:
        if len(self) == 2:
            self.buy(size=1.0)
        elif len(self) == self.p.leaves:
            self.close()


@pytest.mark.parametrize(("leaves", "is_idle"), [(10, True), (40, False), (999, False)])
def test_a_run_that_held_nothing_for_its_greater_part_is_flagged(tmp_path, candles, leaves, is_idle):
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(candles.iloc[:60]))
    cerebro.setbroker(FuturesBroker(cash=10_000.0))
    cerebro.addstrategy(TradesOnce, leaves=leaves)
    told = report(session.run(cerebro), tmp_path / "page.html").metrics
    assert ("idle" in told["flags"]) is is_idle
    assert any("Idle from 2024-01-01 10:00 UTC to the end, 83% of the time" in n for n in told["notes"]) is is_idle


def test_the_page_tells_fees_and_tiers_of_the_contract(tmp_path, candles):
    # given
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(candles.iloc[:60]))
    cerebro.setbroker(FuturesBroker("binanceusdm:BTC/USDT:USDT", cash=10_000.0, maker_fee=0.00018))
    cerebro.addstrategy(TradesOnce)

    # when
    done = report(session.run(cerebro), tmp_path / "page.html")

    # then
    told, page = done.metrics["simulation"], done.html.read_text(encoding="utf-8")
    assert (told["maker_fee"], told["taker_fee"], told["maintenance"]) == (0.00018, 0.0005, 0.004)
    assert told["tiers"][0] == {"floor": 0.0, "maintenance": 0.004, "max_leverage": 125.0}
    assert "<td>0.0180 %</td>" in page
    assert "Maintenance by size of the position" in page


def test_the_verdict_names_the_costs_there_were_and_no_others():
    account = {"total_return": 0.1, "max_drawdown": -0.2}
    assert verdict(account, None, "").startswith("The account gained 10.00%")
    assert verdict(account | {"fees": 0.0, "funding": 0.0}, None, "").startswith("The account gained")
    assert verdict(account | {"fees": 5.0, "funding": 0.0}, None, "").startswith("After fees the account gained")
    assert verdict(account | {"fees": 5.0, "funding": -1.0}, None, "").startswith(
        "After fees and funding the account"
    )
