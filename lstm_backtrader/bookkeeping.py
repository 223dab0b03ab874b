"""What the commands write into the ledger of trials, and what models and reports take from it."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lstm_backtrader.candles import bar_seconds, open_times
from lstm_backtrader.forecast.ledger import Ledger
from lstm_backtrader.forecast.manifest import LedgerEntry
from lstm_backtrader.forecast.trials import Figure, Market, Tries, chosen, new_trial
from lstm_backtrader.reporting.metrics import daily_returns
from lstm_backtrader.reporting.recorder import RunRecord, run_record

if TYPE_CHECKING:
    from lstm_backtrader.forecast.folds import WalkForwardConfig
    from lstm_backtrader.forecast.inference import LSTMForecaster
    from lstm_backtrader.forecast.scheduled import ScheduledForecaster
    from lstm_backtrader.forecast.train_config import TrainConfig


def record_training(
    ledger: Ledger, model: LSTMForecaster, market: Market, config: TrainConfig, until: datetime | None
) -> None:
    """Enter a training, and in the model's manifest where it stands. `until`: the day typed, if one was."""
    validation = model.manifest.validation
    _enter(
        ledger,
        model,
        market,
        "train",
        {**chosen(config), **({} if until is None else {"until": f"{until:%Y-%m-%d}"})},
        {"validation_ic": validation.ic, "validation_loss": validation.loss},
    )


def record_walk_forward(
    ledger: Ledger, model: ScheduledForecaster, market: Market, plan: WalkForwardConfig
) -> None:
    """Enter a walk-forward as the one trial it is, however many models it trained."""
    ics = [ic for each in model.manifest.manifests() if (ic := each.validation.ic) is not None]
    figures = {"models": len(model.models), "validation_ic": float(np.mean(ics)) if ics else None}
    _enter(ledger, model, market, "walk-forward", chosen(plan), figures)


def record_backtest(
    ledger: Ledger, record: RunRecord, market: Market, config: dict[str, Any], forecaster: object
) -> Tries:
    """Enter a run and give all tries on its market. `config`: what was chosen for the account.

    The forecaster is known by the key of its training, else by its weights, else by what it said.
    """
    entry = getattr(getattr(forecaster, "manifest", None), "ledger", None)
    if entry is None:
        said = getattr(forecaster, "fingerprint", None) or _sha256_of_forecasts(record)
        config = {**config, "forecaster": said}
    figures, returns = _figures(record)
    model = None if entry is None else entry.key
    trial = new_trial("backtest", market, config, figures, returns, model=model)
    return Tries.on(market, ledger.record(trial))


def count_trial(results: object, ledger: Ledger | None = None) -> Tries:
    """Enter a run of a strategy of your own, and give all tries on its market for `report(..., tries=)`.

    `results`: what `lbt.run` returned. `ledger`: by default the user's own. The same strategy with the same
    parameters, forecasts and name of its data counts once.
    """
    record = run_record(results)
    times = open_times(record.equity.index)
    prices = record.equity["close"].to_numpy(np.float64).tobytes()
    market = Market(
        symbol=record.symbol,
        timeframe_s=bar_seconds(times),
        data_sha256=hashlib.sha256(times.tobytes() + prices).hexdigest(),
    )
    params = {name: re.sub(r" at 0x[0-9a-f]+", "", value) for name, value in record.params.items()}
    config: dict[str, Any] = {"strategy": record.strategy, **params}
    if record.forecast is not None:
        config["forecaster"] = _sha256_of_forecasts(record)
    trial = new_trial("run", market, config, *_figures(record))
    return Tries.on(market, (ledger or Ledger()).record(trial))


def _figures(record: RunRecord) -> tuple[dict[str, Figure], pd.Series]:
    """Of a run, and its daily returns."""
    figures = record.metrics()
    returns = daily_returns(record.equity["equity"], record.totals.start_equity)
    kept = {name: figures[name] for name in ("sharpe", "total_return", "max_drawdown", "trades")}
    return {"days": len(returns), **kept}, returns


def _enter(
    ledger: Ledger,
    model: LSTMForecaster | ScheduledForecaster,
    market: Market,
    kind: str,
    config: dict[str, Any],
    figures: dict[str, Figure],
) -> None:
    trial = new_trial(kind, market, config, figures)
    so_far = Tries.on(market, ledger.record(trial)).number
    entry = LedgerEntry(key=trial.key, trials=max(so_far, 1))
    model.manifest = model.manifest.model_copy(update={"ledger": entry})


def _sha256_of_forecasts(record: RunRecord) -> str:
    return hashlib.sha256(record.equity["forecast"].to_numpy(np.float64).tobytes()).hexdigest()
