"""The audit of Backtrader indicators and strategies: whatever their code, by what they say and do.

They are run on candles whose future is cut off or disturbed, in every mode of Cerebro, and must say and order the
same; the bars they read are watched, their fills dated, their positions held against the bars around them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import backtrader as bt
import pandas as pd

from lstm_backtrader.auditing.timing import order_times, shifted
from lstm_backtrader.auditing.watching import Read, Watch
from lstm_backtrader.auditing.witness import Bearer, Setup, Testimony, observe
from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.forecast.audit import MODEL, AuditPlan, perturbation, same, settled, truncation
from lstm_backtrader.forecast.findings import AuditReport, Check, Finding
from lstm_backtrader.futures.broker import FuturesBroker
from lstm_backtrader.indicators.lstm import LSTMSignal

MODES: dict[str, dict[str, Any]] = {
    "runonce=False": {"runonce": False},
    "preload=False": {"preload": False},
    "exactbars=1": {"exactbars": 1},
    "exactbars=-1": {"exactbars": -1},
    "exactbars=-2": {"exactbars": -2},
}
_SHORT_MEMORY = "exactbars=1"
_SETTLED = 1e-4  # of its spread: where an indicator with an endless memory counts as settled


def on_futures(candles: pd.DataFrame) -> bt.Cerebro:
    """The default surroundings: the candles as one data, and a futures account of a million at 1x."""
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(candles))
    cerebro.setbroker(FuturesBroker(cash=1_000_000.0))
    return cerebro


def audit_indicator(
    indicator: type[bt.Indicator],
    candles: pd.DataFrame,
    params: Mapping[str, object] | None = None,
    plan: AuditPlan | None = None,
    setup: Setup = on_futures,
) -> AuditReport:
    """Reads, truncation, perturbation and mode equality of `indicator(self.data, **params)`, line by line.

    Also says after how many bars it has settled, which is no finding: an exponential average never quite does.
    """
    plan = _for_models(plan or AuditPlan(), issubclass(indicator, LSTMSignal))
    bearer = {"indicator": indicator, "options": dict(params or {})}
    name = indicator.__name__
    watched, lookahead = _watched(setup, candles, Bearer, bearer, name)

    def compute(part: pd.DataFrame, **mode: Any) -> pd.DataFrame:
        return observe(setup, part, Bearer, bearer, lookahead=lookahead, **mode).lines

    try:
        full = observe(setup, candles, Bearer, bearer, lookahead=lookahead)
    except IndexError as error:
        return AuditReport((watched, _broken(name, candles, error)))
    minperiod = full.strategy._minperiod
    loose = dataclasses.replace(plan, tolerance=max(plan.tolerance, _SETTLED))
    bars = settled(compute, candles, loose, max(minperiod, 2))  # a feed measures its bars by two
    note = f"settles in {bars} bars, minperiod {minperiod}" if bars else "does not settle in the bars given"
    return AuditReport(
        (
            watched,
            dataclasses.replace(truncation(compute, candles, name, plan, minperiod), note=note),
            perturbation(compute, candles, name, plan, minperiod),
            _modes(compute, candles, full.lines, name, plan),
        )
    )


def audit_strategy(
    strategy: type[bt.Strategy],
    candles: pd.DataFrame,
    params: Mapping[str, object] | None = None,
    plan: AuditPlan | None = None,
    setup: Setup = on_futures,
) -> AuditReport:
    """Everything that can be seen of a strategy: what it reads, says, orders and holds, and when it is filled.

    `setup(candles)` makes the Cerebro it runs in, with datas and broker; the audit adds the strategy.
    """
    options, name = dict(params or {}), strategy.__name__
    watched, lookahead = _watched(setup, candles, strategy, options, name)
    try:
        full = observe(setup, candles, strategy, options, lookahead=lookahead)
    except IndexError as error:
        return AuditReport((watched, _broken(name, candles, error)))
    plan = _for_models(plan or AuditPlan(), bool(_signals(full.strategy)))

    def compute(part: pd.DataFrame, **mode: Any) -> pd.DataFrame:
        return observe(setup, part, strategy, options, lookahead=lookahead, **mode).everything

    minperiod = full.strategy._minperiod
    orders = len(full.placed)
    note = f"{orders} orders" if orders else "it placed no order, so nothing was decided: give other bars"
    return AuditReport(
        (
            watched,
            dataclasses.replace(truncation(compute, candles, name, plan, minperiod), note=note, orders=orders),
            perturbation(compute, candles, name, plan, minperiod),
            _modes(compute, candles, full.everything, name, plan),
            order_times(full, name),
            shifted(full, name),
            _in_sample(full, name),
        )
    )


def _for_models(plan: AuditPlan, has_model: bool) -> AuditPlan:
    return dataclasses.replace(plan, tolerance=max(plan.tolerance, MODEL)) if has_model else plan


def _watched(
    setup: Setup, candles: pd.DataFrame, strategy: type[bt.Strategy], params: Mapping[str, object], name: str
) -> tuple[Check, int]:
    """What is read of bars to come, and how many bars ahead at most, as room for the runs that follow."""
    watch = Watch()
    try:
        observe(setup, candles, strategy, params, watch=watch)
    except IndexError:
        if not watch.reads:
            raise
    ahead = max((read.ago for read in watch.reads), default=0)
    groups: dict[tuple[str, str, int, bool], list[Read]] = {}
    for read in watch.reads:
        groups.setdefault((read.line, read.place, 0 if read.wraps else read.ago, read.wraps), []).append(read)
    findings = tuple(_read_finding(reads) for reads in groups.values())
    return Check("reads", name, watch.count, findings), max(ahead, 0)


def _read_finding(reads: list[Read]) -> Finding:
    """The read that differs most from the bar that was current, for all of one place."""

    def amount(read: Read) -> float:
        distance = abs(read.value - read.now if read.now == read.now else read.value)
        return distance if distance == distance else 0.0  # behind the last bar there is nothing

    worst = max(reads, key=amount)
    when = "counts back beyond the first bar and gets one from the end of the data" if worst.wraps else (
        f"is read {worst.ago} bar{'s' if worst.ago > 1 else ''} before it is known"
    )  # fmt: skip
    known = worst.stamp == worst.stamp
    time = pd.Timestamp(bt.num2date(worst.stamp)).round("s").tz_localize("UTC") if known else None
    text = (
        f"{when}, in {worst.place}: {worst.value:.6g}, where {worst.now:.6g} is current: off by "
        f"{amount(worst):.4g} ({len(reads)} times)."
    )
    return Finding("reads", f"{worst.line}[{worst.ago}]", time, amount(worst), text)


def _modes(compute: Any, candles: pd.DataFrame, full: pd.DataFrame, name: str, plan: AuditPlan) -> Check:
    """The vectorised run against bar by bar, without preloading, and with short memory."""
    compared = 0
    findings: dict[str, list[Finding]] = {}
    for mode, options in MODES.items():
        try:
            check = same("modes", name, full, compute(candles, **options), plan, f"with {mode}")
        except (IndexError, TypeError, ValueError) as error:  # what lines and queues of a few bars raise
            text = f"runs with preloaded data, not with {mode}: {error}. It reads what is not there yet, or kept."
            findings[mode] = [Finding("modes", type(error).__name__, None, float("nan"), text)]
            continue
        compared += check.compared
        if check.findings:
            findings[mode] = list(check.findings)
    if findings.keys() == {_SHORT_MEMORY} and full.columns[-1] == "equity":
        # a strategy that reads further back than its indicators asked Backtrader to keep
        return Check("modes", name, compared, note=f"needs more memory than {_SHORT_MEMORY} keeps")
    return Check("modes", name, compared, tuple(each for found in findings.values() for each in found))


def _broken(name: str, candles: pd.DataFrame, error: Exception) -> Check:
    text = f"ends the run: {error}. A line is read behind the last bar, or the {len(candles)} bars are too few."
    return Check("run", name, 0, (Finding("run", type(error).__name__, None, float("nan"), text),))


def _signals(owner: Any) -> list[LSTMSignal]:
    """Every `LSTMSignal` below a strategy or indicator."""
    children = [child for child in owner.getindicators() if isinstance(child, bt.Indicator)]
    below = [signal for child in children for signal in _signals(child)]
    return [child for child in children if isinstance(child, LSTMSignal)] + below


def _in_sample(full: Testimony, name: str) -> Check:
    """No forecast of a bar the model has learned from."""
    findings, compared = [], 0
    for signal in _signals(full.strategy):
        summary = signal.forecast_summary()
        compared += int(summary["bars"] or 0)
        if summary["in_sample"]:
            text = (
                f"forecasts {summary['in_sample']} bars that the model {summary['model']} was trained on. Leave "
                f"`allow_insample` out, or give later bars."
            )
            first = pd.Timestamp(str(summary["first_forecast"]), tz="UTC")
            findings.append(Finding("in-sample", "LSTMSignal", first, float(summary["in_sample"]), text))
    return Check("in-sample", name, compared, tuple(findings))
