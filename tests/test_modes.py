"""`LSTMSignal` wherever Backtrader runs it: resampled, replayed, several datas, live, in other processes."""

import multiprocessing
import pickle
import queue
import subprocess
import sys
from pathlib import Path

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lstm_backtrader as lbt
from lstm_backtrader.datafeeds.grouping import forming_candles, resample_candles
from lstm_backtrader.errors import ConfigError, TimeframeError

TESTS = Path(__file__).parent
LINES = ["forecast", "prob_up", "spread"]
MODES = {
    "runonce": {},
    "next": {"runonce": False},
    "preload off": {"preload": False},
    "exactbars 1": {"exactbars": 1},
    "exactbars -1": {"exactbars": -1},
    "exactbars -2": {"exactbars": -2},
}
every_mode = pytest.mark.parametrize("mode", MODES)


class Listener(bt.Strategy):
    """An `LSTMSignal` on every data of `models`, and what each says at every step its data has something new."""

    params = (("models", ()), ("options", {}))

    def __init__(self):
        self.signals = [
            None if model is None else lbt.LSTMSignal(data, model=model, **self.p.options)
            for data, model in zip(self.datas, self.p.models, strict=True)
        ]
        self.heard = [{} for _ in self.datas]
        self.statuses = []

    def prenext(self):
        self.next()

    def next(self):
        for data, signal, heard in zip(self.datas, self.signals, self.heard, strict=True):
            if signal is not None and len(data):
                time = pd.Timestamp(bt.num2date(data.datetime[0])).round("s").tz_localize("UTC")
                heard[time] = [signal.signal[0], *(getattr(signal, name)[0] for name in LINES)]

    def notify_data(self, data, status):
        self.statuses.append(data._getstatusname(status))


def listen(cerebro, *models, mode=None, **options):
    """What was heard on each data: a table by stamp."""
    cerebro.addstrategy(Listener, models=models, options=options)
    listener = cerebro.run(**(mode or {}))[0]
    return [pd.DataFrame.from_dict(heard, orient="index", columns=["signal", *LINES]) for heard in listener.heard]


def said(model, candles):
    """The lines as `predict` has them: none before the warm-up."""
    table = model.predict(candles)[LINES].copy()
    table.iloc[: model.warmup - 1] = np.nan
    signal = np.where(table["forecast"].abs() >= model.threshold, np.sign(table["forecast"]), 0.0)
    table.insert(0, "signal", signal)
    return table


def assert_heard(heard, wanted, some=True):
    assert wanted["forecast"].notna().any() == some
    np.testing.assert_allclose(heard, wanted, atol=1e-6)


def new_cerebro():
    return bt.Cerebro(stdstats=False)


def holed(candles, seed, share=0.02):
    rng = np.random.default_rng(seed)
    return candles[rng.random(len(candles)) >= share]


# --- resampled and replayed ---------------------------------------------------------------------------------


@every_mode
@pytest.mark.parametrize("beside", [False, True])
def test_on_resampled_bars_it_says_what_predict_says_of_pandas_bars(untrained_model, candles_of, mode, beside):
    candles, model = holed(candles_of(70 * 12, freq="5min", start="2024-01-01 00:20"), 1), untrained_model()
    cerebro, feed = new_cerebro(), lbt.CandleFeed(candles)
    if beside:
        cerebro.adddata(feed)
    lbt.resample(cerebro, feed, "1h")
    heard = listen(cerebro, *[None] * beside, model, mode=MODES[mode])[-1]
    assert_heard(heard, said(model, resample_candles(candles, "1h")))


@every_mode
@pytest.mark.parametrize("beside", [False, True])
def test_on_a_forming_bar_it_says_what_predict_says_of_the_candles_so_far(
    untrained_model, candles_of, mode, beside
):
    candles, model = holed(candles_of(30 * 12, freq="5min", start="2024-01-01 00:20"), 1), untrained_model()
    cerebro, feed = new_cerebro(), lbt.CandleFeed(candles)
    lbt.replay(cerebro, feed, "1h")
    if beside:
        cerebro.adddata(lbt.CandleFeed(holed(candles, 2, share=0.1)))
    heard = listen(cerebro, model, *[None] * beside, mode=MODES[mode])[0]
    assert list(heard.index) == list(candles.index)
    closed = resample_candles(candles, "1h")
    forming = forming_candles(candles, "1h")
    begun = np.searchsorted(closed.index, candles.index, side="right") - 1  # the bar each candle is in
    for at in [*range(0, len(candles), 7), *range(len(candles) - 14, len(candles))]:
        so_far = pd.concat([closed.iloc[: begun[at]], forming.iloc[[at]].set_axis(closed.index[[begun[at]]])])
        wanted = said(model, so_far).iloc[[-1]]
        np.testing.assert_allclose(heard.iloc[[at]], wanted, atol=1e-6)
    ends = np.append(np.flatnonzero(np.diff(begun)), len(candles) - 1)
    assert_heard(heard.iloc[ends], said(model, closed))


