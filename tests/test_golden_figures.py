"""Every number of metrics.json against a formula of its own: numpy and loops over equity, trades and candles."""

import math
import re
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
from report_run import BARS, SLIP, candles, full_run, leaves, stopped_run, tries
from scipy import stats

from lstm_backtrader.reporting import report as report_module
from lstm_backtrader.reporting.recorder import run_record
from lstm_backtrader.reporting.report import report

PHI = NormalDist()
HORIZON = 6


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """metrics.json of the full run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report_module, "tearsheet_html", lambda *_, **__: "<body></body>")
        return report(full_run(), tmp_path_factory.mktemp("golden") / "out", tries=tries()).metrics


@pytest.fixture(scope="module")
def bars():
    return run_record(full_run()).equity


@pytest.fixture(scope="module")
def trades():
    return run_record(full_run()).trades


def days_of(equity, start):
    """Simple returns by UTC day, by a loop over bars."""
    last = {}
    for time, value in zip(equity.index, equity.to_numpy(), strict=True):
        last[time.date()] = value
    values = [start, *last.values()]
    return np.array([b / a - 1 for a, b in pairwise(values)])


def of_returns(equity, start):
    """The figures of returns alone, by the formulas of the page."""
    r, values = days_of(equity, start), equity.to_numpy()
    n, peak, deepest, longest, since = len(r), start, 0.0, 0.0, equity.index[0]
    for time, value in zip(equity.index, values, strict=True):
        if value >= peak:
            peak, since = value, time
        deepest = min(deepest, value / peak - 1)
        longest = max(longest, (time - since).total_seconds() / 86_400)
    total = values[-1] / start - 1
    cagr = (1 + total) ** (365 / n) - 1
    worst = sorted(r)[: math.ceil(0.05 * n)]
    return {
        "start_equity": start,
        "final_equity": values[-1],
        "total_return": total,
        "cagr": cagr,
        "sharpe": r.mean() / np.sqrt(((r - r.mean()) ** 2).sum() / (n - 1)) * math.sqrt(365),
        "sortino": r.mean() / np.sqrt((np.where(r < 0, r, 0) ** 2).sum() / n) * math.sqrt(365),
        "calmar": cagr / -deepest,
        "max_drawdown": deepest,
        "drawdown_days": longest,
        "volatility": np.sqrt(((r - r.mean()) ** 2).sum() / (n - 1) * 365),
        "best_day": max(r),
        "worst_day": min(r),
        "cvar": sum(worst) / len(worst),
        "skewness": stats.skew(r, bias=False),
        "kurtosis": stats.kurtosis(r, bias=False),
    }


def same(found, expected, where=""):
    """Equal to nine digits, key by key; and no key of the one is missing in the other."""
    assert found.keys() == expected.keys(), where
    for key, value in expected.items():
        is_number = not isinstance(value, str | None)
        assert found[key] == (value if not is_number else pytest.approx(value, rel=1e-9, abs=1e-9)), f"{where}{key}"


def test_the_account(told, bars, trades):
    closed = trades[~trades["is_open"]]
    net = closed["net_profit"].to_numpy()
    held = bars["notional"] > 0
    carried = bars["notional"] / bars["equity"]
    expected = of_returns(bars["equity"], 10_000.0) | {
        "gross_profit_closed": trades["gross_profit_closed"].sum(),
        "profit_open": trades["profit_open"].sum(),
        "fees": trades["fees"].sum(),
        "slippage": 0.0,
        "funding": trades["funding"].sum(),
        "liquidation_loss": closed.loc[closed["is_liquidation"], "gross_profit_closed"].sum(),
        "other_cash": 0.0,
        "exposure": held.sum() / len(bars),
        "trades": len(trades),
        "win_rate": sum(value > 0 for value in net) / len(net),
        "profit_factor": sum(v for v in net if v > 0) / -sum(v for v in net if v < 0),
        "liquidations": trades["is_liquidation"].sum(),
        "mean_leverage": carried[held].mean(),
        "max_leverage": carried.max(),
        "time_near_max_leverage": np.mean(carried[held] >= 0.9 * carried.max()),
        "min_liquidation_distance": bars["liquidation_distance"].min(),
        "max_margin_ratio": bars["margin_ratio"].max(),
        # all fills are whole positions, so their worth follows from the table of trades
        "turnover": ((trades["size"] * trades["entry_price"]).sum() + (closed["size"] * closed["exit_price"]).sum())
        / bars["equity"].mean(),
    }
    same(told["account"], expected)
    assert told["account"]["liquidations"] > 0


def test_distance_to_liquidation_and_margin_ratio_bar_by_bar(bars, trades):
    # given the trade that was liquidated first, at 20x isolated with 0.5 % maintenance and no other costs
    row = trades[trades["is_liquidation"]].iloc[0]
    inside = bars[(bars.index >= row["entry_time"]) & (bars.index < row["exit_time"])]
    close, entry, side = inside["close"], row["entry_price"], row["side"]

    # then margin is notional / 20, less what funding took; the level solves margin + profit = maintenance
    margin = inside["margin"]
    profit = row["size"] * side * (close - entry)
    maintenance = 0.005
    level = (row["size"] * entry - side * margin) / (row["size"] * (1 - side * maintenance))
    assert inside["margin_ratio"].to_numpy() == pytest.approx(
        (maintenance * row["size"] * close / (margin + profit)).to_numpy(), rel=1e-6
    )
    assert inside["liquidation_distance"].to_numpy() == pytest.approx(
        (side * (1 - level / close)).to_numpy(), abs=1e-5
    )
    assert row["exit_price"] == pytest.approx(level.iloc[-1], rel=1e-5)


def test_holding_at_1x_and_at_the_runs_leverage(told, bars):
    close, low = bars["close"].to_numpy(), bars["low"].to_numpy()
    for key, leverage in (("benchmark", 1.0), ("leveraged_benchmark", told["account"]["mean_leverage"])):
        money, path = 10_000.0, []
        for number in range(len(close)):
            worst = 10_000 * (1 + leverage * (low[number] / close[0] - 1)) if number else money
            money = 10_000 * (1 + leverage * (close[number] / close[0] - 1)) if money > 0 and worst > 0 else 0.0
            path.append(money)
        assert min(path) > 0
        same(told[key], of_returns(pd.Series(path, index=bars.index), 10_000.0), key)


@pytest.mark.parametrize("name", ["all", "long", "short"])
def test_trades_long_and_short(told, trades, name):
    rows = trades[{"all": trades["side"] != 0, "long": trades["side"] > 0, "short": trades["side"] < 0}[name]]
    closed = rows[~rows["is_open"]]
    net = closed["net_profit"].tolist()
    hours = [(b - a).total_seconds() / 3600 for a, b in zip(closed["entry_time"], closed["exit_time"], strict=True)]
    won, lost = [v for v in net if v > 0], [v for v in net if v < 0]
    expected = {
        "trades": len(rows),
        "closed": len(closed),
        "liquidations": sum(rows["is_liquidation"]),
        "win_rate": len(won) / len(net),
        "profit_factor": sum(won) / -sum(lost),
        "expectancy": sum(net) / len(net),
        "payoff": (sum(won) / len(won)) / (-sum(lost) / len(lost)),
        "best": max(net),
        "worst": min(net),
        "losses_in_a_row": max(len(run) for run in "".join("x" if v < 0 else " " for v in net).split()),
        "mean_hours": sum(hours) / len(hours),
        "median_hours": sorted(hours)[len(hours) // 2]
        if len(hours) % 2
        else sum(sorted(hours)[len(hours) // 2 - 1 : len(hours) // 2 + 1]) / 2,
        "mean_mae": closed["mae"].mean(),
        "mean_mfe": closed["mfe"].mean(),
        "net_profit": rows["net_profit"].sum(),
        "fees": rows["fees"].sum(),
        "slippage": 0.0,
        "funding": rows["funding"].sum(),
        "r": None,
    }
    same(told["trades"][name], expected)


def test_results_in_multiples_of_what_a_stop_at_two_percent_risked(tmp_path, monkeypatch):
    # given a run whose stops stand 2 % from the entry
    monkeypatch.setattr(report_module, "tearsheet_html", lambda *_, **__: "<body></body>")
    told = report(stopped_run(), tmp_path / "out").metrics["trades"]
    trades = run_record(stopped_run()).trades
    closed = trades[~trades["is_open"]]

    # then each trade's risk is 2 % of its worth at the entry
    multiples = {}
    for name, side in (("all", 0), ("long", 1), ("short", -1)):
        rows = closed[closed["side"] != -side] if side else closed
        multiples[name] = (rows["net_profit"] / (0.02 * rows["size"] * rows["entry_price"])).to_numpy()
        r = multiples[name]
        expected = {
            "trades": len(r),
            "mean": sum(r) / len(r),
            "median": sorted(r)[len(r) // 2] if len(r) % 2 else sum(sorted(r)[len(r) // 2 - 1 :][:2]) / 2,
            "deviation": math.sqrt(((r - r.mean()) ** 2).sum() / (len(r) - 1)),
            "best": max(r),
            "worst": min(r),
            "below_minus_one": sum(value < -1 for value in r) / len(r),
        }
        same(told[name]["r"], expected, name)
    assert min(multiples["all"]) < -1 < 1 < max(multiples["all"])
    for part in told["r_histogram"]:
        low = -math.inf if part["from"] is None else part["from"]
        high = math.inf if part["to"] is None else part["to"]
        assert part["trades"] == sum(low <= value < high for value in multiples["all"])


def test_slippage_is_what_every_fill_was_worse_by(tmp_path, monkeypatch):
    # given fills that slipped by 2 bp wherever the bar had room for it
    record = run_record(stopped_run())
    trades, bars = record.trades, record.equity
    slips = {1: SLIP / (1 + SLIP), -1: SLIP / (1 - SLIP)}  # of the fill, by whether it bought
    worth = 0.0
    for row in trades.to_dict("records"):
        worth += row["size"] * row["entry_price"] * slips[row["side"]]
        if not row["is_open"]:
            worth += row["size"] * row["exit_price"] * slips[-row["side"]]

    # then it is theirs, less what the bars had no room for, and the books add up with it
    assert 0.9 * worth < record.totals.slippage <= worth
    assert record.totals.slippage == pytest.approx(trades["slippage"].sum())
    totals, account = record.totals, record.metrics()
    gross = totals.gross_profit_closed + totals.profit_open
    made = gross - totals.fees - totals.slippage + totals.funding + totals.other_cash
    assert bars["equity"].iloc[-1] - totals.start_equity == pytest.approx(made, abs=1e-8)
    assert account["slippage"] == totals.slippage
    net = trades["gross_profit_closed"] + trades["profit_open"] - trades["fees"] - trades["slippage"]
    assert (net + trades["funding"]).tolist() == pytest.approx(trades["net_profit"].tolist(), abs=1e-8)


def test_mae_and_mfe_of_every_trade_from_the_candles(trades):
    table = candles()
    for row in trades.to_dict("records"):
        end = row["exit_time"] if not row["is_open"] else table.index[-1] + pd.Timedelta("1h")
        inside = table[(table.index >= row["entry_time"]) & (table.index < end)]
        prices = [row["entry_price"], *inside["high"], *inside["low"]]
        prices += [] if row["is_open"] else [row["exit_price"]]
        moves = [row["side"] * (price / row["entry_price"] - 1) for price in prices]
        assert (row["mae"], row["mfe"]) == pytest.approx((min(moves), max(moves)), abs=1e-12)


def test_what_closed_the_trades(told, trades):
    closed = trades[~trades["is_open"]]
    found = told["trades"]["exits"]
    assert set(found) == set(closed["exit_reason"]) == {"signal", "take_profit", "liquidation"}
    for reason, figures in found.items():
        rows = closed[closed["exit_reason"] == reason]
        hours = (rows["exit_time"] - rows["entry_time"]).dt.total_seconds() / 3600
        net = rows["net_profit"]
        expected = {"trades": len(rows), "win_rate": (net > 0).sum() / len(net), "net_profit": net.sum()}
        same(figures, expected | {"mean_profit": net.sum() / len(net), "mean_hours": hours.mean()}, reason)


def test_results_by_hour_and_weekday_of_entry(told, trades):
    closed = trades[~trades["is_open"]]
    assert len(told["trades"]["hours"]) > 5
    for key, unit, of in (("hours", "hour", lambda t: t.hour), ("weekdays", "weekday", lambda t: t.isoweekday())):
        found = told["trades"][key]
        nets = {}
        for _, row in closed.iterrows():
            nets.setdefault(of(row["entry_time"]), []).append(row["net_profit"])
        assert [each[unit] for each in found] == sorted(nets)
        for each in found:
            net = nets[each[unit]]
            won = sum(value > 0 for value in net)
            expected = {unit: each[unit], "trades": len(net), "win_rate": won / len(net), "net_profit": sum(net)}
            same(each, expected | {"mean_profit": sum(net) / len(net)}, key)


def psr(r, threshold=0.0):
    """Bailey & Lopez de Prado (2012), per period."""
    sharpe = r.mean() / r.std(ddof=1)
    spread = 1 - stats.skew(r) * sharpe + (stats.kurtosis(r, fisher=False) - 1) / 4 * sharpe**2
    return PHI.cdf((sharpe - threshold) * math.sqrt(len(r) - 1) / math.sqrt(spread)), sharpe, spread


def test_segments_of_what_the_model_knew(told, bars, trades):
    table = candles()
    spans = {
        "validation": (table.index[0], table.index[BARS // 4]),
        "out of sample": (table.index[BARS // 3], table.index[-1] + pd.Timedelta("1h")),
    }
    assert [each["name"] for each in told["segments"]] == list(spans)
    for each in told["segments"]:
        begin, end = spans[each["name"]]
        part = bars["equity"][(bars.index >= begin) & (bars.index < end)]
        earlier = bars["equity"][bars.index < part.index[0]]
        before = earlier.iloc[-1] if len(earlier) else 10_000.0
        figures = of_returns(part, before)
        expected = {key: figures[key] for key in ("total_return", "sharpe", "sortino", "max_drawdown")}
        expected["trades"] = sum(begin <= time < end for time in trades["entry_time"])
        expected["psr"] = psr(days_of(part, before))[0]
        kept = {key: each[key] for key in expected}
        same(kept, expected, each["name"])
        assert (each["begin"], each["last"]) == (part.index[0].isoformat(), part.index[-1].isoformat())
        assert each["bars"] == len(part)


def test_luck(told, bars):
    found, r, known = told["significance"], days_of(bars["equity"], 10_000.0), tries()
    confidence, sharpe, spread = psr(r)
    variance = np.var(known.sharpes, ddof=1)
    gamma, tried = 0.5772156649015329, known.number
    luckiest = math.sqrt(variance) * (
        (1 - gamma) * PHI.inv_cdf(1 - 1 / tried) + gamma * PHI.inv_cdf(1 - 1 / (tried * math.e))
    )
    expected = {
        "days": len(r),
        "sharpe": sharpe * math.sqrt(365),
        "psr": confidence,
        "min_track_days": 1 + spread * (PHI.inv_cdf(0.95) / sharpe) ** 2,
        "tries": tried,
        "luckiest_sharpe": luckiest * math.sqrt(365),
        "dsr": psr(r, luckiest)[0],
        "compared": len(known.returns),
    }
    same({key: found[key] for key in expected}, expected)


def test_intervals_and_ruin_of_the_stationary_bootstrap(told, bars):
    """Other random numbers and a loop over blocks: equal within what so many draws scatter."""
    found, r = told["significance"], days_of(bars["equity"], 10_000.0)
    rng, n, block = np.random.default_rng(99), len(r), told["significance"]["intervals"]["block"]

    def draw(length):
        rows = []
        while len(rows) < length:
            first = rng.integers(n)
            rows += [(first + step) % n for step in range(rng.geometric(1 / block))]
        return r[rows[:length]]

    drawn = [draw(n) for _ in range(1500)]
    sharpes = np.array([each.mean() / each.std(ddof=1) * math.sqrt(365) for each in drawn])
    falls = [
        (np.cumprod(1 + each) / np.maximum.accumulate([1, *np.cumprod(1 + each)])[1:]).min() - 1 for each in drawn
    ]
    growth = [math.log(np.prod(1 + each)) * 365 / n for each in drawn]
    for name, values, scale in (
        ("sharpe", sharpes, 1.0),
        ("max_drawdown", falls, 0.1),
        ("cagr", growth, 1.5),
    ):
        low, high = found["intervals"][name]
        ends = np.log1p([low, high]) if name == "cagr" else [low, high]
        assert np.quantile(values, [0.05, 0.95]) == pytest.approx(ends, abs=0.35 * scale), name
    years = [np.cumprod(1 + draw(365)).min() for _ in range(1500)]
    for each in found["ruin"]:
        assert each["probability"] == pytest.approx(np.mean(np.array(years) <= 1 - each["loss"]), abs=0.05)
    assert [each["loss"] for each in found["ruin"]] == [0.25, 0.5, 0.75, 0.9]


def test_other_costs_and_sizes(told, bars, trades):
    # given the worth of every fill, at the bar it was filled in
    traded = pd.Series(0.0, index=bars.index)
    for row in trades.to_dict("records"):
        traded[row["entry_time"]] += row["size"] * row["entry_price"]
        if not row["is_open"]:
            traded[row["exit_time"]] += row["size"] * row["exit_price"]
    found = told["sensitivity"]

    # then
    for bps, returns, falls in zip(found["extra_bps"], found["total_return"], found["max_drawdown"], strict=True):
        for size, total, deepest in zip(found["sizes"], returns, falls, strict=True):
            money, peak, fall, before, previous = 1.0, 1.0, 0.0, 10_000.0, None
            for bar, cost in zip(bars.itertuples(), traded * bps / 10_000, strict=True):
                worst = 0.0
                if previous is not None and previous.position:
                    met = bar.low if previous.position > 0 else bar.high
                    worst = min(0.0, previous.position * (met - previous.close) / before)
                if size * min(worst, bar.equity / before - 1) - size * cost / before <= -1:
                    money = 0.0
                money *= 1 + size * (bar.equity / before - 1 - cost / before)
                peak = max(peak, money)
                fall = min(fall, money / peak - 1)
                before, previous = bar.equity, bar
            assert (total, deepest) == pytest.approx((money - 1, fall), rel=1e-8, abs=1e-9), (bps, size)
    made = bars["equity"].iloc[-1] - 10_000
    assert found["break_even_bps"] == pytest.approx(made / traded.sum() * 10_000)
    assert found["total_return"][0][1] == pytest.approx(told["account"]["total_return"])


def test_what_the_forecasts_were_worth(told, bars):
    # given pairs of forecast and return over six bars, by a loop
    found = told["forecast_quality"]
    said, came, chance, months = [], [], [], []
    forecast, close, prob = (bars[name].to_numpy() for name in ("forecast", "close", "prob_up"))
    for row in range(len(close) - HORIZON):
        if not math.isnan(forecast[row]):
            said.append(forecast[row])
            came.append(close[row + HORIZON] / close[row] - 1)
            chance.append(prob[row])
            months.append(bars.index[row].strftime("%Y-%m"))
    said, came, chance = np.array(said), np.array(came), np.array(chance)
    n, ups = len(said), np.array(came) > 0
    independent = n / HORIZON

    def rank_ic(a, b, horizon=HORIZON):
        ic = stats.spearmanr(a, b).statistic
        return {"rank_ic": ic, "rank_ic_se": (1 - ic**2) / math.sqrt(len(a) / horizon - 1)}

    # then
    expected = {
        "horizon": HORIZON,
        "bars": n,
        "independent": independent,
        **rank_ic(said, came),
        "hit_rate": np.mean((said > 0) == ups),
        "hit_rate_se": 0.5 / math.sqrt(independent),
        "base_rate": max(ups.mean(), 1 - ups.mean()),
        "auc": stats.mannwhitneyu(said[ups], said[~ups]).statistic / (ups.sum() * (~ups).sum()),
    }
    same({key: found[key] for key in expected}, expected)
    shifted = [stats.spearmanr(np.roll(said, by), came).statistic for by in range(HORIZON, n - HORIZON + 1, 7)]
    assert found["shuffled_p"] == pytest.approx(np.mean(np.array(shifted) >= found["rank_ic"]), abs=0.02)
    for each, length in zip(found["beside"], (None, 1, HORIZON), strict=True):
        rows = [row for row in range(length or 0, len(close) - HORIZON) if not math.isnan(forecast[row])]
        been = np.array([1.0 if length is None else close[row] / close[row - length] - 1 for row in rows])
        later = np.array([close[row + HORIZON] / close[row] - 1 for row in rows])
        assert each["hit_rate"] == pytest.approx(np.mean((been > 0) == (later > 0)), abs=1e-3)  # no return is 0
        assert each["rank_ic"] == (length and pytest.approx(stats.spearmanr(been, later).statistic))
    signal = np.where(said >= 0.8, "long", np.where(said <= -0.8, "short", "none"))
    for name, counts in found["confusion"].items():
        assert counts == {"rise": sum(ups[signal == name]), "fall": sum(~ups[signal == name])}
    tenths = (stats.rankdata(said) - 1) * 10 // n
    for number, part in enumerate(found["parts"]):
        inside = came[tenths == number]
        error = inside.std() / math.sqrt(len(inside) / HORIZON)
        same(
            part,
            {
                "bars": len(inside),
                "forecast": said[tenths == number].mean(),
                "return": inside.mean(),
                "return_se": error,
            },
        )
    for each in found["months"]:
        inside = np.array(months) == each["month"]
        same(each, {"month": each["month"], "bars": inside.sum(), **rank_ic(said[inside], came[inside])})
    assert [each["horizon"] for each in found["horizons"]] == [2, 3, 6, 12, 24]
    for each in found["horizons"]:
        ahead = each["horizon"]
        rows = [row for row in range(len(close) - ahead) if not math.isnan(forecast[row])]
        pairs = forecast[rows], [close[row + ahead] / close[row] - 1 for row in rows]
        same(each, {"horizon": ahead, **rank_ic(*pairs, ahead)})
    order = np.array_split(np.argsort(chance, kind="stable"), 10)
    shares = [len(part) / n for part in order]
    distances = [abs(chance[part].mean() - ups[part].mean()) for part in order]
    luck = [math.sqrt(2 / math.pi * (p := chance[part].mean()) * (1 - p) * HORIZON / len(part)) for part in order]
    probability = found["probability"]
    expected = {
        "brier": np.mean((chance - ups) ** 2),
        "brier_of_base_rate": np.mean((ups.mean() - ups) ** 2),
        "ece": np.dot(shares, distances),
        "ece_by_chance": np.dot(shares, luck),
    }
    same({key: probability[key] for key in expected}, expected)
    for part, each in zip(order, probability["bins"], strict=True):
        same(each, {"bars": len(part), "said": chance[part].mean(), "came": ups[part].mean()})


def test_quantstats_says_the_same_of_returns(told, bars):
    from quantstats import stats as qs

    days = pd.Series(days_of(bars["equity"], 10_000.0), index=pd.date_range("2024-01-01", periods=120))
    account = told["account"]
    for name, value in {
        "sharpe": qs.sharpe(days, periods=365),
        "sortino": qs.sortino(days, periods=365),
        "cagr": qs.cagr(days, periods=365),
        "volatility": qs.volatility(days, periods=365),
        "skewness": qs.skew(days),
        "kurtosis": qs.kurtosis(days),
        "best_day": qs.best(days),
        "worst_day": qs.worst(days),
    }.items():
        assert account[name] == pytest.approx(value, abs=1e-9), name


COVERED = {  # key, as the tests above name it
    r"(account|benchmark|leveraged_benchmark)\.\w+",
    r"trades\.(all|long|short|exits)\..+",
    r"trades\.(hours|weekdays)\[\]\.\w+",
    r"segments\[\]\.\w+",
    r"significance\.(days|sharpe|psr|min_track_days|tries|luckiest_sharpe|dsr|compared)",
    r"significance\.(intervals|ruin\[\])\..+",
    r"sensitivity\..+",
    r"forecast_quality\..+",
}
ELSEWHERE = {  # key -> the test that has an independent value for it
    r"significance\.(pbo|spa)": "test_significance",
    r"forecast\.\w+": "test_lstm_signal",
    r"forecast\.spans\[\]\[\]": "test_segments_of_what_the_model_knew",
    r"simulation\.\w+": "test_account_laws and test_finer",
    r"span\.\w+": "test_report",
    r"schema|inputs\.futures": "test_report",
}


def test_every_number_of_the_document_has_its_formula(told):
    numbers = {path for path, value in leaves(told) if isinstance(value, int | float)}
    patterns = [re.compile(pattern) for pattern in (*COVERED, *ELSEWHERE)]
    assert sorted(path for path in numbers if not any(each.fullmatch(path) for each in patterns)) == []
