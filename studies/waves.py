"""Do Elliott waves help an LSTM? ``python -m studies.waves FOLDER --timeframes 1h,4h --out waves.md``.

On every market of a folder the forecasts of a walk-forward are traded as they are, where the wave count agrees, and
beside the count alone; each beside entries at random that trade as often, as long and as often long.
"""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd

from lstm_backtrader.candles import Bars
from lstm_backtrader.errors import DataError
from lstm_backtrader.forecast.elliott_null import ImpulseShare, impulse_share
from lstm_backtrader.forecast.scheduled import ScheduledForecaster
from lstm_backtrader.forecast.walkforward import walk_forward
from lstm_backtrader.indicators.elliott import ElliottWaves
from lstm_backtrader.reporting.bootstrap import bootstrap_intervals
from lstm_backtrader.reporting.metrics import daily_returns
from lstm_backtrader.reporting.recorder import RunRecord
from lstm_backtrader.strategies.baselines import BuyAndHold, RandomEntry
from lstm_backtrader.strategies.confluence import Confluence, When
from lstm_backtrader.strategies.elliott_futures import ElliottFutures
from lstm_backtrader.strategies.line_exits import LineStop
from lstm_backtrader.strategies.lstm_futures import LSTMFutures

from .accounts import SEEDS, trade
from .command import parser_of, run, say
from .market import Cell, cells, plan, read_market

_waves: Any = ElliottWaves  # Backtrader's metaclass takes the data, which a type checker cannot see
_WARM_UP = 600  # bars before the first to trade: the longest of a wave count
_LATE = 3  # the wave from which on an impulse has something to be wrong about

_METHOD = """
Made by `python -m studies.waves`, which does the same on candles of your own. Models and their training are those
of [the study](study.md): at each bar the newest that had not seen it, retrained every 182 days. All accounts trade
at 1x on 5 bp a fill and the venue's funding, on the same bars; slippage is not in it.

* *LSTM*: `LSTMFutures` with the models' own threshold.
* *LSTM, Elliott filter*: the same, entered only where the best count is an impulse of its side in wave 3 or later,
  with a stop where the count is wrong.
* *Elliott alone*: `ElliottFutures`, the side of the impulse in waves 3 and 5.
* *net*, *Sharpe*: of the whole span; in brackets the middle 90 % of the stationary bootstrap of daily returns.
* *random entries*: as many positions, as long, as often long, at times drawn by chance; net of the middle one of
  {seeds}, and how many of them the account is above.
"""


@dataclass(frozen=True)
class Row:
    """An account of the table; fractions."""

    name: str
    net: float
    low: float  # of the net return, 90 %
    high: float
    sharpe: float | None
    sharpe_low: float | None
    sharpe_high: float | None
    drawdown: float
    trades: int
    drawn: tuple[float, ...] = ()  # net returns of random entries


def rows_of(cell: Cell, model: ScheduledForecaster, begin: pd.Timestamp) -> list[Row]:
    """The accounts of a market from `begin` on."""
    first = int(cell.candles.index.searchsorted(begin))
    candles = cell.candles.iloc[max(0, first - max(model.warmup, _WARM_UP)) :]
    filtered: dict[str, Any] = {
        "entries": [
            Confluence(lambda data: _waves(data).wave, name="elliott"),
            When(lambda data: abs(_waves(data).wave) >= _LATE, name="late"),
        ],
        "exits": [LineStop(lambda data: _waves(data).invalidation)],
    }
    accounts: list[tuple[str, type[bt.Strategy], dict[str, Any]]] = [
        ("LSTM", LSTMFutures, {"model": model}),
        ("LSTM, Elliott filter", LSTMFutures, {"model": model, **filtered}),
        ("Elliott alone", ElliottFutures, {}),
    ]
    found = []
    for name, strategy, params in accounts:
        record = trade(candles, begin, strategy, **params)
        found.append(_row(name, record, _drawn(candles, begin, record)))
    return [*found, _row("buy and hold", trade(candles, begin, BuyAndHold))]


def _drawn(candles: pd.DataFrame, begin: pd.Timestamp, record: RunRecord) -> tuple[float, ...]:
    """Net returns of random entries with the turnover of a run; none for a run without a trade."""
    if record.trades.empty:
        return ()
    matching = RandomEntry.matching(record)
    records = [trade(candles, begin, RandomEntry, seed=seed, **matching) for seed in range(SEEDS)]
    return tuple(float(each.metrics()["total_return"] or 0.0) for each in records)


