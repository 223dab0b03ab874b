"""The figures of a run by plain formulas: 365 days a year, UTC days, an undefined figure is None."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lstm_backtrader.errors import ReportError

DAYS_PER_YEAR = 365
FLAT = 1e-12  # a deviation below this is rounding, not risk
NEAR_MAX = 0.9  # of the highest leverage counts as near it
TAIL = 0.05  # of the days, whose mean is `cvar`

Figures = dict[str, float | int | None]


@dataclass(frozen=True)
class AccountTotals:
    """What an account booked from the first recorded bar to the last, in settlement coin."""

    start_equity: float  # equity before the first recorded bar
    gross_profit_closed: float  # realised price profit before fees and slippage, liquidations included
    profit_open: float  # price profit of what is still open, at the last close, before slippage
    fees: float  # cost, >= 0 unless rebates outweigh it
    funding: float  # + received, - paid
    liquidation_loss: float  # <= 0, part of gross_profit_closed
    other_cash: float  # deposits, withdrawals, interest
    liquidations: int
    turnover: float = 0.0  # worth of all fills, bought and sold
    slippage: float | None = None  # cost; None where the broker does not tell it: then it lowers price profit

    @property
    def booked(self) -> float:
        """What they say that equity changed by."""
        costs = self.fees + (self.slippage or 0.0)
        return self.gross_profit_closed + self.profit_open - costs + self.funding + self.other_cash


def clean_equity(equity: pd.Series) -> pd.Series:
    """Equity as finite float64 on an increasing naive UTC index, missing values dropped.

    `equity`: any frequency, index of times, tz-aware or naive UTC. Raises ReportError when nothing is left,
    when a value is infinite, or when times are missing, unsorted or doubled.
    """
    if not isinstance(equity, pd.Series) or not isinstance(equity.index, pd.DatetimeIndex):
        raise ReportError(
            f"equity must be a pandas Series on a DatetimeIndex, not {type(equity).__name__}. "
            f"Pass one account's equity, e.g. `frame.set_index('open_time')['equity']`."
        )
    index = equity.index
    if index.tz is not None:
        index = index.tz_convert("UTC").tz_localize(None)
    if index.hasnans or not index.is_monotonic_increasing or not index.is_unique:
        raise ReportError("equity needs increasing times without duplicates. Sort it, and keep one value a stamp.")
    clean = pd.Series(equity.to_numpy(dtype="float64", na_value=np.nan), index=index, name="equity").dropna()
    if clean.empty:
        raise ReportError("equity has no value at all. Pass a run that traded at least one bar.")
    if np.isinf(clean.to_numpy()).any():
        raise ReportError(
            f"equity is infinite at {clean.index[np.isinf(clean.to_numpy())][0]}. Mend the returns it comes from."
        )
    return clean


def cut_at_ruin(equity: pd.Series) -> tuple[pd.Series, bool]:
    """`equity` up to its first value <= 0, which becomes 0, and whether there was one."""
    values = equity.to_numpy()
    ruined = values <= 0
    if not ruined.any():
        return equity, False
    return equity.iloc[: int(np.argmax(ruined)) + 1].clip(lower=0.0), True


def daily_returns(equity: pd.Series, start_equity: float | None = None) -> pd.Series:
    """Simple returns by UTC day from equity of any frequency, cut at ruin; days without a bar return 0.

    `start_equity` is the equity before the first bar; by default the first value, so that its day starts
    there.
    """
    clean, _ = cut_at_ruin(clean_equity(equity))
    start = _positive_start(clean, start_equity)
    daily = clean.resample("1D").last().ffill()
    before = daily.shift(1)
    before.iloc[0] = start
    return (daily / before - 1.0).rename("returns")


def return_metrics(equity: pd.Series, start_equity: float | None = None) -> Figures:
    """Return figures of an equity curve alone; drawdown from every value given, the rest from UTC days.

    Sharpe, Sortino and volatility are annualised by 365 with a risk-free rate of 0 and ddof=1; CAGR counts
    days. `cvar` is the mean of the worst 5 % of days, skewness and excess kurtosis are corrected for bias.
    """
    whole = clean_equity(equity)
    clean, ruined = cut_at_ruin(whole)
    start = _positive_start(clean, start_equity)
    daily = daily_returns(clean, start)
    returns = daily.to_numpy()
    total = float(clean.iloc[-1]) / start - 1.0
    drawdown = float(drawdowns(clean, start).min())
    cagr = -1.0 if ruined else _annualised(total, len(returns))
    deviation = float(returns.std(ddof=1)) if len(returns) > 1 else 0.0
    downside = float(np.sqrt(np.mean(np.minimum(returns, 0.0) ** 2)))
    mean, root = float(returns.mean()), float(np.sqrt(DAYS_PER_YEAR))
    return {
        "start_equity": start,
        "final_equity": float(whole.iloc[-1]),
        "total_return": total,
        "cagr": cagr,
        "sharpe": _ratio(mean, deviation, root),
        "sortino": _ratio(mean, downside, root) if deviation > FLAT else None,
        "calmar": None if cagr is None else _ratio(cagr, -drawdown),
        "max_drawdown": drawdown,
        "drawdown_days": _longest_drawdown(clean, start),
        "volatility": deviation * root if len(returns) > 1 else None,
        "best_day": float(returns.max()),
        "worst_day": float(returns.min()),
        "cvar": float(np.sort(returns)[: math.ceil(TAIL * len(returns))].mean()),
        "skewness": cast(float, daily.skew()) if len(returns) > 2 and deviation > FLAT else None,
        "kurtosis": cast(float, daily.kurt()) if len(returns) > 3 and deviation > FLAT else None,
    }


def smallest_amount(money_digits: int) -> float:
    """Half of the last digit shown: 0.005 where money has two, what books may differ from an account."""
    return 0.5 * 10.0**-money_digits


def account_metrics(
    equity: pd.Series, trades: pd.DataFrame, totals: AccountTotals, *, exposure: float, money_digits: int = 2
) -> Figures:
    """Every figure of an account, after checking that its books add up to its equity.

    `equity` (T,): at each bar's close. `trades`: one row a trade, columns `is_open` and `net_profit`.
    `exposure`: share of bars with a position. Raises ReportError if final equity minus start equity differs
    from gross_profit_closed + profit_open - fees - slippage + funding + other_cash by more than half of
    the last of `money_digits`.
    """
    returns = return_metrics(equity, totals.start_equity)
    final = float(clean_equity(equity).iloc[-1])
    difference = final - totals.start_equity - totals.booked
    if abs(difference) > smallest_amount(money_digits):
        changed, explained, apart = (
            f"{amount:.{money_digits + 2}f}" for amount in (final - totals.start_equity, totals.booked, difference)
        )
        raise ReportError(
            f"the books do not add up: equity changed by {changed}, profits, fees and funding by {explained}, a "
            f"difference of {apart}. Record every order of the account (`lbt.run` does), and book deposits through "
            "the broker's `add_cash`."
        )
    closed = trades.loc[~trades["is_open"].astype(bool), "net_profit"].to_numpy(dtype="float64")
    return {
        "start_equity": totals.start_equity,
        "final_equity": final,
        "gross_profit_closed": totals.gross_profit_closed,
        "profit_open": totals.profit_open,
        "fees": totals.fees,
        "slippage": totals.slippage,
        "funding": totals.funding,
        "liquidation_loss": totals.liquidation_loss,
        "other_cash": totals.other_cash,
        **{name: value for name, value in returns.items() if name not in ("start_equity", "final_equity")},
        "exposure": exposure,
        "trades": len(trades),
        "win_rate": float((closed > 0).mean()) if len(closed) else None,
        "profit_factor": _profit_factor(closed),
        "liquidations": totals.liquidations,
    }


def exposure_figures(bars: pd.DataFrame, totals: AccountTotals) -> Figures:
    """What the account carried and how near it came to liquidation, at the closes of the recorder's `bars` (T,).

    `turnover`: worth of all fills over the mean equity. None is what there was no position or futures account for.
    """
    leverage = bars["leverage"].to_numpy(dtype="float64")
    held = leverage[(leverage > 0) & np.isfinite(leverage)]
    distance = bars["liquidation_distance"].to_numpy(dtype="float64")
    ratio = bars["margin_ratio"].to_numpy(dtype="float64")
    distance, ratio = distance[np.isfinite(distance)], ratio[np.isfinite(ratio)]
    mean_equity = float(bars["equity"].mean())
    return {
        "mean_leverage": float(held.mean()) if len(held) else None,
        "max_leverage": float(held.max()) if len(held) else None,
        "time_near_max_leverage": float((held >= NEAR_MAX * held.max()).mean()) if len(held) else None,
        "min_liquidation_distance": float(distance.min()) if len(distance) else None,
        "max_margin_ratio": float(ratio.max()) if len(ratio) else None,
        "turnover": totals.turnover / mean_equity if mean_equity > 0 else None,
    }


def drawdowns(equity: pd.Series, start_equity: float) -> pd.Series:
    """Loss from the highest equity so far (the start included) at each value, in [-1, 0]."""
    peak = np.maximum(np.maximum.accumulate(equity.to_numpy()), start_equity)
    return pd.Series(equity.to_numpy() / peak - 1.0, index=equity.index, name="drawdown")


def equity_from_returns(returns: pd.Series, start_equity: float = 1.0) -> pd.Series:
    """Equity after each simple return (0.01 = 1 %); a missing return leaves the equity as it was."""
    values = returns.to_numpy(dtype="float64", na_value=np.nan)
    if not len(values) or np.isnan(values).all():
        raise ReportError("the returns hold no number at all. Pass one return a period, 0.01 for 1 %.")
    if np.isinf(values).any():
        raise ReportError(
            f"the return at {returns.index[np.isinf(values)][0]} is infinite. Leave it out or mend it."
        )
    growth = np.cumprod(1.0 + np.nan_to_num(values))
    return pd.Series(start_equity * growth, index=returns.index, name="equity")


def _longest_drawdown(equity: pd.Series, start_equity: float) -> float:
    """Days from a peak to the next, or to the end: the longest."""
    days = pd.DatetimeIndex(equity.index).as_unit("ms").asi8 / 86_400_000
    is_peak = equity.to_numpy() >= np.maximum(np.maximum.accumulate(equity.to_numpy()), start_equity)
    since = np.maximum.accumulate(np.where(is_peak, days, days[0]))
    return float((days - since).max())


def _positive_start(clean: pd.Series, start_equity: float | None) -> float:
    start = float(clean.iloc[0]) if start_equity is None else float(start_equity)
    if not start > 0:
        raise ReportError(f"equity must start above zero, not at {start}. Start the account with cash.")
    return start


def _annualised(total_return: float, n_days: int) -> float | None:
    if total_return <= -1.0:
        return -1.0
    exponent = np.log1p(total_return) * DAYS_PER_YEAR / n_days
    return float(np.expm1(exponent)) if exponent < 700 else None  # e^709 is the largest float


def _ratio(numerator: float, denominator: float, factor: float = 1.0) -> float | None:
    return numerator / denominator * factor if denominator > FLAT else None


def _profit_factor(net: NDArray[np.float64]) -> float | None:
    lost = -float(net[net < 0].sum())
    return float(net[net > 0].sum()) / lost if lost > 0 else None
