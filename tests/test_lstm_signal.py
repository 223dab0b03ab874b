"""`LSTMSignal` in Backtrader: the same numbers in every mode, and none where there must be none."""

import itertools
import json
import logging
import shutil

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from lstm_backtrader import LSTMSignal
from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.errors import ConfigError, DataError, ModelError, TimeframeError
from lstm_backtrader.forecast.protocol import Forecaster
from lstm_backtrader.indicators.models import as_forecaster

LINES = ["signal", "forecast", "prob_up", "spread", "lo", "hi"]
MODES = [
    {"runonce": runonce, "preload": preload, "exactbars": exactbars}
    for runonce, preload, exactbars in itertools.product([True, False], [True, False], [-2, -1, 0, 1])
]
every_mode = pytest.mark.parametrize("mode", MODES, ids=lambda mode: "-".join(map(str, mode.values())))
HOUR = pd.Timedelta(hours=1)


class Recorder(bt.Strategy):
    """Keeps the indicator's lines of every bar, those before the warm-up too."""

    params = (("options", {}),)

    def __init__(self):
        self.indicator = LSTMSignal(self.data, **self.p.options)
        self.rows = []

    def prenext(self):
        self.rows.append([self.data.datetime.datetime(0), *(getattr(self.indicator, name)[0] for name in LINES)])

    nextstart = next = prenext


def run(feed, cerebro=None, **options):
    """The recorder after a run of `feed`, and its lines as a table by open time."""
    mode = options.pop("mode", {})
    cerebro = cerebro or bt.Cerebro(stdstats=False)
    if feed is not None:
        cerebro.adddata(feed if not isinstance(feed, pd.DataFrame) else CandleFeed(feed))
    cerebro.addstrategy(Recorder, options=options)
    recorder = cerebro.run(**mode)[0]
    table = pd.DataFrame(recorder.rows, columns=["time", *LINES]).set_index("time")
    table.index = table.index.round("s")  # Backtrader's floating days are good to 10 us
    return recorder, table.tz_localize("UTC")


def expected(model, candles, threshold=None):
    """The lines as `predict` has them: none before the warm-up."""
    table = model.predict(candles).copy()
    table.iloc[: model.warmup - 1] = np.nan
    threshold = model.threshold if threshold is None else threshold
    table.insert(0, "signal", np.where(table["forecast"].abs() >= threshold, np.sign(table["forecast"]), 0.0))
    width = getattr(model, "half_width", None) or np.nan
    table["lo"], table["hi"] = table["forecast"] - width, table["forecast"] + width
    return table.fillna({"signal": 0.0})


def assert_lines(table, wanted):
    assert table["signal"].notna().all()
    assert list(table.index) == list(wanted.index)
    np.testing.assert_allclose(table["signal"], wanted["signal"], atol=0)
    np.testing.assert_allclose(table[LINES[1:]], wanted[LINES[1:]], atol=1e-6)


# --- the mode matrix ----------------------------------------------------------------------------------------


@every_mode
def test_every_mode_says_what_predict_says(tiny_model, tiny_artefact, fresh_market, mode):
    candles = fresh_market.iloc[:300].drop(fresh_market.index[[230, 250, 251]])
    _, table = run(candles, mode=mode, model=str(tiny_artefact))
    wanted = expected(tiny_model, candles)
    assert wanted["forecast"].notna().sum() == 297 - tiny_model.warmup + 1
    assert set(wanted["signal"]) == {-1.0, 0.0, 1.0}
    assert_lines(table, wanted)


def test_the_interval_is_around_the_forecast_and_unknown_of_a_model_without_one(
    tiny_model, fresh_market, fixed_forecaster
):
    _, table = run(fresh_market.iloc[:300], model=tiny_model)
    known = table.dropna()
    assert len(known) > 50
    np.testing.assert_allclose(known["hi"] - known["lo"], 2 * tiny_model.half_width)
    _, bare = run(fresh_market.iloc[:50], model=fixed_forecaster())
    assert bare["forecast"].notna().all()
    assert bare[["lo", "hi"]].isna().all(axis=None)


