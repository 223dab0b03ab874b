"""The command `lbt`: what a user types. Everything heavy loads inside the command that needs it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from lstm_backtrader import options as o
from lstm_backtrader.mistakes import told_in_one_line
from lstm_backtrader.option_blocks import InsideBars, Joined, Trading, Training, flat
from lstm_backtrader.terminal import (
    account_table,
    audit_table,
    catalogue_tables,
    demo_table,
    fits,
    folds_table,
    model_table,
    progress_bars,
    show,
    show_all,
    show_notes,
    show_whole,
)
from lstm_backtrader.train_files import market_name, train_files

if TYPE_CHECKING:
    import pandas as pd

    from lstm_backtrader.backtesting import BacktestConfig
    from lstm_backtrader.forecast.train_config import TrainConfig

app = typer.Typer(
    help="LSTM forecasts, a crypto-futures account and an honest report for Backtrader.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_DISCLAIMER = "A simulation on past data; it promises nothing about the future."


def _read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Let the file's values take the place of defaults, before any other option is looked at."""
    if path is not None:
        from lstm_backtrader.config_file import read_config

        commands = {"train": train, "walk-forward": walk_forward, "backtest": backtest, "tune": tune}
        types = {name: get_type_hints(command) for name, command in commands.items()}
        kept = {
            name: {k: v for k, v in each.items() if k not in ("return", "config")} for name, each in types.items()
        }
        context.default_map = read_config(path, context.info_name or "", kept)
    return path


Config = Annotated[
    Path | None,
    typer.Option("--config", is_eager=True, callback=_read_config, help="TOML file of options; typed ones win."),
]


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Directory for the report, the model and demo.json.")],
    seed: Annotated[int, typer.Option(min=0, help="Another market, same law.")] = 0,
) -> None:
    """Train on a synthetic market whose best forecast is known; offline, about a minute."""
    _check_out(out)
    from lstm_backtrader.demo import demo as run_demo

    with progress_bars() as advance:
        result, report = run_demo(out, seed=seed, train_tick=_trainer(advance), backtest_tick=advance)
    show(demo_table(result), account_table(report, "LSTM 2x"), _DISCLAIMER)
    show(f"{result.seconds:.0f} s   report: {report.html}")


