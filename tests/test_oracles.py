"""Worked examples of venues and numbers of other backtesters, computed by the rules and the contract.

Each group of cases is turned into calls of public functions by one small function here. At least nine of ten cases
of a group must agree; docs/oracles.md lists each one that does not, and this file checks that list against what it
measures. The cases themselves lie outside the repository; a few are copied below, with their source.
"""

import json
import math
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lstm_backtrader.errors import ConfigError
from lstm_backtrader.futures import rules
from lstm_backtrader.futures.contract import Contract
from lstm_backtrader.futures.venues import find_contract

ROOT = Path(__file__).resolve().parents[1]
ORACLES = ROOT.parent / "shared" / "oracles"
TABLE = ROOT / "docs" / "oracles.md"


# --- worked examples of the venues --------------------------------------------------------------------------


def cross_liquidation(i):
    margin = i["WB"] - i["TMM1"] + i["UPNL1"]
    return rules.liquidation_price(i["side"] * i["qty"], i["entry"], margin, i["MMR"], i["cumB"])


def isolated_on_entry(i, inverse, closing_fee=0.0):
    size = i["side"] * i.get("qty", 1.0)
    margin = rules.initial_margin(size, i["entry"], i["leverage"], inverse)
    return rules.liquidation_price(
        size, i["entry"], margin, i["MMR"], closing_fee=closing_fee, inverse=inverse, on_entry=True
    )


def with_closing_fee(i):
    deduction = i.get("maintAmount", 0.0)
    return rules.liquidation_price(i["dir"] * i["size"], i["entry"], i["margin"], i["MMR"], deduction, i["taker"])


def legacy_cross(i):
    """The fee of closing is reserved at the bankruptcy price, the maintenance at the entry."""
    bankrupt = rules.bankruptcy_price(i["qty"], i["entry"], i["balance"], 0.00075, inverse=True)
    margin = i["balance"] - rules.fee(i["qty"], bankrupt, 0.00075, inverse=True)
    price = rules.liquidation_price(i["qty"], i["entry"], margin, i["MMR"], inverse=True, on_entry=True)
    return rules.round_against(price, i["tick"], side=1)


def average(i):
    (size, added), (entry, price) = i["q"], i["p"]
    return rules.average_entry(size, entry, added, price)


def inverse_profit(i):
    size = i["side"] * i["qty"] * i.get("multiplier", 1)
    return rules.profit(size, i["entry"], i["exit"], inverse=True)


# What a formula begins with -> the rule that computes it.
GOLD = {
    "LP=(WB": cross_liquidation,
    "MM=notional": lambda i: rules.maintenance_margin(i["notional"], 1.0, i["MMR"], i["cum"]),
    "cum_n=": lambda i: rules.tier_deduction(i["floor_n"], i["mmr_n"], i["mmr_prev"], i["cum_prev"]),
    "linear average entry": average,
    "linear PnL": lambda i: rules.profit(i["side"] * i["qty"], i["entry"], i["exit"]),
    "funding = qty*mark": lambda i: -rules.funding_payment(i["qty"], i["mark"], i["rate"]),
    "taker fee": lambda i: rules.fee(1.0, i["value"], i["taker"]),
    "inverse isolated LP = qty/[PV": lambda i: isolated_on_entry(i, inverse=True),
    "legacy inverse cross bankruptcy": lambda i: rules.bankruptcy_price(
        i["qty"], i["entry"], i["balance"], 0.00075, inverse=True
    ),
    "legacy inverse cross LP": legacy_cross,
    "linear isolated LP = entry": lambda i: isolated_on_entry(i, inverse=False),
    "funding amount = mark": lambda i: -rules.funding_payment(i["mark_value"], 1.0, (i["quote"] - i["base"]) / 3),
    "inverse PnL": inverse_profit,
    "inverse isolated bankruptcy": lambda i: rules.bankruptcy_price(
        i["side"] * 1.0,
        i["entry"],
        rules.initial_margin(1.0, i["entry"], i["leverage"], inverse=True),
        inverse=True,
    ),
    "inverse isolated LP = qty/[V ": lambda i: isolated_on_entry(i, inverse=True, closing_fee=i["fee"]),
    "linear cost": lambda i: rules.notional(
        i["contracts"] * find_contract("bitmex:XBTUSDT").contract_size, i["price"]
    ),
    "execComm": lambda i: math.trunc(rules.fee(1.0, i["cost"], i["commission"]) * 1e6),
    "linear isolated LP=(margin": with_closing_fee,
    "funding = rate*position": lambda i: -rules.funding_payment(i["size"], i["mark"], i["rate"]),
    "linear isolated: solve": with_closing_fee,
}