@pytest.mark.parametrize("add", ["resampledata", "replaydata"])
@pytest.mark.parametrize("boundoff", [1, 14])
def test_backtraders_own_bars_are_placed_where_boundoff_makes_them_right(
    untrained_model, candles_of, add, boundoff
):
    candles, model = candles_of(320, freq="15min"), untrained_model()
    cerebro = new_cerebro()
    feed = lbt.CandleFeed(candles)
    getattr(cerebro, add)(feed, timeframe=bt.TimeFrame.Minutes, compression=60, boundoff=boundoff)
    heard = listen(cerebro, model)[0]
    assert_heard(heard if add == "resampledata" else heard.iloc[3::4], said(model, resample_candles(candles, "1h")))


@pytest.mark.parametrize("add", ["resample", "replay"])
@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("boundoff", [0, 15])
def test_backtraders_own_bars_that_hold_the_next_candle_are_refused(
    untrained_model, candles_of, add, beside, boundoff
):
    cerebro, feed = new_cerebro(), lbt.CandleFeed(candles_of(320, freq="15min"))
    if beside:
        cerebro.adddata(feed)
    getattr(cerebro, f"{add}data")(feed, timeframe=bt.TimeFrame.Minutes, compression=60, boundoff=boundoff)
    with pytest.raises(TimeframeError, match=rf"cerebro.{add}data puts the candle .*Use lstm_backtrader.{add}\("):
        listen(cerebro, *[None] * beside, untrained_model())


def test_replayed_bars_of_a_feed_that_labels_them_by_close_need_the_word(untrained_model, candles_of):
    candles, model = candles_of(320, freq="15min"), untrained_model()
    closing = candles.set_axis(candles.index.tz_localize(None) + pd.Timedelta("15min"))

    def play(**options):
        cerebro = new_cerebro()
        feed = bt.feeds.PandasData(dataname=closing, timeframe=bt.TimeFrame.Minutes, compression=15)
        cerebro.replaydata(feed, timeframe=bt.TimeFrame.Minutes, compression=60)
        return listen(cerebro, model, **options)[0]

    with pytest.raises(
        TimeframeError, match=r"cannot be placed.*lstm_backtrader.replay.*say stamps='open' or 'close'"
    ):
        play()
    heard = play(stamps="close").iloc[3::4]
    assert_heard(heard, said(model, resample_candles(candles, "1h")))


@pytest.mark.parametrize("stamped", ["open", "close"])
def test_resampled_bars_of_a_feed_that_may_label_its_own_by_open_need_the_word(
    untrained_model, candles_of, stamped
):
    candles, model = candles_of(320, freq="15min"), untrained_model()
    late = pd.Timedelta("15min" if stamped == "close" else 0)
    feed = {"dataname": candles.set_axis(candles.index.tz_localize(None) + late)}

    def play(boundoff=0, **options):
        cerebro = new_cerebro()
        data = bt.feeds.PandasData(**feed, timeframe=bt.TimeFrame.Minutes, compression=15)
        cerebro.resampledata(data, timeframe=bt.TimeFrame.Minutes, compression=60, boundoff=boundoff)
        return listen(cerebro, model, **options)[0]

    with pytest.raises(
        TimeframeError, match=r"by their open.*lstm_backtrader.resample.*by their close, say stamps='close'"
    ):
        play()
    heard = play(stamps="close") if stamped == "close" else play(boundoff=1)
    assert_heard(heard, said(model, resample_candles(candles, "1h")))


@pytest.mark.parametrize("options", [{"bar2edge": False}, {"adjbartime": False}])
def test_resampled_bars_without_an_edge_are_refused(untrained_model, candles_of, options):
    cerebro = new_cerebro()
    cerebro.resampledata(
        lbt.CandleFeed(candles_of(320, freq="15min")),
        timeframe=bt.TimeFrame.Minutes,
        compression=60,
        boundoff=1,
        **options,
    )
    with pytest.raises(TimeframeError, match=r"are not stamped at an edge. Use lstm_backtrader.resample"):
        listen(cerebro, untrained_model())


