"""Training by crops against the tutorial's Dataset of windows, and how soon it has learned what there is."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import islice

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from benchmarks.measure import Outcome, Plan, check, cpu_seconds
from lstm_backtrader.candles import Bars
from lstm_backtrader.datafeeds.synthetic import SyntheticMarket, synthetic_market
from lstm_backtrader.forecast.context import StridedContext
from lstm_backtrader.forecast.dataset import Crops, Scaler
from lstm_backtrader.forecast.features import default_features, make_features, volume_spikes
from lstm_backtrader.forecast.inference import LSTMForecaster
from lstm_backtrader.forecast.labels import scaled_return
from lstm_backtrader.forecast.network import one_thread
from lstm_backtrader.forecast.quality import correlation
from lstm_backtrader.forecast.train_config import EVALUATIONS, TrainConfig
from lstm_backtrader.forecast.training import train

Floats = NDArray[np.float32]

WINDOWS = 64  # a batch, as tutorials have it
CROPS = TrainConfig().batch  # a batch
HORIZON = 24
WANTED = 0.95  # of the oracle's correlation on event bars
STEPS = (150, 300, 600, 1200)  # tried in turn; the schedule of the learning rate knows the last step
LEARNER = TrainConfig(
    horizon=12,
    context=192,
    stride=192,
    seeds=1,
    batch=16,
    learning_rate=1e-2,
    patience=EVALUATIONS,
    event_weight=20.0,
    events=("news",),
)


class Windows(Dataset[tuple[Tensor, Tensor]]):
    """Item i: the L bars from row i on (L, F), and the label of the last of them; X (N, F), y (N,)."""

    def __init__(self, X: Floats, y: Floats, length: int) -> None:
        self.X, self.y, self.length = torch.from_numpy(X), torch.from_numpy(y), length

    def __len__(self) -> int:
        return len(self.X) - self.length + 1

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        return self.X[i : i + self.length], self.y[i + self.length - 1]


def against_windows(length: int, hidden: int, layers: int, plan: Plan) -> Outcome:
    """Labelled bars a second: `train` with crops of 2L - 1 bars, over a loop of Dataset, DataLoader and `nn.LSTM`.

    Only the steps count, on both sides; ours include twenty looks at the validation loss.
    """
    market = synthetic_market(plan.bars(20_000, 4_000), seed=0).candles
    X, y, slots = _material(market)
    checked = _check_same_windows(X, y, slots, length)
    config = TrainConfig(
        horizon=HORIZON,
        context=length,
        stride=length,
        hidden=hidden,
        layers=layers,
        seeds=1,
        steps=plan.bars(200, 40),
        batch=CROPS,
        dropout=0.0,  # the tutorial has none
        patience=EVALUATIONS,
        val_fraction=0.05,
    )
    ratios = []
    for _ in range(plan.repeats):
        ours = _train_rate(market, config)
        tutorial = _TutorialTraining(X, y, length, hidden, layers, batches=plan.bars(40, 4))
        ratios.append(ours / (tutorial.labels / cpu_seconds(tutorial.run)))
    return Outcome(tuple(ratios), checked)


def seconds_to_oracle(plan: Plan) -> Outcome:
    """CPU seconds of `train`, features included, to 0.95 of the oracle's correlation on unseen event bars.

    Each repeat is another market. The steps it takes are found by trying, and only the last try counts.
    """
    seconds = []
    for seed in range(plan.repeats):
        past = synthetic_market(plan.bars(300_000), seed=2 * seed).candles
        unseen = synthetic_market(plan.bars(100_000), seed=2 * seed + 1)
        for steps in STEPS:
            began = time.process_time()
            model = train(past, replace(LEARNER, steps=steps))
            spent = time.process_time() - began
            if _part_of_oracle(model, unseen) >= WANTED:
                break
        else:
            check(False, f"{STEPS[-1]} steps reach {WANTED} of the oracle")
        seconds.append(spent)
    return Outcome(tuple(seconds), f"the event IC is {WANTED} of the oracle's, or more, on a market not trained on")


def _part_of_oracle(model: LSTMForecaster, unseen: SyntheticMarket) -> float:
    """Correlation of the forecast with the label on event bars, over that of the best possible forecast."""
    bars = Bars.of(unseen.candles)
    event, label = volume_spikes(bars), scaled_return(bars, LEARNER.horizon)
    forecast = model.predict(unseen.candles)["forecast"].to_numpy(np.float64)
    learned = correlation(forecast[event], label[event])
    oracle = np.asarray(unseen.oracle, dtype=np.float64)
    best = correlation(oracle[event], label[event])
    return learned / best if learned and best else 0.0


def _material(market: pd.DataFrame) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Scaled features (N, F), labels (N,) and slots (N,) of the rows that have them."""
    bars = Bars.of(market)
    X, y = make_features(bars, default_features()), scaled_return(bars, HORIZON)
    rows = np.flatnonzero(np.isfinite(X).all(axis=1) & np.isfinite(y))
    scaled = Scaler.fit(X[rows]).transform(X[rows])
    return scaled, y[rows].astype(np.float32), bars.open_time[rows] // 3_600_000_000_000


def _check_same_windows(X: Floats, y: Floats, slots: NDArray[np.int64], length: int) -> str:
    """The first labelled bar of a crop has seen exactly L bars: the tutorial's item for it must be the same."""
    ones = np.ones(len(X))
    crops = Crops(StridedContext(length, length), X, y.astype(np.float64), ones, slots)
    items = Windows(X, y, length)
    cropped, labels, _ = crops.sample(np.random.default_rng(0), 8)
    starts = np.random.default_rng(0).integers(int(slots[0]), crops.last_start + 1, size=8) - int(slots[0])
    same = all(
        np.array_equal(crop[:length], window.numpy()) and np.isclose(crop_labels[length - 1], label)
        for crop, crop_labels, (window, label) in zip(
            cropped, labels, (items[int(start)] for start in starts), strict=True
        )
    )
    return check(same, "a crop's first labelled bar has the window and the label of the Dataset")


def _train_rate(market: pd.DataFrame, config: TrainConfig) -> float:
    """Labelled bars a CPU second between the first and the last look at the validation loss."""
    looks: list[tuple[int, float]] = []

    def look(_seed: int, step: int, _steps: int) -> None:
        looks.append((step, time.process_time()))

    train(market, config, look)
    (first, began), (last, ended) = looks[0], looks[-2]  # the very last is told after the loop
    return (last - first) * config.batch * config.strided_context().stride / (ended - began)


class _TutorialTraining:
    """The loop of the tutorials: one window an item, one label a window."""

    def __init__(self, X: Floats, y: Floats, length: int, hidden: int, layers: int, batches: int) -> None:
        self.loader = DataLoader(Windows(X, y, length), batch_size=WINDOWS, shuffle=True)
        self.lstm = nn.LSTM(X.shape[1], hidden, layers, batch_first=True)
        self.head = nn.Linear(hidden, 1)
        parameters = [*self.lstm.parameters(), *self.head.parameters()]
        self.optimiser = torch.optim.AdamW(parameters, lr=3e-3)
        self.batches = batches

    @property
    def labels(self) -> int:
        return self.batches * WINDOWS

    def run(self) -> None:
        with one_thread():
            for x, y in islice(self.loader, self.batches):
                hidden, _ = self.lstm(x)  # (B, L, F) -> (B, L, H)
                loss = functional.huber_loss(self.head(hidden[:, -1]).squeeze(-1), y)
                self.optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
                self.optimiser.step()
