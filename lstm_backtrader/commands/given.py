"""What was typed, made into what the commands work with: configs, candles, spans and hashes."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from lstm_backtrader.option_blocks import Joined, Trading, Training
from lstm_backtrader.terminal import show_notes

if TYPE_CHECKING:
    import pandas as pd

    from lstm_backtrader.backtesting import BacktestConfig
    from lstm_backtrader.datafeeds.store import Store
    from lstm_backtrader.forecast.train_config import TrainConfig

DISCLAIMER = "A simulation on past data; it promises nothing about the future."


def _read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Let the file's values take the place of defaults, before any other option is looked at."""
    if path is not None:
        from lstm_backtrader.config_file import read_config

        program: Any = context.find_root().command
        types = {
            name: {k: v for k, v in get_type_hints(command.callback).items() if k not in ("return", "config")}
            for name, command in program.commands.items()
            if any(parameter.name == "config" for parameter in command.params)
        }
        context.default_map = read_config(path, context.info_name or "", types)
    return path


ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", is_eager=True, callback=_read_config, help="TOML file of options; typed ones win."),
]


def train_config(given: Training, event_data: Path | None) -> TrainConfig:
    """The training that was typed; own features are there from here on."""
    from dataclasses import fields

    from lstm_backtrader.forecast.train_config import TrainConfig

    import_own(given.feature_module)
    renamed = {
        **vars(given),
        "events": tuple(given.event or _columns_of(event_data)),
        "expires_days": given.expires,
        "features": tuple(name.strip() for text in given.features or ("default",) for name in text.split(",")),
    }
    return TrainConfig(**{each.name: renamed[each.name] for each in fields(TrainConfig)})


def _columns_of(event_data: Path | None) -> tuple[str, ...]:
    """The events a file holds, which a model learns from unless it is told which."""
    if event_data is None:
        return ()
    from lstm_backtrader.event_files import event_columns, read_events

    return event_columns(read_events(event_data))


def backtest_config(given: Trading, data: Path | None = None, allow_insample: bool = False) -> BacktestConfig:
    """The account and the rules as typed; without a contract that of the market `data` names in the store."""
    from lstm_backtrader.backtesting import BacktestConfig

    contract = given.contract if given.contract or data is None else _contract_of(data)
    return BacktestConfig(**{**vars(given), "contract": contract}, allow_insample=allow_insample)


def _contract_of(data: Path) -> str | None:
    """The preset of the market that `data` is a series of; None of a file, and where there is none."""
    from lstm_backtrader.candle_files import names_series
    from lstm_backtrader.datafeeds.series import parse_series
    from lstm_backtrader.futures.venues import known_markets

    if not names_series(data):
        return None
    series = parse_series(str(data))
    name = f"{series.venue}:{series.symbol}"
    return name if any(each.name == name and each.contract for each in known_markets()) else None


def read_joined(data: Path, joined: Joined) -> pd.DataFrame:
    """The candles with all that belongs to them; what was mended is shown."""
    from lstm_backtrader.candle_files import read_candles

    candles = read_candles(
        data, joined.funding, joined.mark, events=joined.event_data, latency=joined.event_latency
    )
    show_notes(data, candles)
    return candles


def joined_files(joined: Joined) -> dict[str, Path | None]:
    return {"funding": joined.funding, "mark": joined.mark, "events": joined.event_data}


def span_of(from_: datetime | None, until: datetime | None) -> tuple[pd.Timestamp | None, pd.Timestamp | None]:
    """First bar, and first bar after the last day."""
    import pandas as pd

    begin = None if from_ is None else pd.Timestamp(from_, tz="UTC")
    return begin, None if until is None else pd.Timestamp(until, tz="UTC") + pd.Timedelta(days=1)


def import_own(path: Path | None) -> None:
    if path is not None:
        from lstm_backtrader.own_module import import_file

        import_file(path)


def input_hashes(files: dict[str, Path | None], tables: dict[str, pd.DataFrame | None]) -> dict[str, str]:
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


def store_of(folder: Path | None, via: str | None) -> Store:
    """The store that was typed, default the user's own. Raises `ConfigError` for that beside a loopback venue."""
    from lstm_backtrader.datafeeds.store import Store
    from lstm_backtrader.errors import ConfigError

    if via is not None and folder is None:
        raise ConfigError(
            "--via gives rows that are made up, which do not belong among your own data. Add --store dry-run, or "
            "another folder."
        )
    return Store(folder)


def check_out(out: Path) -> None:
    """Refuse what cannot become a directory, before any work is done for it."""
    import os

    from lstm_backtrader.errors import ConfigError

    if out.is_file():
        raise ConfigError(f"--out {out} is a file. Give a directory.")
    there = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not (there.is_dir() and os.access(there, os.W_OK)):
        raise ConfigError(f"--out {out}: {there} is no directory that may be written to. Choose another.")
