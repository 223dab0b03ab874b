"""Price, signal and trades in one chart: each mark where its fill was, the strip as long as the signal held."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lstm_backtrader.reporting.chart import MAX_MARKED, STRIP, equity_chart, keep_extremes, trade_chart
from lstm_backtrader.reporting.recorder import Halted
from lstm_backtrader.reporting.run_panels import chart_of, halt_marks, run_panels
from lstm_backtrader.reporting.segments import Segment


def bars_of(n=101, forecast=np.nan, position=0.0):
    """Closes from 100 to 200 on a straight line."""
    index = pd.date_range("2024-01-01", periods=n, freq="1h", tz="UTC")
    return pd.DataFrame(
        {"close": np.linspace(100, 200, n), "position": position, "forecast": forecast}, index=index
    )


def trades_of(bars, *rows, symbol="BTC"):
    """Rows of (side, entry bar, exit bar or None, is_liquidation), filled at the closes."""
    columns = [
        "symbol",
        "side",
        "entry_time",
        "exit_time",
        "entry_price",
        "exit_price",
        "is_open",
        "is_liquidation",
    ]
    found = [
        (
            symbol,
            side,
            bars.index[begin],
            pd.NaT if end is None else bars.index[end],
            bars["close"].iloc[begin],
            np.nan if end is None else bars["close"].iloc[end],
            end is None,
            is_liquidation,
        )
        for side, begin, end, is_liquidation in rows
    ]
    frame = pd.DataFrame(found, columns=columns)
    times = {name: pd.to_datetime(frame[name], utc=True) for name in ("entry_time", "exit_time")}
    return frame.assign(**times).astype({"is_open": bool, "is_liquidation": bool})


def marks(svg, kind):
    """(x, y) of every mark of a kind, in percent from the left and from the top."""
    found = re.findall(rf'<use href="#{kind}" class="{kind}" x="([\d.]+)%" y="([\d.]+)%"/>', svg)
    return [(float(x), float(y)) for x, y in found]


def area(svg, kind):
    """The steps of one side of the strip: (from, height, to), the height as a share of full."""
    path = re.search(rf'<path class="area {kind}" d="([^"]*)"', svg)[1]
    steps = [tuple(map(float, step)) for step in re.findall(r"M([\d.]+) 500V([\d.]+)H([\d.]+)V500", path)]
    return [(a, abs(500 - top) / 500, b) for a, top, b in steps]


@given(arrays(float, st.integers(1, 400), elements=st.floats(-1e6, 1e6)), st.integers(1, 20))
def test_thinning_keeps_the_ends_and_the_extremes(values, buckets):
    kept = keep_extremes(values, buckets)
    assert (np.diff(kept) > 0).all()
    assert len(kept) <= max(4 * buckets, 1)
    assert {0, len(values) - 1} <= set(kept.tolist())
    assert (values[kept].min(), values[kept].max()) == (values.min(), values.max())


EQUITY = bars_of(400)["close"]


@pytest.mark.parametrize("equity", [EQUITY, EQUITY * 0 + 5, EQUITY - EQUITY.max(), EQUITY**3, EQUITY.iloc[:1]])
def test_a_chart_is_drawn_of_any_equity(equity):
    svg = equity_chart(equity, None, 1000.0)
    points = [float(n) for n in re.findall(r"-?[\d.]+", " ".join(re.findall(r'points="([^"]*)"', svg)))]
    assert all(-0.1 <= n <= 1000.1 for n in points)
    assert "nan" not in svg.lower()
    assert svg.count('role="img" aria-label="') == 2


def test_entries_and_exits_are_marked_at_their_time_and_price():
    # given a long over the first half, a short that is liquidated, and a long that is still open
    bars = bars_of()
    trades = trades_of(bars, (1, 0, 50, False), (-1, 50, 80, True), (1, 90, None, False))

    # when
    svg = trade_chart(bars, trades, "BTC", None)

    # then
    assert sorted(marks(svg, "long")) == [(0.0, 100.0), (90.0, 10.0)]
    assert marks(svg, "short") == [(50.0, 50.0)]
    assert marks(svg, "exit") == [(50.0, 50.0)]
    assert marks(svg, "liquidation") == [(80.0, 20.0)]


def test_the_strip_is_the_sign_of_a_forecast_beyond_the_threshold():
    bars = bars_of(4, forecast=[0.5, -0.6, 0.4, np.nan])
    svg = trade_chart(bars, trades_of(bars), "BTC", 0.5)
    assert area(svg, "long") == [(0.0, 1.0, 333.3)]
    assert area(svg, "short") == [(333.3, 1.0, 666.7)]
    assert 'aria-label="Signal: +1 on 25%, -1 on 25% of bars"' in svg


def test_without_a_forecast_the_position_takes_its_place():
    bars = bars_of(4, position=[0.0, 0.0, -2.5, -2.5])
    svg = trade_chart(bars, trades_of(bars), "BTC", None)
    assert area(svg, "long") == []
    assert area(svg, "short") == [(666.7, 1.0, 1000.0), (1000.0, 1.0, 1000.0)]
    assert 'aria-label="Position: +1 on 0%, -1 on 50% of bars"' in svg


@settings(max_examples=25)
@given(st.integers(1, 3000), st.integers(0, 2**31))
def test_the_strip_holds_the_share_of_bars_whatever_their_number(n, seed):
    signal = np.random.default_rng(seed).choice([-1.0, 0.0, 1.0], n)
    bars = bars_of(n, forecast=signal)
    svg = trade_chart(bars, trades_of(bars), "BTC", 1.0)
    for kind, side in (("long", 1), ("short", -1)):
        steps = area(svg, kind)
        assert len(steps) <= STRIP
        assert all(0 <= a <= b <= 1000 and 0 < height <= 1 for a, height, b in steps)
        share = sum(height * (b - a) for a, height, b in steps) / 1000
        assert n < 100 or share == pytest.approx((signal == side).mean(), abs=0.02)


def test_the_chart_says_in_words_what_it_shows():
    bars = bars_of()
    svg = trade_chart(bars, trades_of(bars, (1, 0, 5, False), (-1, 5, 9, True)), "BTC/USDT", None)
    assert svg.count('role="img"') == 2
    assert 'aria-label="Price of BTC/USDT from 100 to 200, with 0 long and 0 short entries' in svg
    svg = trade_chart(bars, trades_of(bars, (1, 0, 5, False), (-1, 5, 9, True)), "BTC", None)
    assert "with 1 long and 1 short entries, 1 of them liquidated" in svg
    assert "Marked are" not in svg


def test_thousands_of_trades_do_not_blow_up_the_page_and_liquidations_stay():
    # given 5,000 trades, three of them liquidated
    bars = bars_of(10_001)
    rows = [(1 if n % 2 else -1, 2 * n, 2 * n + 1, n in (7, 2500, 4999)) for n in range(5000)]

    # when
    svg = trade_chart(bars, trades_of(bars, *rows), "BTC", None)

    # then
    assert len(svg) < 80_000
    assert len(marks(svg, "long")) + len(marks(svg, "short")) == MAX_MARKED
    assert len(marks(svg, "liquidation")) == 3
    assert f"Marked are {MAX_MARKED} of 5,000 trades: liquidations, then those over the largest moves" in svg
    # the early ones moved most, in percent: the price was half as high
    assert max(x for x, _ in marks(svg, "exit")) < 10


def test_trades_of_another_instrument_are_not_drawn_on_this_ones_price():
    bars = bars_of()
    assert "<use" not in trade_chart(bars, trades_of(bars, (1, 0, 5, False), symbol="ETH"), "BTC", None)


def test_fills_beyond_the_closes_and_before_the_first_bar_are_moved_to_the_edge():
    bars = bars_of()
    trades = trades_of(bars, (1, 0, 5, False)).assign(entry_price=50.0, exit_price=1e9)
    trades["entry_time"] -= pd.Timedelta("5h")
    svg = trade_chart(bars, trades, "BTC", None)
    assert marks(svg, "long") == [(0.0, 100.0)]
    assert marks(svg, "exit") == [(5.0, 0.0)]


@pytest.mark.parametrize("n", [1, 2])
def test_a_run_of_a_bar_or_two_is_drawn(n):
    svg = trade_chart(bars_of(n, forecast=1.0), trades_of(bars_of(n), (1, 0, None, False)), "BTC", 0.5)
    assert "nan" not in svg.lower()
    assert len(marks(svg, "long")) == 1


def test_a_symbol_is_escaped():
    svg = trade_chart(bars_of(), trades_of(bars_of()), '"><script>', None)
    assert "<script" not in svg


# --- the panels of a run ------------------------------------------------------------------------------------


def recorded(bars):
    """The recorder's columns around closes and positions."""
    rest = {"equity": 1000.0, "leverage": 1.0, "liquidation_distance": np.nan, "margin_ratio": np.nan}
    return bars.assign(high=bars["close"] + 1, low=bars["close"] - 1, fees=0.0, funding=0.0, **rest)


