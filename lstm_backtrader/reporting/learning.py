"""Sections of a report on models: what each fold made of unseen bars, and how the trainings went."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import groupby

from lstm_backtrader.forecast.history import HistoryRow
from lstm_backtrader.reporting.fold_figures import FoldTable
from lstm_backtrader.reporting.tables import format_figure

SIDE = 1000.0  # units of a drawing, stretched to its pane
MOST_CURVES = 60  # models drawn; of more the newest


def folds_section(table: FoldTable) -> str:
    """A table with one row a fold, HTML."""
    accounts = list(dict.fromkeys(name for fold in table.folds for name in fold.returns))
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in ("bars", "IC", "its SE", *accounts))
    rows = []
    for fold in table.folds:
        span = f"{fold.begin:%Y-%m-%d %H:%M} to {fold.last:%Y-%m-%d %H:%M}{'' if fold.counts else ' *'}"
        cells = [
            (fold.bars, "count"),
            (fold.ic, "signed"),
            (None if fold.ic_se is None else f"{fold.ic_se:.4f}", "number"),
            *((fold.returns.get(name), "percent") for name in accounts),
        ]
        rows.append(f'<tr><th scope="row">{span}</th>{"".join(_cell(*cell) for cell in cells)}</tr>')
    return (
        "<h2>Fold by fold, on bars its model had not seen</h2>\n"
        f"<p>{escape(table.sentence())} Returns are net of fees and funding; a position held from one fold "
        "to the next is valued at the close between them.</p>\n"
        f'<div class="wide folds" tabindex="0"><table><thead><tr><td></td>{head}</tr></thead>\n'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def curves_section(history: Sequence[HistoryRow]) -> str:
    """Train and validation loss of every net over its steps, one pane a model, HTML; empty without history."""
    models = [(name, list(rows)) for name, rows in groupby(history, key=lambda row: row.model)]
    panes = [_pane(name, rows) for name, rows in models[-MOST_CURVES:]]
    drawn = [pane for pane in panes if pane]
    if not drawn:
        return ""
    cut = "" if len(models) <= MOST_CURVES else f" The newest {MOST_CURVES} of {len(models)} models."
    return (
        "<h2>Learning curves</h2>\n"
        "<p>Loss of each net over its steps; the weights kept are those at the dot."
        f'{cut}<span class="key equity">Validation</span><span class="key benchmark">Train</span></p>\n'
        f'<div class="curves">{"".join(drawn)}</div>'
    )


def _pane(name: str | None, rows: Sequence[HistoryRow]) -> str:
    """One model's nets; empty where no loss is known."""
    losses = [loss for row in rows for loss in (row.train_loss, row.validation_loss) if loss is not None]
    if not losses:
        return ""
    low, high, steps = min(losses), max(losses), max(row.step for row in rows)
    width = high - low or 1.0
    marks, lines = [], []
    for _, each in groupby(rows, key=lambda row: row.seed):
        net = list(each)
        for kind, attribute in (("benchmark", "train_loss"), ("equity", "validation_loss")):
            known = [(row.step, getattr(row, attribute)) for row in net if getattr(row, attribute) is not None]
            points = " ".join(
                f"{step / steps * SIDE:.0f},{(high - loss) / width * SIDE:.0f}" for step, loss in known
            )
            lines.append(f'<polyline class="{kind}" points="{points}"/>')
        best = [row for row in net if row.is_best and row.validation_loss is not None]
        if best:
            x, y = best[-1].step / steps, (high - (best[-1].validation_loss or 0.0)) / width
            marks.append(f'<i style="left:{x:.1%};top:{y:.1%}"></i>')
    title = "" if name is None else f"{name[:10]}: "
    return (
        f'<figure><div class="curve"><svg role="img" preserveAspectRatio="none" '
        f'aria-label="{escape(title)}loss from {high:.4g} to {low:.4g} over {steps} steps" '
        f'viewBox="0 0 {SIDE:.0f} {SIDE:.0f}">{"".join(lines)}</svg>{"".join(marks)}</div>'
        f'<figcaption class="quiet">{escape(title)}{low:.3g} to {high:.3g}, {steps:,} steps</figcaption></figure>'
    )


def _cell(value: object, kind: str) -> str:
    return f"<td>{escape(format_figure(value, kind))}</td>"
