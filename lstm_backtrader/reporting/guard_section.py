"""Section of a report on guards: when each stopped trading, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from lstm_backtrader.reporting.recorder import Halted
from lstm_backtrader.reporting.tables import cell, row, table

MAX_HALTS = 200  # listed


def guards_section(halts: Sequence[Halted]) -> str:
    """How often each guard stopped trading, and the last times; empty where none did."""
    if not halts:
        return ""
    shown = halts[-MAX_HALTS:]
    cut = f"The last {MAX_HALTS} of {len(halts):,}" if len(halts) > MAX_HALTS else f"All {len(halts):,}"
    rows = [
        row(f"{halt.time:%Y-%m-%d %H:%M}", [cell(halt.guard, "text"), cell(halt.reason, "text")]) for halt in shown
    ]
    caption = f"{cut} times, oldest first; {count_of(halts)}."
    return "<h2>Guards that stopped trading</h2>\n" + table("guards", rows, ["Guard", "Why"], caption)


def count_of(halts: Sequence[Halted]) -> str:
    """How often each guard did, in words: "daily_loss_limit 3, max_drawdown 1"."""
    return ", ".join(f"{guard} {times}" for guard, times in Counter(halt.guard for halt in halts).most_common())
