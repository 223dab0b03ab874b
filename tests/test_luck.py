"""The block of a report that asks whether the result is luck."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lstm_backtrader.forecast.trials import Tries
from lstm_backtrader.reporting import luck as luck_module
from lstm_backtrader.reporting.bootstrap import bootstrap_intervals
from lstm_backtrader.reporting.luck import luck_of, luck_section
from lstm_backtrader.reporting.report import report_from_equity
from lstm_backtrader.reporting.significance import deflated_sharpe, luckiest_sharpe, minimum_track_record, track_of

DAYS = pd.date_range("2024-01-01", periods=365, freq="D")


def returns_of(mean=0.002, seed=0, n=365):
    return pd.Series(np.random.default_rng(seed).normal(mean, 0.02, n), index=DAYS[:n])


def tries_of(number, sharpes=(), returns=()):
    days = np.full(len(sharpes), 365.0)
    named = {str(n): each for n, each in enumerate(returns)}
    return Tries(number, "BTC-1h", np.array(sharpes, dtype=float), days, named)


def test_the_figures_are_those_of_the_formulas_annualised():
    # given
    returns = returns_of()
    track, sharpes = track_of(returns.to_numpy()), np.array([0.01, 0.03, -0.02])

    # when
    found = luck_of(returns, tries_of(20, sharpes))

    # then
    variance = sharpes.var(ddof=1)
    assert found.sharpe == pytest.approx(track.sharpe * 365**0.5)
    assert found.luckiest_sharpe == pytest.approx(luckiest_sharpe(20, variance) * 365**0.5)
    assert found.dsr == deflated_sharpe(track, 20, variance)
    assert found.min_track_days == minimum_track_record(track)
    assert found.intervals == bootstrap_intervals(returns.to_numpy(), block=found.intervals.block)
    assert found.intervals.sharpe[0] < found.sharpe < found.intervals.sharpe[1]


def test_it_says_in_words_what_luck_would_show():
    # when
    said = luck_of(returns_of(), tries_of(20, [0.01, 0.03, -0.02])).sentences()

    # then
    assert "With 20 tries on BTC-1h the best of luck would show a Sharpe ratio of 0.91; this one shows" in said[2]
    assert "(DSR)" in said[2]
    assert "Were this the only try" in said[1]
    assert "years to be above zero with a confidence of 95%; this record has 1.0" in said[3]
    assert len(said) == 5


def test_a_strong_result_is_called_more_than_luck_and_a_weak_one_is_not():
    known = [0.01, 0.03, -0.02]
    assert "more than luck explains" in luck_of(returns_of(0.008), tries_of(20, known)).sentences()[2]
    assert (
        "luck cannot be ruled out, which takes 95%"
        in luck_of(returns_of(0.001), tries_of(20, known)).sentences()[2]
    )


def test_one_try_is_deflated_by_nothing_and_uncounted_tries_are_said_to_be_unknown():
    alone, uncounted = luck_of(returns_of(), tries_of(1, [0.1])), luck_of(returns_of())
    assert alone.dsr == alone.psr == uncounted.psr
    assert "the only try on BTC-1h in the ledger" in alone.sentences()[2]
    assert uncounted.dsr is None
    assert "is not known here" in uncounted.sentences()[2]
    assert "confidence that it is more than luck, after 1 try: " in alone.headline()
    assert "luck" not in uncounted.headline()


def test_where_no_ratio_of_the_tries_is_known_they_vary_as_luck_does():
    found = luck_of(returns_of(), tries_of(50))
    assert found.luckiest_sharpe == pytest.approx(luckiest_sharpe(50, 1 / 364) * 365**0.5)


def test_more_tries_deflate_more():
    said = [luck_of(returns_of(), tries_of(number, [0.01, 0.03, -0.02])).dsr for number in (1, 2, 10, 100, 1000)]
    assert said == sorted(said, reverse=True)
    assert said[0] > 2 * said[-1]


def test_a_loss_is_no_sign_of_skill_and_its_interval_has_no_minus_before_zero():
    found = luck_of(returns_of(-0.0004))
    assert found.sharpe < 0
    assert found.answer() == "There is no sign of skill in that."
    near_zero = replace(found.intervals, cagr=(-0.42, -0.004))
    assert "a return a year of -42% to 0%" in luck_section(replace(found, intervals=near_zero))


def test_a_loss_has_no_minimum_record():
    found = luck_of(returns_of(-0.002), tries_of(3, [0.1, 0.2]))
    assert found.min_track_days is None
    assert "no sign of skill, however long the record" in found.sentences()[3]


@pytest.mark.parametrize("returns", [returns_of(n=19), pd.Series(0.0, index=DAYS)])
def test_of_too_few_or_flat_days_nothing_is_claimed(returns):
    found = luck_of(returns, tries_of(5))
    assert (found.psr, found.dsr, found.intervals, found.tries) == (None, None, None, 5)
    assert found.headline() == ""
    assert "too few or too flat for intervals: at least 20" in found.sentences()[0]


def test_a_block_lasts_as_long_as_a_position_but_leaves_three_of_them():
    assert luck_of(returns_of(), holding_days=12.0).intervals.block == 12.0
    assert luck_of(returns_of(), holding_days=365.0).intervals.block == pytest.approx(3 * 365**0.5)


# --- the tries beside each other ----------------------------------------------------------------------------


def noise(number):
    return [returns_of(0.0, seed) for seed in range(number)]


def test_from_ten_tries_on_they_are_compared():
    nine, ten = (luck_of(returns_of(0.0), tries_of(n, returns=noise(n))) for n in (9, 10))
    assert (nine.pbo, nine.spa, nine.compared) == (None, None, 0)
    assert 0 <= ten.pbo <= 1
    assert ten.compared == 10
    assert "Of the 10 tries with returns on these days" in ten.sentences()[4]


def test_true_skill_among_ten_tries_shows_in_every_figure():
    pytest.importorskip("arch", reason="the extra arch is not installed")
    skilled = returns_of(0.006, seed=11)
    held = returns_of(0.0, seed=12)
    found = luck_of(skilled, tries_of(10, [0.0, 0.05], [*noise(9), skilled]), benchmark=held)
    assert found.pbo < 0.05
    assert found.spa < 0.05
    assert found.dsr > 0.95
    assert found.sentences()[-2].endswith("(SPA): one does.")


def test_without_arch_only_spa_is_missing(monkeypatch):
    monkeypatch.setattr(luck_module, "find_spec", lambda name: None)
    found = luck_of(returns_of(0.0), tries_of(10, returns=noise(10)), benchmark=returns_of(0.0, 3))
    assert found.spa is None
    assert found.pbo is not None


# --- in the report ------------------------------------------------------------------------------------------


def test_a_report_of_any_equity_holds_the_block(tmp_path):
    # when
    equity = (1 + returns_of()).cumprod() * 1000
    written = report_from_equity(equity, tmp_path / "run")

    # then
    document = json.loads((tmp_path / "run" / "metrics.json").read_text())["significance"]
    page = (tmp_path / "run" / "report.html").read_text()
    assert document == written.metrics["significance"]
    assert document["sharpe"] == pytest.approx(written.metrics["account"]["sharpe"])
    assert set(document["intervals"]) == {"level", "block", "draws", "sharpe", "cagr", "max_drawdown"}
    assert document["tries"] is None
    assert "<h2>Luck or skill</h2>" in page
    assert document["sentences"][1] in page
    assert "90% interval" in page.split("</header>")[0]


def test_a_rise_beyond_all_floats_is_null_in_json_and_in_words_on_the_page(tmp_path):
    equity = pd.Series(np.cumprod(np.tile([9.0, 8.0], 20)), index=DAYS[:40])
    written = report_from_equity(equity, tmp_path / "run")
    assert written.metrics["significance"]["intervals"]["cagr"] == [None, None]
    assert "beyond all bounds" in (tmp_path / "run" / "report.html").read_text()


def test_a_market_may_be_called_anything():
    text = luck_section(luck_of(returns_of(), Tries(2, "<script>", np.array([0.1, 0.2]), np.array([9.0, 9.0]), {})))
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
