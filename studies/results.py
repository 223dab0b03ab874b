"""The results of one cell: trained, judged, traded, and kept, so that a run that was stopped goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lstm_backtrader.candles import candles_sha256
from lstm_backtrader.forecast.evaluation import EvaluateConfig, evaluate_forecast
from lstm_backtrader.forecast.folds import WalkForwardConfig
from lstm_backtrader.forecast.trials import chosen
from lstm_backtrader.forecast.walkforward import walk_forward
from lstm_backtrader.reporting.writing import plain, write_text, write_together

from .accounts import trade_forecasts
from .market import Cell

Say = Callable[[str], None]

EDITION = 1  # raised when the method changes, so that older results are not taken for new ones
_TRADED = ("forecast", "ridge", "momentum", "last value", "shuffled labels 1")
_LATER = {"forecast": "LSTM", "shuffled labels 1": "shuffled labels"}


def result_of(cell: Cell, config: WalkForwardConfig, work: Path, say: Say) -> dict[str, Any]:
    """Judgement and accounts of a cell, from `work` where it was computed before.

    `forecasters`, `verdict` and `span` are those of `lbt evaluate`; `accounts` of `Account`.
    """
    settings = {"edition": EDITION, "config": chosen(config), "candles": candles_sha256(cell.candles)}
    key = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()
    file = work / f"{cell.title.replace(' ', '-')}.json"
    if file.exists():
        kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if kept["key"] == key:
            say(f"{cell.title}: kept from before")
            return kept
    say(f"{cell.title}: {len(cell.candles):,} bars, training")
    model = walk_forward(cell.candles, config, folder=work / "models" / cell.title.replace(" ", "-"))
    say(f"{cell.title}: judging {len(model.models)} models beside ridge and shuffled labels")
    judged = evaluate_forecast(cell.candles, model, EvaluateConfig())
    say(f"{cell.title}: trading")
    forecasts = judged.table[[name for name in _TRADED if name in judged.table]].rename(columns=_LATER)
    accounts = trade_forecasts(cell.candles, forecasts)
    wanted = ("span", "verdict", "forecasters", "model")
    document = {
        "key": key,
        "market": cell.name,
        "timeframe": cell.timeframe,
        **{name: judged.document[name] for name in wanted},
        "accounts": [each.document() for each in accounts],
    }
    text = json.dumps(plain(document), indent=1, allow_nan=False) + "\n"
    write_together({file: lambda path: write_text(path, text)})
    return json.loads(text)  # type: ignore[no-any-return]  # as it is read back
