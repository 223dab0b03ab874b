"""Blocks of options that several commands of `lbt` take, each one argument of the function behind a command."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from typing import Any, get_type_hints

from lstm_backtrader import options as o


@dataclass(frozen=True)
class Joined:
    """What is joined to the candles."""

    funding: o.Funding = None
    mark: o.Mark = None
    event_data: o.EventData = None
    event_latency: o.EventLatency = "0s"


@dataclass(frozen=True)
class Training:
    """How a model is trained: `TrainConfig`, as it is typed."""

    features: o.Features = None
    feature_module: o.FeatureModule = None
    label: o.LabelName = "scaled_return"
    horizon: o.Horizon = 24
    context: o.Context = 384
    stride: o.Stride = None
    hidden: o.Hidden = 16
    layers: o.Layers = 1
    cell: o.CellName = "lstm"
    seeds: o.Seeds = 3
    seed: o.Seed = 0
    steps: o.Steps = 800
    batch: o.Batch = 32
    learning_rate: o.LearningRate = 3e-3
    weight_decay: o.WeightDecay = 1e-3
    dropout: o.Dropout = 0.1
    patience: o.Patience = 8
    event: o.Events = None
    event_weight: o.EventWeight = 0.0
    uniqueness: o.Uniqueness = False
    val_fraction: o.ValFraction = 0.15
    embargo: o.Embargo = 168
    expires: o.Expires = None
    device: o.DeviceName = "auto"


@dataclass(frozen=True)
class Trading:
    """The account and the rules a forecast is traded by: `BacktestConfig`, as it is typed."""

    contract: o.ContractName = None
    cash: o.Cash = None
    leverage: o.Leverage = 1.0
    margin_mode: o.MarginModeName = "isolated"
    intrabar: o.IntrabarName = "pessimistic"
    fraction: o.Fraction = 0.95
    stop_loss: o.StopLoss = 0.0
    take_profit: o.TakeProfit = 0.0
    trailing: o.Trailing = 0.0
    trailing_activation: o.TrailingActivation = 0.0
    break_even: o.BreakEven = 0.0
    atr_stop: o.AtrStop = 0.0
    time_limit_bars: o.TimeLimitBars = 0
    before_funding: o.BeforeFunding = False
    leave_on: o.LeaveOn = "flat"
    reenter: o.Reenter = False
    long_only: o.LongOnly = False
    short_only: o.ShortOnly = False
    cooldown_bars: o.CooldownBars = 0
    hours: o.Hours = ""
    weekdays: o.Weekdays = ""
    max_funding_rate: o.MaxFundingRate = None
    cost_multiple: o.CostMultiple = 0.0
    min_probability: o.MinProbability = 0.0
    sizing: o.SizingName = "fraction"
    daily_loss: o.DailyLoss = 0.0
    max_drawdown: o.MaxDrawdown = 0.0
    consecutive_losses: o.ConsecutiveLosses = 0
    pause_bars: o.PauseBars = 24
    fee_bps: o.FeeBps = None
    slippage_bps: o.SlippageBps = 0.0
    threshold: o.Threshold = None


@dataclass(frozen=True)
class InsideBars:
    """What is known of the order of prices inside a bar."""

    intrabar_data: o.IntrabarData = None
    ambiguity: o.Ambiguity = False


def flat(command: Callable[..., None]) -> Callable[..., None]:
    """The command as typer wants it: with a parameter for each option of its blocks, in the place of the block."""
    hints = get_type_hints(command, include_extras=True)
    blocks = {name: kind for name, kind in hints.items() if isinstance(kind, type) and is_dataclass(kind)}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        if name in blocks:
            parameters += inspect.signature(blocks[name], eval_str=True).parameters.values()
        else:
            parameters.append(parameter.replace(annotation=hints[name]))

    @wraps(command)
    def run(**given: Any) -> None:
        made = {
            name: block(**{each.name: given.pop(each.name) for each in fields(block)})
            for name, block in blocks.items()
        }
        command(**given, **made)

    by_name = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    run.__signature__ = inspect.Signature(by_name)  # type: ignore[attr-defined]  # what typer and config files read
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in by_name}
    return run