def test_older_models_without_a_half_width_are_still_read(tiny_artefact, tmp_path):
    folder = tmp_path / "older"
    shutil.copytree(tiny_artefact, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["validation"]["half_width"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert as_forecaster(folder).half_width is None


@every_mode
def test_data_shorter_than_the_warm_up_have_signal_zero(tiny_artefact, fresh_market, mode):
    _, table = run(fresh_market.iloc[:150], mode=mode, model=tiny_artefact)
    assert (table["signal"] == 0).all()
    assert len(table) == 150


@every_mode
def test_a_model_of_the_past_says_nothing_of_what_it_was_trained_on(tiny_model, tiny_market, mode):
    candles = tiny_market.iloc[1500:1850]
    _, table = run(candles, mode=mode, model=tiny_model)
    wanted = expected(tiny_model, candles)
    seen = wanted.index < tiny_model.valid_from
    wanted.loc[seen] = [0.0, *[np.nan] * 5]
    assert seen.sum() == 300
    assert_lines(table, wanted)


@every_mode
def test_its_lines_are_as_long_as_the_data_at_every_bar(fixed_forecaster, candles, mode):
    class Counting(Recorder):
        def next(self):
            lines = [getattr(self.indicator.lines, name) for name in LINES]
            assert {len(line) for line in (self.indicator, *lines)} == {len(self.data)}
            assert {line.idx for line in lines} == {self.data.lines.datetime.idx} or mode["exactbars"] == 1
            self.rows.append(len(self.data))

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(candles.iloc[:50]))
    cerebro.addstrategy(Counting, options={"model": fixed_forecaster(warmup=5)})
    assert cerebro.run(**mode)[0].rows[-45:] == list(range(6, 51))


@pytest.mark.parametrize("options", [{"cell": "rnn"}, {"layers": 2}, {"stride": 1}, {"stride": 12}, {"seeds": 1}])
@pytest.mark.parametrize("mode", [{}, {"runonce": False, "preload": False, "exactbars": 1}], ids=["once", "next"])
def test_every_kind_of_net_says_what_predict_says(untrained_model, candles_of, options, mode):
    model, candles = untrained_model(**options), candles_of(80)
    _, table = run(candles, mode=mode, model=model)
    assert_lines(table, expected(model, candles))


def test_an_indicator_beside_it_with_a_longer_warm_up_changes_nothing(tiny_model, fresh_market):
    candles = fresh_market.iloc[:300]

    class WithSma(Recorder):
        def __init__(self):
            super().__init__()
            self.sma = bt.ind.SMA(self.data, period=260)

    for mode in ({}, {"runonce": False}, {"exactbars": 1}):
        cerebro = bt.Cerebro(stdstats=False)
        cerebro.adddata(CandleFeed(candles))
        cerebro.addstrategy(WithSma, options={"model": tiny_model})
        table = pd.DataFrame(cerebro.run(**mode)[0].rows, columns=["time", *LINES]).set_index("time")
        assert_lines(table.tz_localize("UTC"), expected(tiny_model, candles))


def test_two_datas_with_two_models_do_not_meet(untrained_model, candles_of):
    one, other = candles_of(80), candles_of(80, seed=4)
    model, rnn = untrained_model(), untrained_model(cell="rnn")

    class Two(bt.Strategy):
        def __init__(self):
            self.first = LSTMSignal(self.datas[0], model=model)
            self.second = LSTMSignal(self.datas[1], model=rnn)
            self.rows = []

        def next(self):
            self.rows.append((self.first.forecast[0], self.second.forecast[0]))

    for mode in ({}, {"runonce": False}):
        cerebro = bt.Cerebro(stdstats=False)
        cerebro.adddata(CandleFeed(one))
        cerebro.adddata(CandleFeed(other))
        cerebro.addstrategy(Two)
        rows = np.array(cerebro.run(**mode)[0].rows)
        np.testing.assert_allclose(rows[:, 0], model.predict(one)["forecast"].iloc[-len(rows) :], atol=1e-6)
        np.testing.assert_allclose(rows[:, 1], rnn.predict(other)["forecast"].iloc[-len(rows) :], atol=1e-6)


# --- the signal ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prob_up", "threshold", "signal"),
    [(0.9, None, 1), (0.1, None, -1), (0.9, 1.2, 1), (0.9, 1.3, 0), (0.1, 1.2, -1), (0.1, 1.3, 0), (0.5, 0.0, 0)],
)
@pytest.mark.parametrize("runonce", [True, False])
def test_the_signal_is_the_sign_of_a_forecast_beyond_the_threshold(
    fixed_forecaster, candles, prob_up, threshold, signal, runonce
):
    forecaster = fixed_forecaster(prob_up=prob_up)  # 0.9 is 1.28 standard deviations
    _, table = run(candles, mode={"runonce": runonce}, model=forecaster, threshold=threshold)
    assert (table["signal"] == signal).all()
    assert (table["prob_up"] == prob_up).all()


