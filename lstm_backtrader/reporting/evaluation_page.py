"""The page of an evaluation: tables first, then drawings; one HTML document that loads nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from lstm_backtrader.reporting.drawings import bars as drawn_bars
from lstm_backtrader.reporting.drawings import curve, month_name
from lstm_backtrader.reporting.page import document_head
from lstm_backtrader.reporting.provenance import provenance_section
from lstm_backtrader.reporting.tables import format_figure

Row = tuple[str, Sequence[str]]  # its name, and its cells

_KEYS = '<span class="key equity">calibrated</span><span class="key benchmark">the model\'s own</span>'

FORECASTER_COLUMNS = (  # figure, name, how it reads
    ("mean_ic", "Mean fold IC", "signed"),
    ("mean_ic_se", "its SE", "error"),
    ("money_ic", "Money-weighted IC", "signed"),
    ("rank_ic", "Rank IC", "signed"),
    ("hit_rate", "Hit rate", "share"),
    ("base_rate", "Commoner direction", "share"),
    ("r2", "R² against the last price", "signed"),
    ("call", "Against zero", "text"),
)


def render_evaluation(document: Mapping[str, Any], title: str, disclaimer: str) -> str:
    """`document`: what evaluation.json holds."""
    span, verdict = document["span"], document["verdict"]
    notes = "".join(f"<li>{escape(note)}</li>" for note in document["notes"])
    return "\n".join(
        [
            document_head(title),
            f"<header><h1>{escape(title)}</h1>",
            f'<p class="quiet">{_day(span["begin"])} to {_day(span["last"])} UTC, {span["bars"]:,} unseen bars '
            f"that count as {span['independent']:,.0f} independent ones, since labels of "
            f"{document['model']['horizon']} bars overlap. {escape(disclaimer)}</p>",
            f'<p class="verdict">{escape(verdict["words"])}</p>',
            f'<ul class="notes">{notes}</ul>' if notes else "",
            "</header>",
            f"<p>{escape(verdict['rule'])}</p>",
            _forecasters(document),
            _folds(document),
            _deciles(document["deciles"]),
            _horizons(document["horizons"]),
            _calibration(document["calibration"]),
            _intervals(document["conformal"]),
            _importance(document["importance"]),
            _drift(document["drift"]),
            _months(document["months"]),
            provenance_section({"The model": document["model"]}, document["inputs"]),
            "</main>\n</body>\n</html>\n",
        ]
    )


def _forecasters(document: Mapping[str, Any]) -> str:
    rows = [
        (name, [_text(figures[key], form) for key, _, form in FORECASTER_COLUMNS])
        for name, figures in document["forecasters"].items()
    ]
    control = document["forecasters"].get("shuffled labels")
    draws = ""
    if control is not None:
        said = ", ".join(_text(value, "signed") for value in control["draws"])
        draws = (
            f"<p>The control is the mean of {len(control['draws'])} nets trained on shuffled labels: {said}.</p>"
        )
    return (
        "<h2>The forecast and what it is beside</h2>\n"
        + _table([name for _, name, _ in FORECASTER_COLUMNS], rows)
        + f"<p>{escape(document['span']['folds'])}. The money-weighted IC weighs a bar by the size of its return; "
        "the commoner direction is the hit rate of always saying the same.</p>" + draws
    )


def _folds(document: Mapping[str, Any]) -> str:
    folds = document["folds"]
    names = list(folds[0]["ic"])
    rows = []
    for fold in folds:
        ics = [_text(fold["ic"][name], "signed") for name in names]
        mark = "" if fold["counts"] else " *"
        name = f"{_day(fold['begin'])} to {_day(fold['last'])}{mark}"
        rows.append((name, [f"{fold['bars']:,}", ics[0], _text(fold["ic_se"], "error"), *ics[1:]]))
    return "<h2>IC by fold</h2>\n" + _table(["bars", names[0], "its SE", *names[1:]], rows)


def _deciles(deciles: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            f"{number}",
            [
                f"{each['bars']:,}",
                _text(each["forecast"], "signed"),
                _text(each["label"], "signed"),
                _text(each["label_error"], "error"),
                _text(each["move"], "signed percent"),
            ],
        )
        for number, each in enumerate(deciles, start=1)
    ]
    heads = ["bars", "mean forecast", "mean return, in volatilities", "its SE", "mean return"]
    bars = [(f"tenth {number}", each["label"]) for number, each in enumerate(deciles, start=1)]
    return (
        "<h2>What followed each tenth of the forecasts</h2>\n"
        + _table(heads, rows)
        + "<p>From the lowest forecasts to the highest, ranked within each fold; nobody knew those ranks then.</p>"
        + drawn_bars("Mean return by tenth of the forecast, in volatilities", bars)
    )


def _horizons(horizons: Sequence[Mapping[str, Any]]) -> str:
    names = list(horizons[0]["ic"])
    rows = [
        (
            f"{each['horizon']} bar{'s' * (each['horizon'] != 1)}",
            [
                _text(each["ic"][names[0]], "signed"),
                _text(each["ic_se"], "error"),
                *(_text(each["ic"][name], "signed") for name in names[1:]),
            ],
        )
        for each in horizons
    ]
    return "<h2>IC of the same forecast over other horizons</h2>\n" + _table([names[0], "its SE", *names[1:]], rows)


def _calibration(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    own, calibrated = found["own"], found["calibrated"]
    heads = ["Brier score", "ECE", "ECE of a perfect one, by chance"]
    rows = [
        (name, [_text(each["brier"], "error"), _text(each["ece"], "error"), _text(each["ece_by_chance"], "error")])
        for name, each in (("the model's own", own), (found["method"], calibrated))
    ]
    rows.append(("base rate of validation", [_text(found["base_rate_brier"], "error"), "", ""]))
    bins = [
        (f"{_text(each['said'], 'share')}", [_text(each["came"], "share"), f"{each['bars']:,}"])
        for each in calibrated["bins"]
    ]
    curves = [
        ("equity", [(each["said"], each["came"]) for each in calibrated["bins"]]),
        ("benchmark", [(each["said"], each["came"]) for each in own["bins"]]),
    ]
    return (
        "<h2>Does the probability mean what it says?</h2>\n"
        + _table(heads, rows)
        + "<p>Reliability of the calibrated probability of a rise:</p>\n"
        + _table(["came true", "bars"], bins)
        + curve("Said against came true, calibrated and the model's own", curves, _KEYS)
    )


def _intervals(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    rows = [
        (name, [_text(found[name]["coverage"], "share"), _text(found[name]["mean_width"], "ratio")])
        for name in ("split", "adaptive")
    ]
    return (
        "<h2>Does the interval hold what it promises?</h2>\n"
        + _table(["coverage", "mean width, in volatilities"], rows)
        + f"<p>Promised is {_text(found['nominal'], 'share')}; chance moves the measured coverage by "
        f"{_text(found['coverage_se'], 'share')}. <code>lo</code> and <code>hi</code> are those of the "
        f"{escape(found['lo_hi'])} kind.</p>"
    )


def _importance(found: Sequence[Mapping[str, Any]]) -> str:
    if not found:
        return ""
    rows = [(each["feature"], [_text(each["ic_lost"], "signed"), _text(each["se"], "error")]) for each in found]
    return (
        "<h2>What the forecast rests on</h2>\n"
        + _table(["IC lost", "its SE"], rows)
        + "<p>IC lost when blocks of a feature as long as the context change places. Features that say the same "
        "stand in for each other, so each may seem to matter little.</p>"
    )


def _drift(found: Sequence[Mapping[str, Any]]) -> str:
    if not found:
        return ""
    rows = [
        (
            each["feature"],
            [_text(each["psi"], "error"), _text(each["ks"], "error"), _text(each["shift"], "signed"), each["word"]],
        )
        for each in found
    ]
    return (
        "<h2>Have the features moved since training?</h2>\n"
        + _table(["PSI", "KS distance", "shift of the mean, in deviations", ""], rows)
        + "<p>Train bars against unseen ones, of several models the worst. Above 0.25 the population stability "
        "index is usually read as moved.</p>"
    )


def _months(months: Sequence[Mapping[str, Any]]) -> str:
    names = list(months[0]["ic"])
    rows = []
    for each in months:
        ics = [_text(each["ic"][name], "signed") for name in names]
        rows.append((each["month"], [f"{each['bars']:,}", ics[0], _text(each["ic_se"], "error"), *ics[1:]]))
    bars = [(month_name(each["month"]), each["ic"][names[0]]) for each in months]
    return (
        "<h2>IC by month</h2>\n"
        + drawn_bars(f"IC of {names[0]} by month", bars)
        + _table(["bars", names[0], "its SE", *names[1:]], rows)
    )


def _table(heads: Sequence[str], rows: Sequence[Row]) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    body = "\n".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'
        for name, cells in rows
    )
    return (
        f'<div class="wide folds" tabindex="0"><table><thead><tr><td></td>{head}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>\n"
    )


def _text(value: float | str | None, kind: str) -> str:
    """A figure for people; a dash where there is none."""
    if value is None:
        return "–"
    if kind == "error":
        return f"{value:.4f}"
    return format_figure(value, "percent" if kind == "signed percent" else kind)


def _day(time: str) -> str:
    return time[:10]
