"""All strategies and baselines on real candles: ``python -m studies.strategy_table FOLDER --out table.md``."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from lstm_backtrader.candles import candles_sha256, timeframe_seconds
from lstm_backtrader.errors import DataError, LbtError
from lstm_backtrader.forecast.folds import WalkForwardConfig
from lstm_backtrader.forecast.protocol import Forecaster
from lstm_backtrader.forecast.walkforward import walk_forward
from lstm_backtrader.reporting.recorder import RunRecord
from lstm_backtrader.reporting.writing import plain, write_text, write_together
from lstm_backtrader.strategies import RandomEntry

from .accounts import SEEDS, Account, account, trade
from .line_up import line_up, plans
from .market import Cell, cells, plan, read_market
from .strategy_page import MarketTable, Row, strategy_page

Say = Callable[[str], None]

_WARM_UP = 1_000  # bars; more than any model or strategy of the line-up reads
EDITION = 1  # raised when the method or the line-up changes, so that older tables are not taken for new ones


@dataclass(frozen=True)
class Settings:
    """How the models are trained, and where they are kept."""

    begin: datetime
    seeds: int
    steps: int
    work: Path


def main(arguments: list[str] | None = None) -> int:
    """Train, trade every strategy on every market, and write the page."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.strategy_table",
        description="Every strategy and baseline on real candles, walk-forward, net of fees and funding.",
    )
    parser.add_argument(
        "data", type=Path, help="folder of NAME-TIMEFRAME files, funding and mark price beside them"
    )
    parser.add_argument("--markets", help="names, say BTCUSDT,ETHUSDT; default all that have funding")
    parser.add_argument("--timeframe", default="1h", help="length of bars, default 1h")
    parser.add_argument("--begin", default="2022-03-01", help="first day to trade, two years after the first bar")
    parser.add_argument("--seeds", type=int, default=3, help="nets in each ensemble")
    parser.add_argument("--steps", type=int, default=800, help="optimiser steps a net")
    parser.add_argument("--work", type=Path, default=Path("runs/strategies"), help="folder the models are kept in")
    parser.add_argument("--out", type=Path, default=Path("strategies-table.md"), help="the page")
    given = parser.parse_args(arguments)
    try:
        begin = datetime.strptime(given.begin, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        parser.error(f"--begin {given.begin} is no day. Write it like 2022-03-01.")
    settings = Settings(begin, given.seeds, given.steps, given.work)
    try:
        timeframe_seconds(given.timeframe)
        files = find_markets(given.data, given.timeframe, given.markets)
        tables = [
            table_of(cell, settings, _say)
            for cell in cells([read_market(file) for file in files], [given.timeframe])
        ]
        page = strategy_page(tables)
        write_together({given.out: lambda path: write_text(path, page)})
    except LbtError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{given.out}: {', '.join(table.market for table in tables)}")
    return 0


def find_markets(folder: Path, timeframe: str, markets: str | None) -> list[Path]:
    """The candles of the markets in a folder; raises `DataError` where one, or any, is not there."""
    found = {
        file.stem.removesuffix(f"-{timeframe}"): file
        for file in sorted(folder.glob(f"*-{timeframe}.parquet"))
        if list(folder.glob(f"{file.stem.removesuffix(f'-{timeframe}')}-*-funding.parquet"))
    }
    if not found:
        raise DataError(
            f"{folder} holds no candles NAME-{timeframe}.parquet with NAME-8h-funding.parquet beside them. "
            "Give the folder of such files; `lbt download --with funding` fetches them."
        )
    wanted = list(found) if markets is None else [name.strip() for name in markets.split(",")]
    unknown = [name for name in wanted if name not in found]
    if unknown:
        raise DataError(f"{folder} holds no market {unknown[0]}. It holds {', '.join(found)}.")
    return [found[name] for name in wanted]


def table_of(cell: Cell, settings: Settings, say: Say) -> MarketTable:
    """Every strategy on one market, from the folder of the work where it was computed before."""
    configs = plans(plan(cell.timeframe, settings.begin, settings.seeds, settings.steps))
    parts = {"edition": EDITION, "configs": configs, "candles": candles_sha256(cell.candles)}
    key = hashlib.sha256(repr(parts).encode()).hexdigest()
    file = settings.work / f"{cell.title.replace(' ', '-')}.json"
    if file.exists():
        kept = json.loads(file.read_text(encoding="utf-8"))
        if kept.pop("key") == key:
            say(f"{cell.title}: kept from before")
            return MarketTable.of(kept)
    table = _trade_all(cell, settings, configs, say)
    text = json.dumps(plain({**table.document(), "key": key}), indent=1, allow_nan=False) + "\n"
    write_together({file: lambda path: write_text(path, text)})
    return table


def _trade_all(cell: Cell, settings: Settings, configs: Mapping[str, WalkForwardConfig], say: Say) -> MarketTable:
    """Train the models, and trade every strategy on the bars that all of them are used for."""
    models: dict[str, Forecaster] = {}
    for name, config in configs.items():
        say(f"{cell.title}: training by {name}")
        folder = settings.work / cell.title.replace(" ", "-") / name.replace(" ", "-")
        models[name] = walk_forward(cell.candles, config, folder=folder)
    begin = pd.Timestamp(settings.begin)
    first = max(0, int(cell.candles.index.searchsorted(begin)) - _WARM_UP)
    cell = replace(cell, candles=cell.candles.iloc[first:])
    rows: list[Row] = []
    own: RunRecord | None = None
    horizon = next(iter(configs.values())).train.horizon
    for entrant in line_up(horizon, timeframe_seconds(cell.timeframe)):
        say(f"{cell.title}: trading {entrant.name}")
        record = trade(cell.candles, begin, entrant.strategy, **entrant.parameters(models))
        own = own or record
        rows.append(Row(account(entrant.name, record), record.exposure, len(record.halts)))
    drawn = () if own is None or own.trades.empty else _random_accounts(cell, begin, own)
    return MarketTable(cell.name, cell.timeframe, begin, cell.candles.index[-1], tuple(rows), tuple(drawn))


def _random_accounts(cell: Cell, begin: pd.Timestamp, own: RunRecord) -> Sequence[Account]:
    """Random entries of the same turnover as the first strategy, by rising return."""
    matching = RandomEntry.matching(own)
    drawn = [
        account("random entries", trade(cell.candles, begin, RandomEntry, seed=seed, **matching))
        for seed in range(SEEDS)
    ]
    return sorted(drawn, key=lambda each: each.net_return)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
