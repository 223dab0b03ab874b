"""A Backtrader data as bars: stamps to open times, in one place."""

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from lstm_backtrader.candles import COLUMNS, Bars, open_times
from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.errors import ConfigError, DataError, TimeframeError
from lstm_backtrader.indicators.tape import Tape

HOUR = pd.Timedelta(hours=1)


def run(candles, look, columns=COLUMNS, step_s=3600, stamps="open", **options):
    """What `look(tape)` gives at each bar; the candles' index goes to Backtrader as it is."""
    seen = []

    class Looker(bt.Strategy):
        def __init__(self):
            self.tape = Tape(self.data, columns, step_s, stamps)

        def next(self):
            seen.append(look(self.tape))

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(candles))
    cerebro.addstrategy(Looker)
    cerebro.run(**options)
    return seen


@pytest.mark.parametrize("freq", ["1s", "1min", "15min", "1h", "4h", "1D"])
def test_open_times_survive_backtraders_floating_days(candles_of, freq):
    candles = candles_of(200, freq=freq)
    step_s = int(pd.Timedelta(freq).total_seconds())
    times = run(candles, lambda tape: tape.now(), step_s=step_s)
    assert times == open_times(candles.index).tolist()


def test_the_last_bars_are_those_up_to_now(candles):
    tails = run(candles, lambda tape: tape.last(5))
    whole = Bars.of(candles)
    for t, tail in enumerate(tails):
        wanted = slice(max(0, t - 4), t + 1)
        assert tail.open_time.tolist() == whole.open_time[wanted].tolist()
        for name in COLUMNS:
            assert tail[name].tolist() == whole[name][wanted].tolist()


@pytest.mark.parametrize("options", [{}, {"runonce": False}, {"preload": False}])
def test_more_bars_than_there_are_gives_those_there_are(candles, options):
    lengths = run(candles, lambda tape: len(tape.last(10_000)), **options)
    assert lengths == list(range(1, 301))


def test_everything_is_the_whole_preloaded_table(candles):
    everything = run(candles, lambda tape: tape.everything())[0]
    assert everything.open_time.tolist() == open_times(candles.index).tolist()
    for name in COLUMNS:
        np.testing.assert_array_equal(everything[name], candles[name])


def test_reading_everything_leaves_the_lines_free_to_grow(candles):
    def look(tape):
        bars = tape.everything()
        tape.data.lines.close.array.append(0.0)  # a view kept on the array would raise BufferError
        tape.data.lines.close.array.pop()
        return bars

    assert len(run(candles.iloc[:5], look)) == 5


def test_bars_stamped_by_their_close_get_their_open_time(candles):
    closing = candles.set_axis(candles.index + HOUR)
    times = run(closing, lambda tape: tape.now(), stamps="close")
    assert times == open_times(candles.index).tolist()


def test_stamps_just_before_the_close_count_as_the_close(candles):
    closing = candles.set_axis(candles.index + HOUR - pd.Timedelta("1ms"))
    times = run(closing, lambda tape: int(tape.last(3).open_time[-1]), stamps="close")
    assert times == open_times(candles.index).tolist()


def test_gaps_are_no_other_bar_length(candles):
    gappy = candles.drop(candles.index[[3, 4, 50]])
    assert len(run(gappy, lambda tape: len(tape.last(9)))) == 297


@pytest.mark.parametrize(("freq", "name"), [("15min", "15m"), ("4h", "4h"), ("1D", "1D")])
def test_another_bar_length_is_refused_as_measured(candles_of, freq, name):
    with pytest.raises(
        TimeframeError, match=rf"the data has {name} bars \(measured\), the model was trained on 1h"
    ):
        run(candles_of(30, freq=freq), lambda tape: tape.last(9))


@pytest.mark.parametrize("look", [Tape.now, lambda tape: tape.last(1)], ids=["now", "last"])
def test_another_bar_length_is_noticed_by_whoever_looks(candles_of, look):
    with pytest.raises(TimeframeError, match="the data has 15m bars"):
        run(candles_of(30, freq="15min"), look)


def test_a_gap_at_the_very_beginning_is_no_other_bar_length(candles):
    assert len(run(candles.drop(candles.index[[2, 3, 4, 5]]), Tape.now)) == 296


@pytest.mark.parametrize("stamps", ["open", "close"])
def test_bars_off_the_clock_are_refused(candles_of, stamps):
    late = candles_of(30, start="2024-01-01 00:10" if stamps == "open" else "2024-01-01 01:10")
    with pytest.raises(
        TimeframeError, match=r"opens at 2024-01-01 00:10 does not begin on a whole 1h .*lstm_backtrader\.resample"
    ):
        run(late, lambda tape: tape.last(9), stamps=stamps)


def test_an_unknown_way_to_stamp_is_refused(candles):
    with pytest.raises(ConfigError, match=r"stamps 'middle' is unknown. Use 'open' or 'close'"):
        run(candles, lambda tape: None, stamps="middle")


def test_a_line_the_data_lack_is_named(candles):
    with pytest.raises(DataError, match=r"reads column 'news' and the data has no line.*CandleFeed"):
        run(candles, lambda tape: None, columns=(*COLUMNS, "news"))


def test_extra_lines_are_read_as_columns(candles):
    candles["news"] = np.arange(300.0)
    news = run(candles, lambda tape: tape.last(2)["news"].tolist(), columns=(*COLUMNS, "news"))
    assert news[7] == [6.0, 7.0]
