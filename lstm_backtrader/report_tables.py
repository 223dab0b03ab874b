"""The numbers of a report on the terminal: the same figures, names and forms as on its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from lstm_backtrader.reporting.tables import Fact

Parts = list["Table | str"]

MOST_SIDE_BY_SIDE = 4  # runs; more stand one below the other


def read_metrics(folder: Path) -> dict[str, Any]:
    """What metrics.json in a folder, or the file itself, holds. Raises ReportError."""
    from lstm_backtrader.reporting.compared import read_document

    return read_document(folder / "metrics.json" if folder.is_dir() else folder)


def report_parts(metrics: Mapping[str, Any]) -> Parts:
    """Everything in metrics.json of a run or of a comparison, as tables and lines."""
    if "runs" in metrics:
        return comparison_parts(metrics)
    span = metrics["span"]
    flags = ", ".join(metrics.get("flags", {}))
    return [
        f"{metrics['title']}: {_minute(span['start'])} to {_minute(span['end'])} UTC, {span['bars']:,} bars",
        *([f"Flags: {flags}"] if flags else []),
        _account(metrics),
        *_segments(metrics.get("segments") or []),
        *trade_parts(metrics),
        *_forecast(metrics),
        *_sensitivity(metrics.get("sensitivity")),
        *_simulation(metrics.get("simulation")),
        *metrics["notes"],
        *metrics["significance"]["sentences"],
    ]


def trade_parts(metrics: Mapping[str, Any]) -> Parts:
    """Long and short trades side by side, their results in R, and what closed them; nothing without any."""
    from lstm_backtrader.reporting.trade_sections import EXITS, RISK, SIDES

    found = metrics.get("trades")
    if not found:
        return []
    digits = _digits(metrics)
    sides = {name: found[name] for name in ("all", "long", "short") if found[name]["trades"]}
    parts: Parts = [columns_table("trades", sides, SIDES, digits)]
    risk = {name: figures["r"] for name, figures in sides.items() if figures.get("r")}
    if risk:
        parts.append(columns_table("multiples of the risk (R)", risk, RISK, digits))
    if found["exits"]:
        parts.append(rows_table("closed by", found["exits"], EXITS, digits))
    return parts


def comparison_parts(metrics: Mapping[str, Any]) -> Parts:
    """A row a run, and what luck makes of the best."""
    from lstm_backtrader.reporting.comparison import COLUMNS

    runs = {name: run["account"] for name, run in metrics["runs"].items()}
    known = [fact for fact in COLUMNS if any(fact[0] in account for account in runs.values())]
    few = len(runs) <= MOST_SIDE_BY_SIDE
    return [
        columns_table("run", runs, known, 2) if few else rows_table("run", runs, known, 2),
        f"Highest Sharpe ratio: {metrics['best']}",
        *metrics.get("notes", []),
        *metrics["significance"]["sentences"],
    ]


def columns_table(
    heading: str, columns: Mapping[str, Mapping[str, Any]], names: Sequence[Fact], digits: int
) -> Table:
    """Figures side by side, a column each."""
    from lstm_backtrader.reporting.tables import format_figure

    table = _table(heading, *columns)
    for key, name, kind in names:
        if any(key in figures for figures in columns.values()):
            cells = (
                format_figure(figures[key], kind, digits) if key in figures else "" for figures in columns.values()
            )
            table.add_row(name, *cells)
    return table


def rows_table(heading: str, rows: Mapping[str, Mapping[str, Any]], names: Sequence[Fact], digits: int) -> Table:
    """A row each, a column a figure."""
    from rich.text import Text

    from lstm_backtrader.reporting.tables import format_figure

    table = _table(heading, *(name for _, name, _ in names))
    for name, figures in rows.items():
        cells = (format_figure(figures[key], kind, digits) if key in figures else "" for key, _, kind in names)
        table.add_row(Text(name), *cells)
    return table


def _account(metrics: Mapping[str, Any]) -> Table:
    from lstm_backtrader.reporting.account_sections import ACCOUNT

    columns = {"strategy": metrics["account"]}
    for name, key in (("held at 1x", "benchmark"), ("held at the run's leverage", "leveraged_benchmark")):
        if metrics.get(key):
            columns[name] = metrics[key]
    return columns_table("account", {**columns, **metrics["baselines"]}, ACCOUNT, _digits(metrics))


def _segments(found: Sequence[Mapping[str, Any]]) -> Parts:
    from lstm_backtrader.reporting.account_sections import SEGMENTS

    rows = {f"{each['name']}, {each['begin'][:10]} to {each['last'][:10]}": each for each in found}
    return [rows_table("by what the model knew", rows, SEGMENTS, 2)] if rows else []


def _forecast(metrics: Mapping[str, Any]) -> Parts:
    from lstm_backtrader.reporting.forecast_sections import FORECAST, QUALITY

    parts: Parts = []
    if metrics.get("forecast"):
        parts.append(columns_table("forecast", {"": metrics["forecast"]}, FORECAST, 2))
    if metrics.get("forecast_quality"):
        parts.append(columns_table("what the forecasts were worth", {"": metrics["forecast_quality"]}, QUALITY, 2))
    return parts


def _sensitivity(found: Mapping[str, Any] | None) -> Parts:
    if found is None:
        return []
    table = _table("extra cost a side", *(f"{size:g} times the size" for size in found["sizes"]))
    for bps, values in zip(found["extra_bps"], found["total_return"], strict=True):
        table.add_row(f"{bps:g} bp", *("ruin" if value <= -1 else f"{value:+.2%}" for value in values))
    return [table]


def _simulation(found: Mapping[str, Any] | None) -> Parts:
    from lstm_backtrader.reporting.account_sections import SIMULATION

    return [] if not found else [columns_table("the simulation", {"": found}, SIMULATION, 2)]


def _minute(stamp: str) -> str:
    return stamp[:16].replace("T", " ")


def _digits(metrics: Mapping[str, Any]) -> int:
    return int((metrics.get("simulation") or {}).get("money_digits", 2))


def _table(*headings: str) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, heading in enumerate(headings):
        table.add_column(Text(heading), justify="left" if number == 0 else "right")
    return table
