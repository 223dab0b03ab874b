"""The command `lbt` as a user types it."""

import dataclasses
import errno
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from lstm_backtrader import cli
from lstm_backtrader.backtesting import BacktestConfig
from lstm_backtrader.forecast import labels, registry
from lstm_backtrader.forecast.train_config import TrainConfig

TINY = (
    "--horizon",
    4,
    "--context",
    32,
    "--stride",
    8,
    "--hidden",
    6,
    "--seeds",
    2,
    "--steps",
    40,
    "--event",
    "news",
)


@pytest.fixture(scope="module")
def files(tiny_market, tmp_path_factory) -> dict[str, Path]:
    """Candles, funding and mark prices of the tiny market as a user has them."""
    folder = tmp_path_factory.mktemp("data")
    paths = {name: folder / f"{name}.parquet" for name in ("candles", "funding", "mark")}
    table = tiny_market.rename_axis("timestamp").reset_index()
    table.to_parquet(paths["candles"])
    stamps = table.timestamp[table.timestamp.dt.hour % 8 == 0]
    pd.DataFrame({"timestamp": stamps, "funding_rate": 0.0001}).to_parquet(paths["funding"])
    table[["timestamp", "open", "high", "low", "close"]].to_parquet(paths["mark"])
    return paths


def error_line(outcome) -> str:
    lines = [line for line in outcome.err.splitlines() if line.strip()]
    assert lines[-1].startswith("Error: ")
    assert "Traceback" not in outcome.err
    return lines[-1]