def test_a_threshold_is_reached_at_its_very_value(fixed_forecaster, candles):
    forecaster = fixed_forecaster(prob_up=0.9)
    _, table = run(candles, model=forecaster, threshold=forecaster.point.forecast)
    assert (table["signal"] == 1).all()


def test_the_threshold_of_the_model_is_the_default(tiny_model, fresh_market):
    recorder, _ = run(fresh_market.iloc[:220], model=tiny_model)
    assert recorder.indicator.threshold == tiny_model.threshold


@pytest.mark.parametrize("threshold", [-0.1, float("nan")])
def test_a_threshold_below_zero_is_refused(fixed_forecaster, candles, threshold):
    with pytest.raises(ConfigError, match=r"threshold .* is below 0. Use 0 or more"):
        run(candles, model=fixed_forecaster(), threshold=threshold)


@pytest.mark.parametrize(("prob_up", "sign"), [(0.9, 1), (0.1, -1)])
def test_add_signal_trades_it(fixed_forecaster, candles, prob_up, sign):
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(candles))
    cerebro.add_signal(bt.SIGNAL_LONGSHORT, LSTMSignal, model=fixed_forecaster(prob_up=prob_up))
    cerebro.run()
    assert np.sign(cerebro.broker.getposition(cerebro.datas[0]).size) == sign


def test_it_compares_and_combines_as_any_indicator(fixed_forecaster, candles):
    class Combined(bt.Strategy):
        def __init__(self):
            self.is_up = bt.And(LSTMSignal(self.data, model=fixed_forecaster()) > 0, self.data.close > 0)
            self.seen = []

        def next(self):
            self.seen.append(self.is_up[0])

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(candles))
    cerebro.addstrategy(Combined)
    assert set(cerebro.run()[0].seen) == {1.0}


def test_the_plot_label_names_the_model_and_not_its_weights(tiny_artefact, fresh_market):
    recorder, _ = run(fresh_market.iloc[:220], model=tiny_artefact, threshold=0.25)
    assert recorder.indicator._plotlabel() == ["tiny", "0.25"]


def test_optimising_over_a_threshold_runs_in_other_processes(tiny_artefact, fresh_market):
    cerebro = bt.Cerebro(stdstats=False, optreturn=False, maxcpus=1)
    cerebro.adddata(CandleFeed(fresh_market.iloc[:230]))
    cerebro.optstrategy(Recorder, options=[{"model": str(tiny_artefact), "threshold": t} for t in (0.0, 99.0)])
    trading = [any(row[1] for row in runs[0].rows) for runs in cerebro.run()]
    assert trading == [True, False]


# --- the in-sample guard ------------------------------------------------------------------------------------


@pytest.mark.parametrize("runonce", [True, False])
def test_suppressed_bars_are_counted_and_logged_once(tiny_model, tiny_market, caplog, runonce):
    with caplog.at_level(logging.INFO, "lstm_backtrader.indicators"):
        recorder, _ = run(tiny_market.iloc[1500:1900], mode={"runonce": runonce}, model=tiny_model)
    summary = recorder.indicator.forecast_summary()
    assert summary["suppressed_bars"] == 300 - tiny_model.warmup + 1
    assert (summary["bars"], summary["in_sample"]) == (100, 0)
    assert summary["first_forecast"] == f"{tiny_model.valid_from:%Y-%m-%d %H:%M}"
    assert caplog.text.count(f"{tiny_model.valid_from:%Y-%m-%d %H:%M}") == 1
    assert f"{summary['suppressed_bars']} bars suppressed" in recorder.indicator.suppression()


