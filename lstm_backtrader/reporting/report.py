"""Write the report of a run: one HTML page, or a directory with the page, its figures and its tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pandas as pd

from lstm_backtrader.forecast.trials import Tries
from lstm_backtrader.reporting.compared import ComparedRun, compared_runs, is_several
from lstm_backtrader.reporting.comparison import compare, together
from lstm_backtrader.reporting.document import document
from lstm_backtrader.reporting.equity_files import read_equity
from lstm_backtrader.reporting.equity_input import Returns, equity_frame
from lstm_backtrader.reporting.holding import held_prices
from lstm_backtrader.reporting.look_ahead import look_ahead_of
from lstm_backtrader.reporting.luck import luck_of
from lstm_backtrader.reporting.metrics import Figures, clean_equity, daily_returns, return_metrics
from lstm_backtrader.reporting.notes import equity_notes
from lstm_backtrader.reporting.page import render_page
from lstm_backtrader.reporting.panels import Overlay
from lstm_backtrader.reporting.provenance import provenance, span_of
from lstm_backtrader.reporting.recorder import run_record
from lstm_backtrader.reporting.run_page import Story, run_page
from lstm_backtrader.reporting.run_panels import Held
from lstm_backtrader.reporting.run_story import run_story, short_notes
from lstm_backtrader.reporting.tearsheet import tearsheet_html
from lstm_backtrader.reporting.wave_chart import wave_sections
from lstm_backtrader.reporting.writing import check_place, is_page, plain, write_text, write_together

__all__ = ["RunReport", "read_equity", "report", "report_from_equity"]


@dataclass(frozen=True)
class RunReport:
    """What was written, and the figures in it."""

    html: Path
    metrics: dict[str, Any]  # the content of metrics.json; Any as JSON is
    equity: pd.DataFrame  # (T, columns) at each bar's close; of a comparison (T, runs), each from 1
    trades: pd.DataFrame | None  # one row a trade


def report(
    results: object,
    path: str | Path,
    *,
    title: str | None = None,
    benchmark: pd.Series | None = None,
    baselines: Mapping[str, object] | None = None,
    bounds: Mapping[str, object] | None = None,
    parameters: Mapping[str, object] | None = None,
    inputs: Mapping[str, object] | None = None,
    sections: Sequence[str] = (),
    overlays: Sequence[Overlay] = (),
    details: Mapping[str, object] | None = None,
    tries: Tries | None = None,
) -> RunReport:
    """Report a run made by `lbt.run`, or recorded after `lbt.instrument`.

    `results`: what `cerebro.run()` returned, or one strategy of it. What an optimisation returned, or a mapping of
    names to results (or to equity Series), makes one report that compares the runs, of which `title` alone is
    used. `path`: ending in .html for one page,
    any other for a directory with report.html, metrics.json, equity.parquet and trades.parquet. `benchmark`:
    prices or equity; by default data0 bought at the first recorded close with the same money and held,
    without costs: of an inverse contract a long at 1x, in its settlement coin.
    `baselines`: name to the results of another run, or to an equity Series. `bounds`: name to the results of this
    very run under another order of prices inside bars; the interval they span is reported. `parameters` are
    printed, by default the strategy's own. `inputs` (name to SHA-256, say) go into metrics.json. `sections` are
    pieces of HTML for the page, `overlays` curves and marks for its chart, `details` further keys of metrics.json.
    `tries`: all on these data, from the ledger, which deflate the Sharpe ratio. Files appear complete or not at
    all. Raises ReportError.
    """
    if is_several(results):
        runs = compared_runs(results)
        return _comparison(runs, Path(path), title, left_out=len(cast(Sized, results)) - len(runs))
    record = run_record(results)
    other_orders = {name: _baseline(other) for name, other in (bounds or {}).items()}
    story, ambiguity = run_story(
        record,
        title=title,
        benchmark=benchmark,
        bounds=other_orders,
        baselines={name: _baseline(other) for name, other in (baselines or {}).items()},
        parameters=parameters,
        inputs=inputs or {},
        tries=tries,
        look_ahead=look_ahead_of(results),
    )
    more = {"ambiguity": ambiguity, **(details or {})}
    return _write(story, Path(path), record.equity, more, (*wave_sections(results), *sections), overlays)


def report_from_equity(
    equity: object = None,
    path: str | Path = "report.html",
    *,
    returns: Returns | None = None,
    benchmark: pd.Series | None = None,
    trades: pd.DataFrame | None = None,
    title: str | None = None,
) -> RunReport:
    """Report an equity curve that comes from anywhere, of any frequency, tz-aware or naive UTC.

    Give `equity` as a Series, a mapping time to equity, a frame with the column `equity` (and perhaps
    `benchmark`), the path of a CSV or Parquet file, or as an analyzer of a run, `TimeReturn` or `PyFolio`;
    or give `returns`. `trades`, if given, are listed. The rest is as in `report`. Raises ReportError.
    """
    frame, is_made_of_returns = equity_frame(equity, returns)
    curve = clean_equity(frame["equity"])
    if benchmark is None and "benchmark" in frame.columns:
        benchmark = frame["benchmark"]
    start = 1.0 if is_made_of_returns else float(curve.iloc[0])
    account = return_metrics(curve, start)
    held = () if benchmark is None else (Held("Benchmark", held_prices(benchmark, curve.index, start)),)
    story = Story(
        title=title or "Equity",
        equity=curve,
        start_equity=start,
        account=account,
        luck=luck_of(daily_returns(curve, start), benchmark=daily_returns(held[0].equity, start) if held else None),
        notes=(*equity_notes(curve, account), *short_notes(curve)),
        span=span_of(curve.index),
        inputs={"trades": trades is not None, **provenance()},
        held=held,
        held_figures={each.name: return_metrics(each.equity, start) for each in held},
        trades=trades,
    )
    kept = curve.to_frame().rename_axis("open_time").tz_localize("UTC")
    return _write(story, Path(path), kept)


def _comparison(runs: list[ComparedRun], path: Path, title: str | None, left_out: int) -> RunReport:
    metrics = compare(runs, path, title, left_out)
    html = path if is_page(path) else path / "report.html"
    return RunReport(html, metrics, together(runs), None)


def _baseline(other: object) -> Figures:
    return return_metrics(other) if isinstance(other, pd.Series) else run_record(other).metrics()


def _write(
    story: Story,
    path: Path,
    equity: pd.DataFrame,
    details: Mapping[str, object] | None = None,
    sections: Sequence[str] = (),
    overlays: Sequence[Overlay] = (),
) -> RunReport:
    check_place(path)
    benchmark = story.held[0].equity if story.held else None
    if benchmark is not None:
        equity = equity.assign(benchmark=benchmark.to_numpy())
    sheet = None
    if len(daily_returns(story.equity, story.start_equity)) > 1:
        sheet = tearsheet_html(
            story.equity,
            start_equity=story.start_equity,
            benchmark=benchmark,
            title=story.title,
            parameters=story.parameters,
        )
    html = render_page(run_page(story, sections, overlays, sheet))
    metrics: dict[str, Any] = {**document(story), **plain(details or {})}
    if is_page(path):
        write_together({path: lambda file: write_text(file, html)})
        return RunReport(path, metrics, equity, story.trades)
    text = json.dumps(metrics, indent=2, allow_nan=False) + "\n"
    files: dict[Path, Callable[[Path], None]] = {
        path / "report.html": lambda file: write_text(file, html),
        path / "metrics.json": lambda file: write_text(file, text),
        path / "equity.parquet": equity.to_parquet,
    }
    if story.trades is not None:
        files[path / "trades.parquet"] = story.trades.to_parquet
    write_together(files)
    return RunReport(path / "report.html", metrics, equity, story.trades)
