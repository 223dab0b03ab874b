"""A run of Cerebro as a table, bar by bar: what its indicators say, what it orders, what it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd

from lstm_backtrader.auditing.watching import Watch
from lstm_backtrader.quiet import errors_alone, nothing_printed

Setup = Callable[[pd.DataFrame], bt.Cerebro]


class Bearer(bt.Strategy):
    """Holds an indicator, under the name of its class, and does nothing."""

    params: Any = (("indicator", None), ("options", {}))  # Backtrader makes a class of it

    def __init__(self) -> None:
        setattr(self, self.p.indicator.__name__, self.p.indicator(self.data, **self.p.options))


@dataclass
class Placed:
    """An order as it was created: when, by Backtrader's number of the bar, and how large."""

    order: Any
    data: int
    stamp: float
    size: float  # signed


@dataclass(frozen=True)
class Testimony:
    """What a run was seen to do. Rows are steps of the run, labelled by the open time of their bar.

    `lines` (T, indicator lines). `actions` (T, ...): orders, sizes, prices, cancellations, positions, equity.
    `prices` (T, datas): opens. `wanted` (T, datas): position with the market orders that wait for the next open.
    """

    lines: pd.DataFrame
    actions: pd.DataFrame
    prices: pd.DataFrame
    wanted: pd.DataFrame
    placed: tuple[Placed, ...]
    strategy: Any

    @property
    def everything(self) -> pd.DataFrame:
        """Lines and actions side by side."""
        return pd.concat([self.lines, self.actions], axis=1)


class Witness(bt.Analyzer):
    """Records every step of a strategy; with `watch`, also which bars are read."""

    params = (("watch", None),)

    def start(self) -> None:
        self.stamps: list[float] = []
        self.rows: dict[str, list[list[float]]] = {"lines": [], "actions": [], "prices": [], "wanted": []}
        self.placed: list[Placed] = []
        self.cancels = self.seen = 0
        self.named = list(_named_lines(self.strategy))
        self._wrap(self.strategy.broker)
        if self.p.watch is not None:
            self._watch(self.p.watch)

    def next(self) -> None:
        strategy, fresh = self.strategy, self.placed[self.seen :]
        self.seen = len(self.placed)
        # asked for a data without a bar, Backtrader's broker would value it from then on
        held = [strategy.broker.getposition(data).size if len(data) else 0.0 for data in strategy.datas]
        actions = [len(fresh), sum(each.size for each in fresh), sum(map(_price, fresh)), self.cancels]
        self.cancels = 0
        wanted = list(held)
        for each in fresh:
            if each.order.exectype == bt.Order.Market and each.order.alive():
                wanted[each.data] += each.size
        self.stamps.append(max(data.datetime[0] for data in strategy.datas if len(data)))
        self.rows["lines"].append([_newest(line) for _, line in self.named])
        self.rows["actions"].append([*actions, *held, strategy.broker.getvalue()])
        self.rows["prices"].append([data.open[0] if len(data) else np.nan for data in strategy.datas])
        self.rows["wanted"].append(wanted)

    def testimony(self) -> Testimony:
        """What was seen, after the run."""
        index = pd.DatetimeIndex([bt.num2date(stamp) for stamp in self.stamps]).round("s").tz_localize("UTC")
        datas = [f" of data{number}" if number else "" for number in range(len(self.strategy.datas))]
        names = {
            "lines": [name for name, _ in self.named],
            "actions": [
                "orders", "order size", "order price", "cancellations", *(f"position{each}" for each in datas),
                "equity",
            ],
            "prices": datas,
            "wanted": datas,
        }  # fmt: skip
        tables = {
            key: pd.DataFrame(
                np.array(self.rows[key], dtype=np.float64).reshape(len(index), len(columns)),
                index=index,
                columns=columns,
            )
            for key, columns in names.items()
        }
        return Testimony(**tables, placed=tuple(self.placed), strategy=self.strategy)

    def _wrap(self, broker: Any) -> None:
        """See every order of the strategy as it is made: the last bar's are never notified."""
        datas = list(self.strategy.datas)
        make: dict[str, Callable[..., Any]] = {"buy": broker.buy, "sell": broker.sell}
        cancel = broker.cancel

        def placing(side: str) -> Callable[..., Any]:
            def place(owner: Any, data: Any, *args: Any, **kwargs: Any) -> Any:
                order = make[side](owner, data, *args, **kwargs)
                if owner is self.strategy and order is not None:
                    stamp = data.datetime[0] if len(data) else float("-inf")
                    number = next(at for at, each in enumerate(datas) if each is data)  # feeds compare by price
                    self.placed.append(Placed(order, number, stamp, order.created.size))
                return order

            return place

        def cancelling(order: Any, *args: Any, **kwargs: Any) -> Any:
            self.cancels += 1
            return cancel(order, *args, **kwargs)

        broker.buy, broker.sell, broker.cancel = placing("buy"), placing("sell"), cancelling

    def stop(self) -> None:
        for name in ("buy", "sell", "cancel"):
            vars(self.strategy.broker).pop(name, None)

    def _watch(self, watch: Watch) -> None:
        for number, data in enumerate(self.strategy.datas):
            for name, line in zip(data.getlinealiases(), data.lines.itersize(), strict=False):
                watch.over(line, f"data{number}.{name}" if number else name, data.lines.datetime)
        for name, line in _named_lines(self.strategy, deep=True):
            watch.over(line, name, self.strategy.data.lines.datetime)


def observe(
    setup: Setup,
    candles: pd.DataFrame,
    strategy: type[bt.Strategy],
    params: Mapping[str, object],
    *,
    watch: Watch | None = None,
    **mode: Any,
) -> Testimony:
    """Run `strategy` on what `setup` makes of the candles, in a mode of Cerebro, and say what it did."""
    cerebro = setup(candles)
    cerebro.addstrategy(strategy, **params)
    cerebro.addanalyzer(Witness, watch=watch, _name="witness")
    with errors_alone(), nothing_printed():  # disturbed candles have orders refused and forecasts missing
        ran = cerebro.run(**mode)[0]
    testimony: Testimony = ran.analyzers.witness.testimony()
    return testimony


def _named_lines(owner: Any, deep: bool = False) -> Iterator[tuple[str, Any]]:
    """Name and line of the indicators of `owner`, named by attribute where it has one; `deep`: of theirs too."""
    attributes = {id(value): name for name, value in vars(owner).items() if isinstance(value, bt.LineRoot)}
    counts: dict[str, int] = {}
    for indicator in owner.getindicators():
        name = attributes.get(id(indicator), type(indicator).__name__.strip("_"))
        counts[name] = counts.get(name, 0) + 1
        name += "" if counts[name] == 1 else f"#{counts[name]}"
        if isinstance(indicator, bt.linebuffer.LineBuffer):  # an operation on lines
            yield name, indicator
        else:
            for alias, line in zip(indicator.getlinealiases(), indicator.lines.itersize(), strict=False):
                yield f"{name}.{alias}", line
        if deep:
            yield from _named_lines(indicator, deep)


def _newest(line: Any) -> float:
    return float(line[0]) if len(line) else float("nan")


def _price(placed: Placed) -> float:
    created = placed.order.created
    limit = created.pricelimit if created.pricelimit != created.price else None  # Backtrader's default
    return float(sum(value for value in (created.price, limit, created.trailamount) if value))