@pytest.mark.parametrize("runonce", [True, False])
def test_allow_insample_forecasts_them_and_says_so(tiny_model, tiny_market, runonce):
    candles = tiny_market.iloc[1500:1900]
    recorder, table = run(candles, mode={"runonce": runonce}, model=tiny_model, allow_insample=True)
    assert_lines(table, expected(tiny_model, candles))
    summary = recorder.indicator.forecast_summary()
    assert (summary["suppressed_bars"], summary["in_sample"]) == (0, 300 - tiny_model.warmup + 1)


@pytest.mark.parametrize("runonce", [True, False])
def test_an_expired_model_says_nothing(fixed_forecaster, candles, runonce):
    forecaster = fixed_forecaster()
    forecaster.valid_until = candles.index[200]
    _, table = run(candles, mode={"runonce": runonce}, model=forecaster, allow_insample=True)
    assert (table["signal"].iloc[:200] == 1).all()
    assert (table["signal"].iloc[200:] == 0).all()
    assert table["forecast"].iloc[200:].isna().all()


def test_a_naive_validity_is_utc(fixed_forecaster, candles):
    forecaster = fixed_forecaster()
    forecaster.valid_from = "2024-01-02"
    _, table = run(candles, model=forecaster)
    assert (table["signal"] == 0).sum() == 24


def test_a_run_without_any_forecast_warns_with_the_dates(tiny_model, tiny_market, caplog):
    with caplog.at_level(logging.WARNING, "lstm_backtrader"):
        run(tiny_market.iloc[1200:1500], model=tiny_model)
    assert "no bar has a forecast" in caplog.text
    assert f"valid from {tiny_model.valid_from:%Y-%m-%d %H:%M}" in caplog.text
    assert "allow_insample=True" in caplog.text


def test_a_run_shorter_than_the_warm_up_warns_with_its_length(tiny_model, fresh_market, caplog):
    with caplog.at_level(logging.WARNING, "lstm_backtrader"):
        run(fresh_market.iloc[:150], model=tiny_model)
    assert "150 bars are too few, the warm-up takes 209. Give more history." in caplog.text


def test_the_summary_holds_the_correlation_with_what_came(tiny_model, fresh_market):
    from lstm_backtrader.candles import Bars
    from lstm_backtrader.forecast.labels import scaled_return

    recorder, table = run(fresh_market, model=tiny_model)
    label = scaled_return(Bars.of(fresh_market), 4)
    known = table["forecast"].notna().to_numpy() & np.isfinite(label)
    wanted = np.corrcoef(table["forecast"][known], label[known])[0, 1]
    summary = recorder.indicator.forecast_summary()
    assert summary["ic"] == pytest.approx(wanted)
    assert (summary["seam"], summary["threshold"]) == (tiny_model.seam, tiny_model.threshold)
    late = recorder.indicator.forecast_summary(start=fresh_market.index[700])
    assert (late["bars"], late["first_forecast"]) == (100, f"{fresh_market.index[700]:%Y-%m-%d %H:%M}")


# --- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [None, 7, object(), {"path": "x"}])
def test_what_is_no_model_is_refused(candles, model):
    with pytest.raises(ConfigError, match=r"is neither a path nor a forecaster. Give the directory `lbt train`"):
        run(candles, model=model)


def test_a_path_without_a_model_is_refused(candles, tmp_path):
    with pytest.raises(ModelError, match="cannot be read"):
        run(candles, model=tmp_path / "nowhere")


def test_the_toy_forecaster_meets_the_protocol(fixed_forecaster):
    assert isinstance(fixed_forecaster(), Forecaster)


@pytest.mark.parametrize("of", [lambda data: data.close, lambda data: bt.indicators.SMA(data, period=3)])
def test_a_line_or_an_indicator_in_place_of_the_data_is_refused(fixed_forecaster, candles, of):
    class OnLine(bt.Strategy):
        def __init__(self):
            LSTMSignal(of(self.data), model=fixed_forecaster())

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(candles))
    cerebro.addstrategy(OnLine)
    with pytest.raises(
        ConfigError, match=r"reads open, high, low, close, volume.*Give the data itself: LSTMSignal"
    ):
        cerebro.run()


