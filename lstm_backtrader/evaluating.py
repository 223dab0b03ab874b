"""`lbt.evaluate`: judge a model's forecasts on bars it has not seen, and write what was found."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from lstm_backtrader.errors import ReportError
from lstm_backtrader.forecast.evaluation import EvaluateConfig, Evaluation, evaluate_forecast
from lstm_backtrader.forecast.inference import LSTMForecaster
from lstm_backtrader.forecast.rivals import Tick
from lstm_backtrader.forecast.scheduled import ScheduledForecaster
from lstm_backtrader.reporting.evaluation_page import render_evaluation
from lstm_backtrader.reporting.provenance import provenance
from lstm_backtrader.reporting.writing import plain, write_text, write_together

DISCLAIMER = "A forecast's past quality: it promises nothing about the future, and costs are not in it."
PACKAGES = ("lstm-backtrader", "torch", "pandas", "numpy")


def evaluate(
    candles: pd.DataFrame,
    model: str | Path | LSTMForecaster | ScheduledForecaster,
    out: str | Path | None = None,
    config: EvaluateConfig | None = None,
    *,
    begin: pd.Timestamp | None = None,
    end: pd.Timestamp | None = None,
    title: str | None = None,
    inputs: Mapping[str, str] | None = None,
    tick: Tick | None = None,
) -> Evaluation:
    """Judge `model`, a directory or what `lbt.train` and `lbt.walk_forward` give, on bars it has not seen.

    `candles` hold the bars it was trained on too: ridge, the shuffled-label control and the like are trained on the
    same ones. `begin` and `end` (UTC, `end` excluded) narrow what is judged. `out` gets report.html,
    evaluation.json and forecasts.parquet, all of them or none. `inputs` (name -> SHA-256) goes into the JSON.
    Raises `DataError`, `TimeframeError` and `ConfigError` for what cannot be judged.
    """
    folder = None if out is None else Path(out)
    if folder is not None and folder.is_file():
        raise ReportError(f"{folder} is a file. Name a directory for the evaluation.")
    found = evaluate_forecast(candles, model, config, begin=begin, end=end, tick=tick)
    versions = {name: version(name) for name in PACKAGES}
    document = plain({**found.document, "inputs": {**(inputs or {}), **provenance(), "versions": versions}})
    found = Evaluation(document, found.table)
    if folder is not None:
        heading = title or f"{document['model']['name']}: is the forecast any good?"
        html = render_evaluation(document, heading, DISCLAIMER)
        text = json.dumps(document, indent=2, allow_nan=False) + "\n"
        files: dict[Path, Callable[[Path], None]] = {
            folder / "report.html": lambda file: write_text(file, html),
            folder / "evaluation.json": lambda file: write_text(file, text),
            folder / "forecasts.parquet": found.table.to_parquet,
        }
        write_together(files)
    return found
