"""What the audit checks of features, labels, forecasters and whole training pipelines."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lstm_backtrader.candles import Bars
from lstm_backtrader.errors import ConfigError, DataError
from lstm_backtrader.forecast.audit import (
    MODEL,
    AuditPlan,
    Compute,
    Floats,
    as_table,
    perturbation,
    same,
    startup,
    truncation,
)
from lstm_backtrader.forecast.features import VOLATILITY_MEMORY, FeatureSpec, longest_memory, newest_features
from lstm_backtrader.forecast.findings import AuditReport, Check, Finding
from lstm_backtrader.forecast.labels import LabelSpec
from lstm_backtrader.forecast.manifest import Label, Manifest, OwnLabel, ThreeClasses
from lstm_backtrader.forecast.protocol import FORECAST_COLUMNS, Forecaster
from lstm_backtrader.forecast.quality import correlation

Pipeline = Callable[[Floats], Floats]

_STREAMED = 200  # bars on which a stream is held against `predict`


def audit_function(
    function: Callable[..., object],
    candles: pd.DataFrame,
    plan: AuditPlan,
    params: Mapping[str, object] | None = None,
    warmup: int = 1,
) -> AuditReport:
    """Truncation and perturbation of any function of candles: array, Series or table, a row for each candle."""
    name = getattr(function, "__name__", type(function).__name__)

    def compute(part: pd.DataFrame) -> pd.DataFrame:
        return as_table(function(part, **(params or {})), part.index, name)

    return AuditReport(
        (truncation(compute, candles, name, plan, warmup), perturbation(compute, candles, name, plan, warmup))
    )


def audit_features(specs: Sequence[FeatureSpec], candles: pd.DataFrame, plan: AuditPlan) -> AuditReport:
    """Truncation, perturbation and declared memory of features, and that the newest row is the table's."""
    names = {feature_name(spec): spec for spec in specs}
    subject = f"{len(names)} features" if len(names) > 1 else next(iter(names))

    def computing(chosen: dict[str, FeatureSpec]) -> Compute:
        def compute(part: pd.DataFrame) -> pd.DataFrame:
            bars = Bars.of(part)
            return pd.DataFrame({name: spec.compute(bars) for name, spec in chosen.items()}, index=part.index)

        return compute

    everything, memory = computing(names), longest_memory(specs)
    memories = [startup(computing({name: spec}), candles, name, plan, spec.memory) for name, spec in names.items()]
    table = everything(candles)
    rows = plan.rows(len(candles), memory)
    newest = pd.DataFrame(
        [newest_features(Bars.of(candles.iloc[: row + 1]), specs, "float64") for row in rows],
        index=table.index[rows],
        columns=table.columns,
    )
    return AuditReport(
        (
            truncation(everything, candles, subject, plan, memory),
            perturbation(everything, candles, subject, plan, memory),
            Check(
                "start-up",
                subject,
                sum(check.compared for check in memories),
                tuple(finding for check in memories for finding in check.findings),
            ),
            same("newest row", subject, table.iloc[rows], newest, plan, "when it is the newest bar"),
        )
    )


def feature_name(spec: FeatureSpec) -> str:
    """A feature with its parameters, as findings name it: ``log_return(span=24)``."""
    return f"{spec.name}({', '.join(f'{key}={value}' for key, value in spec.params.items())})"


def audit_label(manifest: Manifest, candles: pd.DataFrame, plan: AuditPlan) -> AuditReport:
    """That a label reaches no further than the manifest's horizon and purge, and validation lies clear of train."""
    horizon, spec = manifest.label.horizon, _label_spec(manifest.label)

    def compute(part: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"label": spec.compute(Bars.of(part))}, index=part.index)

    reach = min(horizon, manifest.purge_bars)
    return AuditReport(
        (
            perturbation(compute, candles, f"the label over {horizon} bars", plan, VOLATILITY_MEMORY + 1, reach),
            _split(manifest),
        )
    )


def _label_spec(label: Label) -> LabelSpec:
    """The label as it was learned; of a model trained elsewhere the return it speaks of."""
    if isinstance(label, OwnLabel | ThreeClasses):
        return LabelSpec(label.name, label.params)
    return LabelSpec("scaled_return", {"horizon": label.horizon})


def _split(manifest: Manifest) -> Check:
    """Purge and gap as the manifest has them."""
    horizon, step = manifest.label.horizon, pd.Timedelta(seconds=manifest.timeframe_s)
    findings = []
    if manifest.purge_bars < horizon:
        findings.append(
            Finding(
                "split",
                "purge_bars",
                pd.Timestamp(manifest.trained_until),
                float(horizon - manifest.purge_bars),
                f"is {manifest.purge_bars}, but labels reach {horizon} bars ahead: the first forecasts are of bars "
                f"that were learned from.",
            )
        )
    compared = 1
    if manifest.validation_from is not None:
        compared, gap = 2, pd.Timestamp(manifest.validation_from) - pd.Timestamp(manifest.train_until)
        if gap <= horizon * step:
            findings.append(
                Finding(
                    "split",
                    "validation_from",
                    pd.Timestamp(manifest.validation_from),
                    horizon - gap / step + 1,
                    f"lies {gap / step:g} bars after the last train bar, whose label reaches {horizon} bars ahead: "
                    f"train and validation overlap.",
                )
            )
    return Check("split", "the manifest", compared, tuple(findings))


