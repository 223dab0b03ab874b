"""The audit of functions of candles: what it catches, what it leaves alone, and what it says."""

import numpy as np
import pandas as pd
import pytest
from leaks import LEAKS

from lstm_backtrader.candle_check import check_candles
from lstm_backtrader.errors import ConfigError, DataError, LookAheadError
from lstm_backtrader.forecast.audit import AuditPlan, as_table, disturbed, settled, startup, truncation
from lstm_backtrader.forecast.audit_subjects import audit_features, audit_function
from lstm_backtrader.forecast.features import FEATURES, FeatureSpec, default_features, feature
from lstm_backtrader.forecast.findings import AuditReport, Check, Finding
from lstm_backtrader.testing import sample_candles

QUICK = AuditPlan(cuts=8, tail=40)


# --- leaks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LEAKS)
def test_each_planted_leak_is_caught_by_cutting_and_by_disturbing(candles_of, name):
    report = audit_function(LEAKS[name], candles_of(600), AuditPlan())
    assert [(finding.check, finding.name) for finding in report.findings] == [
        ("truncation", name),
        ("perturbation", name),
    ]


def test_a_finding_names_line_bar_and_amount(candles_of):
    candles = candles_of(600)
    report = audit_function(lambda part: part["close"].shift(-1).rename("tomorrow"), candles, QUICK)
    perturbed = next(finding for finding in report.findings if finding.check == "perturbation")
    assert perturbed.name == "<lambda>"
    row = candles.index.get_loc(perturbed.time)
    assert f"is {candles['close'].iloc[row + 1]:.6g}, but" in perturbed.text
    assert f"off by {perturbed.amount:.4g} (8 of 8 times)" in perturbed.text
    assert str(perturbed).startswith(f"perturbation: <lambda> at {perturbed.time:%Y-%m-%d %H:%M} is ")


def test_a_value_that_is_only_there_with_the_future_is_said_so(candles_of):
    report = audit_function(LEAKS["centred_mean"], candles_of(400), QUICK)
    assert "but not there without the bars after" in report.findings[0].text


def test_only_the_column_that_leaks_is_named(candles_of):
    def two(part):
        return pd.DataFrame({"good": part["close"].diff(), "bad": part["close"].diff(-1)}, index=part.index)

    assert {finding.name for finding in audit_function(two, candles_of(400), QUICK).findings} == {"bad"}


def test_a_function_that_fails_without_the_future_is_a_finding(candles_of):
    candles = candles_of(400)

    def pinned(part):
        part.loc[candles.index[-1]]
        return part["close"]

    report = audit_function(pinned, candles, QUICK)
    assert [finding.name for finding in report.findings] == ["KeyError"]
    assert "is raised where the history ends, and not where it goes on" in report.findings[0].text
    assert "8 of 8 times" in report.findings[0].text


def test_who_special_cases_the_length_is_caught_by_disturbing(candles_of):
    candles = candles_of(400)

    def sly(part):
        ahead = part["close"].diff(-1)
        return ahead if len(part) == 400 else candles["close"].diff(-1).reindex(part.index)

    report = audit_function(sly, candles, QUICK)
    assert [finding.check for finding in report.findings] == ["perturbation"]


def test_a_leak_that_shows_only_in_the_shape_of_the_next_bar_or_in_the_presence_of_an_event_is_caught():
    candles = sample_candles(500)
    location = (candles["close"] - candles["low"]) / (candles["high"] - candles["low"])
    assert location.between(0, 1).all()

    def shape(part):
        return ((part["close"] - part["low"]) / (part["high"] - part["low"])).shift(-1)

    def settles_next(part):
        return part["funding_rate"].notna().astype(float).shift(-1)

    for leak in (shape, settles_next):
        assert not audit_function(leak, candles, QUICK).checks[1].is_clean, leak.__name__


# --- disturbed candles --------------------------------------------------------------------------------------


def test_disturbed_candles_are_candles_still_and_the_same_up_to_the_cut():
    candles = sample_candles(300)
    other = disturbed(candles, 199, np.random.default_rng(1))
    pd.testing.assert_frame_equal(other.iloc[:200], candles.iloc[:200])
    check_candles(other)
    changed = (other.iloc[200:] != candles.iloc[200:]) & candles.iloc[200:].notna()
    for name in candles.columns:
        told = candles[name].iloc[200:].fillna(0) != 0
        assert changed.loc[told, name].mean() > 0.5, name


