"""How the stamps of a Backtrader data become open times of its bars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import backtrader as bt
import numpy as np
from numpy.typing import NDArray

from lstm_backtrader.candles import format_timeframe
from lstm_backtrader.datafeeds.pace import declared_s, late_s, pace_s
from lstm_backtrader.errors import ConfigError, TimeframeError

Stamps = Literal["open", "close"]
Feed = Any  # Backtrader ships no types

_EPOCH_DAYS = 719_163.0  # backtrader's number of 1970-01-01
_DAY_S = 86_400


@dataclass(frozen=True)
class Placing:
    """A bar opens `shift_s` seconds before its stamp; with `step_s`, at the last multiple of it by then."""

    shift_s: int = 0
    step_s: int | None = None  # of bars that are stamped somewhere within, because they are replayed

    def open_seconds(self, days: NDArray[np.float64]) -> NDArray[np.int64]:
        """(T,) stamps as floating days -> seconds since 1970; good to 10 us, so whole ones are exact."""
        seconds = np.rint((days - _EPOCH_DAYS) * _DAY_S).astype(np.int64) - self.shift_s
        return seconds if self.step_s is None else seconds // self.step_s * self.step_s


def place(data: Feed, step_s: int, stamps: Stamps | None) -> Placing:
    """How `data` labels its bars of `step_s` seconds; `stamps` is what the user says of it (None: nothing).

    Without a word a feed labels bars by their open, and what `cerebro.resampledata` makes by their close, if they
    are bars a model was trained on.

    Raises `ConfigError` for unknown `stamps`, `TimeframeError` where Backtrader's own resampling gives other bars
    than a model was trained on, or stamps that cannot be placed.
    """
    if stamps not in (None, "open", "close"):
        raise ConfigError(f"stamps {stamps!r} is unknown. Use 'open' or 'close': what the feed labels bars by.")
    grouping = next((each for each, _, _ in data._filters if isinstance(each, _GROUPINGS)), None)
    if grouping is not None:
        return _place_grouped(data, grouping, step_s, stamps)
    late = late_s(data)
    if data.replaying:
        _check_replayed(data.p.step_s, step_s)
        return Placing(late, step_s)
    return Placing(late + (step_s if stamps == "close" else 0))


_GROUPINGS = (bt.resamplerfilter.Resampler, bt.resamplerfilter.Replayer)


def _place_grouped(data: Feed, grouping: Any, step_s: int, stamps: Stamps | None) -> Placing:
    """Bars that `cerebro.resampledata` or `replaydata` made."""
    by_open = hasattr(data.data if data._clone else data, "bar_s")  # a CandleFeed
    by_close = data.replaying and stamps == "close"  # then the candles are, against the custom of their feed
    if by_open and not by_close and grouping.subdays and not _keeps_apart(data, grouping):
        name = "replay" if data.replaying else "resample"
        raise TimeframeError(
            f"cerebro.{name}data puts the candle that opens at the end of a bar into that bar, which a model never "
            f"saw. Use lstm_backtrader.{name}(cerebro, data, '{format_timeframe(step_s)}')."
        )
    if not data.replaying:
        if stamps is None and not by_open and grouping.subdays and not _keeps_apart(data, grouping):
            raise TimeframeError(
                f"cerebro.resampledata puts a candle stamped at the end of a bar into that bar. That is right "
                f"where the feed labels candles by their close, and wrong where it does by their open. If by their "
                f"open, use lstm_backtrader.resample(cerebro, data, '{format_timeframe(step_s)}'); if by their "
                f"close, say stamps='close'."
            )
        usual = grouping.p.bar2edge and grouping.p.adjbartime
        if not usual and stamps is None:
            raise TimeframeError(
                f"bars resampled with bar2edge={grouping.p.bar2edge}, adjbartime={grouping.p.adjbartime} are not "
                f"stamped at an edge. Use lstm_backtrader.resample(cerebro, data, '{format_timeframe(step_s)}')."
            )
        stamps = stamps or ("close" if grouping.p.rightedge or not grouping.subdays else "open")
        return Placing(step_s if stamps == "close" else 0)
    if stamps is None and not by_open:
        raise TimeframeError(
            "replayed bars of a feed that may label its own by open or close cannot be placed. Use CandleFeed and "
            f"lstm_backtrader.replay(cerebro, data, '{format_timeframe(step_s)}'), or say stamps='open' or 'close'."
        )
    _check_replayed(declared_s(data) or 0, step_s)
    return Placing(1 if stamps == "close" else 0, step_s)


def _keeps_apart(data: Feed, grouping: Any) -> bool:
    """Whether `boundoff` moves open stamps into their own bar, and none to its edge, where they keep their time."""
    unit = 60 if grouping.p.timeframe == bt.TimeFrame.Minutes else 1
    base_s = pace_s(data.data if data._clone else data) or 0
    return bool(0 < grouping.p.boundoff * unit < base_s)


def _check_replayed(made_s: int, step_s: int) -> None:
    if made_s != step_s:
        raise TimeframeError(
            f"the data are replayed as {format_timeframe(made_s)} bars, the model was trained on "
            f"{format_timeframe(step_s)}. Replay them as {format_timeframe(step_s)}."
        )
