"""`ElliottWaves` and what is built on it: every mode of Cerebro, a strategy, the audit, the report, the docs."""

import re
from pathlib import Path

import backtrader as bt
import numpy as np
import pytest

import lstm_backtrader as lbt
from lstm_backtrader.candles import Bars
from lstm_backtrader.errors import ConfigError, TimeframeError
from lstm_backtrader.forecast.wave_series import WaveRules, wave_readings
from lstm_backtrader.reporting.recorder import run_record
from lstm_backtrader.reporting.wave_chart import wave_section
from lstm_backtrader.strategies import ElliottFutures
from lstm_backtrader.testing import assert_no_lookahead

SHORT = {"turn": 2.0, "span": 7, "context": 64, "stride": 16}
MODES = {
    "runonce": {},
    "next": {"runonce": False},
    "preload off": {"preload": False},
    "exactbars 1": {"exactbars": 1},
    "exactbars -1": {"exactbars": -1},
    "exactbars -2": {"exactbars": -2},
}
every_mode = pytest.mark.parametrize("mode", MODES)


class Listening(bt.Strategy):
    params = (("options", SHORT), ("data_number", -1))

    def __init__(self):
        self.waves = lbt.ElliottWaves(self.datas[self.p.data_number], **self.p.options)
        self.heard = []

    def prenext(self):
        self.next()

    def next(self):
        self.heard.append([line[0] for line in self.waves.lines] if len(self.waves) else [])


def listen(candles, add=lambda cerebro, feed: cerebro.adddata(feed), options=SHORT, feed=None, **mode):
    cerebro = bt.Cerebro(stdstats=False)
    add(cerebro, lbt.CandleFeed(candles) if feed is None else feed)
    cerebro.addstrategy(Listening, options=options)
    return cerebro.run(**mode)[0]


def expected(candles):
    """The lines as the pure function has them: prices as prices, 0 for a wave that is not known."""
    reading = wave_readings(Bars.of(candles), WaveRules.of(**SHORT))
    return np.column_stack(
        [
            np.exp(reading[name])
            if name in ("invalidation", "target")
            else np.nan_to_num(reading[name])
            if name in ("wave", "confidence", "swing", "n_hypotheses")
            else reading[name]
            for name in lbt.ElliottWaves.lines._getlines()
        ]
    )


@every_mode
def test_every_mode_says_what_the_pure_function_says(candles_of, mode):
    kept = np.random.default_rng(1).random(400) > 0.05
    candles = candles_of(400, seed=2)[kept]
    heard = np.array(listen(candles, **MODES[mode]).heard)
    np.testing.assert_array_equal(heard, expected(candles))
    assert abs(heard[:, 0]).max() == 6


@every_mode
def test_on_resampled_bars_it_counts_the_longer_bars(candles_of, mode):
    candles = candles_of(400 * 4, seed=2, freq="15min")
    heard = listen(candles, lambda cerebro, feed: lbt.resample(cerebro, feed, "1h"), **MODES[mode]).heard
    hours = lbt.datafeeds.resample_candles(candles, "1h")
    np.testing.assert_array_equal(np.array(heard), expected(hours))


def test_on_a_forming_bar_it_ends_with_what_the_closed_bar_says(candles_of):
    candles = candles_of(300 * 4, seed=2, freq="15min")
    heard = np.array(listen(candles, lambda cerebro, feed: lbt.replay(cerebro, feed, "1h")).heard)
    np.testing.assert_array_equal(heard[3::4], expected(lbt.datafeeds.resample_candles(candles, "1h")))


def test_a_feed_that_does_not_say_its_bars_is_told_how_to(candles_of):
    feed = bt.feeds.PandasData(dataname=candles_of(200).tz_localize(None))
    with pytest.raises(
        TimeframeError, match=r"1h bars \(measured\), and the feed, or timeframe=, says 1D. Say timeframe"
    ):
        listen(None, feed=feed)
    feed = bt.feeds.PandasData(dataname=candles_of(200).tz_localize(None))
    assert listen(None, feed=feed, options={**SHORT, "timeframe": "1h"}).heard


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"turn": -1.0}, "turn -1.0 must be above 0"),
        ({"context": 64, "stride": 65}, "stride 65 is outside 1 to context 64"),
        ({"timeframe": "1hour"}, "timeframe '1hour' is unknown"),
    ],
)
def test_a_wrong_parameter_is_refused(candles, options, said):
    with pytest.raises(ConfigError, match=said):
        listen(candles, options=options)


