"""The contract: what it refuses and allows, when it liquidates, and how a market of ccxt becomes one."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lstm_backtrader.errors import ConfigError
from lstm_backtrader.futures import rules
from lstm_backtrader.futures.contract import Contract, Tier, tiers_of
from lstm_backtrader.futures.venues import find_contract, known_contracts

EXCHANGES = Path(__file__).parents[2] / "shared" / "exchanges"
CONTRACTS = known_contracts()
TIERED = {name: contract for name, contract in CONTRACTS.items() if len(contract.tiers) > 1}

named = st.sampled_from(sorted(CONTRACTS))
sides = st.sampled_from([1, -1])
entries = st.floats(10.0, 1e5)
leverages = st.floats(1.0, 60.0)


def size_at(contract, side, entry, share):
    """A size worth `share` of the largest position the contract knows."""
    return side * rules.size_of(share * min(contract.notional_cap, 1e9), entry, contract.is_inverse)


# --- what it refuses ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"maintenance_on": "index"}, "maintenance_on='index' is unknown. Use 'mark', 'entry' or None"),
        (
            {"liquidation_fee": 1.25},
            r"liquidation_fee=1.25 must be in \[0, 1\). It is a fraction: 0.0125 is 1.25 %",
        ),
        ({"contract_size": 0.0}, "contract_size=0.0 must be above 0"),
        ({"funding_hours": -8.0}, "funding_hours=-8.0 must be above 0"),
        ({"tiers": (Tier(10.0, 0.005, 100.0),)}, "first tier .* must begin at 0 without deduction"),
        ({"tiers": (Tier(0.0, 0.01, 100.0),)}, "first tier .* at maintenance=0.005. Build tiers with `tiers_of`"),
        (
            {"tiers": (Tier(0.0, 0.005, 100.0), Tier(0.0, 0.01, 50.0))},
            "must begin above .* and ask for no less maintenance",
        ),
        (
            {"tiers": (Tier(0.0, 0.005, 100.0), Tier(1000.0, 0.01, 50.0, 4.0))},
            "deducts 4 where 5 keeps the requirement continuous",
        ),
    ],
)
def test_a_contract_that_cannot_be_is_refused(given_, message):
    with pytest.raises(ConfigError, match=message):
        Contract(**given_)


# --- tiers --------------------------------------------------------------------------------------------------


def test_the_leverage_allowed_falls_with_the_notional_and_the_notional_with_the_leverage():
    contract = find_contract("binanceusdm:BTC/USDT:USDT")

    assert [contract.tier(notional).max_leverage for notional in (1.0, 50_000.0, 700_000.0)] == [125.0, 100.0, 75.0]
    assert [contract.max_notional(leverage) for leverage in (125, 100, 10.5, 1)] == [5e4, 6e5, 1e8, 1.8e9]
    assert contract.max_notional(125.1) == 0.0


def test_the_highest_leverage_keeps_the_position_inside_its_tier():
    contract = Contract(tiers=tiers_of([(0, 0.005, 100), (10_000, 0.01, 50), (50_000, 0.02, 25)]), max_leverage=100)

    assert contract.highest_leverage(50.0) == 100.0
    assert contract.highest_leverage(0.0) == 100.0
    assert contract.highest_leverage(150.0) == pytest.approx(10_000 / 150)
    assert contract.highest_leverage(1500.0) == pytest.approx(50_000 / 1500)
    assert contract.highest_leverage(10_000.0) == 25.0


def test_margin_beyond_the_last_tier_fits_at_no_leverage():
    contract = Contract(notional_cap=1_000.0)

    assert contract.highest_leverage(1_001.0) < 1.0


@pytest.mark.parametrize("name", TIERED)
def test_the_requirement_does_not_jump_where_a_tier_begins(name):
    contract = TIERED[name]
    for below, above in zip(contract.tiers, contract.tiers[1:], strict=False):
        held = above.floor
        left, right = (held * tier.maintenance - tier.deduction for tier in (below, above))
        assert right == pytest.approx(left, rel=1e-9)

        size, price = rules.size_of(held, 100.0, contract.is_inverse), 100.0
        just_below = contract.requirement(size * (1 - 1e-9), price, price)
        assert contract.requirement(size, price, price) == pytest.approx(just_below, rel=1e-7)


@given(named, sides, entries, st.floats(1e-7, 0.4), leverages)
def test_at_the_liquidation_price_margin_and_profit_are_the_requirement(name, side, entry, share, leverage):
    contract = Contract(**{**vars(CONTRACTS[name]), "tick": 0.0})
    size = size_at(contract, side, entry, share)
    held = rules.notional(size, entry, contract.is_inverse)
    assume(leverage <= contract.tier(held).max_leverage)
    margin = held / leverage

    price = contract.liquidation_price(size, entry, margin)

    assume(0.0 < price < math.inf)
    left = margin + rules.profit(size, entry, price, contract.is_inverse)
    assert left == pytest.approx(contract.requirement(size, entry, price), abs=1e-9 * held)


@given(named, sides, entries, st.floats(1e-7, 0.4), leverages, st.floats(-0.9, 3.0))
def test_a_position_is_below_its_requirement_beyond_the_liquidation_price_and_above_it_before(
    name, side, entry, share, leverage, move
):
    contract = Contract(**{**vars(CONTRACTS[name]), "tick": 0.0})
    size = size_at(contract, side, entry, share)
    margin = rules.notional(size, entry, contract.is_inverse) / leverage
    price, mark = contract.liquidation_price(size, entry, margin), entry * (1.0 + move)
    assume(abs(mark - price) > 1e-6 * entry)

    left = margin + rules.profit(size, entry, mark, contract.is_inverse)

    assert (left > contract.requirement(size, entry, mark)) == (side * mark > side * price)


@given(st.sampled_from(sorted(CONTRACTS)), entries, st.floats(1e-7, 0.4), leverages)
def test_long_and_short_mirror_where_the_requirement_looks_at_the_entry(name, entry, share, leverage):
    contract = Contract(**{**vars(CONTRACTS[name]), "tick": 0.0, "maintenance_on": "entry"})
    size = size_at(contract, 1, entry, share)
    margin = rules.notional(size, entry, contract.is_inverse) / leverage

    long, short = (contract.liquidation_price(side * size, entry, margin) for side in (1, -1))

    assume(long > 0.0 and short < math.inf)
    unit = [rules.unit_value(price, contract.is_inverse) for price in (long, short, entry)]
    assert unit[0] + unit[1] == pytest.approx(2 * unit[2], rel=1e-9)


@given(sides, st.floats(100.0, 1e5), st.floats(5.0, 60.0), st.sampled_from([0.1, 0.5]))
def test_the_liquidation_price_is_on_the_tick_that_comes_sooner(side, entry, leverage, tick):
    exact, ticked = (Contract(tick=step).liquidation_price(side, entry, entry / leverage) for step in (0.0, tick))

    assert ticked == pytest.approx(round(ticked / tick) * tick, abs=1e-9)
    assert -1e-6 <= side * (ticked - exact) < tick + 1e-6


def test_maintenance_at_one_rate_has_no_tiers_and_no_cap():
    flat = find_contract("bitmex:XBTUSD").with_maintenance(0.01)

    assert (flat.tiers, flat.notional_cap, flat.is_partial, flat.tier(1e9).maintenance) == (
        (),
        math.inf,
        False,
        0.01,
    )


def test_another_max_leverage_holds_in_every_tier():
    limited = find_contract("binanceusdm:BTCUSDT").with_max_leverage(20.0)

    assert limited.max_leverage == 20.0
    assert {tier.max_leverage for tier in limited.tiers} == {20.0}


# --- from ccxt ----------------------------------------------------------------------------------------------

TIERS = [
    {"minNotional": 0, "maxNotional": 50_000, "maintenanceMarginRate": 0.005, "maxLeverage": 100},
    {"minNotional": 50_000, "maxNotional": 200_000, "maintenanceMarginRate": 0.01, "maxLeverage": 50},
]


def market(**changes):
    """A linear market as ccxt shows it, with changes; `limits` and `precision` are merged."""
    whole = {
        "symbol": "BTC/USDT:USDT",
        "type": "swap",
        "base": "BTC",
        "quote": "USDT",
        "settle": "USDT",
        "linear": True,
        "inverse": False,
        "contractSize": 1,
        "precision": {"amount": 0.001, "price": 0.1},
        "limits": {"amount": {"min": 0.002}, "cost": {"min": 5}, "leverage": {"max": None}},
        "maker": 0.0002,
        "taker": 0.0005,
        "info": {},
    }
    for key, value in changes.items():
        whole[key] = {**whole[key], **value} if key in ("limits", "precision") else value
    return whole


def inverse(**changes):
    coin = {"symbol": "BTC/USD:BTC", "quote": "USD", "settle": "BTC", "linear": False, "inverse": True}
    steps = {"precision": {"amount": 1}, "limits": {"amount": {"min": 1}, "cost": {}}}
    return market(**{**coin, **steps, **changes})


def test_a_linear_market_keeps_its_sizes_in_the_base_coin():
    contract = Contract.from_ccxt(market(), TIERS)

    assert (contract.kind, contract.settlement, contract.contract_size) == ("linear", "USDT", 1.0)
    assert (contract.lot, contract.tick, contract.min_size, contract.min_notional) == (0.001, 0.1, 0.002, 5.0)
    assert (contract.maker_fee, contract.taker_fee, contract.venue) == (0.0002, 0.0005, "")
    assert [tier.deduction for tier in contract.tiers] == [0.0, 250.0]
    assert (contract.maintenance, contract.max_leverage, contract.notional_cap) == (0.005, 100.0, 200_000.0)


@pytest.mark.parametrize(
    ("given_", "venue", "size", "lot"),
    [
        (market(contractSize=1e-6, precision={"amount": 100}, limits={"amount": {}}), "bitmex", 1e-6, 1e-4),
        (market(contractSize=1e-5, precision={"amount": 1000}, limits={"amount": {}}), "bitmex", 1e-5, 0.01),
        (market(contractSize=0.01, precision={"amount": 0.1}, limits={"amount": {"min": 0.1}}), "okx", 0.01, 0.001),
        (inverse(contractSize=100), "binancecoinm", 100.0, 100.0),
        (inverse(), "bybit", 1.0, 1.0),
        (inverse(contractSize=10, precision={"amount": None}), "bingx", 10.0, 10.0),
        (inverse(contractSize=1e8, precision={"amount": 100}, limits={"amount": {}}), "bitmex", 1.0, 100.0),
    ],
)
def test_the_venues_contract_sizes_become_one_unit(given_, venue, size, lot):
    contract = Contract.from_ccxt(given_, TIERS, venue=venue)

    assert (contract.contract_size, contract.lot, contract.min_size) == (size, lot, lot)


def test_a_minimum_cost_of_an_inverse_market_is_a_minimum_size():
    contract = Contract.from_ccxt(inverse(limits={"amount": {"min": 1}, "cost": {"min": 10}}), TIERS)

    assert (contract.min_size, contract.min_notional) == (10.0, 0.0)


def test_the_venue_adds_how_it_liquidates_and_when_it_funds():
    bitmex = Contract.from_ccxt(market(), TIERS, venue="bitmex")
    binance = Contract.from_ccxt(market(info={"maintMarginPercent": "2.5", "liquidationFee": "0.0125"}), TIERS)

    assert (bitmex.on_entry, bitmex.closing_fee, bitmex.forfeits_margin) == (True, 0.0005, True)
    assert bitmex.funding_offset_hours == 4.0
    assert (binance.venue, binance.on_entry, binance.liquidation_fee) == ("binanceusdm", False, 0.0125)


def test_a_table_in_percent_is_told_by_its_own_leverage():
    percent = [{"minNotional": 0, "maxNotional": 150, "maintenanceMarginRate": 0.5, "maxLeverage": 100}]
    halves = [{"minNotional": 0, "maxNotional": 150, "maintenanceMarginRate": 0.5, "maxLeverage": 1}]

    assert Contract.from_ccxt(inverse(), percent, venue="bybit").maintenance == 0.005
    assert Contract.from_ccxt(inverse(), halves, venue="bybit").maintenance == 0.5


def test_the_currency_that_a_tier_is_labelled_with_says_nothing():
    labelled = [{**row, "currency": "BTC"} for row in TIERS]

    assert Contract.from_ccxt(market(), labelled, venue="bitget").tiers[1].floor == 50_000.0


def test_tiers_may_come_for_all_symbols_at_once_in_any_order_and_without_an_end():
    endless = [TIERS[0], {**TIERS[1], "maxNotional": None}]

    contract = Contract.from_ccxt(market(), {"BTC/USDT:USDT": endless[::-1], "ETH/USDT:USDT": []})

    assert [tier.floor for tier in contract.tiers] == [0.0, 50_000.0]
    assert contract.notional_cap == math.inf


def test_where_a_tier_tells_no_leverage_the_market_or_the_maintenance_bounds_it():
    silent = [{**TIERS[0], "maxLeverage": None}, {**TIERS[1], "maxLeverage": None, "maintenanceMarginRate": 0.1}]

    contract = Contract.from_ccxt(market(info={"maxLongLeverage": "125", "tradeMinUSDT": "2"}), silent)

    assert [tier.max_leverage for tier in contract.tiers] == [125.0, 10.0]


def test_bitmex_tells_its_base_tier_in_the_market():
    info = {"settlCurrency": "XBt", "maintMargin": "0.005", "initMargin": "0.01", "riskLimit": "20000000000"}
    given_ = inverse(
        contractSize=1e8, precision={"amount": 100}, limits={"amount": {}, "leverage": {"max": 100}}, info=info
    )

    contract = Contract.from_ccxt(given_)

    assert (contract.venue, contract.maintenance, contract.max_leverage) == ("bitmex", 0.005, 100.0)
    assert (contract.notional_cap, contract.is_partial) == (200.0, True)


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        (market(type="spot", settle=None), "BTC/USDT:USDT is no perpetual but of type 'spot'"),
        (market(type="future"), "is no perpetual but of type 'future'"),
        (market(base="ETH", quote="USD", settle="BTC"), "quanto contract: ETH in USD, settled in BTC"),
        (market(quanto=True), "is a quanto contract"),
        (market(contractSize=0), "contractSize=0 is no amount of BTC"),
        (inverse(contractSize=1e8), "contractSize=1.*name its venue: from_ccxt.*known are binancecoinm"),
        (market(precision={"amount": 3}), "amount precision of 3 is no step .* counted decimal places"),
        (market(precision={"amount": 0}), "amount precision of 0 is no step"),
        (market(maker=None), "BTC/USDT:USDT has no maker fee. Add it as a fraction"),
    ],
)
def test_a_market_that_cannot_be_traded_is_refused(given_, message):
    with pytest.raises(ConfigError, match=message):
        Contract.from_ccxt(given_, TIERS)


@pytest.mark.parametrize(
    ("tiers", "venue", "message"),
    [
        (None, "", "without tiers nothing tells its maintenance margin. Pass tiers=exchange.fetch_market"),
        ([], "", "without tiers nothing tells"),
        ({"ETH/USDT:USDT": TIERS}, "", "the tiers know no BTC/USDT:USDT"),
        ([{"minNotional": 0, "maxLeverage": 5}], "", "has no maintenanceMarginRate"),
        ([{**TIERS[0], "maxLeverage": None}], "", "tell a max leverage. Add it: market"),
        (None, "bitmex", "its row tells no maintMargin and riskLimit. Pass tiers"),
    ],
)
def test_tiers_that_tell_too_little_are_refused(tiers, venue, message):
    with pytest.raises(ConfigError, match=message):
        Contract.from_ccxt(market(), tiers, venue=venue)


def test_bitgets_coin_margined_orders_would_be_misread():
    with pytest.raises(ConfigError, match=r"Bitget counts its orders in BTC, where sizes .* count USD"):
        Contract.from_ccxt(inverse(info={"sizeMultiplier": "0.001"}), TIERS)


# --- recorded markets ---------------------------------------------------------------------------------------

FOLDERS = {
    "binanceusdm": "binance",
    "binancecoinm": "binance",
    "bybit": "bybit",
    "bingx": "bingx",
    "bitget": "bitget",
    "bitmex": "bitmex",
}


def recorded(folder, file="markets.json"):
    path = EXCHANGES / folder / file
    if not path.exists():
        pytest.skip(f"no recorded answers of the venues: {folder}/{file}")
    return json.loads(path.read_text(encoding="utf-8"))


def recorded_market(folder, symbol):
    """As a ccxt of 2026 makes it of the venue's row."""
    entry = recorded(folder)[symbol]
    shown = next(value for key, value in entry.items() if key.startswith("ccxt_"))
    return {**shown, "info": entry["info"]}