def loaded(name):
    path = ORACLES / name
    if not path.exists():
        pytest.skip(f"no worked examples at {path}")
    return json.loads(path.read_text(encoding="utf-8"))


def test_every_worked_example_of_the_venues_is_reproduced_within_its_tolerance():
    cases = loaded("futures_gold.json")["cases"]
    assert len(cases) == 35

    for case in cases:
        (rule,) = [rule for start, rule in GOLD.items() if case["formula"].startswith(start)]
        slack = case["tolerance"] + 1e-12 * abs(case["expected"])
        assert rule(case["inputs"]) == pytest.approx(case["expected"], abs=slack), case["formula"]


# --- numbers of other backtesters ---------------------------------------------------------------------------


def side_of(case):
    return -1 if case.get("is_short") or case.get("side") in ("short", "SELL") else 1


def liquidation_isolated(case, context):
    """By the formula of the venue: of these Binance's alone knows a deduction, Gate, OKX and Bitget add the fee."""
    venue = case["exchange_name"]
    return rules.liquidation_price(
        side_of(case) * case["amount"],
        case["open_rate"],
        case["wallet_balance"],
        case["maintenance_margin_rate"],
        deduction=case["maintenance_amount"] if venue == "binance" else 0.0,
        closing_fee=context["taker_fee"] if venue in ("gate", "okx", "bitget") else 0.0,
        on_entry=venue == "bybit",
    )


def liquidation_binance(case, context):
    """Cross: the wallet less the maintenance of the other position, plus its open profit."""
    margin = case["wallet_balance"]
    for other in case["open_trades"]:
        if other["pair"] != case["pair"]:
            size, mark = other["amount"], other["mark_price"]
            margin -= rules.maintenance_margin(size, mark, other["mm_ratio"], other["maintenance_amt"])
            margin += rules.profit(size, other["open_rate"], mark)
    size = side_of(case) * case["amount"]
    return rules.liquidation_price(size, case["open_rate"], margin, case["mm_ratio"], case["maintenance_amt"])


def liquidation_hyperliquid(case, context):
    """Maintenance is half of what the market's highest leverage asks for; a case that names no limit has none."""
    limit = case.get("market_max_leverage")
    size = side_of(case) * case["contracts"]
    return rules.liquidation_price(
        size, case["entryPrice"], case["collateral"], 1.0 / (2.0 * limit) if limit else 0.0
    )


def funding_single(case, context):
    return rules.funding_payment(side_of(case) * case["size"], float(case["mark_price"]), case["funding_rate"])


def funding_window(case, context):
    """A short from d1 to d2, ends included; Binance counts an entry within 15 s of a stamp as before it."""
    begin, end = (datetime.fromisoformat(case[key]).replace(tzinfo=UTC) for key in ("d1", "d2"))
    if case["exchange"] == "binance" and begin.second < 15:
        begin -= timedelta(seconds=begin.second)
    marks = {row[0]: row[1] for row in context["mark_ohlcv_1h"]}
    rates = context["funding_rates_8h"][case["rate_start"] : case["rate_end"]]
    return sum(
        rules.funding_payment(-case["amount"], marks[rate["timestamp"]], rate["fundingRate"])
        for rate in rates
        if begin <= datetime.fromtimestamp(rate["timestamp"] / 1000, UTC) <= end
    )


