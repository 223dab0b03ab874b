"""A paper account: a strategy on live bars and a simulated futures account, resumed after any interruption.

The account is never restored from a picture of it. Every bar is written to a journal before the strategy sees it,
and a restart plays the journal again: strategy, orders and account are what they were, because all of them are
functions of the bars. The figures saved at the last bar prove it, or the run refuses to go on.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import backtrader as bt
import pandas as pd

from lstm_backtrader.backtesting import BacktestConfig, file_sha256
from lstm_backtrader.candles import format_timeframe
from lstm_backtrader.datafeeds.ccxt_live import BarSource, CCXTLive, open_live
from lstm_backtrader.datafeeds.journal import JournaledBars
from lstm_backtrader.datafeeds.live_market import Clock, LiveMarket
from lstm_backtrader.datafeeds.pace import late_s
from lstm_backtrader.datafeeds.series import Series
from lstm_backtrader.datafeeds.store import Store
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.forecast.manifest import MANIFEST, WEIGHTS
from lstm_backtrader.forecast.protocol import Forecaster
from lstm_backtrader.forecast.trials import chosen
from lstm_backtrader.indicators.models import as_forecaster
from lstm_backtrader.paper_account import AccountState, PaperFolder, PaperPlan, PaperTerms
from lstm_backtrader.reporting.recorder import RunRecorder
from lstm_backtrader.session import run
from lstm_backtrader.strategies.lstm_futures import LSTMFutures
from lstm_backtrader.trading import following

logger = logging.getLogger(__name__)

_SPARE_BARS = 48  # more than the warm-up, for gaps
_EPOCH_DAYS = 719_163.0


@dataclass(frozen=True)
class PaperHooks:
    """Whom to tell: `bar` of the account after every new bar, `status` when the feed is LIVE, DELAYED ..."""

    bar: Callable[[AccountState], None] = lambda state: None
    status: Callable[[str], None] = lambda name: None


@dataclass(frozen=True)
class LiveSource:
    """Where bars come from: a market, the store of its history (None: the venue alone), a loopback venue's address,
    and our time."""

    series: Series
    store: Store | None = None
    via: str | None = None
    clock: Clock = Clock()  # noqa: RUF009 - frozen

    def running(self) -> pd.Timestamp:
        """Open of the bar that runs now, by the venue's clock."""
        market = self.bars(None)
        market.close()
        return market.next_open

    def bars(self, since: pd.Timestamp | None) -> LiveMarket:
        """The bars from `since` on, None: from the running one."""
        return open_live(self.series, 0, since, self.store, self.via, self.clock)


def paper(
    source: LiveSource,
    model: str | Path | Forecaster,
    out: str | Path,
    config: BacktestConfig | None = None,
    *,
    bars: int | None = None,
    hooks: PaperHooks | None = None,
    strategy: type[LSTMFutures] = LSTMFutures,
    parameters: Mapping[str, object] | None = None,
) -> list[Any]:
    """Trade `model` on a paper account as bars close, until interrupted; gives the strategies, as `lbt.run` does.

    `out`: folder of the account. Called again with the same arguments it goes on where it was: bars that closed
    meanwhile are traded as they would have been. `bars`: end after that many new ones. SIGINT and SIGTERM end the
    run after the bar at hand. Without a contract in `config` the market's own preset is taken. `strategy`: a class
    of your own made of `LSTMFutures`; `parameters`: of it, which win over those that `config` stands for.

    Raises `ConfigError` where the arguments are not those the account was opened with, or another process runs it,
    `DataError` where the journal does not lead to the account that was saved, `VenueError` where the venue cannot
    be reached at the start.
    """
    config, hooks, folder = config or BacktestConfig(), hooks or PaperHooks(), PaperFolder(out)
    if config.contract is None:
        config = replace(config, contract=f"{source.series.venue}:{source.series.symbol}")
    forecaster = as_forecaster(model)
    _check_timeframe(source.series, forecaster)
    with folder.alone():
        plan = _plan(
            folder,
            source,
            forecaster,
            PaperTerms(
                series=str(source.series),
                model=str(getattr(forecaster, "name", type(forecaster).__name__)),
                model_sha256=_hashes(model),
                account=chosen(config),
                strategy=strategy.__qualname__,
                parameters=dict(parameters or {}),
            ),
        )
        cerebro = bt.Cerebro(stdstats=False)
        cerebro.adddata(_feed(source, folder, plan))
        cerebro.adddatacb(lambda data, status, *args, **kwargs: hooks.status(data._getstatusname(status)))
        cerebro.setbroker(config.broker())
        rules = {"fraction": config.fraction, **following(config, forecaster), **(parameters or {})}
        cerebro.addstrategy(strategy, **{**rules, "trade_from": plan.start})
        cerebro.addanalyzer(RunRecorder, start=plan.start)
        cerebro.addanalyzer(_Keeper, folder=folder, start=plan.start, tell=hooks.bar, bars=bars)
        with _stopped_by_signals(cerebro):
            return list(run(cerebro))


