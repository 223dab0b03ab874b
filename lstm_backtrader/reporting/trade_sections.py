"""Sections of a report on trades: long and short apart, why they ended, how far they went, and the list of them."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence

import pandas as pd

from lstm_backtrader.reporting.drawings import bars, histogram, scatter
from lstm_backtrader.reporting.metrics import Figures
from lstm_backtrader.reporting.tables import (
    MINUS,
    TEXTS,
    Fact,
    cell,
    columns_table,
    format_figure,
    row,
    table,
    wide,
)

MAX_TRADES = 200  # listed
MOST_POINTS = 600  # of the scatter

SIDES: tuple[Fact, ...] = (
    ("trades", "Trades, open ones included", "count"),
    ("closed", "Closed", "count"),
    ("liquidations", "Liquidated", "count"),
    ("win_rate", "Won, after costs", "share"),
    ("profit_factor", "Profit factor", "ratio"),
    ("expectancy", "Mean result of a trade", "gain"),
    ("payoff", "Mean win over mean loss", "ratio"),
    ("best", "Best", "gain"),
    ("worst", "Worst", "gain"),
    ("losses_in_a_row", "Losses in a row, most", "count"),
    ("mean_hours", "Time held, mean", "hours"),
    ("median_hours", "Time held, median", "hours"),
    ("mean_mae", "Furthest against it, mean (MAE)", "percent"),
    ("mean_mfe", "Furthest for it, mean (MFE)", "percent"),
    ("net_profit", "Result, open ones included", "gain"),
    ("fees", "Fees", "money"),
    ("slippage", "Slippage", "money"),
    ("funding", "Funding (negative: paid)", "gain"),
)
RISK: tuple[Fact, ...] = (
    ("trades", "Closed trades with a stop", "count"),
    ("mean", "Mean, R", "multiple"),
    ("median", "Median, R", "multiple"),
    ("deviation", "Deviation, R", "ratio"),
    ("best", "Best, R", "multiple"),
    ("worst", "Worst, R", "multiple"),
    ("below_minus_one", f"Lost more than their risk (below {MINUS}1)", "share"),
)
EXITS = (
    ("trades", "Trades", "count"),
    ("win_rate", "Won", "share"),
    ("net_profit", "Result", "gain"),
    ("mean_profit", "a trade", "gain"),
    ("mean_hours", "Held, mean", "hours"),
)
CLOCK = EXITS[:4]
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_COLUMNS: tuple[Fact, ...] = (
    ("symbol", "Symbol", "text"),
    ("side", "Side", "side"),
    ("entry_time", "Entry (UTC)", "time"),
    ("exit_time", "Exit (UTC)", "time"),
    ("entry_price", "Entry price", "price"),
    ("initial_stop", "First stop", "level"),
    ("exit_price", "Exit price", "price"),
    ("size", "Size", "price"),
    ("net_profit", "Net profit", "gain"),
    ("r_multiple", "R", "multiple"),
    ("fees", "Fees", "money"),
    ("funding", "Funding", "gain"),
    ("mae", "MAE", "percent"),
    ("mfe", "MFE", "percent"),
    ("bars", "Bars", "count"),
    ("exit_reason", "Closed by", "text"),
)
_OF_STOPS = {"initial_stop", "r_multiple"}  # left out where no trade had one


def sides_section(sides: Mapping[str, Figures], exits: Mapping[str, Figures], money_digits: int) -> str:
    """Long and short trades side by side, and what closed them; empty without a trade."""
    if not sides["all"]["trades"]:
        return ""
    shown = {name.capitalize(): figures for name, figures in sides.items() if figures["trades"]}
    found = "<h2>Trades, long and short</h2>\n" + columns_table("sides", shown, SIDES, money_digits)
    if exits:
        rows = [
            row(reason, [cell(figures[key], kind, money_digits) for key, _, kind in EXITS])
            for reason, figures in exits.items()
        ]
        found += "\n<h3>What closed them</h3>\n" + table("exits", rows, [name for _, name, _ in EXITS])
    return found


def risk_section(sides: Mapping[str, Figures], parts: Sequence[Figures], money_digits: int) -> str:
    """Results in multiples of what each trade risked, and how often each came; empty where no trade had a stop."""
    if not sides:
        return ""
    shown = {name.capitalize(): figures for name, figures in sides.items()}
    trades, mean = (format_figure(sides["all"][key], kind) for key, _, kind in RISK[:2])
    counts = [(_between(part), int(part["trades"] or 0), _kind(part)) for part in parts]
    name = f"Results of {trades} trades in multiples of their risk, mean {mean} R"
    drawn = histogram(name, counts, [_mark(part) for part in parts])
    rows = [row(of, [cell(count, "count")]) for of, count, _ in counts if count]
    return (
        "<h3>In multiples of the risk (R)</h3>\n"
        '<p class="quiet">1 R is what a trade would have lost at its first stop, before costs.</p>\n'
        f"{columns_table('risk', shown, RISK, money_digits)}\n{drawn}\n"
        f"<details><summary>Figures</summary>{table('multiples', rows, ['Trades'])}</details>"
    )


def _between(part: Figures) -> str:
    low, high = (None if bound is None else format_figure(bound, "level") for bound in (part["from"], part["to"]))
    if low is None:
        return f"below {high} R"
    return f"{low} R or more" if high is None else f"{low} to {high} R"


def _kind(part: Figures) -> str:
    return "long" if part["from"] is not None and part["from"] >= 0 else "loss"


def _mark(part: Figures) -> str:
    """What stands below a bar: every second lower bound, to have room."""
    low = part["from"]
    return f"{format_figure(low, 'level')} R" if low is not None and low % 1 == 0 else ""


def clock_section(clock: Mapping[str, Sequence[Figures]], money_digits: int) -> str:
    """Results by hour and weekday of entry, a bar each and the figures behind it; empty without a closed trade."""
    found = []
    for key, title, names in (
        ("weekdays", "By weekday of entry, UTC", dict(enumerate(WEEKDAYS, start=1))),
        ("hours", "By hour of entry, UTC", {hour: f"{hour:02d}:00" for hour in range(24)}),
    ):
        parts = {int(each[key[:-1]] or 0): each for each in clock.get(key, ())}
        if not parts:
            continue
        results = [
            (names[at].removesuffix(":00")[:3], parts[at]["net_profit"] if at in parts else None) for at in names
        ]
        rows = [
            row(names[at], [cell(each[figure], kind, money_digits) for figure, _, kind in CLOCK])
            for at, each in parts.items()
        ]
        drawn = bars(f"Result from {names[min(names)]} to {names[max(names)]}", results, "gain")
        found.append(
            f"<h3>{title}</h3>\n{drawn}\n"
            f"<details><summary>Figures</summary>{table(key, rows, [name for _, name, _ in CLOCK])}</details>"
        )
    return "\n".join(found)


def excursion_section(trades: pd.DataFrame) -> str:
    """How far each closed trade went against and for its side: a point a trade."""
    closed = trades[~trades["is_open"].astype(bool)].tail(MOST_POINTS)
    if closed.empty:
        return ""
    won = closed["net_profit"].to_numpy(dtype="float64") > 0
    mae, mfe = (closed[name].to_numpy(dtype="float64") for name in ("mae", "mfe"))
    points = [
        (float(against), float(towards), "won" if is_won else "lost")
        for against, towards, is_won in zip(mae, mfe, won, strict=True)
    ]
    caption = (
        'a point a trade, <span class="loss">lost</span> or won; furthest price against it to the right, '
        "for it upwards"
    )
    return "<h3>How far they went against and for it</h3>\n" + scatter(
        "MAE and MFE of closed trades", points, caption
    )


def trades_section(trades: pd.DataFrame, money_digits: int) -> str:
    """The last trades, one a row."""
    if trades.empty:
        return "<h2>Trades</h2>\n<p>No trade was made.</p>"
    shown = trades.iloc[-MAX_TRADES:]
    cut = f"The last {MAX_TRADES} of {len(trades):,}" if len(trades) > MAX_TRADES else f"All {len(trades):,}"
    known = {name for name in trades.columns if name not in _OF_STOPS or trades[name].notna().any()}
    columns = [column for column in _COLUMNS if column[0] in known]
    head = "".join(
        f'<th scope="col" class="{"text" if kind in TEXTS else "number"}">{name}</th>' for _, name, kind in columns
    )
    rows = [
        "<tr>" + "".join(cell(each[column], kind, money_digits) for column, _, kind in columns) + "</tr>"
        for each in shown.to_dict("records")
    ]
    caption = f"<caption>{cut} trades, oldest first; money in settlement coin.</caption>"
    content = f"{caption}<thead><tr>{head}</tr></thead>\n<tbody>" + "\n".join(rows) + "</tbody>"
    return f"<h2>List of trades</h2>\n{_download(trades)}\n" + wide("trades", content, "sortable")


def _download(trades: pd.DataFrame) -> str:
    """A link that saves all of them as CSV, which it carries within: it needs neither network nor script."""
    text = trades.to_csv(index=False, date_format="%Y-%m-%d %H:%M:%S", float_format="%.10g", lineterminator="\n")
    symbols = set(trades["symbol"]) if "symbol" in trades.columns else set()
    named = re.sub(r"\W+", "-", f"trades {symbols.pop()}" if len(symbols) == 1 else "trades").strip("-")
    data = b64encode(text.encode()).decode()
    return (
        f'<p class="download"><a download="{named}.csv" href="data:text/csv;charset=utf-8;base64,{data}">'
        f"Save all {len(trades):,} trades as CSV</a></p>"
    )