def test_data_without_the_event_line_are_refused(tiny_model, fresh_market):
    rule = r"the model reads column 'news' and the data has no line of that name.*--event-data, --funding or --mark"
    with pytest.raises(DataError, match=rule):
        run(fresh_market.drop(columns="news"), model=tiny_model)


@pytest.mark.parametrize("runonce", [True, False])
def test_bars_of_another_length_are_refused(fixed_forecaster, candles_of, runonce):
    with pytest.raises(TimeframeError, match=r"the data has 15m bars \(measured\), the model was trained on 1h"):
        run(candles_of(40, freq="15min"), mode={"runonce": runonce}, model=fixed_forecaster(warmup=5))


@pytest.mark.parametrize("runonce", [True, False])
def test_bars_off_the_clock_are_refused(fixed_forecaster, candles_of, runonce):
    with pytest.raises(TimeframeError, match="opens at 2024-01-01 00:30 does not begin on a whole 1h"):
        run(candles_of(40, start="2024-01-01 00:30"), mode={"runonce": runonce}, model=fixed_forecaster(warmup=5))


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("treshold", r"Did you mean threshold\?"),
        ("modle", r"Did you mean model\?"),
        ("allow_in_sample", r"Did you mean allow_insample\?"),
        ("colour", "It takes model, threshold, allow_insample, stamps."),
    ],
)
def test_an_unknown_parameter_is_refused_with_the_one_that_was_meant(fixed_forecaster, candles, name, remedy):
    with pytest.raises(ConfigError, match=rf"LSTMSignal has no parameter '{name}'. {remedy}"):
        run(candles, model=fixed_forecaster(), **{name: 0.5})


def test_a_model_given_by_place_is_asked_for_by_name(tiny_artefact, candles):
    class ByPlace(bt.Strategy):
        def __init__(self):
            LSTMSignal(self.data, str(tiny_artefact))

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(candles))
    cerebro.addstrategy(ByPlace)
    with pytest.raises(ConfigError, match=r"takes its parameters by name: LSTMSignal\(data, model="):
        cerebro.run()


def test_backtraders_own_words_for_plots_are_still_understood(fixed_forecaster, candles):
    recorder, _ = run(candles, model=fixed_forecaster(), plotname="mine", subplot=False)
    assert recorder.indicator.plotinfo.plotname == "mine"


# --- other ways to feed it ----------------------------------------------------------------------------------


@pytest.mark.parametrize("runonce", [True, False])
def test_close_stamped_data_give_the_same_forecasts(tiny_model, fresh_market, runonce):
    candles = fresh_market.iloc[:300]
    closing = candles.set_axis(candles.index + HOUR)
    _, table = run(closing, mode={"runonce": runonce}, model=tiny_model, stamps="close", allow_insample=True)
    np.testing.assert_allclose(table[LINES], expected(tiny_model, candles)[LINES], atol=1e-6)


def test_pandas_data_of_backtrader_will_do(untrained_model, candles_of):
    candles = candles_of(80)
    feed = bt.feeds.PandasData(dataname=candles.tz_localize(None))
    _, table = run(feed, model=untrained_model())
    assert_lines(table, expected(untrained_model(), candles))


def resample_by_pandas(quarters):
    return quarters.resample("1h").agg(
        {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    )


def test_bars_resampled_by_backtrader_are_stamped_by_their_close(untrained_model, candles_of):
    quarters, model = candles_of(320, freq="15min"), untrained_model()
    cerebro = bt.Cerebro(stdstats=False)
    # open-stamped quarters: `boundoff` keeps the bar at 01:00 out of the hour before
    cerebro.resampledata(CandleFeed(quarters), timeframe=bt.TimeFrame.Minutes, compression=60, boundoff=1)
    _, table = run(None, cerebro, model=model)
    wanted = expected(model, resample_by_pandas(quarters))
    assert list(table.index) == list(wanted.index + HOUR)
    np.testing.assert_allclose(table[LINES], wanted[LINES], atol=1e-6)
