"""The journal of a live run: what is written is read to the last bit, and a torn line is none."""

import numpy as np
import pandas as pd
import pytest

from lstm_backtrader.datafeeds.journal import Journal, JournaledBars
from lstm_backtrader.datafeeds.live_market import LIVE_COLUMNS
from lstm_backtrader.datafeeds.series import Series


@pytest.fixture
def bars(candles):
    """Without a mark price in every third bar, and funding in every eighth."""
    table = candles.reindex(columns=list(LIVE_COLUMNS)).rename_axis("time")
    table["mark_close"] = np.where(np.arange(len(table)) % 3, candles["close"] / 3, np.nan)
    table["funding_rate"] = np.where(np.arange(len(table)) % 8, np.nan, 1e-4 / 3)
    return table


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "bars.jsonl")


def test_bars_are_read_to_the_last_bit(journal, bars):
    assert journal.read().empty
    journal.append(bars.iloc[:200])
    journal.append(bars.iloc[200:])
    pd.testing.assert_frame_equal(journal.read(), bars, check_exact=True, check_freq=False)


@pytest.mark.parametrize("left", [1, 40, 5000])
def test_a_torn_line_is_written_again(journal, bars, left):
    journal.append(bars)
    content = journal.path.read_bytes()
    journal.path.write_bytes(content[:-left])
    seen = journal.read()
    assert 0 < len(seen) < len(bars)
    journal.append(bars.iloc[len(seen) :])
    assert journal.path.read_bytes() == content


class Rest:
    """Hands out bars one by one."""

    is_behind = False

    def __init__(self, bars):
        self.bars, self.closed = bars, False

    def wait_s(self):
        return 7.0

    def poll(self):
        bars, self.bars = self.bars.iloc[:1], self.bars.iloc[1:]
        return bars

    def close(self):
        self.closed = True


def test_a_source_plays_the_journal_and_writes_on(journal, bars):
    journal.append(bars.iloc[:50])
    begins = []

    def rest(last):
        begins.append(last)
        return Rest(bars[bars.index > last])

    source = JournaledBars(Series("bybit", "X", "candles", "1h"), journal, rest)
    assert source.is_behind
    pd.testing.assert_frame_equal(source.poll(), bars.iloc[:50], check_freq=False)
    assert begins == [bars.index[49]]
    for number in (50, 51):
        pd.testing.assert_frame_equal(source.poll(), bars.iloc[[number]], check_freq=False)
        assert len(journal.read()) == number + 1  # written before anybody sees it
    assert (source.is_behind, source.wait_s()) == (False, 7.0)