def _row(name: str, record: RunRecord, drawn: tuple[float, ...] = ()) -> Row:
    figures = record.metrics()
    daily = daily_returns(record.equity["equity"], record.totals.start_equity).to_numpy(np.float64)
    intervals = bootstrap_intervals(daily)
    years = len(daily) / 365
    low, high = ((1.0 + yearly) ** years - 1.0 for yearly in intervals.cagr)
    sharpe = figures["sharpe"]
    return Row(
        name=name,
        net=float(figures["total_return"] or 0.0),
        low=low,
        high=high,
        sharpe=sharpe,
        sharpe_low=None if sharpe is None else intervals.sharpe[0],
        sharpe_high=None if sharpe is None else intervals.sharpe[1],
        drawdown=float(figures["max_drawdown"] or 0.0),
        trades=int(figures["trades"] or 0),
        drawn=drawn,
    )


def page_of(results: list[tuple[Cell, ImpulseShare, list[Row]]], span: str) -> str:
    """Markdown of all markets, and what their tables say, counted."""
    plain, filtered, alone = ([rows[number] for _, _, rows in results] for number in range(3))
    helped = sum(b.net > a.net for a, b in zip(plain, filtered, strict=True))
    sure = sum(each.sharpe_low is not None and each.sharpe_low > 0 for each in [*plain, *filtered, *alone])
    above = [f"{_name(each)} in {_beats(each)}" for each in (plain, filtered, alone)]
    body = [line for cell, share, rows in results for line in _table(cell, share, rows)]
    return "\n".join(
        [
            "# Elliott waves and the LSTM on real candles",
            "",
            f"Of {len(results)} markets and lengths of bars the filter leaves the LSTM with more in {helped}. "
            f"Above 19 in 20 of random entries of the same turnover: {'; '.join(above)}. "
            f"Of {3 * len(results)} accounts that follow a forecast or a count {sure} have a Sharpe ratio whose "
            f"interval lies above zero.",
            _METHOD.format(seeds=SEEDS),
            f"Bars traded: {span}.",
            "",
            *body,
        ]
    )


def _name(rows: list[Row]) -> str:
    return rows[0].name


def _beats(rows: list[Row]) -> int:
    """Accounts that are above 95 % of their random entries."""
    return sum(bool(each.drawn) and float(np.mean(np.less(each.drawn, each.net))) >= 0.95 for each in rows)


def _table(cell: Cell, share: ImpulseShare, rows: list[Row]) -> list[str]:
    lines = [
        f"## {cell.name}, bars of {cell.timeframe}",
        "",
        share.sentence(),
        "",
        "| account | net | Sharpe | drawdown | trades | random entries | above |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        sharpe = "-" if row.sharpe is None else f"{row.sharpe:.2f} ({row.sharpe_low:.2f} to {row.sharpe_high:.2f})"
        middle = f"{np.median(row.drawn):+.1%}" if row.drawn else ""
        above = f"{sum(each < row.net for each in row.drawn)} of {len(row.drawn)}" if row.drawn else ""
        net = f"{row.net:+.1%} ({row.low:+.0%} to {row.high:+.0%})"
        cells_ = (row.name, net, sharpe, f"{row.drawdown:+.1%}", f"{row.trades:,}", middle, above)
        lines.append(f"| {' | '.join(cells_)} |")
    return [*lines, ""]


def markets_of(folder: Path) -> list[Path]:
    """Files of candles in a folder that have funding beside them. Raises `DataError` where there is none."""
    found = [
        file
        for file in sorted(folder.glob("*-*.parquet"))
        if not file.stem.endswith(("-mark", "-funding"))
        and any(folder.glob(f"{file.stem.rpartition('-')[0]}-*-funding.parquet"))
        and file.stem.rpartition("-")[2] == "1h"
    ]
    if not found:
        raise DataError(
            f"{folder}: no candles such as BTCUSDT-1h.parquet with BTCUSDT-8h-funding.parquet beside them. "
            f"`lbt download --with funding` fetches both, `lbt data --export` writes them."
        )
    return found


def main(arguments: list[str] | None = None) -> int:
    """Train, trade and write the page."""
    said = (__doc__ or "").partition("\n")[0]
    parser = parser_of("python -m studies.waves", said, timeframes="4h", out="waves.md")
    parser.add_argument("folder", type=Path, help="with candles such as BTCUSDT-1h.parquet and their funding")
    return run(parser, arguments, _page)


def _page(given: Namespace) -> tuple[str, int]:
    results = []
    for cell in cells([read_market(path) for path in markets_of(given.folder)], given.timeframes):
        say(f"{cell.title}: {len(cell.candles):,} bars, training")
        config = plan(cell.timeframe, given.begin, given.seeds, given.steps)
        model = walk_forward(cell.candles, config, folder=given.work / "models" / cell.title.replace(" ", "-"))
        say(f"{cell.title}: trading")
        rows = rows_of(cell, model, pd.Timestamp(given.begin))
        results.append((cell, impulse_share(Bars.of(cell.candles)), rows))
    last = max(cell.candles.index[-1] for cell, _, _ in results)
    return page_of(results, f"{given.begin:%Y-%m-%d} to {last:%Y-%m-%d}"), len(results)


if __name__ == "__main__":
    raise SystemExit(main())
