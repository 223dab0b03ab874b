"""Sections of a report on the account: its figures, where the money went, what the simulation rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lstm_backtrader.reporting.drawings import waterfall
from lstm_backtrader.reporting.metrics import Figures
from lstm_backtrader.reporting.segments import Segment
from lstm_backtrader.reporting.sensitivity import Sensitivity
from lstm_backtrader.reporting.tables import (
    MINUS,
    Fact,
    cell,
    columns_table,
    facts,
    format_figure,
    row,
    table,
    wide,
)

ACCOUNT: tuple[Fact, ...] = (
    ("final_equity", "Final equity", "money"),
    ("total_return", "Total return", "percent"),
    ("cagr", "Return a year (CAGR)", "percent"),
    ("sharpe", "Sharpe ratio (daily, 365)", "ratio"),
    ("sortino", "Sortino ratio (daily, 365)", "ratio"),
    ("calmar", "Calmar ratio", "ratio"),
    ("max_drawdown", "Deepest drawdown (by bar)", "percent"),
    ("drawdown_days", "Longest time below a peak, days", "ratio"),
    ("volatility", "Volatility a year", "share"),
    ("best_day", "Best day", "percent"),
    ("worst_day", "Worst day", "percent"),
    ("cvar", "Mean of the worst 5 % of days (CVaR)", "percent"),
    ("skewness", "Skewness of days", "ratio"),
    ("kurtosis", "Excess kurtosis of days", "ratio"),
    ("exposure", "Time with a position", "share"),
    ("mean_leverage", "Leverage while holding, mean", "ratio"),
    ("max_leverage", "Leverage, highest at a close", "ratio"),
    ("time_near_max_leverage", "Time at nine tenths of it or more, while holding", "share"),
    ("min_liquidation_distance", "Nearest a close came to liquidation", "share"),
    ("max_margin_ratio", "Highest margin ratio at a close", "share"),
    ("turnover", "Turnover, times the mean equity", "ratio"),
    ("trades", "Trades, open ones included", "count"),
    ("win_rate", "Closed trades that won, after costs", "share"),
    ("profit_factor", "Profit factor, after costs", "ratio"),
    ("liquidations", "Liquidations", "count"),
    ("start_equity", "Start equity", "money"),
    ("gross_profit_closed", "+ price profit of closed trades", "gain"),
    ("profit_open", "+ price profit still open", "gain"),
    ("fees", f"{MINUS} fees", "money"),
    ("slippage", f"{MINUS} slippage", "money"),
    ("funding", "+ funding (negative: paid)", "gain"),
    ("other_cash", "+ deposits, interest and the like", "gain"),
    ("liquidation_loss", "lost in liquidations (within price profit)", "gain"),
)
_SELDOM = ("slippage", "other_cash")  # left out where they are nothing
SIMULATION: tuple[Fact, ...] = (
    ("contract", "Contract", "text"),
    ("settlement", "Settlement coin", "text"),
    ("leverage", "Leverage", "price"),
    ("margin_mode", "Margin", "text"),
    ("maker_fee", "Fee of a maker, of the notional", "rate"),
    ("taker_fee", "Fee of a taker, of the notional", "rate"),
    ("maintenance", "Maintenance margin, of the notional, in the first tier", "rate"),
    ("intrabar", "Order of prices inside a bar", "text"),
    ("ambiguous_bars", "Bars in which that order decides how a position ends", "count"),
    ("funding_real", "Funding stamps while holding: rate known, settled", "count"),
    ("funding_mark_imputed", "of them settled at the traded price, no mark price known", "count"),
    ("funding_missing", "Funding stamps while holding: no rate, nothing settled", "count"),
    ("bars_marked", "Bars held (shorter ones, where given): liquidation tried on the mark price", "count"),
    ("bars_unmarked", "Bars held (shorter ones, where given): liquidation tried on the traded price", "count"),
)
SEGMENTS = (
    ("total_return", "Return", "percent"),
    ("sharpe", "Sharpe", "ratio"),
    ("sortino", "Sortino", "ratio"),
    ("max_drawdown", "Drawdown", "percent"),
    ("trades", "Trades", "count"),
    ("psr", "PSR", "share"),
)


def account_section(columns: Mapping[str, Figures], money_digits: int) -> str:
    """The account beside what it is compared with. `columns`: name -> figures, the account first."""
    return "<h2>Account</h2>\n" + columns_table("account", columns, ACCOUNT, money_digits, splits=("start_equity",))


def money_section(account: Figures, money_digits: int) -> str:
    """From gross to net: what price, fees, slippage and funding made of the start equity."""
    if "gross_profit_closed" not in account:
        return ""
    steps = [
        (name, sign * float(account[key] or 0.0))
        for key, name, sign in (
            ("gross_profit_closed", "closed price profit", 1),
            ("profit_open", "open price profit", 1),
            ("fees", "fees", -1),
            ("slippage", "slippage", -1),
            ("funding", "funding", 1),
            ("other_cash", "deposits and interest", 1),
        )
        if key not in _SELDOM or abs(float(account[key] or 0.0)) > 0.5 * 10.0**-money_digits
    ]
    ends = ("start", float(account["start_equity"] or 0.0), "final", float(account["final_equity"] or 0.0))
    return "<h2>From gross to net</h2>\n" + waterfall("Where the money went", steps, ends, f",.{money_digits}f")


def simulation_section(simulation: Mapping[str, Any]) -> str:
    """What a futures account rests on, and how well the data covered it."""
    found = facts("simulation", simulation, SIMULATION)
    return f"<h2>What the simulation rests on</h2>\n{found}{_tiers(simulation)}" if found else ""


def _tiers(simulation: Mapping[str, Any]) -> str:
    """The contract's tiers, folded away; empty where there is one."""
    tiers = simulation.get("tiers") or ()
    if len(tiers) < 2:
        return ""
    rows = [
        row(
            format_figure(tier["floor"], "price"),
            [cell(tier["maintenance"], "rate"), cell(tier["max_leverage"], "price")],
        )
        for tier in tiers
    ]
    held = table("folds", rows, ["Maintenance margin", "Highest leverage"], caption="From a notional of")
    return f"<details><summary>Maintenance by size of the position</summary>{held}</details>"


