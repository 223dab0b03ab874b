"""One call from candles and a model to a report: the futures account, the strategy and its baselines."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

import pandas as pd

from lstm_backtrader.bookkeeping import record_backtest
from lstm_backtrader.candles import COLUMNS, KNOWN_COLUMNS
from lstm_backtrader.errors import ConfigError, DataError
from lstm_backtrader.forecast.ledger import Ledger
from lstm_backtrader.forecast.protocol import Forecaster
from lstm_backtrader.forecast.trials import Market, chosen
from lstm_backtrader.futures.account import MarginMode
from lstm_backtrader.futures.bar import Intrabar
from lstm_backtrader.futures.broker import FuturesBroker, as_contract
from lstm_backtrader.futures.contract import Contract
from lstm_backtrader.indicators.models import as_forecaster
from lstm_backtrader.reporting.fold_figures import FoldTable, fold_table
from lstm_backtrader.reporting.learning import curves_section, folds_section
from lstm_backtrader.reporting.recorder import run_record
from lstm_backtrader.reporting.report import RunReport, report
from lstm_backtrader.strategies.baselines import BuyAndHold, SmaCross
from lstm_backtrader.trading import PRICE_RULES, LeaveOn, Tick, Trading, check_rules, check_sessions

logger = logging.getLogger(__name__)

_SLOWEST_BASELINE = 168  # bars of warm-up that SmaCross wants


@dataclass(frozen=True)
class BacktestConfig:
    """An account and the rules a forecast is traded by. Fractions: 0.02 is 2 %."""

    contract: str | Contract | None = None  # a preset's name or a contract; None: a large linear venue's first tier
    cash: float | None = None  # in the settlement coin; None: 10,000 dollars, or 1 coin
    leverage: float = 1.0  # of the exchange; notional = leverage * fraction * equity
    margin_mode: MarginMode = "isolated"
    intrabar: Intrabar = "pessimistic"  # which extreme of a bar comes first
    fraction: float = 0.95  # of equity put to work
    stop_loss: float = 0.0  # of the entry price; 0: none
    take_profit: float = 0.0
    trailing: float = 0.0
    trailing_activation: float = 0.0  # gained before the trailing stop begins; 0: at once
    break_even: float = 0.0  # gained before a stop is set at the entry; 0: none
    atr_stop: float = 0.0  # average true ranges of 14 bars; 0: none
    time_limit_bars: int = 0  # 0: none
    before_funding: bool = False  # leave before a stamp at which the position would pay
    leave_on: LeaveOn = "flat"  # what of the signal ends a position
    reenter: bool = False  # after an exit while the signal stays
    long_only: bool = False
    short_only: bool = False
    cooldown_bars: int = 0  # from an exit to the next entry, at least
    hours: str = ""  # of opens to enter at, UTC: "8-19"; empty: all
    weekdays: str = ""  # of opens to enter at, 0 is Monday, UTC: "0-4"; empty: all
    max_funding_rate: float | None = None  # that a new position may pay at a stamp; None: any
    cost_multiple: float = 0.0  # round-trip costs that the expected return is worth; 0: any
    min_probability: float = 0.0  # of the side; 0: any
    sizing: str = "fraction"  # or "notional:5000", "risk:0.01", "volatility:0.3", "kelly:0.25"
    daily_loss: float = 0.0  # of equity, after which trading stops for the day; 0: off
    max_drawdown: float = 0.0  # of equity, after which trading stops for good; 0: off
    consecutive_losses: int = 0  # after which trading pauses for `pause_bars`; 0: off
    pause_bars: int = 24
    fee_bps: float | None = None  # a side; None: 2 bp for makers, 5 bp for takers
    slippage_bps: float = 0.0  # that market orders and stops fill worse, within the bar
    threshold: float | None = None  # |forecast| to act on; None: the model's own
    allow_insample: bool = False

    def __post_init__(self) -> None:
        if self.cash is not None and not (self.cash > 0 and math.isfinite(self.cash)):
            raise ConfigError(f"cash {self.cash:g} must be above 0 and finite. Give the start equity, say 10000.")
        if self.margin_mode not in get_args(MarginMode):
            raise ConfigError(f"margin-mode {self.margin_mode!r} is unknown. Use isolated or cross.")
        if self.intrabar not in get_args(Intrabar):
            raise ConfigError(f"intrabar {self.intrabar!r} is unknown. Use pessimistic or optimistic.")
        as_contract(self.contract)  # raises for one that is unknown
        if not self.leverage >= 1:
            raise ConfigError(
                f"leverage {self.leverage:g} must be 1 or more. To use less of the equity, lower fraction."
            )
        if not 0 < self.fraction <= 1:
            raise ConfigError(
                f"fraction {self.fraction:g} must be in (0, 1]. It is the part of equity put to work."
            )
        for name in PRICE_RULES:
            distance = getattr(self, name)
            if not 0 <= distance < 1:
                raise ConfigError(
                    f"{name.replace('_', '-')} {distance:g} must be in [0, 1). "
                    f"It is a fraction of the price: 0.02 is 2 %."
                )
        check_rules(self)
        if self.fee_bps is not None and not 0 <= self.fee_bps < 1000:
            raise ConfigError(f"fee-bps {self.fee_bps:g} is outside 0 to 1000. 5 is 0.05 % a side.")
        if not 0 <= self.slippage_bps < 1000:
            raise ConfigError(f"slippage-bps {self.slippage_bps:g} is outside 0 to 1000. 2 is 0.02 % a fill.")

    def broker(
        self,
        leverage: float | None = None,
        intrabar: Intrabar | None = None,
        intrabar_candles: pd.DataFrame | None = None,
    ) -> FuturesBroker:
        """A fresh account by these rules, or with another leverage or order of prices inside a bar."""
        fee = None if self.fee_bps is None else self.fee_bps / 10_000
        contract = as_contract(self.contract)
        broker = FuturesBroker(
            contract,
            leverage=self.leverage if leverage is None else leverage,
            cash=self.cash or (10_000.0 if contract.money_digits == 2 else 1.0),
            margin_mode=self.margin_mode,
            intrabar=intrabar or self.intrabar,
            intrabar_candles=intrabar_candles,
            taker_fee=fee,
            maker_fee=fee,
        )
        broker.set_slippage_perc(self.slippage_bps / 10_000)
        return broker


def backtest(
    candles: pd.DataFrame,
    model: str | Path | Forecaster,
    out: str | Path,
    config: BacktestConfig | None = None,
    *,
    begin: pd.Timestamp | None = None,
    end: pd.Timestamp | None = None,
    intrabar_candles: pd.DataFrame | None = None,
    ambiguity: bool = False,
    symbol: str = "",
    title: str | None = None,
    inputs: dict[str, str] | None = None,
    tick: Tick | None = None,
    ledger: Ledger | None = None,
    sections: Sequence[str] = (),
    details: Mapping[str, object] | None = None,
) -> RunReport:
    """Trade `model` on the candles from `begin` to before `end`, and write its report to `out`.

    `begin` defaults to the first bar the model may forecast; bars before it serve as warm-up and are never
    traded. Where there are too few of them, it moves to the end of the warm-up. BuyAndHold at 1x and SmaCross at
    the same leverage trade the same bars on the same account and are shown beside it. `intrabar_candles`: shorter
    candles that say what happened inside the bars. `ambiguity`: run the account both pessimistic and optimistic,
    report `config.intrabar` and show the other beside it; the truth lies between. `inputs` (name -> SHA-256) goes
    into metrics.json. `tick` is called while a run goes on. `ledger`: where this trial is entered; its other trials
    of `symbol` or these candles deflate the Sharpe ratio. None: not counted. `sections` (HTML) and `details` (keys
    of metrics.json) are added to the report's own.
    Raises `ConfigError` and `DataError` for options and spans that cannot be traded.
    """
    config = config or BacktestConfig()
    forecaster = as_forecaster(model)
    typed = (begin, end)
    candles = candles[_columns_read(candles, forecaster)]
    begin = _first_bar(candles, forecaster, begin, config.allow_insample)
    begin = _after_warm_up(candles, forecaster.warmup, begin)
    traded = _span(candles, forecaster.warmup, begin, end)
    check_sessions(config, pd.DatetimeIndex(traded.index))
    bars_before = int((traded.index < begin).sum())

    trading = Trading(traded, begin, config, symbol, intrabar_candles, tick)
    results = trading.follow(forecaster)
    tries = None
    if ledger is not None:
        choices = chosen(config) | _choices(candles, forecaster, typed, config, intrabar_candles)
        tries = record_backtest(ledger, run_record(results), Market.of(candles, symbol), choices, forecaster)
    other: Intrabar = "optimistic" if config.intrabar == "pessimistic" else "pessimistic"
    bounds = {f"the same, {other} inside bars": trading.follow(forecaster, other)} if ambiguity else None
    baselines: dict[str, object] = {"buy and hold 1x, after costs": trading.run(BuyAndHold, leverage=1.0)}
    if bars_before >= _SLOWEST_BASELINE - 1:
        side = " long only" if config.long_only else " short only" if config.short_only else ""
        baselines[f"SMA cross {config.leverage:g}x{side}"] = trading.run(
            SmaCross, long_only=config.long_only, short_only=config.short_only
        )
    parameters = {"model": getattr(forecaster, "name", type(forecaster).__name__), **asdict(config)}
    table = _folds(forecaster, traded, {f"LSTM {config.leverage:g}x": results, **baselines})
    folds = [] if table is None else [folds_section(table)]
    return report(
        results,
        out,
        title=title,
        baselines=baselines,
        bounds=bounds,
        parameters=parameters,
        inputs=inputs,
        sections=[*sections, *folds, curves_section(getattr(forecaster, "history", ()))],
        details={**(details or {}), **({} if table is None else {"walk_forward": table.document()})},
        tries=tries,
    )


def _folds(forecaster: Forecaster, traded: pd.DataFrame, accounts: Mapping[str, object]) -> FoldTable | None:
    """Of a schedule of models: the figures of each; the first account is the one the forecasts were traded on."""
    begins = getattr(forecaster, "begins", None)
    horizon = getattr(forecaster, "horizon", None)
    if begins is None or horizon is None:
        return None
    records = {name: run_record(results) for name, results in accounts.items()}
    equities = {name: (record.totals.start_equity, record.equity["equity"]) for name, record in records.items()}
    forecast = next(iter(records.values())).equity["forecast"]
    return fold_table(begins, horizon, traded, forecast, equities)


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _columns_read(candles: pd.DataFrame, forecaster: Forecaster) -> list[str]:
    """Those of the account and the model; others need not even be possible names of lines."""
    read = {*KNOWN_COLUMNS, *getattr(forecaster, "columns", COLUMNS)}
    return [name for name in candles.columns if name in read]


def _first_bar(
    candles: pd.DataFrame, forecaster: Forecaster, begin: pd.Timestamp | None, allow_insample: bool
) -> pd.Timestamp:
    if begin is None:
        begin = _usual_begin(candles, forecaster, allow_insample)
    if begin > candles.index[-1]:
        raise DataError(
            f"the data end at {candles.index[-1]:%Y-%m-%d %H:%M} UTC, before the first bar to trade "
            f"({begin:%Y-%m-%d %H:%M}). Give later data, or a model trained on less of it."
        )
    return begin


def _usual_begin(candles: pd.DataFrame, forecaster: Forecaster, allow_insample: bool) -> pd.Timestamp:
    """The first bar that the model may forecast."""
    valid_from = None if allow_insample else getattr(forecaster, "valid_from", None)
    first = pd.Timestamp(candles.index[0])
    return first if valid_from is None else max(first, pd.Timestamp(valid_from))


def _choices(
    candles: pd.DataFrame,
    forecaster: Forecaster,
    typed: tuple[pd.Timestamp | None, pd.Timestamp | None],
    config: BacktestConfig,
    intrabar_candles: pd.DataFrame | None,
) -> dict[str, object]:
    """What was chosen besides `config`; a span that was not typed is none, so that data may grow."""
    begin, end = typed
    is_usual = begin is None or begin == _usual_begin(candles, forecaster, config.allow_insample)
    span = {"begin": None if is_usual else begin, "end": end, "intrabar_candles": intrabar_candles is not None}
    return {name: value for name, value in span.items() if value not in (None, False)}


def _after_warm_up(candles: pd.DataFrame, warmup: int, begin: pd.Timestamp) -> pd.Timestamp:
    """`begin`, or the last bar of the warm-up where the data hold less before it."""
    if len(candles) < warmup:
        raise DataError(f"{len(candles)} bars are too few for a warm-up of {warmup}. Give more history.")
    earliest: pd.Timestamp = candles.index[max(warmup, 1) - 1]
    if begin < earliest:
        logger.warning(
            "trading begins at %s UTC, after a warm-up of %d bars; give more history to begin earlier",
            f"{earliest:%Y-%m-%d %H:%M}",
            warmup,
        )
    return pd.Timestamp(max(begin, earliest))


def _span(candles: pd.DataFrame, warmup: int, begin: pd.Timestamp, end: pd.Timestamp | None) -> pd.DataFrame:
    """The bars to trade with the warm-up before them."""
    first = int(candles.index.searchsorted(begin))
    last = len(candles) if end is None else int(candles.index.searchsorted(end))
    if last - first < 2:
        until = candles.index[-1] if end is None else end
        raise DataError(
            f"{max(last - first, 0)} bars lie between {begin:%Y-%m-%d %H:%M} and {until:%Y-%m-%d %H:%M} UTC; "
            f"the data cover {candles.index[0]:%Y-%m-%d} to {candles.index[-1]:%Y-%m-%d}. "
            f"Choose --from and --until inside."
        )
    before = max(warmup, _SLOWEST_BASELINE)
    return candles.iloc[max(0, first - before) : last]
