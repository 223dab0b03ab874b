"""Write the report of a run: one HTML page, or a directory with the page, its figures and its tables."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lstm_backtrader.errors import ReportError
from lstm_backtrader.forecast.trials import Tries
from lstm_backtrader.reporting.equity_files import read_equity
from lstm_backtrader.reporting.luck import luck_of, luck_section
from lstm_backtrader.reporting.metrics import (
    Figures,
    clean_equity,
    daily_returns,
    equity_from_returns,
    return_metrics,
)
from lstm_backtrader.reporting.notes import account_notes, ambiguity_notes, equity_notes, verdict
from lstm_backtrader.reporting.page import Page, render_page
from lstm_backtrader.reporting.recorder import RunRecord, run_record
from lstm_backtrader.reporting.tearsheet import tearsheet_html
from lstm_backtrader.reporting.wave_chart import wave_sections

__all__ = ["RunReport", "read_equity", "report", "report_from_equity"]

SCHEMA = 1  # of metrics.json; raised when a key changes its meaning
PACKAGES = ("lstm-backtrader", "backtrader", "quantstats", "pandas", "numpy")


@dataclass(frozen=True)
class RunReport:
    """What was written, and the figures in it."""

    html: Path
    metrics: dict[str, Any]  # the content of metrics.json; Any as JSON is
    equity: pd.DataFrame  # (T, columns) at each bar's close
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
    details: Mapping[str, object] | None = None,
    tries: Tries | None = None,
) -> RunReport:
    """Report a run made by `lbt.run`, or recorded after `lbt.instrument`.

    `results`: what `cerebro.run()` returned, or one strategy of it. `path`: ending in .html for one page,
    any other for a directory with report.html, metrics.json, equity.parquet and trades.parquet. `benchmark`:
    prices or equity; by default data0 bought at the first recorded close with the same money and held,
    without costs: of an inverse contract a long at 1x, in its settlement coin.
    `baselines`: name to the results of another run, or to an equity Series. `bounds`: name to the results of this
    very run under another order of prices inside bars; the interval they span is reported. `parameters` are
    printed, by default the strategy's own. `inputs` (name to SHA-256, say) go into metrics.json. `sections` are
    pieces of HTML for the page, `details` further keys of metrics.json. `tries`: all on these data, from the
    ledger, which deflate the Sharpe ratio. Files appear complete or not at all. Raises ReportError.
    """
    record = run_record(results)
    account = record.metrics()
    shown = dict(record.params if parameters is None else parameters)
    held = f"Buy and hold of {record.symbol}" if benchmark is None else "Benchmark"
    other_orders = {name: _baseline(other) for name, other in (bounds or {}).items()}
    ambiguity = _ambiguity(record, account, other_orders) if other_orders else None
    page = _page(
        title=title or f"{record.strategy} on {record.symbol}",
        equity=record.equity["equity"],
        start_equity=record.totals.start_equity,
        account=account,
        prices=_held_price(record) if benchmark is None else benchmark,
        benchmark_name=held,
        baselines=other_orders | {name: _baseline(other) for name, other in (baselines or {}).items()},
        trades=record.trades,
        bars=record.equity,
        symbol=record.symbol,
        notes=(*account_notes(record, account), *ambiguity_notes(ambiguity)),
        forecast=record.forecast or {},
        simulation=record.simulation or {},
        money_digits=record.money_digits,
        parameters=shown,
        sections=(*wave_sections(results), *sections),
        tries=tries,
        holding_days=_holding_days(record),
    )
    provenance = {
        **(inputs or {}),
        "strategy": record.strategy,
        "symbol": record.symbol,
        "parameters": shown,
        "futures": record.has_ledger,
    }
    return _write(page, Path(path), record.equity, record, provenance, {"ambiguity": ambiguity, **(details or {})})


def _ambiguity(record: RunRecord, account: Figures, others: Mapping[str, Figures]) -> dict[str, Any]:
    """What the unknown order of prices inside bars can make of the result: figure -> (lowest, highest)."""
    runs = [account, *others.values()]
    found: dict[str, Any] = {"bars": 0 if record.simulation is None else record.simulation["ambiguous_bars"]}
    for figure in ("final_equity", "total_return", "max_drawdown", "sharpe"):
        values = [value for figures in runs if (value := figures.get(figure)) is not None]
        found[figure] = [min(values), max(values)] if values else None
    return found


def report_from_equity(
    equity: pd.Series | pd.DataFrame | Mapping[Any, float] | None = None,
    path: str | Path = "report.html",
    *,
    returns: pd.Series | Mapping[Any, float] | None = None,
    benchmark: pd.Series | None = None,
    trades: pd.DataFrame | None = None,
    title: str | None = None,
) -> RunReport:
    """Report an equity curve that comes from anywhere, of any frequency, tz-aware or naive UTC.

    Give `equity` as a Series, a mapping time to equity, or a frame with the column `equity` (and perhaps
    `benchmark`, as `read_equity` gives it); or give `returns`, as Backtrader's `TimeReturn.get_analysis()`
    does. `trades`, if given, are listed. The rest is as in `report`. Raises ReportError.
    """
    if (equity is None) == (returns is None):
        raise ReportError("give either `equity` or `returns`, not both and not neither.")
    frame = _frame(equity, returns)
    curve = clean_equity(frame["equity"])
    if benchmark is None and "benchmark" in frame.columns:
        benchmark = frame["benchmark"]
    start = 1.0 if returns is not None else float(curve.iloc[0])
    account = return_metrics(curve, start)
    page = _page(
        title=title or "Equity",
        equity=curve,
        start_equity=start,
        account=account,
        prices=benchmark,
        benchmark_name="Benchmark",
        baselines={},
        trades=trades,
        bars=None,
        symbol="",
        notes=equity_notes(curve, account),
        forecast={},
        simulation={},
        money_digits=2,
        parameters={},
    )
    kept = curve.to_frame().rename_axis("open_time")
    return _write(page, Path(path), kept.tz_localize("UTC"), None, {"trades": trades is not None})


def _page(
    *,
    title: str,
    equity: pd.Series,
    start_equity: float,
    account: Figures,
    prices: pd.Series | None,
    benchmark_name: str,
    baselines: Mapping[str, Figures],
    trades: pd.DataFrame | None,
    bars: pd.DataFrame | None,
    symbol: str,
    notes: tuple[str, ...],
    forecast: Mapping[str, object],
    simulation: Mapping[str, object],
    money_digits: int,
    parameters: Mapping[str, object],
    sections: tuple[str, ...] = (),
    tries: Tries | None = None,
    holding_days: float = 1.0,
) -> Page:
    held = None if prices is None else _hold(prices, equity.index, start_equity)
    figures = None if held is None else return_metrics(held, start_equity)
    luck = luck_of(
        daily_returns(equity, start_equity),
        tries,
        holding_days=holding_days,
        benchmark=None if held is None else daily_returns(held, start_equity),
    )
    days = (equity.index[-1].normalize() - equity.index[0].normalize()).days + 1
    if days < 2:
        notes = (*notes, "The run spans less than two UTC days, so there is no tearsheet.")
    return Page(
        title=title,
        account=account,
        equity=equity,
        start_equity=start_equity,
        benchmark_equity=held,
        benchmark=figures,
        benchmark_name=benchmark_name,
        baselines=baselines,
        trades=trades,
        bars=bars,
        symbol=symbol,
        verdict=f"{verdict(account, figures, benchmark_name)} {luck.headline()}".strip(),
        notes=notes,
        forecast=forecast,
        simulation=simulation,
        money_digits=money_digits,
        parameters=parameters,
        significance=luck.document(),
        sections=(luck_section(luck), *sections),
        tearsheet=None
        if days < 2
        else tearsheet_html(equity, start_equity=start_equity, benchmark=held, title=title, parameters=parameters),
    )


def _holding_days(record: RunRecord) -> float:
    """How long a closed trade lasts on average; a day where none was closed."""
    lasted = (record.trades["exit_time"] - record.trades["entry_time"]).dt.total_seconds().mean() / 86_400
    return float(lasted) if lasted > 1.0 else 1.0


def _held_price(record: RunRecord) -> pd.Series:
    """(T,) what one coin's worth of data0 is worth to the account at each close, for a long at 1x."""
    close = record.equity["close"]
    if not record.is_inverse:
        return close
    values = np.maximum(2.0 - close.iloc[0] / close.to_numpy(), 0.0)  # 1 + (1 / entry - 1 / price) * entry
    return pd.Series(values, index=close.index)


