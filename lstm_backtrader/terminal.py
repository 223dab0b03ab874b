"""What the command `lbt` shows on the terminal: tables, notes, and bars while something goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from lstm_backtrader.demo import DemoResult
    from lstm_backtrader.forecast.catalogue import FeatureLine, LabelLine
    from lstm_backtrader.forecast.findings import AuditReport
    from lstm_backtrader.forecast.inference import LSTMForecaster
    from lstm_backtrader.reporting.report import RunReport


@contextmanager
def progress_bars(unit: str = "") -> Iterator[Callable[[str, float, float], None]]:
    """Bars on stderr: `advance(label, done, total)` moves the bar of that label; thread-safe.

    `unit`: what is counted; with it the time left is shown, too. Nothing is drawn before the first call, so that a
    mistake found by then prints its one line alone.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns: tuple[ProgressColumn, ...]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    if unit:
        count = TextColumn("{task.completed:,.0f} of {task.total:,.0f} " + unit)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            count,
            TimeRemainingColumn(elapsed_when_finished=True),
        )
    progress = Progress(*columns, console=Console(stderr=True))
    tasks: dict[str, Any] = {}

    def advance(label: str, done: float, total: float) -> None:
        if label not in tasks:
            tasks[label] = progress.add_task(label, total=total)
        progress.start()
        progress.update(tasks[label], completed=done, total=total)

    try:
        yield advance
    finally:
        if tasks:
            progress.stop()


