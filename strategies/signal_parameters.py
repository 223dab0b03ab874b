"""The parameters of `SignalFutures`, and of all strategies that are made of it."""

from __future__ import annotations

import math

from lstm_backtrader.strategies import parameters as p

PARAMETERS = (
    p.number(
        "leverage",
        None,
        1,
        math.inf,
        "notional over margin",
        "of positions; None takes the broker's, which it must equal",
    ),
    p.number(
        "fraction", 0.95, 0, 1, "the part of equity put to work", "notional is leverage * fraction * equity", "(]"
    ),
    p.number("stop_price_pct", 0.0, 0, 1, p.PRICE, "stop behind the fill; 0: none"),
    p.number("stop_margin_pct", 0.0, 0, 1, p.MARGIN, "the same in the other unit; give one of the two"),
    p.number("take_profit_price_pct", 0.0, 0, 1, p.PRICE, "limit beyond the fill; 0: none"),
    p.number(
        "take_profit_margin_pct", 0.0, 0, math.inf, p.MARGIN, "the same in the other unit; give one of the two"
    ),
    p.number("trailing_price_pct", 0.0, 0, 1, p.PRICE, "stop behind the best price so far; 0: none"),
    p.number(
        "trailing_activation_price_pct", 0.0, 0, 1, p.PRICE, "profit at which the trailing stop begins; 0: at once"
    ),
    p.number("break_even_price_pct", 0.0, 0, 1, p.PRICE, "profit at which a stop is set at the fill; 0: none"),
    p.number("atr_stop", 0.0, 0, math.inf, "average true ranges of 14 bars", "stop behind the fill; 0: none"),
    p.whole("time_limit_bars", 0, 0, "bars", "leave after so many; 0: no limit"),
    p.switch("before_funding", "leave before a funding stamp at which the position would pay"),
    p.choice(
        "leave_on",
        ("flat", "flip", "never"),
        "leave when the signal is no longer for the side, when it is against it, or by exits alone",
    ),
    p.switch("reenter", "enter again after an exit while the signal stays; False waits until it has changed"),
    p.switch("long_only", "take a signal of -1 as 0"),
    p.switch("short_only", "take a signal of +1 as 0"),
    p.whole("cooldown_bars", 0, 0, "bars", "from an exit to the next entry, at least"),
    p.numbers_from_zero("hours", 23, "hours of the day, UTC", "of opens to enter at; empty: all"),
    p.numbers_from_zero("weekdays", 6, "days, 0 is Monday, UTC", "of opens to enter at; empty: all"),
    p.number(
        "max_funding_rate",
        None,
        -1,
        1,
        "a fraction of the notional: 0.0001 is 1 bp",
        "that a new position may pay at a stamp; None: any",
        "()",
    ),
    p.number("risk_equity_pct", 0.0, 0, 1, p.EQUITY, "loss at the stop, to size by; 0: by `fraction`"),
    p.number(
        "volatility_target",
        0.0,
        0,
        10,
        "a standard deviation of equity in a year: 0.3 is 30 %",
        "to size by; 0: by `fraction`",
    ),
    p.number(
        "daily_loss_equity_pct",
        0.0,
        0,
        1,
        p.EQUITY,
        "loss after which trading stops for the UTC day; 0: off",
    ),
    p.number("max_drawdown_equity_pct", 0.0, 0, 1, p.EQUITY, "drawdown after which trading stops for good; 0: off"),
    p.whole("consecutive_losses", 0, 0, "trades", "lost in a row, after which trading pauses; 0: off"),
    p.whole("pause_bars", 24, 1, "bars", "of that pause"),
    p.anything("trade_from", None, "a datetime or its text, UTC", "bars that open before it are only warm-up"),
    p.rules("entries", ("refusal",), "rules that a position has to get past, besides those above"),
    p.rules("exits", ("orders", "leaves"), "rules that end a position, besides those above"),
    p.rule("sizing", "size", "how large a position is; None: `fraction`"),
    p.rules("guards", ("halt",), "rules that stop trading"),
)
