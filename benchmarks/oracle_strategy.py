"""LSTMFutures beside the same strategy on the best possible forecast, on synthetic markets of known predictability.

``python -m benchmarks.oracle_strategy [--first 5] [--sets 3] [--bars 200000] [--models FOLDER] [--out FILE]``

For each data set a model is trained on one market (or taken from FOLDER), and accounts trade another by the same
rules and after 10 bps a round trip: on the model, on the oracle, and on two controls. In the first the model trades
while the news are shuffled over all bars, three times, so that they say nothing: before fees that has to be zero.
In the second a model is trained in the same way on the same market with its news shuffled, and trades what the
first trades: after fees that has to be zero, which an account without a trade is.

Rules and first control were chosen while looking at the sets 0 to 2, so all is shown on sets that nobody had looked
at, 5 to 7.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lstm_backtrader.candles import Bars
from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.datafeeds.synthetic import SyntheticMarket, synthetic_market
from lstm_backtrader.demo import CONFIG, THRESHOLD, TRAIN_BARS
from lstm_backtrader.forecast.inference import load_model
from lstm_backtrader.forecast.protocol import Forecaster, ForecastPoint
from lstm_backtrader.forecast.training import train
from lstm_backtrader.futures.broker import FuturesBroker
from lstm_backtrader.reporting.bootstrap import block_length, stationary_rows
from lstm_backtrader.reporting.recorder import RunRecorder, run_record
from lstm_backtrader.strategies.lstm_futures import LSTMFutures
from lstm_backtrader.strategies.sizing import FixedNotional

FEE = 0.0005  # a side
NOTIONAL = 1e5  # of every position: what compounds for twenty years leaves no digit for the fees
RULES: dict[str, Any] = {  # enter on a large forecast that is worth twice its costs, and hold it for its horizon
    "threshold": THRESHOLD,
    "cost_multiple": 2.0,
    "time_limit_bars": CONFIG.horizon,
    "leave_on": "flip",
    "reenter": True,
}
WANTED = 0.8  # of the oracle's Sharpe ratio
DRAWS = 2_000
SHUFFLES = 3  # of the news
YEAR = 365.0  # days
_HEAD = (
    f"set  {'LSTM':27}  {'oracle, trades':27}  ratio  diff/SE  {'news shuffled: gross, net, trades':49}  "
    "trained on shuffled news: net"
)

Floats = NDArray[np.float64]


class Oracle:
    """The best forecast of a synthetic market, to be traded like a model of it."""

    name = "oracle"

    def __init__(self, market: SyntheticMarket, warmup: int) -> None:
        self.warmup = warmup
        self.horizon = market.horizon
        self.timeframe = pd.Timedelta(hours=1)
        self._said = market.oracle

    def predict(self, candles: pd.DataFrame) -> pd.DataFrame:
        said = self._said.loc[candles.index].to_numpy(np.float64)
        chance = [NormalDist().cdf(value) for value in said.tolist()]
        return pd.DataFrame({"forecast": said, "prob_up": chance, "spread": 0.0}, index=candles.index)

    def stream(self) -> Oracle:
        return self

    def update(self, tail: Callable[[int], Bars]) -> ForecastPoint:
        said = float(self._said.loc[pd.Timestamp(int(tail(1).open_time[-1]), tz="UTC")])
        return ForecastPoint(said, NormalDist().cdf(said), 0.0)


@dataclass(frozen=True)
class Account:
    """What a run earned. `sharpe`: a year, of daily profits after costs; `gross` before fees."""

    sharpe: float
    low: float  # of the 95 % interval of `sharpe`
    high: float
    gross: float
    gross_low: float
    gross_high: float
    trades: int


@dataclass(frozen=True)
class Comparison:
    """One data set. `difference_error`: standard error of the paired difference of the two Sharpe ratios.

    `shuffled`: of the model while the news are shuffled; `untaught`: of a model trained on shuffled news.
    """

    seed: int
    model: Account
    oracle: Account
    shuffled: Account
    untaught: Account
    difference_error: float

    @property
    def is_met(self) -> bool:
        """Whether every bound holds."""
        best, mine = self.oracle.sharpe, self.model.sharpe
        is_near = WANTED * best <= mine <= best + 2.0 * self.difference_error
        is_noise = self.shuffled.gross_low <= 0.0 <= self.shuffled.gross_high
        return mine > 0.0 and is_near and is_noise and self.untaught.low <= 0.0 <= self.untaught.high


def compare(seed: int, bars: int, models: Path | None) -> Comparison:
    """Train or load the models of `seed`, and trade another market of `bars` bars by them."""
    model, untaught = _model(seed, models), _model(seed, models, shuffled=True)
    market = synthetic_market(bars, seed=2 * seed + 1, start="2060-01-01")
    returns = {
        "model": _trade(model, market.candles),
        "oracle": _trade(Oracle(market, model.warmup), market.candles),
        "shuffled": _side_by_side([_trade(model, each) for each in _without_news(market.candles, seed, SHUFFLES)]),
        "untaught": _trade(untaught, market.candles),
    }
    rng = np.random.default_rng(seed)
    pair = [returns["model"][0], returns["oracle"][0]]
    differences = np.concatenate(
        [_sharpes(pair[0][rows]) - _sharpes(pair[1][rows]) for rows in _drawn_rows(pair[1], rng)]
    )
    accounts = {name: _account(*each, rng) for name, each in returns.items()}
    return Comparison(seed=seed, difference_error=float(differences.std(ddof=1)), **accounts)


def _model(seed: int, models: Path | None, shuffled: bool = False) -> Forecaster:
    """The model of `seed`, or the one trained on the same market with its news `shuffled`."""
    folder = None if models is None else models / f"{seed}{'-shuffled' if shuffled else ''}"
    if folder is not None and folder.exists():
        return load_model(folder)
    candles = synthetic_market(TRAIN_BARS, seed=2 * seed, start="1980-01-01").candles
    model = train(_without_news(candles, seed, 1)[0] if shuffled else candles, CONFIG)
    if folder is not None:
        model.save(folder)
    return model


def _without_news(candles: pd.DataFrame, seed: int, times: int) -> list[pd.DataFrame]:
    """The candles with their news at other bars, drawn several times: of one draw luck may make anything."""
    rng = np.random.default_rng(seed)
    return [candles.assign(news=rng.permutation(candles["news"].to_numpy())) for _ in range(times)]


def _side_by_side(runs: Sequence[tuple[Floats, Floats, int]]) -> tuple[Floats, Floats, int]:
    """The mean profits of several accounts, and the trades of all of them."""
    net, gross, trades = zip(*runs, strict=True)
    return np.mean(net, axis=0), np.mean(gross, axis=0), sum(trades)


def _trade(model: object, candles: pd.DataFrame) -> tuple[Floats, Floats, int]:
    """Daily profit over the notional, after costs and before fees (days,), and the number of trades."""
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(candles))
    cerebro.setbroker(FuturesBroker(leverage=1, cash=10 * NOTIONAL, taker_fee=FEE, maker_fee=FEE))
    cerebro.addstrategy(LSTMFutures, model=model, sizing=FixedNotional(NOTIONAL), **RULES)
    cerebro.addanalyzer(RunRecorder)
    record = run_record(cerebro.run())
    at_close = record.equity[["equity", "fees"]].resample("1D").last().ffill()
    profit, fees = (at_close.diff().iloc[1:] / NOTIONAL).to_numpy(np.float64).T
    return profit, profit + fees, len(record.trades)


def _account(net: Floats, gross: Floats, trades: int, rng: np.random.Generator) -> Account:
    low, high = _interval(net, rng)
    gross_low, gross_high = _interval(gross, rng)
    sharpe, before = (float(_sharpes(returns[None])[0]) for returns in (net, gross))
    return Account(sharpe, low, high, before, gross_low, gross_high, trades)


def _interval(returns: Floats, rng: np.random.Generator) -> tuple[float, float]:
    """In which 95 % of the Sharpe ratios of series drawn from this one lie."""
    drawn = np.concatenate([_sharpes(returns[rows]) for rows in _drawn_rows(returns, rng)])
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)


def _drawn_rows(returns: Floats, rng: np.random.Generator) -> Any:
    return stationary_rows(len(returns), block_length(returns), DRAWS, rng)


def _sharpes(returns: Floats) -> Floats:
    """A year, of each row of (draws, days); 0 where nothing moves."""
    deviation = returns.std(axis=1, ddof=1)
    sharpe = returns.mean(axis=1) / np.where(deviation > 0.0, deviation, np.inf) * math.sqrt(YEAR)
    return np.asarray(sharpe, dtype=np.float64)


def line(found: Comparison) -> str:
    """One line of the table."""
    model, oracle, noise, untaught = found.model, found.oracle, found.shuffled, found.untaught
    cells = [
        f"{found.seed:>3}",
        *map(_cell, (model, oracle)),
        f"{model.sharpe / oracle.sharpe:5.2f}",
        f"{(model.sharpe - oracle.sharpe) / found.difference_error:+7.2f}",
        f"{noise.gross:5.2f} [{noise.gross_low:5.2f}, {noise.gross_high:5.2f}]",
        _cell(noise),
        _cell(untaught) if untaught.trades else f"{'no trade, so 0':27}",
        "ok" if found.is_met else "MISSED",
    ]
    return "  ".join(cells)


def _cell(account: Account) -> str:
    return f"{account.sharpe:5.2f} [{account.low:5.2f}, {account.high:5.2f}] {account.trades:>6}"


def main() -> int:
    """Measure, print and write; 1 where a bound is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.oracle_strategy", description=__doc__)
    parser.add_argument("--first", type=int, default=5, help="the first data set, which is the seed of its markets")
    parser.add_argument("--sets", type=int, default=3, help="data sets, each with a model of its own")
    parser.add_argument("--bars", type=int, default=200_000, help="hours to trade")
    parser.add_argument("--models", type=Path, metavar="FOLDER", help="where the models are kept")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the figures as JSON")
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    print("Sharpe ratios of daily profits at 365 days a year, after 10 bps a round trip; 95 % intervals.")
    print(_HEAD)
    found = []
    for seed in range(given.first, given.first + given.sets):
        found.append(compare(seed, given.bars, given.models))
        print(line(found[-1]), flush=True)
    if given.out is not None:
        given.out.write_text(json.dumps([asdict(each) for each in found], indent=2) + "\n", encoding="utf-8")
    return 0 if all(each.is_met for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
