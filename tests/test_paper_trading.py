"""Paper accounts over the loopback venue: the same however often a run is killed, and as the backtest's."""

import dataclasses
import errno
import os
import signal

import numpy as np
import pandas as pd
import pytest
from live_venue import VenueTime

from lstm_backtrader.backtesting import BacktestConfig
from lstm_backtrader.datafeeds.loopback.market import ServedMarket
from lstm_backtrader.datafeeds.loopback.server import LoopbackVenue
from lstm_backtrader.datafeeds.series import Series
from lstm_backtrader.errors import ConfigError, DataError
from lstm_backtrader.forecast.protocol import ForecastPoint
from lstm_backtrader.futures.venues import find_contract
from lstm_backtrader.paper_account import BARS, PLAN, STATE, PaperFolder
from lstm_backtrader.paper_trading import LiveSource, PaperHooks, paper
from lstm_backtrader.reporting.recorder import run_record
from lstm_backtrader.trading import Trading

HOUR = pd.Timedelta(hours=1)
SERIES = Series("bybit", "BTC/USD:BTC", "candles", "1h")
CONFIG = BacktestConfig(contract="bybit:BTC/USD:BTC", leverage=3.0, stop_loss=0.03, cash=1.0)
BEGIN = 200  # bars that have closed when an account is opened
LIVE = 90


class Contrarian:
    """Goes against the last three bars, and changes its mind often; as `predict` says so does its stream."""

    warmup, timeframe, threshold = 4, HOUR, 0.01

    def predict(self, candles):
        forecast = -np.log(candles["close"]).diff(3)
        return pd.DataFrame({"forecast": forecast, "prob_up": (forecast > 0).astype(float), "spread": 0.0})

    def stream(self):
        return self

    def update(self, tail):
        close = tail(4)["close"]
        forecast = float(np.log(close[0]) - np.log(close[-1]))
        return ForecastPoint(forecast, float(forecast > 0), 0.0)


@pytest.fixture
def market(candles_of):
    candles = candles_of(BEGIN + LIVE + 50)
    stamps = candles.index[::8]
    rates = pd.DataFrame({"funding_rate": np.linspace(-1e-3, 1e-3, len(stamps))}, index=stamps)
    return ServedMarket("bybit", "BTC/USD:BTC", candles, candles.drop(columns="volume") * 1.0005, rates)


@pytest.fixture
def venue(market):
    """The loopback venue at the moment an account is opened; `venue.time` moves its clock."""
    with LoopbackVenue([market]) as venue:
        venue.opening = market.candles.index[0] + BEGIN * HOUR + pd.Timedelta("20min")
        venue.time = VenueTime(venue, venue.opening)
        yield venue


@pytest.fixture
def trade(venue, tmp_path):
    """`trade(bars, folder, config)` runs an account for so many new bars."""

    def run(bars, folder="account", config=CONFIG, model=None, **hooks):
        source = LiveSource(SERIES, via=venue.address, clock=venue.time.clock())
        return paper(source, model or Contrarian(), tmp_path / folder, config, bars=bars, hooks=PaperHooks(**hooks))

    return run


def assert_same_account(ours, theirs):
    ours, theirs = run_record(ours), run_record(theirs)
    pd.testing.assert_frame_equal(ours.equity, theirs.equity, rtol=1e-9)
    pd.testing.assert_frame_equal(ours.trades, theirs.trades, rtol=1e-9)


class KilledError(BaseException):
    """Ends a run where it stands."""


def killer(die_after):
    count = iter(range(1, 999))

    def maybe_die(state):
        if next(count) == die_after:
            raise KilledError

    return maybe_die


def test_a_run_killed_again_and_again_ends_in_the_account_of_one_that_was_not_and_of_the_backtest(
    venue, trade, tmp_path
):
    # given an account that nothing disturbs
    whole = trade(LIVE, "whole")
    # and one that is killed after some bars each time, and stays down for some hours
    rng, left = np.random.default_rng(0), LIVE
    venue.time.set(venue.opening)
    while left > 30:
        die_after = int(rng.integers(1, 30))
        with pytest.raises(KilledError):
            trade(None, "killed", bar=killer(die_after))
        left -= die_after
        venue.time.set(venue.time.now + int(rng.integers(0, 5)) * HOUR)
    resumed = trade(left, "killed")

    # then both are the same, and the same as the backtest over the bars seen
    assert len(run_record(whole).trades) > 10
    assert run_record(whole).totals.funding != 0
    assert_same_account(resumed, whole)
    folder = PaperFolder(tmp_path / "killed")
    begin = pd.Timestamp(folder.plan().start)
    backtest = Trading(folder.journal.read(), begin, CONFIG, "BTC/USD:BTC").follow(Contrarian())
    assert_same_account(backtest, resumed)
    assert begin == venue.opening.floor("h")


def test_an_account_killed_while_it_writes_goes_on(trade, tmp_path):
    trade(10)
    journal = tmp_path / "account" / BARS
    whole = journal.read_bytes()
    journal.write_bytes(whole + whole.splitlines()[-1][:40])  # a line that was cut
    states = []
    trade(5, bar=states.append)
    bars = PaperFolder(tmp_path / "account").journal.read()
    assert len(states) == 5
    assert (np.diff(bars.index) == HOUR).all()