def _hold(prices: pd.Series, index: pd.Index[Any], start_equity: float) -> pd.Series:
    """`prices` bought with `start_equity` at the first of `index` (T,) and held, on that index."""
    if isinstance(prices, str):
        raise ReportError(
            f"a benchmark is a Series of prices or equity, not the ticker {prices!r}: nothing is downloaded here. "
            "Load its candles and pass their close."
        )
    clean = clean_equity(prices)
    times = pd.DatetimeIndex(index)
    naive = times if times.tz is None else times.tz_convert("UTC").tz_localize(None)
    if clean.index[0] > naive[-1] or clean.index[-1] < naive[0]:
        raise ReportError(
            f"the benchmark ({clean.index[0]} to {clean.index[-1]}) shares no time with the run "
            f"({naive[0]} to {naive[-1]}). Pass prices of the same span."
        )
    held = clean.reindex(naive, method="ffill").bfill().to_numpy()
    return pd.Series(held / held[0] * start_equity, index=index, name="benchmark")


def _baseline(other: object) -> Figures:
    return return_metrics(other) if isinstance(other, pd.Series) else run_record(other).metrics()


def _frame(
    equity: pd.Series | pd.DataFrame | Mapping[Any, float] | None, returns: pd.Series | Mapping[Any, float] | None
) -> pd.DataFrame:
    if returns is not None:
        series = returns if isinstance(returns, pd.Series) else pd.Series(dict(returns), dtype="float64")
        return equity_from_returns(series).to_frame()
    if isinstance(equity, pd.DataFrame):
        if "equity" not in equity.columns:
            raise ReportError(
                f"the frame has no column `equity`, only {', '.join(map(str, equity.columns))}. Rename one "
                "account's column; a report is of one account, others belong to `report(..., baselines=)`."
            )
        return equity
    if isinstance(equity, pd.Series):
        return equity.rename("equity").to_frame()
    if isinstance(equity, Mapping):
        return pd.Series(dict(equity), dtype="float64", name="equity").to_frame()
    raise ReportError(
        f"equity is a Series, a frame with the column `equity` or a mapping of times, not {type(equity).__name__}."
    )


