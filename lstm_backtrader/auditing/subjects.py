"""`lbt.audit`: one call for anything that could look ahead, and the whole audit of a model."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import backtrader as bt
import pandas as pd

from lstm_backtrader.auditing.keeping import Step, keep_audits
from lstm_backtrader.auditing.runs import audit_indicator, audit_strategy, on_futures
from lstm_backtrader.auditing.witness import Bearer, Setup, observe
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.forecast.audit import AuditPlan
from lstm_backtrader.forecast.audit_subjects import (
    audit_features,
    audit_forecaster,
    audit_function,
    audit_label,
)
from lstm_backtrader.forecast.features import FEATURES, FeatureSpec
from lstm_backtrader.forecast.findings import AuditReport, Check, Finding, merged
from lstm_backtrader.forecast.manifest import Manifest
from lstm_backtrader.forecast.protocol import FORECAST_COLUMNS, Forecaster
from lstm_backtrader.forecast.schedule import ScheduleManifest
from lstm_backtrader.indicators.lstm import LSTMSignal
from lstm_backtrader.indicators.models import as_forecaster

_BEHIND_WARMUP = 2000  # bars audited besides the warm-up, where nobody asks for more
_AROUND = 100  # bars before and after the first valid one, to see the guard at work


def audit(
    subject: object,
    candles: pd.DataFrame,
    params: Mapping[str, object] | None = None,
    *,
    plan: AuditPlan | None = None,
    setup: Setup = on_futures,
) -> AuditReport:
    """Look for look-ahead in `subject`; the report names line, bar and amount of whatever it finds.

    `subject`: a strategy or indicator class (with `params`, run in what `setup(candles)` makes); a feature, as the
    decorated function, a `FeatureSpec` or several of them; a forecaster or the directory of a model; or any
    function of a candle table that gives an array, Series or table.

    What was found of a class or model is kept for the reports of its runs (`$LBT_AUDITS`, see docs/audit.md).
    """
    steps = steps_of(subject, candles, params, plan or AuditPlan(), setup)
    reports = [step.look() for step in steps]
    keep_audits(steps, reports)
    return merged(reports)


def steps_of(
    subject: object,
    candles: pd.DataFrame,
    params: Mapping[str, object] | None,
    plan: AuditPlan,
    setup: Setup = on_futures,
) -> list[Step]:
    """The parts of an audit of `subject`, see `audit`."""
    if isinstance(subject, type) and issubclass(subject, bt.Strategy | bt.Indicator):
        look = audit_strategy if issubclass(subject, bt.Strategy) else audit_indicator
        return [Step(subject.__name__, lambda: look(subject, candles, params, plan, setup), candles, subject)]
    specs: Sequence[FeatureSpec] = ()
    if isinstance(subject, FeatureSpec):
        specs = [subject]
    elif isinstance(subject, list | tuple) and subject and all(isinstance(each, FeatureSpec) for each in subject):
        specs = subject
    elif inspect.isfunction(subject):
        name = subject.__name__
        if name not in FEATURES or FEATURES[name].function is not subject:
            return [Step(name, lambda: audit_function(subject, candles, plan, params), candles)]
        specs = [spec_of(name, params)]
    if specs:
        return [Step("features", lambda: audit_features(specs, candles, plan), candles)]
    return model_steps(as_forecaster(subject), candles, plan)


def spec_of(name: str, params: Mapping[str, object] | None = None) -> FeatureSpec:
    """A registered feature with `params`, and for those left out the defaults of its function."""
    signature = inspect.signature(FEATURES[name].function).parameters
    declared = inspect.signature(FEATURES[name].memory).parameters
    given = {key: each.default for key, each in signature.items() if each.default is not inspect.Parameter.empty}
    given |= params or {}
    known = {*given, *(key for key, each in declared.items() if each.default is not inspect.Parameter.empty)}
    lacking = [key for key in list(signature)[1:] if key not in known]
    if lacking:
        raise ConfigError(
            f"feature '{name}' cannot be audited without {', '.join(lacking)}. Give its function a default for it."
        )
    return FeatureSpec(name, given)


def model_steps(model: Forecaster, candles: pd.DataFrame, plan: AuditPlan) -> list[Step]:
    """The audit of a model in named parts: features and label of its manifest, forecasts, indicator, guard."""
    given, model = model, uncached(model)
    window = window_of(candles, model.warmup)
    options = {"model": model, "allow_insample": True}
    looks: dict[str, Callable[[], AuditReport]] = {}
    manifests = _manifests(getattr(model, "manifest", None))
    if manifests:
        specs: list[FeatureSpec] = []
        for manifest in manifests:
            specs += [spec for spec in manifest.specs() if spec not in specs]
        looks["features"] = lambda: audit_features(specs, window, plan)
        looks["label"] = lambda: merged(audit_label(manifest, window, plan) for manifest in manifests)
    looks["forecasts"] = lambda: audit_forecaster(model, window, plan)
    looks["indicator"] = lambda: audit_indicator(LSTMSignal, window, options, plan)
    looks["in-sample guard"] = lambda: audit_guard(model, candles)
    return [Step(name, look, window, given) for name, look in looks.items()]


def _manifests(manifest: object) -> tuple[Manifest, ...]:
    """That of a model, those of a schedule's models, and none of a forecaster trained elsewhere."""
    if isinstance(manifest, ScheduleManifest):
        return manifest.manifests()
    return (manifest,) if isinstance(manifest, Manifest) else ()


