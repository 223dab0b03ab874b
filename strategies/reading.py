"""Reads the situation a strategy is in from its data, its broker and its forecast."""

from __future__ import annotations

import math
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from lstm_backtrader.candles import Bars
from lstm_backtrader.datafeeds.pace import late_s, pace_s
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.forecast.price_features import VOLATILITY_MEMORY, volatility
from lstm_backtrader.futures import matching
from lstm_backtrader.futures.broker import FuturesBroker
from lstm_backtrader.futures.contract import Contract
from lstm_backtrader.strategies.situation import Situation

_STOCK = Contract()  # of a broker without contracts: any fraction of a coin
_NAN = float("nan")
_EPOCH_DAYS = 719_163.0  # Backtrader's number of 1970-01-01


class SituationReader:
    """The situation of one data of a strategy, by numbers of this bar and what it has seen before.

    Call `observe` once a bar, in `prenext` and `next`, and `read` where a rule is asked.

    `forecast`: an `LSTMSignal`, or any object with some of its lines; None: no forecast.
    """

    def __init__(self, strategy: Any, data: Any = None, forecast: Any = None) -> None:
        self._strategy = strategy
        self._data = strategy.data if data is None else data
        self.broker = strategy.broker
        self._forecast = forecast
        self._forecaster = getattr(forecast, "forecaster", None)
        self._closes: deque[float] = deque(maxlen=VOLATILITY_MEMORY + 1)
        self._bar = 0  # bars observed so far
        self._ends = _NAN  # of the last bar, seconds since 1970
        self._gap_s = 0.0
        self._length_s = self._late_s = 0  # seconds; known when the first bar is there
        lines = self._data.lines
        self._stamp_line, self._close_line = lines.datetime, lines.close  # looked up by name once, not at every bar
        self._rate_line = getattr(lines, "funding_rate", None)
        self._rate = _NAN
        self._equity = self._peak = self._day_equity = self._day_low = float(self.broker.getvalue())
        self._deepest = 0.0
        self._day: int | None = None
        self._trades: list[Any] = strategy._trades[self._data][0]  # Backtrader's own list, of tradeid 0
        self._trades_seen = 0
        self._losses = 0
        self._exit_bar = self._loss_bar = -math.inf

    @property
    def contract(self) -> Contract:
        """What is traded; of a broker that knows none, any fraction of a coin."""
        if isinstance(self.broker, FuturesBroker):
            return self.broker.contract(self._data)
        return _STOCK

    @property
    def leverage(self) -> float:
        """Notional / margin of new positions."""
        if isinstance(self.broker, FuturesBroker):
            return self.broker.leverage(self._data)
        return float(self.broker.getcommissioninfo(self._data).get_leverage())

    def observe(self) -> None:
        """Take in the bar that just closed; a forming bar may come any number of times."""
        bar = len(self._data)
        if not bar:
            return
        if not self._bar:
            self._length_s, self._late_s = pace_s(self._data) or 0, late_s(self._data)
        stamp = round((self._stamp_line[0] - _EPOCH_DAYS) * 86_400.0) - self._late_s
        if bar == self._bar:
            self._closes[-1] = self._close_line[0]
        else:
            self._closes.append(self._close_line[0])
            self._gap_s = max(0.0, stamp - self._ends) if self._bar else 0.0
        self._bar = bar
        self._ends = stamp + self._length_s
        if self._rate_line is not None:
            rate = self._rate_line[0]
            if rate == rate:
                self._rate = rate
        equity = float(self.broker.getvalue())
        day = int(self._ends - 1) // 86_400
        if day != self._day:
            self._day, self._day_equity, self._day_low = day, self._equity, equity
        self._equity = equity
        if equity >= self._peak:
            self._peak = equity
        else:
            self._day_low = min(self._day_low, equity)
            if self._peak > 0.0:
                self._deepest = max(self._deepest, 1.0 - equity / self._peak)
        self._count_trades()

    def read(self, side: int = 0) -> Situation:
        """The situation at the end of the observed bar, for someone who wants `side` (+1, -1 or 0).

        Raises `ConfigError` where the bar was not observed.
        """
        if self._bar != len(self._data):
            raise ConfigError(
                f"bar {len(self._data)} was not observed, so nothing is known of it. Call `observe()` of the desk "
                "in `prenext` and `next`, once a bar, before it is asked."
            )
        data, contract = self._data, self.contract
        position = self.broker.getposition(data)
        trades = self._trades
        moment = datetime.fromtimestamp(self._ends, UTC)
        price, volatility_ = float(data.close[0]), self._volatility()
        return Situation(
            moment=moment,
            price=price,
            high=float(data.high[0]),
            low=float(data.low[0]),
            volatility=volatility_,
            bar_s=float(self._length_s or _NAN),
            gap_s=self._gap_s,
            age_s=max(0.0, datetime.now(UTC).timestamp() - self._ends) if data.islive() else 0.0,
            contract=contract,
            leverage=self.leverage,
            slippage=self._slippage(price),
            funding_rate=self._rate,
            next_funding=_next_stamp(moment, contract),
            equity=self._equity,
            free=float(self.broker.getcash()),
            peak_equity=self._peak,
            deepest_drawdown=self._deepest,
            day_equity=self._day_equity,
            day_low_equity=self._day_low,
            open_notional=self._open_notional(),
            open_risk=self._open_risk(),
            own_risk=self._open_risk(data),
            losses_in_row=self._losses,
            bars_since_exit=self._bar - self._exit_bar,
            bars_since_loss=self._bar - self._loss_bar,
            side=side,
            size=float(position.size),
            entry_price=float(position.price) if position.size else _NAN,
            bars_held=self._bar - trades[-1].baropen + 1 if trades and not trades[-1].isclosed else 0,
            **self._said(volatility_),
            **self._model_dates(),
        )

    def _count_trades(self) -> None:
        trades = self._trades
        while self._trades_seen < len(trades) and trades[self._trades_seen].isclosed:
            trade = trades[self._trades_seen]
            self._trades_seen += 1
            self._exit_bar = trade.barclose
            if trade.pnlcomm < 0.0:
                self._losses += 1
                self._loss_bar = trade.barclose
            else:
                self._losses = 0

    def _volatility(self) -> float:
        """As of the labels: of the last 168 returns; NaN before there are as many."""
        if len(self._closes) <= VOLATILITY_MEMORY:
            return _NAN
        closes = np.array(self._closes)
        return float(volatility(Bars(np.zeros(len(closes), dtype=np.int64), {"close": closes}))[-1])

    def _slippage(self, price: float) -> float:
        params = self.broker.p
        return float(params.slip_perc or (params.slip_fixed / price if price > 0.0 else 0.0))

    def _open_notional(self) -> float:
        if isinstance(self.broker, FuturesBroker):
            return float(self.broker.notional())
        held = self.broker.positions.items()
        return float(sum(abs(each.size) * data.close[0] for data, each in held if each.size))

    def _open_risk(self, of: Any = None) -> float:
        """Of each position, or those of one data, down to its nearest stop; without one it can lose its margin."""
        if not isinstance(self.broker, FuturesBroker):
            return 0.0
        risk = 0.0
        for data, tradeid, leg in self.broker.legs(of):
            stops = [
                matching.level(order)
                for order in self.broker.pending
                if order.data is data and order.tradeid == tradeid and order.active()
                if matching.is_stop(order) and order.size * leg.size < 0.0
            ]
            loss = min((-leg.profit(price) for price in stops), default=math.inf)
            behind = leg.margin if self.broker.margin_mode == "isolated" else leg.notional(data.close[0])
            risk += min(max(0.0, loss), behind)
        return risk

    def _said(self, volatility_: float) -> dict[str, Any]:
        """What the forecast says, in the words of a `Situation`."""
        if self._forecast is None:
            return {}
        names = ("forecast", "prob_up", "spread", "lo", "hi")
        said: dict[str, Any] = {
            name: float(line[0])
            for name in names
            if (line := getattr(self._forecast.lines, name, None)) is not None
        }
        horizon = getattr(self._forecaster, "horizon", None)
        said["horizon"] = horizon
        is_class = getattr(self._forecaster, "is_class", False)
        if "prob_up" in said:
            said["prob_down"] = said["prob_up"] - said["forecast"] if is_class else 1.0 - said["prob_up"]
        if horizon is not None and getattr(self._forecaster, "is_return", not is_class):
            said["expected_return"] = said["forecast"] * volatility_ * math.sqrt(horizon)
        return said

    def _model_dates(self) -> dict[str, Any]:
        """When the model of this bar was trained and is too old, as far as the forecaster knows."""
        model = self._forecaster
        described_at = getattr(model, "described_at", None)
        if described_at is not None:  # a schedule: of several models the one of this bar
            model = described_at(round(self._ends - self._length_s) * 1_000_000_000)
        dates = {"trained_until": "trained_until", "expires": "valid_until"}
        return {name: getattr(model, theirs, None) for name, theirs in dates.items()}


def _next_stamp(moment: datetime, contract: Contract) -> datetime:
    """The venue's first funding stamp at `moment` or after it."""
    every, offset = contract.funding_hours * 3600.0, contract.funding_offset_hours * 3600.0
    due = math.ceil((moment.timestamp() - offset) / every) * every + offset
    return moment + timedelta(seconds=due - moment.timestamp())
