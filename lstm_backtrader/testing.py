"""For your own tests: `assert_no_lookahead(MyIndicator)`, in pytest or anywhere."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lstm_backtrader.auditing.runs import on_futures
from lstm_backtrader.auditing.subjects import audit
from lstm_backtrader.auditing.witness import Setup
from lstm_backtrader.datafeeds.synthetic import synthetic_market
from lstm_backtrader.forecast.audit import AuditPlan
from lstm_backtrader.forecast.findings import AuditReport


def assert_no_lookahead(
    subject: object,
    candles: pd.DataFrame | None = None,
    params: Mapping[str, object] | None = None,
    *,
    plan: AuditPlan | None = None,
    setup: Setup = on_futures,
) -> AuditReport:
    """Audit a feature, indicator, strategy, forecaster or function of candles (see `lstm_backtrader.audit`).

    Without `candles` it runs on 1,000 bars of `sample_candles`. Raises `LookAheadError`, an AssertionError that
    names every finding with line, bar and amount; returns the report of a clean audit.

        def test_my_trend_does_not_look_ahead():
            assert_no_lookahead(MyTrend, params={"period": 20})
    """
    report = audit(subject, sample_candles() if candles is None else candles, params, plan=plan, setup=setup)
    report.raise_if_dirty()
    return report


def sample_candles(bars: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Hourly candles of a synthetic market with every column there can be, and one of events, `news`, +1 or -1."""
    candles = synthetic_market(bars, seed=seed).candles
    rng = np.random.default_rng(seed)
    premium = 1 + rng.normal(0, 0.0005, bars)
    marks = {f"mark_{name}": candles[name] * premium for name in ("open", "high", "low", "close")}
    settles = candles.index.hour % 8 == 0  # type: ignore[attr-defined]  # a DatetimeIndex
    return candles.assign(
        **marks,
        news=np.where(rng.random(bars) < 0.05, rng.choice([-1.0, 1.0], bars), np.nan),
        funding_rate=np.where(settles, rng.normal(1e-4, 2e-4, bars), np.nan),
        open_interest=1e6 * np.exp(np.cumsum(rng.normal(0, 0.01, bars))),
    )
