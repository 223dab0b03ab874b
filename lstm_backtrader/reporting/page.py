"""One self-contained HTML page of a run: what it made beside its benchmark, its trades, and the tearsheet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape

import pandas as pd

from lstm_backtrader.reporting.chart import CHART_STYLE, equity_chart, trade_chart
from lstm_backtrader.reporting.metrics import Figures

MAX_TRADES = 200
DISCLAIMER = "Past results of a simulation: they promise nothing about the future."

_TEXTS = {"text", "side", "time"}
MINUS = "\N{MINUS SIGN}"
_FORMATS = {
    "money": ",.{digits}f",
    "gain": "+,.{digits}f",
    "percent": "+,.2f",
    "share": ",.2f",
    "ratio": ".2f",
    "signed": "+.4f",
    "count": ",.0f",
    "price": ",.6g",
}

_ROWS = [  # figure, name, how it reads
    ("final_equity", "Final equity", "money"),
    ("total_return", "Total return", "percent"),
    ("cagr", "Return a year (CAGR)", "percent"),
    ("sharpe", "Sharpe ratio (daily, 365)", "ratio"),
    ("sortino", "Sortino ratio (daily, 365)", "ratio"),
    ("calmar", "Calmar ratio", "ratio"),
    ("max_drawdown", "Deepest drawdown (by bar)", "percent"),
    ("volatility", "Volatility a year", "share"),
    ("exposure", "Time with a position", "share"),
    ("trades", "Trades, open ones included", "count"),
    ("win_rate", "Closed trades that won, after costs", "share"),
    ("profit_factor", "Profit factor, after costs", "ratio"),
    ("liquidations", "Liquidations", "count"),
    ("start_equity", "Start equity", "money"),
    ("gross_profit_closed", "+ price profit of closed trades", "gain"),
    ("profit_open", "+ price profit still open", "gain"),
    ("fees", f"{MINUS} fees", "money"),
    ("funding", "+ funding (negative: paid)", "gain"),
    ("other_cash", "+ deposits, interest and the like", "gain"),
    ("liquidation_loss", "lost in liquidations (within price profit)", "gain"),
]
_FORECAST_ROWS = [
    ("model", "Model", "text"),
    ("first_forecast", "First forecast (UTC)", "text"),
    ("bars", "Bars with a forecast", "count"),
    ("suppressed_bars", "Bars suppressed: the model was trained on them, or has expired", "count"),
    ("in_sample", "Bars forecast although the model was trained on them", "count"),
    ("ic", "IC: correlation of forecast and what followed", "signed"),
    ("seam", "Seam: forecast change where the context restarts, over elsewhere", "ratio"),
    ("threshold", "Forecast from which the signal is \N{PLUS-MINUS SIGN}1", "signed"),
    ("thresholds", "Forecast from which the signal is \N{PLUS-MINUS SIGN}1", "text"),
]
_SIMULATION_ROWS = [
    ("contract", "Contract", "text"),
    ("settlement", "Settlement coin", "text"),
    ("leverage", "Leverage", "price"),
    ("margin_mode", "Margin", "text"),
    ("intrabar", "Order of prices inside a bar", "text"),
    ("ambiguous_bars", "Bars in which that order decides how a position ends", "count"),
    ("funding_real", "Funding stamps while holding: rate known, settled", "count"),
    ("funding_mark_imputed", "of them settled at the traded price, no mark price known", "count"),
    ("funding_missing", "Funding stamps while holding: no rate, nothing settled", "count"),
    ("bars_marked", "Bars held, liquidation tried on the mark price", "count"),
    ("bars_unmarked", "Bars held, liquidation tried on the traded price", "count"),
]
_TRADE_COLUMNS = [
    ("symbol", "Symbol", "text"),
    ("side", "Side", "side"),
    ("entry_time", "Entry (UTC)", "time"),
    ("exit_time", "Exit (UTC)", "time"),
    ("entry_price", "Entry price", "price"),
    ("exit_price", "Exit price", "price"),
    ("size", "Size", "price"),
    ("net_profit", "Net profit", "gain"),
    ("fees", "Fees", "money"),
    ("funding", "Funding", "gain"),
    ("bars", "Bars", "count"),
    ("exit_reason", "Closed by", "text"),
]


@dataclass(frozen=True)
class Page:
    """What a page shows; every text is escaped when it is written."""

    title: str
    account: Figures
    equity: pd.Series  # (T,) at each bar's close, settlement coin
    start_equity: float
    benchmark_equity: pd.Series | None = None  # (T,) on the same index
    benchmark: Figures | None = None
    benchmark_name: str = "Benchmark"
    baselines: Mapping[str, Figures] = field(default_factory=dict)
    trades: pd.DataFrame | None = None
    bars: pd.DataFrame | None = None  # (T,) close, position, forecast of `symbol`, to draw the trades on
    symbol: str = ""
    verdict: str = ""
    notes: tuple[str, ...] = ()  # what a reader must know before he believes a figure
    forecast: Mapping[str, object] = field(default_factory=dict)  # what the indicator says of itself
    simulation: Mapping[str, object] = field(default_factory=dict)  # what a futures account rests on
    money_digits: int = 2  # behind the point of an amount
    parameters: Mapping[str, object] = field(default_factory=dict)
    significance: Mapping[str, object] = field(default_factory=dict)  # for metrics.json; its section shows it
    sections: tuple[str, ...] = ()  # HTML shown after the forecast
    tearsheet: str | None = None  # a complete HTML document


def render_page(page: Page) -> str:
    """The page as one HTML document that loads nothing and needs no script."""
    first, last = page.equity.index[0], page.equity.index[-1]
    notes = "".join(f"<li>{escape(note)}</li>" for note in page.notes)
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(page.title)}</title>\n<style>{STYLE}{CHART_STYLE}</style>\n</head>\n<body>\n<main>",
            f"<header><h1>{escape(page.title)}</h1>",
            f'<p class="quiet">{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC, {len(page.equity):,} bars. '
            f"{DISCLAIMER}</p>",
            f'<p class="verdict">{escape(page.verdict)}</p>' if page.verdict else "",
            f'<ul class="notes">{notes}</ul>' if notes else "",
            "</header>",
            equity_chart(page.equity, page.benchmark_equity, page.start_equity, page.money_digits),
            _trade_chart(page),
            "<h2>Account</h2>",
            _account_table(page),
            _facts("forecast", "Forecast", page.forecast, _FORECAST_ROWS),
            *page.sections,
            _facts("simulation", "What the simulation rests on", page.simulation, _SIMULATION_ROWS),
            _trades_section(page.trades, page.money_digits),
            _parameters(page.parameters),
            _tearsheet_section(page.tearsheet),
            "</main>\n</body>\n</html>\n",
        ]
    )


def _trade_chart(page: Page) -> str:
    if page.bars is None or page.trades is None:
        return ""
    threshold = page.forecast.get("threshold")
    return trade_chart(
        page.bars, page.trades, page.symbol, threshold if isinstance(threshold, int | float) else None
    )


def _account_table(page: Page) -> str:
    columns = [("Strategy", page.account)]
    if page.benchmark is not None:
        columns.append((page.benchmark_name, page.benchmark))
    columns.extend(page.baselines.items())
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name, _ in columns)
    rows = []
    for figure, name, kind in _ROWS:
        if not any(figure in figures for _, figures in columns):
            continue
        cells = "".join(
            _cell(figures[figure], kind, page.money_digits) if figure in figures else "<td></td>"
            for _, figures in columns
        )
        split = ' class="split"' if figure == "start_equity" else ""
        rows.append(f'<tr{split}><th scope="row">{escape(name)}</th>{cells}</tr>')
    return _table("account", "", f"<td></td>{head}", rows)


def _facts(kind: str, heading: str, facts: Mapping[str, object], names: list[tuple[str, str, str]]) -> str:
    rows = [
        f'<tr><th scope="row">{escape(name)}</th>{_cell(facts[key], form)}</tr>'
        for key, name, form in names
        if key in facts
    ]
    return f"<h2>{heading}</h2>\n" + _table(kind, "", "", rows) if rows else ""


def _trades_section(trades: pd.DataFrame | None, money_digits: int) -> str:
    if trades is None:
        return ""
    if trades.empty:
        return "<h2>Trades</h2>\n<p>No trade was made.</p>"
    shown = trades.iloc[-MAX_TRADES:]
    cut = f"The last {MAX_TRADES} of {len(trades):,}" if len(trades) > MAX_TRADES else f"All {len(trades):,}"
    columns = [column for column in _TRADE_COLUMNS if column[0] in trades.columns]
    head = "".join(
        f'<th scope="col" class="{"text" if kind in _TEXTS else "number"}">{name}</th>' for _, name, kind in columns
    )
    rows = [
        "<tr>" + "".join(_cell(row[column], kind, money_digits) for column, _, kind in columns) + "</tr>"
        for row in shown.to_dict("records")
    ]
    caption = f"<caption>{cut} trades, oldest first; money in settlement coin.</caption>"
    return "<h2>Trades</h2>\n" + _table("trades", caption, head, rows)


def _parameters(parameters: Mapping[str, object]) -> str:
    if not parameters:
        return ""
    rows = [
        f'<tr><th scope="row">{escape(str(name))}</th><td class="text">{escape(str(value))}</td></tr>'
        for name, value in parameters.items()
    ]
    return f"<details><summary>Parameters and versions</summary>{_table('parameters', '', '', rows)}</details>"


def _table(kind: str, caption: str, head: str, rows: list[str]) -> str:
    top = f"<thead><tr>{head}</tr></thead>" if head else ""
    return (
        f'<div class="wide {kind}" tabindex="0"><table>{caption}{top}\n<tbody>'
        + "\n".join(rows)
        + "</tbody></table></div>"
    )


def _cell(value: object, kind: str, money_digits: int = 2) -> str:
    text = format_figure(value, kind, money_digits)
    falls = kind in {"gain", "percent"} and isinstance(value, int | float) and text.startswith(MINUS)
    classes = " ".join(name for name, applies in (("text", kind in _TEXTS), ("loss", falls)) if applies)
    return f'<td class="{classes}">{escape(text)}</td>' if classes else f"<td>{escape(text)}</td>"


def format_figure(value: object, kind: str, money_digits: int = 2) -> str:
    """A figure for people; `n/a` where it is undefined."""
    # the stubs of pandas know no `object`
    if value is None or (not isinstance(value, str) and pd.isna(value)):  # type: ignore[call-overload]
        return "n/a" if kind not in {"time", "price"} else "open"
    if kind == "time" and isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d %H:%M}"
    if kind == "text" or not isinstance(value, int | float):
        return str(value)
    if kind == "side":
        return "long" if value > 0 else "short"
    unit, factor = (" %", 100) if kind in {"percent", "share"} else ("", 1)
    text = format(value * factor, _FORMATS[kind].format(digits=money_digits)) + unit
    return text.replace("-", MINUS) if any(digit in text for digit in "123456789") else text.lstrip("+-")


def _tearsheet_section(document: str | None) -> str:
    if document is None:
        return ""
    body = re.search(r"<body[^>]*>(.*)</body>", document, flags=re.DOTALL)
    styles = "".join(re.findall(r"<style>(.*?)</style>", document, flags=re.DOTALL))
    content = re.sub(r"<style>.*?</style>", "", body[1] if body else document, flags=re.DOTALL)
    scoped = re.sub(r"\bbody(?=[{,])", ":host", styles.replace("*{white-space:auto !important;}", ""))
    return (
        '<h2>Tearsheet by QuantStats, from daily returns</h2>\n<div class="sheet"><template shadowrootmode="open">'
        f"<style>{scoped}{_SHEET_STYLE}</style>{content}</template></div>"
    )


_SHEET_STYLE = """
:host{display:block;margin:0!important;padding:16px}
.container{display:flow-root;max-width:100%!important}
h1{font-size:20px}h1 dt{display:block!important;margin:0!important}
@media(max-width:1060px){#left,#right{float:none!important;width:100%!important;margin:0!important}
#left svg{height:auto;margin:0!important}}
"""

STYLE = """
:root{color-scheme:light dark;--back:#fff;--text:#1b1f24;--quiet:#59636e;--line:#d1d9e0;--soft:#f6f8fa;
--one:#0969da;--two:#9a6700;--loss:#cf222e}
@media(prefers-color-scheme:dark){:root{--back:#0d1117;--text:#e6edf3;--quiet:#9198a1;--line:#3d444d;
--soft:#151b23;--one:#4493f8;--two:#d29922;--loss:#f85149}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--text);font:15px/1.5 system-ui,sans-serif}
main{max-width:1060px;margin:auto;padding:20px 16px}
h1{font-size:24px;line-height:1.25;margin:0;overflow-wrap:anywhere}
h2{font-size:18px;margin:32px 0 8px}
p{margin:6px 0}
.quiet,caption,.chart span,.dates{color:var(--quiet)}
.verdict{font-size:17px;font-weight:600}
.notes{margin:12px 0;padding:8px 12px 8px 30px;border-left:4px solid var(--two);background:var(--soft)}
.wide{overflow-x:auto}
.trades{max-height:440px;overflow:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:14px;min-width:50%}
caption{text-align:left;font-size:13px;padding:2px 0 6px}
th,td{padding:3px 12px 3px 0;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th[scope=row],th.text,td.text{text-align:left}
th[scope=row]{font-weight:400}
.account th,.forecast th,.simulation th{white-space:normal}
.account thead th{max-width:150px;vertical-align:bottom}
.trades thead th{position:sticky;top:0;background:var(--back)}
.parameters td.text{white-space:normal;overflow-wrap:anywhere}
tr.split th,tr.split td{padding-top:14px}
.curves{display:grid;grid-template-columns:repeat(auto-fill,minmax(220px,1fr));gap:14px}
.curves figure{margin:0}
.curve{position:relative;height:110px;border:1px solid var(--line)}
.curve svg{display:block;width:100%;height:100%;overflow:visible}
.curve i{position:absolute;width:7px;height:7px;margin:-3px;border-radius:50%;background:var(--one)}
.curves figcaption{font-size:12px;padding-top:3px}
.folds th,.luck th{white-space:normal}
.loss{color:var(--loss)}
details{margin:28px 0}
summary{cursor:pointer}
.sheet{border:1px solid var(--line);background:#fff;color:#000;color-scheme:light}
@media print{main{max-width:none;padding:0}.sheet{border:0}.trades{max-height:none}}
"""
