"""Beside this package Backtrader's own broker does what it always did.

The figures of `PUBLISHED` are those that Backtrader's own tests assert of its sample data (mementum/backtrader,
tests/test_strategy_unoptimized.py, test_strategy_optimized.py, test_analyzer-sqn.py, test_analyzer-timereturn.py,
test_comminfo.py, test_position.py).
"""

import json
import subprocess
import sys
from pathlib import Path

import backtrader as bt
import pytest
import stock_run

ROOT = Path(__file__).resolve().parents[1]
PUBLISHED = {
    "futures_like": (12795.0, 11795.0),
    "sqn": "0.912550316439",
    "year": 0.2795,
    "buyexec": [
        3643.35, 3801.03, 3872.37, 3863.57, 3845.32, 3656.43, 3542.65, 3639.65, 3799.86, 3840.2, 4047.63, 4052.55,
    ],
    "sellexec": [
        3763.95, 3811.85, 3822.35, 3822.57, 3829.82, 3598.58, 3545.92, 3766.8, 3782.15, 3979.73, 4045.05,
    ],
    "sweep": {5: 14525.8, 7: 15408.2, 9: 14763.9, 18: 14763.9, 19: 13187.1, 22: 13684.4, 28: 13656.1, 44: 12988.1},
}  # fmt: skip


@pytest.fixture(scope="module")
def figures():
    """`figures(how)`: what `stock_run` prints in a fresh process."""
    known = {}

    def ask(how):
        if how not in known:
            command = [sys.executable, str(ROOT / "tests" / "stock_run.py"), *([how] if how else [])]
            done = subprocess.run(
                command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
            known[how] = json.loads(done.stdout)
        return known[how]

    return ask


@pytest.mark.parametrize("how", ["import", "session"])
def test_every_figure_of_every_mode_is_the_one_of_backtrader_alone(figures, how):
    assert figures(how) == figures("")
    assert len(figures("")["modes"]) == 16


@pytest.mark.parametrize("how", ["import", "session"])
def test_the_figures_are_the_published_ones(figures, how):
    for mode in figures(how)["modes"]:
        assert mode["futures_like"] == pytest.approx(PUBLISHED["futures_like"], abs=0.005)
        assert str(mode["sqn"]).startswith(PUBLISHED["sqn"])
        assert mode["year"] == [pytest.approx(PUBLISHED["year"], abs=1e-9)]
        for side in ("buyexec", "sellexec"):
            assert mode["fills"][side] == pytest.approx(PUBLISHED[side], abs=0.005)
    values = {period: value for period, (value, _) in enumerate(figures(how)["sweep"], start=5)}
    assert {period: values[period] for period in PUBLISHED["sweep"]} == pytest.approx(PUBLISHED["sweep"], abs=0.005)


def test_commissions_and_positions_are_backtraders_own():
    stock_run.import_all()

    stock = bt.CommissionInfo(commission=0.5)
    assert (stock.getoperationcost(100, 10), stock.getcommission(100, 10)) == (1000, 500)
    position = bt.Position(size=100, price=10)
    assert stock.profitandloss(position.size, position.price, 5) == -500
    assert stock.cashadjust(100, 10, 5) == 0

    future = bt.CommissionInfo(commission=0.5, margin=10, mult=10)
    assert (future.getoperationcost(100, 10), future.getvalue(position, 10)) == (1000, 1000)
    assert future.getcommission(100, 10) == 50
    assert (future.profitandloss(100, 10, 5), future.cashadjust(100, 10, 5)) == (-5000, -5000)

    position = bt.Position(size=10, price=10.0)
    assert position.update(5, 12.5) == (15, pytest.approx(10.8333333), 5, 0)
    assert position.update(-7, 17.5) == (8, pytest.approx(10.8333333), 0, -7)
    assert position.update(-15, 17.5) == (-7, 17.5, -7, -8)


def test_the_published_cases_beyond_these_hold_too(oracle):
    """All of what is published, where the whole table is at hand."""
    stock_run.import_all()
    figures = stock_run.figures(bt.Cerebro.run)
    for case in oracle("bt_golden_smacross"):
        for mode in figures["modes"]:
            if case["id"] == "fills":
                for name in ("buycreate", "sellcreate", "buyexec", "sellexec"):
                    assert mode["fills"][name] == pytest.approx(case[name], abs=0.005)
            if case["id"] == "futures_like":
                assert mode["futures_like"] == pytest.approx(
                    [case["expected_value"], case["expected_cash"]], abs=0.005
                )
        if case["id"] == "sweep":
            value, cash = zip(*figures["sweep"], strict=True)
            assert value == pytest.approx(case["expected_values"], abs=0.005)
            assert cash == pytest.approx(case["expected_cash"], abs=0.005)
    for case in oracle("bt_position_update"):
        position = bt.Position(**case["start"])
        size, price, opened, closed = position.update(**case["update"])
        assert {"size": size, "price": pytest.approx(price), "opened": opened, "closed": closed} == case["expected"]