class _Keeper(bt.Analyzer):
    """Saves the account after every new bar; compares it where a replay reaches the bar that was saved last."""

    params = (("folder", None), ("start", None), ("tell", None), ("bars", None))

    def start(self) -> None:
        self._saved: AccountState | None = self.p.folder.state()
        self._new = 0
        self._has_warned = False

    def prenext(self) -> None:
        if self._bar() >= self.p.start and not self._has_warned:
            self._has_warned = True
            seen, needed = len(self.strategy.data), self.strategy._minperiod
            logger.warning(
                "no trading yet: the model wants %d bars before its first forecast, the venue has %d", needed, seen
            )

    def next(self) -> None:
        bar = self._bar()
        if bar < self.p.start or (self._saved is not None and bar < self._saved.bar):
            return
        state = self._state(bar)
        if self._saved is not None and bar == self._saved.bar:
            self.p.folder.check_replay(state, self._saved)
            return
        self.p.folder.save(state)
        self._saved = state
        self._new += 1
        self.p.tell(state)
        if self._new == self.p.bars:
            self.strategy.env.runstop()

    def _bar(self) -> datetime:
        """Open of the current bar, UTC."""
        data = self.strategy.data
        opened = round((data.datetime[0] - _EPOCH_DAYS) * 86_400) - late_s(data)
        return pd.Timestamp(opened, unit="s", tz="UTC").to_pydatetime()

    def _state(self, bar: datetime) -> AccountState:
        strategy, broker = self.strategy, self.strategy.broker
        return AccountState(
            bar=bar,
            close=strategy.data.close[0],
            signal=strategy.signal[0],
            position=broker.getposition(strategy.data).size,
            cash=broker.getcash(),
            equity=broker.getvalue(),
            fees=broker.ledger.fees,
            funding=broker.ledger.funding,
        )


def _plan(folder: PaperFolder, source: LiveSource, forecaster: Forecaster, terms: PaperTerms) -> PaperPlan:
    """What the account was opened with; a new one is opened now."""
    folder.check(terms)
    kept = folder.plan()
    if kept is not None:
        return kept
    start = source.running()
    since = start - (forecaster.warmup + _SPARE_BARS) * pd.Timedelta(forecaster.timeframe)
    return folder.open(PaperPlan(since=since.to_pydatetime(), start=start.to_pydatetime(), terms=terms))


def _feed(source: LiveSource, folder: PaperFolder, plan: PaperPlan) -> CCXTLive:
    """The bars of the journal, then those that follow."""
    series = source.series

    def rest(last: pd.Timestamp | None) -> BarSource:
        return source.bars(pd.Timestamp(plan.since) if last is None else last + pd.Timedelta(1, "ms"))

    def opened() -> BarSource:
        return JournaledBars(series, folder.journal, rest)

    return CCXTLive(series.venue, series.symbol, series.timeframe or "", clock=source.clock, opened=opened)


def _hashes(model: object) -> dict[str, str]:
    """SHA-256 of the files of a model; none of a forecaster that has no files."""
    if not isinstance(model, str | Path):
        return {}
    return {name: file_sha256(Path(model) / name) for name in (WEIGHTS, MANIFEST)}


def _check_timeframe(series: Series, forecaster: Forecaster) -> None:
    if series.step != pd.Timedelta(forecaster.timeframe):
        own = format_timeframe(round(forecaster.timeframe.total_seconds()))
        raise ConfigError(
            f"the model was trained on {own} bars, the market's are {series.timeframe}. Give the model's own "
            "timeframe."
        )


@contextmanager
def _stopped_by_signals(cerebro: bt.Cerebro) -> Iterator[None]:
    """Let Ctrl-C and a service's stop end the run after the bar at hand."""
    kinds = (signal.SIGINT, signal.SIGTERM)
    try:
        before = {kind: signal.signal(kind, lambda *given: cerebro.runstop()) for kind in kinds}
    except ValueError:  # not in the main thread, where no signal arrives
        before = {}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