def window_of(candles: pd.DataFrame, warmup: int, bars: int = _BEHIND_WARMUP) -> pd.DataFrame:
    """The last bars: the warm-up and `bars` behind it, or all there are."""
    return candles.iloc[-(warmup + bars) :]


def audit_guard(model: Forecaster, candles: pd.DataFrame) -> AuditReport:
    """That `LSTMSignal` says nothing of bars the model was trained on, nor of bars it is too old for.

    Looked at on the bars around the first valid one, vectorised and bar by bar.
    """
    begin, until = (_utc(getattr(model, name, None)) for name in ("valid_from", "valid_until"))
    if begin is None:
        note = "the forecaster has no `valid_from`, so nothing guards it"
        return AuditReport((Check("in-sample guard", "LSTMSignal", 0, note=note),))
    at = int(candles.index.searchsorted(begin))
    part = candles.iloc[max(0, at - model.warmup - _AROUND) : at + _AROUND]
    if not at or len(part) < model.warmup:
        note = f"no bars before {begin:%Y-%m-%d %H:%M} are there to be suppressed"
        return AuditReport((Check("in-sample guard", "LSTMSignal", 0, note=note),))

    def signal(**mode: Any) -> pd.DataFrame:
        bearer = {"indicator": LSTMSignal, "options": {"model": model}}
        return observe(on_futures, part, Bearer, bearer, **mode).lines

    findings, compared = [], 0
    for mode in ({}, {"runonce": False}):
        said = signal(**mode)
        outside = (said.index < begin) | (said.index >= (until or pd.Timestamp.max.tz_localize("UTC")))
        known = said[[f"LSTMSignal.{name}" for name in FORECAST_COLUMNS]].notna().any(axis=1)
        wrong = said.index[outside & known]
        compared += int(outside.sum())
        if len(wrong):
            text = f"is there for {len(wrong)} bars outside {begin:%Y-%m-%d %H:%M} to {until or 'ever'}."
            findings.append(Finding("in-sample guard", "LSTMSignal.forecast", wrong[0], float(len(wrong)), text))
    return AuditReport((Check("in-sample guard", "LSTMSignal", compared, tuple(findings)),))


def _utc(time: Any) -> pd.Timestamp | None:
    if time is None:
        return None
    stamp = pd.Timestamp(time)
    return stamp.tz_localize("UTC") if stamp.tz is None else stamp


def uncached(forecaster: Forecaster) -> Forecaster:
    """The forecaster, computing every time: forecasts of cut histories are no use to anyone later."""
    return cast(Forecaster, _Uncached(forecaster))


class _Uncached:
    """A forecaster without the `fingerprint` by which forecasts are kept."""

    def __init__(self, forecaster: Forecaster) -> None:
        self._forecaster = forecaster

    def __getattr__(self, name: str) -> Any:
        if name == "fingerprint":
            raise AttributeError(name)
        return getattr(self._forecaster, name)
