"""The presets: every number has a source, names are found or helped with, and the command lists them all."""

import doctest
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from pydantic import ValidationError

import lstm_backtrader as lbt
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.futures import contract as contracts
from lstm_backtrader.futures import venues as presets
from lstm_backtrader.futures.venue_files import Venue, read_venue, venue_ids
from lstm_backtrader.futures.venues import find_contract, known_contracts, known_markets

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "lstm_backtrader" / "futures" / "venues").glob("*.json"))
VENUES = ("binancecoinm", "binanceusdm", "bingx", "bitget", "bitmex", "bybit")


def numbers_and_sources(group):
    """(name, whether a source and a date stand beside it) of every number in a JSON tree."""
    if isinstance(group, dict):
        sourced = bool(group.get("source")) and bool(group.get("as_of"))
        for name, value in group.items():
            if name == "rows" or (isinstance(value, bool | int | float) and name != "schema_version"):
                yield name, sourced
            else:
                yield from numbers_and_sources(value)
    elif isinstance(group, list):
        for value in group:
            yield from numbers_and_sources(value)


@pytest.mark.parametrize("module", [contracts, presets])
def test_the_examples_in_the_docstrings_hold(module):
    outcome = doctest.testmod(module)

    assert outcome.attempted > 0
    assert outcome.failed == 0


def test_there_is_a_file_of_every_venue():
    assert venue_ids() == VENUES == tuple(path.stem for path in FILES)


@pytest.mark.parametrize("venue", VENUES)
def test_a_file_is_of_the_venue_it_is_named_after_and_names_no_market_twice(venue):
    file = read_venue(venue)
    names = [name for market in (*file.markets, *file.unsupported) for name in (market.symbol, market.id)]

    assert file.venue == venue
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_number_stands_without_a_source_and_a_date(path):
    found = list(numbers_and_sources(json.loads(path.read_text(encoding="utf-8"))))

    assert len(found) > 10
    assert [name for name, sourced in found if not sourced] == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"tick": 0.1,', '"tick": 0.1, "tock": 0.2,'),
        ('"schema_version": 1', '"schema_version": 2'),
        ('"tiers": "partial"', '"tiers": "most"'),
        ('"as_of": "2026-05-21"', '"as_of": "lately"'),
        ('"maker": 0.0005,', ""),
    ],
)
def test_a_file_with_a_strange_or_missing_entry_is_refused(before, after):
    text = FILES[VENUES.index("bitmex")].read_text(encoding="utf-8")
    assert before in text

    with pytest.raises(ValidationError):
        Venue.model_validate_json(text.replace(before, after))


@pytest.mark.parametrize("venue", VENUES)
def test_the_brackets_of_a_market_join(venue):
    for market in read_venue(venue).markets:
        rows = market.brackets.rows
        assert rows[0][0] == 0.0
        assert [cap for _, cap, _, _ in rows[:-1]] == [floor for floor, _, _, _ in rows[1:]]
        assert rows[-1][1] > rows[-1][0]


def test_every_contract_is_found_by_its_symbol_and_by_the_venues_own_name():
    for market in known_markets():
        if market.contract is not None:
            assert find_contract(market.name) == market.contract == find_contract(f"{market.venue}:{market.id}")
    assert len(known_contracts()) == 14


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("binanceusdm:BTC/USDT:USDT", {"max_leverage": 125.0, "contract_size": 1.0, "liquidation_fee": 0.0125}),
        ("binanceusdm:ETH/USDT:USDT", {"max_leverage": 125.0, "tick": 0.01, "is_partial": False}),
        ("binancecoinm:BTCUSD_PERP", {"contract_size": 100.0, "kind": "inverse", "liquidation_fee": 0.015}),
        ("bybit:BTCUSDT", {"maintenance": 0.005, "taker_fee": 0.00055, "maintenance_on": "mark"}),
        ("bybit:ETHUSDT", {"notional_cap": 24e6, "max_leverage": 100.0, "lot": 0.01, "is_partial": True}),
        ("bybit:ETHUSD", {"maintenance": 0.01, "max_leverage": 50.0, "settlement": "ETH", "kind": "inverse"}),
        ("bybit:BTCUSD", {"notional_cap": 150.0, "is_partial": True, "settlement": "BTC"}),
        ("bingx:ETH-USDT", {"maintenance": 0.0033, "fee_in_maintenance": True, "lot": 0.01}),
        ("bingx:BTC-USDT", {"maintenance": 0.0038, "notional_cap": 900_000.0, "lot": 1e-4, "max_leverage": 125.0}),
        ("bitget:BTCUSDT", {"maintenance": 0.004, "taker_fee": 0.0006, "max_leverage": 125.0}),
        ("bitmex:XBTUSD", {"contract_size": 1.0, "lot": 100.0, "max_leverage": 100.0, "forfeits_margin": True}),
        ("bitmex:XBTUSDT", {"contract_size": 1e-6, "lot": 1e-4, "funding_offset_hours": 4.0}),
    ],
)
def test_the_presets_hold_what_the_venues_say(name, expected):
    contract = lbt.find_contract(name)

    assert {field: getattr(contract, field) for field in expected} == expected


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "binance:BTC/USDT:USDT",
            "there is no venue 'binance' .* Did you mean 'binanceusdm'. Choose from binancecoinm",
        ),
        ("XBTUSD", "there is no venue 'XBTUSD' in 'XBTUSD'. Choose from"),
        (
            "bitmex:XBTUSDX",
            "bitmex has no preset of 'XBTUSDX'. .*Choose from bitmex:BTC/USD:BTC, bitmex:BTC/USDT:USDT",
        ),
        ("bybit:BTC/USDT", "Did you mean 'bybit:BTC/USDT:USDT'"),
        (
            "bitmex:ETHUSD",
            "bitmex:ETHUSD has no preset: a quanto contract: quoted in USD on ETH and settled in BTC",
        ),
        ("bitget:BTC/USD:BTC", "has no preset: Bitget counts orders of its coin-margined contracts in the coin"),
        ("binancecoinm:ETHUSD_PERP", "no source at hand states the maintenance rates.*Contract.from_ccxt"),
    ],
)
def test_a_name_without_a_contract_gets_help_or_the_reason(name, message):
    with pytest.raises(ConfigError, match=message):
        find_contract(name)


