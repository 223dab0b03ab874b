"""The study of real candles: its rule, its page, and the command on a market of its own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from daily_files import days, write_market

from lstm_backtrader.errors import DataError
from studies.__main__ import main
from studies.accounts import signal_of
from studies.market import plan, read_market
from studies.page import study_page


@pytest.fixture
def market(tmp_path: Path) -> Path:
    """Three years of daily candles, and funding beside them."""
    return write_market(tmp_path)


def test_a_forecast_of_any_unit_gives_the_same_signal() -> None:
    forecast = np.random.default_rng(0).normal(size=500)
    signal = signal_of(forecast)
    assert {-1.0, 0.0, 1.0} == set(signal.tolist())
    assert np.array_equal(signal, signal_of(forecast * 1024.0))


def test_a_signal_does_not_depend_on_what_is_forecast_later() -> None:
    forecast = np.random.default_rng(1).normal(size=500)
    assert np.array_equal(signal_of(forecast)[:300], signal_of(forecast[:300]))


def test_a_market_without_funding_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "COINUSDT-1D.parquet"
    days(100).to_parquet(file)
    with pytest.raises(DataError, match=r"no COINUSDT-8h-funding\.parquet beside it.*lbt download"):
        read_market(file)


@pytest.mark.parametrize(("timeframe", "horizon", "embargo"), [("1h", 24, 168), ("4h", 6, 42), ("1D", 1, 7)])
def test_the_horizon_is_a_day_and_the_embargo_a_week(timeframe: str, horizon: int, embargo: int) -> None:
    begin = pd.Timestamp("2022-03-01", tz="UTC").to_pydatetime()
    train = plan(timeframe, begin, seeds=1, steps=20).train
    assert (train.horizon, train.embargo) == (horizon, embargo)


def test_one_command_trains_judges_trades_and_writes_the_page(market: Path, tmp_path: Path) -> None:
    out, work = tmp_path / "study.md", tmp_path / "work"
    options = ["--timeframes", "1D", "--begin", "2022-03-01", "--seeds", "1", "--steps", "20"]
    command = [str(market), *options, "--work", str(work), "--out", str(out)]
    assert main(command) == 0
    page = out.read_text(encoding="utf-8")
    assert "## COINUSDT, bars of 1D" in page
    result = json.loads((work / "COINUSDT-1D.json").read_text(encoding="utf-8"))
    names = [each["name"] for each in result["accounts"]]
    assert names[:5] == ["LSTM", "ridge", "momentum", "last value", "shuffled labels"]
    assert {"buy and hold", "SMA cross"} <= set(names)
    held = next(each for each in result["accounts"] if each["name"] == "buy and hold")
    assert held["funding"] < 0.0
    assert f"| {held['net_return']:+.1%} |" in page
    written = (work / "COINUSDT-1D.json").stat().st_mtime_ns
    assert main(command) == 0  # again: kept, not computed
    assert (work / "COINUSDT-1D.json").stat().st_mtime_ns == written
    assert out.read_text(encoding="utf-8") == page


def test_the_summary_counts_what_the_tables_say() -> None:
    def account(name: str, earned: float) -> dict[str, object]:
        daily = tuple(np.random.default_rng(len(name)).normal(earned / 100, 0.01, 100).tolist())
        figures = {"sharpe": 1.0, "sharpe_low": 0.5, "sharpe_high": 1.5, "max_drawdown": -0.1, "trades": 3}
        return {"name": name, "net_return": earned, "fees": 0.01, "funding": -0.02, "daily": daily, **figures}

    judged = {"mean_ic": 0.01, "mean_ic_se": 0.02}
    result = {
        "market": "COIN",
        "timeframe": "1h",
        "span": {"begin": "2022-01-01T00:00", "last": "2022-12-31T00:00"},
        "model": {"models": 2},
        "verdict": {"is_significant": False, "words": "LSTM: not significant."},
        "forecasters": {"LSTM": judged},
        "accounts": [account("LSTM", 0.1), account("buy and hold", 0.2), account("random entries", 0.05)],
    }
    page = study_page([result])
    assert "significant in 0" in page
    assert "above buy and hold in 0, above random entries of the same turnover in 1" in page
    assert "best of all 3 accounts" in page
    assert "| COIN 1h | +0.010 ± 0.020 | not | +10.0% |" in page


@pytest.mark.parametrize(
    ("options", "says"),
    [(["--timeframes", "90x"], "90x"), (["--timeframes", "7h"], "7h")],
)
def test_a_mistyped_timeframe_gets_one_line(
    market: Path, options: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(market), *options]) == 1
    assert says in capsys.readouterr().err