def test_help_lists_the_commands_and_loads_nothing_heavy():
    # when
    probe = (
        "import sys; sys.argv = ['lbt', '--help']\n"
        "from lstm_backtrader import cli\n"
        "try:\n    cli.main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'pandas', 'backtrader', 'quantstats', 'plotly', 'ccxt', 'matplotlib'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)

    # then
    assert all(name in result.stdout for name in ("demo", "train", "walk-forward", "backtest", "report"))
    assert "heavy: []" in result.stdout


def test_train_then_backtest_writes_what_it_says(lbt, files, tmp_path):
    # given
    joined = ("--data", files["candles"], "--funding", files["funding"], "--mark", files["mark"])

    # when
    trained = lbt("train", *joined, "--until", "2020-03-20", "--out", tmp_path / "model", *TINY)
    tested = lbt(
        "backtest", *joined, "--model", tmp_path / "model", "--from", "2020-03-21", "--until", "2020-04-10",
        "--leverage", 3, "--stop-loss", 0.05, "--threshold", 0, "--out", tmp_path / "run",
    )  # fmt: skip

    # then
    assert trained.code == 0, trained.err
    assert tested.code == 0, tested.err
    assert "first bar it may forecast" in trained.out
    assert "2020-03-21 00:00" in trained.out
    assert "buy and hold" in tested.out
    assert "SMA cross 3x" in tested.out
    assert "contract: the generic one" in tested.out
    assert "--contract names another" in tested.out
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    account, trades = metrics["account"], pd.read_parquet(tmp_path / "run" / "trades.parquet")
    equity = pd.read_parquet(tmp_path / "run" / "equity.parquet")
    assert metrics["span"]["start"] == "2020-03-21T00:00:00+00:00"
    assert metrics["span"]["end"] == "2020-04-10T23:00:00+00:00"
    assert equity.index[0] == pd.Timestamp("2020-03-21", tz="UTC")
    assert len(equity) == 21 * 24
    assert metrics["inputs"]["parameters"]["leverage"] == 3.0
    assert {"data_sha256", "funding_sha256", "mark_sha256", "model_sha256"} <= set(metrics["inputs"])
    assert metrics["forecast"]["bars"] == 21 * 24
    assert account["trades"] == len(trades) > 0
    assert account["funding"] != 0
    explained = sum(account[name] for name in ("gross_profit_closed", "profit_open", "funding", "other_cash"))
    assert account["final_equity"] - account["start_equity"] == pytest.approx(explained - account["fees"], abs=1e-6)
    for column in ("gross_profit_closed", "profit_open", "fees", "funding", "liquidation_loss"):
        assert trades[column].sum() == pytest.approx(account[column], abs=1e-6)


def test_features_and_labels_are_listed(lbt):
    shown = lbt("features").out
    for text in ("rsi:span=14", "log_return:span=24", "event:column=COLUMN", "three_classes:horizon=24", "talib"):
        assert text in shown
    assert re.search(r"macd:fast=12:slow=26:signal=9:span=14 +reads 161 bars\n +Histogram of the MACD", shown)
    assert "* event:column=COLUMN   reads 1 bar, of the column COLUMN" in shown


def test_a_model_is_trained_on_chosen_features_and_classes(lbt, files, tmp_path):
    # when
    outcome = lbt(
        "train", "--data", files["candles"], "--until", "2020-03-10", "--out", tmp_path / "model", *TINY,
        "--features", "default,rsi:span=7", "--features", "macd", "--label", "three_classes:fee_bps=20",
        "--uniqueness",
    )  # fmt: skip

    # then
    assert outcome.code == 0, outcome.err
    manifest = json.loads((tmp_path / "model" / "manifest.json").read_text())
    assert [entry["name"] for entry in manifest["features"]][-3:] == ["rsi", "macd", "event"]
    assert manifest["features"][-3] == {"name": "rsi", "params": {"span": 7}, "memory": 61, "module": None}
    assert manifest["label"]["kind"] == "three_classes"
    assert manifest["training"]["label"] == "three_classes:fee_bps=20"
    assert manifest["training"]["uniqueness"] is True


def test_a_file_brings_features_and_labels_of_ones_own(lbt, files, tmp_path):
    # given
    own = tmp_path / "somebodys_ideas.py"
    own.write_text(
        "import numpy as np\n"
        "from lstm_backtrader.forecast.features import feature\n"
        "from lstm_backtrader.forecast.labels import label\n"
        "@feature(memory=lambda span=5: span + 1)\n"
        "def climb(bars, span):\n"
        '    """Close over the close `span` bars before."""\n'
        "    out = np.full(len(bars), np.nan)\n"
        "    out[span:] = bars['close'][span:] / bars['close'][:-span] - 1\n"
        "    return out\n"
        "@label(horizon=lambda horizon=24: horizon)\n"
        "def money(bars, horizon):\n"
        "    close = bars['close']\n"
        "    return np.append(close[horizon:] - close[:-horizon], np.full(horizon, np.nan))\n"
    )
    train = (
        "train", "--data", files["candles"], "--until", "2020-03-10", "--out", tmp_path / "model", *TINY,
        "--features", "climb:span=3,close_location", "--label", "money",
    )  # fmt: skip
    backtest = ("backtest", "--data", files["candles"], "--model", tmp_path / "model", "--out", tmp_path / "run")

    # when
    try:
        without, trained = lbt(*train), lbt(*train, "--feature-module", own)
        tested, listed = lbt(*backtest, "--feature-module", own), lbt("features", "--feature-module", own)
        registry.FEATURES.pop("climb")
        shutil.copytree(tmp_path / "model", tmp_path / "copy")  # which no model in memory is of
        forgotten = lbt("backtest", "--data", files["candles"], "--model", tmp_path / "copy", "--out", tmp_path)
    finally:
        registry.FEATURES.pop("climb", None)
        labels.LABELS.pop("money", None)
        sys.modules.pop("somebodys_ideas", None)

    # then
    assert "unknown feature 'climb'" in error_line(without)
    assert trained.code == 0, trained.err
    assert tested.code == 0, tested.err
    assert re.search(r"climb:span=5 +reads 6 bars\n +Close over the close", listed.out)
    assert "feature 'climb' is registered by the module 'somebodys_ideas'" in error_line(forgotten)


def test_until_is_the_end_of_that_day_and_no_bar_after_it_is_learned(lbt, files, tmp_path):
    # when
    lbt("train", "--data", files["candles"], "--until", "2020-03-10", "--out", tmp_path / "model", *TINY)

    # then
    manifest = json.loads((tmp_path / "model" / "manifest.json").read_text())
    assert manifest["trained_until"] == "2020-03-10T19:00:00Z"  # its label is the return until 23:00
    assert manifest["purge_bars"] == 4


def test_fee_and_slippage_are_a_side_and_in_basis_points(lbt, files, tiny_artefact, tmp_path):
    # when
    for fee in (0, 10):
        lbt(
            "backtest",
            "--data",
            files["candles"],
            "--model",
            tiny_artefact,
            "--fee-bps",
            fee,
            "--slippage-bps",
            fee / 5,
            "--out",
            tmp_path / str(fee),
        )

    # then
    free, dear = (json.loads((tmp_path / str(fee) / "metrics.json").read_text()) for fee in (0, 10))
    trades = pd.read_parquet(tmp_path / "10" / "trades.parquet")
    closed = trades[~trades.is_open]
    turnover = closed["size"] * (closed.entry_price + closed.exit_price)
    assert free["account"]["fees"] == free["account"]["slippage"] == 0
    assert 0 < dear["account"]["slippage"] == pytest.approx(trades["slippage"].sum())
    assert closed.fees.to_numpy() == pytest.approx(turnover.to_numpy() * 0.001)
    assert dear["account"]["final_equity"] < free["account"]["final_equity"]


def test_without_from_a_backtest_begins_at_the_first_unseen_bar(lbt, files, tiny_artefact, tiny_model, tmp_path):
    # when
    lbt("backtest", "--data", files["candles"], "--model", tiny_artefact, "--out", tmp_path)

    # then
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert pd.Timestamp(metrics["span"]["start"]) == tiny_model.valid_from
    assert metrics["forecast"]["in_sample"] == 0


def test_in_sample_bars_are_traded_only_when_asked_for_and_said_so(lbt, files, tiny_artefact, tmp_path):
    # given
    command = ("backtest", "--data", files["candles"], "--model", tiny_artefact, "--from", "2020-02-01")

    # when
    guarded = lbt(*command, "--out", tmp_path / "a")
    asked = lbt(*command, "--allow-insample", "--out", tmp_path / "b")

    # then
    assert "suppressed" in guarded.out
    assert "IN-SAMPLE" in asked.out


def test_report_draws_any_equity_file(lbt, tmp_path):
    # given
    days = pd.date_range("2024-01-01", periods=90, freq="D")
    walk = pd.Series(range(90)).mul(7).mod(11).sub(5).cumsum().add(1000.0)
    pd.DataFrame({"time": days, "equity": walk}).to_csv(tmp_path / "equity.csv", index=False)

    # when
    outcome = lbt("report", "--equity", tmp_path / "equity.csv", "--out", tmp_path / "page.html")

    # then
    assert outcome.code == 0, outcome.err
    assert "<h2>Account</h2>" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--stop-loss", "2"), r"stop.*2"),
        (("--stop-loss", "-0.1"), "stop"),
        (("--leverage", "500"), "leverage"),
        (
            ("--leverage", "10", "--stop-loss", "0.2"),
            "the stop 0.2 of the price .* beyond liquidation",
        ),
        (("--leverage", "200"), "Lower it; in Python `max_leverage=200.0` allows it"),
        (("--atr-stop", "-1"), "atr-stop=-1.0 must be 0 or more"),
        (("--leave-on", "turn"), "leave-on='turn' must be 'flat', 'flip' or 'never'"),
        (("--hours", "25"), "hours '25' must be whole numbers from 0 to 23"),
        (("--sizing", "risk:0.01"), "Give stop-loss"),
        (("--daily-loss", "3"), r"daily-loss=3.0 must be in \[0, 1\)"),
        (("--long-only", "--short-only"), "leave nothing to trade"),
        (("--cash", "0"), "cash"),
        (("--fee-bps", "5000"), "fee"),
        (("--fraction", "1.5"), "fraction"),
        (("--threshold", "-1"), "threshold"),
        (("--from", "2031-01-01"), "end"),
        (("--from", "2020-04-01", "--until", "2020-03-01"), "--from and --until"),
        (("--funding", "nowhere.csv"), "no such file"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_one(lbt, files, tiny_artefact, tmp_path, options, message):
    # when
    outcome = lbt(
        "backtest", "--data", files["candles"], "--model", tiny_artefact, "--out", tmp_path / "run", *options
    )

    # then
    assert outcome.code == 1
    assert re.search(message, error_line(outcome))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", ["demo", "train", "walk-forward", "backtest", "report"])
def test_a_place_that_cannot_be_written_is_refused_before_any_work(lbt, files, tiny_artefact, tmp_path, command):
    # given
    (tmp_path / "note.txt").write_text("a file")
    given = {
        "demo": (),
        "train": ("--data", files["candles"]),
        "walk-forward": ("--data", files["candles"], "--train-days", 40, "--step-days", 10),
        "backtest": ("--data", files["candles"], "--model", tiny_artefact),
        "report": ("--equity", tmp_path / "note.txt"),
    }

    # when
    outcome = lbt(command, *given[command], "--out", tmp_path / "note.txt" / "run")

    # then
    rule = f"{tmp_path / 'note.txt'} is no directory that may be written to. Choose another."
    assert outcome.code == 1
    assert outcome.err == f"Error: --out {tmp_path / 'note.txt' / 'run'}: {rule}\n"


def test_a_full_disk_is_one_line(lbt, monkeypatch, tmp_path):
    # given
    pd.Series([1.0, 2.0, 3.0], pd.date_range("2024-01-01", periods=3), name="equity").to_csv(tmp_path / "e.csv")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("lstm_backtrader.reporting.report.write_text", full)

    # when
    outcome = lbt("report", "--equity", tmp_path / "e.csv", "--out", tmp_path / "e.html")

    # then
    assert outcome.code == 1
    assert error_line(outcome) == "Error: No space left on device. Choose another path, or make room."


def test_a_mistake_before_the_first_step_prints_its_line_alone(lbt, files, tiny_artefact, tmp_path):
    wrong = ("--from", "2020-04-01", "--until", "2020-03-01", "--out", tmp_path / "run")
    outcome = lbt("backtest", "--data", files["candles"], "--model", tiny_artefact, *wrong)
    assert outcome.err.count("\n") == 1
    assert lbt("report", "--equity", "nowhere.csv", "--out", tmp_path).err.count("\n") == 1


def test_a_stop_of_a_whole_price_names_the_right_way_to_write_it(lbt, files, tiny_artefact, tmp_path):
    outcome = lbt(
        "backtest", "--data", files["candles"], "--model", tiny_artefact, "--out", tmp_path, "--stop-loss", 2
    )
    assert "0.02" in error_line(outcome)


def test_a_model_that_is_none_is_refused(lbt, files, tmp_path):
    outcome = lbt("backtest", "--data", files["candles"], "--model", tmp_path, "--out", tmp_path / "run")
    assert outcome.code == 1
    assert "manifest.json" in error_line(outcome)


def test_training_never_overwrites_what_is_no_model(lbt, files, tmp_path):
    # given
    (tmp_path / "thesis.txt").write_text("years of work")

    # when
    outcome = lbt("train", "--data", files["candles"], "--out", tmp_path, *TINY)

    # then
    assert outcome.code == 1
    assert "is no model" in error_line(outcome)
    assert (tmp_path / "thesis.txt").exists()


def test_too_little_data_names_what_is_needed(lbt, files, tmp_path):
    outcome = lbt("train", "--data", files["candles"], "--until", "2020-01-12", "--out", tmp_path / "m")
    assert outcome.code == 1
    assert "--context" in error_line(outcome)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("backtest", "--leverege", "3"), "No such option: --leverege (Possible options: --leave-on, --leverage)"),
        (("train", "--data", "x.csv"), "Missing option '--out'. `lbt train -h` tells what it takes."),
        (
            ("download", "--since", "31.12.2023"),
            "Invalid value for '--since': '31.12.2023' does not match the formats 'YYYY-MM-DD'. `lbt download -h`",
        ),
        (("data", "--verfy"), "No such option: --verfy (Possible options: --verify)"),
        (("paper", "--bars", "0"), "Invalid value for '--bars': "),
        (("trian",), "No such command 'trian'. Did you mean 'train', 'btrun'? `lbt -h` tells what it takes."),
    ],
)
def test_a_mistyped_command_or_option_is_one_line_and_exits_with_one(lbt, arguments, says):
    outcome = lbt(*arguments)
    assert outcome.code == 1
    assert says in error_line(outcome)


