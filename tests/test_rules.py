"""The futures arithmetic against worked examples of the venues, and against its own laws."""

import ast
import doctest
import inspect
import json
import math
import random
import types
from pathlib import Path

import numba
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lstm_backtrader.errors import ConfigError
from lstm_backtrader.futures import rules
from lstm_backtrader.futures.contract import Contract
from lstm_backtrader.strategies import sizing

GOLD = Path(__file__).parents[2] / "shared" / "oracles" / "futures_gold.json"

sizes = st.floats(1e-3, 1e4) | st.floats(-1e4, -1e-3)
prices = st.floats(1e-2, 1e6)
leverages = st.floats(1.0, 100.0)
kinds = st.booleans()


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
        (first, then), (entry, price) = i["q"], i["p"]
        assert rules.average_entry(first, entry, then, price) == expected


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


@given(sizes, prices, leverages, st.floats(0.0, 0.009), st.floats(0.0, 0.001), kinds, kinds)
def test_at_the_liquidation_price_what_is_left_is_the_requirement(
    size, entry, leverage, maintenance, fee, inverse, on_entry
):
    held = rules.notional(size, entry, inverse)
    margin, deduction = held / leverage, 0.001 * held

    price = rules.liquidation_price(
        size, entry, margin, maintenance, deduction, fee, inverse=inverse, on_entry=on_entry
    )

    assume(0.0 < price < math.inf)
    left = margin + rules.profit(size, entry, price, inverse)
    at = entry if on_entry else price
    needed = rules.maintenance_margin(size, at, maintenance, deduction, inverse) + rules.fee(size, at, fee, inverse)
    assert left == pytest.approx(needed, abs=1e-9 * held)


@given(sizes, prices, leverages, kinds)
def test_at_the_bankruptcy_price_nothing_is_left(size, entry, leverage, inverse):
    margin = rules.initial_margin(size, entry, leverage, inverse)

    price = rules.bankruptcy_price(size, entry, margin, inverse=inverse)

    assume(0.0 < price < math.inf)
    held = rules.notional(size, entry, inverse)
    assert margin + rules.profit(size, entry, price, inverse) == pytest.approx(0.0, abs=1e-9 * held)


@given(sizes, prices, prices, kinds)
def test_what_a_long_wins_a_short_loses(size, entry, price, inverse):
    assert rules.profit(size, entry, price, inverse) == -rules.profit(-size, entry, price, inverse)


@given(sizes, prices, prices)
def test_an_inverse_contract_is_a_linear_one_of_the_dollar_priced_in_coins(size, entry, price):
    mirrored = rules.profit(-size, 1 / entry, 1 / price)

    assert rules.profit(size, entry, price, inverse=True) == pytest.approx(mirrored, rel=1e-12)


@given(sizes, prices, st.floats(0.01, 100.0), prices, kinds)
def test_the_average_entry_leaves_the_profit_as_it_was(size, entry, share, price, inverse):
    added = size * share
    average = rules.average_entry(size, entry, added, price, inverse)

    whole = rules.profit(size + added, average, 2 * entry, inverse)
    parts = rules.profit(size, entry, 2 * entry, inverse) + rules.profit(added, price, 2 * entry, inverse)
    scale = rules.notional(size, entry, inverse) + rules.notional(added, price, inverse)
    assert whole == pytest.approx(parts, abs=1e-9 * (scale + rules.notional(size + added, 2 * entry, inverse)))


def test_an_inverse_short_whose_margin_covers_its_worth_cannot_go_bankrupt():
    assert rules.bankruptcy_price(-10_000.0, 8_000.0, margin=2.0, inverse=True) == math.inf
    assert rules.bankruptcy_price(-10_000.0, 8_000.0, margin=0.625, inverse=True) == pytest.approx(16_000.0)


def test_funding_at_an_unknown_mark_price_books_nothing():
    assert rules.funding_payment(10.0, math.nan, 0.0002) == 0.0


@given(sizes, prices, st.floats(-0.01, 0.01), kinds)
def test_what_longs_pay_in_funding_shorts_receive(size, mark, rate, inverse):
    paid = rules.funding_payment(size, mark, rate, inverse)

    assert paid == -rules.funding_payment(-size, mark, rate, inverse)
    assert paid == pytest.approx(-math.copysign(rules.notional(size, mark, inverse), size) * rate)


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


# --- numba --------------------------------------------------------------------------------------------------

RANGES = {
    "size": (-5e3, 5e3),
    "added": (1.0, 50.0),
    "price": (1.0, 1e5),
    "entry": (1.0, 1e5),
    "mark": (1.0, 1e5),
    "margin": (1.0, 1e4),
    "notional": (1.0, 1e6),
    "floor": (1.0, 1e6),
    "maintenance": (0.001, 0.02),
    "previous": (0.0, 0.001),
    "previous_deduction": (0.0, 50.0),
    "deduction": (0.0, 50.0),
    "closing_fee": (0.0, 0.001),
    "rate": (-0.001, 0.001),
    "leverage": (1.0, 125.0),
    "return_on_margin": (-1.0, 1.0),
    "lot": (0.001, 1.0),
    "tick": (0.01, 1.0),
}


def random_arguments(function, generator):
    """A value for each parameter, by its name; sizes added have the sign of what is held."""
    given_ = {}
    for name in inspect.signature(function).parameters:
        if name in ("inverse", "on_entry"):
            given_[name] = generator.random() < 0.5
        elif name == "side":
            given_[name] = generator.choice([1, -1])
        else:
            given_[name] = generator.uniform(*RANGES[name])
    if "added" in given_:
        given_["added"] = math.copysign(given_["added"], given_["size"])
    return list(given_.values())


@pytest.fixture(scope="module")
def compiled():
    """Every function of the rules, from its own bytecode, in a module where they call one another compiled."""
    scope = {"math": math, "__name__": "compiled_rules"}
    for name in functions_of_rules():
        plain = getattr(rules, name)
        scope[name] = numba.njit(types.FunctionType(plain.__code__, scope, name, plain.__defaults__))
    return scope


def functions_of_rules():
    """Their names in the order of the file, in which each comes after those it calls."""
    return [node.name for node in ast.parse(inspect.getsource(rules)).body if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("name", functions_of_rules())
def test_numba_compiles_the_rules_as_they_are(compiled, name):
    function, generator = getattr(rules, name), random.Random(7)
    for _ in range(200):
        arguments = random_arguments(function, generator)
        expected = function(*arguments)
        assert compiled[name](*arguments) == pytest.approx(expected, rel=1e-12, abs=1e-12), arguments
    assert compiled[name].nopython_signatures