def recorded_tiers(folder, file):
    parsed = recorded(folder, file)["parsedCcxt"]
    return parsed if isinstance(parsed, list) else next(iter(parsed.values()))


@pytest.mark.parametrize("folder", sorted(set(FOLDERS.values())))
def test_every_recorded_market_becomes_a_contract_or_says_why_not(folder):
    made = 0
    for symbol in recorded(folder):
        if symbol.startswith("_"):
            continue
        given_ = recorded_market(folder, symbol)
        if folder == "bitget" and given_["inverse"]:
            with pytest.raises(ConfigError, match="Bitget counts its orders"):
                Contract.from_ccxt(given_, TIERS)
            continue
        contract = Contract.from_ccxt(given_, TIERS)
        assert FOLDERS[contract.venue] == folder
        assert contract.settlement == given_["settle"]
        made += 1
    assert made


STEPS = ("contract_size", "lot", "tick", "min_size", "min_notional")
TERMS = ("kind", "settlement", "maintenance_on", "fee_in_maintenance", "forfeits_margin", "funding_offset_hours")


@pytest.mark.parametrize("name", sorted(set(CONTRACTS) - {"bingx:ETH/USDT:USDT", "bitget:ETH/USDT:USDT"}))
def test_a_preset_is_what_the_recorded_market_says(name):
    venue, symbol = name.split(":", 1)
    preset = CONTRACTS[name]

    contract = Contract.from_ccxt(recorded_market(FOLDERS[venue], symbol), TIERS)

    for field in (*STEPS, *TERMS, "venue", "symbol"):
        assert getattr(contract, field) == getattr(preset, field), field
    if preset.liquidation_fee is not None:
        assert contract.liquidation_fee == preset.liquidation_fee
    if venue != "bybit":  # whose fees in ccxt differ from those of the venue's page and of recorded fills
        assert (contract.maker_fee, contract.taker_fee) == (preset.maker_fee, preset.taker_fee)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("binanceusdm:BTC/USDT:USDT", "fetchLeverageTiers.btc_2024_10.json"),
        ("bitget:BTC/USDT:USDT", "fetchMarketLeverageTiers.btc_linear_uta.json"),
        ("bybit:BTC/USD:BTC", "fetchMarketLeverageTiers.inverse.json"),
    ],
)
def test_a_preset_has_the_recorded_tiers(name, file):
    venue, symbol = name.split(":", 1)
    folder = FOLDERS[venue]

    contract = Contract.from_ccxt(recorded_market(folder, symbol), recorded_tiers(folder, file))

    assert contract.tiers == CONTRACTS[name].tiers
    assert contract.notional_cap == CONTRACTS[name].notional_cap
    assert contract.max_leverage == CONTRACTS[name].max_leverage