@pytest.mark.parametrize("own", [True, False])
def test_replayed_bars_of_another_length_are_refused(untrained_model, candles_of, own):
    cerebro, feed = new_cerebro(), lbt.CandleFeed(candles_of(320, freq="15min"))
    if own:
        lbt.replay(cerebro, feed, "2h")
    else:
        cerebro.replaydata(feed, timeframe=bt.TimeFrame.Minutes, compression=120, boundoff=1)
    with pytest.raises(TimeframeError, match="replayed as 2h bars, the model was trained on 1h"):
        listen(cerebro, untrained_model())


# --- several datas ------------------------------------------------------------------------------------------


@every_mode
@pytest.mark.parametrize("shared", [True, False])
def test_several_datas_that_begin_and_end_apart_keep_to_themselves(untrained_model, candles_of, mode, shared):
    models = [untrained_model(), untrained_model() if shared else untrained_model(cell="rnn"), untrained_model()]
    whole = [holed(candles_of(90, seed=seed), seed) for seed in range(3)]
    coins = [whole[0], whole[1].iloc[:60], whole[2].iloc[40:50]]  # one ends early, one is shorter than the warm-up
    cerebro = new_cerebro()
    for candles in coins:
        cerebro.adddata(lbt.CandleFeed(candles))
    heard = listen(cerebro, *models, mode=MODES[mode])
    for number, (model, candles) in enumerate(zip(models, coins, strict=True)):
        assert_heard(heard[number], said(model, candles), some=number < 2)
    assert (heard[2]["signal"] == 0).all()


@every_mode
def test_two_timeframes_at_once_each_with_its_own_model(untrained_model, fixed_forecaster, candles_of, mode):
    hours, fours = candles_of(90), candles_of(22, freq="4h")
    model, slow = untrained_model(), fixed_forecaster(warmup=5, timeframe=pd.Timedelta("4h"))
    slow.threshold = 0.0
    cerebro = new_cerebro()
    cerebro.adddata(lbt.CandleFeed(hours))
    cerebro.adddata(lbt.CandleFeed(fours))
    heard = listen(cerebro, model, slow, mode=MODES[mode])
    assert_heard(heard[0], said(model, hours))
    np.testing.assert_allclose(heard[1], said(slow, fours), atol=1e-6)
    assert list(heard[1].index) == list(fours.index + pd.Timedelta("3h"))  # with the last hour, not with the first


@every_mode
def test_an_hourly_forecast_is_not_known_before_the_hour_is_over(untrained_model, candles_of, mode):
    candles, model = candles_of(80 * 12, freq="5min"), untrained_model()
    hours = resample_candles(candles, "1h")
    known = {}

    class Trader(bt.Strategy):
        def __init__(self):
            self.model = lbt.LSTMSignal(self.data1, model=model)

        def next(self):
            known[pd.Timestamp(bt.num2date(self.data0.datetime[0])).round("s")] = self.model.forecast[0]

    cerebro = new_cerebro()
    for table in (candles, hours):
        cerebro.adddata(lbt.CandleFeed(table))
    cerebro.addstrategy(Trader)
    cerebro.run(**MODES[mode])
    wanted = model.predict(hours)["forecast"].tz_localize(None)
    for time, forecast in known.items():
        newest = (time + pd.Timedelta("5min")).floor("h") - pd.Timedelta("1h")  # the hour that has just ended
        assert forecast == pytest.approx(wanted[newest], abs=1e-6, nan_ok=True)


# --- any cut, any gap, any mode -----------------------------------------------------------------------------


@settings(max_examples=40)
@given(
    begin=st.integers(0, 60),
    n=st.integers(12, 120),
    share=st.sampled_from([0.0, 0.02, 0.15]),
    seed=st.integers(0, 99),
    mode=st.sampled_from(sorted(MODES)),
    options=st.sampled_from([{}, {"stride": 1}, {"stride": 12, "layers": 2}, {"cell": "rnn"}]),
)
def test_predict_stream_and_indicator_say_the_same(
    untrained_model, candles_of, bars_from, begin, n, share, seed, mode, options
):
    model = untrained_model(**options)
    candles = holed(candles_of(200), seed, share).iloc[begin : begin + n]
    wanted = said(model, candles)
    cerebro = new_cerebro()
    cerebro.adddata(lbt.CandleFeed(candles, timeframe=bt.TimeFrame.Minutes, compression=60))
    heard = listen(cerebro, model, mode=MODES[mode])[0]
    np.testing.assert_allclose(heard, wanted, atol=1e-6)
    stream = model.stream()
    points = [stream.update(bars_from(candles.iloc[: t + 1])) for t in range(len(candles))]
    np.testing.assert_allclose(
        np.array(points)[model.warmup - 1 :], wanted[LINES].iloc[model.warmup - 1 :], atol=1e-6
    )


