"""docs/report.md names every key of metrics.json and no other, and its code runs."""

import re
from pathlib import Path

import backtrader as bt
import pandas as pd
import pytest
from report_run import audit_of_sayer, candles, full_run, leaves, stopped_run, tries

import lstm_backtrader as lbt
from lstm_backtrader.forecast.audit_record import keep
from lstm_backtrader.reporting import report as report_module
from lstm_backtrader.reporting.recorder import run_record
from lstm_backtrader.reporting.report import report

PAGE = (Path(__file__).parents[1] / "docs" / "report.md").read_text(encoding="utf-8")
OPEN = (
    r"(baselines|trades\.exits|flags|inputs\.parameters|inputs\.versions|forecast\.training)\.[^.\[]+"  # any name
)


def documented():
    """Every key that the page lists."""
    found = set()
    for section in PAGE.split("\n### ")[1:]:
        heading, _, body = section.partition("\n")
        prefixes = re.findall(r"`([^`]+)`", heading) or [""]
        first_cells = [line.split("|")[1] for line in body.splitlines() if line.startswith("| `")]
        keys = [key for cell in first_cells for key in re.findall(r"`([^`]+)`", cell)]
        found.update(f"{prefix}.{key}".lstrip(".") for prefix in prefixes for key in keys)
    return found


@pytest.fixture
def no_tearsheet(monkeypatch):
    monkeypatch.setattr(report_module, "tearsheet_html", lambda *_, **__: "<body></body>")


@pytest.fixture
def paths(tmp_path, monkeypatch, no_tearsheet):
    """Every key of a report that tells all there is to tell."""
    monkeypatch.setenv("LBT_AUDITS", str(tmp_path / "audits"))
    keep(audit_of_sayer())
    told = report(
        full_run(), tmp_path / "out", tries=tries(), baselines={"a": full_run()}, bounds={"b": full_run()}
    ).metrics
    stopped = report(stopped_run(), tmp_path / "stopped").metrics["trades"]  # what only trades with a stop have
    found = {path for path, _ in (*leaves(told), *leaves({"trades": stopped}))}
    found -= {f"trades.{side}.r" for side in ("all", "long", "short")}  # null where no trade had a stop
    known = {re.sub(OPEN, r"\1.*", path) for path in found}
    return {re.sub(r"forecast\.training\.\*.*", "forecast.training.*", path) for path in known}


def test_every_key_of_metrics_json_is_documented(paths):
    assert sorted(paths - documented()) == []


def test_every_documented_key_is_there(paths):
    returns_alone = {path.removeprefix("benchmark.") for path in paths if path.startswith("benchmark.")}
    of_accounts = {path.removeprefix("account.") for path in paths if path.startswith("account.")} - returns_alone
    absent = {f"{held}.{key}" for held in ("benchmark", "leveraged_benchmark") for key in of_accounts}
    absent |= {f"halts[].{key}" for key in ("time", "guard", "reason")}  # this run has no guards
    absent |= {f"simulation.tiers[].{key}" for key in ("floor", "maintenance", "max_leverage")}  # nor tiers
    assert sorted(documented() - paths - absent) == []


def test_the_schema_documented_is_the_one_written():
    from lstm_backtrader.reporting import comparison, document

    assert f"`metrics.json` has `schema` {document.SCHEMA};" in PAGE
    assert f"A comparison has `schema` {comparison.SCHEMA}," in PAGE


def test_the_code_of_the_page_runs(tmp_path, monkeypatch, no_tearsheet):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    closes = run_record(full_run()).equity["close"]
    exec(code, {"lbt": lbt, "results": full_run(), "closes": closes})
    page = Path("out/report.html").read_text(encoding="utf-8")
    assert "<h2>Mine</h2>" in page


def test_the_three_lines_of_the_page_make_a_report_of_a_plain_script(tmp_path, monkeypatch, no_tearsheet):
    monkeypatch.chdir(tmp_path)
    (diff,) = re.findall(r"```diff\n(.*?)```", PAGE, flags=re.DOTALL)
    script = "\n".join(line[1:] for line in diff.splitlines())

    class SmaCross(bt.SignalStrategy):
        def __init__(self):
            self.signal_add(bt.SIGNAL_LONG, bt.ind.CrossOver(bt.ind.SMA(period=5), bt.ind.SMA(period=20)))

    cerebro = bt.Cerebro()
    cerebro.adddata(bt.feeds.PandasData(dataname=pd.DataFrame(candles(500)).tz_localize(None)))
    monkeypatch.setattr(cerebro, "plot", lambda: None)
    exec(script, {"cerebro": cerebro, "SmaCross": SmaCross})
    assert "no funding, no liquidation simulated" in Path("report.html").read_text(encoding="utf-8")
