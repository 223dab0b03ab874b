"""Several runs side by side: how they are named, what is made of them, and what cannot be compared."""

import json
from html import escape

import numpy as np
import pandas as pd
import pytest

from lstm_backtrader.errors import ReportError
from lstm_backtrader.reporting import report as report_module
from lstm_backtrader.reporting.compared import ComparedRun, compared_runs, stored_runs
from lstm_backtrader.reporting.comparison import best_of, compare, together, tries_of
from lstm_backtrader.reporting.metrics import return_metrics
from lstm_backtrader.reporting.report import report, report_from_equity
from lstm_backtrader.reporting.significance import luckiest_sharpe, overfitting_probability

DAYS = pd.date_range("2024-01-01", periods=120, freq="D")
EVIL = '<script>alert("x")</script>'


@pytest.fixture
def no_tearsheet(monkeypatch):
    """Pages without QuantStats' part, which takes seconds."""
    monkeypatch.setattr(report_module, "tearsheet_html", lambda *_, **__: "<body></body>")


def curve(seed, drift=0.0, days=DAYS):
    returns = np.random.default_rng(seed).normal(drift, 0.02, len(days))
    return pd.Series(1000 * np.cumprod(1 + returns), index=days)


def run_of(name, equity, **changes):
    return ComparedRun(name, return_metrics(equity), equity, float(equity.iloc[0]), **changes)


def noise(n):
    return [run_of(f"run {seed}", curve(seed)) for seed in range(n)]


def test_a_mapping_of_runs_makes_one_report_of_all(tmp_path):
    done = report({"A": curve(1), "B": curve(2)}, tmp_path / "out", title="Two")
    document = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert document == done.metrics
    assert document["runs"]["A"]["account"]["total_return"] == return_metrics(curve(1))["total_return"]
    assert pd.read_parquet(tmp_path / "out" / "equity.parquet")["B"].to_numpy() == pytest.approx(
        curve(2).to_numpy() / curve(2).iloc[0]
    )
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"report.html", "metrics.json", "equity.parquet"}


def test_the_best_is_judged_as_the_best_of_so_many_tries():
    # given
    runs = noise(12)

    # when
    found = compare(runs, None)["significance"]

    # then
    returns = np.stack([run.daily.to_numpy() for run in runs], axis=1)
    sharpes = returns.mean(axis=0) / returns.std(axis=0, ddof=1)
    assert best_of(runs).name == f"run {sharpes.argmax()}"
    assert found["tries"] == 12
    assert found["luckiest_sharpe"] == pytest.approx(luckiest_sharpe(12, sharpes.var(ddof=1)) * np.sqrt(365))
    assert found["pbo"] == overfitting_probability(returns, blocks=16)
    assert found["dsr"] < 0.95


def test_a_run_with_a_longer_warm_up_is_compared_and_one_of_another_year_is_not():
    late = run_of("late", curve(3, days=DAYS[10:]))
    other = run_of("other", curve(4, days=DAYS + pd.Timedelta(days=400)))
    best = run_of("best", curve(5, drift=0.01))
    tries = tries_of([best, late, other], best)
    assert list(tries.returns) == ["best", "late"]
    assert (tries.returns["late"].iloc[:10] == 0).all()
    assert tries.number == len(tries.sharpes) == 3


def test_curves_of_other_spans_begin_where_they_begin_and_stay_where_they_ended():
    short = run_of("short", curve(1, days=DAYS[20:30]))
    curves = together([run_of("long", curve(2)), short])
    assert curves["short"].iloc[:20].isna().all()
    assert curves["short"].iloc[30:].eq(curves["short"].iloc[29]).all()
    assert curves["long"].iloc[0] == 1.0
    assert together([short, run_of("long", curve(2))]).index.equals(DAYS)  # in whatever order they come


def test_a_stock_broker_and_other_spans_are_flagged_and_texts_escaped(tmp_path):
    runs = [
        run_of(EVIL, curve(1), flags={"no funding, no liquidation": "red", "few trades": "yellow"}),
        run_of("B", curve(2, days=DAYS[5:]), parameters={EVIL: EVIL}),
    ]
    compare(runs, tmp_path / "page.html", title=EVIL)
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "alert(" not in html.replace("alert(&quot;", "")
    assert f"No funding, no liquidation: {escape(EVIL)}." in html
    assert "few trades" not in html.lower()
    assert "other spans" in html


