"""Sections of a report on the forecasts that were traded: what the model is, and what its forecasts were worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lstm_backtrader.reporting.drawings import bars, curve, month_name
from lstm_backtrader.reporting.tables import Fact, cell, facts, format_figure, row, table

FORECAST: tuple[Fact, ...] = (
    ("model", "Model", "text"),
    ("first_forecast", "First forecast (UTC)", "text"),
    ("bars", "Bars with a forecast", "count"),
    ("suppressed_bars", "Bars suppressed: the model was trained on them, or has expired", "count"),
    ("in_sample", "Bars forecast although the model was trained on them", "count"),
    ("ic", "IC: correlation of forecast and what followed", "signed"),
    ("seam", "Seam: forecast change where the context restarts, over elsewhere", "ratio"),
    ("threshold", "Forecast from which the signal is \N{PLUS-MINUS SIGN}1", "signed"),
    ("thresholds", "Forecast from which the signal is \N{PLUS-MINUS SIGN}1", "text"),
)
QUALITY: tuple[Fact, ...] = (
    ("horizon", "Horizon, bars", "count"),
    ("bars", "Bars judged", "count"),
    ("independent", "that count as, since they overlap", "count"),
    ("rank_ic", "Rank IC with the return that followed", "signed"),
    ("rank_ic_se", "its standard error", "error"),
    ("hit_rate", "Direction right", "share"),
    ("hit_rate_se", "its standard error", "share"),
    ("base_rate", "Whoever always says the commoner direction", "share"),
    ("auc", "Area under the ROC curve, 0.5 is guessing", "error"),
    ("shuffled_p", "Chance of such a rank IC with the forecasts moved in time (p)", "error"),
)
MORE = (
    "What each feature is worth, whether it has drifted since training, calibrated probabilities, and how ridge "
    "and nets of shuffled labels do on the same bars: <code>lbt evaluate</code>."
)


def forecast_section(summary: Mapping[str, object], quality: Mapping[str, Any] | None) -> str:
    """What the indicator says of itself, and what its forecasts were worth; empty for a run without."""
    told = facts("forecast", summary, FORECAST)
    if not told:
        return ""
    if quality is None:
        return f"<h2>Forecast</h2>\n{told}"
    return "\n".join(
        [
            f"<h2>Forecast</h2>\n{told}",
            "<h3>What the forecasts were worth</h3>\n" + facts("forecast", quality, QUALITY),
            _beside(quality),
            _confusion(quality["confusion"]),
            _parts(quality),
            _months(quality["months"]),
            _decay(quality["horizons"]),
            _probability(quality["probability"]),
            f"<p>{MORE}</p>",
        ]
    )


def _beside(quality: Mapping[str, Any]) -> str:
    own = {"name": "the forecast", "hit_rate": quality["hit_rate"], "rank_ic": quality["rank_ic"]}
    rows = [
        row(each["name"], [cell(each["hit_rate"], "share"), cell(each["rank_ic"], "signed")])
        for each in (own, *quality["beside"])
    ]
    return table("folds", rows, ["Direction right", "Rank IC"], caption="Beside what needs no model")


def _confusion(found: Mapping[str, Mapping[str, int]] | None) -> str:
    if found is None:
        return ""
    rows = []
    for name, counts in found.items():
        known = sum(counts.values())
        share = counts["rise"] / known if known else None
        rows.append(row(name, [cell(counts["rise"], "count"), cell(counts["fall"], "count"), cell(share, "share")]))
    heads = ["Rise followed", "Fall followed", "Rises"]
    return table("folds", rows, heads, caption="Bars by signal and by what followed")


def _parts(quality: Mapping[str, Any]) -> str:
    parts = quality["parts"]
    rows = [
        row(
            f"tenth {number}",
            [
                cell(part["bars"], "count"),
                cell(part["forecast"], "signed"),
                cell(part["return"], "percent"),
                cell(part["return_se"], "share"),
            ],
        )
        for number, part in enumerate(parts, start=1)
    ]
    heads = ["Bars", "Mean forecast", "Mean return", "its SE"]
    drawn = [(f"tenth {number}", part["return"]) for number, part in enumerate(parts, start=1)]
    return bars("Mean return by tenth of the forecast, from the lowest to the highest", drawn, "percent") + table(
        "folds", rows, heads, caption=f"What followed within {quality['horizon']} bars"
    )


def _months(months: list[dict[str, Any]]) -> str:
    drawn = [(month_name(each["month"]), each["rank_ic"]) for each in months]
    rows = [
        row(
            each["month"],
            [cell(each["bars"], "count"), cell(each["rank_ic"], "signed"), cell(each["rank_ic_se"], "error")],
        )
        for each in months
    ]
    return bars("Rank IC by month", drawn) + table("folds", rows, ["Bars", "Rank IC", "its SE"])


def _decay(horizons: list[dict[str, Any]]) -> str:
    rows = [
        row(
            f"{each['horizon']} bar{'s' * (each['horizon'] != 1)}",
            [cell(each["rank_ic"], "signed"), cell(each["rank_ic_se"], "error")],
        )
        for each in horizons
    ]
    return table("folds", rows, ["Rank IC", "its SE"], caption="The same forecast over other horizons")


def _probability(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    rows = [
        row("Brier score of the probability of a rise", [cell(found["brier"], "error")]),
        row("of whoever always says how often it rose", [cell(found["brier_of_base_rate"], "error")]),
        row("Calibration error (ECE)", [cell(found["ece"], "error")]),
        row("of a perfect probability, by chance", [cell(found["ece_by_chance"], "error")]),
    ]
    points = [(each["said"], each["came"]) for each in found["bins"]]
    bins = [
        row(format_figure(each["said"], "share"), [cell(each["came"], "share"), cell(each["bars"], "count")])
        for each in found["bins"]
    ]
    return (
        table("folds", rows, caption="The probability of a rise")
        + curve("Probability of a rise, said against came true", [("equity", points)], "")
        + table("folds", bins, ["Came true", "Bars"], caption="Probability said")
    )