def tiered(pair, context):
    """The contract that ccxt's rows of this pair make."""
    table = context["leverage_tiers"]
    base = pair.split("/")[0]
    market = {
        "symbol": pair,
        "type": "swap",
        "base": base,
        "quote": "USDT",
        "settle": "USDT",
        "contractSize": 1,
        "precision": {"amount": 0.001, "price": 0.01},
        "maker": 0.0002,
        "taker": 0.0005,
    }
    return Contract.from_ccxt(market, table if isinstance(table, dict) else {})


def maintenance_tier(case, context):
    tier = tiered(case["pair"], context).tier(case["notional"])
    return tier.maintenance, tier.deduction


def max_leverage(case, context):
    """Without tiers there is no contract, so nothing beyond the bare stake; below 1 not even that."""
    try:
        highest = tiered(case["pair"], context).highest_leverage(case["stake"])
    except ConfigError:
        return 1.0
    return highest if highest >= 1.0 else "error: amount too high"


def closing(case, price, context):
    """Worth of the position when it is closed, after the fee of that side and funding."""
    amount, side = case.get("amount", context.get("amount")), side_of(case)
    fee = rules.fee(amount, price, case.get("fee_close", case.get("fee_rate")))
    return rules.notional(amount, price) - side * fee + side * case["funding_fees"]


def profit_futures(case, context):
    side, amount, opened = side_of(case), case["amount"], context["open_rate"]
    paid = rules.fee(amount, opened, context["fee_open"])
    profit = (
        rules.profit(side * amount, opened, case["close_rate"])
        - paid
        - rules.fee(amount, case["close_rate"], case["fee_close"])
        + case["funding_fees"]
    )
    basis = rules.notional(amount, opened) + side * paid
    return profit, profit / basis * case["lev"]


def close_value(case, context):
    return closing(case, case["close_rate"], context)


def stop_distance(side, current, stop, leverage):
    """Loss between the two prices as a share of the margin held at `current`, never negative; all of it from 0."""
    if current <= 0.0:
        return leverage
    return max(0.0, -rules.profit(side, current, stop) / rules.initial_margin(side, current, leverage))


def stop_from_open(case, context):
    side, leverage = side_of(case), case["leverage"]
    current = 1.0 + side * case["curr_profit"] / leverage
    stop = 1.0 + side * case["rel_stop"] / leverage
    return stop_distance(side, current, stop, leverage)


def stop_from_absolute(case, context):
    """With the move to the stop cut to 100 %, as the oracle has it."""
    leverage = case["leverage"]
    return min(leverage, stop_distance(side_of(case), case["current_rate"], case["stop_rate"], leverage))


def inverse_position(case, context):
    size = side_of(case) * case["quantity"]
    found = {"expected_unrealized": rules.profit(size, case["entry"], case["mark"], inverse=True)}
    found["expected_notional"] = rules.notional(size, case["mark"], inverse=True)
    found["expected_realized"] = -rules.fee(size, case["entry"], context["taker_fee"], inverse=True)
    return tuple(value for name, value in found.items() if name in case)


def linear_position(case, context):
    size = side_of(case) * case["quantity"]
    profit = rules.profit(size, case["entry"], case["mark"])
    return profit, rules.fee(size, case["entry"], context["fee_rate"])


def inverse_margin(case, context):
    """With the oracle's own rates, which it divides by the leverage."""
    size, price, leverage = case["quantity"], case["price"], case["leverage"]
    found = {"expected_notional_btc": rules.notional(size, price, inverse=True)}
    found["expected_margin_init_btc"] = rules.initial_margin(
        size, price, leverage / context["margin_init"], inverse=True
    )
    found["expected_margin_maint_btc"] = rules.maintenance_margin(
        size, price, context["margin_maint"] / leverage, inverse=True
    )
    return tuple(value for name, value in found.items() if name in case)


