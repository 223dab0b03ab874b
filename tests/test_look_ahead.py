"""From the audit to the report: what a page says of code that was checked, was not, or was found to look ahead."""

import sys
from types import ModuleType

import backtrader as bt
import pytest

import lstm_backtrader as lbt
from lstm_backtrader.auditing.command import Targets, audit_steps
from lstm_backtrader.auditing.keeping import keep_audits
from lstm_backtrader.forecast.audit import AuditPlan
from lstm_backtrader.reporting import report as report_module
from lstm_backtrader.reporting.compared import stored_runs
from lstm_backtrader.reporting.comparison import compare
from lstm_backtrader.reporting.look_ahead import look_ahead_notes, look_ahead_of
from lstm_backtrader.strategies import BuyAndHold, LSTMFutures

QUICK = AuditPlan(cuts=2, tail=20)
HERE = f"{__name__}:"


class Momentum(bt.Indicator):
    lines = ("momentum",)
    params = (("ahead", 0),)

    def __init__(self):
        self.addminperiod(2)

    def next(self):
        self.l.momentum[0] = self.data.close[self.p.ahead] - self.data.close[-1]


class Follows(bt.Strategy):
    params = (("ahead", 0), ("level", 0.0))

    def __init__(self):
        self.momentum = Momentum(self.data, ahead=self.p.ahead)

    def next(self):
        if self.momentum[0] > self.p.level and not self.position:
            self.buy()
        elif self.momentum[0] < -self.p.level and self.position:
            self.close()


class FollowsForecast(LSTMFutures):
    """A strategy of one's own on one that is shipped."""


@pytest.fixture(autouse=True)
def records(tmp_path, monkeypatch):
    monkeypatch.setattr(report_module, "tearsheet_html", lambda *_, **__: "<body></body>")
    monkeypatch.setenv("LBT_AUDITS", str(tmp_path / "audits"))
    return tmp_path / "audits"


def run(candles, strategy, **params):
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(lbt.CandleFeed(candles))
    cerebro.setbroker(lbt.FuturesBroker(cash=10_000.0))
    cerebro.addstrategy(strategy, **params)
    return lbt.run(cerebro)


def told(results, tmp_path):
    """Flags that speak of look-ahead, and what metrics.json has of it."""
    metrics = lbt.report(results, tmp_path / "out").metrics
    return {flag: level for flag, level in metrics["flags"].items() if "look-ahead" in flag}, metrics["look_ahead"]


def test_a_strategy_that_was_not_audited_is_a_yellow_flag_that_says_what_to_type(candles, tmp_path):
    results = run(candles, Follows)
    flags, (entry,) = told(results, tmp_path)
    assert flags == {"look-ahead check not run": "yellow"}
    assert (entry["kind"], entry["name"], entry["state"]) == ("strategy", f"{HERE}Follows", "not run")
    (note,) = look_ahead_notes(look_ahead_of(results))
    assert note.text == (
        f"Not checked for look-ahead, or changed since: strategy {HERE}Follows. "
        f"`lbt audit --data CANDLES --strategy {HERE}Follows` checks it."
    )


def test_a_clean_audit_is_no_flag_and_the_page_says_when_and_on_which_bars(candles, tmp_path):
    # given
    found = lbt.audit(Follows, candles, plan=QUICK)

    # when
    flags, (entry,) = told(run(candles, Follows), tmp_path)

    # then
    assert flags == {}
    assert (entry["state"], entry["findings"], entry["orders"]) == ("clean", 0, found.orders)
    assert found.orders > 50
    assert (entry["bars"], entry["span"][0]) == (300, "2024-01-01T00:00:00+00:00")
    assert entry["checks"][:2] == ["reads", "truncation"]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<h3>Checked for look-ahead</h3>" in page
    assert "UTC by 0.1.0 on 300 bars, 2024-01-01 to 2024-01-13" in page


def test_an_audit_that_found_something_is_a_red_flag_at_the_head_until_it_is_clean(candles, tmp_path):
    # given
    lbt.audit(Follows, candles, {"ahead": 1}, plan=QUICK)

    # when
    results = run(candles, Follows)
    flags, _ = told(results, tmp_path)

    # then
    assert flags == {"look-ahead found": "red"}
    assert lbt.report(results, tmp_path / "page.html").metrics["notes"][0].startswith("LOOK-AHEAD: the audit of ")
    lbt.audit(Follows, candles, plan=QUICK)
    assert told(results, tmp_path)[0] == {}


