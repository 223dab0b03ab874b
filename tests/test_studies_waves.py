"""The study of Elliott waves: the command on a market of its own, and a page that counts what its tables say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lstm_backtrader.errors import DataError
from lstm_backtrader.forecast.elliott_null import ImpulseShare
from studies.market import Cell
from studies.waves import Row, main, markets_of, page_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three years of hourly candles with funding, and files that are no market."""
    rng = np.random.default_rng(0)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, 26_280)))
    opens = np.concatenate([[100.0], close[:-1]])
    candles = pd.DataFrame(
        {
            "timestamp": pd.date_range("2020-01-01", periods=len(close), freq="1h", tz="UTC"),
            "open": opens,
            "high": np.maximum(opens, close) * 1.002,
            "low": np.minimum(opens, close) * 0.998,
            "close": close,
            "volume": rng.uniform(1.0, 2.0, len(close)),
        }
    )
    candles.to_parquet(tmp_path / "COINUSDT-1h.parquet")
    candles.to_parquet(tmp_path / "LONEUSDT-1h.parquet")  # without funding
    funding = pd.DataFrame({"timestamp": candles["timestamp"][::8], "funding_rate": 0.0001})
    funding.to_parquet(tmp_path / "COINUSDT-8h-funding.parquet")
    return tmp_path


def test_the_command_trades_every_market_of_the_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studies.waves.SEEDS", 2)
    out = folder / "waves.md"
    options = ["--timeframes", "1D", "--begin", "2022-06-01", "--seeds", "1", "--steps", "5"]
    assert main([str(folder), *options, "--work", str(folder / "work"), "--out", str(out)]) == 0
    page = out.read_text(encoding="utf-8")
    assert "## COINUSDT, bars of 1D" in page
    assert "LONEUSDT" not in page
    for name in ("LSTM", "LSTM, Elliott filter", "Elliott alone", "buy and hold"):
        assert f"| {name} | " in page
    assert "By chance it is 7.1% of a random walk" in page
    assert " of 2 |" in page


def row(name: str, net: float, drawn: float, sharpe_low: float = -1.0) -> Row:
    return Row(name, net, net - 1, net + 1, 0.5, sharpe_low, 2.0, -0.2, 7, drawn=(drawn,) * 20)


def test_the_page_counts_what_its_tables_say() -> None:
    # given the filter of more in one of two, above chance in one, and one interval above zero
    cell, share = Cell("COIN", "4h", pd.DataFrame()), ImpulseShare(100, 9, (0.05, 0.08))
    first = [row("LSTM", 0.1, 0.2), row("LSTM, Elliott filter", 0.3, 0.2), row("Elliott alone", 0.0, 0.2)]
    second = [row("LSTM", 0.1, 0.2), row("LSTM, Elliott filter", 0.0, 0.2), row("Elliott alone", 0.0, 0.2, 0.1)]

    # when
    page = page_of([(cell, share, first), (cell, share, second)], "2022 to 2024")

    # then
    assert "Of 2 markets and lengths of bars the filter leaves the LSTM with more in 1." in page
    assert "LSTM in 0; LSTM, Elliott filter in 1; Elliott alone in 0" in page
    assert "Of 6 accounts that follow a forecast or a count 1 have a Sharpe ratio" in page
    assert (
        "| LSTM, Elliott filter | +30.0% (-70% to +130%) | 0.50 (-1.00 to 2.00) | -20.0% | 7 | +20.0% | 20 of 20 |"
        in page
    )


def test_a_folder_without_a_market_says_what_is_looked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DataError, match=r"no candles such as BTCUSDT-1h.parquet with BTCUSDT-8h-funding.parquet"):
        markets_of(tmp_path)
    assert main([str(tmp_path), "--timeframes", "1x"]) == 1
    assert "timeframe '1x' is unknown" in capsys.readouterr().err
