"""The table of strategies as a page of Markdown: what was traded, the figures, and what they say, counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from lstm_backtrader.reporting.significance import deflated_sharpe, track_of

from .accounts import SEEDS, Account

_METHOD = """
Made by `python -m studies.strategy_table`, which does the same on candles of your own. Two models forecast a day
ahead, each learned from all candles before, with a week and the horizon left out, and retrained every 182 days: one
by the scaled return, one by the triple barriers that its positions then end at. Each strategy trades the bars that
its model had not seen, on an account of its own at 1x, by the model's own threshold. No parameter was fitted; they
are round numbers. Fees are 5 bp a fill and 2 bp for a resting limit, funding is what the venue settled at its mark
price, liquidation looks at the mark price, slippage is not in it.

* *net*: return of the whole span after fees and funding. *Sharpe*: a year, from daily returns; in brackets the
  middle 90 % of the stationary bootstrap.
* *in the market*: share of bars that close with a position. *halts*: how often a guard stopped trading.
* *DSR*: confidence that the true Sharpe ratio is above what the best of all {trials} accounts on this page shows by
  luck, from the scatter of their ratios. Variants of one model are alike, so this many is a strict count.
* *random entries*: as many positions as those of the first line, as long, at times drawn by chance; the middle one
  of {seeds}.
"""

_HEAD = (
    *("strategy", "net", "Sharpe", "drawdown", "trades"),
    *("in the market", "fees paid", "funding received", "halts", "DSR"),
)


@dataclass(frozen=True)
class Row:
    """One strategy's account; `exposure`: share of bars with a position, `halts`: of its guards."""

    account: Account
    exposure: float
    halts: int


@dataclass(frozen=True)
class MarketTable:
    """All strategies on one market; `drawn`: random entries of the first one's turnover, by rising return."""

    market: str
    timeframe: str
    begin: pd.Timestamp
    last: pd.Timestamp
    rows: tuple[Row, ...]
    drawn: tuple[Account, ...]

    def document(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {**asdict(self), "begin": self.begin.isoformat(), "last": self.last.isoformat()}

    @classmethod
    def of(cls, document: dict[str, Any]) -> MarketTable:
        """What `document` gave."""
        return cls(
            **{
                **document,
                "begin": pd.Timestamp(document["begin"]),
                "last": pd.Timestamp(document["last"]),
                "rows": tuple(Row(**{**row, "account": _account(row["account"])}) for row in document["rows"]),
                "drawn": tuple(_account(each) for each in document["drawn"]),
            }
        )

    @property
    def middle(self) -> Account | None:
        """The random entries in the middle."""
        return self.drawn[len(self.drawn) // 2] if self.drawn else None

    @property
    def beaten(self) -> int:
        """How many of the random entries the first strategy ends above."""
        return sum(each.net_return < self.rows[0].account.net_return for each in self.drawn)

    @property
    def accounts(self) -> list[Account]:
        """One a line of the table."""
        return [*(row.account for row in self.rows), *([] if self.middle is None else [self.middle])]


def _account(document: dict[str, Any]) -> Account:
    return Account(**{**document, "daily": tuple(document["daily"])})


def strategy_page(tables: Sequence[MarketTable]) -> str:
    """Markdown of all markets."""
    accounts = [each for table in tables for each in table.accounts]
    tracks = [track for each in accounts if (track := track_of(np.array(each.daily))) is not None]
    variance = float(np.var([track.sharpe for track in tracks], ddof=1)) if len(tracks) > 1 else 0.0
    spans = sorted({f"{table.begin:%Y-%m-%d} to {table.last:%Y-%m-%d}" for table in tables})

    def deflated(each: Account) -> float | None:
        track = track_of(np.array(each.daily))
        return None if track is None else deflated_sharpe(track, len(accounts), variance)

    return "\n".join(
        [
            "# Strategies and baselines on real candles",
            "",
            _summary(tables, sum((deflated(each) or 0.0) > 0.95 for each in accounts)),
            "",
            *_overview(tables),
            _METHOD.format(trials=len(accounts), seeds=SEEDS),
            f"Bars traded: {'; '.join(spans)}.",
            "",
            *[line for table in tables for line in _details(table, deflated)],
        ]
    )


def _summary(tables: Sequence[MarketTable], believed: int) -> str:
    accounts = [each for table in tables for each in table.accounts]
    held = [next((each for each in table.accounts if each.name == "buy and hold"), None) for table in tables]
    above_held = sum(
        each.net_return > other.net_return
        for table, other in zip(tables, held, strict=True)
        if other is not None
        for each in table.accounts
        if each is not other
    )
    beaten = [f"{table.beaten} of {len(table.drawn)} on {table.market}" for table in tables if table.drawn]
    text = (
        f"Of {len(accounts)} accounts {sum(each.net_return > 0 for each in accounts)} end above their start, "
        f"{above_held} above buy and hold of their market; {believed or 'none'} of them with a Sharpe ratio above "
        "what luck explains (DSR over 0.95)."
    )
    if beaten:
        text += f" {tables[0].rows[0].account.name} as it is ends above random entries of its turnover in "
        text += f"{', '.join(beaten)}."
    return text


def _overview(tables: Sequence[MarketTable]) -> list[str]:
    names = list(dict.fromkeys(each.name for table in tables for each in table.accounts))
    lines = [
        f"| net return, Sharpe | {' | '.join(f'{table.market} {table.timeframe}' for table in tables)} |",
        f"|---|{'---|' * len(tables)}",
    ]
    for name in names:
        cells = []
        for table in tables:
            found = next((each for each in table.accounts if each.name == name), None)
            cells.append("-" if found is None else f"{found.net_return:+.1%}, {_number(found.sharpe)}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _details(table: MarketTable, deflated: Callable[[Account], float | None]) -> list[str]:
    rows = [_line(row.account, f"{row.exposure:.0%}", str(row.halts), deflated(row.account)) for row in table.rows]
    if table.middle is not None:
        rows.append(_line(table.middle, "", "", deflated(table.middle)))
    return [
        f"## {table.market}, bars of {table.timeframe}",
        "",
        f"| {' | '.join(_HEAD)} |",
        "|---" * len(_HEAD) + "|",
        *rows,
        "",
    ]


def _line(each: Account, exposure: str, halts: str, confidence: float | None) -> str:
    low, high = each.sharpe_low, each.sharpe_high
    interval = "" if low is None or high is None else f" ({low:.2f} to {high:.2f})"
    cells = (
        each.name,
        f"{each.net_return:+.1%}",
        f"{_number(each.sharpe)}{interval}",
        f"{each.max_drawdown:+.1%}",
        f"{each.trades:,}",
        exposure,
        f"{each.fees:.1%}",
        f"{each.funding:+.1%}",
        halts,
        _number(confidence),
    )
    return f"| {' | '.join(cells)} |"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