def test_lbt_alone_shows_what_there_is(lbt):
    outcome = lbt()
    assert outcome.code != 0
    assert "walk-forward" in outcome.out + outcome.err
    assert "Error" not in outcome.err


def test_a_seam_is_warned_about_on_the_terminal(lbt, files, tmp_path):
    # when
    outcome = lbt(
        "train", "--data", files["candles"], "--out", tmp_path / "m", *TINY, "--context", 8, "--stride", 8,
        "--learning-rate", 0.05, "--steps", 60,
    )  # fmt: skip

    # then
    seam = json.loads((tmp_path / "m" / "manifest.json").read_text())["validation"]["seam"]
    assert ("Warning: seam" in outcome.err) == (seam > 1.25)
    assert seam > 1.25


# --- walk-forward -------------------------------------------------------------------------------------------


def test_a_walk_forward_reports_every_fold_and_writes_one_model(lbt, files, tmp_path):
    # given
    joined = ("--data", files["candles"], "--funding", files["funding"], "--mark", files["mark"])
    plan = ("--train-days", 40, "--step-days", 14, "--embargo", 24, "--from", "2020-02-20", "--until", "2020-04-06")

    # when
    outcome = lbt("walk-forward", *joined, *plan, "--leverage", 2, "--out", tmp_path / "run", *TINY)
    again = lbt(
        "backtest", *joined, "--model", tmp_path / "run" / "model", "--leverage", 2, "--until", "2020-04-06",
        "--out", tmp_path / "again",
    )  # fmt: skip

    # then
    assert outcome.code == 0, outcome.err
    assert again.code == 0, again.err
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    folds = metrics["walk_forward"]["folds"]
    assert [fold["begin"][:10] for fold in folds] == ["2020-02-20", "2020-03-05", "2020-03-19", "2020-04-02"]
    assert [fold["bars"] for fold in folds] == [336, 336, 336, 120]
    assert [fold["counts"] for fold in folds] == [True, True, True, False]
    assert metrics["walk_forward"]["mean_of"] == 3
    assert metrics["forecast"]["in_sample"] == metrics["forecast"]["suppressed_bars"] == 0
    assert metrics["forecast"]["bars"] == 1128
    assert set(folds[0]["returns"]) == {"LSTM 2x", "buy and hold 1x, after costs", "SMA cross 2x"}
    made = 1.0
    for fold in folds:
        made *= 1 + fold["returns"]["LSTM 2x"]
        assert f"{fold['ic']:+.4f}" in outcome.out
        assert f"{fold['returns']['LSTM 2x']:+.2%}" in outcome.out
    assert made - 1 == pytest.approx(metrics["account"]["total_return"])
    assert metrics["account"]["funding"] != 0
    assert metrics["walk_forward"]["mean"] in outcome.out
    assert " 2020-04-02*  " in outcome.out
    assert max(len(line.rstrip()) for line in outcome.out.splitlines() if line.startswith(" 2020-")) <= 80
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Fold by fold, on bars its model had not seen" in page
    assert page.count('<div class="curve">') == 4
    assert sorted(path.name for path in (tmp_path / "run" / "model").iterdir()) == [
        "history.jsonl", "manifest.json", "model.safetensors",
    ]  # fmt: skip
    repeated = json.loads((tmp_path / "again" / "metrics.json").read_text())
    assert repeated["walk_forward"] == metrics["walk_forward"]
    assert repeated["account"] == metrics["account"]


