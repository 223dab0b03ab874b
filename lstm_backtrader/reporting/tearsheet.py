"""The QuantStats tearsheet through one door that knows its traps and leaves nothing behind.

`quantstats.reports.html` reads hourly returns as daily ones, takes a doubling for prices, resolves a ticker
to an all-zero benchmark when offline, and annualises one row by 252 days. Here it only ever sees daily UTC
returns of one account, a benchmark on the same days, and 365 days a year; what it cannot show rightly is
refused or hidden.
"""

from __future__ import annotations

import logging
import re
import tempfile
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lstm_backtrader.errors import ReportError
from lstm_backtrader.reporting.metrics import DAYS_PER_YEAR, FLAT, clean_equity, cut_at_ruin, daily_returns

_ONE_AT_A_TIME = threading.RLock()  # pyplot, its settings and the patch below belong to the whole process
_ROW = re.compile(r"<tr><td>(?P<name>[^<]*)</td>.*?</tr>\s*")
_RATIOS = ("Sharpe", "Sortino", "Smart", "Omega", "Calmar", "Ulcer", "Serenity", "Skew", "Kurtosis")
_ABSURD = re.compile(r"<td>-?\d{7,}(\.\d*)?</td>")  # a ratio over a deviation that is rounding


def tearsheet_html(
    equity: pd.Series,
    *,
    start_equity: float | None = None,
    benchmark: pd.Series | None = None,
    title: str = "Strategy",
    parameters: Mapping[str, object] | None = None,
    risk_free: float = 0.0,
) -> str:
    """One complete HTML document, self-contained: no script, no network, images inline as SVG.

    `equity`: any frequency, tz-aware or naive UTC; a run that is ruined (equity <= 0) ends there.
    `start_equity`: equity before the first bar. `benchmark`: equity or prices, reduced to the days of
    `equity`; left out if either is flat. `parameters` are printed under the title. `risk_free`: annual rate,
    0.04 = 4 %. Raises ReportError for less than two days, a ticker instead of numbers, or equity that
    `clean_equity` refuses.
    """
    if isinstance(benchmark, str):
        raise ReportError(
            f"a benchmark is a Series of prices or equity, not the ticker {benchmark!r}: nothing is downloaded "
            "here. Load its candles and pass their close."
        )
    if not isinstance(risk_free, int | float):
        raise ReportError(
            f"risk_free is one annual rate, 0.04 for 4 %, not {type(risk_free).__name__}. Pass its mean."
        )
    returns = daily_returns(equity, start_equity)
    if len(returns) < 2:
        raise ReportError(
            f"a tearsheet needs at least 2 UTC days, equity spans {len(returns)}. Run over a longer span."
        )
    ruined = cut_at_ruin(clean_equity(equity))[1]
    against = None if benchmark is None else _benchmark_returns(benchmark, returns)
    if against is not None and min(float(returns.std()), float(against.std())) < FLAT:
        against = None  # a regression on a flat line is undefined
    page = _render(returns, against, title, parameters, float(risk_free))
    return _mend(page, span_days=len(returns), ruined=ruined)


def _benchmark_returns(benchmark: pd.Series, returns: pd.Series) -> pd.Series:
    clean, _ = cut_at_ruin(clean_equity(benchmark))
    daily = clean.resample("1D").last().ffill()
    first, last = returns.index[0], returns.index[-1]
    if daily.index[-1] < first or daily.index[0] > last:
        raise ReportError(
            f"the benchmark ({daily.index[0]:%Y-%m-%d} to {daily.index[-1]:%Y-%m-%d}) shares no day with the "
            f"equity ({first:%Y-%m-%d} to {last:%Y-%m-%d}). Pass prices of the same span."
        )
    closes = daily.reindex(returns.index.insert(0, first - pd.Timedelta(days=1)), method="ffill")
    if daily.index[0] == first:
        closes.iloc[0] = clean.iloc[0]  # it starts with the equity, so its first day counts from its first value
    return closes.pct_change(fill_method=None).fillna(0.0).iloc[1:].rename("Benchmark")


def _render(
    returns: pd.Series,
    benchmark: pd.Series | None,
    title: str,
    parameters: Mapping[str, object] | None,
    risk_free: float,
) -> str:
    named = {_escape(str(name)): _escape(str(value)) for name, value in (parameters or {}).items()}
    with _ONE_AT_A_TIME, tempfile.TemporaryDirectory() as folder, _own_matplotlib():
        import quantstats as qs

        output = Path(folder) / "tearsheet.html"
        with _mended_quantstats():
            qs.reports.html(
                returns,
                benchmark=benchmark,
                rf=risk_free,
                title=_escape(title),
                output=str(output),
                periods_per_year=DAYS_PER_YEAR,
                match_dates=False,  # it would drop leading days without a return
                parameters=named,
            )
        return output.read_text(encoding="utf-8")


