"""What page, terminal and metrics.json say of trades: results in multiples of the risk, and slippage."""

from io import StringIO

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from lstm_backtrader import session
from lstm_backtrader.futures.broker import FuturesBroker
from lstm_backtrader.report_tables import trade_parts
from lstm_backtrader.reporting import report as report_module
from lstm_backtrader.reporting.report import report

HOURS = pd.date_range("2024-01-01", periods=24 * 30, freq="h")
CLOSE = 100 * np.exp(np.cumsum(np.random.default_rng(4).normal(0, 0.01, len(HOURS))))


class Guarded(bt.Strategy):
    """Long every 20 bars: in a bracket with its stop so far below, or where that is 0 for one bar."""

    params = (("stop", 0.03),)

    def next(self):
        if self.position:
            if not self.p.stop:
                self.close()
        elif len(self) % 20 == 0:
            if self.p.stop:
                below, above = (self.data.close[0] * (1 + times * self.p.stop) for times in (-1, 2))
                self.buy_bracket(size=5, exectype=bt.Order.Market, stopprice=below, limitprice=above)
            else:
                self.buy(size=5)


@pytest.fixture
def reported(tmp_path, monkeypatch):
    monkeypatch.setattr(report_module, "tearsheet_html", lambda *_, **__: "<body></body>")

    def make(broker=None, **params):
        prices = dict.fromkeys(("open", "high", "low", "close", "volume"), CLOSE)
        cerebro = bt.Cerebro(stdstats=False)
        cerebro.adddata(bt.feeds.PandasData(dataname=pd.DataFrame(prices, index=HOURS), name="X"))
        if broker is not None:
            cerebro.setbroker(broker)
        cerebro.addstrategy(Guarded, **params)
        done = report(session.run(cerebro), tmp_path / "out")
        return done, done.html.read_text(encoding="utf-8")

    return make


def printed(metrics):
    text = StringIO()
    console = Console(width=120, file=text)
    for part in trade_parts(metrics):
        console.print(part)
    return text.getvalue()


def test_trades_with_stops_are_told_in_multiples_of_their_risk(reported):
    done, page = reported()
    trades = done.metrics["trades"]
    r = trades["all"]["r"]
    assert r["trades"] > 5
    assert r == trades["long"]["r"]
    assert trades["short"]["r"] is None
    assert sum(part["trades"] for part in trades["r_histogram"]) == r["trades"]
    assert "<h3>In multiples of the risk (R)</h3>" in page
    assert f'aria-label="Results of {r["trades"]} trades in multiples of their risk, mean ' in page
    assert ">First stop</th>" in page
    assert "multiples of the risk (R)" in printed(done.metrics)


def test_where_no_trade_had_a_stop_nothing_is_said_of_risk(reported):
    done, page = reported(stop=0.0)
    assert done.metrics["trades"]["all"]["r"] is None
    assert done.metrics["trades"]["r_histogram"] == []
    assert "ultiples of" not in page
    assert ">First stop</th>" not in page
    assert "ultiples of" not in printed(done.metrics)


def test_slippage_is_a_step_from_gross_to_net_where_the_broker_tells_it(reported):
    broker = FuturesBroker(leverage=2, cash=10_000.0)
    broker.set_slippage_perc(0.001, slip_out=True)
    done, page = reported(broker)
    account = done.metrics["account"]
    gained = sum(account[key] for key in ("gross_profit_closed", "profit_open", "funding", "other_cash"))
    made = account["final_equity"] - account["start_equity"]
    assert account["slippage"] == pytest.approx(broker.ledger.slippage)
    assert gained - account["fees"] - account["slippage"] == pytest.approx(made, abs=1e-8)
    assert f", slippage \N{MINUS SIGN}{account['slippage']:,.2f}, funding" in page


def test_slippage_that_a_broker_does_not_tell_is_unknown_rather_than_nothing(reported):
    done, page = reported(bt.brokers.BackBroker(slip_perc=0.001, slip_open=True, slip_out=True))
    assert done.metrics["account"]["slippage"] is None
    assert done.metrics["trades"]["all"]["slippage"] is None
    assert done.trades["slippage"].isna().all()
    assert ", slippage " not in page
