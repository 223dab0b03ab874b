"""The page of a recorded run: which figures stand in its head, which panels and sections it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from lstm_backtrader.reporting.account_sections import (
    account_section,
    money_section,
    segments_section,
    sensitivity_section,
    simulation_section,
)
from lstm_backtrader.reporting.chart import equity_chart, trade_chart
from lstm_backtrader.reporting.forecast_sections import forecast_section
from lstm_backtrader.reporting.guard_section import guards_section
from lstm_backtrader.reporting.look_ahead import LookAhead, look_ahead_rows
from lstm_backtrader.reporting.luck import Luck, luck_section
from lstm_backtrader.reporting.metrics import Figures
from lstm_backtrader.reporting.notes import Note, verdict
from lstm_backtrader.reporting.page import Page, Tile
from lstm_backtrader.reporting.panels import Overlay
from lstm_backtrader.reporting.provenance import provenance_section
from lstm_backtrader.reporting.recorder import RunRecord
from lstm_backtrader.reporting.run_panels import Held, chart_of, equity_panels, halt_marks, run_panels
from lstm_backtrader.reporting.segments import Segment
from lstm_backtrader.reporting.sensitivity import Sensitivity
from lstm_backtrader.reporting.tables import format_figure
from lstm_backtrader.reporting.trade_sections import (
    clock_section,
    excursion_section,
    risk_section,
    sides_section,
    trades_section,
)


@dataclass(frozen=True)
class Story:
    """All that is known of one account, from which page and metrics.json are made.

    `record` is None for a bare equity curve, and with it everything that only a recorded run has.
    """

    title: str
    equity: pd.Series  # (T,) at each bar's close, settlement coin
    start_equity: float
    account: Figures
    luck: Luck
    notes: tuple[Note, ...]
    span: Mapping[str, Any]
    inputs: Mapping[str, Any]
    held: tuple[Held, ...] = ()  # at 1x first
    held_figures: Mapping[str, Figures] = field(default_factory=dict)  # by the names of `held`
    baselines: Mapping[str, Figures] = field(default_factory=dict)
    trades: pd.DataFrame | None = None
    sides: Mapping[str, Figures] = field(default_factory=dict)
    exits: Mapping[str, Figures] = field(default_factory=dict)
    clock: Mapping[str, list[Figures]] = field(default_factory=dict)  # by `hours` and `weekdays` of the entry
    risk: Mapping[str, Figures] = field(default_factory=dict)  # results in multiples of the risk, by side
    risk_histogram: Sequence[Figures] = ()
    record: RunRecord | None = None
    segments: tuple[Segment, ...] = ()
    quality: Mapping[str, Any] | None = None
    sensitivity: Sensitivity | None = None
    parameters: Mapping[str, object] = field(default_factory=dict)
    look_ahead: tuple[LookAhead, ...] = ()

    @property
    def money_digits(self) -> int:
        """Digits behind the point of an amount."""
        return 2 if self.record is None else self.record.money_digits


def run_page(story: Story, sections: Sequence[str], overlays: Sequence[Overlay], tearsheet: str | None) -> Page:
    """`sections`: HTML of the caller's own, shown after the forecast. `overlays`: drawn onto the chart."""
    record, digits = story.record, story.money_digits
    benchmark = story.held[0] if story.held else None
    if record is not None:
        overlays = (halt_marks(record.equity, record.halts), *overlays)
    columns = {"Strategy": story.account, **story.held_figures, **story.baselines}
    forecast = {} if record is None else record.forecast or {}
    own = [
        segments_section(story.segments),
        account_section(columns, digits),
        money_section(story.account, digits),
        "" if not story.sides else sides_section(story.sides, story.exits, digits),
        risk_section(story.risk, story.risk_histogram, digits),
        clock_section(story.clock, digits),
        "" if record is None else excursion_section(record.trades),
        "" if record is None else guards_section(record.halts),
        forecast_section(forecast, story.quality),
        *sections,
        luck_section(story.luck),
        "" if story.sensitivity is None else sensitivity_section(story.sensitivity),
        "" if record is None else simulation_section(record.simulation or {}),
        "" if story.trades is None else trades_section(story.trades, digits),
        provenance_section(
            {
                "Parameters": story.parameters,
                "The model": forecast.get("training") or {},
                "The data": story.span,
                "Checked for look-ahead": look_ahead_rows(story.look_ahead),
            },
            story.inputs,
        ),
    ]
    compared = None if benchmark is None else story.held_figures[benchmark.name]
    said = verdict(story.account, compared, "" if benchmark is None else benchmark.name)
    return Page(
        title=story.title,
        lead=_lead(story),
        verdict=f"{said} {story.luck.answer()}".strip(),
        tiles=_tiles(story),
        notes=story.notes,
        chart=chart_of(
            pd.DatetimeIndex(story.equity.index), _panels(story), story.title, story.segments
        ).with_overlays(overlays),
        still=_still(story),
        sections=own,
        tearsheet=tearsheet,
        first_tab=_first_tab(record),
    )


