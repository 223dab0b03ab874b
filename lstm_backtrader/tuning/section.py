"""What a report says of the search its configuration comes from: in words, and as a table of the best trials."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

SHOWN = 10  # trials
FEATURES = "more features"  # heading of those that a trial has added

OBJECTIVES = {"sharpe": "mean net Sharpe ratio", "ic": "mean IC"}


def sentences(document: Mapping[str, Any]) -> list[str]:
    """How the winner was found, and what its choice by itself makes of its figures."""
    counts, inner, test = document["counts"], document["inner"], document["test"]
    name = OBJECTIVES[document["objective"]]
    whole = counts["trials"] - counts["pruned"] - counts["refused"]
    found = [
        f"{counts['trials']} trials on {len(inner['folds'])} inner folds, {inner['begin']} to {inner['end']}: "
        f"{whole} ran every fold, {counts['pruned']} were given up early, {counts['refused']} cannot be.",
        f"Trial {document['winner']} has the highest {name} of the inner folds, {document['value']:.4g}. It was "
        f"chosen for that, so the figure flatters.",
    ]
    if document["value"] <= 0:
        found.append("That is not above zero: nothing in the space worked on the inner folds.")
    refused = next((each for each in document["trials"] if each["refused"] is not None), None)
    if refused is not None:
        found.append(f"Trial {refused['number']} cannot be: {refused['refused']}")
    luck = document["luck"]
    if luck["dsr"] is not None:
        found.append(
            f"On all their days its Sharpe ratio is {luck['sharpe']:.2f}; the best of luck in {luck['tries']:,} "
            f"tries would show {luck['luckiest_sharpe']:.2f}, and it is above that with a confidence of "
            f"{luck['dsr']:.1%} (DSR)."
        )
    found.append(f"No trial has seen a bar from {test['begin']} on, where the winner is judged.")
    if test["looks"] > 1:
        found.append(
            f"{test['looks']} winners have been judged there by now, and only the first look was blind: the more "
            f"often one looks, the more the test span is a fold like the others."
        )
    return found


def best_first(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The trials that ran every fold, the winner first."""
    whole = [each for each in document["trials"] if each["figures"] is not None and not each["pruned"]]
    return sorted(whole, key=lambda each: (-each["objective"], each["number"]))


COLUMNS = (  # figure, heading, how it reads
    ("sharpe", "Sharpe", ".2f"),
    ("ic", "IC", "+.4f"),
    ("total_return", "return", "+.1%"),
    ("max_drawdown", "drawdown", ".1%"),
    ("trades", "trades", ",d"),
)


def cells(trial: Mapping[str, Any]) -> list[str]:
    """Number, objective, figures, values and added features of a trial."""
    figures, values = trial["figures"], trial["values"]
    shown = ["–" if figures[name] is None else format(figures[name], form) for name, _, form in COLUMNS]
    chosen = [_written(value) for name, value in values.items() if not name.startswith("+")]
    more = [name[1:] for name, is_there in values.items() if name.startswith("+") and is_there]
    added = [", ".join(more) or "–"] if any(name.startswith("+") for name in values) else []
    return [str(trial["number"]), f"{trial['objective']:+.3f}", *shown, *chosen, *added]


def headings(document: Mapping[str, Any]) -> list[str]:
    """Of the columns of `cells`."""
    names = list(best_first(document)[0]["values"])
    chosen = [name.replace("_", "-") for name in names if not name.startswith("+")]
    added = [FEATURES] if len(chosen) < len(names) else []
    return ["trial", document["objective"], *(heading for _, heading, _ in COLUMNS), *chosen, *added]


def tuning_section(document: Mapping[str, Any]) -> str:
    """HTML."""
    said = "".join(f"<li>{escape(each)}</li>" for each in sentences(document))
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in headings(document))
    rows = []
    for trial in best_first(document)[:SHOWN]:
        first, *others = cells(trial)
        rows.append(
            f'<tr><th scope="row">{first}</th>{"".join(f"<td>{escape(each)}</td>" for each in others)}</tr>'
        )
    more = "".join(f"<li>{escape(each)}</li>" for each in document["luck"]["sentences"])
    return (
        f"<h2>How the configuration was found</h2>\n<ul>{said}</ul>\n"
        f'<div class="wide folds" tabindex="0"><table><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{''.join(rows)}</tbody></table></div>\n"
        f"<p>Of the days of the inner folds, which the winner was chosen by:</p>\n<ul>{more}</ul>"
    )


def _written(value: object) -> str:
    """As briefly as it can be typed."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
