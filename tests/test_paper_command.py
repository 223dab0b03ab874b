"""`lbt paper` as a user types it, and the examples of docs/live.md."""

import dataclasses
import re
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from live_venue import VenueTime

from lstm_backtrader import paper_trading
from lstm_backtrader.datafeeds import ccxt_live
from lstm_backtrader.datafeeds.ccxt_client import connect
from lstm_backtrader.datafeeds.loopback.market import ServedMarket
from lstm_backtrader.datafeeds.loopback.server import LoopbackVenue
from lstm_backtrader.paper_account import BARS, PLAN, STATE
from lstm_backtrader.reporting.recorder import run_record

HOUR = pd.Timedelta(hours=1)
PAGE = (Path(__file__).parents[1] / "docs" / "live.md").read_text(encoding="utf-8")
MARKET = ("--venue", "bybit", "--symbol", "BTC/USD:BTC")


@pytest.fixture(scope="module")
def model(untrained_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("live") / "models" / "btc-1h"
    untrained_model(context=12, stride=4).save(folder)
    return folder


@pytest.fixture
def venue(candles_of):
    """A loopback venue with 200 hours behind it, whose clock runs only while somebody sleeps."""
    candles = candles_of(400)
    rates = pd.DataFrame({"funding_rate": 1e-4}, index=candles.index[::8])
    market = ServedMarket("bybit", "BTC/USD:BTC", candles, candles.drop(columns="volume"), rates)
    with LoopbackVenue([market]) as venue:
        venue.time = VenueTime(venue, candles.index[0] + 200 * HOUR)
        yield venue


@pytest.fixture
def lbt(lbt, monkeypatch, venue):
    """`lbt("paper", ...)` runs the command in this process, by the loopback venue's time."""
    started = paper_trading.paper

    def in_its_time(source, *given, **named):
        return started(dataclasses.replace(source, clock=venue.time.clock()), *given, **named)

    monkeypatch.setattr(paper_trading, "paper", in_its_time)
    return lbt


def test_an_account_is_opened_and_goes_on_with_the_same_command(lbt, venue, model, tmp_path):
    command = (
        "paper",
        *MARKET,
        "--model",
        model,
        "--out",
        tmp_path / "paper",
        "--leverage",
        2,
        "--via",
        venue.address,
        "--store",
        tmp_path / "dry",
    )
    first = lbt(*command, "--bars", 5)
    assert first.code == 0, first.err
    assert first.out.splitlines()[0] == "-- DELAYED"
    assert (
        len(re.findall(r"^2024-01-09 \d\d:00  close .* signal .* position .* equity ", first.out, re.MULTILINE))
        == 5
    )
    second = lbt(*command, "--bars", 3)
    assert re.findall(r"^2024-01-09 (\d\d):00", second.out, re.MULTILINE) == ["13", "14", "15"]
    other = lbt(*command, "--threshold", 0.2)
    assert other.code == 1
    assert "was opened with threshold its default, not 0.2" in other.err


def test_an_account_that_was_refused_before_its_first_bar_is_opened_by_the_command_put_right(
    lbt, venue, model, tmp_path
):
    dry = ("--via", venue.address, "--store", tmp_path / "dry")
    command = ("paper", *MARKET, "--model", model, "--out", tmp_path / "paper", *dry, "--bars", 2)
    refused = lbt(*command, "--leverage", 500)
    assert (refused.code, "leverage 500.0 is outside 1 ... 100.0" in refused.err) == (1, True)
    assert lbt(*command, "--leverage", 2).code == 0


OWN = """
from lstm_backtrader.strategies import LSTMFutures

class Against(LSTMFutures):
    params = (("by", 1),)

    def target(self):
        return -super().target() * self.p.by
"""


def test_a_strategy_of_ones_own_is_traded_with_its_parameters_and_resumed(lbt, venue, model, tmp_path, monkeypatch):
    (tmp_path / "contrary.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    command = ("paper", *MARKET, "--model", model, "--via", venue.address, "--store", "dry", "--bars", 20)
    against = ("--strategy", "contrary:Against")

    def sides(outcome):
        assert outcome.code == 0, outcome.err
        return [float(each) for each in re.findall(r"position (\S+)", outcome.out)]

    opening = venue.time.now
    with_it = sides(lbt(*command, "--out", "with"))
    venue.time.set(opening)
    turned = sides(lbt(*command, "--out", "turned", *against))
    assert [-(each > 0) + (each < 0) for each in turned] == [(each > 0) - (each < 0) for each in with_it]
    assert any(turned)
    other = lbt(*command, "--out", "turned", *against, "--parameter", "by=0")
    assert "was opened with by its default, not 0" in other.err
    venue.time.set(opening)
    assert not any(sides(lbt(*command, "--out", "still", *against, "--parameter", "by=0")))


def test_a_report_is_written_when_it_ends(lbt, venue, model, tmp_path):
    dry = ("--via", venue.address, "--store", tmp_path / "dry")
    command = ("paper", *MARKET, "--model", model, "--out", tmp_path / "paper", *dry)
    outcome = lbt(*command, "--bars", 60, "--report", tmp_path / "report")
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "report" / "report.html").is_file()
    assert "paper account" in outcome.out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--venue": "bybyt"}, "there is no venue 'bybyt'"),
        ({"--symbol": "DOGE/USD:DOGE"}, "bybit has no preset of 'DOGE/USD:DOGE'"),
        ({"--symbol": "X/USD:X", "--contract": "bybit:BTC/USD:BTC"}, "bybit has no perpetual 'X/USD:X'"),
        ({"--timeframe": "15m"}, "the market's are 15m. Give the model's own timeframe"),
        ({"--model": "nowhere"}, "nowhere"),
        ({"--via": "http://127.0.0.1:9"}, "bybit gives no answer"),
        (
            {"--store": None},
            "--via gives rows that are made up, which do not belong among your own data. Add --store",
        ),
        ({"--leverage": "900"}, "leverage 900"),
        ({"--strategy": "lstm_backtrader.strategies:SmaCross"}, "no class SmaCross that is made of LSTMFutures"),
        ({"--parameter": "renter=True"}, "LSTMFutures has no parameter 'renter'. Did you mean reenter?"),
        ({"--parameter": "reenter"}, "'reenter' is no parameter. Write name=value, say reenter=True."),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_one(lbt, venue, model, tmp_path, change, message):
    options = dict(zip(MARKET[::2], MARKET[1::2], strict=True))
    options |= {"--model": model, "--out": tmp_path / "paper", "--via": venue.address, "--store": tmp_path / "dry"}
    options["--bars"] = 1
    outcome = lbt("paper", *(word for option in (options | change).items() for word in option if option[1]))
    assert outcome.code == 1
    (line,) = [line for line in outcome.err.splitlines() if not line.startswith("Warning: ")]
    assert line.startswith("Error: ")
    assert message in line


def test_the_examples_of_the_page_run_as_they_stand(venue, model, tmp_path, monkeypatch, capsys):
    naps = iter(range(24))

    def sleep(seconds):
        if next(naps, None) is None:
            raise KeyboardInterrupt  # as a user would end the script
        venue.time.set(venue.time.now + pd.Timedelta(seconds=seconds))

    def by_loopback(name, **given):
        return connect(name, **{**given, "via": venue.address, "is_paced": False})

    clock = venue.time.clock()
    monkeypatch.setattr(ccxt_live, "connect", by_loopback)
    monkeypatch.setattr(ccxt_live, "Clock", lambda: dataclasses.replace(clock, sleep=sleep))
    monkeypatch.setattr(paper_trading, "LiveSource", partial(paper_trading.LiveSource, clock=clock))
    monkeypatch.setenv("LBT_STORE", str(tmp_path))
    monkeypatch.chdir(model.parents[1])
    script, account = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    with pytest.raises(KeyboardInterrupt):
        exec(script, {})
    lines = capsys.readouterr().out.splitlines()
    assert [line.endswith("True") for line in lines].count(True) >= 20
    found = {}
    exec(account, found)
    assert len(run_record(found["results"]).equity) == 24
    assert {path.name for path in (model.parents[1] / "paper" / "btc").iterdir()} >= {BARS, PLAN, STATE}
