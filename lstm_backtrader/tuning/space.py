"""What a search may vary: the options of training and account with the values each may take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lstm_backtrader.backtesting import BacktestConfig
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.forecast.features import FeatureSpec
from lstm_backtrader.forecast.train_config import TrainConfig

Value = int | float | str | bool

MULTIPLE = "threshold_multiple"  # of the model's own threshold, which differs from model to model
_COUPLED = (  # of which not every pair has to be possible
    {"context", "stride"},
    {"label", "horizon"},
    {"trailing", "trailing_activation"},
    {"long_only", "short_only"},
    {"consecutive_losses", "pause_bars"},
    *({"sizing", stop} for stop in ("stop_loss", "atr_stop", "trailing")),
)


@dataclass(frozen=True)
class Choice:
    """One of a few values; of a single one there is nothing to choose."""

    values: tuple[Value, ...]

    def extremes(self) -> tuple[Value, ...]:
        """The values that have to be possible."""
        return self.values

    def holds(self, value: object) -> bool:
        """Whether it is one of them."""
        return value in self.values


@dataclass(frozen=True)
class Range:
    """From `low` to `high`, both included; `step` None: 1 of whole numbers, else any; `log`: by its logarithm."""

    low: int | float
    high: int | float
    step: int | float | None = None
    log: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether it is of whole numbers."""
        return isinstance(self.low, int)

    def extremes(self) -> tuple[Value, ...]:
        """The values that have to be possible."""
        return self.low, self.high

    def holds(self, value: object) -> bool:
        """Whether it is one of them."""
        if not isinstance(value, int | float) or not self.low <= value <= self.high:
            return False
        step = self.step or (1 if self.is_whole else None)
        return step is None or is_multiple(value - self.low, step)


Dimension = Choice | Range


@dataclass(frozen=True)
class Candidate:
    """One configuration: how to train, and how to trade what comes of it."""

    train: TrainConfig
    account: BacktestConfig
    threshold_multiple: float | None = None  # of the model's own threshold; None: `account.threshold`

    def account_of(self, threshold: float) -> BacktestConfig:
        """The account for a model whose own threshold that is."""
        if self.threshold_multiple is None:
            return self.account
        return replace(self.account, threshold=self.threshold_multiple * threshold)


