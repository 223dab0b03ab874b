"""`lbt download`, `data` and `venues`: what there is to trade on."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from lstm_backtrader import options as o
from lstm_backtrader.commands.given import store_of
from lstm_backtrader.terminal import fits, progress_bars, show, show_all, show_whole


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
        str | None,
        typer.Option(help="Address of a loopback venue, for dry runs; wants a --store."),
    ] = None,
) -> None:
    """Fetch candles, mark prices and funding of a perpetual; only what the store has not got yet."""
    from lstm_backtrader.download_command import DownloadRequest, run_download

    request = DownloadRequest(venue, symbol, timeframe, since, until, with_, via)
    place = store_of(store, via)
    lines: list[str] = []
    try:
        with progress_bars("bars") as advance:
            lines.extend(run_download(request, place, advance))
    finally:  # what has been fetched is told, whatever stopped the rest
        show(*lines)
    show(f"store: {place.root}")


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