def test_a_line_is_no_data(candles):
    class OnALine(bt.Strategy):
        def __init__(self):
            lbt.ElliottWaves(self.data.close)

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(lbt.CandleFeed(candles))
    cerebro.addstrategy(OnALine)
    with pytest.raises(
        ConfigError, match=r"ElliottWaves reads high, low, close of a data feed.*ElliottWaves\(self.data\)"
    ):
        cerebro.run()


def test_the_audit_finds_no_look_ahead_and_no_repaint(candles_of):
    assert_no_lookahead(lbt.ElliottWaves, candles_of(500, seed=3), SHORT)


# --- the strategy -------------------------------------------------------------------------------------------


def traded(candles, **params):
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(lbt.CandleFeed(candles, name="TOY"))
    cerebro.setbroker(lbt.FuturesBroker(leverage=1))
    cerebro.addstrategy(ElliottFutures, **SHORT, **params)
    return lbt.run(cerebro)


def test_it_holds_the_side_of_the_impulse_in_the_waves_it_is_told(candles_of):
    candles = candles_of(400, seed=2)
    strategy = traded(candles, waves=(3,))[0]
    record = strategy.analyzers[0].record.equity
    wave = expected(candles)[:, 0]
    wanted = np.where(np.abs(wave) == 3, np.sign(wave), 0)[-len(record) :]
    assert (np.sign(record["position"].to_numpy())[1:] == wanted[:-1]).all()
    assert set(wanted) == {-1, 0, 1}


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"waves": (3, 6)}, r"waves=\(3, 6\): an impulse has waves 1 to 5"),
        ({"waves": ()}, "an impulse has waves 1 to 5"),
        ({"confidence": 1.5}, r"confidence=1.5 must be in \[0, 1\]"),
    ],
)
def test_what_is_no_wave_is_refused(candles, params, said):
    with pytest.raises(ConfigError, match=said):
        traded(candles, **params)


# --- the report ---------------------------------------------------------------------------------------------


def test_a_run_with_waves_reports_its_newest_count_beside_chance(candles_of, tmp_path):
    # when
    results = traded(candles_of(600, seed=2))
    lbt.report(results, tmp_path / "report.html")

    # then
    page = (tmp_path / "report.html").read_text()
    section = page[page.index("Elliott waves of TOY") :]
    assert "By chance it is 7.1% of a random walk" in section
    assert len(re.findall(r'<b class="(?:above|below) (?:up|down)"', section)) > 3
    assert re.search(r"wave \d of an impulse (up|down)|five waves (up|down) are over", section)
    assert "<script" not in section.partition("What the simulation rests on")[0]


def test_a_run_without_waves_reports_none(candles_of, tmp_path):
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(lbt.CandleFeed(candles_of(300)))
    cerebro.addstrategy(bt.strategies.MA_CrossOver)
    lbt.run(cerebro, report=tmp_path / "report.html")
    assert "Elliott" not in (tmp_path / "report.html").read_text()


def test_the_name_of_the_data_cannot_break_the_page(candles_of):
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(lbt.CandleFeed(candles_of(300, seed=2), name="<b>BTC & co</b>"))
    cerebro.addstrategy(Listening)
    strategy = cerebro.run()[0]
    assert "Elliott waves of &lt;b&gt;BTC &amp; co&lt;/b&gt;" in wave_section(strategy.waves)


# --- the document -------------------------------------------------------------------------------------------


def test_the_code_of_the_document_runs(candles_of, fixed_forecaster):
    page = (Path(__file__).parents[1] / "docs" / "elliott.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) >= 2
    scope = {"candles": candles_of(900, seed=2), "model": fixed_forecaster(prob_up=0.9)}
    for block in blocks:
        exec(block, scope)
    assert scope["share"].runs > 20
    trades = run_record(scope["results"]).trades
    assert set(trades["side"]) == {1}
    assert "line_stop" in set(trades["exit_reason"])
