"""`add_instruments`: several perpetuals and the one account they share, in one call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import backtrader as bt
import pandas as pd

from lstm_backtrader.datafeeds.frames import CandleFeed
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.futures.broker import FuturesBroker
from lstm_backtrader.futures.contract import Contract


def add_instruments(
    cerebro: bt.Cerebro,
    candles: Mapping[str, pd.DataFrame],
    contracts: Mapping[str, Contract | str] | Contract | str | None = None,
    *,
    leverage: float | Mapping[str, float] = 1.0,
    **account: Any,
) -> FuturesBroker:
    """Add a `CandleFeed` for each instrument, by name, and give `cerebro` the account they share.

    `candles`: name -> table, which may begin and end at different times. Their order stays, but one that ends last
    has to come first, as it is the clock, and is put there. `contracts`: one for all or one by name, see
    `FuturesBroker`; all must settle in one coin.
    `leverage`: one for all or one by name. `account`: `cash`, `margin_mode` and what else `FuturesBroker` takes.
    Returns the broker. Raises `ConfigError`.
    """
    if not candles:
        raise ConfigError("there is no instrument. Give candles by name, {'BTCUSDT': candles, ...}.")
    names = _clock_first(candles)
    brokers = {
        name: FuturesBroker(_of(name, contracts, "contracts"), leverage=_of(name, leverage, "leverage"), **account)
        for name in names
    }  # each with the fees that `account` may set; the first serves all
    shared = brokers[names[0]]
    for name, broker in brokers.items():
        cerebro.adddata(CandleFeed(candles[name], name=name))
        shared.set_contract(broker.contract(), leverage=broker.leverage(), name=name)
    cerebro.setbroker(shared)
    return shared


def _clock_first(candles: Mapping[str, pd.DataFrame]) -> list[str]:
    """The names in their order, one that ends last in front; of several the first as it is, or the longest."""
    names, last = list(candles), max(table.index[-1] for table in candles.values())
    if candles[names[0]].index[-1] < last:
        clock = min(
            (name for name in names if candles[name].index[-1] == last), key=lambda name: candles[name].index[0]
        )
        names = [clock, *(name for name in names if name != clock)]
    return names


def _of(name: str, given: Any, option: str) -> Any:
    """What is meant for one instrument."""
    if not isinstance(given, Mapping):
        return given
    if name not in given:
        raise ConfigError(f"{option} has no entry for '{name}'; it has {', '.join(map(str, given)) or 'none'}.")
    return given[name]