def test_the_deductions_are_those_that_the_venues_publish():
    brackets = recorded("binance", "fetchLeverageTiers.btc_2024_10.json")["httpResponse"][0]["brackets"]
    binance = find_contract("binanceusdm:BTCUSDT").tiers
    assert [tier.deduction for tier in binance] == pytest.approx([float(row["cum"]) for row in brackets])

    rows = recorded("bingx", "fetchMarketLeverageTiers.eth_linear.json")["httpResponse"]["data"]
    bingx = find_contract("bingx:ETH-USDT")
    assert [tier.deduction for tier in bingx.tiers] == pytest.approx([float(row["maintAmount"]) for row in rows])
    assert [tier.maintenance for tier in bingx.tiers] == [float(row["maintMarginRatio"]) for row in rows]
    assert [tier.floor for tier in bingx.tiers] == [float(row["minPositionVal"]) for row in rows]


def test_the_coin_margined_rates_are_the_recorded_ones():
    rows = recorded("binance", "leverageBrackets.json")["brackets"]["BTC/USD:BTC"]
    tiers = find_contract("binancecoinm:BTC/USD:BTC").tiers

    assert [(tier.floor, tier.maintenance) for tier in tiers] == [
        tuple(map(float, row)) for row in rows[: len(tiers)]
    ]
    assert float(rows[len(tiers)][0]) == find_contract("binancecoinm:BTC/USD:BTC").notional_cap


@pytest.mark.parametrize("symbol", ["BTC/USD:BTC", "BTC/USDT:USDT", "ETH/USDT:USDT"])
def test_bitmexs_presets_are_the_base_tiers_of_its_own_rows(symbol):
    contract = Contract.from_ccxt(recorded_market("bitmex", symbol))

    assert contract == CONTRACTS[f"bitmex:{symbol}"]