def whole(trades):
    reasons = ["signal", "stop", "liquidation", ""][: len(trades)]
    return trades.assign(size=1.0, net_profit=5.0, initial_stop=np.nan, exit_reason=reasons)


def test_entries_exits_stops_and_liquidations_are_marked_apart():
    bars = recorded(bars_of())
    rows = [(1, 0, 10, False), (-1, 10, 20, False), (1, 20, 30, True), (1, 40, None, False)]
    panels = run_panels(bars, whole(trades_of(bars, *rows)), "BTC", None, 1000.0, ())
    found = {marks.name: marks for marks in panels[0].marks}
    assert {name: len(marks.times) for name, marks in found.items()} == {
        "exit": 1,
        "stop": 1,
        "long": 3,
        "short": 1,
        "liquidation": 1,
    }
    assert found["stop"].times[0] == bars.index[20]
    assert found["stop"].points[0] == bars["close"].iloc[20]
    assert found["stop"].texts == ["short closed at 120 by stop: +5.00"]


def test_the_first_stop_of_a_trade_is_drawn_while_it_is_open():
    bars = recorded(bars_of())
    rows = [(1, 0, 10, False), (-1, 10, 20, False), (1, 20, 30, True), (1, 40, None, False)]
    trades = whole(trades_of(bars, *rows)).assign(initial_stop=[95.0, 125.0, np.nan, 130.0])
    (stops,) = run_panels(bars, trades, "BTC", None, 1000.0, ())[0].stretches
    assert stops.points.tolist() == [130.0, 95.0, 125.0]  # the open one, then the largest move
    assert stops.begins.tolist() == [bars.index[40], bars.index[0], bars.index[10]]
    assert stops.ends.tolist() == [bars.index[-1], bars.index[10], bars.index[20]]


