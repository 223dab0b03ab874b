"""What a search may vary: dimensions, candidates, and what cannot be."""

import pytest

from lstm_backtrader.backtesting import BacktestConfig
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.forecast.train_config import TrainConfig
from lstm_backtrader.tuning.space import Choice, Range, Space, default_space

TRAIN, ACCOUNT = TrainConfig(), BacktestConfig()


def test_a_candidate_has_the_chosen_values_and_the_rest_as_it_was():
    # given
    space = Space(
        train={"hidden": Choice((8, 16)), "layers": Choice((2,))},
        backtest={"stop_loss": Range(0.0, 0.1), "threshold_multiple": Range(0.0, 2.0)},
        always=("default",),
        any_of=("macd", "rsi:span=14"),
    )

    # when
    chosen = {"hidden": 8, "stop_loss": 0.05, "threshold_multiple": 1.5, "+macd": False, "+rsi:span=14": True}
    candidate = space.candidate(chosen, TrainConfig(dropout=0.2), BacktestConfig(leverage=2))

    # then
    assert candidate.train == TrainConfig(hidden=8, layers=2, dropout=0.2, features=("default", "rsi:span=14"))
    assert candidate.account_of(0.4) == BacktestConfig(leverage=2, stop_loss=0.05, threshold=pytest.approx(0.6))


def test_a_single_value_is_fixed_and_no_dimension():
    space = Space(train={"hidden": Choice((8,)), "layers": Range(1, 2)})
    assert list(space.dimensions()) == ["layers"]
    assert space.candidate({"layers": 2}, TRAIN, ACCOUNT).train.hidden == 8


def test_without_a_multiple_the_threshold_is_the_accounts_own():
    candidate = Space(train={"hidden": Choice((8, 16))}).candidate(
        {"hidden": 8}, TRAIN, BacktestConfig(threshold=0.3)
    )
    assert candidate.account_of(0.9).threshold == 0.3


def test_a_choice_of_features_is_of_whole_lists():
    space = Space(train={"features": Choice(("default", "default, macd"))})
    space.check(TRAIN, ACCOUNT)
    assert space.candidate({"features": "default, macd"}, TRAIN, ACCOUNT).train.features == ("default, macd",)


@pytest.mark.parametrize(
    "given", [TRAIN, TrainConfig(context=32, stride=8, hidden=1, features=("default", "macd"))]
)
@pytest.mark.parametrize("columns", [(), ("funding_rate", "open_interest")])
def test_the_default_space_is_possible_and_holds_what_it_begins_with(given, columns):
    space = default_space(given, ACCOUNT, columns)
    space.check(given, ACCOUNT)
    values = space.values_of(given, ACCOUNT)
    assert space.candidate(values, given, ACCOUNT).train == given
    assert ("+funding_z" in values) == bool(columns)
    assert ("+macd" in values) == (given == TRAIN)


def test_the_default_space_leaves_the_account_alone_where_it_does_not_count_and_a_typed_threshold():
    assert default_space(TRAIN, ACCOUNT, (), strategy=False).backtest == {}
    assert "threshold_multiple" not in default_space(TRAIN, BacktestConfig(threshold=0.1), ()).backtest


def test_the_default_space_leaves_a_size_by_risk_its_stop():
    account = BacktestConfig(sizing="risk:0.01", stop_loss=0.03)
    space = default_space(TRAIN, account, ())
    space.check(TRAIN, account)
    assert space.backtest["stop_loss"] == Choice((0.03, 0.06))


def test_what_the_base_has_and_the_space_has_not_is_not_its_beginning():
    assert Space(train={"hidden": Choice((8, 32))}).values_of(TRAIN, ACCOUNT) is None
    assert Space(backtest={"threshold": Range(0.0, 1.0)}).values_of(TRAIN, ACCOUNT) is None
    assert Space(train={"dropout": Range(0.0, 0.4, step=0.1)}).values_of(TRAIN, ACCOUNT) == {"dropout": 0.1}
    assert Space(train={"dropout": Range(0.0, 0.4, step=0.2)}).values_of(TRAIN, ACCOUNT) is None


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (Space(), "leaves nothing to choose"),
        (Space(train={"hidden": Choice((8,))}), "leaves nothing to choose"),
        (Space(train={"hidden": Choice((0, 8))}), "hidden 0 is outside 1 to 1024"),
        (Space(train={"dropout": Range(0.0, 1.5)}), r"dropout 1.5 is outside 0.0 to 0.95"),
        (Space(train={"cell": Choice(("lstm", "gru"))}), "cell 'gru' is unknown"),
        (Space(train={"features": Choice(("default", "rsj"))}), "unknown feature 'rsj'"),
        (Space(backtest={"stop_loss": Choice((0.0, 5.0))}), r"stop-loss 5 must be in \[0, 1\)"),
        (Space(backtest={"threshold_multiple": Range(-1.0, 1.0)}), "threshold-multiple -1.0 is below 0"),
        (
            Space(backtest={"threshold": Range(0.0, 1.0), "threshold_multiple": Range(0.0, 1.0)}),
            "threshold and threshold-multiple exclude each other",
        ),
        (Space(always=("macd",), any_of=("macd",)), "feature 'macd.*' is chosen twice"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_tried(space, message):
    with pytest.raises(ConfigError, match=message):
        space.check(TRAIN, ACCOUNT)


def test_values_that_need_each_other_are_left_to_the_trial():
    space = Space(train={"context": Choice((32, 384)), "stride": Choice((16, 64))})
    space.check(TRAIN, ACCOUNT)
    with pytest.raises(ConfigError, match="stride 64 is outside 1 to context 32"):
        space.candidate({"context": 32, "stride": 64}, TRAIN, ACCOUNT)

    space = Space(backtest={"sizing": Choice(("fraction", "risk:0.01")), "stop_loss": Choice((0.0, 0.02))})
    space.check(TRAIN, ACCOUNT)
    with pytest.raises(ConfigError, match="goes by the distance of a stop"):
        space.candidate({"sizing": "risk:0.01", "stop_loss": 0.0}, TRAIN, ACCOUNT)