def inverse_crash(case, context):
    """Profit and requirement at the crash, or whether the account is liquidated above it."""
    size, entry, balance = case["contracts"], case["entry"], case["starting_btc"]
    if "expected" in case:
        price = rules.liquidation_price(size, entry, balance, 0.0035, inverse=True, on_entry=True)
        return "liquidated" if price > case["crash"] else "holds"
    profit = rules.profit(size, entry, case["crash"], inverse=True)
    return profit, rules.maintenance_margin(size, entry, case["maint_rate"] / case["leverage"], inverse=True)


def jesse_liquidation(case, context):
    size = side_of(case) * case["qty"]
    margin = rules.initial_margin(size, case["entry"], case["leverage"])
    bankrupt = rules.bankruptcy_price(size, case["entry"], margin)
    return (
        rules.liquidation_price(size, case["entry"], margin, case["mmr"], on_entry=True),
        bankrupt,
        case["balance_before"] + rules.profit(size, case["entry"], bankrupt),
    )


def lean_bybit(case, context):
    inverse = case["symbol"] == "BTCUSD"
    return rules.initial_margin(case["quantity"], case["price"], case["leverage"], inverse)


def lean_binance(case, context):
    inverse = case["symbol"] == "BTCUSD"
    size = case["contracts"] * case["multiplier"]
    margin = rules.initial_margin(size, case["price"], case["leverage"], inverse)
    return (margin, margin * case["price"]) if inverse else margin


def on_the_grid(venue):
    """Whether the stamp of a recorded rate lies on the funding grid of the preset."""

    def check(case, context):
        contract = find_contract(venue)
        hour = int(case["ts"].split()[1].split(":")[0])
        return (hour - contract.funding_offset_hours) % contract.funding_hours == 0.0

    return check


def three_payments(case, context):
    """Paid by a long of 1,000 over the stamps, as a fraction of what it holds."""
    paid = sum(rules.funding_payment(1000.0, 0.31, case["rate"]) for _ in range(case["applications"]))
    return paid / rules.notional(1000.0, 0.31)


# Group -> how to compute a case, where its expected numbers are, and how close: ("rel" | "abs", tolerance).
GROUPS = {
    "ft_liq_isolated": (liquidation_isolated, ["expected_liq"], ("rel", 1e-6)),
    "ft_liq_binance_worked_example": (liquidation_binance, ["expected"], ("abs", 0.01)),
    "ft_liq_hyperliquid_exchange_reported": (liquidation_hyperliquid, ["liquidationPrice"], ("rel", 1e-4)),
    "ft_funding_single": (funding_single, ["expected"], ("abs", 1e-12)),
    "ft_funding_window": (funding_window, ["expected_fees"], ("rel", 1e-6)),
    "ft_maintenance_tiers": (maintenance_tier, ["mmr", "maint_amt"], ("abs", 1e-8)),
    "ft_max_leverage": (max_leverage, ["expected"], ("rel", 1e-6)),
    "ft_profit_futures": (profit_futures, ["profit", "profit_ratio"], ("rel", 1e-6)),
    "ft_close_value_futures": (close_value, ["result"], ("abs", 1e-8)),
    "ft_stop_from_open_leverage": (stop_from_open, ["expected"], ("rel", 1e-6)),
    "ft_stop_from_absolute": (stop_from_absolute, ["expected"], ("abs", 1e-9)),
    "nt_inverse_pnl": (
        inverse_position,
        ["expected_unrealized", "expected_notional", "expected_realized"],
        ("abs", 1e-8),
    ),
    "nt_linear_pnl": (linear_position, ["expected_unrealized", "expected_commission"], ("abs", 1e-8)),
    "nt_inverse_margin": (
        inverse_margin,
        ["expected_notional_btc", "expected_margin_init_btc", "expected_margin_maint_btc"],
        ("abs", 1e-8),
    ),
    "nt_inverse_liquidation_path": (
        inverse_crash,
        ["expected", "expected_pnl_btc", "expected_maint_btc"],
        ("abs", 1e-9),
    ),
    "jesse_liq": (
        jesse_liquidation,
        ["expected_liq", "expected_bankruptcy", "expected_balance_after"],
        ("abs", 0.005),
    ),
    "lean_bybit_initial_margin": (lean_bybit, ["expected_margin"], ("rel", 0.05)),
    "lean_binance_initial_margin": (
        lean_binance,
        ["expected_margin", "expected_margin_btc", "expected_margin_usd"],
        ("abs", 1e-12),
    ),
    "lean_funding_binance_btcusd": (on_the_grid("binancecoinm:BTCUSD_PERP"), [], ("abs", 0.0)),
    "lean_funding_binance_adausdt": (on_the_grid("binanceusdm:BTCUSDT"), [], ("abs", 0.0)),
    "lean_funding_bybit_btcusd": (on_the_grid("bybit:BTCUSD"), [], ("abs", 0.0)),
    "lean_funding_bybit_btcusdt": (on_the_grid("bybit:BTCUSDT"), [], ("abs", 0.0)),
    "lean_funding_cash_ada": (three_payments, [], ("abs", 1e-12)),
}
ELSEWHERE = re.compile(r"ft_bt_scenarios|ft_liq_buffer|pybroker_|vbt_|btpy_|bt_|ind_trail_")


