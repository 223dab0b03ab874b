"""The futures arithmetic against worked examples of the venues, and against its own laws."""

import doctest
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_backtrader.errors import ConfigError
from lstm_backtrader.futures import rules
from lstm_backtrader.futures.contract import Contract
from lstm_backtrader.futures.leg import Leg
from lstm_backtrader.strategies import sizing

GOLD = Path(__file__).parents[2] / "shared" / "oracles" / "futures_gold.json"

sizes = st.floats(1e-3, 1e4) | st.floats(-1e4, -1e-3)
prices = st.floats(1e-2, 1e6)
leverages = st.floats(1.0, 100.0)


def gold_cases(start):
    """Inputs, expected and tolerance of the worked examples whose formula begins so."""
    if not GOLD.exists():
        pytest.skip(f"worked examples are not there: {GOLD.name}")
    cases = [case for case in json.loads(GOLD.read_text())["cases"] if case["formula"].startswith(start)]
    assert cases, start
    return [(case["inputs"], pytest.approx(case["expected"], abs=case["tolerance"])) for case in cases]


@pytest.mark.parametrize("module", [rules, sizing])
def test_the_examples_in_the_docstrings_hold(module):
    outcome = doctest.testmod(module)

    assert outcome.attempted > 0
    assert outcome.failed == 0


def test_liquidation_prices_are_those_of_binances_worked_examples():
    for i, expected in gold_cases("LP=(WB"):
        margin = i["WB"] - i["TMM1"] + i["UPNL1"]
        size = i["side"] * i["qty"]
        assert rules.liquidation_price(size, i["entry"], margin, i["MMR"], deduction=i["cumB"]) == expected


@pytest.mark.parametrize("formula", ["linear isolated LP=(margin", "linear isolated: solve"])
def test_venues_that_count_the_closing_fee_liquidate_earlier(formula):
    for i, expected in gold_cases(formula):
        price = rules.liquidation_price(
            i["dir"] * i["size"],
            i["entry"],
            i["margin"],
            i["MMR"],
            deduction=i.get("maintAmount", 0.0),
            closing_fee=i["taker"],
        )
        assert price == expected


def test_profits_are_those_of_bybits_worked_examples():
    for i, expected in gold_cases("linear PnL"):
        assert rules.profit(i["side"] * i["qty"], i["entry"], i["exit"]) == expected


def test_the_average_entry_is_that_of_bybits_worked_example():
    for i, expected in gold_cases("linear average entry"):
        leg = Leg()
        for size, price in zip(i["q"], i["p"], strict=True):
            leg.increase(size, price, margin=0.0)
        assert leg.entry == expected


def test_maintenance_margins_are_those_of_the_recorded_tiers():
    for i, expected in gold_cases("MM="):
        assert rules.maintenance_margin(1.0, i["notional"], i["MMR"], i["cum"]) == expected


def test_funding_and_fees_are_those_of_recorded_accounts():
    for i, expected in gold_cases("funding = qty*mark*rate"):
        assert -rules.funding_payment(i["qty"], i["mark"], i["rate"]) == expected
    for i, expected in gold_cases("funding = rate*position value"):
        assert -rules.funding_payment(i["size"], i["mark"], i["rate"]) == expected
    for i, expected in gold_cases("taker fee"):
        assert rules.fee(1.0, i["value"], i["taker"]) == expected


@given(sizes, prices, leverages, st.floats(0.0, 0.009))
def test_at_the_liquidation_price_what_is_left_is_the_maintenance_margin(size, entry, leverage, maintenance):
    margin = rules.initial_margin(size, entry, leverage)

    price = rules.liquidation_price(size, entry, margin, maintenance)

    left = margin + rules.profit(size, entry, price)
    needed = rules.maintenance_margin(size, price, maintenance) * math.copysign(1.0, price)
    assert left == pytest.approx(needed, abs=1e-9 * abs(size) * entry)


@given(sizes, prices, leverages)
def test_at_the_bankruptcy_price_nothing_is_left(size, entry, leverage):
    margin = rules.initial_margin(size, entry, leverage)

    price = rules.bankruptcy_price(size, entry, margin)

    assert margin + rules.profit(size, entry, price) == pytest.approx(0.0, abs=1e-9 * abs(size) * entry)


@given(sizes, prices, st.floats(-0.01, 0.01))
def test_what_longs_pay_in_funding_shorts_receive(size, mark, rate):
    assert rules.funding_payment(size, mark, rate) == -rules.funding_payment(-size, mark, rate)


@given(sizes, st.sampled_from([0.001, 0.01, 0.1, 1.0]))
def test_rounding_to_the_lot_never_enlarges_and_is_done_once(size, lot):
    rounded = rules.round_to_lot(size, lot)

    assert abs(size) - lot < abs(rounded) <= abs(size) + 1e-8 * abs(size) + 1e-9 * lot
    assert rules.round_to_lot(rounded, lot) == rounded


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"kind": "quanto"}, "kind 'quanto' is unknown. Use"),
        ({"taker_fee": 5.0}, "taker_fee=5.0 must lie between .* 0.0005 is 0.05 %"),
        ({"maintenance": 1.0}, r"maintenance=1.0 must be in \[0, 1\)"),
        ({"max_leverage": 0.5}, "max_leverage=0.5 must be 1 or more"),
        ({"lot": -1.0}, "lot=-1.0 must be 0 or more"),
    ],
)
def test_a_contract_that_cannot_be_is_refused(given_, message):
    with pytest.raises(ConfigError, match=message):
        Contract(**given_)
