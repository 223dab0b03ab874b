"""The report of several runs: figures side by side, curves in one chart, and what luck makes of the best."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lstm_backtrader.forecast.trials import Tries
from lstm_backtrader.reporting.compared import ComparedRun
from lstm_backtrader.reporting.luck import Luck, luck_of, luck_section
from lstm_backtrader.reporting.metrics import drawdowns
from lstm_backtrader.reporting.notes import Note
from lstm_backtrader.reporting.page import Page, Tile, render_page
from lstm_backtrader.reporting.panels import Colour, Curve, LinkedChart, Panel, wants_log
from lstm_backtrader.reporting.provenance import provenance
from lstm_backtrader.reporting.tables import Fact, cell, format_figure, row, wide
from lstm_backtrader.reporting.writing import check_place, is_page, plain, write_text, write_together

SCHEMA = 1  # of the metrics.json of a comparison
MOST_LACKING = 0.2  # of the days of the best run, that another may lack to be compared with it day by day
MOST_CURVES = 6  # drawn; of more the best by Sharpe ratio
COLUMNS: tuple[Fact, ...] = (
    ("total_return", "Return", "percent"),
    ("cagr", "A year", "percent"),
    ("sharpe", "Sharpe", "ratio"),
    ("sortino", "Sortino", "ratio"),
    ("max_drawdown", "Drawdown", "percent"),
    ("calmar", "Calmar", "ratio"),
    ("exposure", "In the market", "share"),
    ("max_leverage", "Leverage", "ratio"),
    ("trades", "Trades", "count"),
    ("win_rate", "Won", "share"),
    ("fees", "Fees", "money"),
    ("funding", "Funding", "gain"),
    ("liquidations", "Liquidated", "count"),
)
_COLOURS: tuple[Colour, ...] = ("one", "two", "three", "loss", "text", "quiet")


def compare(
    runs: Sequence[ComparedRun], path: Path | None, title: str | None = None, left_out: int = 0
) -> dict[str, Any]:
    """The figures of the runs as `metrics.json` holds them; written where a `path` is given.

    A path ending in .html gets one page, any other is a folder for report.html, metrics.json and equity.parquet.
    `left_out`: runs beside these that never reached `next()`. Raises ReportError.
    """
    if path is not None:
        check_place(path)
    heading = title or f"{len(runs)} runs side by side"
    best = best_of(runs)
    luck, notes = luck_of(best.daily, tries_of(runs, best)), _notes(runs, left_out)
    metrics: dict[str, Any] = plain(
        {
            "schema": SCHEMA,
            "title": heading,
            "runs": {
                run.name: {"account": run.account, "parameters": run.parameters, "flags": run.flags} for run in runs
            },
            "best": best.name,
            "notes": [note.text for note in notes],
            "significance": luck.document(),
            "inputs": provenance(),
        }
    )
    if path is None:
        return metrics
    curves = together(runs)
    html = render_page(_page(runs, curves, best, luck, heading, notes))
    if is_page(path):
        write_together({path: lambda file: write_text(file, html)})
        return metrics
    text = json.dumps(metrics, indent=2, allow_nan=False) + "\n"
    files: dict[Path, Callable[[Path], None]] = {
        path / "report.html": lambda file: write_text(file, html),
        path / "metrics.json": lambda file: write_text(file, text),
        path / "equity.parquet": curves.rename_axis("open_time").tz_localize("UTC").to_parquet,
    }
    write_together(files)
    return metrics


def best_of(runs: Sequence[ComparedRun]) -> ComparedRun:
    """That of the highest Sharpe ratio, the first of equal ones; without any ratio the first."""
    return max(runs, key=lambda run: -np.inf if run.account["sharpe"] is None else run.account["sharpe"])


def tries_of(runs: Sequence[ComparedRun], best: ComparedRun) -> Tries:
    """The runs as so many tries, among which the best has to be more than the luckiest.

    On days of the best before a run could trade, for want of history, it made nothing; one that lacks more than
    `MOST_LACKING` of them is not compared day by day.
    """
    days = best.daily.index
    own = {run.name: run.daily for run in runs}
    returns = {
        name: each.reindex(days, fill_value=0.0)
        for name, each in own.items()
        if len(days.difference(each.index)) <= MOST_LACKING * len(days)
    }
    rated = [(each.mean() / each.std(), len(each)) for each in own.values() if len(each) > 1 and each.std() > 1e-12]
    sharpes, lengths = np.array(rated, dtype=np.float64).reshape(-1, 2).T
    market = "different data" if are_of_different_data(runs) else "these data"
    return Tries(len(runs), market, sharpes, lengths, returns)


def are_of_different_data(runs: Sequence[ComparedRun]) -> bool:
    """Whether two of them are known to have traded other data: another symbol, or other bars of the same."""
    symbols, hashes = {run.symbol for run in runs} - {""}, {run.data_sha256 for run in runs} - {""}
    return len(symbols) > 1 or len(hashes) > 1


def together(runs: Sequence[ComparedRun]) -> pd.DataFrame:
    """(T, runs) equity over what each began with; before its first bar a run has none, after its last it stays."""
    columns = {run.name: run.equity / run.start_equity for run in runs}
    return pd.concat(columns, axis=1, sort=True).ffill()


def _page(
    runs: Sequence[ComparedRun],
    curves: pd.DataFrame,
    best: ComparedRun,
    luck: Luck,
    title: str,
    notes: Sequence[Note],
) -> Page:
    first, last = curves.index[0], curves.index[-1]
    sharpe = format_figure(best.account["sharpe"], "ratio")
    tiles = [
        Tile("Best by Sharpe ratio", sharpe, best.name),
        Tile("its return", format_figure(best.account["total_return"], "percent")),
        Tile("Runs", f"{len(runs):,}"),
    ]
    if luck.dsr is not None:
        tiles.append(Tile("Confidence it is not luck (DSR)", f"{luck.dsr:.0%}", f"after {len(runs):,} tries"))
    return Page(
        title=title,
        lead=f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC.",
        verdict=f"Of {len(runs)} runs {best.name} has the highest Sharpe ratio. {luck.headline()}".strip(),
        tiles=tiles,
        notes=notes,
        chart=_chart(runs, curves, title),
        sections=[runs_section(runs), luck_section(luck)],
    )


def _notes(runs: Sequence[ComparedRun], left_out: int) -> list[Note]:
    notes = [
        Note("chosen afterwards", "The best of several runs is chosen with hindsight: see luck or skill below.")
    ]
    if left_out:
        text = (
            f"Left out: {left_out} of {len(runs) + left_out} runs, which never reached next(): the data are "
            "shorter than they need."
        )
        notes.append(Note("runs left out", text))
    notes += _flagged(runs)
    if len({(run.equity.index[0], run.equity.index[-1]) for run in runs}) > 1:
        notes.append(
            Note("other spans", "The runs are of different spans: their figures do not compare as they stand.")
        )
    if are_of_different_data(runs):
        text = (
            "The runs are on different data, so that the better of them may have had the better market: judge each "
            "beside buy and hold of its own."
        )
        notes.append(Note("other data", text))
    coins = sorted({run.coin for run in runs if run.coin})
    if len(coins) > 1:
        text = f"Fees, funding and returns are in different coins, {' and '.join(coins)}: they do not compare."
        notes.append(Note("other coins", text))
    return notes


def _flagged(runs: Sequence[ComparedRun]) -> Iterator[Note]:
    """The red flags of the runs, and what is not known of their look-ahead."""
    for flag, level in {flag: level for run in runs for flag, level in run.flags.items()}.items():
        if level == "red" or flag.startswith("look-ahead"):
            named = [run.name for run in runs if flag in run.flags]
            told = "all runs" if len(named) == len(runs) else ", ".join(named)
            yield Note(flag, f"{flag.capitalize()}: {told}.", "red" if level == "red" else "yellow")


def _chart(runs: Sequence[ComparedRun], curves: pd.DataFrame, title: str) -> LinkedChart:
    ranked = sorted(runs, key=lambda run: run.account["sharpe"] is None or -run.account["sharpe"])
    drawn = [run for run in runs if run in ranked[:MOST_CURVES]]
    lines = [
        Curve(run.name, np.asarray(curves[run.name].to_numpy(), dtype=np.float64), colour)
        for run, colour in zip(drawn, _COLOURS, strict=False)
    ]
    falls = [
        Curve(
            line.name, np.asarray(drawdowns(curves[line.name].fillna(1.0), 1.0).to_numpy()), line.colour, width=1.0
        )
        for line in lines
    ]
    top = "Equity over its begin" if len(drawn) == len(runs) else f"Equity over its begin, the best {MOST_CURVES}"
    panels = (
        Panel("equity", top, "ratio", 300, tuple(lines), is_log=wants_log([line.points for line in lines])),
        Panel("drawdown", "Drawdown", "percent", 120, tuple(falls)),
    )
    return LinkedChart(pd.DatetimeIndex(curves.index), panels, f"{title}, interactive chart: equity, drawdown")


def runs_section(runs: Sequence[ComparedRun]) -> str:
    """A row a run, a column a figure; parameters first, where they differ."""
    known = [column for column in COLUMNS if any(column[0] in run.account for run in runs)]
    varied = [
        name
        for name in dict.fromkeys(name for run in runs for name in run.parameters)
        if len({str(run.parameters.get(name)) for run in runs}) > 1
    ]
    named = {run.name: ", ".join(f"{name}={run.parameters.get(name)}" for name in varied) for run in runs}
    is_told = varied and any(named[run.name] != run.name for run in runs)
    heads = [*(["Differs in"] if is_told else []), *(name for _, name, _ in known)]
    rows = [
        row(
            run.name,
            [
                *([cell(named[run.name], "text")] if is_told else []),
                *(
                    cell(run.account.get(key), kind) if key in run.account else "<td></td>"
                    for key, _, kind in known
                ),
            ],
        )
        for run in runs
    ]
    head = '<th scope="col" class="text">Run</th>' + "".join(f'<th scope="col">{name}</th>' for name in heads)
    body = "\n".join(rows)
    return "<h2>Figures</h2>\n" + wide("runs", f"<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody>", "sortable")
