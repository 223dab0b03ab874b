"""`lbt evaluate`, `audit`, `ledger` and `features`: what there is to a model, and whether to believe it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lstm_backtrader import options as o
from lstm_backtrader.commands.given import check_out, import_own, input_hashes, joined_files, read_joined, span_of
from lstm_backtrader.option_blocks import Joined, flat
from lstm_backtrader.terminal import (
    audit_table,
    catalogue_lines,
    progress_bars,
    show,
    show_all,
    show_notes,
    show_whole,
)


@flat
def evaluate(
    *,
    data: o.Data,
    model: Annotated[Path, typer.Option(help="Directory that `lbt train` wrote.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Directory for report.html, evaluation.json and forecasts.parquet.")],
    joined: Joined,
    from_: o.JudgeFrom = None,
    until: o.JudgeUntil = None,
    draws: o.Draws = 3,
    rnn: o.WithRnn = False,
    coverage: o.Coverage = 0.9,
    adaptive: o.Adaptive = False,
    seed: Annotated[int, typer.Option(min=0, help="Of shuffling and permuting.")] = 0,
    jobs: o.Jobs = None,
) -> None:
    """Judge a model's forecasts on bars it has not seen, beside what is trained the same way and beside luck."""
    check_out(out)
    from lstm_backtrader.evaluating import evaluate as judge
    from lstm_backtrader.evaluation_tables import evaluation_parts
    from lstm_backtrader.forecast.evaluation import EvaluateConfig
    from lstm_backtrader.forecast.inference import load_model
    from lstm_backtrader.forecast.manifest import MANIFEST, WEIGHTS

    config = EvaluateConfig(draws, rnn, coverage, adaptive, seed=seed, jobs=jobs)
    forecaster = load_model(model)  # a wrong one is refused before the candles are read
    candles = read_joined(data, joined)
    begin, end = span_of(from_, until)
    files = {"data": data, **joined_files(joined), "model": model / WEIGHTS, "manifest": model / MANIFEST}
    inputs = input_hashes(files, {"data": candles})
    with progress_bars() as advance:
        found = judge(candles, forecaster, out, config, begin=begin, end=end, inputs=inputs, tick=advance)
    show_all([*evaluation_parts(found.document), f"report: {out / 'report.html'}"])


@flat
def audit(
    *,
    data: o.Data,
    model: Annotated[Path | None, typer.Option(help="Directory that `lbt train` wrote.")] = None,
    joined: Joined,
    strategy: Annotated[str | None, typer.Option(help="module:Class of a strategy of your own.")] = None,
    indicator: Annotated[str | None, typer.Option(help="module:Class of an indicator of your own.")] = None,
    feature_module: o.FeatureModule = None,
    cuts: Annotated[int, typer.Option(help="Bars after which the future is cut off and disturbed.")] = 32,
    shuffled_labels: Annotated[
        bool, typer.Option("--shuffled-labels", help="Also train on shuffled labels, three times; takes its time.")
    ] = False,
) -> None:
    """Look for look-ahead; exit code 0 only if nothing was found."""
    from lstm_backtrader.auditing.command import Targets, audit_steps, with_events
    from lstm_backtrader.auditing.keeping import keep_audits
    from lstm_backtrader.candle_files import read_candles
    from lstm_backtrader.forecast.audit import AuditPlan
    from lstm_backtrader.forecast.findings import merged

    targets = Targets(model, strategy, indicator, feature_module, shuffled_labels)
    candles = read_candles(data, funding=joined.funding, mark=joined.mark)
    candles, published = with_events(candles, joined.event_data, joined.event_latency)
    show_notes(data, candles)
    steps = [*published, *audit_steps(targets, candles, AuditPlan(cuts=cuts))]
    parts = []
    with progress_bars() as advance:
        for number, step in enumerate(steps):
            advance("audit", number, len(steps))
            parts.append(step.look())
        advance("audit", len(steps), len(steps))
    found = merged(parts)
    show(audit_table(found), *map(str, found.findings))
    if kept := keep_audits(steps, parts):
        show(f"kept for the reports of this code: {kept[0].parent}")
    if not found.is_clean:
        count = len(found.findings)
        show(f"not clean: {count} finding{'s' if count > 1 else ''}")
        raise typer.Exit(1)
    show("clean")


def features(feature_module: o.FeatureModule = None) -> None:
    """List the features and labels a model can be trained with."""
    from lstm_backtrader.forecast.catalogue import known_features, known_labels

    import_own(feature_module)
    show(*catalogue_lines(known_features(), known_labels()))
    show("Choose with lbt train --features default,rsi:span=14 --label three_classes:fee_bps=4.")


def ledger(
    symbol: Annotated[str | None, typer.Option(help="Only trials on this, the name of the data file.")] = None,
    data_hash: Annotated[str | None, typer.Option(help="Only trials on data whose hash begins so.")] = None,
) -> None:
    """List every configuration that was ever trained or traded."""
    from lstm_backtrader.forecast.ledger import Ledger
    from lstm_backtrader.ledger_table import counts, trials_table

    book = Ledger()
    lines = book.read()
    trials = [
        trial
        for trial in lines.trials
        if symbol in (None, trial.market.symbol) and trial.market.data_sha256.startswith(data_hash or "")
    ]
    if trials:
        show_whole(trials_table(trials))
    show(*counts(trials, lines.trials), *lines.damaged, f"ledger: {book.path}")
