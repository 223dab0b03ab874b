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
from lstm_backtrader import cli
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
    assert len(known_contracts()) == 11


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("binanceusdm:BTC/USDT:USDT", {"max_leverage": 125.0, "contract_size": 1.0, "liquidation_fee": 0.0125}),
        ("binanceusdm:ETH/USDT:USDT", {"max_leverage": 125.0, "tick": 0.01, "is_partial": False}),
        ("binancecoinm:BTCUSD_PERP", {"contract_size": 100.0, "kind": "inverse", "liquidation_fee": 0.015}),
        ("bybit:BTCUSDT", {"maintenance": 0.005, "taker_fee": 0.00055, "maintenance_on": "entry"}),
        ("bybit:BTCUSD", {"notional_cap": 150.0, "is_partial": True, "settlement": "BTC"}),
        ("bingx:ETH-USDT", {"maintenance": 0.0033, "fee_in_maintenance": True, "lot": 0.01}),
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
        ("bingx:BTC-USDT", "no source at hand states its maintenance rate.*Contract.from_ccxt"),
    ],
)
def test_a_name_without_a_contract_gets_help_or_the_reason(name, message):
    with pytest.raises(ConfigError, match=message):
        find_contract(name)


def test_the_command_lists_every_market_with_its_state(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "argv", ["lbt", "venues"])

    with pytest.raises(SystemExit) as stop:
        cli.main()

    lines = capsys.readouterr().out.splitlines()
    assert not stop.value.code
    for market in known_markets():
        if market.contract is None:
            assert any(market.name in line and market.reason in line for line in lines)
        else:
            state = "partial" if market.contract.is_partial else "complete"
            (row,) = [line for line in lines if line.split()[:2] == [market.venue, market.symbol]]
            assert state in row
            assert market.as_of in row


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
