"""When a strategy is filled, and which bars its positions know: fills after their signal, and the shift test."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd

from lstm_backtrader.auditing.witness import Testimony
from lstm_backtrader.forecast.findings import Check, Finding

_CATCH = 0.25  # of the next bar's movement; honest strategies catch a few hundredths of it
_SIGMAS = 5.0


def order_times(full: Testimony, name: str) -> Check:
    """Every fill lies on a later bar than its order, unless cheating on close or open is declared."""
    broker, cerebro = full.strategy.broker, full.strategy.cerebro
    cheats = bool(getattr(broker.p, "coc", False) or getattr(broker.p, "coo", False) or cerebro.p.cheat_on_open)
    fills, findings, same_bar = 0, [], 0
    for placed in full.placed:
        for bit in placed.order.executed.exbits:
            fills += 1
            same_bar += bit.dt == placed.stamp
            if bit.dt < placed.stamp or (bit.dt == placed.stamp and not cheats):
                findings.append(_early(placed.stamp, bit))
    note = f"{same_bar} on the signal's bar, declared by the broker" if same_bar and cheats else ""
    return Check("order times", name, fills, tuple(findings[:1]), note or f"{len(findings)} early" * bool(findings))


def _early(stamp: float, bit: Any) -> Finding:
    text = (
        f"of {bit.size:g} at {bit.price:g} is dated {bt.num2date(bit.dt):%Y-%m-%d %H:%M}, not later than the bar "
        f"whose close it was decided on. Fill at the next open, or declare it with `set_coc(True)`."
    )
    return Finding("order times", "a fill", _time(stamp), float(bit.size), text)


def shifted(full: Testimony, name: str) -> Check:
    """What the positions catch of the bar they are taken for, one bar earlier and one later.

    The catch is sum(a r) / sqrt(sum a^2 sum r^2) over the steps with a position a and the change r from open to
    open: 1 for who knows the next bar, some hundredths for who is good. Knowing bar t at its close, a strategy
    would gain most by trading a bar *earlier*, and hardly lose by trading later; one that catches more than a
    quarter of the next bar, significantly, and loses half of it when late, has looked.
    """
    opens, wanted = full.prices.to_numpy(), full.wanted.to_numpy()  # (T, D)
    moves = np.diff(opens, axis=0) / opens[:-1]  # (T - 1, D): from the open of t to that of t + 1
    early, now, late = (_catch(wanted[: len(moves) - 2], moves[by : len(moves) - 2 + by]) for by in (0, 1, 2))
    held = int((wanted[: len(moves) - 2] != 0).sum())
    note = f"catches {now:+.3f} of the bar it trades, {early:+.3f} a bar early, {late:+.3f} a bar late"
    findings: tuple[Finding, ...] = ()
    if now >= _CATCH and now * np.sqrt(held) >= _SIGMAS and late < now / 2 and early < now:
        text = (
            f"catch {now:.2f} of the next bar's movement, {late:.2f} a bar later: they know the bar they trade on."
        )
        first = full.wanted.index[int(np.argmax((wanted != 0).any(axis=1)))]
        findings = (Finding("shift", "positions", first, now, text),)
    return Check("shift", name, held, findings, note if held else "it held no position")


def _catch(held: np.ndarray[Any, np.dtype[np.float64]], moves: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    known = (held != 0) & np.isfinite(moves)
    size = np.sqrt((held[known] ** 2).sum() * (moves[known] ** 2).sum())
    return float((held[known] * moves[known]).sum() / size) if size > 0 else 0.0


def _time(stamp: float) -> pd.Timestamp:
    return pd.Timestamp(bt.num2date(stamp)).round("s").tz_localize("UTC")