def test_the_deduction_of_a_second_tier_is_the_published_one():
    # BingX GET /openApi/swap/v1/maintMarginRatio for BTC-USDT, 2024-05-22: maintAmount 30 above 150,000
    second = find_contract("bingx:BTC-USDT").tiers[1]

    assert (second.floor, second.maintenance) == (150_000.0, 0.004)
    assert second.deduction == pytest.approx(30.0)


@pytest.mark.parametrize(
    ("side", "extra"), [(1, 0.0), (1, 0.05), (-1, 0.0), (-1, 0.05)], ids=["long", "long+", "short", "short+"]
)
def test_bybit_liquidates_an_inverse_position_where_its_help_says(side, extra):
    # "Liquidation Price Calculation under Isolated Mode", 2026-05-27: maintenance on the mark price, no fee added
    size, entry, leverage, rate = 60_000.0, 50_000.0, 10.0, 0.005
    contract = find_contract("bybit:BTCUSD")
    worth = size / entry

    found = contract.liquidation_price(side * size, entry, worth / leverage + extra)

    assert found == pytest.approx(size * (1 + side * rate) / (worth + side * (worth / leverage + extra)), abs=0.1)


@pytest.fixture
def listed(lbt, monkeypatch):
    """Lines of `lbt venues` on a terminal of so many columns."""

    def run(columns, *options):
        monkeypatch.setenv("COLUMNS", str(columns))
        done = lbt("venues", *options)
        assert done.code == 0, done.err
        return done.out.splitlines()

    return run


def row_of(market, lines):
    (row,) = [line for line in lines if line.split()[:1] == [market.name]]
    return row


@pytest.mark.parametrize(("columns", "options"), [(80, []), (200, []), (40, []), (80, ["--wide"])])
def test_the_command_lists_every_market_whole_and_with_its_state(listed, columns, options):
    lines = listed(columns, *options)

    assert not any("…" in line for line in lines)
    for market in known_markets():
        if market.contract is None:
            assert any(market.name in line and market.reason in line for line in lines)
        else:
            row = row_of(market, lines)
            assert ("partial" if market.contract.is_partial else "complete") in row
            assert market.contract.settlement in row
            assert f"{market.contract.max_leverage:g}x" in row


def test_the_table_fits_eighty_columns(listed):
    lines = listed(80)

    table = [line for line in lines if line.split()[:1] in [[market.name] for market in known_markets()]]
    assert len([line for line in table if "not offered" not in line]) == len(known_contracts())
    assert max(len(line.rstrip()) for line in table if "not offered" not in line) <= 80
    assert max(len(line.rstrip()) for line in lines[: len(known_contracts()) + 5]) <= 80  # heading and legend, too
    assert lines[0].split() == ["contract", "kind", "max", "MMR", "%", "tiers", "fees", "%"]


def test_a_row_of_the_short_table_can_be_checked_by_hand(listed):
    lines = listed(80)
    rows = {line.split()[0]: line.split()[1:] for line in lines if line}

    assert rows["bingx:BTC/USDT:USDT"] == ["linear", "125x", "0.38+", "partial", "900k", "USDT", "0.02/0.05"]
    assert rows["bybit:ETH/USD:ETH"] == ["inverse", "50x", "1", "partial", "3,000", "ETH", "0.02/0.055"]


@pytest.mark.parametrize(("columns", "options"), [(200, []), (80, ["--wide"])])
def test_a_wide_table_has_the_steps_and_the_dates(listed, columns, options):
    lines = listed(columns, *options)

    for market in known_markets():
        if market.contract is not None:
            row = row_of(market, lines)
            assert market.as_of in row
            assert f"{market.contract.notional_cap:,.0f} {market.contract.settlement}" in row
    bitmex = next(line for line in lines if line.startswith("bitmex:BTC/USDT:USDT"))
    assert bitmex.split()[3:7] == ["0.000001", "BTC", "0.0001", "0.1"]
    assert "04:00, every 8 h" in bitmex


@pytest.mark.slow
def test_a_wheel_brings_the_files_along(tmp_path):
    tree = tmp_path / "tree"
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        tree.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tree)
    for name in ("lstm_backtrader", "strategies", "datafeeds"):
        shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", str(tree)]
    subprocess.run([*command, "-w", str(tmp_path)], check=True, capture_output=True, text=True, cwd=tmp_path)

    (wheel,) = tmp_path.glob("*.whl")
    packed = zipfile.ZipFile(wheel).namelist()
    assert {f"lstm_backtrader/futures/venues/{venue}.json" for venue in VENUES} <= set(packed)