# --- no false alarm -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_our_own_features_are_clean(seed):
    specs = (*default_features(("news",)), FeatureSpec("volume_z", {"span": 7}))
    report = audit_features(specs, sample_candles(600, seed), AuditPlan(seed=seed))
    assert report.is_clean, report.lines()
    assert [check.name for check in report.checks] == ["truncation", "perturbation", "start-up", "newest row"]
    assert all(check.compared > 400 for check in report.checks)


def test_an_endless_memory_is_no_look_ahead(candles_of):
    assert audit_function(lambda part: part["close"].ewm(span=20).mean(), candles_of(500), AuditPlan()).is_clean


# --- start-up -----------------------------------------------------------------------------------------------


@pytest.fixture
def own_feature():
    """Registers a feature for one test."""
    names = set(FEATURES)
    yield feature
    for name in FEATURES.keys() - names:
        del FEATURES[name]


def test_a_memory_declared_too_short_is_found_with_the_one_it_should_have(candles_of, own_feature):
    @own_feature(memory=lambda: 10)
    def slow_mean(bars):
        return pd.Series(bars["close"]).rolling(25, min_periods=10).mean().to_numpy()

    report = audit_features([FeatureSpec("slow_mean")], candles_of(400), QUICK)
    finding = next(finding for finding in report.findings if finding.check == "start-up")
    assert finding.name == "slow_mean()"
    assert "from the 10 bars it declares; it needs 25" in finding.text


def test_an_exponential_mean_needs_more_bars_than_there_are(candles_of):
    def mean(part):
        return part[["close"]].ewm(halflife=168).mean()

    finding = startup(mean, candles_of(900), "mean", QUICK, 200).findings[0]
    assert "it needs more than the" in finding.text


@pytest.mark.parametrize(("tolerance", "bars"), [(1e-3, 900), (1e-4, 1250)])
def test_bars_until_an_exponential_mean_settles_grow_with_its_halflife(candles_of, tolerance, bars):
    def mean(part):
        return part[["close"]].ewm(halflife=84).mean()

    found = settled(mean, candles_of(4000), AuditPlan(tolerance=tolerance))
    assert found == pytest.approx(bars, rel=0.35)
    assert settled(mean, candles_of(4000), AuditPlan(tolerance=tolerance), least=found + 5) == found + 5


# --- plan, tables, reports ----------------------------------------------------------------------------------


def test_cuts_lie_behind_the_warm_up_and_off_any_grid():
    rows = AuditPlan().rows(1000, 200)
    assert len(rows) == 32
    assert rows.min() >= 200
    assert rows.max() < 999
    assert len(set(rows % 8)) > 4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AuditPlan(cuts=0), "cuts 0 and tail 64 must be 1 or more"),
        (lambda: AuditPlan(tolerance=0.0), "tolerance 0.0 must be above 0"),
        (lambda: as_table(np.zeros(3), pd.RangeIndex(4), "mine"), "mine gave 3 rows for 4 candles"),
        (lambda: as_table(1.0, pd.RangeIndex(4), "mine"), "mine gave 0 rows for 4 candles"),
    ],
)
def test_a_plan_or_a_result_that_cannot_be_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_too_few_bars_are_refused_with_the_number_that_would_do(candles_of):
    with pytest.raises(DataError, match=r"90 bars are too few for an audit of 32 cuts .* Give at least 96"):
        truncation(lambda part: part[["close"]], candles_of(90), "close", AuditPlan(), warmup=32)
    truncation(lambda part: part[["close"]], candles_of(96), "close", AuditPlan(), warmup=32)


def test_arrays_of_several_columns_are_named_by_number():
    table = as_table(np.zeros((4, 2)), pd.RangeIndex(4), "mine")
    assert list(table.columns) == ["mine[0]", "mine[1]"]


def test_reports_add_up_and_raise_what_they_found():
    finding = Finding(
        "truncation", "rsi", pd.Timestamp("2024-01-05 03:00", tz="UTC"), 0.25, "is 1, but 0.75 there."
    )
    good, bad = AuditReport((Check("reads", "A", 10),)), AuditReport((Check("truncation", "B", 5, (finding,)),))
    assert good.is_clean
    good.raise_if_dirty()
    both = good + bad
    assert both.findings == (finding,)
    assert both.lines() == [
        "clean  reads of A: 10 compared, 0 found",
        "DIRTY  truncation of B: 5 compared, 1 found",
        "truncation: rsi at 2024-01-05 03:00 is 1, but 0.75 there.",
    ]
    with pytest.raises(LookAheadError, match=r"not clean:\ntruncation: rsi at 2024-01-05 03:00 is 1"):
        both.raise_if_dirty()
    with pytest.raises(AssertionError):
        both.raise_if_dirty()
