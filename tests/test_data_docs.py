"""The examples of docs/data.md run as they stand, on a store with the market they name."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from lstm_backtrader.datafeeds.series import Series
from lstm_backtrader.datafeeds.store import Store

PAGE = (Path(__file__).parents[1] / "docs" / "data.md").read_text(encoding="utf-8")
HOUR = pd.Timedelta(hours=1)


def test_the_examples_run_as_they_stand(candles_of, tmp_path, monkeypatch):
    monkeypatch.setenv("LBT_STORE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    store, bars = Store(), candles_of(1000)
    series = Series("bybit", "BTC/USD:BTC", "candles", "1h")
    store.append(series, bars, "bybit", covered=[(bars.index[0], bars.index[-1] + HOUR)])
    store.append(series.other("mark"), bars, "bybit")
    store.append(series.other("funding"), pd.DataFrame({"funding_rate": 1e-4}, index=bars.index[::8]), "bybit")
    found = {}
    for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(code, found)
    assert set(found["cerebro"].datas[0].getlinealiases()) >= {"mark_close", "funding_rate"}
    assert np.flatnonzero(found["feed"].p.dataname["etf"]).tolist() == [8 * 24 + 21]
    assert found["january"].shape == (744, 5)
    assert store.missing(series, "2023-01-01", "2024-02-01") == [
        (pd.Timestamp("2023-01-01", tz="UTC"), bars.index[0])
    ]


def test_every_series_that_the_page_names_is_one():
    from lstm_backtrader.datafeeds.series import parse_series

    names = re.findall(r"`(bybit:[^`]*)`", PAGE)
    assert len(names) == 4
    assert [str(parse_series(name)) for name in names] == names
