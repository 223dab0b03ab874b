"""Threads that train nets end with whoever waits for them."""

import threading
from concurrent.futures import Future

import pytest

from lstm_backtrader.forecast.net_threads import end_if_unwanted, net_threads


def train_for_ever(has_begun: threading.Event) -> None:
    has_begun.set()
    while True:
        end_if_unwanted()


def test_a_mistake_ends_the_trainings_under_way_and_those_in_waiting():
    has_begun = threading.Event()
    jobs: list[Future[None]] = []

    def make_a_mistake() -> None:
        with net_threads(1) as pool:
            jobs.extend(pool.submit(train_for_ever, each) for each in (has_begun, threading.Event()))
            assert has_begun.wait(10)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        make_a_mistake()
    under_way, waiting = jobs
    assert under_way.exception(0) is not None
    assert waiting.cancelled()


def test_what_was_begun_from_such_a_thread_ends_with_it():
    has_begun = threading.Event()

    def ensemble() -> None:
        with net_threads(2) as inner:
            inner.submit(train_for_ever, has_begun).result()

    with net_threads(2) as pool:
        outer = pool.submit(ensemble)
        assert has_begun.wait(10)
    assert outer.exception(0) is not None


def test_elsewhere_a_training_is_never_ended():
    with net_threads(1) as pool:
        assert pool.submit(int).result() == 0
    end_if_unwanted()