def test_no_bar_before_the_opening_is_traded_and_every_bar_is_told(venue, trade, tmp_path):
    told, words = [], []
    record = run_record(trade(30, bar=told.append, status=words.append))
    assert record.equity.index[0] == venue.opening.floor("h")
    assert [state.equity for state in told] == record.equity["equity"].tolist()
    assert words == ["DELAYED", "LIVE"]
    assert PaperFolder(tmp_path / "account").state() == told[-1]
    assert str(told[0]).startswith("2024-01-09 08:00  close ")


def test_a_market_too_young_for_the_model_is_told_and_waited_for(venue, trade, caplog):
    class Slow(Contrarian):
        warmup = BEGIN + 5

    told = []
    trade(3, model=Slow(), bar=told.append)
    assert "the model wants 205 bars before its first forecast, the venue has 201" in caplog.text
    assert pd.Timestamp(told[0].bar) == venue.opening.floor("h") + 4 * HOUR


def test_a_signal_ends_the_run_after_the_bar_at_hand(trade):
    def stop(state):
        if len(seen) == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        seen.append(state)

    seen = []
    before = signal.getsignal(signal.SIGTERM)
    trade(None, bar=stop)
    assert len(seen) == 8
    assert signal.getsignal(signal.SIGTERM) is before


def test_nothing_but_public_data_is_asked_for(venue, trade):
    trade(20)
    assert len(venue.asked) > 20
    assert all("/v5/market/" in url for url in venue.asked)


# --- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "match"),
    [
        (BacktestConfig(contract=CONFIG.contract, leverage=2.0, stop_loss=0.03, cash=1.0), "leverage 3.0, not 2.0"),
        (BacktestConfig(contract=CONFIG.contract, leverage=3.0, cash=1.0), "stop-loss 0.03, not its default"),
    ],
)
def test_other_options_than_those_the_account_was_opened_with_are_refused(trade, config, match):
    trade(3)
    with pytest.raises(ConfigError, match=rf"was opened with {match}. Give the same again, or another folder"):
        trade(3, config=config)


def test_a_contract_of_ones_own_is_the_same_when_it_is_given_again(trade):
    own = dataclasses.replace(find_contract(CONFIG.contract), taker_fee=0.001)
    config = dataclasses.replace(CONFIG, contract=own)
    trade(3, config=config)
    trade(3, config=config)
    with pytest.raises(ConfigError, match=r"was opened with taker-fee 0.001, not 0.0002"):
        trade(3, config=dataclasses.replace(config, contract=dataclasses.replace(own, taker_fee=0.0002)))


def test_a_model_that_says_something_else_now_is_found_out(trade):
    class Other(Contrarian):
        threshold = 0.02

    trade(40)
    Other.__name__ = "Contrarian"
    with pytest.raises(DataError, match=r"the journal lead to .* instead of .* has changed since"):
        trade(3, model=Other())


def test_a_journal_that_lost_bars_is_refused(trade, tmp_path):
    trade(10)
    journal = tmp_path / "account" / BARS
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:-3]))
    with pytest.raises(DataError, match=r"bars.jsonl ends before 2024-01-09 17:00, the bar that was saved last"):
        trade(3)


@pytest.mark.parametrize(
    ("line", "match"),
    [
        (b"{", r"bars.jsonl, line 1 is damaged"),
        (b"[1, 2]", "line 1 is no bar. Restore the file, or begin a new account"),
        (b'["x", 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]', "line 1 is no bar"),
    ],
)
def test_a_damaged_journal_is_refused(trade, tmp_path, line, match):
    trade(3)
    journal = tmp_path / "account" / BARS
    _, *rest = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([line, b"\n", *rest]))
    with pytest.raises(DataError, match=match):
        trade(3)


def test_bars_out_of_order_are_refused(trade, tmp_path):
    trade(3)
    journal = tmp_path / "account" / BARS
    journal.write_bytes(journal.read_bytes() * 2)
    with pytest.raises(DataError, match=r"the bar is not later than the one before"):
        trade(3)


@pytest.mark.parametrize("name", [PLAN, STATE])
def test_a_damaged_file_of_the_account_is_refused(trade, tmp_path, name):
    trade(3)
    (tmp_path / "account" / name).write_text("{")
    with pytest.raises(DataError, match=rf"{name} is damaged .* Restore it, or begin a new account"):
        trade(3)


def test_two_processes_cannot_run_one_account(trade, tmp_path):
    with (
        PaperFolder(tmp_path / "account").alone(),
        pytest.raises(ConfigError, match=r"another process is running the account in .*account. Stop it"),
    ):
        trade(3)


def test_a_market_of_other_bars_than_the_models_is_refused(venue, tmp_path):
    source = LiveSource(Series("bybit", "BTC/USD:BTC", "candles", "15m"), via=venue.address)
    with pytest.raises(ConfigError, match=r"trained on 1h bars, the market's are 15m"):
        paper(source, Contrarian(), tmp_path)


def test_a_full_disk_ends_the_run_and_the_account_goes_on_when_there_is_room(venue, trade, monkeypatch):
    states = []
    whole = trade(20, "whole")
    venue.time.set(venue.opening)
    writes = iter(range(999))

    def full(file, sync=os.fsync):
        if next(writes) == 12:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(file)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left on device"):
            trade(None, bar=states.append)
    assert run_record(whole).equity["equity"].iloc[len(states) - 1] == states[-1].equity
    trade(5, bar=states.append)
    assert len({state.bar for state in states}) == len(states)
