"""The engine against what one writes without it: a call a bar, batches of windows, a recomputed context.

Shapes: N bars, L context, S stride, F features.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from benchmarks.measure import Outcome, Plan, check, in_turns, wall_seconds
from benchmarks.models import Shape, candles, plain_torch, random_model
from benchmarks.onnx_rival import OnnxWindows
from lstm_backtrader.candles import Bars
from lstm_backtrader.forecast.context import StridedContext
from lstm_backtrader.forecast.features import make_features
from lstm_backtrader.forecast.inference import LSTMForecaster
from lstm_backtrader.forecast.network import RecurrentNet
from lstm_backtrader.forecast.strided import strided_forecast

Floats = NDArray[np.float32]

N_FEATURES = 12  # F
WINDOW_BATCH = 256  # measured best for fixed windows of 64 bars
TOLERANCE = 1e-6


def against_a_call_a_bar(shape: Shape, plan: Plan) -> Outcome:
    """One pass of the engine against `nn.LSTM` called at every bar on the very bars the engine uses there."""
    context, net = StridedContext(shape.context, shape.stride), shape.net(N_FEATURES)
    X, slots = _inputs(plan.bars(1_000 * shape.context, 4 * shape.context), context)
    rows = np.arange(context.span, context.span + _whole_strides(plan.bars(512), context))
    lstm, head = plain_torch(net)

    def engine() -> Floats:
        forecast: Floats = strided_forecast([net], context, X, slots, threads=1)[0]
        return forecast

    def call_a_bar() -> Floats:
        out = np.empty(len(rows), np.float32)
        first = rows - (slots[rows] - context.start(slots[rows]))
        with torch.inference_mode():
            for place, (begin, row) in enumerate(zip(first.tolist(), rows.tolist(), strict=True)):
                hidden, _ = lstm(torch.from_numpy(X[begin : row + 1])[None])  # (1, L..L+S-1, H)
                out[place] = head(hidden[:, -1]).item()
        return out

    checked = _check_equal(engine()[rows], call_a_bar(), "the forecasts")
    figures = in_turns(call_a_bar, engine, plan.repeats, len(rows), len(X))
    return Outcome(figures, checked, _on_gpu(net, context, X, slots, plan))


def against_windows(shape: Shape, plan: Plan) -> Outcome:
    """One pass of the engine against a fixed window of L bars for every bar, in batches of the best size."""
    context, net = StridedContext(shape.context, shape.stride), shape.net(N_FEATURES)
    X, slots = _inputs(plan.bars(1_000 * shape.context, 4 * shape.context), context)
    lstm, head = plain_torch(net)

    def run(batch: Floats) -> Floats:
        hidden, _ = lstm(torch.from_numpy(batch))  # (B, L, H)
        return np.asarray(head(hidden[:, -1]).squeeze(-1).numpy())

    return _windows_outcome(net, context, X, slots, run, plan)


def against_onnxruntime(shape: Shape, plan: Plan) -> Outcome:
    """As `against_windows`, with onnxruntime in place of torch."""
    context, net = StridedContext(shape.context, shape.stride), shape.net(N_FEATURES)
    X, slots = _inputs(plan.bars(1_000 * shape.context, 4 * shape.context), context)
    return _windows_outcome(net, context, X, slots, OnnxWindows(net, shape.context).run, plan)


def _windows_outcome(
    net: RecurrentNet,
    context: StridedContext,
    X: Floats,
    slots: NDArray[np.int64],
    run: Callable[[Floats], Floats],
    plan: Plan,
) -> Outcome:
    part = X[: context.length + plan.bars(8 * WINDOW_BATCH, 40) - 1]
    windows = sliding_window_view(part, context.length, axis=0)  # (n, F, L) view

    def fixed_windows() -> Floats:
        with torch.inference_mode():
            return np.concatenate(
                [
                    run(windows[begin : begin + WINDOW_BATCH].transpose(0, 2, 1).copy())
                    for begin in range(0, len(windows), WINDOW_BATCH)
                ]
            )

    def engine() -> Floats:
        forecast: Floats = strided_forecast([net], context, X, slots, threads=1)[0]
        return forecast

    every_bar = StridedContext(context.length, 1)
    at_stride_1 = strided_forecast([net], every_bar, part, slots[: len(part)])[0, context.length - 1 :]
    checked = _check_equal(at_stride_1, fixed_windows(), "the windows and the engine at S=1")
    engine()
    figures = in_turns(fixed_windows, engine, plan.repeats, len(windows), len(X))
    return Outcome(figures, checked, _on_gpu(net, context, X, slots, plan))


def _on_gpu(
    net: RecurrentNet, context: StridedContext, X: Floats, slots: NDArray[np.int64], plan: Plan
) -> float | None:
    """How many times as fast the engine is on the GPU as on one core, wall time; None without a GPU."""
    if not torch.cuda.is_available():
        return None
    there = copy.deepcopy(net).to("cuda")

    def on_cpu() -> Floats:
        forecast: Floats = strided_forecast([net], context, X, slots, threads=1)[0]
        return forecast

    def on_gpu() -> Floats:
        forecast: Floats = strided_forecast([there], context, X, slots, device="cuda")[0]
        return forecast

    _check_equal(on_cpu(), on_gpu(), "the forecasts of CPU and GPU")
    return median(wall_seconds(on_cpu) / wall_seconds(on_gpu) for _ in range(plan.repeats))


def new_bar(shape: Shape, plan: Plan) -> Outcome:
    """A bar more in a stream against the same context computed anew, features included on both sides."""
    market = candles(plan.bars(4_000, 2_000))
    model = random_model(shape, market)
    everything = Bars.of(market)
    first = len(everything) - _whole_strides(plan.bars(16 * shape.stride), model.context)
    ends = range(first + 1, len(everything) + 1)  # bars so far, this one included
    tails = [_cut(everything, end).last for end in ends]
    stream = model.stream()
    recompute = _recomputed(model)

    def running() -> list[float]:
        return [stream.update(tail).forecast for tail in tails]

    def anew() -> list[float]:
        return [recompute(tail) for tail in tails]

    def start_again() -> None:
        stream.update(_cut(everything, first).last)

    start_again()
    checked = _check_equal(np.array(running()), np.array(anew()), "the forecasts")
    figures: list[float] = []
    for _ in range(plan.repeats):
        start_again()
        figures += in_turns(anew, running, 1)
    return Outcome(tuple(figures), checked)


def _recomputed(model: LSTMForecaster) -> Callable[[Callable[[int], Bars]], float]:
    """What one writes in `next()` without a stream: features of the bars needed, and the LSTM over them."""
    parts = [plain_torch(net) for net in model.nets]

    def forecast(tail: Callable[[int], Bars]) -> float:
        slot = int(tail(1).open_time[-1]) // model.step_ns
        length = slot - int(model.context.start(np.array([slot]))[0]) + 1
        X = make_features(tail(model.memory - 1 + length), model.specs)[-length:]
        x = torch.from_numpy(model.scaler.transform(X))[None]  # (1, length, F)
        with torch.inference_mode():
            members: list[float] = [head(lstm(x)[0][:, -1]).item() for lstm, head in parts]
        return sum(members) / len(members)

    return forecast


def _inputs(n: int, context: StridedContext) -> tuple[Floats, NDArray[np.int64]]:
    """Random features (N, F) of `n` bars or a few less, whole strides from a cut on, and their slots (N,)."""
    n = _whole_strides(n, context)
    X = np.random.default_rng(0).standard_normal((n, N_FEATURES)).astype(np.float32)
    return X, np.arange(n, dtype=np.int64)


def _whole_strides(n: int, context: StridedContext) -> int:
    """A multiple of S: at a cut the context is shortest, so every phase has to count alike."""
    return max(1, n // context.stride) * context.stride


def _cut(bars: Bars, end: int) -> Bars:
    return Bars(bars.open_time[:end], {name: column[:end] for name, column in bars.columns.items()})


def _check_equal(ours: NDArray[np.floating], theirs: NDArray[np.floating], what: str) -> str:
    return check(
        bool(np.allclose(ours, theirs, rtol=0, atol=TOLERANCE, equal_nan=True)),
        f"{what} are equal to {TOLERANCE:g}",
    )