# --- live ---------------------------------------------------------------------------------------------------


class QueueFeed(bt.feed.DataBase):
    """History, then live candles with pauses between, then a disconnect."""

    def __init__(self, candles, live_from):
        super().__init__()
        self.candles, self.live_from = candles, live_from

    def islive(self):
        return True

    def haslivedata(self):
        return not self.queue.empty()

    def start(self):
        super().start()
        self.queue = queue.Queue()
        self.put_notification(self.DELAYED)
        for number, row in enumerate(self.candles.itertuples()):
            self.queue.put(row)
            if number >= self.live_from:
                self.queue.put("nothing yet")
        self.queue.put(None)
        self.taken = 0

    def _load(self):
        row = self.queue.get()
        if row is None:
            self.put_notification(self.DISCONNECTED)
            return False
        if row == "nothing yet":
            return None
        if self.taken == self.live_from:
            self.put_notification(self.LIVE)
        self.taken += 1
        self.lines.datetime[0] = bt.date2num(row.Index.tz_localize(None).to_pydatetime())
        for name in ("open", "high", "low", "close", "volume"):
            getattr(self.lines, name)[0] = getattr(row, name)
        return True


def live(candles, live_from, minutes=60):
    return QueueFeed(candles, live_from, timeframe=bt.TimeFrame.Minutes, compression=minutes)


@pytest.mark.parametrize("exactbars", [0, 1, -1, -2])
def test_history_then_live_bars_then_a_disconnect(untrained_model, candles_of, exactbars):
    candles, model = holed(candles_of(90), 3), untrained_model()
    cerebro = new_cerebro()
    cerebro.adddata(live(candles, live_from=50))
    cerebro.addstrategy(Listener, models=(model,))
    listener = cerebro.run(exactbars=exactbars)[0]
    heard = pd.DataFrame.from_dict(listener.heard[0], orient="index", columns=["signal", *LINES])
    assert_heard(heard, said(model, candles))
    assert listener.statuses == ["DELAYED", "LIVE", "DISCONNECTED"]


@pytest.mark.parametrize("restart", [40, 57, 73])
def test_a_restart_with_enough_history_goes_on_with_the_same_numbers(untrained_model, candles_of, restart):
    candles, model = holed(candles_of(120), 3), untrained_model()
    cerebro = new_cerebro()
    cerebro.adddata(live(candles.iloc[restart:], live_from=20))
    heard = listen(cerebro, model)[0]
    ready = model.warmup - 1
    assert_heard(heard.iloc[ready:], said(model, candles).iloc[restart + ready :])


def test_an_hourly_model_on_live_candles_of_five_minutes(untrained_model, candles_of):
    candles, model = holed(candles_of(60 * 12, freq="5min"), 4), untrained_model()
    cerebro, feed = new_cerebro(), live(candles, live_from=300, minutes=5)
    cerebro.adddata(feed)
    lbt.resample(cerebro, feed, "1h")
    assert_heard(listen(cerebro, None, model)[1], said(model, resample_candles(candles, "1h")))


# --- other processes ----------------------------------------------------------------------------------------


class Optimised(bt.Strategy):
    """Module-level, as another process has to find it; its forecasts travel back as an attribute."""

    params = (("model", None), ("threshold", 0.0))

    def __init__(self):
        self.lstm = lbt.LSTMSignal(self.data, model=self.p.model, threshold=self.p.threshold)
        self.heard = []

    def next(self):
        self.heard.append((self.lstm.signal[0], self.lstm.forecast[0]))


class Heard(bt.Analyzer):
    def stop(self):
        self.rets["heard"] = self.strategy.heard


def optimise(path, candles, **how):
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(lbt.CandleFeed(candles))
    cerebro.addanalyzer(Heard)
    cerebro.optstrategy(Optimised, model=[str(path)], threshold=[0.0, 0.1, 9.0])
    return [runs[0].analyzers[0].rets["heard"] for runs in cerebro.run(**how)]


