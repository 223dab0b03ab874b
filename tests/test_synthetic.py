"""The synthetic market: its oracle against brute force, closed forms and Monte Carlo."""

import math

import numpy as np
import pandas as pd
import pytest

from lstm_backtrader.candle_check import check_candles
from lstm_backtrader.datafeeds.synthetic import (
    MarketShape,
    closed_form_ic,
    synthetic_market,
    trigger_accuracy,
)
from lstm_backtrader.errors import ConfigError

GAUSSIAN = MarketShape(tail_dof=1e9, garch_alpha=0.0, garch_beta=0.0)


@pytest.fixture(scope="module")
def market():
    return synthetic_market(n_bars=400_000, seed=0, kappa=0.3)


def realised(market):
    """(T-k,) log return of the next k bars over sigma_t sqrt k, and the oracle of the same bars."""
    k, close = market.horizon, np.log(market.candles["close"].to_numpy())
    label = (close[k:] - close[:-k]) / (market.sigma.to_numpy()[:-k] * math.sqrt(k))
    return label, market.oracle.to_numpy()[:-k]


def accuracy_at_triggers(market):
    label, oracle = realised(market)
    at = market.trigger.to_numpy()[: len(label)]
    return float((np.sign(label[at]) == np.sign(oracle[at])).mean())


def test_oracle_explains_as_much_as_the_closed_form_says(market):
    label, oracle = realised(market)
    ic = np.corrcoef(label, oracle)[0, 1]
    assert ic == pytest.approx(closed_form_ic(kappa=0.3), rel=0.06)


def test_renewal_sum_is_the_mean_square_of_the_oracle(market):
    ic = closed_form_ic(kappa=0.3)
    assert (market.oracle**2).mean() == pytest.approx(ic**2 / (1 - ic**2), rel=0.02)


def test_news_is_right_after_a_trigger_as_often_as_phi_says():
    gaussian = synthetic_market(n_bars=400_000, seed=0, kappa=0.3, shape=GAUSSIAN)
    assert accuracy_at_triggers(gaussian) == pytest.approx(trigger_accuracy(0.3, 12), abs=0.02)


def test_fat_tails_make_the_news_a_little_more_often_right(market):
    assert 0 < accuracy_at_triggers(market) - trigger_accuracy(0.3, 12) < 0.03


def test_oracle_is_a_plain_count_over_the_past():
    """Recomputed bar by bar from what was seen up to that bar, with no formula of the generator."""
    shape = MarketShape(horizon=5, gap=(3, 17), rest=(1, 6))
    market = synthetic_market(n_bars=3_000, seed=3, kappa=-0.7, shape=shape)
    news, trigger = market.candles["news"].to_numpy(), market.trigger.to_numpy()
    sign, age, since, expected = 0.0, 0, None, []
    for t in range(len(news)):
        age += 1
        since = None if since is None else since + 1
        if news[t]:
            sign, age, since = news[t], 0, None
        if trigger[t]:
            since = 0
        if since is None:
            open_gaps = [gap for gap in range(3, 18) if gap > age]
            bars = sum(sum(gap < age + i <= gap + 5 for i in range(1, 6)) for gap in open_gaps) / len(open_gaps)
        else:
            bars = max(5 - since, 0)
        expected.append(-0.7 * sign * bars / math.sqrt(5))
    np.testing.assert_allclose(market.oracle, expected, atol=1e-12)


def test_oracle_is_the_mean_of_the_drift_that_follows(market):
    """Calibration without noise: regressed on the oracle, the planted drift has slope 1."""
    k, sign = market.horizon, market.candles["news"].replace(0.0, np.nan).ffill().fillna(0.0).to_numpy()
    after = market.trigger.astype(float).rolling(k, min_periods=1).sum().shift(1, fill_value=0.0).to_numpy()
    drift = np.cumsum(0.3 * sign * after)
    coming, oracle = (drift[k:] - drift[:-k]) / math.sqrt(k), market.oracle.to_numpy()[:-k]
    assert coming @ oracle / (oracle @ oracle) == pytest.approx(1.0, rel=0.01)


def test_cycles_keep_to_their_declared_lengths(market):
    news = np.flatnonzero(market.candles["news"])
    trigger = np.flatnonzero(market.trigger)
    gap = trigger - news[: len(trigger)]
    rest = news[1:] - trigger[: len(news) - 1] - market.horizon - 1
    assert (gap.min(), gap.max()) == (100, 168)
    assert (rest.min(), rest.max()) == (4, 40)