def test_a_walk_forward_that_begins_too_early_names_the_earliest_day(lbt, files, tmp_path):
    plan = ("--train-days", 40, "--step-days", 14, "--embargo", 24, "--from", "2020-02-01")
    outcome = lbt("walk-forward", "--data", files["candles"], *plan, "--out", tmp_path / "run", *TINY)
    assert outcome.code == 1
    assert "The earliest possible is --from 2020-02-11" in error_line(outcome)
    assert not (tmp_path / "run").exists()


def test_the_report_of_a_single_model_shows_how_it_was_trained(lbt, files, tiny_artefact, tmp_path):
    lbt("backtest", "--data", files["candles"], "--model", tiny_artefact, "--out", tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert page.count('<div class="curve">') == 1
    assert "Learning curves" in page
    assert "walk_forward" not in json.loads((tmp_path / "metrics.json").read_text())


def test_shorter_bars_that_are_not_there_are_missed_before_a_walk_forward_trains(lbt, files, tmp_path):
    plan = ("--train-days", 40, "--step-days", 10, "--intrabar-data", tmp_path / "typo.parquet")
    outcome = lbt("walk-forward", "--data", files["candles"], *plan, "--out", tmp_path / "run", *TINY)
    assert outcome.code == 1
    assert "typo.parquet" in error_line(outcome)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", ["train", "walk-forward"])
def test_a_device_that_is_not_there_is_refused_before_any_work(lbt, tmp_path, command, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    days = ("--train-days", 40, "--step-days", 10) if command == "walk-forward" else ()
    for device, message in (("cuda", "torch sees no GPU"), ("tpu", "Use 'auto', 'cpu' or 'cuda'")):
        outcome = lbt(command, "--data", "none.csv", "--out", tmp_path / "m", *days, "--device", device)
        assert outcome.code == 1
        assert message in error_line(outcome)


# --- a file of options --------------------------------------------------------------------------------------


CONFIG = """
data = "candles.parquet"

[train]
horizon = 4
context = 32
stride = 8
hidden = 6
seeds = 1
steps = 3
event = ["news"]
embargo = 24

[walk-forward]
train-days = 40
step-days = 25
from = 2020-03-01

[backtest]
leverage = 3
allow-insample = true
reenter = true
hours = "6-21"
max-funding-rate = 0.01
stop-loss = 0.1
sizing = "risk:0.05"
daily-loss = 0.2
consecutive-losses = 5
pause-bars = 12
"""


@pytest.fixture
def config(files) -> Path:
    """A file of options beside the candles."""
    path = files["candles"].with_name("lbt.toml")
    path.write_text(CONFIG)
    return path


def test_options_come_from_a_file_and_typed_ones_win(lbt, config, tmp_path):
    # when
    trained = lbt("train", "--config", config, "--until", "2020-03-20", "--steps", 4, "--out", tmp_path / "m")
    tested = lbt(
        "backtest", "--config", config, "--model", tmp_path / "m", "--leverage", 2, "--out", tmp_path / "r"
    )
    walked = lbt("walk-forward", "--config", config, "--seeds", 2, "--out", tmp_path / "w")

    # then
    assert (trained.code, tested.code, walked.code) == (0, 0, 0), trained.err + tested.err + walked.err
    manifest = json.loads((tmp_path / "m" / "manifest.json").read_text())
    assert manifest["training"]["horizon"] == 4
    assert manifest["training"]["steps"] == 4
    assert manifest["training"]["events"] == ["news"]
    metrics = json.loads((tmp_path / "r" / "metrics.json").read_text())
    assert metrics["inputs"]["parameters"]["leverage"] == 2.0
    assert metrics["inputs"]["parameters"]["sizing"] == "risk:0.05"
    assert metrics["inputs"]["parameters"]["pause_bars"] == 12
    entries = pd.read_parquet(tmp_path / "r" / "trades.parquet")["entry_time"]
    assert set(entries.dt.hour) <= set(range(6, 22))
    assert metrics["forecast"]["in_sample"] > 0
    schedule = json.loads((tmp_path / "w" / "model" / "manifest.json").read_text())
    assert [model["begins"][:10] for model in schedule["models"]] == ["2020-03-01", "2020-03-26"]
    assert schedule["models"][0]["manifest"]["training"]["seeds"] == 2
    walk = json.loads((tmp_path / "w" / "metrics.json").read_text())
    assert walk["inputs"]["parameters"]["leverage"] == 3.0


@pytest.mark.parametrize("command", ["train", "walk-forward", "backtest"])
def test_the_file_in_the_readme_is_one_for_every_command(lbt, tmp_path, command):
    readme = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
    (tmp_path / "lbt.toml").write_text(re.search(r"```toml\n(.*?)```", readme, re.DOTALL)[1])
    assert lbt(command, "--config", tmp_path / "lbt.toml", "--help").code == 0
    (tmp_path / "lbt.toml").write_text("colour = 3")
    assert lbt(command, "--config", tmp_path / "lbt.toml", "--help").code == 1


def test_a_mistake_in_the_file_is_one_line(lbt, config, tmp_path):
    config.write_text(CONFIG.replace("horizon", "horizn"))
    outcome = lbt("backtest", "--config", config, "--model", tmp_path, "--out", tmp_path / "r")
    assert outcome.code == 1
    assert error_line(outcome) == f"Error: {config}: [train] unknown key 'horizn'. Did you mean 'horizon'?"


def test_a_value_out_of_range_in_the_file_is_refused_as_a_typed_one_is(lbt, config, tmp_path):
    config.write_text(CONFIG.replace("steps = 3", "steps = 0"))
    outcome = lbt("train", "--config", config, "--out", tmp_path / "m")
    assert error_line(outcome) == "Error: steps 0 is outside 1 to 1000000. The default is 800."


@pytest.mark.parametrize("command", [cli.train, cli.walk_forward])
def test_the_defaults_of_training_are_those_of_python(command):
    typed = {name: given.default for name, given in inspect.signature(command).parameters.items()}
    renamed = {"events": "event", "expires_days": "expires"}
    for each in dataclasses.fields(TrainConfig):
        default = None if each.name in ("events", "features") else each.default
        assert typed[renamed.get(each.name, each.name)] == default, each.name


@pytest.mark.parametrize("command", [cli.backtest, cli.walk_forward])
def test_the_defaults_of_the_account_are_those_of_python(command):
    typed = {name: given.default for name, given in inspect.signature(command).parameters.items()}
    for each in dataclasses.fields(BacktestConfig):
        assert typed.get(each.name, each.default) == each.default, each.name


# --- audit --------------------------------------------------------------------------------------------------

OWN_FEATURES = """
import numpy as np
from lstm_backtrader.forecast.features import feature

@feature(memory=lambda: 2)
def tomorrows_return(bars):
    close = bars["close"]
    out = np.full(len(bars), np.nan)
    out[:-1] = close[1:] / close[:-1] - 1   # shift(-1)
    return out

@feature(memory=lambda span: span + 1)
def momentum(bars, span=5):
    out = np.full(len(bars), np.nan)
    out[span:] = bars["close"][span:] / bars["close"][:-span] - 1
    return out
"""

OWN_STRATEGY = """
import backtrader as bt

class Peeks(bt.Strategy):
    def next(self):
        if self.data.close[1] > self.data.close[0] and not self.position:
            self.buy()
        elif self.position:
            self.close()
        print("a bar of mine")
"""


@pytest.fixture
def own_code(tmp_path, monkeypatch):
    """A folder with code of the user's own, as the working directory."""
    from lstm_backtrader.forecast.features import FEATURES

    (tmp_path / "own_features.py").write_text(OWN_FEATURES)
    (tmp_path / "own_strategy.py").write_text(OWN_STRATEGY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    before = set(FEATURES)
    yield tmp_path
    for name in FEATURES.keys() - before:
        del FEATURES[name]


def test_the_audit_of_a_model_is_clean_and_ends_with_0(lbt, files, tiny_artefact):
    # when
    outcome = lbt("audit", "--data", files["candles"], "--model", tiny_artefact, "--cuts", 4)

    # then
    assert outcome.code == 0, outcome.out + outcome.err
    assert outcome.out.rstrip().endswith("clean")
    assert "not clean" not in outcome.out
    for check in (
        "truncation",
        "perturbation",
        "start-up",
        "newest row",
        "label reach",
        "split",
        "stream",
        "modes",
    ):
        assert re.search(rf"^ ?{check} .* 0 ", outcome.out, re.MULTILINE), check


def test_a_feature_of_the_users_own_that_looks_ahead_is_named_with_line_bar_and_amount(lbt, files, own_code):
    # when
    outcome = lbt("audit", "--data", files["candles"], "--feature-module", "own_features.py", "--cuts", 4)

    # then
    assert outcome.code == 1
    named = r"truncation: tomorrows_return\(\) at 2020-\d\d-\d\d \d\d:00 is -?[\d.e-]+, but not there without"
    assert re.search(named + r" .*: off by [\d.e-]+ \(4 of 4 times\)", outcome.out)
    assert "momentum" not in outcome.out
    assert "not clean: " in outcome.out


def test_a_strategy_of_the_users_own_that_reads_tomorrow_is_named_with_line_bar_and_amount(lbt, files, own_code):
    # when
    outcome = lbt("audit", "--data", files["candles"], "--strategy", "own_strategy:Peeks", "--cuts", 2)

    # then
    assert outcome.code == 1
    read = r"reads: close\[1\] at 2020-\d\d-\d\d \d\d:00 is read 1 bar before it is known, in own_strategy.py:6: "
    assert "a bar of mine" not in outcome.out + outcome.err
    assert re.search(read + r"[\d.]+, where [\d.]+ is current: off by [\d.]+ \(2000 times\)", outcome.out)
    assert f"kept for the reports of this code: {os.environ['LBT_AUDITS']}" in outcome.out.replace("\n", "")


def test_an_audit_of_nothing_is_refused(lbt, files):
    assert "nothing to audit" in error_line(lbt("audit", "--data", files["candles"]))


# --- evaluate -----------------------------------------------------------------------------------------------


def test_evaluate_prints_its_tables_and_writes_what_it_says(lbt, files, tiny_artefact, tmp_path):
    # when
    outcome = lbt(
        "evaluate", "--data", files["candles"], "--model", tiny_artefact, "--from", "2020-03-20", "--until",
        "2020-04-10", "--rnn", "--coverage", 0.8, "--out", tmp_path / "e",
    )  # fmt: skip

    # then
    assert outcome.code == 0, outcome.err
    document = json.loads((tmp_path / "e" / "evaluation.json").read_text())
    for shown in (
        "mean fold IC",
        "vanilla RNN",
        "shuffled labels",
        "interval, 80% promised",
        "IC by horizon",
        "PSI",
    ):
        assert shown in outcome.out, shown
    assert document["verdict"]["words"] in outcome.out
    assert "…" not in outcome.out  # on a terminal of 80 columns no figure is cut
    for fold in document["folds"]:
        assert f"{fold['begin'][:10]} to {fold['last'][:10]}" in outcome.out
    assert (document["span"]["begin"][:10], document["span"]["last"][:10]) == ("2020-03-20", "2020-04-10")
    assert {"data_sha256", "model_sha256", "manifest_sha256"} <= document["inputs"].keys()
    assert (tmp_path / "e" / "report.html").is_file()
    table = pd.read_parquet(tmp_path / "e" / "forecasts.parquet")
    assert {"lo", "hi", "prob_calibrated", "ridge"} <= set(table.columns)


def test_what_cannot_be_evaluated_is_one_line(lbt, files, tiny_artefact, tmp_path):
    given = ("evaluate", "--data", files["candles"], "--model", tiny_artefact, "--out", tmp_path / "e")
    assert "Use 3 to 100, or 0 for no control" in error_line(lbt(*given, "--draws", 1))
    assert "no bar to judge tiny by" in error_line(lbt(*given, "--until", "2020-02-01"))
    assert not (tmp_path / "e").exists()


def test_the_defaults_of_evaluate_are_those_of_python():
    from lstm_backtrader.forecast.evaluation import EvaluateConfig

    typed = {name: given.default for name, given in inspect.signature(cli.evaluate).parameters.items()}
    for each in dataclasses.fields(EvaluateConfig):
        assert typed.get({"with_rnn": "rnn"}.get(each.name, each.name), each.default) == each.default, each.name