OPTIMISE = """
import multiprocessing, sys
import pandas as pd, torch
sys.path[:0] = {paths!r}
import test_modes
if __name__ == "__main__":
    multiprocessing.set_start_method({method!r})
    torch.set_num_threads(4)
    torch.randn(700, 700) @ torch.randn(700, 700)     # the parent's pool of threads is awake
    candles = pd.read_pickle({candles!r})
    one = test_modes.optimise({path!r}, candles, maxcpus=1)
    two = test_modes.optimise({path!r}, candles, maxcpus=2)
    assert str(one) == str(two) and len(one) == 3 and len(one[0]) > 100, (one, two)
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_optimisation_in_other_processes_neither_hangs_nor_differs(tiny_artefact, fresh_market, tmp_path, method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} on this system")
    fresh_market.iloc[:320].to_pickle(tmp_path / "candles.pkl")
    code = OPTIMISE.format(
        paths=[str(TESTS), str(TESTS.parent)],
        method=method,
        candles=str(tmp_path / "candles.pkl"),
        path=str(tiny_artefact),
    )
    script = tmp_path / "optimise.py"
    script.write_text(code)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("mode", MODES)
def test_whole_strategies_come_back_from_an_optimisation(tiny_artefact, fresh_market, mode):
    cerebro = bt.Cerebro(stdstats=False, optreturn=False)
    cerebro.adddata(lbt.CandleFeed(fresh_market.iloc[:230]))
    cerebro.optstrategy(Optimised, model=[str(tiny_artefact)], threshold=[0.0, 9.0])
    returned = pickle.loads(pickle.dumps(cerebro.run(maxcpus=1, **MODES[mode])))
    heard = [runs[0].heard for runs in returned]
    assert [len(each) for each in heard] == [22, 22]
    assert [forecast for _, forecast in heard[0]] == [forecast for _, forecast in heard[1]]


def test_what_an_optimisation_returns_can_be_pickled(tiny_artefact, fresh_market):
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(lbt.CandleFeed(fresh_market.iloc[:230]))
    cerebro.optstrategy(Optimised, model=[str(tiny_artefact)], threshold=[0.0, 9.0])
    returned = pickle.loads(pickle.dumps(cerebro.run(maxcpus=1)))
    assert [runs[0].p.threshold for runs in returned] == [0.0, 9.0]


def test_a_cerebro_with_an_indicator_can_be_pickled(tiny_artefact, fresh_market):
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(lbt.CandleFeed(fresh_market.iloc[:230]))
    cerebro.add_signal(bt.SIGNAL_LONGSHORT, lbt.LSTMSignal, model=str(tiny_artefact))
    copied = pickle.loads(pickle.dumps(cerebro))
    values = [each.run()[0].broker.getvalue() for each in (cerebro, copied)]
    assert values[0] == values[1]


# --- what is no model ---------------------------------------------------------------------------------------


def test_a_module_or_a_list_is_no_model(candles):
    torch = pytest.importorskip("torch")
    for model in (torch.nn.LSTM(5, 8), torch.nn.Sequential(torch.nn.Linear(5, 1)), ["models/btc-1h"]):
        cerebro = new_cerebro()
        cerebro.adddata(lbt.CandleFeed(candles))
        with pytest.raises(ConfigError, match=r"is neither a path nor a forecaster. Give the directory"):
            listen(cerebro, model)


# --- a run without a forecast says so -----------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_a_run_without_a_forecast_warns_once_whatever_the_mode(untrained_model, candles_of, caplog, mode):
    def warnings_of(candles):
        caplog.clear()
        cerebro = new_cerebro()
        cerebro.adddata(lbt.CandleFeed(candles))
        cerebro.addstrategy(Listener, models=(untrained_model(),))
        lbt.run(cerebro, **MODES[mode])
        return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]

    short = warnings_of(candles_of(10))
    assert len(short) == 1
    assert short[0].startswith("no bar has a forecast. 10 bars are too few, the warm-up takes")
    sparse = candles_of(600).iloc[[each for each in range(600) if each < 4 or each % 16 < 3]]
    gaps = warnings_of(sparse)
    assert len(gaps) == 1
    assert "bars are enough for the warm-up of" in gaps[0]
    if mode != "exactbars 1":  # where but the last bars are in memory
        missing = (sparse.index[-1] - sparse.index[0]) // pd.Timedelta("1h") + 1 - len(sparse)
        assert f"but at least {missing} are missing between them" in gaps[0]
    assert warnings_of(candles_of(100)) == []