def _write(
    page: Page,
    path: Path,
    equity: pd.DataFrame,
    record: RunRecord | None,
    inputs: Mapping[str, object],
    details: Mapping[str, object] | None = None,
) -> RunReport:
    if page.benchmark_equity is not None:
        equity = equity.assign(benchmark=page.benchmark_equity.to_numpy())
    metrics = {**_document(page, record, inputs), **plain(details or {})}
    html = render_page(page)
    if path.suffix.lower() == ".html":
        write_together({path: lambda file: write_text(file, html)})
        return RunReport(path, metrics, equity, page.trades)
    if path.is_file():
        raise ReportError(f"{path} is a file. Name a directory, or a page ending in .html.")
    text = json.dumps(metrics, indent=2, allow_nan=False) + "\n"
    files: dict[Path, Callable[[Path], None]] = {
        path / "report.html": lambda file: write_text(file, html),
        path / "metrics.json": lambda file: write_text(file, text),
        path / "equity.parquet": equity.to_parquet,
    }
    if page.trades is not None:
        files[path / "trades.parquet"] = page.trades.to_parquet
    write_together(files)
    return RunReport(path / "report.html", metrics, equity, page.trades)


def _document(page: Page, record: RunRecord | None, inputs: Mapping[str, object]) -> dict[str, Any]:
    first, last = page.equity.index[0], page.equity.index[-1]
    document = {
        "schema": SCHEMA,
        "title": page.title,
        "account": page.account,
        "benchmark": page.benchmark,
        "baselines": page.baselines,
        "significance": page.significance,
        "forecast": None if record is None else record.forecast,
        "simulation": None if record is None else record.simulation,
        "notes": page.notes,
        "span": {"start": _stamp(first), "end": _stamp(last), "bars": len(page.equity)},
        "inputs": {**inputs, "versions": {name: version(name) for name in PACKAGES}},
    }
    found: dict[str, Any] = plain(document)
    return found


def _stamp(time: pd.Timestamp) -> str:
    return (time.tz_localize("UTC") if time.tz is None else time.tz_convert("UTC")).isoformat()


def plain(value: Any) -> Any:
    """`value` as JSON has it: numpy numbers unwrapped, times as text, undefined numbers null."""
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def write_text(file: Path, text: str) -> None:
    """As UTF-8."""
    file.write_text(text, encoding="utf-8")


def write_together(files: Mapping[Path, Callable[[Path], None]]) -> None:
    """Write every file beside its place first, then move all into place; on an error leave nothing new behind."""
    waiting = {path: path.with_name(f".{path.name}.{os.getpid()}.tmp") for path in files}
    try:
        for path, write in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            write(waiting[path])
        for path, temporary in waiting.items():
            temporary.replace(path)
    finally:
        for temporary in waiting.values():
            temporary.unlink(missing_ok=True)
