"""An equity curve from whatever a script has: a Series, a table, a file, returns, or an analyzer of Backtrader."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from lstm_backtrader.errors import ReportError
from lstm_backtrader.reporting.equity_files import read_equity
from lstm_backtrader.reporting.metrics import equity_from_returns

Returns = pd.Series | Mapping[Any, float]


def equity_frame(equity: object, returns: Returns | None) -> tuple[pd.DataFrame, bool]:
    """A frame with the column `equity`, and whether it was made of returns, so that it starts from 1.

    Exactly one of the two is given. `equity`: a Series, a mapping time to equity, a frame with the column `equity`
    (and perhaps `benchmark`), the path of a CSV or Parquet file, or an analyzer `TimeReturn` or `PyFolio` of a run.
    Raises ReportError and DataError.
    """
    if (equity is None) == (returns is None):
        raise ReportError("give either `equity` or `returns`, not both and not neither.")
    if returns is not None:
        return _of_returns(returns), True
    if hasattr(equity, "get_analysis"):
        return _of_returns(_analysed(equity)), True
    if isinstance(equity, str | Path):
        return read_equity(equity), False
    if isinstance(equity, pd.DataFrame):
        if "equity" not in equity.columns:
            raise ReportError(
                f"the frame has no column `equity`, only {', '.join(map(str, equity.columns))}. Rename one "
                "account's column; a report is of one account, others belong to `report(..., baselines=)`."
            )
        return equity, False
    if isinstance(equity, pd.Series):
        return equity.rename("equity").to_frame(), False
    if isinstance(equity, Mapping):
        return pd.Series(dict(equity), dtype="float64", name="equity").to_frame(), False
    raise ReportError(
        "equity is a Series, a frame with the column `equity`, a mapping of times, a file or an analyzer "
        f"TimeReturn or PyFolio, not {type(equity).__name__}."
    )


def _of_returns(returns: Returns) -> pd.DataFrame:
    series = returns if isinstance(returns, pd.Series) else pd.Series(dict(returns), dtype="float64")
    return equity_from_returns(series).to_frame()


def _analysed(analyzer: Any) -> Mapping[Any, float]:
    """The returns by time that a TimeReturn or PyFolio analyzer kept."""
    found = analyzer.get_analysis()
    returns = found.get("returns", found) if isinstance(found, Mapping) else found
    is_by_time = isinstance(returns, Mapping) and all(hasattr(time, "year") for time in returns)
    if not is_by_time:
        raise ReportError(
            f"the analyzer {type(analyzer).__name__} keeps no returns by time. Add bt.analyzers.TimeReturn or "
            "bt.analyzers.PyFolio, or run by `lbt.run`, which records everything."
        )
    if not returns:
        raise ReportError(
            f"the analyzer {type(analyzer).__name__} kept no return: the run was shorter than one of its periods. "
            "Run over a longer span."
        )
    return dict(returns)
