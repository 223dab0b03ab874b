"""The tables of `lbt evaluate`: the figures of an evaluation on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

MOST_FEATURES = 8  # of importance and drift


def evaluation_parts(document: Mapping[str, Any]) -> list[str | Table]:
    """Tables and lines, in the order they are read; `document`: what evaluation.json holds."""
    horizon, span = document["model"]["horizon"], document["span"]
    parts: list[str | Table] = [_forecasters(document["forecasters"]), f"{span['folds']}."]
    control = document["forecasters"].get("shuffled labels")
    if control is not None:
        draws = ", ".join(_number(value, "{:+.4f}") for value in control["draws"])
        parts.append(f"Shuffled labels, each draw: {draws}.")
    parts += [_folds(document["folds"]), _deciles(document["deciles"]), _horizons(document["horizons"], horizon)]
    if document["calibration"] is not None:
        parts += [_calibration(document["calibration"]), _intervals(document["conformal"])]
    if document["importance"] or document["drift"]:
        parts.append(_features(document["importance"], document["drift"]))
    return [*parts, *document["notes"], document["verdict"]["rule"], document["verdict"]["words"]]


def _forecasters(found: Mapping[str, Mapping[str, Any]]) -> Table:
    heads = ("mean fold IC", "its SE", "money IC", "rank IC", "hit rate", "commoner", "R²", "against 0")
    table = _table("forecast", *heads)
    for name, each in found.items():
        table.add_row(
            name,
            _number(each["mean_ic"], "{:+.4f}"),
            _number(each["mean_ic_se"], "{:.4f}"),
            _number(each["money_ic"], "{:+.4f}"),
            _number(each["rank_ic"], "{:+.4f}"),
            _number(each["hit_rate"], "{:.2%}"),
            _number(each["base_rate"], "{:.2%}"),
            _number(each["r2"], "{:+.4f}"),
            each["call"] or "–",
        )
    return table


def _folds(folds: Sequence[Mapping[str, Any]]) -> Table:
    first, *others = folds[0]["ic"]
    table = _table("IC by fold", "bars", first, "its SE", *others)
    for fold in folds:
        table.add_row(
            f"{fold['begin'][:10]} to {fold['last'][:10]}{'' if fold['counts'] else ' *'}",
            f"{fold['bars']:,}",
            _number(fold["ic"][first], "{:+.4f}"),
            _number(fold["ic_se"], "{:.4f}"),
            *(_number(fold["ic"][name], "{:+.4f}") for name in others),
        )
    return table


def _deciles(deciles: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("tenth of the forecasts", "bars", "forecast", "return, in volatilities", "its SE", "return")
    for number, each in enumerate(deciles, start=1):
        table.add_row(
            f"{number}",
            f"{each['bars']:,}",
            f"{each['forecast']:+.4f}",
            f"{each['label']:+.4f}",
            _number(each["label_error"], "{:.4f}"),
            f"{each['move']:+.3%}",
        )
    return table


def _horizons(horizons: Sequence[Mapping[str, Any]], own: int) -> Table:
    first, *others = horizons[0]["ic"]
    table = _table("IC by horizon", first, "its SE", *others)
    for each in horizons:
        table.add_row(
            f"{each['horizon']} bars{' (trained for)' if each['horizon'] == own else ''}",
            _number(each["ic"][first], "{:+.4f}"),
            _number(each["ic_se"], "{:.4f}"),
            *(_number(each["ic"][name], "{:+.4f}") for name in others),
        )
    return table


def _calibration(found: Mapping[str, Any]) -> Table:
    table = _table("probability of a rise", "Brier", "ECE", "ECE by chance")
    for name, each in (("the model's own", found["own"]), (found["method"], found["calibrated"])):
        table.add_row(name, f"{each['brier']:.4f}", f"{each['ece']:.4f}", f"{each['ece_by_chance']:.4f}")
    table.add_row("base rate of validation", f"{found['base_rate_brier']:.4f}", "", "")
    return table


def _intervals(found: Mapping[str, Any]) -> Table:
    table = _table(f"interval, {found['nominal']:.0%} promised", "coverage", "by chance ±", "mean width")
    for name in ("split", "adaptive"):
        each = found[name]
        table.add_row(
            name, _number(each["coverage"], "{:.2%}"), f"{found['coverage_se']:.2%}", f"{each['mean_width']:.3f}"
        )
    return table


def _features(importance: Sequence[Mapping[str, Any]], drift: Sequence[Mapping[str, Any]]) -> Table:
    """The features that matter most, with their drift; where none was permuted those that drifted most."""
    drifts = {each["feature"]: each for each in drift}
    losses = {each["feature"]: each for each in importance}
    table = _table("feature", "IC lost when permuted", "its SE", "PSI", "KS", "since training")
    for name in list(losses or drifts)[:MOST_FEATURES]:
        lost, moved = losses.get(name, {}), drifts.get(name, {})
        table.add_row(
            name,
            _number(lost.get("ic_lost"), "{:+.4f}"),
            _number(lost.get("se"), "{:.4f}"),
            _number(moved.get("psi"), "{:.3f}"),
            _number(moved.get("ks"), "{:.3f}"),
            str(moved.get("word", "–")),
        )
    return table


def _table(*headings: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="left" if number == 0 else "right")
    return table


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)
