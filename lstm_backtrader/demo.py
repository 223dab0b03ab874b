"""The demonstration: a market whose best forecast is known, an LSTM and an RNN that look for it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lstm_backtrader.backtesting import BacktestConfig, backtest
from lstm_backtrader.candles import Bars
from lstm_backtrader.datafeeds.synthetic import SyntheticMarket, synthetic_market
from lstm_backtrader.errors import DataError
from lstm_backtrader.forecast.features import volume_spikes
from lstm_backtrader.forecast.inference import LSTMForecaster
from lstm_backtrader.forecast.labels import scaled_return
from lstm_backtrader.forecast.net_threads import net_threads
from lstm_backtrader.forecast.quality import correlation, seam
from lstm_backtrader.forecast.train_config import TrainConfig
from lstm_backtrader.forecast.training import train
from lstm_backtrader.reporting.report import RunReport
from lstm_backtrader.trading import Tick

TRAIN_BARS = 600_000
TEST_BARS = 200_000
ACCOUNT_BARS = 8_760  # the last year of the test market is traded
CONFIG = TrainConfig(horizon=12, seeds=2, steps=900, learning_rate=1e-2, event_weight=20.0, events=("news",))
THRESHOLD = 0.5  # a forecast so large is a move of 1.1 %, ten times what entry and exit cost

TrainTick = Callable[[str, int, int], None]  # name of the net, steps done, steps in all


@dataclass(frozen=True)
class DemoResult:
    """What `demo.json` holds. An IC is a correlation of forecast and label; a ratio is over the oracle's.

    Event bars are those with a volume spike, where the drift that old news announced sets in.
    """

    lstm_ic_ratio: float
    rnn_ic_ratio: float
    oracle_ic: float
    seconds: float
    lstm_all_bar_ratio: float
    rnn_all_bar_ratio: float
    oracle_all_bar_ic: float
    seam: float
    event_bars: int
    seed: int


def demo(
    out: str | Path, *, seed: int = 0, train_tick: TrainTick | None = None, backtest_tick: Tick | None = None
) -> tuple[DemoResult, RunReport]:
    """Train on one synthetic market, judge on another, trade its last year; everything is written to `out`.

    `out` gets the report's files, `model/` (the artefact of the LSTM) and `demo.json`.
    """
    began = time.perf_counter()
    folder = Path(out)
    past = synthetic_market(n_bars=TRAIN_BARS, seed=2 * seed, start="1980-01-01")
    future = synthetic_market(n_bars=TEST_BARS, seed=2 * seed + 1, start="2060-01-01")

    def fit(name: str, config: TrainConfig) -> LSTMForecaster:
        done: dict[int, int] = {}

        def progress(seed: int, step: int, steps: int) -> None:
            done[seed] = step
            if train_tick:
                train_tick(name, sum(done.values()), steps * config.seeds)

        return train(past.candles, config, progress)

    with net_threads(2) as pool:
        lstm_job = pool.submit(fit, "LSTM", CONFIG)
        rnn_job = pool.submit(fit, "RNN", replace(CONFIG, cell="rnn", seeds=1))
        lstm, rnn = lstm_job.result(), rnn_job.result()
    lstm.save(folder / "model")

    result = _judge(lstm, rnn, future, seed)
    year = future.candles.iloc[-ACCOUNT_BARS - lstm.warmup :]
    written = backtest(
        year,
        lstm,
        folder,
        BacktestConfig(leverage=2.0, threshold=THRESHOLD),
        begin=year.index[lstm.warmup],
        symbol="SYNTHETIC",
        title="LSTM on a synthetic market",
        tick=backtest_tick,
    )
    result = replace(result, seconds=round(time.perf_counter() - began, 1))
    temporary = folder / ".demo.json.tmp"
    temporary.write_text(json.dumps(asdict(result), indent=2) + "\n", encoding="utf-8")
    temporary.replace(folder / "demo.json")
    return result, written


def _judge(lstm: LSTMForecaster, rnn: LSTMForecaster, market: SyntheticMarket, seed: int) -> DemoResult:
    """Correlations with the label on the bars where both nets have a forecast."""
    bars = Bars.of(market.candles)
    label = scaled_return(bars, market.horizon)
    forecasts = {
        "lstm": lstm.predict(market.candles)["forecast"].to_numpy(),
        "rnn": rnn.predict(market.candles)["forecast"].to_numpy(),
        "oracle": market.oracle.to_numpy(),
    }
    judged = np.isfinite(forecasts["lstm"]) & np.isfinite(forecasts["rnn"]) & np.isfinite(label)
    events = judged & volume_spikes(bars)

    def ic(name: str, where: NDArray[np.bool_]) -> float:
        value = correlation(forecasts[name][where], label[where])
        if value is None:
            raise DataError(f"the {name} forecast does not vary on {int(where.sum())} bars. Train it for longer.")
        return value

    step = seam(lstm.context, forecasts["lstm"], bars.open_time // lstm.step_ns)
    return DemoResult(
        lstm_ic_ratio=round(ic("lstm", events) / ic("oracle", events), 4),
        rnn_ic_ratio=round(ic("rnn", events) / ic("oracle", events), 4),
        oracle_ic=round(ic("oracle", events), 4),
        seconds=0.0,
        lstm_all_bar_ratio=round(ic("lstm", judged) / ic("oracle", judged), 4),
        rnn_all_bar_ratio=round(ic("rnn", judged) / ic("oracle", judged), 4),
        oracle_all_bar_ic=round(ic("oracle", judged), 4),
        seam=round(step if step is not None else float("nan"), 4),
        event_bars=int(events.sum()),
        seed=seed,
    )
