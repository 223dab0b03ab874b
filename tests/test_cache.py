"""Forecasts are computed once for each model and history."""

import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lstm_backtrader.forecast import cache
from lstm_backtrader.forecast.cache import cached_forecast
from lstm_backtrader.indicators.models import as_forecaster, predict

COLUMNS = ("close", "volume")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """An empty cache, on disk and in memory."""
    monkeypatch.setenv("LBT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_recent", type(cache._recent)())
    return tmp_path / "cache"


@pytest.fixture
def compute():
    """A slow model: counts its calls."""

    def forecast(candles: pd.DataFrame) -> pd.DataFrame:
        forecast.calls += 1
        close = candles["close"].to_numpy()
        return pd.DataFrame({"forecast": close, "prob_up": 0.5, "spread": np.nan}, index=candles.index)

    forecast.calls = 0
    return forecast


def forget_memory():
    cache._recent.clear()


def test_the_second_time_nothing_is_computed(candles, compute):
    first = cached_forecast("model", COLUMNS, candles, compute)
    second = cached_forecast("model", COLUMNS, candles, compute)
    pd.testing.assert_frame_equal(first, second)
    assert compute.calls == 1


def test_a_new_process_finds_it_on_disk(candles, compute, folder):
    first = cached_forecast("model", COLUMNS, candles, compute)
    forget_memory()
    second = cached_forecast("model", COLUMNS, candles, compute)
    pd.testing.assert_frame_equal(first, second)
    assert compute.calls == 1
    assert len(list(folder.glob("*.npy"))) == 1


@pytest.mark.parametrize("change", ["model", "value", "time", "history"])
def test_another_model_value_time_or_history_is_another_forecast(candles, compute, change):
    # given
    cached_forecast("model", COLUMNS, candles, compute)
    other = candles.copy()
    if change == "value":
        other.iloc[7, other.columns.get_loc("close")] *= 1.0000001
    elif change == "time":
        other.index = other.index + pd.Timedelta(hours=1)
    elif change == "history":
        other = other.iloc[1:]

    # when
    cached_forecast("other" if change == "model" else "model", COLUMNS, other, compute)

    # then
    assert compute.calls == 2


def test_a_column_the_model_does_not_read_changes_nothing(candles, compute):
    cached_forecast("model", COLUMNS, candles, compute)
    cached_forecast("model", COLUMNS, candles.assign(mark_close=1.0), compute)
    assert compute.calls == 1


def test_what_a_caller_does_with_his_copy_stays_his(candles, compute):
    mine = cached_forecast("model", COLUMNS, candles, compute)
    mine.loc[:, :] = 0.0
    assert (cached_forecast("model", COLUMNS, candles, compute)["forecast"] == candles["close"]).all()


@pytest.mark.parametrize("damage", [b"", b"no array at all", None])
def test_a_damaged_file_is_computed_again(candles, compute, folder, damage, caplog):
    # given
    cached_forecast("model", COLUMNS, candles, compute)
    forget_memory()
    (path,) = folder.glob("*.npy")
    path.write_bytes(path.read_bytes()[:-100] if damage is None else damage)

    # when
    again = cached_forecast("model", COLUMNS, candles, compute)

    # then
    assert compute.calls == 2
    assert (again["forecast"] == candles["close"]).all()
    assert "is computed again" in caplog.text


def test_off_keeps_everything_in_memory(candles, compute, monkeypatch, tmp_path):
    monkeypatch.setenv("LBT_CACHE", "off")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for _ in range(2):
        cached_forecast("model", COLUMNS, candles, compute)
    assert compute.calls == 1
    assert not any(tmp_path.rglob("*.npy"))


def test_a_cache_that_cannot_be_written_is_said_and_done_without(candles, compute, monkeypatch, tmp_path, caplog):
    # given
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LBT_CACHE", str(tmp_path / "file"))

    # when
    forecast = cached_forecast("model", COLUMNS, candles, compute)

    # then
    assert (forecast["forecast"] == candles["close"]).all()
    assert compute.calls == 1
    assert "cannot be written" in caplog.text


def test_the_oldest_go_when_there_is_no_room(candles, compute, folder, monkeypatch):
    # given
    monkeypatch.setattr(cache, "MAX_BYTES", 20_000)  # a forecast of 300 bars takes 7,328
    for age, model in enumerate(("a", "b", "c")):
        cached_forecast(model, COLUMNS, candles, compute)
        newest = max(folder.glob("*.npy"), key=lambda path: path.stat().st_mtime)
        os.utime(newest, (1_000 + age, 1_000 + age))

    # when
    forget_memory()
    cached_forecast("c", COLUMNS, candles, compute)

    # then
    assert len(list(folder.glob("*.npy"))) == 2
    assert compute.calls == 3


def _ask(arguments):
    folder, candles = arguments

    def slow(read: pd.DataFrame) -> pd.DataFrame:
        with (folder / f"computed-{os.getpid()}").open("a") as file:
            file.write("x")
        time.sleep(0.5)
        return pd.DataFrame({"forecast": read["close"], "prob_up": 0.5, "spread": 0.0})

    return cached_forecast("model", COLUMNS, candles, slow)["forecast"].sum()


def test_of_several_processes_one_computes_and_the_others_wait(candles, tmp_path):
    # when
    with multiprocessing.get_context("fork").Pool(4) as pool:
        sums = pool.map(_ask, [(tmp_path, candles)] * 4, chunksize=1)

    # then
    assert sums == pytest.approx([candles["close"].sum()] * 4)
    assert sum(len(path.read_text()) for path in tmp_path.glob("computed-*")) == 1


def test_a_model_file_forecasts_as_the_loaded_model_does(tiny_model, tiny_artefact, fresh_market):
    expected = tiny_model.predict(fresh_market)
    for _ in range(2):
        found = predict(as_forecaster(tiny_artefact), fresh_market)
        pd.testing.assert_frame_equal(found, expected)


def test_a_cached_backtest_does_not_load_torch(tiny_artefact, fresh_market, tmp_path):
    # given
    fresh_market.to_parquet(tmp_path / "candles.parquet")
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nimport backtrader as bt\nimport pandas as pd\nimport lstm_backtrader as lbt\n"
        "class Follow(bt.Strategy):\n"
        "    def __init__(self):\n"
        f"        self.forecast = lbt.LSTMSignal(self.data, model={str(tiny_artefact)!r})\n"
        "    def next(self):\n"
        "        self.last = self.forecast.forecast[0]\n"
        "cerebro = bt.Cerebro(stdstats=False)\n"
        f"cerebro.adddata(lbt.CandleFeed(pd.read_parquet({str(tmp_path / 'candles.parquet')!r})))\n"
        "cerebro.addstrategy(Follow)\n"
        "(result,) = lbt.run(cerebro)\n"
        "print(repr(result.last), 'torch' in sys.modules)\n"
    )

    # when
    outputs = [
        subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True).stdout.split()
        for _ in range(2)
    ]

    # then
    assert outputs[0][1] == "True"
    assert outputs[1][1] == "False"
    assert outputs[0][0] == outputs[1][0] != "nan"