def segments_section(found: Sequence[Segment]) -> str:
    """A row a segment; empty for a run that lies in one."""
    if len(found) < 2:
        return ""
    rows = [
        row(
            f"{each.name}, {each.begin:%Y-%m-%d} to {each.last:%Y-%m-%d}",
            [cell(each.bars, "count"), *(cell(each.figures[key], kind) for key, _, kind in SEGMENTS)],
        )
        for each in found
    ]
    return "<h2>By what the model knew</h2>\n" + table(
        "segments", rows, ["Bars", *(name for _, name, _ in SEGMENTS)]
    )


def sensitivity_section(found: Sensitivity) -> str:
    """Total return at other costs and sizes, coloured by gain and loss."""
    heads = "".join(f'<th scope="col">{size:g} times the size</th>' for size in found.sizes)
    rows = []
    for number, bps in enumerate(found.extra_bps):
        cells = "".join(
            _heat(found.total_return[number, column], is_run=bps == 0 and size == 1)
            for column, size in enumerate(found.sizes)
        )
        rows.append(f'<tr><th scope="row">{bps:g} bp</th>{cells}</tr>')
    head = f'<thead><tr><th scope="col">Extra cost a side</th>{heads}</tr></thead>'
    said = "Nothing was traded, so that no cost matters."
    if found.break_even_bps is not None and found.break_even_bps > 0:
        said = (
            f"An extra cost of {found.break_even_bps:.1f} basis points a side (slippage, say) would have eaten all "
            "the profit, had the sizes stayed as they were."
        )
    elif found.break_even_bps is not None:
        said = "It lost money as it is: no extra cost is needed for that."
    return (
        "<h2>At other costs and sizes</h2>\n"
        f"<p>{said}</p>\n{wide('heat', head + '<tbody>' + ''.join(rows) + '</tbody>')}\n"
        '<p class="quiet">Total return of the same trades, reckoned from the returns of the bars: sizes follow the '
        "equity, and a larger size is ruined only where a bar takes all, not where a venue would have liquidated "
        "before. The outlined cell is the run as it was.</p>"
    )


def _heat(value: float, *, is_run: bool) -> str:
    share = min(abs(value), 1.0) * 55
    colour = "var(--good)" if value >= 0 else "var(--loss)"
    text = "ruin" if value <= -1 else format_figure(float(value), "percent")
    same = ' class="same"' if is_run else ""
    return f'<td{same} style="background:color-mix(in srgb,{colour} {share:.0f}%,var(--back))">{text}</td>'
