"""Several runs to be shown side by side: of results, of an optimisation, or of the folders of reports."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from lstm_backtrader.errors import ReportError
from lstm_backtrader.reporting.equity_files import read_equity
from lstm_backtrader.reporting.look_ahead import look_ahead_notes, look_ahead_of
from lstm_backtrader.reporting.metrics import Figures, clean_equity, daily_returns, return_metrics
from lstm_backtrader.reporting.notes import account_notes, flags_of
from lstm_backtrader.reporting.recorder import NeverTradedError, run_record

FEWEST_RUNS = 2


@dataclass(frozen=True)
class ComparedRun:
    """One of them: its figures, and its equity (T,) at each bar's close."""

    name: str
    account: Figures
    equity: pd.Series
    start_equity: float
    parameters: Mapping[str, object] = field(default_factory=dict)
    flags: Mapping[str, str] = field(default_factory=dict)  # of its own report: name to `red` or `yellow`
    coin: str = ""  # its money is of; empty where no account says so
    symbol: str = ""  # of what it traded; empty where the data had no name
    data_sha256: str = ""  # of what it traded; empty where it is not known

    @property
    def daily(self) -> pd.Series:
        """Simple returns by UTC day."""
        return daily_returns(self.equity, self.start_equity)


def is_several(results: object) -> bool:
    """Whether these are many runs: a mapping of names, or what an optimisation returned."""
    return isinstance(results, Mapping) or (
        isinstance(results, list) and bool(results) and isinstance(results[0], list)
    )


def compared_runs(results: object) -> list[ComparedRun]:
    """`results`: a mapping of names to results or equity Series, or what an optimisation returned.

    Runs that never reached `next()` are left out. Raises ReportError for fewer than two, or one that was not
    recorded.
    """
    if isinstance(results, Mapping):
        named, lost = _traded(results)
        runs = [_of(name, each) for name, each in named.items()]
    else:
        records, lost = _traded(dict(enumerate(_listed(results))))
        runs = _named_by_parameters(list(records.values()))
    if lost and len(runs) < FEWEST_RUNS:
        raise ReportError(f"of {len(runs) + len(lost)} runs {len(runs)} can be compared: {lost[0]}")
    return _at_least_two(runs)


def _traded(results: Mapping[Any, object]) -> tuple[dict[str, object], list[NeverTradedError]]:
    """Equity, and results of the runs that reached `next()`; and why the others have none."""
    found: dict[str, object] = {}
    lost = []
    for name, each in results.items():
        try:
            if not isinstance(each, pd.Series):
                run_record(each)
        except NeverTradedError as error:
            lost.append(error)
        else:
            found[str(name)] = each
    return found, lost


def stored_runs(folders: Sequence[str | Path]) -> list[ComparedRun]:
    """Of folders that `lbt backtest` and `lbt.report` wrote, named by the shortest ends that tell them apart."""
    paths = [Path(folder) for folder in folders]
    return _at_least_two([_stored(name, path) for name, path in zip(_short_names(paths), paths, strict=True)])


def _of(name: str, results: object) -> ComparedRun:
    if isinstance(results, pd.Series):
        curve = clean_equity(results)
        return ComparedRun(name, return_metrics(curve), curve, float(curve.iloc[0]))
    return _recorded(name, results)


def _recorded(name: str, results: object) -> ComparedRun:
    record = run_record(results)
    equity, account = clean_equity(record.equity["equity"]), record.metrics()
    notes = (*look_ahead_notes(look_ahead_of(results)), *account_notes(record, account))
    start, coin = record.totals.start_equity, _coin(record.simulation)
    return ComparedRun(
        name, account, equity, start, dict(record.params), flags_of(notes), coin, _symbol(record.symbol)
    )


def _coin(simulation: Mapping[str, Any] | None) -> str:
    return str((simulation or {}).get("settlement", ""))


def _listed(results: object) -> Iterable[object]:
    return results if isinstance(results, list) else [results]


def _symbol(told: object) -> str:
    """Without the number that stands for the name of a data that has none."""
    return "" if told in (None, "data0") else str(told)


def _named_by_parameters(runs: Sequence[object]) -> list[ComparedRun]:
    """By the parameters in which they differ; the strategy's name where they differ in none."""
    records = [run_record(each) for each in runs]
    changed = {
        name
        for record in records
        for name in record.params
        if any(other.params.get(name) != record.params[name] for other in records)
    }
    found: dict[str, ComparedRun] = {}
    for results, record in zip(runs, records, strict=True):
        told = ", ".join(f"{name}={value}" for name, value in record.params.items() if name in changed)
        name = told or record.strategy
        number = 2
        while name in found:
            name, number = f"{told or record.strategy} ({number})", number + 1
        run = _recorded(name, results)
        found[name] = replace(run, parameters={key: record.params[key] for key in record.params if key in changed})
    return list(found.values())


def _stored(name: str, folder: Path) -> ComparedRun:
    file = folder / "metrics.json"
    document = read_document(file)
    if "runs" in document:
        raise ReportError(f"{file} is a comparison. Name the folders of its runs.")
    try:
        account, inputs = document["account"], document["inputs"]
        start = float(account["start_equity"])
        told, flags = dict(inputs.get("parameters") or {}), dict(document.get("flags") or {})
    except (KeyError, TypeError, AttributeError) as error:
        raise ReportError(f"{file} holds no run ({type(error).__name__}: {error}). Report it again.") from error
    equity = clean_equity(read_equity(folder / "equity.parquet")["equity"])
    coin, symbol = _coin(document.get("simulation")), _symbol(inputs.get("symbol"))
    return ComparedRun(
        name, account, equity, start, told, flags, coin, symbol, str(inputs.get("data_sha256") or "")
    )


def read_document(file: Path) -> dict[str, Any]:
    """What a metrics.json holds. Raises ReportError."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ReportError(
            f"{file} cannot be read ({error.strerror}). Name a folder that `lbt backtest --out` or `lbt.report` "
            "wrote."
        ) from error
    except ValueError as error:
        raise ReportError(f"{file} is no JSON ({error}). Report the run again.") from error
    if not isinstance(found, dict) or not ({"account", "runs"} & found.keys()):
        raise ReportError(f"{file} holds no report. Name a folder that `lbt backtest --out` or `lbt.report` wrote.")
    return found


def _short_names(paths: Sequence[Path]) -> list[str]:
    whole = [path.absolute().parts for path in paths]
    if len(set(whole)) < len(whole):
        raise ReportError("a folder is named twice. Name each run once.")
    length = 1
    while len({parts[-length:] for parts in whole}) < len(whole):
        length += 1
    return ["/".join(parts[-length:]) for parts in whole]


def _at_least_two(runs: list[ComparedRun]) -> list[ComparedRun]:
    if len(runs) < FEWEST_RUNS:
        raise ReportError(f"a comparison is of two runs or more, here is {len(runs)}. A single one has `lbt show`.")
    return runs
