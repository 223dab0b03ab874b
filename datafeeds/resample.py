"""`resample` and `replay`: bars of a longer timeframe in a run, equal to the candles a model was trained on."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import pandas as pd

from lstm_backtrader.candles import format_timeframe, timeframe_seconds
from lstm_backtrader.errors import ConfigError, TimeframeError

from .following import Follower, LongerBars
from .frames import CandleFeed
from .grouping import bar_opens, resample_candles
from .pace import Feed, backtrader_length, pace_s
from .replaying import ReplayFeed


def resample(cerebro: bt.Cerebro, data: Feed, timeframe: str, name: str | None = None) -> Any:
    """Add the bars of `timeframe` ("15m", "1h", "1D") that the candles of `data` make up, and return their feed.

    They equal pandas' left-closed, left-labelled bars, the last one too where the data end within it; extra lines
    come along by the rules of `lstm_backtrader.datafeeds.grouping`. `data` may be in the run already (its own
    bars stay beside the longer ones), or not. A bar is delivered with the last of its candles, or, where that
    one is missing, with the next.

    Of a `CandleFeed` the bars are made beforehand, so that every mode of Cerebro stays available. Those of any
    other feed, a live one say, are made as its candles arrive; it has to declare its `timeframe` and
    `compression` rightly and to label bars by their open.

    Raises `TimeframeError` where the bars of `data` do not fit evenly into longer ones.
    """
    step_s = timeframe_seconds(timeframe)
    _refuse_made_bars(data, "resample")
    if isinstance(data, CandleFeed) and not data.islive():
        length, compression = backtrader_length(step_s)
        bars = resample_candles(_delivered(data), timeframe)
        feed = CandleFeed(bars, timeframe=length, compression=compression, tz=data.p.tz)
        feed.bar_s = step_s  # a few bars with gaps would measure another
    else:
        base_s = pace_s(data)
        if base_s is None or step_s % base_s or step_s == base_s:
            says = "no length Backtrader can count" if base_s is None else f"{format_timeframe(base_s)} bars"
            raise TimeframeError(
                f"the feed declares {says}, which do not make up {timeframe} bars. Give it its true "
                f"`timeframe` and `compression`, or use CandleFeed, which measures them."
            )
        feed = Follower.of(data) if _is_in(cerebro, data) else data
        feed.addfilter(LongerBars, step_s=step_s, base_s=base_s)
    cerebro.adddata(feed, name=_name(cerebro, data, timeframe) if name is None else name)
    return feed


def replay(cerebro: bt.Cerebro, data: CandleFeed, timeframe: str, name: str | None = None) -> ReplayFeed:
    """Add bars of `timeframe` that form candle by candle, and return their feed.

    Every candle of `data` is a step of the run, in which the newest bar is as it stood then; a closed bar equals
    the one `resample` makes. A forming bar is stamped with the open of its newest candle. `data` may be in the
    run already, or not. Works on a `CandleFeed`, not on live feeds.

    Raises `TimeframeError` where the bars of `data` do not fit evenly into longer ones.
    """
    if not isinstance(data, CandleFeed) or data.islive():
        raise ConfigError(f"replay takes a CandleFeed, got {type(data).__name__}. Use `resample` for a live feed.")
    _refuse_made_bars(data, "replay")
    candles = _delivered(data)
    bar_opens(candles, timeframe)  # refuses what does not fit
    step_s = timeframe_seconds(timeframe)
    length, compression = backtrader_length(step_s)
    feed = ReplayFeed(candles, step_s=step_s, timeframe=length, compression=compression, tz=data.p.tz)
    cerebro.adddata(feed, name=_name(cerebro, data, timeframe) if name is None else name)
    return feed


def _refuse_made_bars(data: Feed, what: str) -> None:
    if data._filters or data.replaying:
        raise ConfigError(f"{what} takes a feed as it comes; this one is filtered or replayed. Give its source.")


def _delivered(feed: CandleFeed) -> pd.DataFrame:
    """The feed's candles within its own `fromdate` and `todate`."""
    candles: pd.DataFrame = feed.p.dataname
    times = pd.DatetimeIndex(candles.index)
    naive = times if times.tz is None else times.tz_localize(None)
    return candles.loc[(naive >= (feed.p.fromdate or naive[0])) & (naive <= (feed.p.todate or naive[-1]))]


def _is_in(cerebro: bt.Cerebro, data: Feed) -> bool:
    return any(data is other for other in cerebro.datas)


def _name(cerebro: bt.Cerebro, data: Feed, timeframe: str) -> str:
    return f"{data._name} {timeframe}".strip() if _is_in(cerebro, data) else str(data._name)