@dataclass(frozen=True)
class Space:
    """`train` and `backtest`: field of `TrainConfig` and `BacktestConfig` -> what it may be.

    `any_of`: features each of which is there or not, besides `always`; without them the features are those of
    `train["features"]`, or of the base.
    """

    train: Mapping[str, Dimension] = field(default_factory=dict)
    backtest: Mapping[str, Dimension] = field(default_factory=dict)
    always: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()

    def dimensions(self) -> dict[str, Dimension]:
        """Name -> what there is to choose from."""
        given = {**self.train, **self.backtest, **{f"+{text}": Choice((False, True)) for text in self.any_of}}
        return {name: each for name, each in given.items() if isinstance(each, Range) or len(each.values) > 1}

    def candidate(self, chosen: Mapping[str, Value], train: TrainConfig, account: BacktestConfig) -> Candidate:
        """The configuration of the values chosen; what the space leaves open is as in `train` and `account`.

        Raises `ConfigError` where the values do not fit together.
        """
        given = {**self.train, **self.backtest}
        fixed = {name: each.values[0] for name, each in given.items() if isinstance(each, Choice)}
        values: dict[str, Any] = {**fixed, **chosen}
        for_train = {name: values[name] for name in self.train}
        if "features" in for_train:
            for_train["features"] = (for_train["features"],)
        if self.always or self.any_of:
            for_train["features"] = (*self.always, *(text for text in self.any_of if values.get(f"+{text}")))
        for_account: dict[str, Any] = {name: values[name] for name in self.backtest}
        multiple = for_account.pop(MULTIPLE, None)
        return Candidate(replace(train, **for_train), replace(account, **for_account), multiple)

    def check(self, train: TrainConfig, account: BacktestConfig) -> None:
        """Raises `ConfigError` for a value that cannot be, whatever else is chosen, and where nothing varies."""
        if not self.dimensions():
            raise ConfigError("the space leaves nothing to choose. Give an option two values or more, or a range.")
        names = set(self.train) | set(self.backtest)
        if {"threshold", MULTIPLE} <= names or (MULTIPLE in names and account.threshold is not None):
            raise ConfigError(
                "threshold and threshold-multiple exclude each other. Give one: |forecast| to act on, or that in "
                "units of each model's own."
            )
        if self.always or self.any_of:
            replace(train, features=(*self.always, *self.any_of))  # raises for one that is unknown or there twice
        apart = set().union(*(pair for pair in _COUPLED if pair <= names))
        for name, dimension in self.train.items():
            for value in () if name in apart else dimension.extremes():
                _with(train, name, (value,) if name == "features" else value)
        for name, dimension in self.backtest.items():
            for value in () if name in apart else dimension.extremes():
                if name != MULTIPLE:
                    _with(account, name, value)
                elif not (isinstance(value, int | float) and value >= 0):
                    raise ConfigError(f"threshold-multiple {value} is below 0. 1 is the model's own threshold.")

    def values_of(self, train: TrainConfig, account: BacktestConfig) -> dict[str, Value] | None:
        """The values that change nothing in `train` and `account`; None where one of them is not in the space."""
        values: dict[str, Value] = {}
        for name, dimension in self.dimensions().items():
            given = (
                1.0
                if name == MULTIPLE
                else False
                if name[0] == "+"
                else getattr(train if name in self.train else account, name)
            )
            if given is None or not dimension.holds(given):
                return None
            values[name] = given
        return values

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "train": {name: asdict(each) for name, each in self.train.items()},
            "backtest": {name: asdict(each) for name, each in self.backtest.items()},
            "always": list(self.always),
            "any_of": list(self.any_of),
        }


def is_multiple(value: float, step: float) -> bool:
    """Whether it is a whole number of steps, but for rounding."""
    return abs(value / step - round(value / step)) < 1e-9


def _with(config: TrainConfig | BacktestConfig, name: str, value: object) -> None:
    """Raises what the config has against the value."""
    changes: dict[str, Any] = {name: value}
    replace(config, **changes)


def default_space(
    train: TrainConfig, account: BacktestConfig, columns: Sequence[str], strategy: bool = True
) -> Space:
    """What is searched where nobody said: sizes around those of `train`, more features, threshold and exits.

    `columns`: of the candles, for features that need more than prices. `strategy`: False leaves the account as it
    is.
    """
    more = ["rsi:span=14", "macd", "volatility_ratio"]
    more += ["funding_z"] * ("funding_rate" in columns) + ["open_interest_change"] * ("open_interest" in columns)
    there = train.feature_specs()
    hidden = train.hidden
    sizes: dict[str, Dimension] = {
        "hidden": Choice(tuple(dict.fromkeys((max(1, hidden // 2), hidden, 2 * hidden)))),
        "layers": Range(1, 2),
        "learning_rate": Range(1e-3, 1e-2, log=True),
        "dropout": Range(0.0, 0.3, step=0.1),
    }
    if train.stride is None:
        sizes["context"] = Choice((max(2, train.context // 2), train.context))
    exits: dict[str, Dimension] = {
        "stop_loss": Choice((0.03, 0.06) if account.sizing.startswith("risk") else (0.0, 0.03, 0.06)),
        "take_profit": Choice((0.0, 0.05, 0.1)),
    }
    if account.threshold is None:
        exits[MULTIPLE] = Range(0.0, 2.0, step=0.25)
    return Space(
        train=sizes,
        backtest=exits if strategy else {},
        always=train.features,
        any_of=tuple(text for text in more if FeatureSpec.parse(text) not in there),
    )