def test_a_panel_without_numbers_is_left_out():
    bars = recorded(bars_of())
    empty = whole(trades_of(bars))
    keys = [panel.key for panel in run_panels(bars, empty, "BTC", None, 1000.0, ())]
    assert keys == ["price", "equity", "drawdown", "leverage"]
    more = bars.assign(forecast=0.5, liquidation_distance=0.3, margin_ratio=0.1, fees=1.0)
    keys = [panel.key for panel in run_panels(more, empty, "BTC", 0.4, 1000.0, ())]
    assert keys == ["price", "forecast", "equity", "drawdown", "leverage", "liquidation", "costs"]


def test_only_bars_the_model_has_seen_are_shaded():
    bars = recorded(bars_of())
    names = ("train", "validation", "out of sample", "fold 2, out of sample")
    parts = [Segment(name, bars.index[row], bars.index[row + 9], 10, {}) for row, name in enumerate(names)]
    panels = run_panels(bars, whole(trades_of(bars)), "BTC", None, 1000.0, ())
    shades = chart_of(bars.index, panels, "A run", parts).shades
    assert shades == {
        "train": (bars.index[0], bars.index[9]),
        "validation": (bars.index[1], bars.index[10]),
    }


def test_leverage_of_a_short_is_drawn_below_zero_and_one_beyond_all_bounds_is_not_drawn():
    bars = recorded(bars_of(3, position=[1.0, -1.0, -1.0])).assign(leverage=[2.0, 2.0, np.inf])
    panels = run_panels(bars, whole(trades_of(bars)), "BTC", None, 1000.0, ())
    leverage = next(panel for panel in panels if panel.key == "leverage").curves[0].points
    assert leverage[:2].tolist() == [2.0, -2.0]
    assert np.isnan(leverage[2])


def test_guards_are_marked_on_the_price():
    bars = bars_of()
    halt = Halted(bars.index[50] + pd.Timedelta("5min"), "max_drawdown", "equity was low")
    (marks,) = halt_marks(bars, [halt]).marks
    assert marks.points.tolist() == [bars["close"].iloc[50]]
    assert list(marks.texts) == ["max_drawdown: equity was low"]
    assert len(halt_marks(bars, []).marks[0].times) == 0