def show(*parts: str | Table) -> None:
    """Print lines and tables, neither wrapped nor cut."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    for part in parts:
        console.print(part, markup=False) if isinstance(part, str) else console.print(part)


def show_all(parts: Iterable[str | Table]) -> int:
    """Print lines as they come, and tables as wide as they are; gives their number."""
    number = 0
    for part in parts:
        show(part) if isinstance(part, str) else show_whole(part)
        number += 1
    return number


def show_whole(table: Table) -> None:
    """As wide as the table is, whatever the width of the terminal: a name that is cut cannot be typed."""
    from rich.console import Console

    Console(highlight=False, width=_width(table)).print(table)


def fits(table: Table) -> bool:
    """Whether the terminal is wide enough for all of the table."""
    from rich.console import Console

    return _width(table) <= Console().width


def _width(table: Table) -> int:
    """Columns that nothing of the table is cut or wrapped in."""
    from rich.console import Console

    return Console(width=1000).measure(table).maximum


def show_notes(path: Path, candles: pd.DataFrame) -> None:
    """Print what was read, and what was mended or found in it."""
    span = f"{candles.index[0]:%Y-%m-%d %H:%M} to {candles.index[-1]:%Y-%m-%d %H:%M} UTC"
    show(f"{path}: {len(candles):,} bars, {span}", *(f"  {line}" for line in candles.attrs["notes"]))


def _table(*headings: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="left" if number == 0 else "right", vertical="bottom")
    return table


def catalogue_lines(features: Sequence[FeatureLine], labels: Sequence[LabelLine]) -> list[str]:
    """What a model can see and learn to forecast: a name as it is typed, and below it what that is.

    No table: some of the names are wider than half a terminal, and one that is cut cannot be typed.
    """
    lines = ["features: what a model can see, * by default"]
    for each in features:
        column = f", of the column {each.columns}" if each.columns else ""
        lines += [
            f"{'*' if each.is_default else ' '} {each.text}   reads {_bars(each.memory)}{column}",
            f"      {each.description}",
        ]
    lines += ["", "labels: what it can learn to forecast"]
    for label in labels:
        lines += [f"  {label.text}   {_bars(label.horizon)} ahead", f"      {label.description}"]
    return lines


def _bars(number: str) -> str:
    """1 bar, 24 bars, or that it goes by the parameters."""
    return f"{number} bar{'s' * (number != '1')}" if number.isdecimal() else f"bars {number}"


def audit_table(report: AuditReport) -> Table:
    """A row a check: how much was compared, and how much was found."""
    table = _table("check", "of", "compared", "found", "")
    for column in (1, 4):
        table.columns[column].justify = "left"
    for check in report.checks:
        table.add_row(check.name, check.subject, f"{check.compared:,}", str(len(check.findings)), check.note)
    return table


def demo_table(result: DemoResult) -> Table:
    """The forecasts of a demonstration beside the best possible."""
    table = _table("forecast", "IC, events", "of oracle", "IC, all bars", "of oracle", "seam")
    on_events, on_all = result.oracle_ic, result.oracle_all_bar_ic
    for name, events, everywhere, step in (
        ("trained LSTM", result.lstm_ic_ratio, result.lstm_all_bar_ratio, f"{result.seam:.2f}"),
        ("vanilla RNN", result.rnn_ic_ratio, result.rnn_all_bar_ratio, ""),
        ("oracle", 1.0, 1.0, ""),
    ):
        table.add_row(
            name,
            f"{events * on_events:.3f}",
            f"{events:.3f}",
            f"{everywhere * on_all:.3f}",
            f"{everywhere:.3f}",
            step,
        )
    return table


def model_table(model: LSTMForecaster) -> Table:
    """A trained model."""
    manifest, validation = model.manifest, model.manifest.validation
    table = _table("model", "")
    rows = {
        "trained on": f"{manifest.train_from:%Y-%m-%d %H:%M} to {manifest.train_until:%Y-%m-%d %H:%M} UTC",
        "validated on": f"{manifest.validation_from:%Y-%m-%d %H:%M} to {manifest.trained_until:%Y-%m-%d %H:%M} UTC",
        "first bar it may forecast": f"{model.valid_from:%Y-%m-%d %H:%M} UTC",
        "validation IC": _number(validation.ic, "{:+.4f}"),
        "validation IC on volume spikes": _number(validation.event_ic, "{:+.4f}"),
        "seam (1 is none)": _number(validation.seam, "{:.2f}"),
        "best step of each seed": f"{', '.join(map(str, validation.best_steps))} of {manifest.training['steps']}",
        "signal threshold": f"{manifest.threshold:.4f}",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def folds_table(figures: dict[str, Any]) -> tuple[Table, str]:
    """A row a fold, within 80 columns, and the mean IC in words."""
    accounts = list(dict.fromkeys(name for fold in figures["folds"] for name in fold["returns"]))
    headings = ("unseen fold from", "bars", "IC", "its SE", *accounts)
    table = _table(*(fill(heading, 11) for heading in headings))
    for fold in figures["folds"]:
        table.add_row(
            f"{fold['begin'][:10]}{'' if fold['counts'] else '*'}",
            f"{fold['bars']:,}",
            _number(fold["ic"], "{:+.4f}"),
            _number(fold["ic_se"], "{:.4f}"),
            *(_number(fold["returns"].get(name), "{:+.2%}") for name in accounts),
        )
    return table, figures["mean"]


_ACCOUNT_ROWS = (
    ("total return", "total_return", "{:+.2%}"),
    ("CAGR", "cagr", "{:+.2%}"),
    ("Sharpe (365 days)", "sharpe", "{:.2f}"),
    ("max drawdown", "max_drawdown", "{:.2%}"),
    ("final equity", "final_equity", "{:,.@f}"),
    ("fees", "fees", "{:,.@f}"),
    ("funding", "funding", "{:+,.@f}"),
    ("trades", "trades", "{:d}"),
    ("liquidations", "liquidations", "{:d}"),
)


def account_table(report: RunReport, name: str) -> Table:
    """An account beside what it is shown beside."""
    metrics = report.metrics
    digits = str((metrics["simulation"] or {}).get("money_digits", 2))
    columns = {name: metrics["account"]}
    if metrics["benchmark"]:
        columns["price held 1x"] = metrics["benchmark"]
    columns.update(metrics["baselines"])
    table = _table("account", *(fill(column, 15) for column in columns))
    for label, key, form in _ACCOUNT_ROWS:
        if any(key in figures for figures in columns.values()):
            form = form.replace("@", digits)
            table.add_row(label, *(_number(figures.get(key), form) for figures in columns.values()))
    return table


def _number(value: float | int | None, form: str) -> str:
    """The number; a dash where the column has no such figure (a price pays no fees, one bar has no Sharpe)."""
    return "–" if value is None else form.format(value)
