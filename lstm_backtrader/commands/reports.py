"""`lbt report`, `show` and `compare`: what makes and reads reports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lstm_backtrader.commands.given import check_out
from lstm_backtrader.terminal import account_table, progress_bars, show, show_all


def report(
    equity: Annotated[Path, typer.Option(help="Parquet or CSV with a time column and equity.", show_default=False)],
    out: Annotated[Path, typer.Option(help="An .html file, or a directory for page and figures.")],
    title: Annotated[str | None, typer.Option(help="Heading of the page.")] = None,
) -> None:
    """Make the report of any equity curve."""
    from lstm_backtrader.reporting.equity_files import read_equity
    from lstm_backtrader.reporting.report import report_from_equity

    check_out(out.parent if out.suffix.lower() == ".html" else out)
    curve = read_equity(equity)
    with progress_bars() as advance:
        advance("drawing the tearsheet", 0, 1)
        written = report_from_equity(curve, out, title=title or equity.stem)
        advance("drawing the tearsheet", 1, 1)
    show(
        account_table(written, "equity"),
        *written.metrics["significance"]["sentences"],
        f"report: {written.html}",
    )


def show_run(
    run: Annotated[
        Path, typer.Argument(help="Folder that `lbt backtest` or `lbt.report` wrote.", show_default=False)
    ],
) -> None:
    """Print all figures of a report."""
    from lstm_backtrader.report_tables import read_metrics, report_parts

    show_all(report_parts(read_metrics(run)))


def compare(
    runs: Annotated[
        list[Path], typer.Argument(help="Folders that `lbt backtest` or `lbt.report` wrote.", show_default=False)
    ],
    out: Annotated[
        Path | None, typer.Option(help="An .html file, or a directory for page and figures, if one is wanted.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Heading of the page.")] = None,
) -> None:
    """Show runs side by side, and what luck makes of the best of them."""
    from lstm_backtrader.report_tables import comparison_parts
    from lstm_backtrader.reporting.compared import stored_runs
    from lstm_backtrader.reporting.comparison import compare as compare_runs

    if out is not None:
        check_out(out.parent if out.suffix.lower() == ".html" else out)
    figures = compare_runs(stored_runs(runs), out, title)
    page = [] if out is None else [f"report: {out if out.suffix.lower() == '.html' else out / 'report.html'}"]
    show_all([*comparison_parts(figures), *page])
