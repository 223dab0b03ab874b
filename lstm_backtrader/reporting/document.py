"""The content of metrics.json: every number of a report under a documented key (docs/report.md)."""

from __future__ import annotations

from typing import Any

from lstm_backtrader.reporting.notes import flags_of
from lstm_backtrader.reporting.run_page import Story
from lstm_backtrader.reporting.writing import plain

SCHEMA = 3  # of metrics.json; raised when a key changes its meaning


def document(story: Story) -> dict[str, Any]:
    """As JSON has it; a part the run has not is null."""
    record = story.record
    held = [story.held_figures[each.name] for each in story.held]
    found: dict[str, Any] = plain(
        {
            "schema": SCHEMA,
            "title": story.title,
            "account": story.account,
            "benchmark": held[0] if held else None,
            "leveraged_benchmark": held[1] if len(held) > 1 else None,
            "baselines": story.baselines,
            "trades": _trades(story) if story.sides else None,
            "halts": None if record is None else [halt._asdict() for halt in record.halts],
            "segments": [each.document() for each in story.segments],
            "significance": story.luck.document(),
            "sensitivity": None if story.sensitivity is None else story.sensitivity.document(),
            "forecast": None if record is None else record.forecast,
            "forecast_quality": story.quality,
            "simulation": None if record is None else record.simulation,
            "notes": [note.text for note in story.notes],
            "flags": flags_of(story.notes),
            "look_ahead": [each.document() for each in story.look_ahead],
            "span": story.span,
            "inputs": story.inputs,
        }
    )
    return found


def _trades(story: Story) -> dict[str, Any]:
    sides = {name: {**figures, "r": story.risk.get(name)} for name, figures in story.sides.items()}
    return {**sides, "exits": story.exits, **story.clock, "r_histogram": story.risk_histogram}
