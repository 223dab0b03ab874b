"""What `lbt ledger` shows: a trial takes as many lines as it needs, and none is wider than a screen."""

from lstm_backtrader.forecast.trials import Market, new_trial
from lstm_backtrader.ledger_table import trials_table
from lstm_backtrader.terminal import show_whole

BTC = Market(symbol="BTC-1h", timeframe_s=3600, data_sha256="a" * 64)


def shown(capsys, config):
    show_whole(trials_table([new_trial("backtest", BTC, config, {"sharpe": 1.0})]))
    return capsys.readouterr().out


def test_a_trial_with_many_options_is_folded_and_not_a_letter_of_it_is_lost(capsys):
    config = {f"option_{number}": number for number in range(40)}
    text = shown(capsys, config)
    assert max(map(len, text.splitlines())) < 170
    words = " ".join(text.split())
    assert all(f" option_{number}={number} " in f"{words} " for number in range(40))


def test_values_are_written_as_they_are_typed(capsys):
    config = {
        "leverage": 3.0,
        "learning_rate": 0.0019517616882021305,
        "features": ["default, rsi:span=14", "macd"],
        "begin": "2023-09-01 00:00:00+00:00",
        "train": {"hidden": 8},
        "reenter": True,
    }
    words = " ".join(shown(capsys, config).split())
    for written in (
        "leverage=3 ",
        "learning_rate=0.00195176 ",
        "features=default,rsi:span=14,macd",
        "begin=2023-09-01 ",
        "train(hidden=8)",
        "reenter=True",
    ):
        assert written in words, written
