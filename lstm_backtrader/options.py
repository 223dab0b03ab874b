"""The options that several commands of `lbt` share: name, type and one line of help each."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

from typer import Option

DAY = ["%Y-%m-%d"]

Data = Annotated[Path, Option(help="Candles: a file, or a series of the store.", show_default=False)]
Datas = Annotated[
    list[Path],
    Option(
        "--data",
        help="Candles: Parquet, CSV or feather; repeated, instruments learned from together.",
        show_default=False,
    ),
]
Fundings = Annotated[
    list[Path] | None,
    Option("--funding", help="Funding rates: a time column and funding_rate; one for each --data."),
]
Marks = Annotated[
    list[Path] | None, Option("--mark", help="Candles of the mark price, same bar length; one for each --data.")
]
Funding = Annotated[Path | None, Option(help="Funding rates: a time column and funding_rate.")]
Mark = Annotated[Path | None, Option(help="Candles of the mark price, same bar length.")]

StoreDir = Annotated[Path | None, Option("--store", help="Folder of market data; default $LBT_STORE or your own.")]

EventData = Annotated[Path | None, Option(help="Events: a column published and columns of numbers.")]
EventLatency = Annotated[str, Option(help="From publication until an event is known to you, say 5min.")]
FeatureModule = Annotated[Path | None, Option(help="Python file that registers features and labels of your own.")]

# training
Features = Annotated[
    list[str] | None,
    Option(help="What it sees, say default,rsi:span=14; repeatable. `lbt features` lists them."),
]
LabelName = Annotated[
    str, Option(help="What it forecasts: scaled_return, three_classes, triple_barrier, or your own.")
]
Horizon = Annotated[int, Option(help="Bars ahead to forecast.")]
Context = Annotated[int, Option(help="Bars every forecast has seen, at least.")]
Stride = Annotated[int | None, Option(help="Bars between two fresh starts; default context / 4.")]
Hidden = Annotated[int, Option(help="Size of the LSTM.")]
Layers = Annotated[int, Option(help="LSTM layers.")]
CellName = Annotated[str, Option(help="lstm, or rnn for comparison.")]
Seeds = Annotated[int, Option(help="Nets in the ensemble.")]
Seed = Annotated[int, Option(help="Seed of the first net.")]
Steps = Annotated[int, Option(help="Optimiser steps a net.")]
Batch = Annotated[int, Option(help="Crops a step.")]
LearningRate = Annotated[float, Option(help="Peak of the one-cycle schedule.")]
WeightDecay = Annotated[float, Option(help="Of AdamW.")]
Dropout = Annotated[float, Option(help="Before the head, below 1.")]
Patience = Annotated[int, Option(help="Evaluations, 20 in all, without a better validation loss before it stops.")]
Events = Annotated[
    list[str] | None, Option(help="Column of events to learn from; repeatable. Default all of --event-data.")
]
EventWeight = Annotated[float, Option(help="Extra weight of bars with a volume spike.")]
Uniqueness = Annotated[
    bool, Option("--uniqueness", help="Weigh bars by how much of the time of their label is its own.")
]
ValFraction = Annotated[float, Option(help="Last part of the data, for validation.")]
Embargo = Annotated[int, Option(help="Bars left out beside validation, besides the horizon.")]
Expires = Annotated[int | None, Option(help="Days after which the model gives no forecast.")]
DeviceName = Annotated[str, Option(help="auto, cpu or cuda; auto takes a GPU where there is one.")]

# walk-forward
TrainDays = Annotated[float, Option(help="Days each model learns from.", show_default=False)]
StepDays = Annotated[float, Option(help="Days from one retraining to the next.", show_default=False)]
Expanding = Annotated[bool, Option("--expanding", help="Learn from all data before, --train-days at least.")]
Jobs = Annotated[int | None, Option(min=1, help="Nets trained at a time; default one a core.")]

# evaluate
JudgeFrom = Annotated[
    datetime | None, Option("--from", formats=DAY, help="First day to judge, UTC; default the first unseen bar.")
]
JudgeUntil = Annotated[datetime | None, Option(formats=DAY, help="Last day to judge, UTC, whole.")]
Draws = Annotated[int, Option(help="Nets trained on shuffled labels, for each model; 0 for no control.")]
WithRnn = Annotated[bool, Option("--rnn", help="Train a vanilla RNN beside it, too.")]
Coverage = Annotated[float, Option(help="Of the interval lo to hi: 0.9 holds nine in ten.")]
Adaptive = Annotated[bool, Option("--adaptive", help="Adapt the interval to its own misses.")]

# tune
SpaceFile = Annotated[
    Path | None, Option("--space", help="TOML file of what may vary; default sizes, features, exits.")
]
Trials = Annotated[int, Option(help="Configurations to try, those of an earlier run among them.")]
ObjectiveName = Annotated[str, Option(help="sharpe, net, or ic; the mean over the inner folds.")]
InnerFolds = Annotated[int, Option("--folds", help="Inner folds that trials are judged by.")]
TestFrom = Annotated[datetime | None, Option(formats=DAY, help="First day kept for the winner, UTC.")]
TestFraction = Annotated[float, Option(help="Last part of the data kept for the winner, without --test-from.")]
Workers = Annotated[int, Option(help="Processes that run trials.")]
Prune = Annotated[
    bool, Option("--prune", help="Give trials up that are behind the others after half of the folds.")
]
SearchSeed = Annotated[int, Option(help="Seed of the search.")]

# account
From = Annotated[
    datetime | None, Option("--from", formats=DAY, help="First day to trade, UTC; default the first unseen bar.")
]
Until = Annotated[datetime | None, Option(formats=DAY, help="Last day to trade, UTC, whole.")]
ContractName = Annotated[
    str | None,
    Option(
        help="What is traded, say bybit:BTC/USD:BTC; `lbt venues` lists them. Default the market of a series of "
        "the store, else a large linear one."
    ),
]
Cash = Annotated[float | None, Option(help="Start equity in the settlement coin; default 10000 dollars or 1 coin.")]
Leverage = Annotated[float, Option(help="Exchange leverage.")]
MarginModeName = Annotated[str, Option(help="isolated, or cross.")]
IntrabarName = Annotated[str, Option(help="Extreme of a bar that comes first: pessimistic, or optimistic.")]
IntrabarData = Annotated[
    Path | None, Option(help="Candles of shorter bars that say what happened inside the bars.")
]
Ambiguity = Annotated[bool, Option("--ambiguity", help="Run pessimistic and optimistic, and report the interval.")]
Fraction = Annotated[float, Option(help="Notional is leverage x equity x this, in (0, 1], so that fees fit.")]
StopLoss = Annotated[float, Option(help="Fraction of price, in [0, 1): 0.02 is 2 %; 0: none.")]
TakeProfit = Annotated[float, Option(help="Fraction of price, in [0, 1); 0: none.")]
Trailing = Annotated[float, Option(help="Fraction of price, in [0, 1); 0: none.")]
TrailingActivation = Annotated[
    float, Option(help="Gain at which the trailing stop begins, a fraction of price in [0, 1); 0: at once.")
]
BreakEven = Annotated[
    float, Option(help="Gain at which a stop is set at the entry, a fraction of price in [0, 1); 0: none.")
]
AtrStop = Annotated[
    float, Option(help="Stop so many average true ranges of 14 bars from the entry, 0 or more; 0: none.")
]
TimeLimitBars = Annotated[int, Option(help="Bars after which a position is left, 0 or more; 0: no limit.")]
BeforeFunding = Annotated[
    bool, Option("--before-funding", help="Leave a bar before a stamp at which the position would pay.")
]
LeaveOn = Annotated[str, Option(help="What of the signal ends a position: flat, flip, or never.")]
Reenter = Annotated[
    bool, Option("--reenter", help="Enter again after an exit while the signal stays; else it has to change first.")
]
LongOnly = Annotated[bool, Option("--long-only", help="Take no shorts.")]
ShortOnly = Annotated[bool, Option("--short-only", help="Take no longs.")]
CooldownBars = Annotated[int, Option(help="Bars from an exit to the next entry, at least, 0 or more.")]
Hours = Annotated[
    str, Option(help="Hours of the day to enter at, UTC, 0 to 23: 8-19, 22-4, or 8,9,14; default all.")
]
Weekdays = Annotated[
    str, Option(help="Days to enter at, UTC, 0 to 6, where 0 is Monday: 0-4, or 5,6; default all.")
]
MaxFundingRate = Annotated[
    float | None,
    Option(help="Rate that a new position may pay at a stamp, in (-1, 1): 0.0001 is 1 bp; default any."),
]
CostMultiple = Annotated[
    float, Option(help="Enter only if the expected return is so many times its costs, 0 or more; 0: any.")
]
MinProbability = Annotated[
    float, Option(help="Enter only if the model gives the side so much, in [0, 1): 0.55 is 55 %; 0: any.")
]
SizingName = Annotated[
    str,
    Option(
        help="Size of a position: fraction, as --fraction says; notional:5000, settlement coin; risk:0.01, of "
        "equity lost at the stop, in (0, 1]; volatility:0.3, of equity a year, in (0, 10]; kelly:0.25, of Kelly's "
        "stake, in (0, 1]."
    ),
]
DailyLoss = Annotated[
    float, Option(help="Loss that ends trading for the UTC day, a fraction of equity in [0, 1); 0: off.")
]
MaxDrawdown = Annotated[
    float, Option(help="Drawdown that ends trading for good, a fraction of equity in [0, 1); 0: off.")
]
ConsecutiveLosses = Annotated[
    int, Option(help="Trades lost in a row, after which trading pauses, 0 or more; 0: off.")
]
PauseBars = Annotated[int, Option(help="Bars of that pause, 1 or more.")]
FeeBps = Annotated[
    float | None, Option(help="Fee a side in 0.01 %, 0 to below 1000; default 2 for makers, 5 for takers.")
]
SlippageBps = Annotated[float, Option(help="That market orders and stops fill worse, in 0.01 %, 0 to below 1000.")]
Threshold = Annotated[float | None, Option(help="|forecast| to act on, 0 or more; default the model's own.")]
