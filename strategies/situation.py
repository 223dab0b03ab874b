"""What a rule may know when it decides: one bar, the account, the position and the forecast, as plain numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime

from lstm_backtrader.futures.contract import Contract

_NAN = float("nan")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Situation:
    """Everything is known at `moment`, the end of the bar that just closed; an order fills there at the earliest.

    Money is in the settlement coin, 0.01 is 1 %, sizes are signed and counted as the contract counts. What nobody
    knows is NaN (or None), so that a rule can say so instead of guessing.
    """

    # the market
    moment: datetime = _EPOCH  # UTC, aware
    price: float = _NAN  # last close; the best guess of the next open
    high: float = _NAN
    low: float = _NAN
    volatility: float = _NAN  # standard deviation of one bar's log return, as the labels measure it
    bar_s: float = _NAN  # bar length, seconds
    gap_s: float = 0.0  # seconds without a bar before this one
    age_s: float = 0.0  # seconds since `moment` by the clock, of a live data; 0 in a backtest
    contract: Contract = field(default_factory=Contract)
    leverage: float = 1.0  # notional / margin of a new position
    slippage: float = 0.0  # fraction of the price lost by a market order

    # funding
    funding_rate: float = _NAN  # the last one settled, fraction of notional; positive: longs pay
    next_funding: datetime | None = None  # the venue's next stamp after `moment`

    # the account
    equity: float = _NAN
    free: float = _NAN  # balance that new positions may use
    peak_equity: float = _NAN  # highest at a close so far
    deepest_drawdown: float = 0.0  # so far: the most that equity has been below its peak, as a fraction of it
    day_equity: float = _NAN  # at the last close before the UTC day of `moment` began
    day_low_equity: float = _NAN  # lowest at a close of that day so far
    open_notional: float = 0.0  # of all positions of the account, long and short alike
    open_risk: float = 0.0  # what all positions lose if each stop is met at its price
    own_risk: float = 0.0  # what that of this data adds to it
    losses_in_row: int = 0  # trades closed at a loss since the last one that was not
    bars_since_exit: float = math.inf
    bars_since_loss: float = math.inf

    # the position of this data
    side: int = 0  # wanted: +1 long, -1 short, 0 none
    size: float = 0.0  # held, signed
    entry_price: float = _NAN
    bars_held: int = 0  # bars closed since the entry filled, its own bar included
    stop_distance: float | None = None  # from the entry to the nearest stop, fraction of price; None: no stop

    # the forecast
    forecast: float = _NAN  # in units of the label
    prob_up: float = _NAN
    prob_down: float = _NAN  # 1 - prob_up, but of classes that of a fall that pays
    spread: float = _NAN  # disagreement of the ensemble, in units of `forecast`
    lo: float = _NAN  # interval around the forecast, in its units
    hi: float = _NAN
    horizon: int | None = None  # bars the forecast looks ahead
    expected_return: float = _NAN  # over the horizon, signed; NaN where the forecast is no return
    trained_until: datetime | None = None  # the last bar the model learned from
    expires: datetime | None = None  # from then on the model says nothing

    @property
    def held(self) -> int:
        """Side of the position: +1 long, -1 short, 0 none."""
        return int(self.size > 0.0) - int(self.size < 0.0)

    @property
    def profit_pct(self) -> float:
        """How far the price has gone for the position, as a fraction of its entry price; NaN where none is held."""
        if not self.held:
            return _NAN
        return self.held * (self.price / self.entry_price - 1.0)
