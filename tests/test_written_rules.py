"""Rules written in one word: what is understood, and the answer to what is not."""

import pytest

from lstm_backtrader.errors import ConfigError
from lstm_backtrader.strategies.sizing import CappedKelly, FixedNotional, RiskPerTrade, VolatilityTarget
from lstm_backtrader.written_rules import read_numbers, read_sizing


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("8", (8,)),
        ("8-11", (8, 9, 10, 11)),
        ("14, 9,8-9", (8, 9, 14)),
        ("22-1", (0, 1, 22, 23)),
        ("0-23", tuple(range(24))),
    ],
)
def test_hours_are_single_ones_and_spans_with_both_ends(text, expected):
    assert read_numbers("hours", text, 23, "UTC") == expected


@pytest.mark.parametrize("text", ["24", "8-", "mon-fri", "1-2-3", "-1", "8,,9", "8.5", "²"])
def test_other_hours_are_answered_with_the_range(text):
    with pytest.raises(
        ConfigError, match=r"^hours '.*' must be whole numbers from 0 to 23, UTC\. Write 1-5, or 1,3,5"
    ):
        read_numbers("hours", text, 23, "UTC")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fraction", None),
        ("notional:5000", FixedNotional(5000)),
        ("risk", RiskPerTrade()),
        ("risk:0.02", RiskPerTrade(0.02)),
        ("volatility:0.5", VolatilityTarget(0.5)),
        ("kelly: 0.25 : most=2", CappedKelly(0.25, most=2)),
        ("kelly:most=2:payoff=1.5", CappedKelly(most=2, payoff=1.5)),
    ],
)
def test_a_size_is_a_name_with_its_numbers(text, expected):
    assert read_sizing(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rsik:0.01", r"sizing 'rsik:0.01' is unknown. Did you mean risk\? Write fraction, notional:5000"),
        ("fraction:0.5", "sizing 'fraction:0.5' is unknown. --fraction says which"),
        ("", "sizing '' is unknown. Write fraction"),
        ("notional", "does not say how much. Write notional:5000, in the settlement coin"),
        ("risk:much", "'much' is not understood. risk takes equity_pct; a number alone is the first of them"),
        ("risk:0.01:0.02", "'0.02' is not understood"),
        ("risk:0.01:equity_pct=0.02", "'equity_pct=0.02' is not understood"),
        ("kelly:calibrate=1", "'calibrate=1' is not understood. kelly takes kelly_share, most, payoff"),
        ("risk:2", r"sizing 'risk:2': equity_pct=2.0 must be in \(0, 1\]. It is a fraction of equity"),
        ("volatility:30", r"yearly=30.0 must be in \(0, 10\]"),
        ("notional:0", "notional=0.0 must be above 0 and finite"),
    ],
)
def test_another_size_is_answered_with_what_can_be_written(text, message):
    with pytest.raises(ConfigError, match=message):
        read_sizing(text)
