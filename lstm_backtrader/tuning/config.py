"""How to tune: every option of `lbt tune` but what is searched, with its default and its range."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

from lstm_backtrader.backtesting import BacktestConfig
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.forecast.train_config import TrainConfig

Objective = Literal["sharpe", "ic"]


@dataclass(frozen=True)
class TuneConfig:
    """Search on `folds` inner folds, and judge the winner once on the span from `test_from` on.

    `train` and `account` hold what the search leaves as it is.
    """

    trials: int = 50  # configurations, those of an earlier run of the same study among them
    folds: int = 4  # inner folds, over the second half of the data before the test span
    test_from: datetime | None = None  # first bar of the test span, UTC; None: by `test_fraction`
    test_fraction: float = 0.2  # last part of the data, kept for the winner
    objective: Objective = "sharpe"  # mean over the inner folds of the net Sharpe ratio, or of the IC
    prune: bool = False  # give a trial up that after half of the folds is below the median of the others
    workers: int = 1  # processes; 1: this one alone
    seed: int = 0  # of the search
    train: TrainConfig = field(default_factory=TrainConfig)
    account: BacktestConfig = field(default_factory=BacktestConfig)

    def __post_init__(self) -> None:
        if self.objective not in get_args(Objective):
            raise ConfigError(f"objective {self.objective!r} is unknown. Use {' or '.join(get_args(Objective))}.")
        for name, low, high, remedy in _RANGES:
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"{name.replace('_', '-')} {value} is outside {low} to {high}. {remedy}")
        if self.account.allow_insample:
            raise ConfigError(
                "allow-insample has no place in a search: it would choose the best memory. Leave it out."
            )


_RANGES = (
    ("trials", 1, 100_000, "50 say something, and each costs a training of every fold."),
    ("folds", 2, 100, "With 4 each model learns from half of the inner data or more."),
    ("test_fraction", 0.02, 0.8, "0.2 keeps a fifth of the data for the winner."),
    ("workers", 1, 1024, "One a core is the most that helps."),
    ("seed", 0, 2**31, "It only decides which values are tried."),
)
