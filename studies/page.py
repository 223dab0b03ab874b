"""The study as a page of Markdown: what was done, the tables, and what they say, counted and not argued."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lstm_backtrader.reporting.significance import deflated_sharpe, track_of

Result = dict[str, Any]  # of `result_of`; Any as JSON is

_METHOD = """
Made by `python -m studies`, which does the same on candles of your own. Every figure is of bars that the model in
charge had not seen: it learned from all candles before, with a week and the horizon left out, and was retrained
every 182 days. The forecast is of the next day at each length of bar. All forecasts are traded by one rule, none of
it fitted: long or short at the next open while the forecast is larger than its own usual size so far, else flat, at
1x. Fees are 5 bp a fill, funding is what the venue settled, slippage is not in it.

* *IC*: mean correlation of forecast and label over the folds, ± its standard error; *call*: of `lbt evaluate`,
  against zero and against nets trained on shuffled labels.
* *net*: return of the whole span after fees and funding. *Sharpe*: a year, from daily returns; in brackets the
  middle 90 % of the stationary bootstrap.
* *DSR*: confidence that the true Sharpe ratio is above what the best of all {trials} accounts on this page shows by
  luck, from the scatter of their ratios. Those that pay costs every day scatter widely, which makes it strict.
* *random entries*: as many positions as the LSTM's, as long, at times drawn by chance; the middle one of 20.
* *shuffled labels*: the first of three nets trained the same way on labels without meaning; its IC is the mean of
  three.
"""


def study_page(results: Sequence[Result]) -> str:
    """Markdown of all cells."""
    tracks = [track for result in results for each in result["accounts"] if (track := _track(each)) is not None]
    variance = float(np.var([track.sharpe for track in tracks], ddof=1)) if len(tracks) > 1 else 0.0
    trials = sum(len(result["accounts"]) for result in results)
    body = [section for result in results for section in _cell(result, trials, variance)]
    spans = sorted({f"{result['span']['begin'][:10]} to {result['span']['last'][:10]}" for result in results})
    return "\n".join(
        [
            "# A study on real candles",
            "",
            *_summary(results, trials, variance),
            _METHOD.format(trials=trials),
            f"Bars judged and traded: {'; '.join(spans)}.",
            "",
            *body,
        ]
    )


def _summary(results: Sequence[Result], trials: int, variance: float) -> list[str]:
    cells = len(results)
    own = [_account(result, "LSTM") for result in results]
    called = sum(result["verdict"]["is_significant"] for result in results)
    earned = sum(each["net_return"] > 0 for each in own)
    above = {
        name: sum(
            each["net_return"] > other["net_return"]
            for each, result in zip(own, results, strict=True)
            if (other := _account(result, name)) is not None
        )
        for name in ("buy and hold", "random entries", "shuffled labels", "ridge")
    }
    believed = sum((_deflated(each, trials, variance) or 0.0) > 0.95 for each in own)
    return [
        f"Of {cells} markets and lengths of bars the LSTM's forecast is significant in {called}. Traded, it ends "
        f"above its start in {earned}; above buy and hold in {above['buy and hold']}, above random entries of the "
        f"same turnover in {above['random entries']}, above a net of shuffled labels in "
        f"{above['shuffled labels']}, above ridge in {above['ridge']}. Its Sharpe ratio is above what luck "
        f"explains (DSR over 0.95) in {believed}.",
        "",
        "| market | IC of the LSTM | call | LSTM net | DSR | random entries net | buy and hold net |",
        "|---|---|---|---|---|---|---|",
        *(_summary_row(result, trials, variance) for result in results),
    ]


def _summary_row(result: Result, trials: int, variance: float) -> str:
    own, drawn, held = (_account(result, name) for name in ("LSTM", "random entries", "buy and hold"))
    call = "significant" if result["verdict"]["is_significant"] else "not"
    cells = (
        f"{result['market']} {result['timeframe']}",
        _ic(result["forecasters"]["LSTM"]),
        call,
        _percent(own["net_return"]),
        _number(_deflated(own, trials, variance), ".2f"),
        "-" if drawn is None else _percent(drawn["net_return"]),
        _percent(held["net_return"]),
    )
    return f"| {' | '.join(cells)} |"


def _cell(result: Result, trials: int, variance: float) -> list[str]:
    rows = []
    for each in result["accounts"]:
        judged = result["forecasters"].get(each["name"])
        low, high = each["sharpe_low"], each["sharpe_high"]
        sharpe = "-" if low is None else f"{each['sharpe']:.2f} ({low:.2f} to {high:.2f})"
        cells = (
            each["name"],
            "" if judged is None or judged["mean_ic"] is None else _ic(judged),
            _percent(each["net_return"]),
            sharpe,
            _percent(each["max_drawdown"]),
            f"{each['trades']:,}",
            f"{each['fees']:.1%}",
            _percent(each["funding"]),
            _number(_deflated(each, trials, variance), ".2f"),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return [
        f"## {result['market']}, bars of {result['timeframe']}",
        "",
        f"{result['model']['models']} models. {result['verdict']['words']}",
        "",
        "| forecast | IC | net | Sharpe | drawdown | trades | fees paid | funding received | DSR |",
        "|---|---|---|---|---|---|---|---|---|",
        *rows,
        "",
    ]


def _account(result: Result, name: str) -> Any:
    return next((each for each in result["accounts"] if each["name"] == name), None)


def _track(account: Result) -> Any:
    return track_of(np.array(account["daily"], dtype=np.float64))


def _deflated(account: Result, trials: int, variance: float) -> float | None:
    track = _track(account)
    return None if track is None else deflated_sharpe(track, trials, variance)


def _ic(judged: Result) -> str:
    return f"{judged['mean_ic']:+.3f} ± {judged['mean_ic_se']:.3f}"


def _percent(value: float) -> str:
    return f"{value:+.1%}"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
