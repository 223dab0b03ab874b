"""The strategies of the table: what each trades, by which rules; none of their parameters was fitted."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import backtrader as bt

from lstm_backtrader.forecast.folds import WalkForwardConfig
from lstm_backtrader.forecast.protocol import Forecaster
from lstm_backtrader.indicators.elliott import ElliottWaves
from lstm_backtrader.strategies import (
    BuyAndHold,
    CappedKelly,
    Confluence,
    ConsecutiveLosses,
    DailyLossLimit,
    ElliottFutures,
    LSTMFutures,
    MaxDrawdown,
    Momentum,
    RiskPerTrade,
    SmaCross,
    StaleData,
    StaleModel,
    VolatilityTarget,
)

STOP, TARGET = 0.02, 0.04  # of the price: the barriers that one of the models learns from
_waves: Any = ElliottWaves  # Backtrader's metaclass takes the parameters, which a type checker cannot see
RETURN, BARRIERS = "scaled return", "triple barrier"  # the models, by their labels


@dataclass(frozen=True)
class Entrant:
    """A strategy with its parameters; `model`: the label of the model it follows, None: it follows none."""

    name: str
    strategy: type[bt.Strategy]
    params: Mapping[str, Any] = field(default_factory=dict)
    model: str | None = None

    def parameters(self, models: Mapping[str, Forecaster]) -> dict[str, Any]:
        """All of them, its model included."""
        return dict(self.params) if self.model is None else {**self.params, "model": models[self.model]}


def plans(base: WalkForwardConfig) -> dict[str, WalkForwardConfig]:
    """How the models are trained: by the return, and by the barriers that a position then ends at."""
    train = base.train
    barriers = dataclasses.replace(
        train,
        horizon=max(2, train.horizon),
        label=f"triple_barrier:stop_price_pct={STOP}:take_profit_price_pct={TARGET}",
        uniqueness=True,
    )
    return {RETURN: base, BARRIERS: dataclasses.replace(base, train=barriers)}


def line_up(horizon: int, bar_s: int) -> tuple[Entrant, ...]:
    """Everything that is traded; `horizon` in bars, of the models; bars of `bar_s` seconds."""

    def lstm(name: str, **params: Any) -> Entrant:
        return Entrant(name, LSTMFutures, params, RETURN)

    guards = (DailyLossLimit(0.03), MaxDrawdown(0.2), ConsecutiveLosses(4, 24), StaleModel(200), StaleData())
    shorter_than_funding = bar_s < 8 * 3600  # else nobody can leave before it
    return (
        lstm("LSTM"),
        lstm("LSTM, long only", long_only=True),
        lstm("LSTM, expects its costs", cost_multiple=1.0),
        lstm("LSTM, twice its costs", cost_multiple=2.0),
        lstm("LSTM, probability 55 %", min_probability=0.55),
        lstm("LSTM, held while its sign stays", leave_threshold=0.0),
        lstm("LSTM, held for its horizon", leave_on="never", time_limit_bars=horizon, reenter=True),
        lstm("LSTM, stop 2 %, target 4 %", stop_price_pct=STOP, take_profit_price_pct=TARGET),
        lstm("LSTM, trailing 3 %", trailing_price_pct=0.03),
        lstm("LSTM, stop 3 ATR", atr_stop=3.0),
        lstm("LSTM, break-even at 1 %", break_even_price_pct=0.01),
        *([lstm("LSTM, out before funding", before_funding=True)] if shorter_than_funding else []),
        lstm("LSTM, confirmed by waves", entries=[Confluence(lambda data: _waves(data).wave, name="waves")]),
        lstm("LSTM, 1 % at risk", sizing=RiskPerTrade(0.01), stop_price_pct=STOP),
        lstm("LSTM, volatility 20 % a year", sizing=VolatilityTarget(0.2)),
        lstm("LSTM, quarter of Kelly", sizing=CappedKelly()),
        lstm("LSTM, guarded", guards=guards),
        Entrant(
            "LSTM of triple barriers",
            LSTMFutures,
            {
                "stop_price_pct": STOP,
                "take_profit_price_pct": TARGET,
                "time_limit_bars": max(2, horizon) - 1,
                "leave_on": "never",
            },
            BARRIERS,
        ),
        Entrant("Elliott waves", ElliottFutures),
        Entrant("SMA cross", SmaCross),
        Entrant("momentum", Momentum),
        Entrant("buy and hold", BuyAndHold),
    )
