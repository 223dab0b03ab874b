"""The book of trades against hand-made fills, and its laws against a plain cash account."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_backtrader.reporting.tradebook import COLUMNS, Fill, TradeBook


def linear(_instrument: object, size: float, entry: float, exit_price: float) -> float:
    return size * (exit_price - entry)


def inverse(_instrument: object, size: float, entry: float, exit_price: float) -> float:
    return size * (1 / entry - 1 / exit_price)


def book_of(*fills: tuple[float, float], profit=linear, fee: float = 0.0, **more) -> TradeBook:
    book = TradeBook(profit)
    for i, (size, price) in enumerate(fills):
        book.fill(Fill("X", 0, float(i), i, size, price, fee, **more))
    return book


def rows(book: TradeBook, price: float = 100.0, bar: int = 9) -> list[dict]:
    return book.rows({"X": price}, {"X": bar}, str)


def test_a_round_trip_is_one_row():
    row = rows(book_of((2.0, 100.0), (-2.0, 110.0), fee=1.0))[0]
    assert list(row) == COLUMNS
    assert (row["side"], row["entry_price"], row["exit_price"], row["size"]) == (1, 100.0, 110.0, 2.0)
    assert (row["gross_profit_closed"], row["fees"], row["net_profit"], row["bars"]) == (20.0, 2.0, 18.0, 1)
    assert row["is_open"] is False


def test_a_reversal_closes_one_trade_and_opens_the_next_sharing_its_fee():
    first, second = rows(book_of((1.0, 100.0), (-4.0, 110.0), fee=4.0), price=105.0)
    assert (first["gross_profit_closed"], first["fees"], first["is_open"]) == (10.0, 5.0, False)
    assert (second["side"], second["size"], second["profit_open"], second["fees"]) == (-1, 3.0, 15.0, 3.0)


def test_scaling_in_and_out_uses_average_cost():
    row = rows(book_of((1.0, 100.0), (3.0, 120.0), (-2.0, 130.0)), price=130.0)[0]
    assert row["entry_price"] == 115.0
    assert (row["gross_profit_closed"], row["profit_open"], row["size"]) == (30.0, 30.0, 4.0)


def test_an_inverse_position_averages_harmonically():
    row = rows(book_of((500.0, 100.0), (500.0, 105.0), profit=inverse), price=108.0)[0]
    assert row["profit_open"] == pytest.approx(500 / 100 + 500 / 105 - 1000 / 108, abs=1e-12)


def test_float_dust_does_not_keep_a_trade_open():
    row = rows(book_of((0.1, 100.0), (0.2, 100.0), (-0.3, 101.0)))[0]
    assert row["is_open"] is False
    assert row["gross_profit_closed"] == pytest.approx(0.3)


def test_funding_goes_to_the_trade_that_is_open():
    book = book_of((1.0, 100.0))
    book.fund("X", 0, -0.25)
    book.fund("X", 7, -9.0)  # nothing is open there
    assert rows(book)[0]["funding"] == book.funding == -0.25


def test_a_liquidation_names_its_loss_and_reason():
    book = book_of((1.0, 100.0))
    book.fill(Fill("X", 0, 1.0, 1, -1.0, 90.0, 0.0, "liquidation", is_liquidation=True))
    row = rows(book)[0]
    assert (row["liquidation_loss"], row["exit_reason"], row["is_liquidation"]) == (-10.0, "liquidation", True)


def test_slippage_is_a_cost_beside_the_price_profit_and_half_of_it_stays_with_what_is_open():
    book = book_of((2.0, 101.0), (-1.0, 109.0), slippage=1.0)  # bought at 100.5, sold at 110 but for slippage
    row = rows(book, price=110.0)[0]
    assert (row["slippage"], row["gross_profit_closed"], row["profit_open"]) == (2.0, 9.5, 9.5)
    assert row["net_profit"] == 8 + 9
    assert (book.gross, book.open_slippage()) == (8.0, 0.5)


def test_slippage_of_a_reversal_is_shared_by_size():
    first, second = rows(book_of((1.0, 100.0), (-4.0, 110.0), slippage=4.0), price=105.0)
    assert (first["slippage"], second["slippage"]) == (5.0, 3.0)


def test_tradeids_are_kept_apart():
    book = TradeBook(linear)
    book.fill(Fill("X", 1, 0.0, 0, 1.0, 100.0, 0.0))
    book.fill(Fill("X", 2, 0.0, 0, -1.0, 104.0, 0.0))
    assert [row["profit_open"] for row in rows(book, price=106.0)] == [6.0, -2.0]


def test_restart_enters_what_is_open_at_the_mark_and_forgets_the_rest():
    book = book_of((1.0, 100.0), (-1.0, 150.0), (2.0, 100.0), fee=1.0)
    book.restart({"X": 110.0}, {"X": 5}, 5.0)
    (row,) = rows(book, price=111.0)
    assert (row["entry_price"], row["profit_open"], row["fees"], row["bars"]) == (110.0, 2.0, 0.0, 4)
    assert (book.gross, book.fees) == (0.0, 0.0)


FILLS = st.lists(
    st.tuples(st.sampled_from([0, 1]), st.integers(-5, 5), st.floats(50.0, 200.0)), min_size=1, max_size=30
)


@given(FILLS, st.floats(50.0, 200.0))
def test_rows_add_up_to_the_cash_of_the_fills(fills, last):
    book, cash, held = TradeBook(linear), 0.0, 0
    for i, (tradeid, size, price) in enumerate(fills):
        book.fill(Fill("X", tradeid, float(i), i, float(size), price, 0.5 * abs(size), slippage=0.25 * abs(size)))
        cash -= size * price + 0.5 * abs(size)
        held += size
    table = rows(book, price=last)
    assert sum(row["net_profit"] for row in table) == pytest.approx(cash + held * last, abs=1e-8)
    assert sum(row["fees"] for row in table) == pytest.approx(book.fees, abs=1e-9)
    assert sum(row["slippage"] for row in table) == pytest.approx(book.slippage, abs=1e-9)
    closed, still_open = (sum(row[name] for row in table) for name in ("gross_profit_closed", "profit_open"))
    slipped = book.open_slippage()
    assert closed == pytest.approx(book.gross + book.slippage - slipped, abs=1e-9)
    assert still_open == pytest.approx(book.open_profit({"X": last}) + slipped, abs=1e-9)
    for row in table:
        costs = row["fees"] + row["slippage"]
        assert row["net_profit"] == pytest.approx(row["gross_profit_closed"] + row["profit_open"] - costs, abs=1e-8)


@given(FILLS)
def test_long_and_short_mirror(fills):
    sides = [TradeBook(linear), TradeBook(linear)]
    for i, (tradeid, size, price) in enumerate(fills):
        for sign, book in zip((1, -1), sides, strict=True):
            book.fill(Fill("X", tradeid, float(i), i, float(sign * size), price, 0.0))
    assert sides[0].gross == pytest.approx(-sides[1].gross, abs=1e-9)
