"""The record of a run: the account bar by bar, its trades and totals, in tables that survive any process."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lstm_backtrader.errors import ReportError
from lstm_backtrader.reporting.metrics import AccountTotals, Figures, account_metrics, exposure_figures
from lstm_backtrader.reporting.tradebook import COLUMNS

EQUITY_COLUMNS = [
    "equity",
    "cash",
    "high",
    "low",
    "close",
    "position",
    "notional",
    "leverage",
    "margin",
    "margin_ratio",
    "liquidation_distance",
    "fees",
    "funding",
    "open_profit",
    "turnover",
    "forecast",
    "prob_up",
]
MS_PER_DAY = 86_400_000
EPOCH = 719_163.0  # 1970-01-01 as Backtrader counts days
WIDTH = 1 + len(EQUITY_COLUMNS)  # of a row, its stamp first


class Halted(NamedTuple):
    """A guard that stopped trading: when it began to, UTC, which, and why."""

    time: pd.Timestamp
    guard: str
    reason: str


@dataclass(frozen=True)
class RunRecord:
    """What a run did, from the first bar its strategy could trade."""

    equity: pd.DataFrame  # (T,) EQUITY_COLUMNS at each bar's close; index open_time, UTC
    trades: pd.DataFrame  # one row a trade, tradebook.COLUMNS; times are bar open times, UTC
    totals: AccountTotals
    has_ledger: bool  # False on a stock broker: funding and liquidation were not simulated
    simulation: dict[str, Any] | None  # what a futures account rests on, see `FuturesBroker.simulation`
    forecast: dict[str, Any] | None  # the indicator's own summary, its keys are the indicator's
    strategy: str
    params: dict[str, str]
    symbol: str
    halts: tuple[Halted, ...] = ()  # of strategies that have `halts`, by time
    kept_out: Counter[str] | None = None  # of strategies that have it: bars by what kept a position out
    cheats_on_close: bool = False  # the broker fills at the very close an order was decided on

    @property
    def is_inverse(self) -> bool:
        return self.simulation is not None and self.simulation["kind"] == "inverse"

    @property
    def money_digits(self) -> int:
        """Digits behind the point of an amount in the settlement coin."""
        return 2 if self.simulation is None else int(self.simulation["money_digits"])

    @property
    def exposure(self) -> float:
        """Share of bars that close with a position."""
        return float((self.equity["notional"] > 0).mean())

    def metrics(self) -> Figures:
        """The account's figures, checked against its books."""
        account = account_metrics(
            self.equity["equity"],
            self.trades,
            self.totals,
            exposure=self.exposure,
            money_digits=self.money_digits,
        )
        return {**account, **exposure_figures(self.equity, self.totals)}

    def check_prices(self) -> None:
        """Raise ReportError where a fill had no price: nothing of the account is a number from there."""
        trades = self.trades
        unpriced = trades[trades["entry_price"].isna() | (trades["exit_price"].isna() & ~trades["is_open"])]
        if len(unpriced):
            trade = unpriced.iloc[0]
            is_entry = pd.isna(trade["entry_price"])
            end, time = ("entry", trade["entry_time"]) if is_entry else ("exit", trade["exit_time"])
            raise ReportError(
                f"the {end} of {trade['symbol']} at {time:%Y-%m-%d %H:%M} UTC was filled at a missing price (NaN), "
                "so the account is worth no number from there. Leave bars without prices out of the data, or trade "
                "on FuturesBroker, whose orders wait for a price."
            )


def share_out(rows: list[dict[str, Any]], profit_open: float) -> None:
    """Give what the account says of open profit beyond the trades' price profit to the trade that lost most."""
    still_open = [row for row in rows if row["is_open"]]
    beyond = profit_open - sum(row["profit_open"] for row in still_open)
    if still_open and beyond:
        row = min(still_open, key=lambda row: float(row["profit_open"]))
        row["profit_open"] += beyond
        row["net_profit"] += beyond


def equity_frame(rows: array[float]) -> pd.DataFrame:
    """Rows one after the other, each a stamp and EQUITY_COLUMNS, as `RunRecord.equity`."""
    values = np.frombuffer(rows, dtype=np.float64).reshape(-1, WIDTH)
    frame = pd.DataFrame(values[:, 1:].copy(), columns=EQUITY_COLUMNS, index=times_of(values[:, 0]))
    frame.index.name = "open_time"
    return frame


def trades_frame(rows: list[dict[str, object]], *, knows_slippage: bool) -> pd.DataFrame:
    """Rows of the trade book, their times in Backtrader's days, as `RunRecord.trades`.

    Slippage is missing, not 0, where the broker did not tell it.
    """
    frame = pd.DataFrame(rows, columns=COLUMNS)
    if not knows_slippage:
        frame["slippage"] = np.nan
    for column in ("entry_time", "exit_time"):
        frame[column] = times_of(frame[column].to_numpy(dtype="float64", na_value=np.nan))
    kinds = {
        "side": "int64",
        "tradeid": "int64",
        "bars": "int64",
        "is_open": "bool",
        "is_liquidation": "bool",
    }
    texts = dict.fromkeys(("symbol", "exit_reason"), "str")
    money = [c for c in COLUMNS if c not in {*kinds, *texts, "entry_time", "exit_time"}]
    return frame.astype({**kinds, **texts, **dict.fromkeys(money, "float64")})


def times_of(stamps: np.ndarray[Any, np.dtype[np.float64]]) -> pd.DatetimeIndex:
    """Backtrader's float days as UTC times; days resolve 10 us, so times are rounded to milliseconds."""
    milliseconds = np.rint((stamps - EPOCH) * MS_PER_DAY)
    return pd.DatetimeIndex(pd.to_datetime(milliseconds, unit="ms", utc=True)).as_unit("us")