def groups():
    return {group["id"]: group for group in loaded("peer_cases.json")["groups"]}


def expected_of(case, names, group):
    if group == "lean_funding_cash_ada":
        return [-case["rate"] * case["applications"]]
    return [case[name] for name in names if name in case] if names else [True]


def differences(group, cases, context):
    """(number of the case from 1, expected, found, relative difference) of each that differs."""
    compute, names, (kind, tolerance) = GROUPS[group]
    found_differences = []
    for number, case in enumerate(cases, start=1):
        expected = expected_of(case, names, group)
        found = compute(case, context)
        found = list(found) if isinstance(found, tuple) else [found]
        assert len(found) == len(expected), (group, number)
        for want, have in zip(expected, found, strict=True):
            if isinstance(want, str) or isinstance(have, str):
                agrees = want == have
            else:
                slack = tolerance * abs(want) if kind == "rel" else tolerance
                agrees = abs(want - have) <= slack + 1e-15 * abs(want)
            if not agrees:
                off = math.nan if isinstance(want, str) or isinstance(have, str) else have / want - 1.0
                found_differences.append((number, want, have, off))
                break
    return found_differences


def test_every_group_is_computed_here_or_belongs_to_the_broker():
    left = [name for name in groups() if name not in GROUPS and not ELSEWHERE.match(name)]

    assert left == []
    assert set(GROUPS) <= set(groups())


@pytest.mark.parametrize("name", GROUPS)
def test_nine_of_ten_cases_of_a_group_agree(name):
    group = groups()[name]

    off = differences(name, group["cases"], context_of(name))

    assert 1.0 - len(off) / len(group["cases"]) >= 0.9, off


def context_of(name):
    """A group's own context; the leverage cases use the tiers of the maintenance cases."""
    known = groups()
    return known["ft_maintenance_tiers" if name == "ft_max_leverage" else name]["context"]


def listed(heading):
    """The rows below a heading of docs/oracles.md, as lists of their cells."""
    section = TABLE.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def test_the_table_lists_the_share_of_each_group():
    measured = []
    for name in GROUPS:
        cases = groups()[name]["cases"]
        measured.append(
            [f"`{name}`", str(len(cases)), str(len(cases) - len(differences(name, cases, context_of(name))))]
        )

    assert [row[:3] for row in listed("Groups")] == measured


