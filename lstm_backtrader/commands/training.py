"""`lbt demo`, `train`, `walk-forward` and `tune`: what trains models."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from lstm_backtrader import options as o
from lstm_backtrader.commands.given import (
    DISCLAIMER,
    ConfigFile,
    backtest_config,
    check_out,
    input_hashes,
    joined_files,
    read_joined,
    span_of,
    train_config,
)
from lstm_backtrader.commands.trading import read_inside, trade_and_show
from lstm_backtrader.option_blocks import InsideBars, Joined, Trading, Training, flat
from lstm_backtrader.terminal import (
    account_table,
    demo_table,
    model_table,
    progress_bars,
    show,
    show_notes,
    show_whole,
)
from lstm_backtrader.train_files import market_name, train_files


def demo(
    out: Annotated[Path, typer.Option(help="Directory for the report, the model and demo.json.")],
    seed: Annotated[int, typer.Option(min=0, help="Another market, same law.")] = 0,
) -> None:
    """Train on a synthetic market whose best forecast is known; offline, about a minute."""
    check_out(out)
    from lstm_backtrader.demo import demo as run_demo

    with progress_bars() as advance:
        result, report = run_demo(out, seed=seed, train_tick=_trainer(advance), backtest_tick=advance)
    show(demo_table(result), account_table(report, "LSTM 2x"), DISCLAIMER)
    show(f"{result.seconds:.0f} s   report: {report.html}")


@flat
def train(
    *,
    data: o.Datas,
    out: Annotated[Path, typer.Option(help="Directory the model is written to.")],
    config: ConfigFile = None,
    funding: o.Fundings = None,
    mark: o.Marks = None,
    event_data: o.EventData = None,
    event_latency: o.EventLatency = "0s",
    until: Annotated[
        datetime | None, typer.Option(formats=o.DAY, help="Last day to learn from, UTC; later data stay unseen.")
    ] = None,
    training: Training,
) -> None:
    """Train an LSTM ensemble on candles and write it as a model directory.

    With several --data it learns from all of them, and OUT gets a model directory for each.
    """
    files, settings = train_files(data, funding, mark, out), train_config(training, event_data)
    from lstm_backtrader.bookkeeping import record_training
    from lstm_backtrader.candle_files import read_candles
    from lstm_backtrader.candles import before_day_after
    from lstm_backtrader.forecast.artefact import check_target
    from lstm_backtrader.forecast.inference import find_device
    from lstm_backtrader.forecast.ledger import Ledger
    from lstm_backtrader.forecast.pooling import train_pooled
    from lstm_backtrader.forecast.trials import Market

    find_device(training.device)  # type: ignore[arg-type]  # checked there
    for each in files:
        check_target(each.out)
    check_out(out)
    candles, markets = {}, {}
    for each in files:
        table = read_candles(each.data, each.funding, each.mark, events=event_data, latency=event_latency)
        show_notes(each.data, table)
        markets[each.name] = Market.of(table, each.name)
        candles[each.name] = before_day_after(table, until)
    with progress_bars() as advance:
        done: dict[int, int] = {}

        def progress(seed: int, step: int, steps: int) -> None:
            done[seed] = step
            advance(f"training {_nets(training.seeds)}", sum(list(done.values())), steps * training.seeds)

        models = train_pooled(
            candles,
            settings,
            progress,
            device=training.device,  # type: ignore[arg-type]  # checked above
        )
    for each in files:
        model = models[each.name]
        record_training(Ledger(), model, markets[each.name], settings, until)
        model.save(each.out)
        show(model_table(model), f"model: {each.out}")


@flat
def walk_forward(
    *,
    data: o.Data,
    train_days: o.TrainDays,
    step_days: o.StepDays,
    out: Annotated[Path, typer.Option(help="Directory for report, figures, folds and, in model, the models.")],
    config: ConfigFile = None,
    joined: Joined,
    from_: Annotated[
        datetime | None,
        typer.Option("--from", formats=o.DAY, help="First day to forecast, UTC; default the earliest possible."),
    ] = None,
    until: Annotated[datetime | None, typer.Option(formats=o.DAY, help="Last day to forecast, UTC, whole.")] = None,
    expanding: o.Expanding = False,
    jobs: o.Jobs = None,
    training: Training,
    account: Trading,
    inside: InsideBars,
) -> None:
    """Retrain step by step on the past alone, and report what each model makes of the bars that follow.

    A run that was stopped goes on from its last finished fold when it is started again.
    """
    terms, settings = backtest_config(account, data), train_config(training, joined.event_data)
    from lstm_backtrader.bookkeeping import record_walk_forward
    from lstm_backtrader.forecast.artefact import check_target
    from lstm_backtrader.forecast.folds import WalkForwardConfig
    from lstm_backtrader.forecast.inference import find_device
    from lstm_backtrader.forecast.ledger import Ledger
    from lstm_backtrader.forecast.trials import Market
    from lstm_backtrader.forecast.walkforward import walk_forward as fit

    find_device(training.device)  # type: ignore[arg-type]  # checked there
    begin, end = span_of(from_, until)
    plan = WalkForwardConfig(train_days, step_days, begin, end, expanding, settings)
    check_out(out)
    check_target(out / "model")
    candles, finer = read_joined(data, joined), read_inside(inside)
    with progress_bars() as advance:

        def progress(step: int, steps: int) -> None:
            advance(f"training {_nets(steps // settings.steps)}", step, steps)

        model = fit(
            candles,
            plan,
            folder=out / "folds",
            jobs=jobs,
            device=training.device,  # type: ignore[arg-type]  # checked above
            progress=progress,
        )
    record_walk_forward(Ledger(), model, Market.of(candles, market_name(data)), plan)
    model.save(out / "model")
    files = {"data": data, **joined_files(joined), "intrabar": inside.intrabar_data}
    trade_and_show(files, candles, out / "model", out, terms, (model.valid_from, end), finer, inside.ambiguity)
    show(f"model: {out / 'model'}")


@flat
def tune(
    *,
    data: o.Data,
    out: Annotated[Path, typer.Option(help="Directory for the search, the winner's model and its report.")],
    config: ConfigFile = None,
    joined: Joined,
    space: o.SpaceFile = None,
    trials: o.Trials = 50,
    objective: o.ObjectiveName = "sharpe",
    folds: o.InnerFolds = 4,
    test_from: o.TestFrom = None,
    test_fraction: o.TestFraction = 0.2,
    workers: o.Workers = 1,
    prune: o.Prune = False,
    search_seed: o.SearchSeed = 0,
    training: Training,
    account: Trading,
) -> None:
    """Search model, features and rules on inner folds, and judge the winner once on bars that no trial has seen.

    What the space leaves open is as the other options say. A search that was stopped goes on when started again.
    """
    terms, settings = backtest_config(account, data), train_config(training, joined.event_data)
    from lstm_backtrader.tuning.config import TuneConfig
    from lstm_backtrader.tuning.section import sentences
    from lstm_backtrader.tuning.space_file import read_space
    from lstm_backtrader.tuning.tables import trials_table
    from lstm_backtrader.tuning.tune import tune as search

    plan = TuneConfig(
        trials=trials,
        folds=folds,
        test_from=test_from,
        test_fraction=test_fraction,
        objective=objective,  # type: ignore[arg-type]  # checked there
        prune=prune,
        workers=workers,
        seed=search_seed,
        train=settings,
        account=terms,
    )
    check_out(out)
    wanted = None if space is None else read_space(space)  # a wrong one is refused before the candles are read
    candles = read_joined(data, joined)
    files = {"data": data, **joined_files(joined), "space": space}
    with progress_bars() as advance:
        found = search(
            candles,
            out,
            plan,
            space=wanted,
            symbol=market_name(data),
            device=training.device,  # type: ignore[arg-type]  # checked there
            own_module=training.feature_module,
            inputs=input_hashes(files, {"data": candles}),
            tick=advance,
        )
    show_whole(trials_table(found.document))
    show(
        *sentences(found.document),
        "",
        f"The winner from {found.document['test']['begin']} on, trained on all before:",
        account_table(found.report, f"LSTM {found.candidate.account.leverage:g}x"),
        *found.report.metrics["notes"],
        *found.report.metrics["significance"]["sentences"],
        f"{DISCLAIMER}\nmodel: {found.model}\nreport: {found.report.html}",
    )


def _nets(number: int) -> str:
    return f"{number} net" if number == 1 else f"{number} nets"


def _trainer(advance: Callable[[str, int, int], None]) -> Callable[[str, int, int], None]:
    return lambda name, done, total: advance(f"training {name}", done, total)