@app.command()
@flat
def train(
    *,
    data: o.Datas,
    out: Annotated[Path, typer.Option(help="Directory the model is written to.")],
    config: Config = None,
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
    files, settings = train_files(data, funding, mark, out), _train_config(training, event_data)
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
    _check_out(out)
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


@app.command("walk-forward")
@flat
def walk_forward(
    *,
    data: o.Data,
    train_days: o.TrainDays,
    step_days: o.StepDays,
    out: Annotated[Path, typer.Option(help="Directory for report, figures, folds and, in model, the models.")],
    config: Config = None,
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
    terms, settings = _backtest_config(account), _train_config(training, joined.event_data)
    from lstm_backtrader.bookkeeping import record_walk_forward
    from lstm_backtrader.forecast.artefact import check_target
    from lstm_backtrader.forecast.folds import WalkForwardConfig
    from lstm_backtrader.forecast.inference import find_device
    from lstm_backtrader.forecast.ledger import Ledger
    from lstm_backtrader.forecast.trials import Market
    from lstm_backtrader.forecast.walkforward import walk_forward as fit

    find_device(training.device)  # type: ignore[arg-type]  # checked there
    begin, end = _span(from_, until)
    plan = WalkForwardConfig(train_days, step_days, begin, end, expanding, settings)
    _check_out(out)
    check_target(out / "model")
    candles = _read(data, joined)
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
    files = {"data": data, **_files(joined)}
    _trade(files, candles, out / "model", out, terms, (model.valid_from, end), inside)
    show(f"model: {out / 'model'}")


@app.command()
@flat
def backtest(
    *,
    data: o.Data,
    model: Annotated[Path, typer.Option(help="Directory that `lbt train` wrote.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Directory for the report, its figures and tables.")],
    config: Config = None,
    joined: Joined,
    from_: o.From = None,
    until: o.Until = None,
    account: Trading,
    inside: InsideBars,
    allow_insample: Annotated[
        bool, typer.Option("--allow-insample", help="Forecast bars the model was trained on too.")
    ] = False,
    feature_module: o.FeatureModule = None,
) -> None:
    """Trade a model's signal on a futures account and report it beside its baselines."""
    _check_out(out)
    settings = _backtest_config(account, allow_insample)
    from lstm_backtrader.indicators.models import as_forecaster

    _import_own(feature_module)
    as_forecaster(model)  # a wrong one is refused before the candles are read
    candles = _read(data, joined)
    _trade({"data": data, **_files(joined)}, candles, model, out, settings, _span(from_, until), inside)


@app.command()
@flat
def tune(
    *,
    data: o.Data,
    out: Annotated[Path, typer.Option(help="Directory for the search, the winner's model and its report.")],
    config: Config = None,
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
    terms, settings = _backtest_config(account), _train_config(training, joined.event_data)
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
    _check_out(out)
    wanted = None if space is None else read_space(space)  # a wrong one is refused before the candles are read
    candles = _read(data, joined)
    files = {"data": data, **_files(joined), "space": space}
    with progress_bars() as advance:
        found = search(
            candles,
            out,
            plan,
            space=wanted,
            symbol=market_name(data),
            device=training.device,  # type: ignore[arg-type]  # checked there
            own_module=training.feature_module,
            inputs=_hashes(files, {"data": candles}),
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
        f"{_DISCLAIMER}\nmodel: {found.model}\nreport: {found.report.html}",
    )


@app.command()
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
    _check_out(out)
    from lstm_backtrader.evaluating import evaluate as judge
    from lstm_backtrader.evaluation_tables import evaluation_parts
    from lstm_backtrader.forecast.evaluation import EvaluateConfig
    from lstm_backtrader.forecast.inference import load_model
    from lstm_backtrader.forecast.manifest import MANIFEST, WEIGHTS

    config = EvaluateConfig(draws, rnn, coverage, adaptive, seed=seed, jobs=jobs)
    forecaster = load_model(model)  # a wrong one is refused before the candles are read
    candles = _read(data, joined)
    begin, end = _span(from_, until)
    files = {"data": data, **_files(joined), "model": model / WEIGHTS, "manifest": model / MANIFEST}
    inputs = _hashes(files, {"data": candles})
    with progress_bars() as advance:
        found = judge(candles, forecaster, out, config, begin=begin, end=end, inputs=inputs, tick=advance)
    show(*evaluation_parts(found.document), f"report: {out / 'report.html'}")


def _train_config(given: Training, event_data: Path | None) -> TrainConfig:
    """The training that was typed; own features are there from here on."""
    from dataclasses import fields

    from lstm_backtrader.forecast.train_config import TrainConfig

    _import_own(given.feature_module)
    renamed = {
        **vars(given),
        "events": tuple(given.event or _columns_of(event_data)),
        "expires_days": given.expires,
        "features": tuple(given.features or ("default",)),
    }
    return TrainConfig(**{each.name: renamed[each.name] for each in fields(TrainConfig)})


def _columns_of(event_data: Path | None) -> tuple[str, ...]:
    """The events a file holds, which a model learns from unless it is told which."""
    if event_data is None:
        return ()
    from lstm_backtrader.event_files import event_columns, read_events

    return event_columns(read_events(event_data))


def _backtest_config(given: Trading, allow_insample: bool = False) -> BacktestConfig:
    from lstm_backtrader.backtesting import BacktestConfig

    return BacktestConfig(**vars(given), allow_insample=allow_insample)


def _read(data: Path, joined: Joined) -> pd.DataFrame:
    """The candles with all that belongs to them; what was mended is shown."""
    from lstm_backtrader.candle_files import read_candles

    candles = read_candles(
        data, joined.funding, joined.mark, events=joined.event_data, latency=joined.event_latency
    )
    show_notes(data, candles)
    return candles


def _files(joined: Joined) -> dict[str, Path | None]:
    return {"funding": joined.funding, "mark": joined.mark, "events": joined.event_data}


def _span(from_: datetime | None, until: datetime | None) -> tuple[pd.Timestamp | None, pd.Timestamp | None]:
    """First bar, and first bar after the last day."""
    import pandas as pd

    begin = None if from_ is None else pd.Timestamp(from_, tz="UTC")
    return begin, None if until is None else pd.Timestamp(until, tz="UTC") + pd.Timedelta(days=1)


def _trade(
    files: dict[str, Path | None],
    candles: pd.DataFrame,
    model: Path,
    out: Path,
    config: BacktestConfig,
    span: tuple[pd.Timestamp | None, pd.Timestamp | None],
    inside: InsideBars,
) -> None:
    """Backtest the model on disk, write the report and print its figures."""
    from lstm_backtrader.backtesting import backtest as run_backtest
    from lstm_backtrader.candle_files import read_candles
    from lstm_backtrader.forecast.ledger import Ledger
    from lstm_backtrader.forecast.manifest import MANIFEST, WEIGHTS
    from lstm_backtrader.report_tables import trade_parts

    finer = None if inside.intrabar_data is None else read_candles(inside.intrabar_data)
    files = {**files, "intrabar": inside.intrabar_data, "model": model / WEIGHTS, "manifest": model / MANIFEST}
    inputs = _hashes(files, {"data": candles, "intrabar": finer})
    with progress_bars() as advance:
        report = run_backtest(
            candles,
            model,
            out,
            config,
            begin=span[0],
            end=span[1],
            intrabar_candles=finer,
            ambiguity=inside.ambiguity,
            symbol=market_name(files["data"] or Path()),
            inputs=inputs,
            tick=advance,
            ledger=Ledger(),
        )
    if "walk_forward" in report.metrics:
        show_all(folds_table(report.metrics["walk_forward"]))
    show_all(
        [
            account_table(report, f"LSTM {config.leverage:g}x"),
            *trade_parts(report.metrics),
            *report.metrics["notes"],
            *report.metrics["significance"]["sentences"],
            f"{_DISCLAIMER}\nreport: {report.html}",
        ]
    )


@app.command()
def report(
    equity: Annotated[Path, typer.Option(help="Parquet or CSV with a time column and equity.", show_default=False)],
    out: Annotated[Path, typer.Option(help="An .html file, or a directory for page and figures.")],
    title: Annotated[str | None, typer.Option(help="Heading of the page.")] = None,
) -> None:
    """Make the report of any equity curve."""
    from lstm_backtrader.reporting.equity_files import read_equity
    from lstm_backtrader.reporting.report import report_from_equity

    _check_out(out.parent if out.suffix.lower() == ".html" else out)
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


@app.command("show")
def show_run(
    run: Annotated[
        Path, typer.Argument(help="Folder that `lbt backtest` or `lbt.report` wrote.", show_default=False)
    ],
) -> None:
    """Print all figures of a report."""
    from lstm_backtrader.report_tables import read_metrics, report_parts

    show_all(report_parts(read_metrics(run)))


@app.command()
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
        _check_out(out.parent if out.suffix.lower() == ".html" else out)
    figures = compare_runs(stored_runs(runs), out, title)
    page = [] if out is None else [f"report: {out if out.suffix.lower() == '.html' else out / 'report.html'}"]
    show_all([*comparison_parts(figures), *page])


@app.command()
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


@app.command()
def features(feature_module: o.FeatureModule = None) -> None:
    """List the features and labels a model can be trained with."""
    from lstm_backtrader.forecast.catalogue import known_features, known_labels

    _import_own(feature_module)
    show(*catalogue_tables(known_features(), known_labels()))
    show("Choose with lbt train --features default,rsi:span=14 --label three_classes:fee_bps=4.")


@app.command()
def venues(
    wide: Annotated[
        bool, typer.Option("--wide", help="Contract sizes, steps, funding and dates, too; lines of 200 characters.")
    ] = False,
) -> None:
    """List the contracts there are presets of, and the markets there are none of."""
    from lstm_backtrader.futures.venues import known_markets
    from lstm_backtrader.venue_tables import LEGEND, short_table, wide_table

    markets = known_markets()
    full = wide_table(markets)
    if wide or fits(full):
        show_whole(full)
    else:
        show_whole(short_table(markets))
        show(LEGEND)
    show(
        *(f"{market.name} ({market.id}), not offered: {market.reason}" for market in markets if not market.contract)
    )
    show("In Python: lbt.find_contract('venue:symbol'); of any other market lbt.Contract.from_ccxt(market, tiers).")


@app.command("download")
def download_data(
    venue: Annotated[str, typer.Option(help="binanceusdm, binancecoinm, bybit, bingx, bitget or bitmex.")],
    symbol: Annotated[str, typer.Option(help="Perpetual, say BTC/USDT:USDT or BTC/USD:BTC.")],
    timeframe: Annotated[str, typer.Option(help="Length of a bar, say 1h.")],
    since: Annotated[datetime, typer.Option(formats=o.DAY, help="First day, UTC.")],
    until: Annotated[
        datetime | None, typer.Option(formats=o.DAY, help="Last day, UTC, whole; default now.")
    ] = None,
    with_: Annotated[str, typer.Option("--with", help="Also mark, funding, open-interest, between commas.")] = "",
    store: o.StoreDir = None,
    via: Annotated[
        str | None, typer.Option(help="Address of a loopback venue that answers instead, for dry runs.")
    ] = None,
) -> None:
    """Fetch candles, mark prices and funding of a perpetual; only what the store has not got yet."""
    from lstm_backtrader.datafeeds.store import Store
    from lstm_backtrader.download_command import DownloadRequest, run_download

    request = DownloadRequest(venue, symbol, timeframe, since, until, with_, via)
    place = Store(store)
    lines: list[str] = []
    try:
        with progress_bars("bars") as advance:
            lines.extend(run_download(request, place, advance))
    finally:  # what has been fetched is told, whatever stopped the rest
        show(*lines)
    show(f"store: {place.root}")


@app.command()
@flat
def paper(
    *,
    venue: Annotated[str, typer.Option(help="As ccxt names it, say bybit.", show_default=False)],
    symbol: Annotated[str, typer.Option(help="As ccxt writes it, say BTC/USD:BTC.", show_default=False)],
    model: Annotated[Path, typer.Option(help="Directory that `lbt train` wrote.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Directory of the account; the same again goes on with it.")],
    timeframe: Annotated[str | None, typer.Option(help="Bars of the market; default the model's own.")] = None,
    bars: Annotated[
        int | None, typer.Option(min=1, help="End after so many new bars; default when stopped.")
    ] = None,
    account: Trading,
    strategy: Annotated[
        str | None, typer.Option(help="module:Class of your own, made of LSTMFutures; default LSTMFutures.")
    ] = None,
    parameter: Annotated[
        list[str] | None, typer.Option(help="Of the strategy, as name=value; repeatable. They win over options.")
    ] = None,
    feature_module: o.FeatureModule = None,
    report: Annotated[Path | None, typer.Option(help="Directory for a report when the run ends.")] = None,
    store: o.StoreDir = None,
    via: Annotated[str | None, typer.Option(help="Address of a loopback venue, for a dry run.")] = None,
) -> None:
    """Trade a model on a paper account as bars close; no order is placed at a venue.

    Ctrl-C stops it after the bar at hand, and the same command goes on where it stopped.
    """
    _check_out(out)
    from lstm_backtrader.auditing.command import load_class
    from lstm_backtrader.candles import format_timeframe
    from lstm_backtrader.datafeeds.series import Series
    from lstm_backtrader.datafeeds.store import Store
    from lstm_backtrader.indicators.models import as_forecaster
    from lstm_backtrader.paper_trading import LiveSource, PaperHooks
    from lstm_backtrader.paper_trading import paper as trade
    from lstm_backtrader.strategies.lstm_futures import LSTMFutures
    from lstm_backtrader.strategies.parameters import typed

    settings = _backtest_config(account)
    _import_own(feature_module)
    length = format_timeframe(round(as_forecaster(model).timeframe.total_seconds()))
    source = LiveSource(Series(venue, symbol, "candles", timeframe or length), Store(store), via)
    hooks = PaperHooks(bar=lambda state: show(str(state)), status=lambda name: show(f"-- {name}"))
    rules = LSTMFutures if strategy is None else load_class(strategy, LSTMFutures)
    own = typed(parameter or [])
    results = trade(source, model, out, settings, bars=bars, hooks=hooks, strategy=rules, parameters=own)
    if report is not None:
        from lstm_backtrader.reporting.report import report as write_report

        show(account_table(write_report(results, report), "paper account"))
    show(f"stopped; the same command goes on. account: {out}")


@app.command("data")
def list_data(
    store: o.StoreDir = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check every file; exit code 0 only if all are sound.")
    ] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="With --verify: forget damaged months, so that they are fetched again.")
    ] = False,
    export: Annotated[
        str | None, typer.Option(help="Series to write to --out, say bybit:BTC/USD:BTC:1h, :mark:1h or :funding.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File to export to, .parquet or .csv.")] = None,
    since: Annotated[datetime | None, typer.Option(formats=o.DAY, help="First day to export, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=o.DAY, help="Last day to export, UTC, whole.")] = None,
    import_: Annotated[
        Path | None, typer.Option("--import", help="Candle file, or a folder of freqtrade's, to take in.")
    ] = None,
    as_: Annotated[str | None, typer.Option("--as", help="Series that the imported file is of.")] = None,
    venue: Annotated[str | None, typer.Option(help="Venue that imported files of freqtrade are of.")] = None,
) -> None:
    """List the market data on disk, check it, export it, or import files."""
    from datetime import timedelta

    from lstm_backtrader.data_command import DataRequest, check, export_series, import_files
    from lstm_backtrader.datafeeds.store import Store
    from lstm_backtrader.store_table import store_table

    end = None if until is None else until + timedelta(days=1)
    request = DataRequest(verify, repair, export, out, since, end, import_, as_, venue)
    place = Store(store)
    if request.export is not None:
        show(export_series(place, request))
    elif request.import_ is not None:
        show_all(import_files(place, request))
    elif verify or repair:
        damaged = show_all(check(place, mend=repair))
        remedy = "" if repair else "; --repair makes the rest readable"
        show(f"{damaged} damaged{remedy}" if damaged else "all sound", f"store: {place.root}")
        if damaged and not repair:
            raise typer.Exit(1)
    else:
        table, unreadable = store_table(place)
        if table.row_count:
            show_whole(table)
        elif not unreadable:
            show("The store is empty. `lbt download` fills it, `lbt data --import` takes in files.")
        show(*unreadable, f"store: {place.root}")


@app.command()
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


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def btrun(context: typer.Context) -> None:
    """Backtrader's btrun, with classes by name: --strategy lstm_backtrader.strategies:LSTMFutures:model='...'."""
    from lstm_backtrader.btrun import run_btrun

    run_btrun(context.args)


def main() -> None:
    """Run `lbt`; a user's mistake is one line and exit code 1, one of typing included."""
    from lstm_backtrader.errors import ConfigError

    usage_error: Any = typer.BadParameter.__mro__[1]  # of the click that this typer comes with
    with told_in_one_line():
        try:
            sys.exit(app(prog_name="lbt", standalone_mode=False))
        except usage_error as error:
            said = error.format_message().replace("Value error, ", "").replace("%Y-%m-%d", "YYYY-MM-DD")
            if not said:  # nothing was typed, and the help has been shown
                sys.exit(error.exit_code)
            end = "" if said[-1] in ".?" else "."
            raise ConfigError(f"{said}{end} `{error.ctx.command_path} -h` tells what it takes.") from error


def _import_own(path: Path | None) -> None:
    if path is not None:
        from lstm_backtrader.own_module import import_file

        import_file(path)


def _hashes(files: dict[str, Path | None], tables: dict[str, pd.DataFrame | None]) -> dict[str, str]:
    """SHA-256 of every input: of a file its bytes, of a series of the store the numbers of its table."""
    from lstm_backtrader.backtesting import file_sha256
    from lstm_backtrader.candle_files import names_series
    from lstm_backtrader.candles import candles_sha256

    hashes = {}
    for name, path in files.items():
        if path is not None:
            table = tables.get(name) if names_series(path) else None
            hashes[f"{name}_sha256"] = file_sha256(path) if table is None else candles_sha256(table)
    return hashes


def _check_out(out: Path) -> None:
    """Refuse what cannot become a directory, before any work is done for it."""
    import os

    from lstm_backtrader.errors import ConfigError

    if out.is_file():
        raise ConfigError(f"--out {out} is a file. Give a directory.")
    there = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not (there.is_dir() and os.access(there, os.W_OK)):
        raise ConfigError(f"--out {out}: {there} is no directory that may be written to. Choose another.")


def _nets(number: int) -> str:
    return f"{number} net" if number == 1 else f"{number} nets"


def _trainer(advance: Callable[[str, int, int], None]) -> Callable[[str, int, int], None]:
    return lambda name, done, total: advance(f"training {name}", done, total)
