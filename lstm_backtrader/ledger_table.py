"""What `lbt ledger` shows: a line a trial, and how many tries that makes on each market."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from lstm_backtrader.candles import format_timeframe
from lstm_backtrader.forecast.trials import Figure, Trial, Tries

if TYPE_CHECKING:
    from rich.table import Table

KEY_DIGITS = 8
_WITH_WIDTH = 60  # columns of what a trial was tried with, which takes as many lines as it needs


def trials_table(trials: Iterable[Trial]) -> Table:
    """Oldest first; what is a default is not listed."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for heading in (
        "trial",
        "on",
        "data",
        "bars",
        "what",
        "with",
        "Sharpe",
        "return",
        "validation IC",
        "last tried",
    ):
        right, is_long = heading in ("Sharpe", "return", "validation IC"), heading == "with"
        table.add_column(
            heading,
            justify="right" if right else "left",
            no_wrap=not is_long,
            overflow="fold",
            max_width=_WITH_WIDTH if is_long else None,
        )
    for trial in trials:
        market, figures = trial.market, trial.figures
        table.add_row(
            trial.key[:KEY_DIGITS],
            market.symbol or "–",
            market.data_sha256[:KEY_DIGITS],
            format_timeframe(market.timeframe_s),
            trial.kind if trial.model is None else f"{trial.kind} of {trial.model[:KEY_DIGITS]}",
            _written(trial.config) or "defaults",
            _number(figures.get("sharpe"), ".2f"),
            _number(figures.get("total_return"), "+.2%"),
            _number(figures.get("validation_ic"), "+.4f"),
            f"{trial.recorded:%Y-%m-%d %H:%M}",
        )
    return table


def counts(shown: Sequence[Trial], everything: Sequence[Trial]) -> list[str]:
    """How many tries each market of the trials shown has had, as reports count them."""
    if not shown:
        return ["No trial." if not everything else f"None of {len(everything)} trials is such a one."]
    found: dict[str, str] = {}
    for trial in shown:
        tries = Tries.on(trial.market, everything)
        number = "1 try" if tries.number == 1 else f"{tries.number:,} tries"
        bars = format_timeframe(trial.market.timeframe_s)
        found[f"{tries.market} {bars}"] = f"{tries.market}, bars of {bars}: {number}"
    return [*found.values(), "A training counts by what traded it, and a repeated trial once."]


def _written(config: object) -> str:
    """leverage=3 stop_loss=0.05 train(hidden=32)."""
    if not isinstance(config, dict):
        return str(config)
    parts = (
        f"{name}({_written(value)})" if isinstance(value, dict) else f"{name}={_value(value)}"
        for name, value in config.items()
    )
    return " ".join(parts)


def _value(value: object) -> str:
    """A list parted by commas, a number without needless digits, a midnight as its day."""
    if isinstance(value, list):
        return ",".join(map(_value, value)).replace(", ", ",")
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value).removesuffix(" 00:00:00+00:00")


def _number(value: Figure, form: str) -> str:
    return "–" if value is None else format(value, form)