def test_an_audit_that_saw_no_order_is_a_flag(candles, tmp_path):
    lbt.audit(Follows, candles, {"level": 1e9}, plan=QUICK)
    assert told(run(candles, Follows), tmp_path)[0] == {"look-ahead check saw no order": "yellow"}


def test_an_indicator_is_told_of_only_where_its_own_audit_found_something(candles, tmp_path):
    lbt.audit(Follows, candles, plan=QUICK)
    lbt.audit(Momentum, candles, {"ahead": 1}, plan=QUICK)
    flags, entries = told(run(candles, Follows), tmp_path)
    assert flags == {"look-ahead found": "red"}
    assert [entry["kind"] for entry in entries] == ["strategy", "indicator"]


def test_what_is_shipped_needs_no_audit_of_yours(candles, tmp_path):
    assert told(run(candles, BuyAndHold), tmp_path) == ({}, [])


def test_a_model_and_the_strategy_on_it_are_checked_by_one_command(
    tiny_artefact, fresh_market, tmp_path, monkeypatch
):
    # given
    monkeypatch.chdir(tiny_artefact.parent)
    results = run(fresh_market, FollowsForecast, model=tiny_artefact)

    # then
    assert told(results, tmp_path)[0] == {"look-ahead check not run": "yellow"}
    (note,) = look_ahead_notes(look_ahead_of(results))
    assert f"`lbt audit --data CANDLES --strategy {HERE}FollowsForecast --model tiny`" in note.text

    # when
    steps = audit_steps(Targets(tiny_artefact, f"{HERE}FollowsForecast"), fresh_market, QUICK)
    kept = keep_audits(steps, [step.look() for step in steps])

    # then
    assert len(kept) == 2
    flags, entries = told(results, tmp_path)
    assert flags == {}
    assert [(entry["kind"], entry["state"]) for entry in entries] == [("strategy", "clean"), ("model", "clean")]


def test_a_model_in_no_directory_is_audited_in_python(candles, fixed_forecaster):
    results = run(candles, LSTMFutures, model=fixed_forecaster())
    (note,) = look_ahead_notes(look_ahead_of(results))
    assert note.text.endswith("`lbt.audit(model, candles)` checks it.")


def test_a_class_typed_into_a_notebook_is_told_where_to_go(candles, monkeypatch):
    monkeypatch.setitem(sys.modules, "a_notebook", ModuleType("a_notebook"))
    monkeypatch.setattr(Follows, "__module__", "a_notebook")
    results = run(candles, Follows)
    (note,) = look_ahead_notes(look_ahead_of(results))
    assert "strategy a_notebook:Follows, whose code is in no file (move it into a module)" in note.text
    assert lbt.audit(Follows, candles, plan=QUICK).is_clean  # and leaves no record
    assert look_ahead_of(results)[0].record is None


def test_neither_report_nor_audit_fails_where_the_records_cannot_be(candles, tmp_path, records, caplog):
    records.write_text("a file in their place")
    assert lbt.audit(Follows, candles, plan=QUICK).is_clean
    assert told(run(candles, Follows), tmp_path)[0] == {"look-ahead check not run": "yellow"}
    assert [message.partition(":")[0] for message in caplog.messages if "look" not in message][:1] == [
        "reports will not know of this audit"
    ]


def test_a_comparison_names_the_runs_that_were_not_audited_or_not_clean(candles, tmp_path):
    lbt.audit(Follows, candles, {"ahead": 1}, plan=QUICK)
    runs = {"A": run(candles, Follows), "B": run(candles, BuyAndHold)}
    metrics = lbt.report(runs, tmp_path / "both").metrics
    assert metrics["runs"]["A"]["flags"]["look-ahead found"] == "red"
    assert "look-ahead found" not in metrics["runs"]["B"]["flags"]
    assert "Look-ahead found: A." in (tmp_path / "both" / "report.html").read_text(encoding="utf-8")

    for name, each in runs.items():
        lbt.report(each, tmp_path / name)
    compare(stored_runs([tmp_path / "A", tmp_path / "B"]), tmp_path / "page.html")
    assert "Look-ahead found: A." in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_bare_record_says_nothing_of_look_ahead(candles):
    assert look_ahead_of(run(candles, Follows)[0].analyzers[0].record) == ()