def _panels(story: Story) -> tuple[Any, ...]:
    record = story.record
    if record is None:
        return equity_panels(story.equity, story.start_equity, story.held)
    threshold = (record.forecast or {}).get("threshold")
    return run_panels(record.equity, record.trades, record.symbol, threshold, story.start_equity, story.held)


def _still(story: Story) -> str:
    record = story.record
    benchmark = story.held[0].equity if story.held else None
    drawn = equity_chart(story.equity, benchmark, story.start_equity, story.money_digits)
    if record is None:
        return drawn
    threshold = (record.forecast or {}).get("threshold")
    return drawn + trade_chart(record.equity, record.trades, record.symbol, threshold)


def _first_tab(record: RunRecord | None) -> str:
    if record is None:
        return "Equity"
    parts = [name for name, is_there in (("Futures", record.has_ledger), ("model", record.forecast)) if is_there]
    return " and ".join(parts).capitalize() or "Account and trades"


def _lead(story: Story) -> str:
    first, last = story.equity.index[0], story.equity.index[-1]
    bars = f"{len(story.equity):,} bars" + (f" of {story.span['bar']}" if story.span["bar"] else "")
    what = f"{story.record.strategy} on {story.record.symbol}, " if story.record is not None else ""
    what = "" if what.removesuffix(", ") == story.title else what
    return f"{what}{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC, {bars}."


def _tiles(story: Story) -> list[Tile]:
    account, luck = story.account, story.luck
    total = account["total_return"]
    held = None if not story.held else story.held_figures[story.held[0].name]["total_return"]
    tiles = [
        Tile(
            f"Return{_seen(story)}",
            format_figure(total, "percent"),
            "" if held is None else f"holding {format_figure(held, 'percent')}",
            is_bad=total is not None and total < 0,
        ),
        Tile("Sharpe ratio", format_figure(account["sharpe"], "ratio"), _interval(luck)),
        Tile("Deepest drawdown", format_figure(account["max_drawdown"], "percent"), "by bar"),
    ]
    if "trades" in account:
        won, liquidated = account["win_rate"], int(account["liquidations"] or 0)
        tiles.append(Tile("Trades", f"{account['trades']:,}", "" if won is None else f"{won:.0%} won, after costs"))
        if story.record is not None and story.record.has_ledger:
            nearest = account["min_liquidation_distance"]
            beside = "" if nearest is None else f"nearest: {format_figure(nearest, 'share')} of price away"
            tiles.append(Tile("Liquidations", f"{liquidated:,}", beside, is_bad=liquidated > 0))
    if luck.dsr is not None and luck.tries is not None:
        tries = "1 try" if luck.tries == 1 else f"{luck.tries:,} tries"
        tiles.append(Tile("Confidence it is not luck (DSR)", f"{luck.dsr:.0%}", f"after {tries}"))
    elif luck.psr is not None:
        tiles.append(Tile("Above zero (PSR)", f"{luck.psr:.0%}", "were it the only try"))
    return tiles


def _seen(story: Story) -> str:
    """Whether the return is one of bars the model had not seen."""
    forecast = None if story.record is None else story.record.forecast
    if not forecast:
        return ""
    if forecast.get("in_sample"):
        return ", partly in-sample"
    has_traded_seen = any(each.figures["trades"] for each in story.segments if not each.is_unseen)
    return ", partly on seen bars" if has_traded_seen else ", unseen bars"


def _interval(luck: Luck) -> str:
    if luck.intervals is None:
        return ""
    low, high = (format_figure(value, "ratio") for value in luck.intervals.sharpe)
    return f"{luck.intervals.level:.0%} interval {low} to {high}"
