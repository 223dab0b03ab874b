"""The table of strategies on real candles: who is in it, what it counts, and the command on a market of its own."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from daily_files import write_market

from lstm_backtrader.errors import DataError
from studies.accounts import Account
from studies.line_up import BARRIERS, RETURN, STOP, TARGET, line_up, plans
from studies.market import plan
from studies.strategy_page import MarketTable, Row, strategy_page
from studies.strategy_table import find_markets, main

HOUR = 3600
BEGIN = pd.Timestamp("2022-03-01", tz="UTC")


def test_the_model_of_barriers_learns_the_stop_and_target_that_it_is_traded_by() -> None:
    train = plans(plan("1h", BEGIN.to_pydatetime(), seeds=1, steps=20))[BARRIERS].train
    entrant = next(each for each in line_up(train.horizon, HOUR) if each.model == BARRIERS)

    params = train.label_spec().params
    assert (params["stop_price_pct"], params["take_profit_price_pct"]) == (STOP, TARGET)
    assert (entrant.params["stop_price_pct"], entrant.params["take_profit_price_pct"]) == (STOP, TARGET)
    assert entrant.params["time_limit_bars"] == train.horizon - 1  # the last bar's open is where it is left


def test_every_strategy_of_the_line_up_has_a_name_of_its_own_and_a_model_where_it_wants_one() -> None:
    entrants = line_up(24, HOUR)

    assert len({each.name for each in entrants}) == len(entrants)
    for each in entrants:
        assert ("model" in each.parameters({RETURN: None, BARRIERS: None})) == each.name.startswith("LSTM")


def test_one_command_trades_every_strategy_and_writes_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_market(tmp_path)
    out = tmp_path / "table.md"
    options = ["--timeframe", "1D", "--begin", "2022-03-01", "--seeds", "1", "--steps", "20"]
    command = [str(tmp_path), *options, "--work", str(tmp_path / "work"), "--out", str(out)]

    assert main(command) == 0

    page = out.read_text(encoding="utf-8")
    assert f"{out}: COINUSDT" in capsys.readouterr().out
    for entrant in line_up(1, 24 * HOUR):
        assert len(re.findall(rf"^\| {re.escape(entrant.name)} \| [+-]\d", page, re.MULTILINE)) == 2
    assert "## COINUSDT, bars of 1D" in page
    assert "Bars traded: 2022-03-01 to 2023-01-04." in page
    out.unlink()
    assert main(command) == 0  # again: kept, not computed
    assert "COINUSDT 1D: kept from before" in capsys.readouterr().err
    assert out.read_text(encoding="utf-8") == page


def accounts(*returns: float) -> list[Account]:
    return [Account(f"number {n}", each, 1.0, 0.5, 1.5, -0.1, 3, 0.01, -0.02, ()) for n, each in enumerate(returns)]


def test_the_page_counts_what_its_tables_say() -> None:
    rows = [Row(each, 0.5, 2) for each in accounts(0.10, -0.20, 0.05)]
    rows[2] = Row(Account("buy and hold", 0.05, None, None, None, -0.1, 1, 0.0, 0.0, ()), 1.0, 0)
    table = MarketTable(
        "COIN", "1h", BEGIN, BEGIN + pd.Timedelta(days=9), tuple(rows), tuple(accounts(-0.3, 0.02, 0.2))
    )

    page = strategy_page([table])

    assert "Of 4 accounts 3 end above their start, 1 above buy and hold" in page
    assert "number 0 as it is ends above random entries of its turnover in 2 of 3 on COIN." in page
    assert "; none of them with a Sharpe ratio above what luck explains" in page
    assert "| number 0 | +10.0% | 1.00 (0.50 to 1.50) | -10.0% | 3 | 50% | 1.0% | -2.0% | 2 | - |" in page
    assert "| buy and hold | +5.0% | - | -10.0% | 1 | 100% | 0.0% | +0.0% | 0 | - |" in page


def test_a_table_is_kept_as_it_is() -> None:
    rows = tuple(Row(each, 0.5, 2) for each in accounts(0.10, -0.20))
    table = MarketTable("COIN", "1h", BEGIN, BEGIN + pd.Timedelta(days=9), rows, tuple(accounts(-0.3)))

    assert MarketTable.of(table.document()) == table


def test_only_markets_with_funding_are_found_and_a_wrong_name_gets_the_right_ones(tmp_path: Path) -> None:
    file = write_market(tmp_path)
    (tmp_path / "COINUSDT-1D-mark.parquet").touch()
    (tmp_path / "OTHER-1D.parquet").touch()

    assert find_markets(tmp_path, "1D", None) == [file]
    with pytest.raises(DataError, match=r"holds no market COIN. It holds COINUSDT."):
        find_markets(tmp_path, "1D", "COIN")
    with pytest.raises(DataError, match=r"holds no candles NAME-1h.parquet with NAME-8h-funding.parquet"):
        find_markets(tmp_path, "1h", None)


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--timeframe", "90x"], 1, "90x"),
        (["--begin", "March"], 2, "--begin March is no day. Write it like 2022-03-01"),
    ],
)
def test_a_mistyped_option_gets_one_line(
    tmp_path: Path, options: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        assert main([str(tmp_path), *options]) == code
    except SystemExit as end:  # argparse's own
        assert end.code == code  # noqa: PT017 - both ways end here
    assert says in capsys.readouterr().err