def test_runs_in_different_coins_or_spans_are_said_not_to_compare():
    runs = [run_of("A", curve(1), coin="USDT"), run_of("B", curve(2, days=DAYS[5:]), coin="BTC")]
    notes = compare(runs, None)["notes"]
    assert any("different coins, BTC and USDT" in note for note in notes)
    assert any("different spans" in note for note in notes)
    alike = compare([run_of("A", curve(1), coin="USDT"), run_of("B", curve(2))], None)["notes"]
    assert not any("different" in note for note in alike)


@pytest.mark.parametrize(
    ("other", "market"),
    [
        ({"symbol": "BTC", "data_sha256": "1f"}, "these data"),
        ({"symbol": "BTC"}, "these data"),
        ({}, "these data"),
        ({"symbol": "BTC", "data_sha256": "2e"}, "different data"),
        ({"symbol": "ETH"}, "different data"),
    ],
)
def test_tries_on_different_data_are_not_said_to_be_on_the_same(other, market):
    runs = [run_of("A", curve(1, drift=0.01), symbol="BTC", data_sha256="1f"), run_of("B", curve(2), **other)]
    found = compare(runs, None)
    assert f"With 2 tries on {market} the best of luck" in found["significance"]["sentences"][2]
    assert any("may have had the better market" in note for note in found["notes"]) == (market != "these data")


def test_a_stored_run_knows_its_symbol_and_the_hash_of_its_data(tmp_path, no_tearsheet):
    for name, inputs in (("a", {"symbol": "BTC", "data_sha256": "5f"}), ("b", {"symbol": "data0"}), ("c", {})):
        report_from_equity(curve(1), tmp_path / name)
        file = tmp_path / name / "metrics.json"
        document = json.loads(file.read_text())
        document["inputs"] |= inputs
        file.write_text(json.dumps(document))
    found = [(run.symbol, run.data_sha256) for run in stored_runs([tmp_path / name for name in "abc"])]
    assert found == [("BTC", "5f"), ("", ""), ("", "")]


def test_many_runs_are_listed_and_the_best_are_drawn(tmp_path):
    compare(noise(30), tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert html.count('<tr><th scope="row">run ') == 30
    assert "Confidence it is not luck (DSR)" in html
    assert len(html) < 4_000_000


def test_stored_runs_are_named_by_the_ends_that_tell_them_apart(tmp_path, no_tearsheet):
    for name in ("x/out", "y/out"):
        report_from_equity(curve(len(name)), tmp_path / name)
    runs = stored_runs([tmp_path / "x" / "out", tmp_path / "y" / "out"])
    assert [run.name for run in runs] == ["x/out", "y/out"]
    assert runs[0].equity.to_numpy() == pytest.approx(curve(5).to_numpy())


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ({"A": curve(1)}, "two runs or more, here is 1"),
        ({}, "two runs or more, here is 0"),
        ({"A": curve(1), "B": object()}, "was not recorded"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path, results, message):
    with pytest.raises(ReportError, match=message):
        report(results, tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        ("[]", "holds no report"),
        ("{", "is no JSON"),
        ('{"runs": {}}', "is a comparison"),
        ('{"account": {}}', "holds no run"),
    ],
)
def test_a_folder_without_a_run_is_named(tmp_path, text, message):
    if text is not None:
        (tmp_path / "metrics.json").write_text(text)
    with pytest.raises(ReportError, match=message):
        stored_runs([tmp_path, tmp_path / "other"])


def test_a_folder_named_twice_is_refused(tmp_path):
    with pytest.raises(ReportError, match="named twice"):
        stored_runs([tmp_path, tmp_path])


def test_optimised_runs_are_named_by_what_varies():
    assert [run.name for run in compared_runs({"only name": curve(1), "other": curve(2)})] == ["only name", "other"]


def test_the_command_compares_folders_and_shows_one(lbt, tmp_path, no_tearsheet):
    for seed, name in ((1, "a"), (2, "b")):
        report_from_equity(curve(seed), tmp_path / name)
    code, said, _ = lbt("compare", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "c")
    assert code == 0
    sharpe = return_metrics(curve(1))["sharpe"]
    assert f"{abs(sharpe):.2f}" in said
    assert f"report: {tmp_path / 'c' / 'report.html'}" in said
    assert "chosen with hindsight" in said
    assert (tmp_path / "c" / "metrics.json").exists()
    for folder in ("a", "c"):
        shown = lbt("show", tmp_path / folder)
        assert (shown.code, f"{abs(sharpe):.2f}" in shown.out) == (0, True)
    refused = lbt("compare", tmp_path / "a", tmp_path / "nowhere")
    assert (refused.code, refused.err.startswith("Error: ")) == (1, True)
