"""A strategy on the account of a config, over one span of candles: what a backtest runs several times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import backtrader as bt
import pandas as pd

from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.forecast.protocol import Forecaster
from lstm_backtrader.futures.bar import Intrabar
from lstm_backtrader.reporting.recorder import RunRecorder
from lstm_backtrader.session import run
from lstm_backtrader.strategies.lstm_futures import LSTMFutures
from lstm_backtrader.strategies.sizing import RiskPerTrade
from lstm_backtrader.written_rules import read_numbers, read_sizing

if TYPE_CHECKING:
    from lstm_backtrader.backtesting import BacktestConfig

Tick = Callable[[str, int, int], None]  # name of the run, bars done, bars in all
LeaveOn = Literal["flat", "flip", "never"]

PRICE_RULES = {
    "stop_loss": "stop_price_pct",
    "take_profit": "take_profit_price_pct",
    "trailing": "trailing_price_pct",
    "trailing_activation": "trailing_activation_price_pct",
    "break_even": "break_even_price_pct",
}
_EQUITY_RULES = {"daily_loss": "daily_loss_equity_pct", "max_drawdown": "max_drawdown_equity_pct"}
_SAME_NAMES = (
    "atr_stop",
    "time_limit_bars",
    "before_funding",
    "leave_on",
    "reenter",
    "long_only",
    "short_only",
    "cooldown_bars",
    "max_funding_rate",
    "cost_multiple",
    "min_probability",
    "consecutive_losses",
    "pause_bars",
)
# of a config -> the strategy's parameter
RULES = PRICE_RULES | _EQUITY_RULES | {name: name for name in _SAME_NAMES}


@dataclass(frozen=True)
class Trading:
    """Candles with the warm-up before them, traded from `begin` on; every run has a fresh account."""

    candles: pd.DataFrame
    begin: pd.Timestamp
    config: BacktestConfig
    symbol: str = ""
    intrabar_candles: pd.DataFrame | None = None
    tick: Tick | None = None

    def run(
        self,
        strategy: type[bt.Strategy],
        leverage: float | None = None,
        intrabar: Intrabar | None = None,
        **params: Any,
    ) -> list[Any]:
        """Trade a strategy by the config, or with another leverage or order of prices inside a bar."""
        begin = self.begin.to_pydatetime()
        cerebro = bt.Cerebro(stdstats=False)
        cerebro.adddata(CandleFeed(self.candles, name=self.symbol))
        cerebro.setbroker(self.config.broker(leverage, intrabar, self.intrabar_candles))
        cerebro.addstrategy(strategy, trade_from=begin, fraction=self.config.fraction, **params)
        cerebro.addanalyzer(RunRecorder, start=begin)
        if self.tick is not None:
            label = f"{strategy.__name__}{'' if intrabar is None else f' {intrabar}'}"
            cerebro.addanalyzer(_Ticker, tick=self.tick, label=label, bars=len(self.candles))
        return list(run(cerebro))

    def follow(self, forecaster: Forecaster, intrabar: Intrabar | None = None) -> list[Any]:
        """Trade the signal of a forecaster."""
        return self.run(LSTMFutures, intrabar=intrabar, **following(self.config, forecaster))


def following(config: BacktestConfig, forecaster: Forecaster) -> dict[str, Any]:
    """Parameters of the strategy that trades a forecaster's signal by the config."""
    signal = {"model": forecaster, "threshold": config.threshold, "allow_insample": config.allow_insample}
    return signal | {parameter: getattr(config, name) for name, parameter in RULES.items()} | _written(config)


def _written(config: BacktestConfig) -> dict[str, Any]:
    """The rules of the config that are text, by the strategy's parameter."""
    return {
        "hours": read_numbers("hours", config.hours, 23, "hours of the day, UTC"),
        "weekdays": read_numbers("weekdays", config.weekdays, 6, "where 0 is Monday"),
        "sizing": read_sizing(config.sizing),
    }


def check_rules(config: BacktestConfig) -> None:
    """Raises `ConfigError`, by the names of the options, for rules that the strategy would not take."""
    known = {each.name: each for each in LSTMFutures.parameters()}
    for name, parameter in RULES.items():
        replace(known[parameter], name=name.replace("_", "-")).check(getattr(config, name))
    if config.long_only and config.short_only:
        raise ConfigError("long-only and short-only together leave nothing to trade. Give one of them.")
    if config.trailing_activation and not config.trailing:
        raise ConfigError("trailing-activation is of a trailing stop. Give trailing, too.")
    if config.pause_bars != known["pause_bars"].default and not config.consecutive_losses:
        raise ConfigError("pause-bars is of a pause after losses. Give consecutive-losses, too.")
    has_stop = config.stop_loss or config.atr_stop or (config.trailing and not config.trailing_activation)
    if isinstance(_written(config)["sizing"], RiskPerTrade) and not has_stop:
        raise ConfigError(
            f"sizing {config.sizing} goes by the distance of a stop that is there from the entry on. Give "
            "stop-loss, atr-stop, or trailing without an activation, too."
        )


def check_sessions(config: BacktestConfig, opens: pd.DatetimeIndex) -> None:
    """Raises `ConfigError` where no bar opens in the hours, or on the weekdays, at which positions are entered."""
    wanted = _written(config)
    for name, there in (("hours", opens.hour), ("weekdays", opens.day_of_week)):
        if wanted[name] and not set(wanted[name]) & set(there):
            known = ", ".join(map(str, sorted(set(there))))
            raise ConfigError(
                f"{name} {getattr(config, name)} leaves no bar to enter at: the bars open at {known} (UTC). Give "
                f"{name} among these, or shorter bars."
            )


class _Ticker(bt.Analyzer):
    """Tells how far a run is, every hundredth of it."""

    params = (("tick", None), ("label", ""), ("bars", 1))

    def start(self) -> None:
        self._done = 0

    def prenext(self) -> None:
        self._advance()

    def next(self) -> None:
        self._advance()

    def _advance(self) -> None:
        self._done += 1
        if self._done % max(1, self.p.bars // 100) == 0 or self._done == self.p.bars:
            self.p.tick(self.p.label, self._done, self.p.bars)
