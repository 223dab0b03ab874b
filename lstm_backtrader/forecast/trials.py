"""Trials: what was tried on which data, under a key that is the same whenever the same thing is tried again."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field as Bounded
from pydantic import PositiveInt

from lstm_backtrader.candles import COLUMNS, bar_seconds, candles_sha256, open_times
from lstm_backtrader.forecast.manifest import Moment, Strict

DAYS_PER_YEAR = 365
_DIGITS = 8  # of a stored return

Figure = float | int | None


class DailyReturns(Strict):
    """Simple returns of UTC days without a gap."""

    begin: date
    values: tuple[float, ...]

    @classmethod
    def of(cls, returns: pd.Series) -> DailyReturns:
        """Of a Series on consecutive days."""
        return cls(begin=returns.index[0].date(), values=tuple(round(float(each), _DIGITS) for each in returns))

    def series(self) -> pd.Series:
        """As a Series on naive UTC days."""
        days = pd.date_range(self.begin, periods=len(self.values), freq="D", unit="ns")
        return pd.Series(self.values, index=days, dtype="float64")


class Market(Strict):
    """The data that something was tried on."""

    symbol: str  # what the user calls it, the name of the file; may be empty
    timeframe_s: PositiveInt
    data_sha256: str  # of the prices and volumes of all bars there were

    @classmethod
    def of(cls, candles: pd.DataFrame, symbol: str = "") -> Market:
        """Of candles, before anything is cut off them."""
        step = bar_seconds(open_times(candles.index))
        return cls(symbol=symbol, timeframe_s=step, data_sha256=candles_sha256(candles[list(COLUMNS)]))

    def is_same(self, other: Market) -> bool:
        """Bars of one length, and either the very same or of one symbol: a file that grows stays the same data."""
        if self.timeframe_s != other.timeframe_s:
            return False
        return self.data_sha256 == other.data_sha256 or (self.symbol != "" and self.symbol == other.symbol)


class Trial(Strict):
    """One line of the ledger."""

    schema_version: Literal[1] = 1
    kind: str = Bounded(pattern=r"^[a-z-]+$")  # the command that tried it
    key: str  # SHA-256 of all that was chosen
    model: str | None  # key of the training whose forecasts were traded, where it is in the ledger
    recorded: Moment
    market: Market
    config: dict[str, Any]  # what was chosen and is no default; Any as JSON is
    figures: dict[str, Figure]  # what came of it; `sharpe` is annualised by 365 days
    returns: DailyReturns | None = None

    def says_the_same_as(self, other: Trial) -> bool:
        """All but the time of it."""
        return self.model_copy(update={"recorded": other.recorded}) == other


def new_trial(
    kind: str,
    market: Market,
    config: Mapping[str, Any],
    figures: Mapping[str, Figure],
    returns: pd.Series | None = None,
    *,
    model: str | None = None,
) -> Trial:
    """A trial of now. Its key is made of kind, config, model and market; a market has its symbol if it has one.

    `figures` that are not finite become None. `returns`: simple, on consecutive UTC days.
    """
    plain = json.loads(json.dumps(dict(config), default=str))
    where = market.symbol or market.data_sha256
    parts = {"kind": kind, "config": plain, "model": model, "market": where, "timeframe_s": market.timeframe_s}
    return Trial(
        kind=kind,
        key=hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest(),
        model=model,
        recorded=datetime.now(UTC).replace(microsecond=0),
        market=market,
        config=plain,
        figures={name: value if value is None or math.isfinite(value) else None for name, value in figures.items()},
        returns=None if returns is None else DailyReturns.of(returns),
    )


def chosen(config: Any) -> dict[str, Any]:
    """The fields of a dataclass that differ from their defaults, so that an option added later changes no key."""
    given = {each.name: (getattr(config, each.name), _default(each)) for each in fields(config)}
    return {
        name: chosen(value) if is_dataclass(value) else value
        for name, (value, default) in given.items()
        if value != default
    }


def _default(field: Field[Any]) -> object:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return field.default


@dataclass(frozen=True)
class Tries:
    """The tries on one market, this one among them, as the tests of luck need them."""

    number: int  # of configurations
    market: str
    sharpes: NDArray[np.float64]  # (M,) per day, of those that were traded
    days: NDArray[np.float64]  # (M,) of their records, NaN where unknown
    returns: Mapping[str, pd.Series]  # key -> daily returns, of those that have them

    @classmethod
    def on(cls, market: Market, trials: Iterable[Trial]) -> Tries:
        """Count the trials of a market; a training that was traded counts by what traded it."""
        here = {trial.key: trial for trial in trials if trial.market.is_same(market)}
        traded = {trial.model for trial in here.values() if trial.model is not None}
        rated = [
            (value / math.sqrt(DAYS_PER_YEAR), trial.figures.get("days") or math.nan)
            for trial in here.values()
            if (value := trial.figures.get("sharpe")) is not None
        ]
        sharpes, days = np.array(rated, dtype=np.float64).reshape(-1, 2).T
        return cls(
            number=len(here.keys() - traded),
            market=market.symbol or f"data {market.data_sha256[:8]}",
            sharpes=sharpes,
            days=days,
            returns={key: trial.returns.series() for key, trial in here.items() if trial.returns is not None},
        )

    def together(self, days: pd.DatetimeIndex) -> NDArray[np.float64]:
        """(T, N) returns of the tries that have one on each of the days."""
        whole = [
            each.reindex(days).to_numpy()
            for each in self.returns.values()
            if each.index[0] <= days[0] and days[-1] <= each.index[-1]
        ]
        return np.stack(whole, axis=1) if whole else np.zeros((len(days), 0))
