"""The rules of thumb, and entries at random that trade as often as the strategy they are held against."""

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as some

import lstm_backtrader as lbt
from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.futures.broker import FuturesBroker
from lstm_backtrader.reporting.recorder import run_record
from lstm_backtrader.strategies import Momentum, RandomEntry, SignalFutures, SmaCross
from lstm_backtrader.strategies.baselines import _sides


def record(candles, strategy, **params):
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(candles))
    cerebro.setbroker(FuturesBroker(leverage=2))
    cerebro.addstrategy(strategy, **params)
    return run_record(lbt.run(cerebro))


def holdings(record):
    """Bars each position was held, short negative; one that is open, to the end of the last bar."""
    trades = record.trades
    return sorted((trades["side"] * (trades["bars"] + trades["is_open"])).tolist())


def test_momentum_is_long_above_the_close_of_its_lookback_and_short_below(candles):
    close = candles["close"].to_numpy()

    held = np.sign(record(candles, Momentum, lookback=24).equity["position"].to_numpy())

    wanted = np.sign(close[24:] - close[:-24])
    assert len(held) == len(wanted)
    assert (held[1:] == wanted[:-1]).all()


@pytest.mark.parametrize("lookback", [0, -3, 2.5])
def test_a_lookback_that_is_no_number_of_bars_is_refused(candles, lookback):
    with pytest.raises(ConfigError, match=f"lookback={lookback} must be a whole number, 1 or more. It is bars"):
        record(candles, Momentum, lookback=lookback)


@pytest.mark.parametrize(
    ("strategy", "params"),
    [
        (SmaCross, {"fast": 3, "slow": 9}),
        (SmaCross, {"fast": 3, "slow": 9, "long_only": True}),
        (Momentum, {"lookback": 5}),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_random_entries_are_as_many_and_as_long_as_those_they_match(candles, strategy, params, seed):
    matched = record(candles, strategy, fraction=0.02, **params)

    drawn = record(candles, RandomEntry, fraction=0.02, seed=seed, **RandomEntry.matching(matched))

    closed = matched.trades[~matched.trades["is_open"]]
    assert len(closed) > 10
    assert holdings(drawn) == holdings(matched)
    assert drawn.trades["entry_time"].min() >= matched.equity.index[1]
    assert drawn.totals.fees == pytest.approx(matched.totals.fees, rel=0.05)


def test_random_entries_are_told_by_their_seed(candles):
    first, again, other = (record(candles, RandomEntry, seed=seed).trades["entry_time"] for seed in (1, 1, 2))

    assert first.equals(again)
    assert not first.equals(other)


def test_random_entries_lie_anywhere(candles):
    starts = [
        next(bar for bar, (side, _) in enumerate(_sides([10], 100, np.random.default_rng(seed))) if side)
        for seed in range(400)
    ]

    assert min(starts) < 5
    assert max(starts) > 95
    assert np.mean(starts) == pytest.approx(50, abs=5)


@given(
    held=some.lists(some.integers(-9, 9).filter(bool), min_size=1, max_size=12),
    flat=some.integers(0, 40),
    seed=some.integers(0, 2**32),
)
def test_each_round_holds_every_position_once_and_rests_as_long_as_told(held, flat, seed):
    plan = _sides(held, flat, np.random.default_rng(seed))

    for _ in range(2):
        bars = [next(plan) for _ in range(sum(map(abs, held)) + flat)]
        runs = []
        for side, is_new in bars:
            if is_new:
                runs.append(side)
            elif side:
                runs[-1] += side
        assert sorted(runs) == sorted(held)
        assert sum(not side for side, _ in bars) == flat


def test_two_random_positions_of_one_side_in_a_row_are_two_trades(candles):
    drawn = record(candles, RandomEntry, holdings=(4, 4, 4), flat_bars=0)

    assert (drawn.trades["bars"][:-1] == 4).all()
    assert len(drawn.trades) == pytest.approx(len(candles) / 4, abs=1)


@pytest.mark.parametrize(("only", "side"), [("long_only", 1), ("short_only", -1)])
def test_random_entries_may_be_of_one_side(candles, only, side):
    drawn = record(candles, RandomEntry, holdings=(4, -4), flat_bars=2, **{only: True})

    assert set(drawn.trades["side"]) == {side}


def test_a_run_without_trades_has_no_turnover_to_match(candles):
    class Idle(SignalFutures):
        def target(self):
            return 0

    with pytest.raises(ConfigError, match="Idle made no trade, so there is no turnover to match"):
        RandomEntry.matching(record(candles, Idle))


def test_a_position_of_no_bars_counts_as_one(candles):
    matched = record(candles, SmaCross, fast=3, slow=9, stop_price_pct=1e-4)
    assert (matched.trades["bars"] == 0).any()

    assert min(abs(bars) for bars in RandomEntry.matching(matched)["holdings"]) == 1


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"holdings": ()}, r"holdings=\(\) must be whole numbers of bars other than 0"),
        ({"holdings": (5, 0)}, r"holdings=\(5, 0\) must be whole numbers"),
        ({"holdings": (2.5,)}, r"holdings=\(2.5,\) must be whole numbers"),
        ({"holdings": 24}, "holdings=24 must be whole numbers"),
        ({"flat_bars": -1}, "flat_bars=-1 must be a whole number, 0 or more"),
        ({"seed": "x"}, "seed='x' must be a whole number, 0 or more"),
    ],
)
def test_what_cannot_be_dealt_out_is_refused(candles, params, message):
    with pytest.raises(ConfigError, match=message):
        record(candles, RandomEntry, **params)


def test_a_baseline_begins_where_it_is_told(candles):
    begin = candles.index[200]

    drawn = record(candles, RandomEntry, trade_from=begin.to_pydatetime(), holdings=(3,), flat_bars=1)

    assert drawn.trades["entry_time"].min() >= begin + pd.Timedelta(hours=1)
