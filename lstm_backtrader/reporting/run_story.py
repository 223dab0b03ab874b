"""From the record of a run to all that a report tells of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from lstm_backtrader.forecast.trials import Tries
from lstm_backtrader.reporting.forecast_figures import forecast_figures
from lstm_backtrader.reporting.holding import LIKE_ONE, held_instrument, held_prices
from lstm_backtrader.reporting.look_ahead import LookAhead, look_ahead_notes
from lstm_backtrader.reporting.luck import luck_of
from lstm_backtrader.reporting.metrics import Figures, daily_returns, return_metrics
from lstm_backtrader.reporting.notes import Note, account_notes, ambiguity_notes, gap_notes
from lstm_backtrader.reporting.provenance import provenance, span_of
from lstm_backtrader.reporting.recorder import RunRecord
from lstm_backtrader.reporting.run_page import Story
from lstm_backtrader.reporting.run_panels import Held
from lstm_backtrader.reporting.segments import Segment, segments
from lstm_backtrader.reporting.sensitivity import sensitivity
from lstm_backtrader.reporting.trade_figures import (
    clock_figures,
    exit_figures,
    risk_figures,
    risk_histogram,
    trade_figures,
)


def run_story(
    record: RunRecord,
    *,
    title: str | None,
    benchmark: pd.Series | None,
    bounds: Mapping[str, Figures],
    baselines: Mapping[str, Figures],
    parameters: Mapping[str, object] | None,
    inputs: Mapping[str, object],
    tries: Tries | None,
    look_ahead: Sequence[LookAhead] = (),
) -> tuple[Story, dict[str, Any] | None]:
    """The story, and what the order of prices inside bars can make of it, where `bounds` tell."""
    account, equity, start = record.metrics(), record.equity["equity"], record.totals.start_equity
    held = _held(record, account, benchmark)
    ambiguity = _ambiguity(record, account, bounds) if bounds else None
    span = span_of(equity.index)
    forecast = record.forecast or {}
    horizon = forecast.get("horizon")
    looked = look_ahead_notes(look_ahead)
    shown = dict(record.params if parameters is None else parameters)
    story = Story(
        title=title or f"{record.strategy} on {record.symbol}",
        equity=equity,
        start_equity=start,
        account=account,
        luck=luck_of(
            daily_returns(equity, start),
            tries,
            holding_days=_holding_days(record),
            benchmark=daily_returns(held[0].equity, start),
        ),
        notes=(
            *(note for note in looked if note.level == "red"),
            *account_notes(record, account),
            *(gap_notes(span["missing_bars"], span["bars"]) if record.has_ledger else ()),
            *ambiguity_notes(ambiguity),
            *(note for note in looked if note.level != "red"),
            *short_notes(equity),
        ),
        span=span,
        inputs={
            **inputs,
            "strategy": record.strategy,
            "symbol": record.symbol,
            "parameters": shown,
            "futures": record.has_ledger,
            **provenance(),
        },
        held=held,
        held_figures={each.name: return_metrics(each.equity, start) for each in held},
        baselines={**bounds, **baselines},
        trades=record.trades,
        record=record,
        parameters=shown,
        look_ahead=tuple(look_ahead),
        sensitivity=sensitivity(
            record.equity,
            record.totals,
            is_inverse=record.is_inverse,
            is_one_position=len(record.trades[["symbol", "tradeid"]].drop_duplicates()) <= 1,
        ),
        segments=_segments(record),
        quality=None if horizon is None else forecast_figures(record.equity, horizon, forecast.get("threshold")),
    )
    if len(record.trades):
        story = replace(
            story,
            sides=trade_figures(record.trades),
            exits=exit_figures(record.trades),
            clock=clock_figures(record.trades),
            risk=risk_figures(record.trades),
            risk_histogram=risk_histogram(record.trades),
        )
    return story, ambiguity


def short_notes(equity: pd.Series) -> tuple[Note, ...]:
    """That there is no tearsheet, where there is none."""
    if len(daily_returns(equity)) > 1:
        return ()
    text = "The run spans less than two UTC days, so there is no tearsheet."
    return (Note("no tearsheet", text, "plain"),)


def _held(record: RunRecord, account: Figures, benchmark: pd.Series | None) -> tuple[Held, ...]:
    """A benchmark, by default data0 held at 1x; and data0 held at the leverage the run had while holding."""
    bars, start = record.equity, record.totals.start_equity
    if benchmark is not None:
        found = [Held("Benchmark", held_prices(benchmark, bars.index, start))]
    else:
        name = f"Buy and hold of {record.symbol}"
        found = [Held(name, held_instrument(bars, start, is_inverse=record.is_inverse))]
    leverage = account["mean_leverage"]
    if leverage is not None and abs(leverage - 1) > LIKE_ONE:
        equity = held_instrument(bars, start, leverage, is_inverse=record.is_inverse)
        found.append(Held(f"Held at {leverage:.2f}x, as the run", equity))
    return tuple(found)


def _segments(record: RunRecord) -> tuple[Segment, ...]:
    spans = [
        (name, pd.Timestamp(begin), pd.Timestamp(end))
        for name, begin, end in (record.forecast or {}).get("spans", ())
    ]
    return segments(record.equity["equity"], record.totals.start_equity, record.trades, spans)


def _ambiguity(record: RunRecord, account: Figures, others: Mapping[str, Figures]) -> dict[str, Any]:
    """What the unknown order of prices inside bars can make of the result: figure -> (lowest, highest)."""
    runs = [account, *others.values()]
    found: dict[str, Any] = {"bars": 0 if record.simulation is None else record.simulation["ambiguous_bars"]}
    for figure in ("final_equity", "total_return", "max_drawdown", "sharpe"):
        values = [value for figures in runs if (value := figures.get(figure)) is not None]
        found[figure] = [min(values), max(values)] if values else None
    return found


def _holding_days(record: RunRecord) -> float:
    """How long a closed trade lasts on average; a day where none was closed."""
    lasted = (record.trades["exit_time"] - record.trades["entry_time"]).dt.total_seconds().mean() / 86_400
    return float(lasted) if lasted > 1.0 else 1.0
