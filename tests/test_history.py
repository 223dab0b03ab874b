"""The history of a training: what is kept, and that it comes back."""

import dataclasses
import json

import pytest

from lstm_backtrader.datafeeds.synthetic import MarketShape, synthetic_market
from lstm_backtrader.errors import ModelError
from lstm_backtrader.forecast.history import HISTORY, HistoryRow, finite, history_lines, read_history
from lstm_backtrader.forecast.inference import load_model
from lstm_backtrader.forecast.training import train

ROWS = (HistoryRow(0, 20, 1e-3, 0.5, 0.6, True), HistoryRow(0, 40, 2e-3, None, 0.7, False, "2024-01-01T00:00:00Z"))


def test_rows_come_back_as_they_were_and_each_line_is_json(tmp_path):
    (tmp_path / HISTORY).write_text(history_lines(ROWS))
    assert read_history(tmp_path) == ROWS
    lines = [json.loads(line) for line in (tmp_path / HISTORY).read_text().splitlines()]
    assert "model" not in lines[0]
    assert lines[1]["train_loss"] is None


def test_a_loss_that_is_no_number_is_none():
    assert [finite(value) for value in (0.5, float("nan"), float("inf"))] == [0.5, None, None]


def test_a_line_that_is_no_row_is_named(tmp_path):
    for wrong in ("{", '{"seed": 1}', "[]"):
        (tmp_path / HISTORY).write_text(history_lines(ROWS[:1]) + wrong + "\n")
        with pytest.raises(ModelError, match=r"history.jsonl: line 2 is no row of a training"):
            read_history(tmp_path)


def test_a_model_brings_the_history_of_every_net_and_keeps_it_on_disk(tiny_model, tiny_artefact, tiny_config):
    best = tiny_model.manifest.validation.best_steps
    for seed in (0, 1):
        rows = [row for row in tiny_model.history if row.seed == seed]
        assert [row.step for row in rows] == list(range(2, rows[-1].step + 1, 2))  # 20 evaluations of 40 steps
        assert max(row.step for row in rows if row.is_best) == best[seed]
        lowest = min(rows, key=lambda row: row.validation_loss)
        assert lowest.step == best[seed]
        assert max(row.learning_rate for row in rows) <= tiny_config.learning_rate
    assert read_history(tiny_artefact) == tiny_model.history
    assert load_model(tiny_artefact).history == tiny_model.history


def test_a_model_without_history_writes_none(untrained_model, tmp_path):
    untrained_model().save(tmp_path / "m")
    assert not (tmp_path / "m" / HISTORY).exists()
    assert load_model(tmp_path / "m").history == ()


def test_the_train_loss_falls_where_there_is_something_to_learn(tiny_config):
    market = synthetic_market(4000, seed=1, kappa=1.5, shape=MarketShape(horizon=4, gap=(1, 4), rest=(1, 4)))
    config = dataclasses.replace(tiny_config, seeds=1, steps=120, batch=16, learning_rate=2e-2, patience=20)
    history = train(market.candles, config).history
    assert history[-1].step == 120
    assert history[-1].train_loss < 0.95 * history[0].train_loss
