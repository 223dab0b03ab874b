"""The command `lbt`: demo, train, backtest, report, features, venues. What is heavy loads inside its command."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from lstm_backtrader.demo import DemoResult
    from lstm_backtrader.forecast.inference import LSTMForecaster
    from lstm_backtrader.futures.venues import ListedMarket
    from lstm_backtrader.reporting.report import RunReport

app = typer.Typer(
    help="LSTM forecasts, a crypto-futures account and an honest report for Backtrader.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_DAY = ["%Y-%m-%d"]
_DISCLAIMER = "A simulation on past data; it promises nothing about the future."

Data = Annotated[Path, typer.Option(help="Candles: Parquet, CSV or feather.", show_default=False)]
Funding = Annotated[Path | None, typer.Option(help="Funding rates: a time column and funding_rate.")]
Mark = Annotated[Path | None, typer.Option(help="Candles of the mark price, same bar length.")]
FeatureModule = Annotated[
    Path | None, typer.Option(help="Python file that registers features and labels of your own.")
]


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Directory for the report, the model and demo.json.")],
    seed: Annotated[int, typer.Option(min=0, help="Another market, same law.")] = 0,
) -> None:
    """Train on a synthetic market whose best forecast is known; offline, about a minute."""
    _check_out(out)
    from lstm_backtrader.demo import demo as run_demo

    with _progress() as advance:
        result, report = run_demo(out, seed=seed, train_tick=_trainer(advance), backtest_tick=advance)
    _print(_demo_table(result), _account_table(report, "LSTM 2x"), _DISCLAIMER)
    _print(f"{result.seconds:.0f} s   report: {report.html}")


@app.command()
def train(
    data: Data,
    out: Annotated[Path, typer.Option(help="Directory the model is written to.")],
    funding: Funding = None,
    mark: Mark = None,
    until: Annotated[
        datetime | None, typer.Option(formats=_DAY, help="Last day to learn from, UTC; later data stay unseen.")
    ] = None,
    features: Annotated[
        list[str] | None,
        typer.Option(help="What it sees, say default,rsi:span=14; repeatable. `lbt features` lists them."),
    ] = None,
    feature_module: FeatureModule = None,
    label: Annotated[
        str, typer.Option(help="What it forecasts: scaled_return, three_classes, or your own.")
    ] = "scaled_return",
    horizon: Annotated[int, typer.Option(help="Bars ahead to forecast.")] = 24,
    context: Annotated[int, typer.Option(help="Bars every forecast has seen, at least.")] = 384,
    stride: Annotated[int | None, typer.Option(help="Bars between two fresh starts; default context / 4.")] = None,
    hidden: Annotated[int, typer.Option(help="Size of the LSTM.")] = 16,
    layers: Annotated[int, typer.Option(help="LSTM layers.")] = 1,
    cell: Annotated[str, typer.Option(help="lstm, or rnn for comparison.")] = "lstm",
    seeds: Annotated[int, typer.Option(help="Nets in the ensemble.")] = 3,
    seed: Annotated[int, typer.Option(help="Seed of the first net.")] = 0,
    steps: Annotated[int, typer.Option(help="Optimiser steps a net.")] = 800,
    learning_rate: Annotated[float, typer.Option(help="Peak of the one-cycle schedule.")] = 3e-3,
    event: Annotated[list[str] | None, typer.Option(help="Column of events to learn from; repeatable.")] = None,
    event_weight: Annotated[float, typer.Option(help="Extra weight of bars with a volume spike.")] = 0.0,
    expires: Annotated[int | None, typer.Option(help="Days after which the model gives no forecast.")] = None,
) -> None:
    """Train an LSTM ensemble on candles and write it as a model directory."""
    from lstm_backtrader.candle_files import read_candles
    from lstm_backtrader.candles import before_day_after
    from lstm_backtrader.forecast.artefact import check_target
    from lstm_backtrader.forecast.training import TrainConfig
    from lstm_backtrader.forecast.training import train as fit

    _import_own(feature_module)
    config = TrainConfig(
        features=tuple(features or ("default",)),
        label=label,
        horizon=horizon,
        context=context,
        stride=stride,
        hidden=hidden,
        layers=layers,
        cell=cell,  # type: ignore[arg-type]  # checked by TrainConfig
        seeds=seeds,
        seed=seed,
        steps=steps,
        learning_rate=learning_rate,
        events=tuple(event or ()),
        event_weight=event_weight,
        expires_days=expires,
    )
    check_target(out)
    _check_out(out)
    candles = read_candles(data, funding=funding, mark=mark)
    _print_notes(data, candles)
    candles = before_day_after(candles, until)
    with _progress() as advance:
        done: dict[int, int] = {}

        def progress(seed: int, step: int, steps: int) -> None:
            done[seed] = step
            advance(f"training {seeds} net{'s' if seeds > 1 else ''}", sum(done.values()), steps * seeds)

        model = fit(candles, config, progress)
    model.save(out)
    _print(_model_table(model), f"model: {out}")


@app.command()
def backtest(
    data: Data,
    model: Annotated[Path, typer.Option(help="Directory that `lbt train` wrote.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Directory for the report, its figures and tables.")],
    funding: Funding = None,
    mark: Mark = None,
    from_: Annotated[
        datetime | None,
        typer.Option("--from", formats=_DAY, help="First day to trade, UTC; default the first unseen bar."),
    ] = None,
    until: Annotated[datetime | None, typer.Option(formats=_DAY, help="Last day to trade, UTC, whole.")] = None,
    contract: Annotated[
        str | None, typer.Option(help="What is traded, say bybit:BTC/USD:BTC; `lbt venues` lists them.")
    ] = None,
    cash: Annotated[
        float | None, typer.Option(help="Start equity in the settlement coin; default 10000 dollars or 1 coin.")
    ] = None,
    leverage: Annotated[float, typer.Option(help="Exchange leverage.")] = 1.0,
    margin_mode: Annotated[str, typer.Option(help="isolated, or cross.")] = "isolated",
    intrabar: Annotated[
        str, typer.Option(help="Extreme of a bar that comes first: pessimistic, or optimistic.")
    ] = "pessimistic",
    intrabar_data: Annotated[
        Path | None, typer.Option(help="Candles of shorter bars that say what happened inside the bars.")
    ] = None,
    ambiguity: Annotated[
        bool, typer.Option("--ambiguity", help="Run pessimistic and optimistic, and report the interval.")
    ] = False,
    fraction: Annotated[float, typer.Option(help="Notional is leverage x equity x this, so that fees fit.")] = 0.95,
    stop_loss: Annotated[float, typer.Option(help="Fraction of price: 0.02 is 2 %; 0 is none.")] = 0.0,
    take_profit: Annotated[float, typer.Option(help="Fraction of price; 0 is none.")] = 0.0,
    trailing: Annotated[float, typer.Option(help="Fraction of price; 0 is none.")] = 0.0,
    fee_bps: Annotated[
        float | None, typer.Option(help="Fee a side in 0.01 %; default 2 for makers, 5 for takers.")
    ] = None,
    threshold: Annotated[float | None, typer.Option(help="|forecast| to act on; default the model's own.")] = None,
    allow_insample: Annotated[
        bool, typer.Option("--allow-insample", help="Forecast bars the model was trained on too.")
    ] = False,
    feature_module: FeatureModule = None,
) -> None:
    """Trade a model's signal on a futures account and report it beside its baselines."""
    _check_out(out)
    import pandas as pd

    from lstm_backtrader.backtesting import BacktestConfig, file_sha256
    from lstm_backtrader.backtesting import backtest as run_backtest
    from lstm_backtrader.candle_files import read_candles
    from lstm_backtrader.forecast.manifest import MANIFEST, WEIGHTS
    from lstm_backtrader.indicators.models import as_forecaster

    config = BacktestConfig(
        contract=contract,
        cash=cash,
        leverage=leverage,
        margin_mode=margin_mode,  # type: ignore[arg-type]  # checked by BacktestConfig
        intrabar=intrabar,  # type: ignore[arg-type]
        fraction=fraction,
        stop_loss=stop_loss,
        take_profit=take_profit,
        trailing=trailing,
        fee_bps=fee_bps,
        threshold=threshold,
        allow_insample=allow_insample,
    )
    _import_own(feature_module)
    forecaster = as_forecaster(model)
    candles = read_candles(data, funding=funding, mark=mark)
    _print_notes(data, candles)
    finer = None if intrabar_data is None else read_candles(intrabar_data)
    files = {"data": data, "funding": funding, "mark": mark, "intrabar": intrabar_data}
    inputs = {f"{name}_sha256": file_sha256(path) for name, path in files.items() if path is not None}
    inputs |= {"model_sha256": file_sha256(model / WEIGHTS), "manifest_sha256": file_sha256(model / MANIFEST)}
    with _progress() as advance:
        report = run_backtest(
            candles,
            forecaster,
            out,
            config,
            begin=None if from_ is None else pd.Timestamp(from_, tz="UTC"),
            end=None if until is None else pd.Timestamp(until, tz="UTC") + pd.Timedelta(days=1),
            intrabar_candles=finer,
            ambiguity=ambiguity,
            symbol=data.stem,
            inputs=inputs,
            tick=advance,
        )
    _print(
        _account_table(report, f"LSTM {leverage:g}x"),
        *report.metrics["notes"],
        f"{_DISCLAIMER}\nreport: {report.html}",
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
    with _progress() as advance:
        advance("drawing the tearsheet", 0, 1)
        written = report_from_equity(curve, out, title=title or equity.stem)
        advance("drawing the tearsheet", 1, 1)
    _print(_account_table(written, "equity"), f"report: {written.html}")


@app.command()
def features(feature_module: FeatureModule = None) -> None:
    """List the features and labels a model can be trained with."""
    from lstm_backtrader.forecast.catalogue import known_features, known_labels

    _import_own(feature_module)
    table = _table("feature", "default", "bars read", "more columns", "")
    for each in known_features():
        table.add_row(each.text, "yes" if each.is_default else "", each.memory, each.columns, each.description)
    labels = _table("label", "bars ahead", "")
    for label in known_labels():
        labels.add_row(label.text, label.horizon, label.description)
    for shown in (table, labels):
        shown.columns[-1].justify = "left"
        _print(shown)
    _print("Choose with lbt train --features default,rsi:span=14 --label three_classes:fee_bps=4.")


@app.command()
def venues() -> None:
    """List the contracts there are presets of, and the markets there are none of."""
    from lstm_backtrader.futures.venues import known_markets

    markets = known_markets()
    _print(_contract_table(markets))
    for market in markets:
        if market.contract is None:
            _print(f"{market.name} ({market.id}), not offered: {market.reason}")
    _print(
        "In Python: lbt.find_contract('venue:symbol'); of any other market lbt.Contract.from_ccxt(market, tiers)."
    )


def main() -> None:
    """Run `lbt`; a user's mistake is one line and exit code 1."""
    from lstm_backtrader.errors import LbtError

    try:
        with _warnings_shown():
            app()
    except LbtError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        print(f"Error: {where}{error.strerror or error}. Choose another path, or make room.", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("Stopped; nothing half-written was left.", file=sys.stderr)
        sys.exit(130)


@contextmanager
def _warnings_shown() -> Iterator[None]:
    """Let the package's own warnings (a seam, a missing forecast, a refused order) reach the terminal."""
    import logging

    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter("Warning: %(message)s"))
    logger = logging.getLogger("lstm_backtrader")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _import_own(path: Path | None) -> None:
    if path is not None:
        from lstm_backtrader.own_module import import_file

        import_file(path)


def _check_out(out: Path) -> None:
    """Refuse what cannot become a directory, before any work is done for it."""
    import os

    from lstm_backtrader.errors import ConfigError

    if out.is_file():
        raise ConfigError(f"--out {out} is a file. Give a directory.")
    there = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not (there.is_dir() and os.access(there, os.W_OK)):
        raise ConfigError(f"--out {out}: {there} is no directory that may be written to. Choose another.")


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Bars on stderr: `advance(label, done, total)` moves the bar of that label; thread-safe.

    Nothing is drawn before the first call, so that a mistake found by then prints its one line alone.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    progress = Progress(*columns, console=Console(stderr=True))
    tasks: dict[str, Any] = {}

    def advance(label: str, done: int, total: int) -> None:
        if label not in tasks:
            tasks[label] = progress.add_task(label, total=total)
        progress.start()
        progress.update(tasks[label], completed=done, total=total)

    try:
        yield advance
    finally:
        if tasks:
            progress.stop()


def _trainer(advance: Callable[[str, int, int], None]) -> Callable[[str, int, int], None]:
    return lambda name, done, total: advance(f"training {name}", done, total)


def _print(*parts: str | Table) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    for part in parts:
        console.print(part, markup=False) if isinstance(part, str) else console.print(part)


def _print_notes(path: Path, candles: pd.DataFrame) -> None:
    span = f"{candles.index[0]:%Y-%m-%d %H:%M} to {candles.index[-1]:%Y-%m-%d %H:%M} UTC"
    _print(f"{path}: {len(candles):,} bars, {span}", *(f"  {line}" for line in candles.attrs["notes"]))


def _table(*headings: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="left" if number == 0 else "right")
    return table


def _demo_table(result: DemoResult) -> Table:
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


def _model_table(model: LSTMForecaster) -> Table:
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


def _account_table(report: RunReport, name: str) -> Table:
    metrics = report.metrics
    digits = str((metrics["simulation"] or {}).get("money_digits", 2))
    columns = {name: metrics["account"]}
    if metrics["benchmark"]:
        columns["price held 1x"] = metrics["benchmark"]
    columns.update(metrics["baselines"])
    table = _table("account", *columns)
    for label, key, form in _ACCOUNT_ROWS:
        if any(key in figures for figures in columns.values()):
            table.add_row(
                label, *(_number(figures.get(key), form.replace("@", digits)) for figures in columns.values())
            )
    return table


def _contract_table(markets: Iterable[ListedMarket]) -> Table:
    table = _table(
        "venue",
        "symbol",
        "kind",
        "settled in",
        "contract size",
        "max leverage",
        "maintenance",
        "tiers",
        "maker",
        "taker",
        "funding, UTC",
        "as of",
    )
    for market in markets:
        contract = market.contract
        if contract is None:
            continue
        unit = contract.symbol.split("/")[1].split(":")[0] if contract.is_inverse else contract.symbol.split("/")[0]
        known = f"to {contract.notional_cap:,.0f} {contract.settlement}"
        first, every = contract.funding_offset_hours, contract.funding_hours
        table.add_row(
            market.venue,
            contract.symbol,
            contract.kind,
            contract.settlement,
            f"{contract.contract_size:f}".rstrip("0").rstrip(".") + f" {unit}",
            f"{contract.max_leverage:g}x",
            f"{contract.maintenance:.2%}" + (" + fee" if contract.fee_in_maintenance else ""),
            f"{'partial' if contract.is_partial else 'complete'}, {known}",
            f"{contract.maker_fee:.3%}",
            f"{contract.taker_fee:.3%}",
            f"{first:02.0f}:00, every {every:g} h",
            market.as_of,
        )
    return table


def _number(value: float | int | None, form: str) -> str:
    """The number; a dash where the column has no such figure (a price pays no fees, one bar has no Sharpe)."""
    return "–" if value is None else form.format(value)


if __name__ == "__main__":
    main()