@contextmanager
def _own_matplotlib() -> Iterator[None]:
    """Agg figures, QuantStats' theme and silence inside; the user's settings, figures and backend after."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt
    from matplotlib.backends.backend_agg import _BackendAgg

    fonts = logging.getLogger("matplotlib.font_manager")
    level, backend, figures = fonts.level, plt._backend_mod, set(plt.get_fignums())
    with warnings.catch_warnings(), mpl.rc_context():
        warnings.simplefilter("ignore")  # deprecations inside QuantStats and seaborn, nothing of ours
        mpl.rcdefaults()
        fonts.setLevel(logging.ERROR)  # a line a label where Arial is missing
        plt._backend_mod = _BackendAgg  # switch_backend would touch the user's choice
        try:
            from quantstats._plotting import core  # whose import sets the theme, but only once

            core._sns.set_theme(font_scale=1.1, rc=_THEME)
            yield
        finally:
            for number in set(plt.get_fignums()) - figures:
                plt.close(number)
            plt._backend_mod = backend
            fonts.setLevel(level)


_THEME = {
    "figure.figsize": (10, 6),
    "axes.facecolor": "white",
    "figure.facecolor": "white",
    "grid.color": "#dddddd",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.5,
    "text.color": "#333333",
    "xtick.color": "#666666",
    "ytick.color": "#666666",
    "svg.hashsalt": "lstm_backtrader",  # the same run gives the same bytes
}


@contextmanager
def _mended_quantstats() -> Iterator[None]:
    """Take out four faults of QuantStats 0.0.86.

    It takes returns of which none is negative and one is >= 1 for prices; `rar` forgets to pass its periods
    on to `cagr`, which then annualises by 252; it names the bars of years without placing the names;
    and its histogram fails on months that are all alike.
    """
    from matplotlib.axes import Axes
    from matplotlib.ticker import FixedLocator
    from quantstats import stats, utils
    from quantstats._plotting import core

    def prepare_returns(data: Any, rf: float = 0.0, nperiods: int | None = None, apply_rf: bool = True) -> Any:
        finite = data.replace([float("inf"), -float("inf")], float("nan"))
        return utils.to_excess_returns(finite, rf, nperiods) if apply_rf and rf > 0 else finite

    def looks_like_returns(data: Any) -> Any:
        return pd.Series(True, index=data.columns) if isinstance(data, pd.DataFrame) else True

    def rar(returns: Any, rf: float = 0.0, periods: int = DAYS_PER_YEAR, compounded: bool = True) -> Any:
        prepared = prepare_returns(returns, rf, periods)
        return stats.cagr(prepared, 0.0, compounded, periods) / stats.exposure(prepared)

    name_ticks = Axes.set_xticklabels

    def place_and_name_ticks(axes: Any, labels: Any, **kwargs: Any) -> Any:
        if axes.containers and not isinstance(axes.xaxis.get_major_locator(), FixedLocator):
            bars = zip(*axes.containers, strict=True)  # a year's bars side by side
            axes.set_xticks([sum(b.get_x() + b.get_width() / 2 for b in year) / len(year) for year in bars])
        return name_ticks(axes, labels, **kwargs)

    draw_histogram = core._sns.histplot

    def histogram_of_any_months(*args: Any, **kwargs: Any) -> Any:
        try:
            return draw_histogram(*args, **kwargs)
        except np.linalg.LinAlgError:  # equal values have no density
            return draw_histogram(*args, **{**kwargs, "kde": False})

    patches = [
        (core._sns, "histplot", histogram_of_any_months),
        (utils, "_prepare_returns", prepare_returns),
        (utils, "_looks_like_returns", looks_like_returns),
        (stats, "rar", rar),
        (Axes, "set_xticklabels", place_and_name_ticks),
    ]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in patches]
    for owner, name, mended in patches:
        setattr(owner, name, mended)
    try:
        yield
    finally:
        for owner, name, original in before:
            setattr(owner, name, original)


def _mend(page: str, *, span_days: int, ruined: bool) -> str:
    """Take out what loads from elsewhere, and the rows that would mislead."""
    page = re.sub(r"<link\b[^>]*>|<\?xml[^>]*\?>|<!DOCTYPE svg[^>]*>", "", page)
    page = re.sub(r"<metadata>.*?</metadata>", "", page, flags=re.DOTALL)
    page = re.sub(r'<a href="http[^"]*"[^>]*>(.*?)</a>', r"\1", page)
    page = page.replace(' onload="save()"', "").replace("\ufe6a", "").replace("<td>%</td>", "<td>-</td>")
    page = page.replace("<th>Return</th>", "<th>Sum of returns</th>")
    page = page.replace("<th>Cumulative</th>", "<th>Return</th>")
    page = re.sub(r'<div id="(\w+)">\s*<svg ', _named_chart, page)
    page = re.sub(r"<svg (?!role)", '<svg role="img" aria-label="cumulative returns" ', page)
    hidden = {"Treynor Ratio"}  # total return over beta, not annualised
    hidden |= {f"{years}Y (ann.)" for years in (3, 5, 10) if span_days < years * DAYS_PER_YEAR}
    if ruined:
        hidden |= {"Risk-Adjusted Return", "Risk of Ruin"}

    def row(match: re.Match[str]) -> str:
        if match["name"] in hidden:
            return ""
        is_ratio = match["name"].startswith(_RATIOS)
        return _ABSURD.sub("<td>-</td>", match[0]) if is_ratio else match[0]

    return _ROW.sub(row, page)


def _named_chart(match: re.Match[str]) -> str:
    return f'<div id="{match[1]}"><svg role="img" aria-label="{match[1].replace("_", " ")}" '


def _escape(text: str) -> str:
    """Escape for HTML, and for the {{fields}} of QuantStats' template."""
    return escape(text).replace("{", "&#123;").replace("}", "&#125;")
