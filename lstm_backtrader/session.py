"""One line around `cerebro.run()`: record the run, and write its report when asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import backtrader as bt

from lstm_backtrader.errors import DataError
from lstm_backtrader.indicators.lstm import LSTMSignal
from lstm_backtrader.reporting.recorder import RunRecorder
from lstm_backtrader.reporting.writing import check_place

_BEYOND_THE_DATA = "array assignment index out of range"  # what Backtrader's indicators fail with


def instrument(cerebro: bt.Cerebro) -> bt.Cerebro:
    """Add the recorder to `cerebro`, once however often this is called, and give `cerebro` back."""
    if not any(isinstance(kind, type) and issubclass(kind, RunRecorder) for kind, _, _ in cerebro.analyzers):
        cerebro.addanalyzer(RunRecorder)
    return cerebro


def run(
    cerebro: bt.Cerebro, report: str | Path | None = None, *, title: str | None = None, **run_kwargs: Any
) -> Any:
    """Run `cerebro`, return exactly what `cerebro.run(**run_kwargs)` returns, and write `report` if it is given.

    `report`: a path ending in .html for one page, any other for a directory (page, metrics.json and tables).
    Strategies added side by side trade one account, so they make one report. An optimisation is recorded where a
    report is asked for, and it compares its runs.
    """
    if cerebro._dooptimize and report is None:
        return cerebro.run(**run_kwargs)
    if report is not None:
        check_place(Path(report))
    try:
        results = instrument(cerebro).run(**run_kwargs)
    except IndexError as error:
        _explain_short_data(cerebro, error)
        raise
    for strategy in [] if cerebro._dooptimize else cerebro.runningstrats:
        _warn_of_no_forecast(strategy)
    if report is not None:
        from lstm_backtrader.reporting.report import (
            report as write_report,
        )  # loads QuantStats and matplotlib late

        write_report(results, report, title=title)
    return results


def _warn_of_no_forecast(owner: Any) -> None:
    """Bar by bar an indicator never knows that its last bar has come, so it is asked afterwards."""
    for indicator in owner.getindicators():
        if isinstance(indicator, LSTMSignal):
            indicator.warn_of_none()
        elif isinstance(indicator, bt.Indicator):
            _warn_of_no_forecast(indicator)


def _explain_short_data(cerebro: bt.Cerebro, error: IndexError) -> None:
    """Backtrader's own indicators fail with a bare IndexError on data shorter than their period."""
    for strategy in getattr(cerebro, "runningstrats", ()):  # of other processes it has none
        bars = min(data.buflen() for data in strategy.datas)
        if bars < strategy._minperiod:
            raise DataError(
                f"{type(strategy).__name__} needs {strategy._minperiod} bars before its first next(), the data "
                f"have {bars}. Load more history, or lower the longest period."
            ) from error
    if cerebro._dooptimize and str(error) == _BEYOND_THE_DATA:
        raise DataError(
            "one of the optimised runs needs more bars before its first next() than the data have. Load more "
            "history, or leave out the longest periods."
        ) from error