def test_the_table_lists_each_case_that_differs_and_by_how_much():
    measured = []
    for name in GROUPS:
        for number, want, have, off in differences(name, groups()[name]["cases"], context_of(name)):
            measured.append([f"`{name}`", str(number), f"{want:.6g}", f"{have:.6g}", f"{off:+.2%}"])

    assert [row[:5] for row in listed("Cases that differ")] == measured


# --- copied by hand, for where the files are not ------------------------------------------------------------


def test_binances_worked_example_with_two_positions_in_cross_margin():
    # Binance FAQ b3c689c1f50a44cabb3a84e663b81d93, How to Calculate Liquidation Price of USDS-M Futures
    eth = rules.liquidation_price(3683.979, 1456.84, 1535443.01 - 71200.81144 - 56354.57, 0.1, deduction=135365.0)
    btc = rules.liquidation_price(109.488, 32481.98, 1535443.01 - 356512.508 - 448192.89, 0.025, deduction=16300.0)

    assert eth == pytest.approx(1153.26, abs=0.01)
    assert btc == pytest.approx(26316.89, abs=0.01)


def test_bybits_inverse_example():
    # Bybit help, Liquidation Price Calculation under Isolated Mode: 60,000 USD at 50,000, 10x, 0.5 %
    contract = Contract(kind="inverse", settlement="BTC", maintenance=0.005, maintenance_on="entry")

    long, short = (contract.liquidation_price(side * 60_000.0, 50_000.0, 0.12) for side in (1, -1))

    assert (long, short) == (pytest.approx(45_662.10, abs=0.01), pytest.approx(55_248.62, abs=0.01))


def test_bybits_legacy_cross_example_is_shown_on_the_next_tick():
    # Bybit help 360039261334: 10,000 USD at 8,000 with 0.5 BTC, 0.5 %; bankruptcy 5718.57, liquidation 5739.50
    assert rules.bankruptcy_price(10_000.0, 8_000.0, 0.5, 0.00075, inverse=True) == pytest.approx(5718.57, abs=0.01)
    assert legacy_cross({"qty": 10_000.0, "entry": 8_000.0, "balance": 0.5, "MMR": 0.005, "tick": 0.5}) == 5739.5


@pytest.mark.parametrize(
    ("side", "entry", "size", "collateral", "reported"),
    [
        # liquidation prices that the venue itself reported: Hyperliquid positions, 50x markets, mmr 1 %
        (1, 62739.0, 0.00077, 24.137992, 31708.03843631),
        (-1, 65536.0, 0.00099, 21.604172, 86493.46174617),
        (1, 2459.5, 0.0199, 24.454895, 1243.0411908),
        (-1, 2552.0, 0.0327, 20.833393, 3157.53150453),
    ],
)
def test_liquidation_prices_that_a_venue_reported(side, entry, size, collateral, reported):
    contract = Contract(maintenance=0.01, max_leverage=50.0)

    assert contract.liquidation_price(side * size, entry, collateral) == pytest.approx(reported, rel=1e-4)


def test_march_2020_before_tick_and_fee_rules():
    # a long of XBTUSD at the open of 2020-03-12, 7939.0: inverse, maintenance 0.5 % at the entry
    contract = Contract(kind="inverse", settlement="BTC", maintenance=0.005)
    size, entry = 100_000.0, 7939.0
    margins = {leverage: rules.initial_margin(size, entry, leverage, inverse=True) for leverage in (10, 50)}

    assert contract.liquidation_price(size, entry, margins[10]) == pytest.approx(7250.23, abs=0.005)
    assert contract.liquidation_price(size, entry, margins[50]) == pytest.approx(7821.67, abs=0.005)
    linear = Contract(maintenance=0.005).liquidation_price(1.0, 7502.15, 7502.15 / 2)
    assert linear == pytest.approx(3769.92, abs=0.005)
