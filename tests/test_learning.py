"""The sections of a report on models: folds and learning curves."""

import re

import pandas as pd

from lstm_backtrader.forecast.history import HistoryRow
from lstm_backtrader.reporting.fold_figures import FoldFigures, FoldTable
from lstm_backtrader.reporting.learning import MOST_CURVES, curves_section, folds_section


def rows_of(model=None, seeds=2):
    return [
        HistoryRow(seed, step, 1e-3, 1.0 - step / 100, 0.9 - step / 200 + (step == 60) * 0.2, step != 60, model)
        for seed in range(seeds)
        for step in (20, 40, 60)
    ]


def test_each_net_has_two_curves_and_a_dot_at_the_weights_kept():
    html = curves_section(rows_of())
    assert html.count("<polyline") == 4
    assert html.count("<i style=") == 2
    # losses span 0.8 (train, 20) to 0.4 (train, 60); the best validation loss is 0.7 at step 40
    assert 'style="left:66.7%;top:25.0%"' in html
    assert 'points="333,0 667,500 1000,1000"' in html
    assert "0.4 to 0.8, 60 steps" in html


def test_each_model_has_a_pane_of_its_own_named_by_its_first_day():
    html = curves_section([*rows_of("2024-01-01T00:00:00+00:00"), *rows_of("2024-07-01T00:00:00+00:00")])
    assert re.findall(r"<figcaption[^>]*>(\d{4}-\d\d-\d\d): ", html) == ["2024-01-01", "2024-07-01"]


def test_of_very_many_models_the_newest_are_drawn_and_it_is_said():
    html = curves_section(
        [row for number in range(MOST_CURVES + 3) for row in rows_of(f"{2000 + number}-01-01", 1)]
    )
    assert html.count("<figure>") == MOST_CURVES
    assert f"The newest {MOST_CURVES} of {MOST_CURVES + 3} models." in html
    assert "2000-01-01" not in html


def test_without_a_history_or_a_loss_there_is_no_section():
    assert curves_section(()) == ""
    assert curves_section([HistoryRow(0, 20, 1e-3, None, None, False)]) == ""


def test_a_loss_that_was_no_number_leaves_a_hole():
    rows = [HistoryRow(0, 20, 1e-3, None, 0.5, True), HistoryRow(0, 40, 1e-3, 0.7, None, False)]
    html = curves_section(rows)
    assert 'points="500,1000"' in html
    assert 'points="1000,0"' in html


def test_the_table_of_folds_has_a_row_each_and_escapes_names():
    begin = pd.Timestamp("2024-01-01", tz="UTC")
    fold = FoldFigures(begin, begin + pd.Timedelta("23h"), 24, 0.1234, None, {"a<b": -0.5}, counts=False)
    html = folds_section(FoldTable((fold,), None, None))
    assert "2024-01-01 00:00 to 2024-01-01 23:00 *" in html
    assert '<th scope="col">a&lt;b</th>' in html
    assert "<td>+0.1234</td><td>n/a</td>" in html
    assert "50.00 %" in html
    assert "No fold has an IC." in html
