"""What a reader must know before he believes a figure: the sentences and flags at the head of a report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from lstm_backtrader.forecast.quality import SEAM_LIMIT
from lstm_backtrader.reporting.metrics import Figures, cut_at_ruin, smallest_amount
from lstm_backtrader.reporting.recorder import RunRecord

FEW_TRADES = 30
FEW_DAYS = 90


@dataclass(frozen=True)
class Note:
    """A sentence and the flag that stands for it: red where figures may mean nothing, yellow where care is due."""

    flag: str
    text: str
    level: Literal["red", "yellow", "plain"] = "yellow"


def flags_of(notes: Iterable[Note]) -> dict[str, str]:
    """Their flags, name to `red` or `yellow`."""
    return {note.flag: note.level for note in notes if note.level != "plain"}


def verdict(account: Figures, benchmark: Figures | None, benchmark_name: str) -> str:
    """One sentence: what the account made, what the benchmark made."""
    made, deepest = account["total_return"], account["max_drawdown"]
    if made is None or deepest is None:
        return ""
    costs = [name for name in ("fees", "funding") if account.get(name)]
    told = f"After {' and '.join(costs)} the account" if costs else "The account"
    text = f"{told} {'gained' if made >= 0 else 'lost'} {abs(made):.2%}, deepest drawdown {abs(deepest):.2%}"
    other = None if benchmark is None else benchmark["total_return"]
    if other is not None:
        text += f"; {benchmark_name.lower() if benchmark_name == 'Benchmark' else benchmark_name} "
        text += f"{'gained' if other >= 0 else 'lost'} {abs(other):.2%}"
    return text + "."


def account_notes(record: RunRecord, account: Figures) -> tuple[Note, ...]:
    """Notes on a recorded run."""
    trades, totals = record.trades, record.totals
    money = f",.{record.money_digits}f"
    notes = []
    unpriced = int(record.equity["close"].isna().sum())
    if unpriced:
        text = (
            f"Prices are missing on {unpriced:,} of {len(record.equity):,} bars: the account stands there at the "
            "last one known, and no order could be met, nor a liquidation without a mark price."
        )
        notes.append(Note("prices missing", text))
    if not record.has_ledger:
        notes.append(
            Note("no funding, no liquidation", "A stock broker: no funding, no liquidation simulated.", "red")
        )
    elif len(trades) and totals.funding == 0.0:
        notes.append(
            Note(
                "funding is zero",
                "Funding is zero: the data bring no funding rates, or no position was open at their stamps.",
            )
        )
    if totals.liquidations:
        text = f"Liquidations: {totals.liquidations}, at a loss of {-totals.liquidation_loss:{money}}."
        notes.append(Note("liquidated", text, "red"))
    traded = list(dict.fromkeys(trades["symbol"]))
    if len(traded) > 1:
        text = (
            f"{len(traded)} instruments were traded: {', '.join(sorted(traded))}. Price, position, forecast and "
            f"buy and hold are those of {record.symbol}; equity, trades, fees and funding are of all."
        )
        notes.append(Note("several instruments", text, "plain"))
    if record.halts:
        times = f"{len(record.halts)} time{'s' * (len(record.halts) != 1)}"
        guards = ", ".join(dict.fromkeys(halt.guard for halt in record.halts))
        notes.append(Note("guards acted", f"Guards stopped trading {times}: {guards}.", "plain"))
    if record.cheats_on_close:
        text = "Cheat-on-close: market orders fill at the close they were decided on, as no order at a venue can."
        notes.append(Note("cheat on close", text))
    if len(trades) and totals.fees == 0.0:
        notes.append(Note("no fees", "No fees were charged.", "red"))
    open_trades = trades[trades["is_open"]]
    if len(open_trades):
        profit = open_trades["profit_open"].sum()
        text = (
            f"A position is still open: its price profit of {profit:+{money}} is counted, its exit costs are not."
        )
        notes.append(Note("position open", text, "plain"))
    closed = len(trades) - len(open_trades)
    if closed < FEW_TRADES:
        few = (
            f"Only {closed} closed trade{'s' * (closed != 1)}: too few"
            if closed
            else "No trade was closed: nothing"
        )
        text = f"{few} to tell skill from luck."
        notes.append(Note("few trades", text))
    notes.extend((*_no_trade_notes(record), *_idle_notes(record)))
    if abs(totals.other_cash) > smallest_amount(record.money_digits):
        text = f"Deposits, withdrawals or interest of {totals.other_cash:+{money}} are part of the returns."
        notes.append(Note("deposits", text))
    return (
        *equity_notes(record.equity["equity"], account),
        *notes,
        *simulation_notes(record.simulation),
        *forecast_notes(record.forecast),
    )


def _no_trade_notes(record: RunRecord) -> tuple[Note, ...]:
    """Why nothing was traded, where the strategy can tell."""
    if len(record.trades) or record.kept_out is None:
        return ()
    if not record.kept_out:
        return (Note("no trade", "No trade: no bar asked for a position."),)
    bars = record.kept_out.total()
    counts = record.kept_out.most_common()
    by = " and ".join(name if len(counts) == 1 else f"{name} ({count:,})" for name, count in counts)
    text = f"No trade: a position was wanted on {bars:,} bar{'s' * (bars != 1)} and kept out of each, by {by}."
    return (Note("no trade", text),)


def _idle_notes(record: RunRecord) -> tuple[Note, ...]:
    """That nothing was held any more, for the greater part of the run."""
    trades, times = record.trades, record.equity.index
    if not len(trades) or trades["is_open"].any():
        return ()
    last, whole = trades["exit_time"].max(), times[-1] - times[0]
    idle = times[-1] - last
    if 2 * idle <= whole:
        return ()
    text = (
        f"Idle from {last:%Y-%m-%d %H:%M} UTC to the end, {idle / whole:.0%} of the time: no position was held "
        "after that, and figures a year count those days too."
    )
    return (Note("idle", text),)


def simulation_notes(simulation: Mapping[str, Any] | None) -> tuple[Note, ...]:
    """Notes on what a futures account did not find in the data."""
    if simulation is None:
        return ()
    notes = []
    missing, real = simulation["funding_missing"], simulation["funding_real"]
    if real and missing:
        text = (
            f"Funding is incomplete: of {missing + real:,} stamps while holding, {missing:,} have no rate and "
            "settled nothing."
        )
        notes.append(Note("funding incomplete", text))
    marked, unmarked = simulation["bars_marked"], simulation["bars_unmarked"]
    if unmarked:
        shorter = ", shorter ones counted each" if simulation["intrabar"] == "intrabar_candles" else ""
        text = (
            f"No mark price on {unmarked:,} of {marked + unmarked:,} bars held{shorter}: liquidation looked at "
            "traded prices, whose extremes lie further out."
        )
        notes.append(Note("no mark price", text, "plain"))
    if simulation["ambiguous_bars"]:
        text = (
            f"Ambiguous bars: {simulation['ambiguous_bars']:,}. Each could have ended a position in two ways; the "
            f"order of prices inside was taken as {simulation['intrabar']}."
        )
        notes.append(Note("ambiguous bars", text))
    return tuple(notes)


def ambiguity_notes(ambiguity: Mapping[str, Any] | None) -> tuple[Note, ...]:
    """The interval between the orders of prices inside bars that were tried."""
    if ambiguity is None or ambiguity["total_return"] is None:
        return ()
    low, high = ambiguity["total_return"]
    if low == high:
        text = "The order of prices inside bars, taken worst and best, makes no difference to the result."
        return (Note("order inside bars", text, "plain"),)
    text = (
        "The order of prices inside bars is not known; taken worst and best it makes the total return "
        f"{low:+.2%} to {high:+.2%}."
    )
    return (Note("order inside bars", text),)


def equity_notes(equity: pd.Series, account: Figures) -> tuple[Note, ...]:
    """Notes on an equity curve alone."""
    notes = []
    cut, ruined = cut_at_ruin(equity)
    if ruined:
        text = f"RUINED: equity reached zero at {cut.index[-1]:%Y-%m-%d %H:%M} UTC; ratios end there."
        notes.append(Note(f"ruined {cut.index[-1]:%Y-%m-%d}", text, "red"))
    days = (equity.index[-1] - equity.index[0]).days + 1
    if days < FEW_DAYS and account["cagr"] is not None:
        text = f"Only {days} day{'s' * (days != 1)}: figures a year are extrapolated."
        notes.append(Note("short record", text))
    return tuple(notes)


def forecast_notes(forecast: Mapping[str, Any] | None) -> tuple[Note, ...]:
    """Notes on what the forecast indicator says of itself, as far as it says it."""
    if forecast is None:
        return ()
    notes = []
    if "first_forecast" in forecast and _is_missing(forecast["first_forecast"]):
        notes.append(Note("no forecast", "The model gave no forecast on these bars.", "red"))
    suppressed = forecast.get("suppressed_bars")
    if suppressed:
        text = (
            f"Forecasts were suppressed on {suppressed:,} bars the model was trained on; "
            f"the first is of {forecast.get('first_forecast')}."
        )
        notes.append(Note("suppressed bars", text, "plain"))
    in_sample = forecast.get("in_sample")
    if in_sample:
        text = f"IN-SAMPLE: {in_sample:,} bars were forecast by a model that was trained on them."
        notes.append(Note("in-sample", text, "red"))
    seam = forecast.get("seam")
    if isinstance(seam, float) and seam > SEAM_LIMIT:
        text = f"The forecast steps {seam:.2f} times as far where its context restarts; a shorter stride mends it."
        notes.append(Note("seam", text))
    return tuple(notes)


def gap_notes(missing_bars: int, bars: int) -> tuple[Note, ...]:
    """What the data lack."""
    if not missing_bars:
        return ()
    text = (
        f"The data lack {missing_bars:,} bars between the {bars:,} there are: nothing could be traded in the gaps."
    )
    return (Note("gaps in the data", text),)


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