def test_candles_keep_the_contract_without_repairs():
    candles = synthetic_market(n_bars=5_000, seed=1).candles
    checked, notes = check_candles(candles)
    pd.testing.assert_frame_equal(checked, candles, check_freq=False)
    assert notes.lines() == []
    assert (candles["high"] >= candles[["open", "close"]].max(axis=1)).all()
    assert (candles["low"] <= candles[["open", "close"]].min(axis=1)).all()
    assert (candles["open"].to_numpy()[1:] == candles["close"].to_numpy()[:-1]).all()


def test_volume_tells_the_trigger_and_nothing_else(market):
    volume = np.log(market.candles["volume"])
    excess = volume[market.trigger].mean() - volume[~market.trigger].mean()
    assert excess == pytest.approx(math.log(12), abs=0.05)
    at_trigger = market.candles["news"].replace(0.0, np.nan).ffill()[market.trigger]
    assert abs(np.corrcoef(volume[market.trigger], at_trigger)[0, 1]) < 4 / math.sqrt(len(at_trigger))


def test_last_bar_alone_says_nothing(market):
    """Return and volume of one bar, at all bars and at the triggers, against what follows."""
    label, _ = realised(market)
    candles = market.candles.iloc[: len(label)].reset_index()
    bars = pd.DataFrame({"label": label, "volume": candles["volume"], "news": candles["news"]})
    bars["last_return"] = np.log(candles["close"] / candles["open"])
    triggers = bars[market.trigger.to_numpy()[: len(label)]]
    at_all_bars = bars.rank().corr()["label"]  # ranks: fat tails would make single bars decide
    at_triggers = triggers.rank().corr()["label"]
    assert at_all_bars[["volume", "news", "last_return"]].abs().max() < 0.02
    assert at_triggers[["volume", "last_return"]].abs().max() < 4 / math.sqrt(len(triggers))


def test_volatility_is_the_one_asked_for_and_clusters(market):
    log_return = np.log(market.candles["close"] / market.candles["open"])
    assert log_return.std() * math.sqrt(24 * 365) == pytest.approx(0.60, rel=0.05)
    assert log_return.abs().autocorr(1) > 0.05


def test_without_kappa_there_is_nothing_to_know():
    assert not synthetic_market(n_bars=1_000, kappa=0.0).oracle.any()


def test_same_arguments_same_market():
    one, other = (synthetic_market(n_bars=1_000, seed=5) for _ in range(2))
    pd.testing.assert_frame_equal(one.candles, other.candles)
    pd.testing.assert_series_equal(one.oracle, other.oracle)
    assert not synthetic_market(n_bars=1_000, seed=6).candles["close"].equals(one.candles["close"])


def test_shortest_markets_are_whole():
    """Shorter than the first rest: no news, no trigger, and still candles."""
    market = synthetic_market(n_bars=2)
    assert len(market.candles) == 2
    assert not market.candles["news"].any()
    assert not market.trigger.any()


def test_bars_stand_where_they_were_asked_to():
    index = synthetic_market(n_bars=3, timeframe="15min", start="2021-05-01 06:00").candles.index
    assert index.equals(pd.DatetimeIndex(["2021-05-01 06:00", "2021-05-01 06:15", "2021-05-01 06:30"], tz="UTC"))
    assert index.name == "open_time"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_bars": 1}, "n_bars 1: a market has at least 2 bars"),
        ({"kappa": math.nan}, "kappa nan is not finite"),
        ({"timeframe": "soon"}, "Use a timeframe such as '1h'"),
        ({"timeframe": "1ms"}, "timeframe 1ms is shorter than a second"),
    ],
)
def test_impossible_markets_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        synthetic_market(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"horizon": 0}, "horizon 0: drift lasts at least one bar"),
        ({"gap": (9, 3)}, r"gap \(9, 3\) is no range of bars"),
        ({"rest": (0, 3)}, r"rest \(0, 3\) is no range of bars"),
        ({"garch_beta": 0.95}, r"garch_alpha \+ garch_beta = 1.03: the variance has no mean"),
        ({"tail_dof": 2.0}, "tail_dof 2: the shocks have no variance"),
        ({"volatility": 0.0}, "volatility 0.0 is not positive"),
        ({"volume_noise": -1.0}, "volume_noise -1 is negative"),
    ],
)
def test_impossible_shapes_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        MarketShape(**arguments)
