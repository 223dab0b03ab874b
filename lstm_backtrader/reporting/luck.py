"""The part of a report that asks whether its result is luck: intervals, and what the number of tries does to it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from html import escape
from importlib.util import find_spec

import pandas as pd

from lstm_backtrader.forecast.trials import Tries
from lstm_backtrader.reporting.bootstrap import (
    Interval,
    Intervals,
    block_length,
    bootstrap_intervals,
    ruin_probabilities,
)
from lstm_backtrader.reporting.metrics import DAYS_PER_YEAR
from lstm_backtrader.reporting.page import with_code
from lstm_backtrader.reporting.significance import (
    Track,
    deflated_sharpe,
    luckiest_sharpe,
    minimum_track_record,
    overfitting_probability,
    probabilistic_sharpe,
    superior_ability,
    track_of,
    variance_of_tries,
)

FEWEST_DAYS = 20  # below, an interval would say more than the data
FEWEST_TRIES = 10  # for what compares the tries with each other
CONFIDENCE = 0.95
LOSSES = (0.25, 0.5, 0.75, 0.9)  # of the money, whose probability within a year is told
DAYS_A_BLOCK = 5  # of cross-validation, at least

_YEAR = math.sqrt(DAYS_PER_YEAR)


@dataclass(frozen=True)
class Ruin:
    """How likely a year like the days of the record is to lose such a part of the money on its way."""

    loss: float
    probability: float


@dataclass(frozen=True)
class Luck:
    """Of daily returns. Sharpe ratios are annualised by 365 days; None is what cannot be said."""

    days: int
    sharpe: float | None = None
    intervals: Intervals | None = None
    ruin: tuple[Ruin, ...] = ()
    psr: float | None = None
    min_track_days: float | None = None
    tries: int | None = None  # None: not counted
    market: str = ""
    luckiest_sharpe: float | None = None
    dsr: float | None = None
    compared: int = 0  # tries whose returns were compared, this one included
    pbo: float | None = None
    spa: float | None = None

    def document(self) -> dict[str, object]:
        """As `metrics.json` holds it."""
        return {**asdict(self), "sentences": self.sentences()}

    def headline(self) -> str:
        """One sentence beside the result; empty where there are too few days."""
        if self.intervals is None or self.sharpe is None:
            return ""
        low, high = self.intervals.sharpe
        text = f"Sharpe ratio {self.sharpe:.2f}, {self.intervals.level:.0%} interval {low:.2f} to {high:.2f}"
        if self.dsr is not None and self.tries is not None:
            text += f"; confidence that it is more than luck, after {_counted(self.tries)}: {self.dsr:.0%} (DSR)"
        return text + "."

    def answer(self) -> str:
        """Whether it could be luck, in a few words."""
        if self.psr is None:
            return "Too few days to tell it from luck."
        if self.sharpe is not None and self.sharpe <= 0:
            return "There is no sign of skill in that."
        if self.dsr is not None and self.tries is not None:
            if self.dsr > CONFIDENCE:
                return f"More than luck explains, after {_counted(self.tries)}."
            return f"It could be luck, after {_counted(self.tries)}."
        if self.psr > CONFIDENCE:
            return "More than luck explains, if it was the only try."
        return "It could be luck, even as the only try."

    def sentences(self) -> list[str]:
        """What the figures say, for a trader."""
        if self.intervals is None or self.sharpe is None or self.psr is None:
            return [
                f"{self.days} daily returns are too few or too flat for intervals: at least {FEWEST_DAYS} that "
                "vary are needed."
            ]
        return [
            _intervals_in_words(self.days, self.intervals),
            f"Were this the only try, the true Sharpe ratio would be above zero with a confidence of "
            f"{self.psr:.1%} (PSR).",
            self._tries_in_words(),
            self._record_in_words(),
            *self._comparison_in_words(),
            *self._ruin_in_words(),
        ]

    def _ruin_in_words(self) -> list[str]:
        if not self.ruin:
            return []
        each = ", ".join(f"{ruin.loss:.0%} of the money in {ruin.probability:.0%}" for ruin in self.ruin)
        return [f"Of years drawn from these days, so many lose on their way: {each}."]

    def _tries_in_words(self) -> str:
        if self.tries is None or self.dsr is None or self.luckiest_sharpe is None:
            return (
                "How many configurations were tried before this one is not known here, so the best of luck cannot "
                "be told; `lbt backtest` counts them, and `lbt.count_trial` those of a script."
            )
        if self.tries == 1:
            return (
                f"It is the only try on {self.market} in the ledger, so that, deflated for the number of tries, "
                f"the confidence is {self.dsr:.1%} too (DSR)."
            )
        judged = (
            "more than luck explains"
            if self.dsr > CONFIDENCE
            else f"luck cannot be ruled out, which takes {CONFIDENCE:.0%}"
        )
        return (
            f"With {self.tries:,} tries on {self.market} the best of luck would show a Sharpe ratio of "
            f"{self.luckiest_sharpe:.2f}; this one shows {self.sharpe:.2f}, above that with a confidence of "
            f"{self.dsr:.1%} (DSR): {judged}."
        )

    def _record_in_words(self) -> str:
        if self.min_track_days is None:
            return "A Sharpe ratio that is not above zero is no sign of skill, however long the record."
        needed, there = self.min_track_days / DAYS_PER_YEAR, self.days / DAYS_PER_YEAR
        return (
            f"Even a single try with this ratio must last {needed:,.1f} years to be above zero with a confidence "
            f"of {CONFIDENCE:.0%}; this record has {there:.1f}."
        )

    def _comparison_in_words(self) -> list[str]:
        if self.pbo is None:
            return []
        found = [
            f"Of the {self.compared} tries with returns on these days, the best on one half of the days was no "
            f"better than the middle on the other half in {self.pbo:.0%} of all ways to halve them (PBO; choosing "
            "blindly gives 50%)."
        ]
        if self.spa is not None:
            found.append(
                f"That none of them earns more than holding has a p-value of {self.spa:.2f} (SPA): "
                + ("one does." if self.spa < 1 - CONFIDENCE else "it cannot be ruled out.")
            )
        return found


def luck_of(
    returns: pd.Series,
    tries: Tries | None = None,
    *,
    holding_days: float = 1.0,
    benchmark: pd.Series | None = None,
) -> Luck:
    """Judge simple returns of consecutive UTC days (T,).

    `tries`: all on the same market, this one among them; None where they were not counted. `holding_days`: how long
    a position lasts; a block of the bootstrap is at least as long. `benchmark`: daily returns of holding.
    """
    values = returns.to_numpy(dtype="float64")
    track = track_of(values)
    days = len(values)
    if track is None or days < FEWEST_DAYS:
        return Luck(
            days, tries=None if tries is None else tries.number, market="" if tries is None else tries.market
        )
    longest = min(3 * math.sqrt(days), days / 3)
    block = min(max(block_length(values), holding_days), longest)
    needed = minimum_track_record(track, confidence=CONFIDENCE)
    found = Luck(
        days=days,
        sharpe=track.sharpe * _YEAR,
        intervals=bootstrap_intervals(values, block=block),
        ruin=tuple(
            Ruin(loss, probability)
            for loss, probability in zip(
                LOSSES, ruin_probabilities(values, LOSSES, days=DAYS_PER_YEAR, block=block), strict=True
            )
        ),
        psr=probabilistic_sharpe(track),
        min_track_days=needed,
    )
    return found if tries is None else _among(found, track, tries, returns, benchmark, block)


def _among(
    found: Luck, track: Track, tries: Tries, returns: pd.Series, benchmark: pd.Series | None, block: float
) -> Luck:
    """What the other tries make of it."""
    variance = variance_of_tries(tries.sharpes, tries.days, found.days)
    found = replace(
        found,
        tries=tries.number,
        market=tries.market,
        luckiest_sharpe=luckiest_sharpe(tries.number, variance) * _YEAR,
        dsr=deflated_sharpe(track, tries.number, variance),
    )
    together = tries.together(pd.DatetimeIndex(returns.index))  # (T, N)
    blocks = next((each for each in (16, 8) if found.days >= each * DAYS_A_BLOCK), None)
    if together.shape[1] < FEWEST_TRIES or blocks is None:
        return found
    spa = None
    if benchmark is not None and find_spec("arch") is not None:
        spa = superior_ability(benchmark.reindex(returns.index, fill_value=0.0).to_numpy(), together, block=block)
    pbo = overfitting_probability(together, blocks)
    return replace(found, compared=together.shape[1], pbo=pbo, spa=spa)


def luck_section(luck: Luck) -> str:
    """Sentences and figures, HTML."""
    said = "".join(f"<li>{with_code(sentence)}</li>" for sentence in luck.sentences())
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(text)}</td></tr>' for name, text in _rows(luck)
    )
    table = f'<div class="wide luck" tabindex="0"><table><tbody>{rows}</tbody></table></div>' if rows else ""
    return f"<h2>Luck or skill</h2>\n<ul>{said}</ul>\n{table}"


def _rows(luck: Luck) -> list[tuple[str, str]]:
    rows = []
    if luck.intervals is not None:
        each = luck.intervals
        level = f"{each.level:.0%} interval"
        rows = [
            (f"Sharpe ratio, {level}", _span(each.sharpe, ".2f")),
            (f"Return a year, {level}", _span(each.cagr, "+.1%")),
            (f"Deepest drawdown by daily closes, {level}", _span(each.max_drawdown, ".1%")),
            (f"Mean block of the {each.draws:,} draws", f"{each.block:.1f} days"),
            *((f"Chance to lose {ruin.loss:.0%} within a year", f"{ruin.probability:.1%}") for ruin in luck.ruin),
        ]
    figures: list[tuple[str, float | None, str]] = [
        ("Confidence that the Sharpe ratio is above 0 (PSR)", luck.psr, ".1%"),
        ("Tries counted", luck.tries, ",d"),
        ("Sharpe ratio of the best of luck", luck.luckiest_sharpe, ".2f"),
        ("Confidence that it is above that (DSR)", luck.dsr, ".1%"),
        ("Days a single try would need", luck.min_track_days, ",.0f"),
        ("Tries with returns on these days", luck.compared or None, ",d"),
        ("Probability of backtest overfitting (PBO)", luck.pbo, ".1%"),
        ("p-value of no try being better than holding (SPA)", luck.spa, ".3f"),
    ]
    return rows + [(name, _text(value, form)) for name, value, form in figures if value is not None]


def _intervals_in_words(days: int, intervals: Intervals) -> str:
    return (
        f"The same {days:,} days drawn again in blocks of {intervals.block:.1f} on average give, in "
        f"{intervals.level:.0%} of {intervals.draws:,} draws, a Sharpe ratio of {_span(intervals.sharpe, '.2f')}, "
        f"a return a year of {_span(intervals.cagr, '+.0%')} and a deepest drawdown by daily closes of "
        f"{_span(intervals.max_drawdown, '.0%')}."
    )


def _span(interval: Interval, form: str) -> str:
    low, high = interval
    return f"{_text(low, form)} to {_text(high, form)}"


def _text(value: float, form: str) -> str:
    if not math.isfinite(value):
        return "beyond all bounds"
    text = format(value, form)
    return text if any(digit in text for digit in "123456789") else text.lstrip("+-")  # no minus before zero


def _counted(tries: int) -> str:
    return "1 try" if tries == 1 else f"{tries:,} tries"