def audit_forecaster(forecaster: Forecaster, candles: pd.DataFrame, plan: AuditPlan) -> AuditReport:
    """Truncation, perturbation and warm-up of `predict`, and that `stream` says the same bar by bar."""
    plan = dataclasses.replace(plan, tolerance=max(plan.tolerance, MODEL))
    name = str(getattr(forecaster, "name", type(forecaster).__name__))
    columns = [*FORECAST_COLUMNS]

    def compute(part: pd.DataFrame) -> pd.DataFrame:
        return forecaster.predict(part)[columns].astype(np.float64)

    seam = getattr(forecaster, "seam", None)
    first = max(forecaster.warmup - 1, len(candles) - _STREAMED)
    stream, bars = forecaster.stream(), Bars.of(candles)
    said = [stream.update(bars.part(0, row + 1).last) for row in range(first, len(bars))]
    streamed = pd.DataFrame(said, index=candles.index[first:], columns=columns).astype(np.float64)
    return AuditReport(
        (
            truncation(compute, candles, name, plan, forecaster.warmup),
            perturbation(compute, candles, name, plan, forecaster.warmup),
            startup(compute, candles, name, plan, forecaster.warmup),
            dataclasses.replace(
                same("stream", name, compute(candles).iloc[first:], streamed, plan, "bar by bar, as live"),
                note=f"seam {seam:.2f} (1 is none)" if seam is not None else "",
            ),
        )
    )


def shuffled_labels(
    pipeline: Pipeline,
    labels: Floats,
    unseen: NDArray[np.bool_],
    *,
    horizon: int,
    draws: int = 3,
    seed: int = 0,
    name: str = "training",
) -> Check:
    """Train on labels that mean nothing: what is forecast then must not know the true ones.

    `pipeline(labels)` does all of training (scaling, splitting, stopping early) on the labels (T,) it is given and
    returns its forecasts (T,). It gets the labels of train and validation permuted among themselves, and those of
    the `unseen` rows (T,) as NaN. Judged is the mean over `draws` of the correlation of forecasts and true labels
    on the unseen rows, never one draw: a net that latches in a chance direction scores by chance. The limit, for 3
    draws, is 3 sqrt(horizon / rows), three standard errors of a single one: nets that are judged on the same bars
    err together. Measured over 20 markets it was at most 1.0, and 2.5 where all markets had the same three nets.
    """
    if draws < 3:
        raise ConfigError(f"draws {draws} prove nothing, since one net in ten scores by chance. Use 3 or more.")
    judged = unseen & np.isfinite(labels)
    limit = chance_limit(int(judged.sum()), horizon, draws)
    rng = np.random.default_rng(seed)
    known = np.flatnonzero(np.isfinite(labels) & ~unseen)
    found = []
    for _ in range(draws):
        given = np.full(len(labels), np.nan)
        given[known] = labels[rng.permutation(known)]
        said = pipeline(given)
        found.append(correlation(said[judged], labels[judged]) or 0.0)
    return judge("unseen bars", name, found, int(judged.sum()), limit)


def chance_limit(rows: int, horizon: int, draws: int) -> float:
    """Mean correlation over `draws` that chance does not reach; overlapping labels count once a horizon.

    Raises `DataError` where so few rows say nothing.
    """
    limit = 3.0 * float(np.sqrt(horizon / max(rows, 1) * 3 / draws))
    if limit > 0.5:
        raise DataError(
            f"{rows} bars that training has not seen cannot judge labels over {horizon} bars. "
            f"Give at least {108 * horizon // draws + 1} later ones."
        )
    return limit


def judge(name: str, subject: str, found: Sequence[float], rows: int, limit: float) -> Check:
    """The verdict on the correlations of all draws, by their mean."""
    mean = float(np.mean(found))
    said = ", ".join(f"{each:+.3f}" for each in found)
    findings: tuple[Finding, ...] = ()
    if abs(mean) > limit:
        text = (
            f"correlates {mean:+.3f} with the labels on {name} although it was trained on shuffled ones ({said}; "
            f"chance stays within {limit:.3f}): training sees what it is judged by."
        )
        findings = (Finding("shuffled labels", "the forecast", None, mean, text),)
    return Check("shuffled labels", subject, rows, findings, f"{name}: {said}, mean {mean:+.3f} of {limit:.3f}")
