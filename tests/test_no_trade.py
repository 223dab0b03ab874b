"""What a report says of a run that never traded: who kept every position out."""

import backtrader as bt
import pytest
from trading import CALM, Wish, account, candles

import lstm_backtrader as lbt
from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.reporting.notes import account_notes
from lstm_backtrader.reporting.recorder import run_record
from lstm_backtrader.strategies import LSTMFutures, SignalBasket
from lstm_backtrader.strategies.entries import MinProbability
from lstm_backtrader.strategies.guards import MaxDrawdown


class Closed(MaxDrawdown):
    """A guard that lets nothing in."""

    name = "closed"

    def halt(self, situation):
        return "closed for good"


class Nothing:
    """No size at all."""

    def size(self, situation):
        return 0.0


class Both(SignalBasket):
    """Wants a long of every instrument."""

    def __init__(self):
        self.signals = [data.close > 0.0 for data in self.datas]


def told(strategy=Wish, signal=1, bars=6, datas=1, **params):
    """The notes flagged "no trade" of a run, after which the record says the same."""
    cerebro = bt.Cerebro(stdstats=False)
    for number in range(datas):
        cerebro.adddata(CandleFeed(candles([CALM] * bars, signal)), name=f"data{number}")
    cerebro.setbroker(account())
    cerebro.addstrategy(strategy, **params)
    record = run_record(lbt.run(cerebro))
    return [note.text for note in account_notes(record, record.metrics()) if note.flag == "no trade"]


def test_the_rules_that_refused_are_named_with_their_bars(fixed_forecaster):
    (text,) = told(LSTMFutures, model=fixed_forecaster(prob_up=0.6), threshold=0.1, min_probability=0.7)
    assert text == "No trade: a position was wanted on 6 bars and kept out of each, by min_probability."


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"sizing": Nothing()}, "No trade: a position was wanted on 6 bars and kept out of each, by nothing."),
        ({"guards": [Closed(0.5)]}, "No trade: a position was wanted on 6 bars and kept out of each, by closed."),
        ({"signal": 0}, "No trade: no bar asked for a position."),
        ({"signal": -1, "long_only": True}, "No trade: no bar asked for a position."),
        (
            {"trade_from": "2025-01-01 05:00"},
            "No trade: a position was wanted on 1 bar and kept out of each, by the end of the data.",
        ),
        (
            {"bars": 4, "trade_from": "2025-01-01 02:00", "cooldown_bars": 1, "guards": [Closed(0.5)]},
            "No trade: a position was wanted on 2 bars and kept out of each, by closed.",
        ),
    ],
)
def test_sizes_guards_a_signal_that_is_silent_and_data_that_end_are_named_too(params, text):
    assert told(**params) == [text]


def test_of_several_the_one_that_refused_most_comes_first():
    class Never:
        """Refuses for ever, and from the second bar on by itself."""

        def refusal(self, situation):
            return None if situation.moment.hour < 3 else "late"

    (text,) = told(entries=[Never()], sizing=Nothing())
    assert text == ("No trade: a position was wanted on 6 bars and kept out of each, by never (4) and nothing (2).")


def test_a_basket_counts_all_its_instruments(fixed_forecaster):
    (text,) = told(Both, datas=2, entries=[MinProbability(0.9)])
    assert text == "No trade: a position was wanted on 12 bars and kept out of each, by min_probability."


def test_an_order_that_the_broker_refused_is_its_doing():
    (text,) = told(sizing=type("Huge", (), {"size": lambda self, situation: 1e9})())
    assert text.endswith("wanted on 6 bars and kept out of each, by the broker (5) and the end of the data (1).")


def test_nothing_is_said_after_a_trade_or_of_a_strategy_of_another_kind():
    class Idle(bt.Strategy):
        def next(self):
            pass

    assert told(entries=[]) == []
    assert told(Idle) == []
