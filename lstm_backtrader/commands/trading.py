"""`lbt backtest` and `paper`: what trades a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lstm_backtrader import options as o
from lstm_backtrader.commands.given import (
    DISCLAIMER,
    ConfigFile,
    backtest_config,
    check_out,
    import_own,
    input_hashes,
    joined_files,
    read_joined,
    span_of,
    store_of,
)
from lstm_backtrader.option_blocks import InsideBars, Joined, Trading, flat
from lstm_backtrader.terminal import account_table, folds_table, progress_bars, show, show_all
from lstm_backtrader.train_files import market_name

if TYPE_CHECKING:
    import pandas as pd

    from lstm_backtrader.backtesting import BacktestConfig


@flat
def backtest(
    *,
    data: o.Data,
    model: Annotated[Path, typer.Option(help="Directory that `lbt train` wrote.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Directory for the report, its figures and tables.")],
    config: ConfigFile = None,
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
    check_out(out)
    settings = backtest_config(account, data, allow_insample)
    from lstm_backtrader.indicators.models import as_forecaster

    import_own(feature_module)
    as_forecaster(model)  # a wrong one is refused before the candles are read
    candles, finer = read_joined(data, joined), read_inside(inside)
    files = {"data": data, **joined_files(joined), "intrabar": inside.intrabar_data}
    trade_and_show(files, candles, model, out, settings, span_of(from_, until), finer, inside.ambiguity)


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
    via: Annotated[
        str | None, typer.Option(help="Address of a loopback venue, for dry runs; wants a --store.")
    ] = None,
) -> None:
    """Trade a model on a paper account as bars close; no order is placed at a venue.

    Ctrl-C stops it after the bar at hand, and the same command goes on where it stopped.
    """
    check_out(out)
    from lstm_backtrader.auditing.command import load_class
    from lstm_backtrader.candles import format_timeframe
    from lstm_backtrader.datafeeds.series import Series
    from lstm_backtrader.indicators.models import as_forecaster
    from lstm_backtrader.paper_trading import LiveSource, PaperHooks
    from lstm_backtrader.paper_trading import paper as trade
    from lstm_backtrader.strategies.lstm_futures import LSTMFutures
    from lstm_backtrader.strategies.parameters import typed

    settings, place = backtest_config(account), store_of(store, via)
    import_own(feature_module)
    length = format_timeframe(round(as_forecaster(model).timeframe.total_seconds()))
    source = LiveSource(Series(venue, symbol, "candles", timeframe or length), place, via)
    hooks = PaperHooks(bar=lambda state: show(str(state)), status=lambda name: show(f"-- {name}"))
    rules = LSTMFutures if strategy is None else load_class(strategy, LSTMFutures)
    own = typed(parameter or [])
    results = trade(source, model, out, settings, bars=bars, hooks=hooks, strategy=rules, parameters=own)
    if report is not None:
        from lstm_backtrader.reporting.report import report as write_report

        show(account_table(write_report(results, report), "paper account"))
    show(f"stopped; the same command goes on. account: {out}")


def read_inside(inside: InsideBars) -> pd.DataFrame | None:
    """The shorter candles that say what happened inside the bars."""
    if inside.intrabar_data is None:
        return None
    from lstm_backtrader.candle_files import read_candles

    return read_candles(inside.intrabar_data)


def trade_and_show(
    files: dict[str, Path | None],
    candles: pd.DataFrame,
    model: Path,
    out: Path,
    config: BacktestConfig,
    span: tuple[pd.Timestamp | None, pd.Timestamp | None],
    finer: pd.DataFrame | None,
    ambiguity: bool,
) -> None:
    """Backtest the model on disk, write the report and print its figures."""
    from lstm_backtrader.backtesting import backtest as run_backtest
    from lstm_backtrader.forecast.ledger import Ledger
    from lstm_backtrader.forecast.manifest import MANIFEST, WEIGHTS
    from lstm_backtrader.report_tables import trade_parts

    files = {**files, "model": model / WEIGHTS, "manifest": model / MANIFEST}
    inputs = input_hashes(files, {"data": candles, "intrabar": finer})
    with progress_bars() as advance:
        report = run_backtest(
            candles,
            model,
            out,
            config,
            begin=span[0],
            end=span[1],
            intrabar_candles=finer,
            ambiguity=ambiguity,
            symbol=market_name(files["data"] or Path()),
            inputs=inputs,
            tick=advance,
            ledger=Ledger(),
        )
    if report.metrics["simulation"]["contract"] == "generic":
        show(
            "contract: the generic one, fees and first tier of a large linear venue; --contract names another, see "
            "`lbt venues`"
        )
    if "walk_forward" in report.metrics:
        show_all(folds_table(report.metrics["walk_forward"]))
    show_all(
        [
            account_table(report, f"LSTM {config.leverage:g}x"),
            *trade_parts(report.metrics),
            *report.metrics["notes"],
            *report.metrics["significance"]["sentences"],
            f"{DISCLAIMER}\nreport: {report.html}",
        ]
    )
